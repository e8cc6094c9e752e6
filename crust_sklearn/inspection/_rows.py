"""Some rows of X, whatever X is, and the names that they and their labels go by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse
from skorch.utils import is_dataset

from ..data import RelabelledDataset
from ..data.inputs import is_tensor


def check_n_rows(name: str, values: Any, n_rows: int) -> None:
    """Raise if `values` does not have one entry for each row given to fit."""
    n_values = values.shape[0] if hasattr(values, "shape") else len(values)
    if n_values != n_rows:
        raise ValueError(
            f"{name} has {n_values} entries, and {n_rows} rows were given to fit. Give one for "
            "each of them, in the same order."
        )


def check_input(X: Any, n_rows: int) -> None:
    """Raise if X does not have the rows that were given to fit, or not as one array."""
    if isinstance(X, Mapping):
        raise ValueError(
            f"X is a {type(X).__name__}, of which it is not known how to show a row. Give as X "
            "the array that is to be shown, one row for each row given to fit."
        )
    check_n_rows("X", X, n_rows)


def take_rows(X: Any, rows: np.ndarray) -> np.ndarray:
    """Return some rows of an array, tensor, DataFrame, sparse matrix or torch Dataset."""
    if hasattr(X, "iloc"):
        return X.iloc[rows].to_numpy()
    if sparse.issparse(X):
        return X.tocsr()[rows].toarray()
    if is_tensor(X):
        return X[rows].detach().cpu().numpy()
    if is_dataset(X):
        items = RelabelledDataset(X, np.zeros(len(X)))
        return np.stack([np.asarray(items[int(i)][0]) for i in rows])
    return np.asarray(X)[rows]


def get_row_names(n_rows: int, *sources: Any) -> np.ndarray:
    """Return the index of the first pandas object among the sources, else positions."""
    for source in sources:
        if hasattr(source, "iloc"):
            return np.asarray(source.index)
    return np.arange(n_rows)


def get_feature_names(X: Any) -> list[str] | None:
    """Return the names of the columns of a DataFrame, None for anything else."""
    return [str(name) for name in X.columns] if hasattr(X, "columns") else None
