"""Predictions for training rows by a last layer that has not seen their labels."""

from __future__ import annotations

import numpy as np
from scipy import linalg

# Relative to the mean eigenvalue of the features' covariance.
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def leave_one_out_predictions(
    H: np.ndarray,
    Y: np.ndarray,
    sample_weight: np.ndarray,
    ridges: tuple[float, ...] = RIDGES,
) -> np.ndarray:
    """Predict every row by a ridge regression that is fitted to all other rows.

    In closed form: with the hat matrix ``A = H (H^T W H + ridge)^-1 H^T W``, whose diagonal holds
    the ridge leverage scores, ``y_i - q_i = (y_i - (A Y)_i) / (1 - A_ii)`` [1]_. Of the ridges the
    one with the least squared error of these predictions is taken [2]_.

    Parameters
    ----------
    H : ndarray of shape (n_rows, n_features)
        Features. An intercept, without penalty, is added.
    Y : ndarray of shape (n_rows, n_outputs)
        What to predict; one-hot labels.
    sample_weight : ndarray of shape (n_rows,)
        What each row counts in the fit. Rows of weight zero are predicted by the fit as it is.
    ridges : tuple of float, default=(0.001, 0.01, 0.1, 1.0, 10.0)
        Penalties to choose from, as multiples of the mean eigenvalue of ``H^T W H``.

    Returns
    -------
    predictions : ndarray of shape (n_rows, n_outputs), dtype float64

    References
    ----------
    .. [1] Cook, Weisberg, "Residuals and Influence in Regression", 1982, section 2.2.
    .. [2] Golub, Heath, Wahba, "Generalized cross-validation as a method for choosing a good ridge
       parameter", Technometrics, 1979: the criterion that theirs generalizes, PRESS.

    Examples
    --------
    The label of the last row contradicts the others:

    >>> import numpy as np
    >>> from crust_sklearn.held_out import leave_one_out_predictions
    >>> H = np.array([[-1.2], [-1.1], [-1.0], [-0.9], [1.0], [1.1], [1.2], [0.9]])
    >>> Y = np.eye(2)[[0, 0, 0, 0, 1, 1, 1, 0]]
    >>> leave_one_out_predictions(H, Y, np.ones(8)).argmax(axis=1)
    array([0, 0, 0, 0, 1, 1, 1, 1])
    """
    w = sample_weight / sample_weight.sum()
    H, rounding = H.astype(np.float64), np.finfo(H.dtype).eps
    H /= np.abs(H).max(initial=0.0) or 1.0
    H -= w @ H
    mean = w @ Y
    eigenvalues, vectors = linalg.eigh((H * w[:, None]).T @ H, check_finite=False)
    # What is left of directions in which the features do not vary.
    eigenvalues[eigenvalues < (4 * rounding) ** 2] = 0.0
    scale = eigenvalues.mean() or 1.0
    B = H @ np.where(eigenvalues > 0.0, vectors, 0.0)
    along = B.T @ (w[:, None] * (Y - mean))
    squared = B**2
    least, best = np.inf, np.empty(0)
    for ridge in ridges:
        shrunk = 1.0 / (eigenvalues + ridge * scale)
        fitted = mean + B @ (shrunk[:, None] * along)
        leverage = w * (squared @ shrunk + 1.0)
        # A row that alone spans a direction of the fit leaves nothing to predict it by.
        left_out = Y - (Y - fitted) / np.maximum(1.0 - leverage, 1e-6)[:, None]
        error = float(w @ ((Y - left_out) ** 2).sum(axis=1))
        if error < least:
            least, best = error, left_out
    return best
