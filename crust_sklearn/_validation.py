"""Checks shared by the estimators: every message names the parameter and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from ._shards import find_shards, slice_rows


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return `value` if it is one of `choices`, else raise naming them and the nearest."""
    choices = list(choices)
    if any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        return value
    valid = ", ".join(map(repr, choices))
    message = f"{name}={value!r} is not valid. Choose one of {valid}."
    if isinstance(value, str):
        near = get_close_matches(value, [c for c in choices if isinstance(c, str)], n=1)
        if near:
            message += f" Did you mean {near[0]!r}?"
    raise ValueError(message)


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False, else raise."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name}={value!r} is neither True nor False. Give one of them.")


def check_number(
    name: str,
    value: Any,
    *,
    kind: type = Real,
    low: float,
    high: float = np.inf,
    open_low: bool = False,
) -> Any:
    """Return `value` if it is a number of `kind` between `low` and `high`, else raise."""
    noun = "an integer" if kind is Integral else "a number"
    bound = f"{'greater than' if open_low else 'at least'} {low}"
    if high < np.inf:
        bound += f" and at most {high}"
    if not _is_number(value, kind):
        raise TypeError(f"{name} must be {noun} {bound}; got {value!r}.")
    inside = (value > low if open_low else value >= low) and value <= high
    if not inside:
        raise ValueError(f"{name} must be {noun} {bound}; got {value!r}.")
    return value


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def check_coreset_size(value: Any, n_rows: int | None = None, *, has_auto: bool = False) -> Any:
    """Return a valid `coreset_size`: a fraction in (0, 1], or a number from 1 to `n_rows`.

    With `has_auto`, "auto" is valid too.
    """
    if has_auto and isinstance(value, str) and value == "auto":
        return value
    remedy = (
        "Give a float in (0, 1] for a fraction of each group, or an int of at least 1 "
        "for the total number of rows."
    )
    if has_auto:
        remedy = remedy[:-1] + ", or 'auto' for as many rows as have a label that fits."
    if not _is_number(value, Real):
        raise TypeError(f"coreset_size={value!r} is not a number. {remedy}")
    if _is_number(value, Integral):
        if value < 1:
            raise ValueError(f"coreset_size={value!r} is out of range. {remedy}")
        if n_rows is not None and value > n_rows:
            raise ValueError(
                f"coreset_size={value!r} is more than the n_samples={n_rows} rows to choose from. "
                f"{remedy}"
            )
    elif not 0.0 < value <= 1.0:
        raise ValueError(f"coreset_size={value!r} is out of range. {remedy}")
    return value


def check_initial_subset(initial: Any, weights: np.ndarray) -> np.ndarray:
    """Return the numbers of rows that are chosen already, none for None; some row must be left."""
    rows = np.asarray([] if initial is None else initial)
    if not rows.size:
        return np.empty(0, np.int64)
    remedy = "Give the numbers of rows of X, each once, or a mask of them."
    if rows.dtype == bool and rows.shape == weights.shape:
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(
            f"initial_subset has the shape {rows.shape} and the dtype {rows.dtype}, for an X of "
            f"{len(weights)} rows. {remedy}"
        )
    if not rows.size:
        return rows.astype(np.int64)
    if rows.min() < 0 or rows.max() >= len(weights) or len(np.unique(rows)) < len(rows):
        raise ValueError(
            f"initial_subset holds numbers from {rows.min()} to {rows.max()}, {len(rows)} in all, "
            f"which are not different rows from 0 to {len(weights) - 1}. {remedy}"
        )
    if not weights[rows].all():
        raise ValueError(
            f"initial_subset holds row {rows[weights[rows] == 0][0]}, whose sample_weight is zero. "
            "Leave it out of the one, or give it a weight."
        )
    if len(rows) == np.count_nonzero(weights):
        raise ValueError("initial_subset holds all rows: there is none left to choose.")
    return rows.astype(np.int64)


def check_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return finite, non-negative float64 weights of shape (n_rows,), or None for None."""
    if sample_weight is None:
        return None
    if hasattr(sample_weight, "detach"):
        sample_weight = sample_weight.detach().cpu()
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold numbers: {error}") from error
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight.shape == {weights.shape}, expected ({n_rows},): one weight per row."
        )
    if not np.isfinite(weights).all():
        raise ValueError(
            "sample_weight contains NaN or infinity. Give one finite number per row; "
            "a weight of 0 leaves a row out."
        )
    if (weights < 0).any():
        raise ValueError("sample_weight contains negative values. Weights must be at least 0.")
    if not weights.any():
        raise ValueError("sample_weight is zero for every row: there is nothing left to fit.")
    with np.errstate(over="ignore"):
        is_too_large = np.isinf(weights.sum())
    if is_too_large:
        raise ValueError(
            f"sample_weight is too large: of up to {weights.max():.3g}, it adds up to infinity. "
            "Divide it by its largest value."
        )
    return weights


def check_rows(estimator: Any, X: Any, *args: Any, **options: Any) -> Any:
    """Return what scikit-learn's `validate_data` makes of numeric rows, sparse ones as CSR.

    Other dtypes than float64 and float32 are named by the option `dtype`. Where it fails because a
    column holds text, the error names the column and the remedy.
    """
    options = {"accept_sparse": "csr", "dtype": (np.float64, np.float32)} | options
    try:
        return validate_data(estimator, X, *args, **options)
    except ValueError as error:
        for name, column in _get_columns(X):
            if any(isinstance(value, str) for value in column):
                raise ValueError(
                    f"X holds text, first in column {name!r}: {error}. Distances need numbers: "
                    "encode such columns first, as by OneHotEncoder in a ColumnTransformer."
                ) from error
        raise


def check_many_rows(estimator: Any, X: Any, **options: Any) -> Any:
    """Return rows in files as `Shards`, validated a block at a time; others by `check_rows`."""
    shards = find_shards(X)
    if shards is None:
        return check_rows(estimator, X, **options)
    for rows in slice_rows(*shards.shape):
        validate_data(estimator, shards[rows], **options)
    return shards


def _get_columns(X: Any) -> Iterable[tuple[Any, np.ndarray]]:
    if sparse.issparse(X) or np.ndim(X) != 2:
        return []
    table = np.asarray(X, dtype=object)
    return zip(getattr(X, "columns", range(table.shape[1])), table.T, strict=True)
