"""Greedy column subset selection, on the rows: the error of the projection, step by step."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from .base import BaseStrategy
from .low_rank import greedy_rows, project_out


class GreedyCSS(BaseStrategy):
    """Choose rows greedily so that their span approximates all rows (column subset selection).

    The error of a selection S is ``sum_i w_i |a_i - P_S a_i|^2``, P_S the projection on the span
    of the chosen rows. Every step adds the row that lowers it most: the row with the largest
    ``sum_i w_i (r_i . r_j)^2 / |r_j|^2``, r the residuals ``a - P_S a`` [1]_. The scores are
    updated from step to step [2]_; residuals are formed only where rounding would decide. With
    ``k = O(l / (sigma eps))`` rows it captures 1 - eps of what the best l rows capture, sigma the
    smallest squared singular value of these l rows, brought to norm one [1]_.

    Parameters
    ----------
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance that assigns rows to the chosen ones; None: the selector's, "euclidean"
        alone. The choice itself is by inner products and does not depend on it.

    See Also
    --------
    PivotedQR : Takes the row with the largest residual instead: faster, usually a larger error.
    GreedyLowRank : The same greedy with the scores of a matching pursuit.

    Notes
    -----
    `sample_weight` weighs the error, as if row i were ``sqrt(w_i) a_i`` in it; what a row can
    span does not depend on its weight. The coreset's weights are those of every strategy: the
    total `sample_weight` of the rows nearest to each chosen one.

    Once the chosen rows span all rows (at the latest after n_features steps), no choice lowers
    the error, and the rest is filled up with the rows of largest ``sqrt(w_i) |a_i|``. Among tied
    scores the row of largest norm is taken, then the lowest index. Rows are not centered: the
    choice does not depend on their scale, but on their origin.

    Time is O(n d^2 + n d t) and memory O(n d + d^2), with t = min(n_select, rank) steps and
    d = min(n_rows, n_features).

    References
    ----------
    .. [1] Altschuler, Bhaskara, Fu, Mirrokni, Rostamizadeh, Zadimoghaddam, "Greedy column subset
       selection: new bounds and distributed algorithms", ICML 2016.
    .. [2] Farahat, Ghodsi, Kamel, "Efficient greedy feature selection for unsupervised
       learning", Knowledge and Information Systems, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import GreedyCSS
    >>> X = np.array([[4.0, 0.0, 0.0], [4.0, 1.0, 0.0], [4.0, -1.0, 0.0], [0.0, 0.0, 1.2]])
    >>> GreedyCSS().select(X, 2).indices
    array([0, 1])
    """

    is_linear = True
    can_extend = True

    def _pick(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> np.ndarray:
        return greedy_rows(X, n_select, sample_weight, against="residual")

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
