"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .elr import ELRClassifier
from .small_loss import SmallLossClassifier

__all__ = ["ELRClassifier", "SmallLossClassifier"]
