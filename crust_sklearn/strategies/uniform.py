"""Uniform: a random subset, the yardstick of every other strategy."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from .base import BaseStrategy


class Uniform(BaseStrategy):
    """Choose rows uniformly at random, without replacement.

    The choice depends on the rows and the seed, not on the order of the rows.
    `sample_weight` does not change the odds; it enters the weights of the chosen rows.

    Parameters
    ----------
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance that assigns rows to the chosen ones; None: the selector's,
        "euclidean" alone.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import Uniform
    >>> len(Uniform().select(np.arange(10.0).reshape(-1, 1), 3, random_state=0).indices)
    3
    """

    can_extend = True

    def _pick(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> np.ndarray:
        return np.lexsort(X.T)[random_state.permutation(len(X))[:n_select]]

    def _pick_more(
        self,
        X: np.ndarray,
        initial: np.ndarray,
        rest: np.ndarray,
        n_select: int,
        sample_weight: np.ndarray,
        random_state: RandomState,
    ) -> np.ndarray:
        return self._pick(X[rest], n_select, sample_weight[rest], random_state)
