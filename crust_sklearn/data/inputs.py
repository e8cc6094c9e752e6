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


def check_kind(X: Any) -> Any:
    """Return X in a form that torch can take, or say what to do about it.

    Arrays in another byte order, and those of long doubles, are converted; tensors are taken
    without their gradients.

    Raises
    ------
    ValueError
        If X is a Series, or holds text, categories, dates or complex numbers.
    """
    if hasattr(X, "to_frame") and getattr(X, "ndim", 0) == 1:
        raise ValueError(
            "X is a Series, one number per row: give a table, X.to_frame(), or an array of shape "
            "(n_samples, n_features)."
        )
    if hasattr(X, "iloc"):
        _check_columns(X)
    elif is_tensor(X) and X.is_complex():
        raise ValueError("X holds complex numbers. Give real and imaginary parts as features.")
    elif is_tensor(X):
        return X.detach() if X.requires_grad else X
    elif isinstance(X, np.ndarray):
        return _check_dtype(X)
    return X


def _check_columns(X: Any) -> None:
    bad = [str(name) for name, column in X.items() if not _is_numeric(column)]
    if bad:
        raise ValueError(
            f"The columns {bad[:5]} of X do not hold numbers. Encode text and categories "
            "(ColumnTransformer with OneHotEncoder or OrdinalEncoder), and turn dates into "
            "numbers, before the classifier in a Pipeline."
        )


def _is_numeric(column: Any) -> bool:
    kind = getattr(column.dtype, "kind", "O")
    if kind in "biuf":
        return True
    if kind in "mM":
        return False
    try:
        np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _check_dtype(X: np.ndarray) -> np.ndarray:
    if X.dtype.kind in "mM":
        raise ValueError(
            f"X holds dates or time spans ({X.dtype}). Turn them into numbers, for instance days "
            "since a date."
        )
    if X.dtype.kind == "f" and X.dtype.itemsize > 8:
        return X.astype(np.float64)
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


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


def get_row_shape(X: Any) -> tuple[int, ...]:
    """Return the shape of one row: of an array, or of the X of the first item of a dataset."""
    if len(getattr(X, "shape", ())) > 1:
        return tuple(X.shape[1:])
    if isinstance(X, Mapping | list | tuple):
        return ()
    item = X[0]
    return tuple(getattr(item[0] if isinstance(item, tuple | list) else item, "shape", ()))


def get_sizes(shape: tuple[int, ...], n_classes: int | None) -> dict[str, int]:
    """Return a module's parameters that follow from the shape of one row and the labels."""
    sizes = {} if n_classes is None else {"num_classes": n_classes}
    if len(shape) >= 1:
        sizes["in_features"] = math.prod(shape)
    if len(shape) >= 2:
        sizes["in_channels"] = shape[0]
    return sizes
