"""How many dimensions rows have around each of them, by the distances to their neighbours."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils import check_array, gen_even_slices

from ._validation import check_number

__all__ = ["local_intrinsic_dimensionality"]


def local_intrinsic_dimensionality(X: Any, n_neighbors: int = 20) -> np.ndarray:
    """Estimate the local intrinsic dimensionality of rows around each of them.

    The maximum-likelihood estimate [1]_, in the form of [2]_,

    ``LID(x) = -(1/k sum_{i=1}^k log(r_i(x) / r_k(x)))^-1``

    with the distances r_1 <= ... <= r_k from x to its k nearest neighbours in X.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        At least three rows.
    n_neighbors : int, default=20
        The number of neighbours k, at least 2; the paper's [2]_. Rows that have fewer others are
        judged by those that they have.

    Returns
    -------
    dimensionality : ndarray of shape (n_rows,), dtype float64
        Infinity for a row that is equally far from all its neighbours, and NaN for one that has
        fewer than two others at another place.

    Raises
    ------
    ValueError
        If X has fewer than three rows, or holds NaN or infinity, or `n_neighbors` is below 2.
    TypeError
        If `n_neighbors` is not an integer.

    Notes
    -----
    Rows at the very place of a row, duplicates, are not among its neighbours: their distance of
    zero would make any estimate zero. Distances are Euclidean; those of all pairs are computed, in
    parts. The estimate does not depend on the scale, nor on rotations.

    The sum has k - 1 terms other than zero, so that on m dimensions the mean estimate is
    ``m k / (k - 2)``, 11 % above m for k = 20, where rows are dense. Where they are sparse, as they
    soon are in many dimensions, it is below.

    References
    ----------
    .. [1] Amsaleg, Chelly, Furon, Girard, Houle, Kawarabayashi, Nett, "Estimating Local Intrinsic
       Dimensionality", KDD 2015.
    .. [2] Ma, Wang, Houle, Zhou, Erfani, Xia, Wijewickrema, Bailey, "Dimensionality-Driven Learning
       with Noisy Labels", ICML 2018.

    Examples
    --------
    A curve, and a noisy one:

    >>> import numpy as np
    >>> from crust_sklearn.intrinsic_dimensionality import local_intrinsic_dimensionality
    >>> rng = np.random.default_rng(0)
    >>> t = rng.uniform(0, 3, 1000)
    >>> curve = np.column_stack([np.cos(t), np.sin(t), t])
    >>> bool(np.median(local_intrinsic_dimensionality(curve)) < 1.2)
    True
    >>> noisy = curve + rng.normal(scale=0.3, size=(1000, 3))
    >>> bool(np.median(local_intrinsic_dimensionality(noisy)) > 2.5)
    True
    """
    check_number("n_neighbors", n_neighbors, kind=Integral, low=2)
    X = check_array(X, dtype=np.float64, ensure_min_samples=3, input_name="X")
    X = X / (np.abs(X).max() or 1.0)  # squares do not overflow
    n_neighbors = min(n_neighbors, len(X) - 1)
    found = np.empty(len(X))
    for part in gen_even_slices(len(X), min(len(X), 1 + len(X) ** 2 // 2**23)):
        distances = cdist(X[part], X)
        distances[distances == 0.0] = np.inf  # itself and its duplicates
        nearest = np.partition(distances, n_neighbors - 1, axis=1)[:, :n_neighbors]
        found[part] = _estimate(nearest)
    return found


def _estimate(nearest: np.ndarray) -> np.ndarray:
    """Return the estimates from the distances to the neighbours, infinite where there is none."""
    is_there = np.isfinite(nearest)
    n_there = is_there.sum(axis=1)
    farthest = np.max(nearest, axis=1, where=is_there, initial=0.0)[:, None]
    ratios = np.divide(nearest, farthest, out=np.ones_like(nearest), where=is_there)
    spread = np.abs(np.log(ratios).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n_there >= 2, n_there / spread, np.nan)
