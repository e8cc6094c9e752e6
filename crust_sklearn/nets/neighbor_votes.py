"""Votes of the nearest rows on each row's label."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

# Similarities that are held at a time: 64 megabytes.
MAX_SIMILARITIES = 2**24


@torch.no_grad()
def count_neighbor_votes(
    features: Any,
    codes: np.ndarray,
    n_classes: int,
    n_neighbors: int,
    sample_weight: np.ndarray | None = None,
) -> np.ndarray:
    """Return how many of each row's nearest rows have each label, as shares of the label's rows.

    Nearest is what is most similar by the cosine, the row itself among them. The votes for a class
    are divided by its size, so that frequent classes do not win for being frequent.

    Parameters
    ----------
    features : array-like or tensor of shape (n_rows, n_features)
        Computed where they are, as float32.
    codes : ndarray of shape (n_rows,), dtype int64
        The labels, 0..n_classes-1.
    n_classes : int
    n_neighbors : int
        How many rows vote on each; all of them, where they are fewer.
    sample_weight : ndarray of shape (n_rows,) or None, default=None
        What each vote counts. Rows of weight zero do not vote, and are voted on.

    Returns
    -------
    votes : ndarray of shape (n_rows, n_classes), dtype float32
        In [0, 1]; 0 for classes without a row.

    Notes
    -----
    All pairs are compared, in blocks: O(n_rows**2 n_features) operations, and no more than
    `MAX_SIMILARITIES` similarities, or a row's, in memory.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.nets.neighbor_votes import count_neighbor_votes
    >>> features = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> count_neighbor_votes(features, np.array([0, 0, 1, 1]), 2, n_neighbors=2)
    array([[1., 0.],
           [1., 0.],
           [0., 1.],
           [0., 1.]], dtype=float32)
    """
    rows = F.normalize(torch.as_tensor(features).float(), dim=1)
    weights = np.ones(len(codes)) if sample_weight is None else sample_weight
    voters = np.flatnonzero(weights > 0)
    bank = rows[torch.as_tensor(voters, device=rows.device)]
    bank_codes = torch.as_tensor(codes[voters], device=rows.device)
    bank_weights = torch.as_tensor(weights[voters], dtype=torch.float32, device=rows.device)
    votes = rows.new_zeros(len(rows), n_classes)
    size = max(1, MAX_SIMILARITIES // len(voters))
    for start in range(0, len(rows), size):
        block = slice(start, start + size)
        nearest = (rows[block] @ bank.T).topk(min(n_neighbors, len(voters)), sorted=False).indices
        votes[block].scatter_add_(1, bank_codes[nearest], bank_weights[nearest])
    sizes = rows.new_zeros(n_classes).scatter_add_(0, bank_codes, bank_weights)
    # Without rows, it has no votes either.
    return (votes / torch.where(sizes > 0, sizes, 1.0)).cpu().numpy()
