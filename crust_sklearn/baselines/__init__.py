"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .aum import AUMClassifier
from .co_teaching import CoTeachingClassifier
from .co_teaching_plus import CoTeachingPlusClassifier
from .d2l import D2LClassifier
from .decoupling import DecouplingClassifier
from .divide_mix import DivideMixClassifier
from .elr import ELRClassifier
from .incv import INCVClassifier
from .joint_optimization import JointOptimizationClassifier
from .mentor_net import MentorNetClassifier
from .small_loss import SmallLossClassifier
from .ssr import SSRClassifier

__all__ = [
    "AUMClassifier",
    "CoTeachingClassifier",
    "CoTeachingPlusClassifier",
    "D2LClassifier",
    "DecouplingClassifier",
    "DivideMixClassifier",
    "ELRClassifier",
    "INCVClassifier",
    "JointOptimizationClassifier",
    "MentorNetClassifier",
    "SSRClassifier",
    "SmallLossClassifier",
]
