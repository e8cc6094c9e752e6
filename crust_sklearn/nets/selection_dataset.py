"""The dataset that rows are judged on, where it is another one than that of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import skorch.dataset
import torch
from skorch.helper import SliceDataset
from skorch.utils import is_dataset
from torch.utils.data import IterableDataset, Subset

from ..data import RelabelledDataset, base_rows, innermost, read_labels
from .checks import N_COMPARED

NAME = "selection_dataset"


def check_selection_dataset(net: Any) -> None:
    """Refuse what is neither a dataset nor makes one.

    Parameters
    ----------
    net : NoisyLabelClassifier

    Raises
    ------
    TypeError
    """
    given, params = net.selection_dataset, net.get_params_for(NAME)
    if params and (given is None or is_dataset(given)):
        raise TypeError(
            f"{NAME}__{next(iter(params))} is given, and {NAME}={given!r} is not called with it. "
            f"Give a class or function as {NAME}, or leave the parameter out."
        )
    if given is not None and not is_dataset(given) and not callable(given):
        raise TypeError(
            f"{NAME} is a {type(given).__name__}. Give a torch Dataset, a class or function that "
            "is called with X and y and returns one, or None; skorch.dataset.Dataset(X) makes one "
            "of an array."
        )


def make_selection_dataset(net: Any, X: Any) -> Any:
    """Return the dataset of the training rows that they are judged on.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training; its parameter `selection_dataset` is given.
    X : input data
        As in `fit`.

    Returns
    -------
    dataset : torch Dataset
        The training rows, in order, with codes as labels.

    Raises
    ------
    TypeError, ValueError
        If the parameter has no rows, other ones, or other labels than X.
    """
    training, dataset = net.training_, net.selection_dataset
    if not is_dataset(dataset):
        X = net.get_input(X, reset=False)
        dataset = dataset(X, training.all_codes, **net.get_params_for(NAME))
    if isinstance(X, SliceDataset):
        X = Subset(X.dataset, X.indices_)
    check_kind(dataset)
    dataset = take_rows(dataset, X, training.n_rows)
    check_item(dataset)
    codes = training.all_codes
    if codes is not None:
        check_labels_agree(dataset, get_labels_of_rows(net, X, codes))
        dataset = RelabelledDataset(dataset, codes)
    return dataset if len(training.rows) == training.n_rows else Subset(dataset, training.rows)


def check_kind(dataset: Any) -> None:
    """Refuse what is no dataset of rows that can be told apart."""
    has_rows = is_dataset(dataset) and not isinstance(dataset, IterableDataset)
    if has_rows and hasattr(dataset, "__len__"):
        return
    raise TypeError(
        f"{NAME} is, or returns, a {type(dataset).__name__}. Give a torch Dataset with __getitem__ "
        "and __len__, or what returns one."
    )


def take_rows(dataset: Any, X: Any, n_rows: int) -> Any:
    """Return the rows of a dataset that X has: all, or, where X is part of another one, these.

    Parameters
    ----------
    dataset : torch Dataset
    X : input data
    n_rows : int
        The number of rows of X.

    Returns
    -------
    dataset : torch Dataset
        Of `n_rows` rows.

    Raises
    ------
    ValueError
        If the dataset has as many rows neither as X nor as what X is a part of.
    """
    if len(dataset) == n_rows:
        return dataset
    if isinstance(X, Subset) and len(dataset) == len(innermost(X)):  # type: ignore[arg-type]
        return Subset(dataset, base_rows(X))  # type: ignore[arg-type]
    raise ValueError(
        f"{NAME} has {len(dataset)} rows, and X has {n_rows}. Give a dataset with one row for each "
        "row of X, in the same order. Where X is a part of the rows, as in a search, give a class "
        "or function, which is called with X and y."
    )


def check_item(dataset: Any) -> None:
    """Refuse items that are neither X nor pairs (X, y)."""
    item = dataset[0]
    if isinstance(item, tuple | list) and len(item) > 2:
        raise ValueError(
            f"{NAME} gives items of {len(item)}, and pairs (X, y), or X alone, are needed. For a "
            "module with several inputs, make the first of the pair a dict of them."
        )


def get_labels_of_rows(net: Any, X: Any, codes: np.ndarray) -> list[np.ndarray]:
    """Return what the labels of the rows of X are called: as codes, as given, and inside X.

    Parameters
    ----------
    net : NoisyLabelClassifier
    X : input data
        A Dataset has labels of its own where others were given to fit.
    codes : ndarray of shape (n_rows,), dtype int64

    Returns
    -------
    labels : list of ndarray of shape (n_rows,)
    """
    labels = [codes]
    if net.codec_ is not None:
        labels.append(net.codec_.decode(codes))
    if is_dataset(X) and (inside := read_labels(X)) is not None:
        labels.append(to_array(inside))
    return labels


def check_labels_agree(dataset: Any, labels: list[np.ndarray]) -> None:
    """Refuse a dataset with other labels than X: it has other rows, or another order.

    Parameters
    ----------
    dataset : torch Dataset
        One without labels is taken.
    labels : list of ndarray of shape (n_rows,)
        By any of these its labels may go.

    Raises
    ------
    ValueError
    """
    rows = np.arange(len(dataset))
    found = read_labels(dataset)
    if found is None:
        rows = np.unique(np.linspace(0, len(dataset) - 1, N_COMPARED).astype(np.int64))
        found = read_items(dataset, rows)
    if found is None:
        return
    found = to_array(found)
    differs = [found != expected[rows] for expected in labels]
    if all(np.any(each) for each in differs):
        row = np.flatnonzero(differs[-1])[0]
        raise ValueError(
            f"{NAME} has other labels than X: row {rows[row]} has {found[row].item()!r} in place "
            f"of {labels[-1][rows[row]].item()!r}. It has to give the same rows in the same order, "
            "with the labels given to fit, those that X holds, or none."
        )


def read_items(dataset: Any, rows: np.ndarray) -> list[Any] | None:
    """Return the labels in some items of a dataset; None where these have none."""
    inner = innermost(dataset)
    # Its items have a zero in the place of a label.
    if isinstance(inner, skorch.dataset.Dataset) and inner.y is None:
        return None
    items = [dataset[int(i)] for i in rows]
    if not all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        return None
    return [item[1] for item in items]


def to_array(labels: Any) -> np.ndarray:
    """Return labels as an array of shape (n,), from where they are."""
    if isinstance(labels, list | tuple):
        labels = [label.item() if torch.is_tensor(label) else label for label in labels]
    elif torch.is_tensor(labels):
        labels = labels.cpu()
    return np.asarray(labels).reshape(len(labels))
