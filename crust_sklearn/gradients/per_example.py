"""One loss for each example, from criteria that reduce them."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor


def make_unreduced(criterion: Any) -> Any:
    """Return a criterion that gives one loss per example; the one given stays as it is.

    Parameters
    ----------
    criterion : torch module or callable

    Returns
    -------
    criterion : torch module or callable
        A shallow copy, whose attribute `reduction` is "none", if it has one: parameters and
        buffers are shared, and other users of the criterion see nothing of it.
    """
    criterion = getattr(criterion, "_orig_mod", criterion)
    if getattr(criterion, "reduction", None) is None:
        return criterion
    criterion = copy.copy(criterion)
    criterion.reduction = "none"
    return criterion


def check_losses(loss: Tensor, n_examples: int, criterion: Any) -> Tensor:
    """Return the losses of shape (n_examples,), or raise if there is not one per example."""
    if loss.ndim == 0 or len(loss) != n_examples:
        raise ValueError(
            f"criterion={type(criterion).__name__} gives no loss per example: its output for "
            f"{n_examples} examples has shape {tuple(loss.shape)}. Give it an attribute "
            "`reduction` that its forward honours, as torch's own criteria do: with "
            "reduction='none' the output needs one entry per example."
        )
    return loss if loss.ndim == 1 else loss.flatten(1).mean(dim=1)
