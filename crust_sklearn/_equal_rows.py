"""Rows that are equal, in data of any size."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._shards import slice_rows


def merge_equal_rows(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each distinct point, ascending, and the point of each row.

    Parameters
    ----------
    X : ndarray, Rows or Shards of shape (n_rows, n_features)
        Read a block at a time.

    Returns
    -------
    first : ndarray of shape (n_points,), dtype int64
    point : ndarray of shape (n_rows,), dtype int64
    """
    n_rows, n_features = X.shape
    hashes = np.concatenate([_hash_rows(X[rows]) for rows in slice_rows(n_rows, n_features)])
    first_equal, todo = np.empty(n_rows, np.int64), np.arange(n_rows)
    while len(todo):
        _, first, point = np.unique(hashes[todo], return_index=True, return_inverse=True)
        first_equal[todo] = todo[first][point]
        # Rows of equal hash that differ after all: once more, without those that were first.
        again = todo[first_equal[todo] != todo]
        differs = [
            (X[again[rows]] != X[first_equal[again[rows]]]).any(axis=1)
            for rows in slice_rows(len(again), n_features)
        ]
        todo = again[np.concatenate(differs)] if differs else again
    is_first = first_equal == np.arange(n_rows)
    return np.flatnonzero(is_first), (np.cumsum(is_first) - 1)[first_equal]


def _hash_rows(X: np.ndarray) -> np.ndarray:
    # As bytes, which is fast; adding 0.0 makes -0.0 and 0.0 equal.
    as_bytes = np.dtype((np.void, X.itemsize * X.shape[1]))
    rows = np.ascontiguousarray(X + 0.0).view(as_bytes).ravel().tolist()
    return np.fromiter(map(hash, rows), np.int64, len(rows))
