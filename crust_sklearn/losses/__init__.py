"""Criteria for wrong labels: torch modules, for any skorch net."""

from .backward_correction import BackwardCorrectedLoss
from .bootstrapping import BootstrappingLoss
from .dmi import DMILoss
from .forward_correction import ForwardCorrectedLoss
from .generalized_cross_entropy import GeneralizedCrossEntropyLoss
from .symmetric_cross_entropy import SymmetricCrossEntropyLoss

__all__ = [
    "BackwardCorrectedLoss",
    "BootstrappingLoss",
    "DMILoss",
    "ForwardCorrectedLoss",
    "GeneralizedCrossEntropyLoss",
    "SymmetricCrossEntropyLoss",
]
