"""The rows of an epoch, as whole batches with their numbers, weights and mixtures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate

from .batches import MixedBatch, RowBatch
from .mixtures import Mixtures
from .reading import apply_to_leaves, fetch_rows


class BatchedDataset(Dataset):
    """A dataset that is read a batch at a time: one indexing instead of many, where it allows it.

    Give it to a ``DataLoader`` whose `collate_fn` is `keep_batch`.

    Parameters
    ----------
    dataset : torch Dataset
    collate_fn : callable, default=torch.utils.data.default_collate
        Makes a batch of pairs (X, y), for datasets that are read item by item.
    """

    def __init__(self, dataset: Dataset, collate_fn: Callable[[list[Any]], Any] = default_collate):
        self.dataset = dataset
        self.collate_fn = collate_fn

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return _first_example(self.__getitems__([i]))

    def __getitems__(self, positions: Sequence[int]) -> tuple[Any, Any]:
        """Return the batch (X, y) of the given positions."""
        return fetch_rows(self.dataset, np.asarray(positions), self.collate_fn)


class CoresetDataset(BatchedDataset):
    """Some rows of a dataset, as batches that carry the rows' numbers, weights and mixtures.

    Parameters
    ----------
    dataset : torch Dataset
        Gives pairs (X, y) with y the codes 0..n_classes-1.
    positions : ndarray of shape (n_chosen,), dtype int64
        The items of the dataset to give.
    numbers : ndarray of shape (n_items,), dtype int64, default=None
        The number of each item of the dataset, by which batches call it; None: its position.
    weights : ndarray of shape (n_chosen,), default=None
        The weight of each chosen item in the loss; None: one for all.
    mixtures : Mixtures or None, default=None
        What each chosen item is mixed with.
    labels : ndarray of shape (n_items,), dtype int64, default=None
        Of each item of the dataset, the label to give in the place of its own, or -1; None: all
        keep theirs.
    collate_fn : callable, default=torch.utils.data.default_collate
        Makes a batch of pairs (X, y), for datasets that are read item by item.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from crust_sklearn.data import CoresetDataset
    >>> dataset = Dataset(np.arange(4.0).reshape(-1, 1), np.array([0, 1, 0, 1]))
    >>> coreset = CoresetDataset(dataset, np.array([1, 2]), weights=np.array([0.5, 1.5]))
    >>> batch, y = coreset.__getitems__([0, 1])
    >>> batch.rows, batch.weight, y
    (tensor([1, 2]), tensor([0.5000, 1.5000]), tensor([1, 0]))
    """

    def __init__(
        self,
        dataset: Dataset,
        positions: np.ndarray,
        *,
        numbers: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        mixtures: Mixtures | None = None,
        labels: np.ndarray | None = None,
        collate_fn: Callable[[list[Any]], Any] = default_collate,
    ):
        super().__init__(dataset, collate_fn)
        self.positions = positions
        self.numbers = numbers
        self.weights = weights
        self.mixtures = mixtures
        self.labels = labels

    def __len__(self) -> int:
        return len(self.positions)

    def __getitems__(self, positions: Sequence[int]) -> tuple[Any, Any]:
        """Return the batch (X, y) of the given positions among the chosen items."""
        at = np.asarray(positions)
        items = self.positions[at]
        x, y = self._fetch(items)
        weight = torch.ones(len(at)) if self.weights is None else torch.as_tensor(self.weights[at])
        rows, weight = self._get_numbers(items), weight.to(torch.float32)
        if self.mixtures is None:
            return RowBatch(x, rows, weight), y
        share = torch.as_tensor(self.mixtures.share[at], dtype=torch.float32)
        if self.mixtures.partners is None:
            order = torch.as_tensor(self.mixtures.permute(at))
            partner_x, partner_y = apply_to_leaves(x, lambda leaf: leaf[order]), y[order]
            partner_rows = rows[order]
        else:
            partners = self.mixtures.partners[at]
            partner_x, partner_y = self._fetch(partners)
            partner_rows = self._get_numbers(partners)
        return MixedBatch(x, rows, weight, partner_x, partner_y, partner_rows, share), y

    def _fetch(self, items: Any) -> tuple[Any, Any]:
        x, y = super().__getitems__(items)
        if self.labels is not None:
            given, labels = torch.as_tensor(y), torch.as_tensor(self.labels[items])
            y = torch.where(labels >= 0, labels, given.to(labels.device)).to(given)
        return x, y

    def _get_numbers(self, items: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(items if self.numbers is None else self.numbers[items])


def _first_example(batch: Any) -> Any:
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(_first_example, batch))
    if isinstance(batch, tuple):
        return tuple(map(_first_example, batch))
    return apply_to_leaves(batch, lambda leaf: leaf[0])
