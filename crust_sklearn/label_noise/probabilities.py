"""Checks of probabilities: of the classes of each row, and of transitions between classes."""

from __future__ import annotations

from typing import Any

import numpy as np

# float32 softmax outputs of thousands of classes stay well inside.
_SUM_TOLERANCE = 1e-3


def check_proba(name: str, proba: Any, n_rows: int, n_classes: int) -> np.ndarray:
    """Return probabilities of shape (n_rows, n_classes) as float64."""
    if hasattr(proba, "detach"):
        proba = proba.detach().cpu().numpy()
    proba = _as_numbers(name, proba)
    if proba.ndim != 2 or proba.shape[0] != n_rows:
        raise ValueError(
            f"{name}.shape == {proba.shape}, expected ({n_rows}, {n_classes}): a row for each "
            "label, a column for each class."
        )
    if proba.shape[1] != n_classes:
        raise ValueError(
            f"{name} has {proba.shape[1]} columns, expected one for each of the {n_classes} "
            "classes. Name the classes of the columns by the parameter labels."
        )
    # NaN fails the comparisons.
    if not ((proba >= 0).all() and (np.abs(proba.sum(axis=1) - 1) <= _SUM_TOLERANCE).all()):
        raise ValueError(
            f"{name} must hold probabilities: no NaN, no negative value, rows that sum to 1. Pass "
            "what predict_proba returns; logits need a softmax."
        )
    return proba


def check_stochastic_matrix(name: str, matrix: Any, n_classes: int | None = None) -> np.ndarray:
    """Return the probabilities of transitions from each class (rows) to each, as float64.

    Without `n_classes`, the matrix may be of any size, if it is square.
    """
    matrix = _as_numbers(name, matrix)
    size = len(matrix) if n_classes is None and matrix.ndim else n_classes
    if matrix.shape != (size, size) or not size:
        expected = "n_classes" if n_classes is None else n_classes
        raise ValueError(
            f"{name}.shape == {matrix.shape}, expected ({expected}, {expected}): a row and a "
            "column for each class."
        )
    if not (matrix >= 0).all():
        raise ValueError(
            f"{name} must not have negative or NaN entries. Give for each class (row) the "
            "probabilities of the labels (columns)."
        )
    sums = matrix.sum(axis=1)
    if not np.allclose(sums, 1):
        hint = " Its columns do: transpose it." if np.allclose(matrix.sum(axis=0), 1) else ""
        raise ValueError(f"The rows of {name} must sum to 1, got {sums}.{hint}")
    return matrix


def _as_numbers(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers, in rows of equal length: {error}") from error
