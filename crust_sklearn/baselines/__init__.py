"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .co_teaching import CoTeachingClassifier
from .co_teaching_plus import CoTeachingPlusClassifier
from .decoupling import DecouplingClassifier
from .elr import ELRClassifier
from .incv import INCVClassifier
from .small_loss import SmallLossClassifier

__all__ = [
    "CoTeachingClassifier",
    "CoTeachingPlusClassifier",
    "DecouplingClassifier",
    "ELRClassifier",
    "INCVClassifier",
    "SmallLossClassifier",
]
