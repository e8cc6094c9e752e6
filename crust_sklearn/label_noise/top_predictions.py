"""Predictions of many classes, of which each row keeps the largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

# The classes that each row keeps: of so many, all.
MAX_KEPT = 32
# The rows that are worked on at once.
PART = 2**15


@dataclass(frozen=True, eq=False)
class TopPredictions:
    """What the classes of each row are predicted with, for the largest and the given label's.

    What a row does not keep is taken to be the same for each of its other classes, so that all
    have a sum of one. Rows are taken by an index: ``top[rows]``.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_kept), dtype float32 or float64
        The predictions.
    classes : ndarray of shape (n_rows, n_kept), or (1, n_classes) where all are kept, dtype int
        The class of each of them, ascending in each row.
    n_classes : int

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import TopPredictions
    >>> predictions = np.array([[0.1, 0.2, 0.1, 0.6], [0.5, 0.1, 0.3, 0.1]])
    >>> top = TopPredictions.keep(predictions, np.array([2, 0]), 2)
    >>> top.classes, top.best, top.rest.round(2)
    (array([[2, 3],
           [0, 2]], dtype=int32), array([3, 0]), array([0.15, 0.1 ]))
    """

    values: np.ndarray
    classes: np.ndarray
    n_classes: int

    @classmethod
    def of(cls, predictions: Any) -> TopPredictions:
        """Return predictions of all classes, as they are, in this form.

        Parameters
        ----------
        predictions : ndarray of shape (n_rows, n_classes) or TopPredictions

        Returns
        -------
        top : TopPredictions
        """
        if isinstance(predictions, cls):
            return predictions
        n_classes = predictions.shape[1]
        return cls(predictions, np.arange(n_classes, dtype=np.int32)[None], n_classes)

    @classmethod
    def keep(cls, predictions: np.ndarray, codes: np.ndarray, n_kept: int) -> TopPredictions:
        """Keep the largest predictions of each row, and that of its given label.

        Parameters
        ----------
        predictions : ndarray of shape (n_rows, n_classes)
        codes : ndarray of shape (n_rows,), dtype int64
            The given labels.
        n_kept : int
            How many to keep; as many as there are classes, or more, keep all.

        Returns
        -------
        top : TopPredictions
        """
        n_classes = predictions.shape[1]
        if n_kept >= n_classes:
            return cls.of(predictions)
        at = np.arange(len(codes))
        ranked = -predictions
        ranked[at, codes] = -np.inf
        found = np.argpartition(ranked, n_kept - 1, axis=1)[:, :n_kept]
        found.sort(axis=1)
        values = np.take_along_axis(predictions, found, axis=1)
        return cls(values, found.astype(np.int32), n_classes)

    def __getitem__(self, rows: Any) -> TopPredictions:
        classes = self.classes if self.is_whole else self.classes[rows]
        return TopPredictions(self.values[rows], classes, self.n_classes)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_whole(self) -> bool:
        """Whether all classes are kept."""
        return self.values.shape[1] == self.n_classes

    @property
    def n_left_out(self) -> int:
        """How many classes a row does not keep."""
        return self.n_classes - self.values.shape[1]

    @property
    def best(self) -> np.ndarray:
        """The class of the largest prediction of each row; of equal ones, the first class."""
        return self.at(self.values.argmax(axis=1))

    @property
    def sure(self) -> np.ndarray:
        """The largest prediction of each row."""
        return self.values.max(axis=1)

    @property
    def rest(self) -> np.ndarray:
        """What each class is predicted with that a row does not keep; 0, where all are kept."""
        left = np.maximum(1.0 - self.values.sum(axis=1), 0.0)
        return np.zeros_like(left) if self.is_whole else left / self.n_left_out

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return the class at a place of each row, of dtype int64."""
        row = 0 if self.is_whole else np.arange(len(self))
        return self.classes[row, places].astype(np.int64)

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Return the place of a class of each row, which it must have kept."""
        return codes if self.is_whole else (self.classes == codes[:, None]).argmax(axis=1)

    def own(self, codes: np.ndarray) -> np.ndarray:
        """Return what a class of each row, which it must have kept, is predicted with."""
        return self.values[np.arange(len(self)), self.find(codes)]

    def mean_with(self, other: TopPredictions, n: int, codes: np.ndarray) -> TopPredictions:
        """Return the mean with one more prediction, of the mean of those before.

        Parameters
        ----------
        other : TopPredictions
            Of the same rows, which keep as many classes.
        n : int
            How many predictions the mean is of, this one included.
        codes : ndarray of shape (n_rows,), dtype int64
            The given labels, which stay.

        Returns
        -------
        mean : TopPredictions
            It has the memory of `other`.
        """
        for part in gen_batches(len(self), PART):
            ours, theirs, values = self[part], other[part], other.values[part]
            if self.is_whole:
                values -= ours.values
                values /= n
                values += ours.values
                continue
            values[:], other.classes[part] = _merge(ours, theirs, n, codes[part])
        return other


def _merge(
    a: TopPredictions, b: TopPredictions, n: int, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest of the means of two predictions, and the classes that they are of."""
    n_kept, of_a, of_b = a.values.shape[1], a.rest[:, None], b.rest[:, None]
    classes = np.concatenate([a.classes, b.classes], axis=1)
    order = np.argsort(classes, axis=1, kind="stable")
    classes, rows = np.take_along_axis(classes, order, axis=1), np.arange(len(codes))
    shape = a.values.shape
    ours, theirs = (
        np.take_along_axis(np.concatenate(both, axis=1), order, axis=1)
        for both in (
            (a.values, np.broadcast_to(of_a, shape)),
            (np.broadcast_to(of_b, shape), b.values),
        )
    )
    # A class of both stands there twice: first as ours.
    is_twice = classes[:, 1:] == classes[:, :-1]
    np.copyto(theirs[:, :-1], theirs[:, 1:].copy(), where=is_twice)
    mean = ours + (theirs - ours) / n
    ranked = -mean
    ranked[:, 1:][is_twice] = np.inf
    ranked[rows, (classes == codes[:, None]).argmax(axis=1)] = -np.inf
    found = np.argpartition(ranked, n_kept - 1, axis=1)[:, :n_kept]
    found.sort(axis=1)
    return np.take_along_axis(mean, found, axis=1), np.take_along_axis(classes, found, axis=1)
