"""A number for each pair of classes, of which most are alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse


@dataclass(frozen=True, eq=False)
class ClassPairs:
    """A square matrix over the classes, of which a row holds one number but for a few pairs.

    ``pairs[first, second]`` returns the numbers of some pairs, as of an array.

    Attributes
    ----------
    keys : ndarray of shape (n_pairs,), dtype int64
        The pairs that have a number of their own, ascending: ``first * n_classes + second``.
    values : ndarray of shape (n_pairs,), dtype float64
        Their numbers.
    others : ndarray of shape (n_classes,), dtype float64
        That of all other pairs, by the first class.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import ClassPairs
    >>> pairs = ClassPairs(np.array([0, 3]), np.ones(2), np.array([0.2, 0.0]))
    >>> pairs.toarray()
    array([[1. , 0.2],
           [0. , 1. ]])
    >>> pairs[0, [1, 0]]
    array([0.2, 1. ])
    """

    keys: np.ndarray
    values: np.ndarray
    others: np.ndarray

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.others)

    @property
    def first(self) -> np.ndarray:
        """The first class of each pair with a number of its own."""
        return self.keys // self.n_classes

    @property
    def is_diagonal(self) -> np.ndarray:
        """Whether each pair with a number of its own is of a class with itself."""
        return self.keys % (self.n_classes + 1) == 0

    @property
    def diagonal(self) -> np.ndarray:
        """The number of each class with itself."""
        classes = np.arange(self.n_classes)
        return self[classes, classes]

    def __getitem__(self, pair: tuple[Any, Any]) -> np.ndarray:
        first, second = np.asarray(pair[0]), np.asarray(pair[1])
        keys = first * np.int64(self.n_classes) + second
        at = np.searchsorted(self.keys, keys)
        # One past the last is none of them.
        is_listed = np.append(self.keys, -1)[at] == keys
        return np.where(is_listed, np.append(self.values, 0.0)[at], self.others[first])

    def toarray(self) -> np.ndarray:
        """Return the matrix of n_classes x n_classes."""
        matrix = np.repeat(self.others[:, None], self.n_classes, axis=1)
        matrix.flat[self.keys] = self.values
        return matrix

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        return self._beyond @ vector + self.others * vector.sum()

    def rmatmul(self, vector: np.ndarray) -> np.ndarray:
        """Return the product of the transposed matrix with a vector over the classes."""
        return self._beyond.T @ vector + self.others @ vector

    @cached_property
    def _beyond(self) -> sparse.csr_array:
        """What the matrix has beyond the `others` of its rows."""
        pair = self.first, self.keys % self.n_classes
        beyond = self.values - self.others[pair[0]]
        return sparse.csr_array((beyond, pair), shape=(self.n_classes,) * 2)

    def sum(self) -> np.ndarray:
        """Return the sum of each row."""
        n_listed = np.bincount(self.first, minlength=self.n_classes)
        listed = np.bincount(self.first, self.values, minlength=self.n_classes)
        return listed + self.others * (self.n_classes - n_listed)

    def max(self) -> np.ndarray:
        """Return the largest number of each row; what no pair has counts, too."""
        largest = self.others.copy()
        np.maximum.at(largest, self.first, self.values)
        return largest
