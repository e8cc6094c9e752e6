"""Greedy low-rank approximation with the rows as atoms: a matching pursuit."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from .base import BaseStrategy
from .low_rank import greedy_rows


class GreedyLowRank(BaseStrategy):
    """Choose rows by a matching pursuit for the best low-rank approximation.

    Greedy low-rank optimization [1]_ builds an approximation from rank-one atoms ``u v^T``: every
    step adds the atom that has the largest inner product with the gradient, then fits all
    coefficients anew. Here v must be one of the rows, brought to norm one, u is free, and the
    objective is ``-sum_i w_i |a_i - P_S a_i|^2 / 2``: the step takes the row with the largest
    ``sum_i w_i (r_i . a_j)^2 / |a_j|^2``, r the residuals ``a - P_S a``.

    Parameters
    ----------
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance that assigns rows to the chosen ones; None: the selector's, "euclidean"
        alone. The choice itself is by inner products and does not depend on it.

    See Also
    --------
    GreedyCSS : Adds the atom with the largest gain: the same scores divided by ``|r_j|^2``.

    Notes
    -----
    The first row is that of ``GreedyCSS``. Afterwards it prefers rows that are far from the span
    of the chosen ones relative to their length, where ``GreedyCSS`` takes a small new part that
    many rows share just as gladly.

    `sample_weight` weighs the error, as if row i were ``sqrt(w_i) a_i`` in it. The coreset's
    weights, ties, the rows taken once the span is complete, time and memory are as those of
    ``GreedyCSS``.

    References
    ----------
    .. [1] Khanna, Elenberg, Dimakis, Ghosh, Negahban, "On approximation guarantees for greedy
       low rank optimization", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import GreedyLowRank
    >>> X = np.array([[4.0, 0.0, 0.0], [4.0, 1.0, 0.0], [4.0, -1.0, 0.0], [0.0, 0.0, 1.2]])
    >>> GreedyLowRank().select(X, 2).indices
    array([0, 3])
    """

    is_linear = True

    def _pick(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> np.ndarray:
        return greedy_rows(X, n_select, sample_weight, against="row")
