"""Labels and rows of datasets, of whatever class they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import numpy as np
import skorch.dataset
import torch
from scipy import sparse
from skorch.utils import data_from_dataset
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, Subset, default_collate


class RelabelledDataset(Dataset):
    """A dataset whose labels are replaced.

    Parameters
    ----------
    dataset : torch Dataset
        Gives X, or X and a label, which is ignored.
    y : ndarray of shape (n_samples,)
        The label of each item.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.data import RelabelledDataset
    >>> clean = torch.utils.data.TensorDataset(torch.eye(2), torch.tensor([0, 1]))
    >>> x, y = RelabelledDataset(clean, torch.tensor([1, 1]).numpy())[0]
    >>> x, int(y)
    (tensor([1., 0.]), 1)
    """

    def __init__(self, dataset: Dataset, y: np.ndarray):
        self.dataset = dataset
        self.y = y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        item = self.dataset[i]
        x = item[0] if isinstance(item, tuple | list) and len(item) in (1, 2) else item
        return x, self.y[i]


def fetch_rows(
    dataset: Dataset, rows: np.ndarray, collate_fn: Callable[[list[Any]], Any]
) -> tuple[Any, Any]:
    """Return the batch (X, y) of the given rows of a dataset, by one indexing if possible.

    Parameters
    ----------
    dataset : torch Dataset
    rows : ndarray of shape (n,), dtype int64
    collate_fn : callable
        Makes a batch of pairs, where the dataset has to be read item by item.

    Returns
    -------
    X, y : tensors, or what `collate_fn` makes
    """
    if type(dataset) is Subset:
        return fetch_rows(dataset.dataset, np.asarray(dataset.indices)[rows], collate_fn)
    if collate_fn is default_collate and is_relabelled(dataset):
        return _fetch_inputs(dataset.dataset, rows), _to_labels(dataset.y[rows])
    if collate_fn is default_collate and is_plain(dataset):
        # What skorch gives for rows without labels.
        y = torch.zeros(len(rows), 1) if dataset.y is None else _to_labels(dataset.y[rows])
        return _fetch_inputs(dataset, rows), y
    return collate_fn([dataset[int(i)] for i in rows])


def _fetch_inputs(dataset: Any, rows: np.ndarray) -> Any:
    """Return the X of rows of a dataset that `is_plain`, or a part of it with other labels."""
    if type(dataset) is Subset:
        return _fetch_inputs(dataset.dataset, np.asarray(dataset.indices)[rows])
    if type(dataset) is RelabelledDataset:
        return _fetch_inputs(dataset.dataset, rows)
    X = dataset.X
    if dataset.X_is_ndframe:
        X = {name: X[name].to_numpy().reshape(-1, 1) for name in X}
    return apply_to_leaves(X, lambda leaf: _to_tensor(leaf[rows]))


def read_labels(dataset: Any) -> Any:
    """Return the labels that lie inside a dataset, or None where they cannot be read.

    Read are skorch's datasets, ``TensorDataset``, ``Subset`` and ``ConcatDataset`` of such,
    and the attributes ``y``, ``targets`` and ``labels``.

    Parameters
    ----------
    dataset : torch Dataset

    Returns
    -------
    y : array-like of shape (n_samples,) or None
    """
    if isinstance(dataset, Subset):
        y = read_labels(dataset.dataset)
        return None if y is None else np.asarray(y)[np.asarray(dataset.indices)]
    if isinstance(dataset, ConcatDataset):
        parts = [read_labels(part) for part in dataset.datasets]
        return None if any(y is None for y in parts) else np.concatenate(parts)
    if isinstance(dataset, torch.utils.data.TensorDataset) and len(dataset.tensors) != 2:
        return None
    try:
        return data_from_dataset(dataset)[1]
    except AttributeError:
        pass
    for name in ("y", "targets", "labels"):
        if (y := getattr(dataset, name, None)) is not None and len(y) == len(dataset):
            return y
    return None


def innermost(dataset: Dataset) -> Dataset:
    """Return the dataset that a (nested) ``Subset`` is part of."""
    return innermost(dataset.dataset) if isinstance(dataset, Subset) else dataset


def base_rows(dataset: Any) -> np.ndarray:
    """Return for each item of a (nested) ``Subset`` its row in the innermost dataset."""
    if isinstance(dataset, Subset):
        return base_rows(dataset.dataset)[np.asarray(dataset.indices)]
    return np.arange(len(dataset))


def with_labels(dataset: Any, decode: Callable[[Any], np.ndarray]) -> Any:
    """Return the dataset with decoded labels: what callbacks score against."""
    if isinstance(dataset, Subset):
        return Subset(with_labels(dataset.dataset, decode), dataset.indices)
    y = None if dataset is None else read_labels(dataset)
    if y is None:
        return dataset
    if isinstance(dataset, RelabelledDataset):
        return RelabelledDataset(dataset.dataset, decode(y))
    if isinstance(dataset, skorch.dataset.Dataset):
        return skorch.dataset.Dataset(dataset.X, decode(y))
    return RelabelledDataset(dataset, decode(y))


def is_plain(dataset: Any) -> TypeGuard[Any]:
    """Return whether rows of a dataset can be had by one indexing: skorch's own, of arrays."""
    stock = skorch.dataset.Dataset
    return (
        isinstance(dataset, stock)
        # Nothing of what skorch's own dataset does to an item is overridden.
        and type(dataset).__getitem__ is stock.__getitem__
        and type(dataset).transform is stock.transform
        and (dataset.y is None or isinstance(dataset.y, np.ndarray))
        and (dataset.X_is_ndframe or _is_made_of_arrays(dataset.X))
    )


def is_relabelled(dataset: Any) -> TypeGuard[RelabelledDataset]:
    """Return whether a dataset has other labels for rows that can be had by one indexing."""
    return type(dataset) is RelabelledDataset and _has_plain_inputs(dataset.dataset)


def _has_plain_inputs(dataset: Any) -> bool:
    # By type: a subclass may do what it likes to an item.
    if type(dataset) in (Subset, RelabelledDataset):
        return _has_plain_inputs(dataset.dataset)
    return is_plain(dataset)


def apply_to_leaves(data: Any, function: Callable[[Any], Any]) -> Any:
    """Return dicts and lists of the same form, with a function applied to what they hold."""
    if isinstance(data, Mapping):
        return {key: apply_to_leaves(value, function) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [apply_to_leaves(value, function) for value in data]
    return function(data)


def _is_made_of_arrays(X: Any) -> bool:
    if isinstance(X, Mapping):
        return all(map(_is_made_of_arrays, X.values()))
    if isinstance(X, list | tuple):
        return all(map(_is_made_of_arrays, X))
    is_numbers = isinstance(X, np.ndarray) and X.dtype.kind in "biuf"
    return is_numbers or isinstance(X, Tensor) or sparse.issparse(X)


def _to_labels(y: np.ndarray) -> Any:
    """Return labels as torch collates them: names stay a list."""
    return torch.as_tensor(y) if y.dtype.kind in "biuf" else default_collate(list(y))


def _to_tensor(leaf: Any) -> Tensor:
    if hasattr(leaf, "toarray"):
        leaf = leaf.toarray()
    return torch.as_tensor(np.ascontiguousarray(leaf) if isinstance(leaf, np.ndarray) else leaf)
