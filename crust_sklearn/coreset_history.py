"""CoresetHistory: which rows each selection chose, one bit a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class CoresetHistory:
    """Which rows each selection of a training chose.

    ``len()`` is the number of selections. A selection takes one bit of memory a row.

    Attributes
    ----------
    epochs : ndarray of shape (n_selections,), dtype int64
        The epochs before which selections took place, from 0, ascending: ``net.history[epoch]``
        is the row of the first epoch that was trained on the coreset.
    n_rows : ndarray of shape (n_selections,), dtype int64
        The number of rows that were given to `fit` or `partial_fit` with each of them.
    sizes : ndarray of shape (n_selections,), dtype int64
        The number of rows chosen.
    turnover : ndarray of shape (n_selections,), dtype float64
        How much each coreset differs from the one before: of the rows that are in either, the
        share that is in one of them only (the Jaccard distance). 0 for the same rows, or none
        twice, 1 for no row in common. NaN for the first, and where the number of rows given
        differs.

    Examples
    --------
    >>> from crust_sklearn.coreset_history import CoresetHistory
    >>> history = CoresetHistory()
    >>> history.add(1, [0, 1, 2], n_rows=5)
    >>> history.add(4, [1, 2, 4], n_rows=5)
    >>> len(history), history.epochs, history.get_indices(-1)
    (2, array([1, 4]), array([1, 2, 4]))
    >>> history.turnover
    array([nan, 0.5])
    """

    def __init__(self) -> None:
        self._selections: list[_Selection] = []

    def __len__(self) -> int:
        return len(self._selections)

    def __repr__(self) -> str:
        return f"<CoresetHistory of {len(self)} selections>"

    def add(self, epoch: int, indices: Any, n_rows: int) -> None:
        """Append a selection; those of the same epoch and of later ones are replaced.

        Parameters
        ----------
        epoch : int
        indices : array-like of int of shape (n_coreset,)
            The chosen rows.
        n_rows : int
            The number of rows that they were chosen from.
        """
        mask = np.zeros(n_rows, bool)
        mask[indices] = True
        selection = _Selection(epoch, n_rows, np.packbits(mask))
        self._selections = [*self.before(epoch)._selections, selection]

    def before(self, epoch: int) -> CoresetHistory:
        """Return the selections of earlier epochs alone.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        history : CoresetHistory
        """
        history = CoresetHistory()
        history._selections = [old for old in self._selections if old.epoch < epoch]
        return history

    def get_mask(self, i: int) -> np.ndarray:
        """Return which rows a selection chose.

        Parameters
        ----------
        i : int
            The number of the selection, from 0; -1 is the last.

        Returns
        -------
        mask : ndarray of shape (n_rows,), dtype bool
        """
        selection = self._selections[i]
        return np.unpackbits(selection.bits, count=selection.n_rows).astype(bool)

    def get_indices(self, i: int) -> np.ndarray:
        """Return the rows that a selection chose.

        Parameters
        ----------
        i : int
            The number of the selection, from 0; -1 is the last.

        Returns
        -------
        indices : ndarray of shape (n_coreset,), dtype int64
            Rows of the X given to `fit` or `partial_fit`, ascending.
        """
        return np.flatnonzero(self.get_mask(i))

    @property
    def epochs(self) -> np.ndarray:
        """The epochs before which selections took place."""
        return np.array([selection.epoch for selection in self._selections], np.int64)

    @property
    def n_rows(self) -> np.ndarray:
        """The number of rows given with each selection."""
        return np.array([selection.n_rows for selection in self._selections], np.int64)

    @property
    def sizes(self) -> np.ndarray:
        """The number of rows chosen."""
        return np.array([self.get_mask(i).sum() for i in range(len(self))], np.int64)

    @property
    def turnover(self) -> np.ndarray:
        """The Jaccard distance of each coreset from the one before."""
        found = np.full(len(self), np.nan)
        for i in range(1, len(self)):
            old, new = self.get_mask(i - 1), self.get_mask(i)
            if len(old) == len(new):
                found[i] = (old ^ new).sum() / max(1, (old | new).sum())
        return found

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the selections as arrays by name.

        Returns
        -------
        state : dict of str to ndarray
            "epochs", "n_rows", and "bits", the packed masks one after the other.
        """
        bits = [selection.bits for selection in self._selections]
        packed = np.concatenate(bits) if bits else np.empty(0, np.uint8)
        return {"epochs": self.epochs, "n_rows": self.n_rows, "bits": packed}

    def load_state_dict(self, state: Mapping[str, Any]) -> CoresetHistory:
        """Take over what `state_dict` returned.

        Parameters
        ----------
        state : mapping of str to ndarray

        Returns
        -------
        self : CoresetHistory
        """
        n_bytes = -(-np.asarray(state["n_rows"]) // 8)
        parts = np.split(np.asarray(state["bits"]), np.cumsum(n_bytes)[:-1])
        self._selections = [
            _Selection(int(epoch), int(n_rows), np.array(bits))
            for epoch, n_rows, bits in zip(state["epochs"], state["n_rows"], parts, strict=False)
        ]
        return self


class _Selection(NamedTuple):
    epoch: int
    n_rows: int
    bits: np.ndarray
