"""Wrong labels: made on purpose, estimated, and judged row by row; with numpy alone."""

from .anchors import find_anchors, get_min_ratios
from .held_out import leave_one_out_predictions
from .label_quality import LabelQuality
from .noise import NoisyLabels, make_label_noise
from .summary import TrainingSummary, summarize
from .transition import estimate_transition_matrix

__all__ = [
    "LabelQuality",
    "NoisyLabels",
    "TrainingSummary",
    "estimate_transition_matrix",
    "find_anchors",
    "get_min_ratios",
    "leave_one_out_predictions",
    "make_label_noise",
    "summarize",
]
