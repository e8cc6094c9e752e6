"""Weighted, mixed-up batches over the chosen rows of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import skorch.dataset
import torch
from scipy import sparse
from skorch.utils import data_from_dataset
from torch import Tensor
from torch.utils.data import Dataset, Subset, default_collate


class WeightedBatch(NamedTuple):
    """What takes the place of X in a batch whose examples have weights."""

    x: Any
    weight: Tensor


class MixedBatch(NamedTuple):
    """What takes the place of X in a batch that is mixed with partners."""

    x: Any
    weight: Tensor
    partner_x: Any
    partner_y: Tensor
    share: Tensor


class IndexedBatch(NamedTuple):
    """What takes the place of X where each output has to find its row again."""

    x: Any
    position: Tensor


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
    >>> from crust_sklearn.coreset_dataset import RelabelledDataset
    >>> clean = torch.utils.data.TensorDataset(torch.eye(2), torch.tensor([0, 1]))
    >>> RelabelledDataset(clean, torch.tensor([1, 1]).numpy())[0]
    (tensor([1., 0.]), np.int64(1))
    """

    def __init__(self, dataset: Dataset, y: np.ndarray):
        self.dataset = dataset
        self.y = y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        item = self.dataset[i]
        x = item[0] if isinstance(item, tuple | list) and len(item) == 2 else item
        return x, self.y[i]


class Partners:
    """Draw for each row of a coreset the row that it is mixed with.

    Parameters
    ----------
    pool_of : ndarray of shape (n_coreset,), dtype int64
        The pool that each coreset row draws from.
    pools : ndarray of shape (n_rows,), dtype int64
        The pool that each row of the dataset lies in; -1 for none.
    """

    def __init__(self, pool_of: np.ndarray, pools: np.ndarray):
        counts = np.bincount(pools[pools >= 0], minlength=pool_of.max() + 1)
        self._members = np.argsort(pools, kind="stable")[np.sum(pools < 0) :]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._start, self._count = starts[pool_of], counts[pool_of]

    def draw(self, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a row of the dataset for each coreset position, of the same shape."""
        return self._members[self._start[positions] + rng.integers(self._count[positions])]


class CoresetDataset(Dataset):
    """The chosen rows of a dataset, as whole batches with weights and mixup.

    Give its batches to a ``DataLoader`` whose `collate_fn` is `keep_batch`: one indexing
    fetches a batch, where the dataset allows it.

    Parameters
    ----------
    dataset : torch Dataset
        Gives pairs (X, y) with y the codes 0..n_classes-1.
    rows : ndarray of shape (n_coreset,), dtype int64
        The chosen rows.
    weights : ndarray of shape (n_coreset,), default=None
        The weight of each chosen row in the loss; None for no weights.
    mixup : {"pool", "batch"} or None, default=None
        "pool" draws partners from `partners`, "batch" from the other rows of the batch.
    mixup_alpha : tuple of two floats, default=(1.0, 1.0)
        A row's share in its mixture with the partner is Beta-distributed with these.
    partners : Partners or None, default=None
        The pools, for "pool".
    indexed : bool, default=False
        Whether to give `IndexedBatch`, with neither weights nor mixup.
    collate_fn : callable, default=torch.utils.data.default_collate
        Makes a batch of pairs (X, y), for datasets that are read item by item.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from crust_sklearn.coreset_dataset import CoresetDataset
    >>> dataset = Dataset(np.arange(4.0).reshape(-1, 1), np.array([0, 1, 0, 1]))
    >>> coreset = CoresetDataset(dataset, np.array([1, 2]), np.array([0.5, 1.5]))
    >>> batch, y = coreset.__getitems__([0, 1])
    >>> batch.weight, y
    (tensor([0.5000, 1.5000]), tensor([1, 0]))
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        mixup: str | None = None,
        mixup_alpha: tuple[float, float] = (1.0, 1.0),
        partners: Partners | None = None,
        indexed: bool = False,
        collate_fn: Callable[[list[Any]], Any] = default_collate,
    ):
        self.dataset = dataset
        self.rows = rows
        self.weights = weights
        self.mixup = mixup
        self.mixup_alpha = mixup_alpha
        self.partners = partners
        self.indexed = indexed
        self.collate_fn = collate_fn

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_rows(self) -> int:
        """The number of rows that the coreset was chosen from."""
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return _first_example(self.__getitems__([i]))

    def __getitems__(self, positions: Sequence[int]) -> tuple[Any, Any]:
        """Return the batch (X, y) of the given positions in the coreset."""
        at = np.asarray(positions)
        x, y = fetch_rows(self.dataset, self.rows[at], self.collate_fn)
        if self.indexed:
            return IndexedBatch(x, torch.as_tensor(at)), y
        if self.mixup is None and self.weights is None:
            return x, y
        weight = torch.ones(len(at)) if self.weights is None else torch.as_tensor(self.weights[at])
        weight = weight.to(torch.float32)
        if self.mixup is None:
            return WeightedBatch(x, weight), y
        # From torch's generator, which a DataLoader seeds in each of its workers.
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        share = torch.as_tensor(rng.beta(*self.mixup_alpha, size=len(at)), dtype=torch.float32)
        if self.mixup == "batch":
            order = torch.as_tensor(rng.permutation(len(at)))
            partner_x, partner_y = _apply(x, lambda leaf: leaf[order]), y[order]
        else:
            assert self.partners is not None
            drawn = self.partners.draw(at, rng)
            partner_x, partner_y = fetch_rows(self.dataset, drawn, self.collate_fn)
        return MixedBatch(x, weight, partner_x, partner_y, share), y


