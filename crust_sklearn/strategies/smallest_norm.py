"""Smallest norm: what small-loss methods select, in gradient space."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from .base import BaseStrategy
from .low_rank import row_norms, scale_rows


class SmallestNorm(BaseStrategy):
    """Choose the rows of smallest norm.

    Of gradients at the logits, the norm ``|p - y|`` is the EL2N score [1]_, which goes with the
    loss: to keep its smallest is the rule of small-loss methods such as Co-teaching [2]_. Ties go
    to the lowest index.

    Parameters
    ----------
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance that assigns rows to the chosen ones; None: the selector's, "euclidean"
        alone.

    Notes
    -----
    `sample_weight` does not change the choice; it enters the weights of the chosen rows.

    References
    ----------
    .. [1] Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet: Finding Important Examples Early
       in Training", NeurIPS 2021, Definition 2.2.
    .. [2] Han, Yao, Yu, Niu, Xu, Hu, Tsang, Sugiyama, "Co-teaching: Robust Training of Deep Neural
       Networks with Extremely Noisy Labels", NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import SmallestNorm
    >>> SmallestNorm().select(np.array([[3.0, 4.0], [0.0, -1.0], [2.0, 0.0]]), 2).indices
    array([1, 2])
    """

    is_linear = True

    def _pick(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> np.ndarray:
        rows, _, _ = scale_rows(X, sample_weight)
        return np.argsort(row_norms(rows, np.ones(len(X))), kind="stable")[:n_select]
