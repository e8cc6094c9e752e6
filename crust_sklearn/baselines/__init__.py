"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .aum import AUMClassifier
from .co_teaching import CoTeachingClassifier
from .co_teaching_plus import CoTeachingPlusClassifier
from .d2l import D2LClassifier
from .decoupling import DecouplingClassifier
from .divide_mix import DivideMixClassifier
from .dmi import DMIClassifier
from .elr import ELRClassifier
from .forward_correction import ForwardCorrectionClassifier
from .incv import INCVClassifier
from .joint_optimization import JointOptimizationClassifier
from .mentor_net import MentorNetClassifier
from .small_loss import SmallLossClassifier
from .ssr import SSRClassifier
from .t_revision import TRevisionClassifier

__all__ = [
    "AUMClassifier",
    "CoTeachingClassifier",
    "CoTeachingPlusClassifier",
    "D2LClassifier",
    "DMIClassifier",
    "DecouplingClassifier",
    "DivideMixClassifier",
    "ELRClassifier",
    "ForwardCorrectionClassifier",
    "INCVClassifier",
    "JointOptimizationClassifier",
    "MentorNetClassifier",
    "SSRClassifier",
    "SmallLossClassifier",
    "TRevisionClassifier",
]
