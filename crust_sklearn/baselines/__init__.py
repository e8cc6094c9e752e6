"""Published methods for wrong labels, as estimators on the same trunk as `CRUSTClassifier`."""

from .aum import AUMClassifier
from .co_teaching import CoTeachingClassifier
from .d2l import D2LClassifier
from .elr import ELRClassifier
from .joint_optimization import JointOptimizationClassifier
from .mentor_net import MentorNetClassifier
from .small_loss import SmallLossClassifier
from .ssr import SSRClassifier

__all__ = [
    "AUMClassifier",
    "CoTeachingClassifier",
    "D2LClassifier",
    "ELRClassifier",
    "JointOptimizationClassifier",
    "MentorNetClassifier",
    "SSRClassifier",
    "SmallLossClassifier",
]
