"""What takes the place of X in a training batch: the rows' numbers, weights and partners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor


class RowBatch(NamedTuple):
    """X, and which rows these are.

    Attributes
    ----------
    x : tensor, or dict or list of tensors
    rows : tensor of shape (n,), dtype int64
        The rows' numbers in the X given to fit.
    weight : tensor of shape (n,), dtype float32
        What they count in the loss.
    """

    x: Any
    rows: Tensor
    weight: Tensor


class MixedBatch(NamedTuple):
    """X, and what each of its rows is mixed with.

    Attributes
    ----------
    x, rows, weight
        As of `RowBatch`.
    partner_x, partner_y, partner_rows
        The same of each row's partner, and its label.
    share : tensor of shape (n,), dtype float32
        The row's own share in its mixture.
    """

    x: Any
    rows: Tensor
    weight: Tensor
    partner_x: Any
    partner_y: Tensor
    partner_rows: Tensor
    share: Tensor


def keep_batch(batch: Any) -> Any:
    """Return the batch: the `collate_fn` for a dataset that makes whole batches."""
    return batch


def mix(x: Any, partner: Any, share: Tensor) -> Any:
    """Return ``share * x + (1 - share) * partner``, also for dicts and lists of tensors.

    Integers are mixed as float32.

    Parameters
    ----------
    x, partner : tensors of shape (n, ...), or dicts or lists of such
    share : tensor of shape (n,)

    Returns
    -------
    mixed : floating-point tensors in the form of x
    """
    if isinstance(x, Mapping):
        return {key: mix(x[key], partner[key], share) for key in x}
    if isinstance(x, list | tuple):
        return [mix(a, b, share) for a, b in zip(x, partner, strict=True)]
    dtype = x.dtype if x.is_floating_point() else torch.float32
    share = share.to(dtype).reshape(-1, *[1] * (x.ndim - 1))
    return share * x.to(dtype) + (1 - share) * partner.to(dtype)
