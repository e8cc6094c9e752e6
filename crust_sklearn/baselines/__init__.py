"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .co_teaching import CoTeachingClassifier
from .divide_mix import DivideMixClassifier
from .elr import ELRClassifier
from .small_loss import SmallLossClassifier
from .ssr import SSRClassifier

__all__ = [
    "CoTeachingClassifier",
    "DivideMixClassifier",
    "ELRClassifier",
    "SSRClassifier",
    "SmallLossClassifier",
]
