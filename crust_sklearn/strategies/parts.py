"""Splits of the rows of one group into parts whose distance matrix fits in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState

from .._shards import Rows, get_largest, sample_rows, slice_rows


def split_at_random(n_rows: int, limit: int, random_state: RandomState) -> list[np.ndarray]:
    """Return random parts of at most `limit` rows, of equal size up to one."""
    parts = np.array_split(random_state.permutation(n_rows), -(-n_rows // limit))
    return [np.sort(part) for part in parts]


def split_by_neighborhood(X: Any, limit: int) -> list[np.ndarray]:
    """Return parts of at most `limit` rows in which near rows stay together.

    Cuts again and again across the direction in which the rows of a part vary most. Of more than
    65 536 rows it is that of so many of them.

    Parameters
    ----------
    X : ndarray, Rows or Shards of shape (n_rows, n_features)
        Read a block at a time.
    limit : int

    Returns
    -------
    parts : list of ndarray, dtype int64
        Disjoint, ascending within each, of equal size up to rounding.
    """
    scale = X.dtype.type(get_largest(X) or 1.0)
    todo, parts = [np.arange(len(X))], []
    while todo:
        rows = todo.pop()
        n_parts = -(-len(rows) // limit)
        if n_parts == 1:
            parts.append(rows)
            continue
        along = _project(Rows(X, rows), scale)
        order = rows[np.argsort(along, kind="stable")]
        cut = len(rows) * (n_parts // 2) // n_parts
        todo += [np.sort(order[cut:]), np.sort(order[:cut])]
    return parts


def _project(X: Rows, scale: np.floating) -> np.ndarray:
    """Return the coordinates along the first principal direction, nearly."""
    sample = sample_rows(X) / scale
    center = sample.mean(axis=0)
    sample -= center
    direction = np.ones(X.shape[1], X.dtype)
    for _ in range(8):  # power iterations: the exact direction is not needed
        direction = sample.T @ (sample @ direction)
        norm = float(np.linalg.norm(direction))
        if norm == 0.0:
            return np.zeros(len(X))
        direction /= norm
    return np.concatenate([(X[rows] / scale - center) @ direction for rows in slice_rows(*X.shape)])
