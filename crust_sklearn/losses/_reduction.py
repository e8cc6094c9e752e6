"""From one loss per example to what a criterion returns."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .._validation import check_choice


def check_reduction(reduction: Any) -> str:
    """Return `reduction` if it is one of torch's, else raise."""
    return check_choice("reduction", reduction, ("mean", "sum", "none"))


def reduce_losses(losses: Tensor, reduction: str) -> Tensor:
    """Return the mean or the sum of losses of shape (n_examples,), or for "none" themselves."""
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.mean()
