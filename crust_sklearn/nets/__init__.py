"""Nets that train on noisy labels: the trunk of every method, and what it stands on."""

from .epoch_plan import EpochPlan
from .noisy_label_classifier import NoisyLabelClassifier
from .state import TrainingState

__all__ = ["EpochPlan", "NoisyLabelClassifier", "TrainingState"]
