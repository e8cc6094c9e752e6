"""Predictions for training rows by a last layer that has not seen their labels."""

from __future__ import annotations

import numpy as np
from scipy import linalg
from sklearn.utils import gen_batches

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

    Notes
    -----
    The residual ``y_i - q_i`` is the mean shift of a single row [3]_: what is estimated for `gamma`
    if the fit to all rows gives row i, and it alone, a term of its own, ``y_i = h_i B + gamma``.
    Scalable penalized regression (SPR) [4]_ [5]_ finds wrong labels by such shifts of all rows at
    once, of which a penalty keeps few, and alternates between shifts and fit. This is one step of
    it, in closed form.

    References
    ----------
    .. [1] Cook, Weisberg, "Residuals and Influence in Regression", 1982, section 2.2.
    .. [2] Golub, Heath, Wahba, "Generalized cross-validation as a method for choosing a good ridge
       parameter", Technometrics, 1979: the criterion that theirs generalizes, PRESS.
    .. [3] She, Owen, "Outlier Detection Using Nonconvex Penalized Regression", Journal of the
       American Statistical Association 106(494), 2011.
    .. [4] Wang, Sun, Fu, "Scalable Penalized Regression for Noise Detection in Learning with Noisy
       Labels", CVPR 2022.
    .. [5] Wang, Fu, Sun, "Knockoffs-SPR: Clean Sample Selection in Learning with Noisy Labels",
       IEEE Transactions on Pattern Analysis and Machine Intelligence, 2024.

    Examples
    --------
    The label of the last row contradicts the others:

    >>> import numpy as np
    >>> from crust_sklearn.label_noise import leave_one_out_predictions
    >>> H = np.array([[-1.2], [-1.1], [-1.0], [-0.9], [1.0], [1.1], [1.2], [0.9]])
    >>> Y = np.eye(2)[[0, 0, 0, 0, 1, 1, 1, 0]]
    >>> leave_one_out_predictions(H, Y, np.ones(8)).argmax(axis=1)
    array([0, 0, 0, 0, 1, 1, 1, 1])
    """
    w = sample_weight / sample_weight.sum()
    # In parts, so that the memory beside H and Y stays small.
    parts = list(gen_batches(len(H), max(1, 2**22 // max(H.shape[1], Y.shape[1]))))
    scale = float(np.abs(H).max(initial=0.0)) or 1.0
    rounding = np.finfo(H.dtype).eps
    center, mean = (w @ H) / scale, w @ Y

    def centered(part: slice) -> np.ndarray:
        return H[part].astype(np.float64) / scale - center

    gram = np.zeros((H.shape[1], H.shape[1]))
    for part in parts:
        rows = centered(part)
        gram += (rows * w[part, None]).T @ rows
    eigenvalues, vectors = linalg.eigh(gram, check_finite=False)
    # What is left of directions in which the features do not vary.
    eigenvalues[eigenvalues < (4 * rounding) ** 2] = 0.0
    vectors = np.where(eigenvalues > 0.0, vectors, 0.0)
    along = sum((centered(part) @ vectors).T @ (w[part, None] * (Y[part] - mean)) for part in parts)
    penalties = np.array(ridges) * (eigenvalues.mean() or 1.0)

    def leave_out(part: slice, B: np.ndarray, penalty: float) -> np.ndarray:
        shrunk = 1.0 / (eigenvalues + penalty)
        fitted = mean + B @ (shrunk[:, None] * along)
        leverage = w[part] * (B**2 @ shrunk + 1.0)
        # A row that alone spans a direction of the fit leaves nothing to predict it by.
        return Y[part] - (Y[part] - fitted) / np.maximum(1.0 - leverage, 1e-6)[:, None]

    errors = np.zeros(len(penalties))
    for part in parts:
        B = centered(part) @ vectors
        for i, penalty in enumerate(penalties):
            errors[i] += w[part] @ ((Y[part] - leave_out(part, B, penalty)) ** 2).sum(axis=1)
    best = penalties[errors.argmin()]
    return np.concatenate([leave_out(part, centered(part) @ vectors, best) for part in parts])
