"""Which labels are right, where somebody knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..labels import check_labels


def find_right_labels(y: Any, y_true: Any, is_clean: Any, n_rows: int) -> np.ndarray | None:
    """Return which labels are right, None if it is not told.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or None
        The given labels.
    y_true : array-like of shape (n_rows,) or None
        The true labels.
    is_clean : array-like of bool of shape (n_rows,) or None
        Which labels are right, in place of `y_true`.
    n_rows : int

    Returns
    -------
    is_right : ndarray of shape (n_rows,), dtype bool, or None

    Raises
    ------
    ValueError
        If a length is not `n_rows`, if `y_true` is given without `y`, or `is_clean` besides.
    TypeError
        If `is_clean` does not hold bools.
    """
    if y_true is not None and is_clean is not None:
        raise ValueError("y_true and is_clean say the same: give one of them.")
    if y_true is not None:
        if y is None:
            raise ValueError(
                "y_true is given without y, which it is compared with: give both, or is_clean."
            )
        y, y_true = check_labels(y), check_labels(y_true)
        _check_shape("y", y, n_rows)
        _check_shape("y_true", y_true, n_rows)
        return y == y_true
    if is_clean is None:
        return None
    is_right = np.asarray(is_clean)
    if is_right.dtype != bool:
        raise TypeError(
            f"is_clean must hold bools, True where the label is right; got {is_right.dtype}."
        )
    _check_shape("is_clean", is_right, n_rows)
    return is_right


def _check_shape(name: str, values: np.ndarray, n_rows: int) -> None:
    if values.shape != (n_rows,):
        raise ValueError(
            f"{name} has the shape {values.shape}, and {n_rows} rows are looked at. Give one entry "
            "for each of them, in the same order."
        )
