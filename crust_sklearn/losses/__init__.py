"""Criteria for wrong labels: torch modules, for any skorch net."""

from .generalized_cross_entropy import GeneralizedCrossEntropyLoss

__all__ = ["GeneralizedCrossEntropyLoss"]
