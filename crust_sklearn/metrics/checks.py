"""Checks of labels beside predictions: every message names the parameter and the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._validation import check_sample_weight
from ..labels import check_rows, unite_labels


def check_pair(
    y_true: Any, y_pred: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, predicted labels and weights of equal length."""
    y_true, y_pred = check_rows("y_true", y_true), check_rows("y_pred", y_pred)
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_pred has {len(y_pred)} rows and y_true {len(y_true)}. Give a prediction for every "
            "label."
        )
    unite_labels(y_true, y_pred)  # strings never equal numbers
    return y_true, y_pred, check_weights(sample_weight, len(y_true))


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Return weights of which the largest is 1."""
    weights = check_sample_weight(sample_weight, n_rows)
    return np.ones(n_rows) if weights is None else weights / weights.max()
