"""How good a selection of rows is: as medoids, as a span, as a cover."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils import check_array, gen_even_slices

from ._validation import check_choice, check_number, check_sample_weight
from .strategies.distances import check_metric, cross_distances, nearest_rows, normalize_rows

__all__ = ["coverage", "k_medoids_objective", "low_rank_error"]


def k_medoids_objective(
    X: Any, indices: Any, *, metric: Any = "euclidean", sample_weight: Any = None
) -> float:
    """Return the weighted sum of the distances from the rows to their nearest chosen row.

    The objective that CRUST's selection minimizes [1]_ (Eq. 6); the `objective_` of a fitted
    ``CoresetSelector`` that chose from all rows together.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        All rows.
    indices : array-like of int of shape (n_chosen,)
        The chosen rows of X.
    metric : str, callable or object with a method ``pairwise(X, Y)``, default="euclidean"
        The distance between rows.
    sample_weight : array-like of shape (n_rows,), default=None
        What each row counts; None counts every row once.

    Returns
    -------
    objective : float
        At least 0, and 0 only if every row of positive weight has a chosen row at distance 0.

    Raises
    ------
    ValueError
        If `indices` is empty or names rows that X does not have, or if X or `sample_weight`
        holds NaN or infinity.
    TypeError
        If `indices` does not hold integers.

    References
    ----------
    .. [1] Mirzasoleiman, Cao, Leskovec, "Coresets for Robust Training of Neural Networks
       against Noisy Labels", NeurIPS 2020.

    Examples
    --------
    >>> from crust_sklearn.measures import k_medoids_objective
    >>> k_medoids_objective([[0.0], [1.0], [5.0]], [1])
    5.0
    """
    X, indices, weights = _check(X, indices, sample_weight)
    _, nearest = nearest_rows(X, indices, check_metric(metric))
    nearest[indices] = 0.0
    return float(weights @ nearest)


def low_rank_error(A: Any, indices: Any, *, norm: str = "fro") -> float:
    """Return the error of projecting on the span of chosen rows, relative to the best subspace.

    ``|A - A P_S| / |A - A_k|``, with P_S the orthogonal projection on the span of the chosen
    rows, k their number and A_k the best approximation of A of rank k (by its singular value
    decomposition). Paper, Eq. 5, as a ratio.

    Parameters
    ----------
    A : array-like of shape (n_rows, n_features)
        All rows.
    indices : array-like of int of shape (n_chosen,)
        The chosen rows of A. A row named twice counts once.
    norm : {"fro", "spectral"}, default="fro"
        The norm of both errors: Frobenius, or the largest singular value.

    Returns
    -------
    error : float
        At least 1 up to rounding. Where the best approximation of rank k is exact: 1.0 if the
        selection is exact too, else infinity. Exact means an error of at most
        ``10 eps max(A.shape)`` times the same norm of A, eps = 2.2e-16.

    Raises
    ------
    ValueError
        If `norm` is unknown, if `indices` is empty or names rows that A does not have, or if A
        holds NaN or infinity.
    TypeError
        If `indices` does not hold integers.

    Notes
    -----
    Some k rows always reach ``sqrt(k + 1)`` in the Frobenius norm [1]_. Rows are not centered,
    nor weighted. Time is O(n d min(n, d)), in float64.

    References
    ----------
    .. [1] Deshpande, Rademacher, Vempala, Wang, "Matrix approximation and projective clustering
       via volume sampling", Theory of Computing, 2006.

    Examples
    --------
    >>> from crust_sklearn.measures import low_rank_error
    >>> A = [[2.0, 0.0], [0.0, 1.0], [0.0, 0.5]]
    >>> low_rank_error(A, [0]), round(low_rank_error(A, [1]), 3)
    (1.0, 1.789)
    """
    check_choice("norm", norm, ("fro", "spectral"))
    A, indices, _ = _check(A, indices, None)
    A = A.astype(np.float64)
    A /= np.abs(A).max() or 1.0
    order: Any = "fro" if norm == "fro" else 2
    values = np.linalg.svd(A, compute_uv=False)[len(indices) :]
    best = np.linalg.norm(values, None if norm == "fro" else np.inf) if len(values) else 0.0
    basis = _span(A[indices])
    error = np.linalg.norm(A - (A @ basis.T) @ basis, order)
    exact = 10 * np.finfo(np.float64).eps * max(A.shape) * np.linalg.norm(A, order)
    if best <= exact:
        return 1.0 if error <= exact else float("inf")
    return float(error / best)


def coverage(
    X: Any,
    indices: Any,
    *,
    radius: float | None = None,
    metric: Any = "euclidean",
    sample_weight: Any = None,
) -> float:
    """Return the share of the rows that have a chosen row within a radius.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        All rows.
    indices : array-like of int of shape (n_chosen,)
        The chosen rows of X; each covers itself.
    radius : float or None, default=None
        The largest distance that counts as covered, at least 0. None: the median over all rows
        of the distance to their nearest other row (0 if there is none), so that the same radius
        serves every selection from the same X; finding it takes all n^2 distances.
    metric : str, callable or object with a method ``pairwise(X, Y)``, default="euclidean"
        The distance between rows.
    sample_weight : array-like of shape (n_rows,), default=None
        What each row counts in the share; None counts every row once.

    Returns
    -------
    share : float
        Between 0 and 1; 1 if all rows are chosen. It does not decrease if `radius` grows or rows
        are added to `indices`.

    Raises
    ------
    ValueError
        If `radius` is negative, if `indices` is empty or names rows that X does not have, or if
        X or `sample_weight` holds NaN or infinity.
    TypeError
        If `indices` does not hold integers, or `radius` is not a number.

    Notes
    -----
    Euclidean distances are computed from differences, so that equal rows are exactly 0 apart.

    Examples
    --------
    >>> from crust_sklearn.measures import coverage
    >>> X = [[0.0], [1.0], [2.0], [10.0]]
    >>> coverage(X, [1]), coverage(X, [1], radius=0.5), coverage(X, [1, 3])
    (0.75, 0.25, 1.0)
    """
    X, indices, weights = _check(X, indices, sample_weight)
    check_metric(metric)
    scale = 1.0
    if isinstance(metric, str) and metric == "euclidean":
        X, scale = normalize_rows(X.astype(np.float64))
    if radius is None:
        limit = float(np.median(_nearest(X, np.arange(len(X)), metric, others=True)))
    else:
        limit = check_number("radius", radius, low=0.0) / scale
    covered = _nearest(X, indices, metric) <= limit
    covered[indices] = True
    return float(weights[covered].sum() / weights.sum())


def _check(X: Any, indices: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return validated rows, distinct indices and weights whose largest is not lost."""
    X = check_array(X, dtype=(np.float64, np.float32), input_name="X")
    indices = np.asarray(indices)
    if indices.size and indices.dtype.kind not in "iu":
        raise TypeError(
            f"indices must hold integers, the positions of the chosen rows; got {indices.dtype}. "
            "Turn a mask into positions by numpy.flatnonzero."
        )
    if indices.ndim != 1 or not indices.size:
        raise ValueError(
            f"indices.shape == {indices.shape}, expected (n_chosen,) with at least one row."
        )
    if indices.min() < 0 or indices.max() >= len(X):
        raise ValueError(
            f"indices must be from 0 to {len(X) - 1}, the rows of X; got {indices.min()} to "
            f"{indices.max()}."
        )
    weights = check_sample_weight(sample_weight, len(X))
    return X, np.unique(indices), np.ones(len(X)) if weights is None else weights


def _span(rows: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the span of the rows, as rows."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    # A short row spans as much as a long one.
    units = rows / np.where(norms > 0, norms, 1.0)
    _, values, basis = np.linalg.svd(units, full_matrices=False)
    return basis[values > np.finfo(np.float64).eps * max(units.shape) * values[0]]


def _nearest(X: np.ndarray, indices: np.ndarray, metric: Any, others: bool = False) -> np.ndarray:
    """Return every row's distance to the nearest of `indices`, itself left out if `others`."""
    euclidean = isinstance(metric, str) and metric == "euclidean"
    nearest = np.zeros(len(X))
    if others and len(X) == 1:
        return nearest
    for part in gen_even_slices(len(X), min(len(X), 1 + len(X) * len(indices) // 2**23)):
        Y = X[indices]
        block = cdist(X[part], Y) if euclidean else cross_distances(X[part], Y, metric)
        if others:
            rows = np.arange(part.start, part.stop)
            block[rows - part.start, rows] = np.inf
        nearest[part] = block.min(axis=1)
    return nearest
