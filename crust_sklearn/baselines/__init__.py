"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .co_teaching import CoTeachingClassifier
from .elr import ELRClassifier
from .mentor_net import MentorNetClassifier
from .small_loss import SmallLossClassifier

__all__ = [
    "CoTeachingClassifier",
    "ELRClassifier",
    "MentorNetClassifier",
    "SmallLossClassifier",
]
