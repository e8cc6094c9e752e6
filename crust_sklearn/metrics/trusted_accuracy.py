"""The accuracy on the rows whose labels are trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import check_pair


def trusted_accuracy_score(
    y_true: Any, y_pred: Any, *, trusted: Any, sample_weight: Any = None
) -> float:
    """Return the accuracy on the rows whose labels are trusted.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The given labels.
    y_pred : array-like of shape (n_samples,)
        The predicted labels.
    trusted : array-like of bool of shape (n_samples,)
        True where the label is known to be right.
    sample_weight : array-like of shape (n_samples,), default=None
        What each row counts; None counts every row once.

    Returns
    -------
    score : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If no row (of positive weight) is trusted, lengths differ, or labels or weights are invalid.
    TypeError
        If `trusted` does not hold bools.

    Examples
    --------
    >>> from crust_sklearn.metrics import trusted_accuracy_score
    >>> trusted_accuracy_score(
    ...     [0, 0, 1, 1], [0, 1, 1, 0], trusted=[True, True, True, False]
    ... )
    0.6666666666666666
    """
    y_true, y_pred, weights = check_pair(y_true, y_pred, sample_weight)
    weights = weights * _check_mask(trusted, len(y_true))
    if not weights.any():
        raise ValueError(
            f"trusted is False for every one of the {len(y_true)} rows to score (or their "
            "sample_weight is 0). Trust more rows, or in cross-validation use fewer folds or "
            "splits that share them out, e.g. StratifiedKFold().split(X, trusted)."
        )
    right = y_true == y_pred
    return float(np.average(right, weights=weights))


def _check_mask(trusted: Any, n_rows: int) -> np.ndarray:
    mask = np.asarray(trusted)
    if mask.dtype.kind == "O" and all(isinstance(entry, bool | np.bool_) for entry in mask.flat):
        mask = mask.astype(bool)
    if mask.dtype.kind != "b":
        raise TypeError(
            f"trusted must hold bools, True where the label is trusted; got {mask.dtype}. Turn row "
            "numbers into a mask by numpy.isin(numpy.arange(n_samples), rows)."
        )
    if mask.shape != (n_rows,):
        raise ValueError(f"trusted.shape == {mask.shape}, expected ({n_rows},): one bool per row.")
    return mask
