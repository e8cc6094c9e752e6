"""The largest entries of each row, where all of them are too many."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ..label_noise.top_predictions import MAX_KEPT

# Gradients at the logits are kept whole up to so many numbers, a quarter of a gigabyte.
MAX_GRADIENTS = 2**26
ENTRIES, PLACES = "largest entries", "their columns"


def is_too_much(n_rows: int, n_left: int) -> bool:
    """Return whether rows of so many entries, of 32 at least, are too many to keep."""
    return n_left > MAX_KEPT and n_rows * n_left > MAX_GRADIENTS


def keep_largest(rows: Tensor, n_left: int) -> dict[str, Tensor]:
    """Return the entries of each row that are kept, and their columns.

    Parameters
    ----------
    rows : tensor of shape (n_rows, n_columns)
    n_left : int
        How many leading columns keep the 32 entries of largest absolute value alone.

    Returns
    -------
    parts : dict of str to tensor of shape (n_rows, 32 + n_columns - n_left)
        ENTRIES, and PLACES of dtype int32, ascending in each row.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.nets.largest_entries import ENTRIES, keep_largest
    >>> keep_largest(torch.arange(-20.0, 20.0)[None], 40)[ENTRIES][0, [0, -1]]
    tensor([-20.,  19.])
    """
    largest = rows[:, :n_left].abs().topk(MAX_KEPT, dim=1).indices.sort(dim=1).values
    others = torch.arange(n_left, rows.shape[1], device=rows.device).expand(len(rows), -1)
    places = torch.cat([largest, others], dim=1)
    return {ENTRIES: rows.gather(1, places), PLACES: places.int()}


def make_sparse(entries: np.ndarray, places: np.ndarray, n_columns: int) -> sparse.csr_array:
    """Return rows of which each has as many entries, as a sparse array."""
    ends = np.arange(len(entries) + 1, dtype=np.int64) * entries.shape[1]
    shape = len(entries), n_columns
    return sparse.csr_array((entries.ravel(), places.ravel(), ends), shape=shape)
