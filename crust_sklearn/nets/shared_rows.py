"""SharedRows: the rows of a matrix that belong to one of several processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..label_noise.own_rows import OwnRows
from . import processes


@dataclass(frozen=True, eq=False, kw_only=True)
class SharedRows(OwnRows):
    """What belongs to one process of the rows that several hold together.

    Attributes
    ----------
    values, numbers
        As of `OwnRows`.
    net : NoisyLabelClassifier
        Whose accelerator knows the others.
    owners : ndarray of shape (n_rows,), dtype int16
        The process of each row.
    """

    net: Any
    owners: np.ndarray

    @classmethod
    def hold(cls, net: Any, owners: np.ndarray, values: Any) -> Any:
        """Return the rows of this process; its values as they are, if it is the only one.

        Parameters
        ----------
        net : NoisyLabelClassifier
        owners : ndarray of shape (n_rows,), dtype int16
            Each row belongs to a process.
        values : tensor of shape (n_own, n_features)
            In ascending order of the rows' numbers.

        Returns
        -------
        rows : tensor or SharedRows
        """
        if processes.count(net) == 1:
            return values
        numbers = np.flatnonzero(owners == processes.get_rank(net))
        return cls(values, numbers, net=net, owners=owners)

    @property
    def n_rows(self) -> int:
        """The number of all rows."""
        return len(self.owners)

    def replace(self, values: Any) -> Any:
        """Return other values of the same rows."""
        return replace(self, values=values)

    def find(self, rows: np.ndarray) -> tuple[Any, Any]:
        """Return which of some rows are held here, and where."""
        is_own = self.owners[rows] == processes.get_rank(self.net)
        return np.searchsorted(self.numbers, rows[is_own]), is_own

    def get_row(self, number: int) -> Any:
        """Return the values of a row, wherever it is held."""
        places, _ = self.find(np.array([number]))
        own = [torch.as_tensor(self.values[place]).cpu() for place in places]
        (row,) = sum(processes.exchange(self.net, own), [])
        return row.to(self.values.device) if torch.is_tensor(self.values) else row.numpy()

    def add(self, values: Any) -> Any:
        """Return the sum of what all processes give: an array or number of one shape."""
        return processes.add_up(self.net, values)

    def add_symmetric(self, matrix: np.ndarray) -> np.ndarray:
        """Return the sum of what all processes give: a symmetric matrix, of which half is sent."""
        at = np.tril_indices(len(matrix))
        total = np.empty(matrix.shape)
        total[at] = total.T[at] = self.add(matrix[at])
        return total

    def get_max(self, value: Any) -> Any:
        """Return the largest of the numbers that all processes give."""
        return np.max(processes.exchange(self.net, value))

    def gather(self, column: np.ndarray) -> np.ndarray:
        """Return what is known of all rows, given what is known of the own ones."""
        return processes.gather_rows(self.net, self.owners, torch.as_tensor(column)).numpy()
