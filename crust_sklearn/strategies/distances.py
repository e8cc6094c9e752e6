"""Distance matrices of one group of rows, in float32, without BLAS."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import distance_metrics
from sklearn.utils import gen_even_slices

from .. import _shards
from .._shards import Rows, get_largest, is_sparse, sample_rows, slice_rows
from .._validation import check_choice

# "precomputed" has no rows to hand back, "haversine" and "nan_euclidean" are for other data.
METRICS = sorted(set(distance_metrics()) - {"precomputed", "haversine", "nan_euclidean"})
# Negative distances up to this share of the largest are rounding errors of the metric.
NEGLIGIBLE = 1e-6


def check_metric(metric: Any) -> Any:
    """Return a valid metric: a name, a function of two rows, or an object with `pairwise`."""
    if callable(metric) or hasattr(metric, "pairwise"):
        return metric
    return check_choice("metric", metric, METRICS)


def normalize_rows(X: np.ndarray) -> tuple[np.ndarray, float]:
    """Center and scale rows, so that float32 holds their distances; return the scale.

    Distances do not feel the shift, and are multiplied by the scale afterwards: rows of
    norm 1e200, or far from the origin, are then as safe as any.
    """
    center, scale = _measure(X)
    return _normalize(X, center, scale), scale


def _measure(X: Any) -> tuple[np.ndarray, float]:
    """Return what rows have to be shifted by, once they are divided by the scale, and the scale."""
    scale = get_largest(X) or 1.0
    sample = sample_rows(X) / X.dtype.type(scale)
    return sample.mean(axis=0, dtype=np.float64).astype(sample.dtype), scale


def _normalize(X: np.ndarray, center: np.ndarray, scale: float) -> np.ndarray:
    rows = X / X.dtype.type(scale)
    rows -= center
    return np.ascontiguousarray(rows)


def distance_matrix(X: Any, metric: Any = "euclidean") -> tuple[np.ndarray, float]:
    """Return the float32 matrix of distances between the rows of X, and its scale.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), or Rows of a sparse array
        Of the latter, Euclidean ones alone.
    metric : str, callable or object with a method ``pairwise(X, Y)``

    Returns
    -------
    distances : ndarray of shape (n_rows, n_rows), dtype float32
    scale : float
        Distances have to be multiplied by it.
    """
    if is_sparse(X):
        return _sparse_matrix(X)
    if metric == "euclidean":
        rows, scale = normalize_rows(X)
        distances = np.empty((len(rows), len(rows)), np.float32)
        _euclidean(rows.astype(np.float32, copy=False), distances)
        return distances, scale
    exact = cross_distances(X, X, metric)
    scale = float(exact.max(initial=0.0)) or 1.0
    if not np.isfinite(scale):
        raise ValueError(
            f"metric={metric!r} gives distances that are NaN or infinite. Scale X, or choose a "
            "metric that is defined for all of its rows."
        )
    distances = np.empty(exact.shape, np.float32)
    np.divide(exact, scale, out=distances, casting="same_kind")
    np.fill_diagonal(distances, 0.0)
    return distances, scale


def _sparse_matrix(X: Rows) -> tuple[np.ndarray, float]:
    rows = X.X[X.numbers].astype(np.float64)
    scale = float(np.abs(rows.data).max(initial=0.0)) or 1.0
    rows /= scale
    distances = np.empty((len(X), len(X)), np.float32)
    for part in slice_rows(len(X), len(X)):
        distances[part] = _sparse_distances(rows[part], rows)
    np.fill_diagonal(distances, 0.0)
    return distances, scale


def _sparse_distances(X: Any, Y: Any) -> np.ndarray:
    """Return Euclidean distances of sparse rows, float64: of equal rows exactly zero."""
    squares = (X @ Y.T).toarray()
    squares *= -2.0
    # In the order in which products are added up, so that nothing is left of equal rows.
    squares += X.multiply(X).sum(axis=1)[:, None]
    squares += Y.multiply(Y).sum(axis=1)
    return np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)


def cross_distances(X: Any, Y: Any, metric: Any = "euclidean") -> np.ndarray:
    """Return the distances between the rows of X and those of Y, of shape (n_X, n_Y)."""
    if isinstance(metric, str):
        return pairwise_distances(X, Y, metric=metric)
    if hasattr(metric, "pairwise"):
        distances = metric.pairwise(X, Y)
    else:
        distances = pairwise_distances(X, Y, metric=metric)
    least = np.min(distances, initial=0.0)
    if least < 0.0 and least < -NEGLIGIBLE * (np.max(distances, initial=0.0) or 1.0):
        raise ValueError(
            f"metric={metric!r} gives negative distances, such as {least:.3g}. Give one that "
            "returns at least 0, and the less the nearer two rows are: not a similarity."
        )
    return distances


def nearest_rows(
    X: Any, indices: np.ndarray, metric: Any = "euclidean"
) -> tuple[np.ndarray, np.ndarray]:
    """Return for every row of X the position in `indices` of its nearest, and the distance.

    The rows in `indices` are their own, and cost nothing. X may be `Rows` or `Shards`: a block of
    it is read at a time. Rows of a sparse array stay sparse, and their metric is Euclidean.
    """
    if is_sparse(X):
        return _nearest_sparse(X, indices)
    is_euclidean = isinstance(metric, str) and metric == "euclidean"
    center, scale = _measure(X) if is_euclidean else (np.zeros(1), 1.0)

    def read(rows: np.ndarray) -> np.ndarray:
        return _normalize(X[rows], center, scale) if is_euclidean else X[rows]

    centers = read(indices)
    nearest = np.empty(len(X), np.int64)
    distance = np.zeros(len(X))
    nearest[indices] = np.arange(len(indices))
    rest = np.setdiff1d(np.arange(len(X)), indices)
    if not len(rest):
        return nearest, distance
    n_slices = max(1, len(rest) * max(centers.shape) // _shards.BLOCK)
    for part in gen_even_slices(len(rest), n_slices):
        block = cross_distances(read(rest[part]), centers, metric)
        nearest[rest[part]] = block.argmin(axis=1)
        distance[rest[part]] = block.min(axis=1)
    return nearest, distance * scale


def _nearest_sparse(X: Rows, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = X.X[X.numbers].astype(np.float64)
    nearest, distance = np.empty(len(X), np.int64), np.empty(len(X))
    for part in slice_rows(len(X), len(indices)):
        block = _sparse_distances(rows[part], rows[indices])
        nearest[part], distance[part] = block.argmin(axis=1), block.min(axis=1)
    nearest[indices], distance[indices] = np.arange(len(indices)), 0.0
    return nearest, distance


@numba.njit(cache=True, nogil=True, fastmath=True)
def _euclidean(X: np.ndarray, out: np.ndarray) -> None:  # pragma: no cover (compiled)
    # Differences, not the Gram matrix: duplicates are exactly zero apart, and no
    # cancellation. Tiles of rows stay in the cache; four rows at once share a load.
    n_rows, n_features = X.shape
    tile = 128
    zero = np.float32(0)
    for first in range(0, n_rows, tile):
        for second in range(0, first + 1, tile):
            for i in range(first, min(first + tile, n_rows)):
                stop = min(second + tile, i)
                j = second
                while j + 4 <= stop:
                    s0, s1, s2, s3 = zero, zero, zero, zero
                    for k in range(n_features):
                        x = X[i, k]
                        d0 = x - X[j, k]
                        d1 = x - X[j + 1, k]
                        d2 = x - X[j + 2, k]
                        d3 = x - X[j + 3, k]
                        s0 += d0 * d0
                        s1 += d1 * d1
                        s2 += d2 * d2
                        s3 += d3 * d3
                    out[i, j], out[j, i] = np.sqrt(s0), np.sqrt(s0)
                    out[i, j + 1], out[j + 1, i] = np.sqrt(s1), np.sqrt(s1)
                    out[i, j + 2], out[j + 2, i] = np.sqrt(s2), np.sqrt(s2)
                    out[i, j + 3], out[j + 3, i] = np.sqrt(s3), np.sqrt(s3)
                    j += 4
                while j < stop:
                    s0 = zero
                    for k in range(n_features):
                        d0 = X[i, k] - X[j, k]
                        s0 += d0 * d0
                    out[i, j], out[j, i] = np.sqrt(s0), np.sqrt(s0)
                    j += 1
    for i in range(n_rows):
        out[i, i] = zero


@numba.njit(cache=True, nogil=True)
def nearest_columns(
    distances: np.ndarray, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover (compiled)
    """Return for every row the position in `indices` of its nearest, and the distance."""
    n_rows = distances.shape[0]
    nearest = distances[indices[0]].copy()
    assignment = np.zeros(n_rows, np.int64)
    for position in range(1, indices.size):
        row = distances[indices[position]]
        for i in range(n_rows):
            if row[i] < nearest[i]:
                nearest[i] = row[i]
                assignment[i] = position
    return assignment, nearest


@numba.njit(cache=True, nogil=True, fastmath=True)
def weighted_row_sums(
    distances: np.ndarray, weights: np.ndarray
) -> np.ndarray:  # pragma: no cover (compiled)
    """Return the weighted sum of every row, the short float32 sums added up in float64."""
    sums = np.zeros(distances.shape[0])
    for i in range(distances.shape[0]):
        # Slices, whose indices start at 0: only then is the inner loop vectorized.
        for first in range(0, distances.shape[1], 256):
            part = np.float32(0)
            d, w = distances[i, first : first + 256], weights[first : first + 256]
            for j in range(d.size):
                part += w[j] * d[j]
            sums[i] += part
    return sums