def keep_batch(batch: Any) -> Any:
    """Return the batch: the `collate_fn` for a dataset that makes whole batches."""
    return batch


def mix(x: Any, partner: Any, share: Tensor) -> Any:
    """Return ``share * x + (1 - share) * partner``, also for dicts and lists of tensors.

    Integers are mixed as float32.

    Parameters
    ----------
    x, partner : tensors of shape (n, ...), or dicts or lists of such
    share : tensor of shape (n,)

    Returns
    -------
    mixed : floating-point tensors in the form of x
    """
    if isinstance(x, Mapping):
        return {key: mix(x[key], partner[key], share) for key in x}
    if isinstance(x, list | tuple):
        return [mix(a, b, share) for a, b in zip(x, partner, strict=True)]
    dtype = x.dtype if torch.is_floating_point(x) else torch.float32
    share = share.to(dtype).reshape(-1, *[1] * (x.ndim - 1))
    return share * x.to(dtype) + (1 - share) * partner.to(dtype)


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
    if collate_fn is default_collate and _is_plain(dataset):
        X, y = dataset.X, torch.as_tensor(dataset.y[rows])
        if dataset.X_is_ndframe:
            X = {name: X[name].to_numpy().reshape(-1, 1) for name in X}
        return _apply(X, lambda leaf: _to_tensor(leaf[rows])), y
    return collate_fn([dataset[int(i)] for i in rows])


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
    if isinstance(dataset, torch.utils.data.ConcatDataset):
        parts = [read_labels(part) for part in dataset.datasets]
        return None if any(y is None for y in parts) else np.concatenate(parts)
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


def _is_plain(dataset: Dataset) -> TypeGuard[Any]:
    # Nothing of what skorch's own dataset does to an item is overridden.
    stock = skorch.dataset.Dataset
    return (
        isinstance(dataset, stock)
        and type(dataset).__getitem__ is stock.__getitem__
        and type(dataset).transform is stock.transform
        and isinstance(dataset.y, np.ndarray)
        and (dataset.X_is_ndframe or _is_made_of_arrays(dataset.X))
    )


def _is_made_of_arrays(X: Any) -> bool:
    if isinstance(X, Mapping):
        return all(map(_is_made_of_arrays, X.values()))
    if isinstance(X, list | tuple):
        return all(map(_is_made_of_arrays, X))
    return isinstance(X, np.ndarray | Tensor) or sparse.issparse(X)


def _to_tensor(leaf: Any) -> Tensor:
    if hasattr(leaf, "toarray"):
        leaf = leaf.toarray()
    return torch.as_tensor(np.ascontiguousarray(leaf) if isinstance(leaf, np.ndarray) else leaf)


def _apply(data: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(data, Mapping):
        return {key: _apply(value, function) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_apply(value, function) for value in data]
    return function(data)


def _first_example(batch: Any) -> Any:
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(_first_example, batch))
    if isinstance(batch, tuple):
        return tuple(map(_first_example, batch))
    return _apply(batch, lambda leaf: leaf[0])
