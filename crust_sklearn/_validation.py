"""Checks shared by the estimators: every message names the parameter and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np


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
    return weights
