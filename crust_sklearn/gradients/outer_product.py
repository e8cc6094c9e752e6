"""Distances between outer products, without forming them."""

from __future__ import annotations

import numpy as np


class OuterProductDistance:
    """Distance between outer products a_i h_i^T, without forming them.

    ``|a_i h_i^T - a_j h_j^T|^2 = |a_i|^2 |h_i|^2 + |a_j|^2 |h_j|^2 - 2 (a_i.a_j)(h_i.h_j)``

    Parameters
    ----------
    n_left : int
        How many leading columns of a row are a; the others are h.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.gradients import OuterProductDistance
    >>> rows = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])  # a has 1 column, h has 2
    >>> OuterProductDistance(1).pairwise(rows, rows).round(3)
    array([[0.   , 3.606],
           [3.606, 0.   ]])
    """

    def __init__(self, n_left: int):
        self.n_left = n_left

    def pairwise(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the distances between the rows of X and those of Y.

        Parameters
        ----------
        X : ndarray of shape (n_X, n_features)
        Y : ndarray of shape (n_Y, n_features)

        Returns
        -------
        distances : ndarray of shape (n_X, n_Y), dtype float64
        """
        n = self.n_left
        a, b = X[:, :n].astype(np.float64), Y[:, :n].astype(np.float64)
        h, g = X[:, n:].astype(np.float64), Y[:, n:].astype(np.float64)
        squared = (a @ b.T) * (h @ g.T)
        squared *= -2.0
        squared += ((a**2).sum(axis=1) * (h**2).sum(axis=1))[:, None]
        squared += (b**2).sum(axis=1) * (g**2).sum(axis=1)
        return np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)
