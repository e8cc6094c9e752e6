"""Centrality: what the reference code of CRUST selects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState

from .base import BaseDistanceStrategy
from .distances import weighted_row_sums
from .parts import split_at_random


class Centrality(BaseDistanceStrategy):
    """Choose the rows with the smallest summed distance to all rows.

    The effective rule of the authors' reference code, whose greedy never updates a gain. Its
    k-medoids objective is worse than a random subset's, but it leaves out the rows that are
    far from the rest, which is where wrong labels tend to be. Ties go to the lowest index.

    Parameters
    ----------
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance between rows; None: the selector's, "euclidean" alone.

    Notes
    -----
    `sample_weight` weighs the sum: the score of row i is ``sum_j w_j d_ij``.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import Centrality
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0]])
    >>> Centrality().select(X, 2).indices
    array([1, 2])
    """

    def split_rows(self, X: Any, limit: int, random_state: RandomState) -> list[np.ndarray]:
        """Return the rows of each part: drawn at random."""
        # Against a random part a row is as central as against all rows, up to noise.
        return split_at_random(len(X), limit, random_state)

    def _pick(
        self,
        distances: np.ndarray,
        n_select: int,
        sample_weight: np.ndarray,
        random_state: RandomState,
    ) -> np.ndarray:
        weights = (sample_weight / sample_weight.max()).astype(np.float32)
        return np.argsort(weighted_row_sums(distances, weights), kind="stable")[:n_select]
