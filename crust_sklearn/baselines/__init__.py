"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .co_teaching import CoTeachingClassifier
from .dmi import DMIClassifier
from .elr import ELRClassifier
from .forward_correction import ForwardCorrectionClassifier
from .small_loss import SmallLossClassifier
from .t_revision import TRevisionClassifier

__all__ = [
    "CoTeachingClassifier",
    "DMIClassifier",
    "ELRClassifier",
    "ForwardCorrectionClassifier",
    "SmallLossClassifier",
    "TRevisionClassifier",
]
