"""Splits of the rows of one group into parts whose distance matrix fits in memory."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState


def split_at_random(n_rows: int, limit: int, random_state: RandomState) -> list[np.ndarray]:
    """Return random parts of at most `limit` rows, of equal size up to one."""
    parts = np.array_split(random_state.permutation(n_rows), -(-n_rows // limit))
    return [np.sort(part) for part in parts]


def split_by_neighborhood(X: np.ndarray, limit: int) -> list[np.ndarray]:
    """Return parts of at most `limit` rows in which near rows stay together.

    Cuts again and again across the direction in which the rows of a part vary most.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    limit : int

    Returns
    -------
    parts : list of ndarray, dtype int64
        Disjoint, ascending within each, of equal size up to rounding.
    """
    scale = float(np.abs(X).max(initial=0.0)) or 1.0
    todo, parts = [np.arange(len(X))], []
    while todo:
        rows = todo.pop()
        n_parts = -(-len(rows) // limit)
        if n_parts == 1:
            parts.append(rows)
            continue
        along = _project(X[rows] / scale)
        order = rows[np.argsort(along, kind="stable")]
        cut = len(rows) * (n_parts // 2) // n_parts
        todo += [np.sort(order[cut:]), np.sort(order[:cut])]
    return parts


def _project(X: np.ndarray) -> np.ndarray:
    """Return the coordinates along the first principal direction, nearly."""
    centered = X - X.mean(axis=0)
    direction = np.ones(X.shape[1], X.dtype)
    for _ in range(8):  # power iterations: the exact direction is not needed
        direction = centered.T @ (centered @ direction)
        norm = float(np.linalg.norm(direction))
        if norm == 0.0:
            return np.zeros(len(X))
        direction /= norm
    return centered @ direction
