"""The rows of a matrix that a process holds: all of them, where there is one process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class OwnRows:
    """The rows that this process holds, and what it has to ask others for: here, of nobody.

    What fits a model to rows needs sums over all of them, and says something of each. Written in
    these terms, it does so also where each of several processes holds some of the rows, by a
    subclass whose methods talk to the others; all of them have to be called in every process.

    Attributes
    ----------
    values : ndarray, Tensor or Shards of shape (n_own, n_features)
    numbers : slice or ndarray of shape (n_own,), dtype int64
        What the rows are among all, ascending: an index of what is known of all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise.own_rows import OwnRows
    >>> rows = OwnRows.of(np.array([[1.0], [3.0]]))
    >>> rows.n_rows, float(rows.add(rows.values.sum()))
    (2, 4.0)
    """

    values: Any
    numbers: Any = field(default_factory=lambda: slice(None))

    @classmethod
    def of(cls, rows: Any) -> OwnRows:
        """Return rows in this form: those of an array are all there are.

        Parameters
        ----------
        rows : ndarray, Tensor, Shards or OwnRows

        Returns
        -------
        own : OwnRows
        """
        return rows if isinstance(rows, OwnRows) else OwnRows(rows)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n_rows(self) -> int:
        """The number of all rows."""
        return len(self.values)

    def replace(self, values: Any) -> Any:
        """Return other values of the same rows; without an owner, where there is one process."""
        return values

    def find(self, rows: np.ndarray) -> tuple[Any, Any]:
        """Return which of some rows are held here, and where.

        Parameters
        ----------
        rows : ndarray of shape (n,), dtype int64
            Their numbers.

        Returns
        -------
        places : ndarray of shape (n_found,), dtype int64
            In `values`.
        is_own : slice or ndarray of shape (n,), dtype bool
            Which of `rows` they are.
        """
        return rows, slice(None)

    def get_row(self, number: int) -> Any:
        """Return the values of a row, wherever it is held."""
        return self.values[number : number + 1][0]

    def add(self, values: Any) -> Any:
        """Return the sum of what all processes give: an array or number of one shape."""
        return values

    def add_symmetric(self, matrix: np.ndarray) -> np.ndarray:
        """Return the sum of what all processes give: a symmetric matrix, of which half is sent."""
        return matrix

    def get_max(self, value: Any) -> Any:
        """Return the largest of the numbers that all processes give."""
        return value

    def gather(self, column: np.ndarray) -> np.ndarray:
        """Return what is known of all rows, given what is known of the own ones.

        Parameters
        ----------
        column : ndarray of shape (n_own, ...)

        Returns
        -------
        column : ndarray of shape (n_rows, ...)
        """
        return column
