"""Pivoted QR: the rows that a QR decomposition of the transpose pivots to the front."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from scipy import linalg

from .base import BaseStrategy
from .low_rank import fill_by_norm, project_out, rank_tolerance, row_norms, scale_rows


class PivotedQR(BaseStrategy):
    """Choose the first pivots of a QR decomposition of X^T with column pivoting.

    Every pivot is the row with the largest residual ``|a_j - P_S a_j|``, P_S the projection on
    the span of the chosen rows [1]_. A step looks only at the row itself, not at what it does
    for the others; see ``GreedyCSS``.

    Parameters
    ----------
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance that assigns rows to the chosen ones; None: the selector's, "euclidean"
        alone. The choice itself is by inner products and does not depend on it.

    Notes
    -----
    `sample_weight` scales the rows: the pivots are those of ``sqrt(w_i) a_i``. The coreset's
    weights are those of every strategy: the total `sample_weight` of the rows nearest to each
    chosen one.

    Pivots beyond the numerical rank (diagonal of R at most ``eps * max(X.shape)`` of its first
    entry) are arbitrary; they are replaced by the rows of largest ``sqrt(w_i) |a_i|``, ties by
    index. Rows are not centered. Time is O(n d^2), memory O(n d), by LAPACK's ``geqp3``.

    References
    ----------
    .. [1] Businger, Golub, "Linear least squares solutions by Householder transformations",
       Numerische Mathematik, 1965.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import PivotedQR
    >>> X = np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0], [2.9, 0.0]])
    >>> PivotedQR().select(X, 3).indices
    array([1, 2, 0])
    """

    is_linear = True
    can_extend = True

    def _pick(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> np.ndarray:
        rows, weights, _ = scale_rows(X, sample_weight)
        norms = row_norms(rows, weights)
        rows *= np.sqrt(weights)[:, None]
        tolerance = rank_tolerance(rows.shape)
        triangle, pivots = linalg.qr(
            rows.T, mode="r", pivoting=True, overwrite_a=True, check_finite=False
        )
        diagonal = np.abs(np.diagonal(triangle))
        rank = int(np.sum(diagonal > tolerance * diagonal[0]))
        return fill_by_norm(pivots[: min(rank, n_select)], norms, n_select)

    def _pick_more(
        self,
        X: np.ndarray,
        initial: np.ndarray,
        rest: np.ndarray,
        n_select: int,
        sample_weight: np.ndarray,
        random_state: RandomState,
    ) -> np.ndarray:
        rows = project_out(X, initial)[rest]
        return self._pick(rows, n_select, sample_weight[rest], random_state)
