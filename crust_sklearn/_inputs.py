"""What X may be, and what it tells of a module's sizes. Tensors are told by their methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, signature
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite


def is_tensor(X: Any) -> bool:
    """Return whether X is a torch tensor."""
    return hasattr(X, "is_floating_point") and hasattr(X, "detach")


def check_finite(X: Any) -> Any:
    """Return X if the floats in an array, a tensor, a DataFrame, or dicts or lists, are finite.

    Raises
    ------
    ValueError
        If there is NaN or infinity.
    """
    if isinstance(X, Mapping):
        for leaf in X.values():
            check_finite(leaf)
    elif hasattr(X, "iloc"):
        for _, column in X.items():
            check_finite(column.to_numpy())
    elif isinstance(X, list | tuple):
        for leaf in X:
            check_finite(leaf)
    elif is_tensor(X):
        if X.is_floating_point() and not X.isfinite().all():
            raise ValueError("Input X contains NaN or infinity. Impute or drop those rows.")
    elif isinstance(X, np.ndarray) and X.dtype.kind == "f":
        assert_all_finite(X, input_name="X")
    return X


def get_parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters of a function or class, none where they cannot be read."""
    try:
        return list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def takes_names(function: Callable[..., Any], names: Iterable[Any]) -> bool:
    """Return whether a function takes all the names as keyword arguments."""
    parameters = get_parameters(function)
    return any(p.kind is p.VAR_KEYWORD for p in parameters) or set(names) <= {
        p.name for p in parameters
    }


def get_sizes(shape: tuple[int, ...], n_classes: int | None) -> dict[str, int]:
    """Return a module's parameters that follow from the shape of one row and the labels."""
    sizes = {} if n_classes is None else {"num_classes": n_classes}
    if len(shape) >= 1:
        sizes["in_features"] = math.prod(shape)
    if len(shape) >= 2:
        sizes["in_channels"] = shape[0]
    return sizes
