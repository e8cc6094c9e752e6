"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .aum import AUMClassifier
from .co_teaching import CoTeachingClassifier
from .elr import ELRClassifier
from .small_loss import SmallLossClassifier
from .ssr import SSRClassifier

__all__ = [
    "AUMClassifier",
    "CoTeachingClassifier",
    "ELRClassifier",
    "SSRClassifier",
    "SmallLossClassifier",
]
