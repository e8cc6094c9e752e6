"""How true labels become given ones: estimates of the transition matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._validation import check_choice, check_number
from ..labels import LabelCodec, check_classes, check_rows
from .probabilities import check_proba

_METHODS = ("confident-joint", "anchor")

# A mean of equal probabilities may come out above each of them.
_ROUNDING = 1e-9


def estimate_transition_matrix(
    y: Any,
    proba: Any,
    *,
    method: str = "confident-joint",
    quantile: float = 0.97,
    labels: Any = None,
) -> np.ndarray:
    """Estimate the probabilities with which true labels become given ones.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The given labels, some of them wrong.
    proba : array-like of shape (n_samples, n_classes)
        Probabilities of the given labels, predicted by a model that has not seen these rows: from
        ``cross_val_predict(..., method="predict_proba")``, or on held-out rows. A model that
        memorized its labels finds no noise in them.
    method : {"confident-joint", "anchor"}, default="confident-joint"
        How to estimate.

        - ``"confident-joint"``: counts rows by given label and by the class that they confidently
          belong to, i.e. whose probability is at least its mean over the rows given that class;
          each given class is then scaled to its number of rows [1]_ (Eq. 1 to 3).
        - ``"anchor"``: the probabilities of one row for each class, which is taken to be surely of
          that class: the one of largest probability [2]_ [3]_ (Eq. 12 and 13), up to outliers.

    quantile : float, default=0.97
        For ``method="anchor"`` only, ignored otherwise; in (0, 1]. The anchor of a class is the row
        at this quantile of the class's probability, among the rows given the class; 1 takes the
        largest.
    labels : array-like of shape (n_classes,), default=None
        The classes in the order of the columns of `proba`. None: those of y, in sorted order.

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), dtype float64
        ``T[i, j]``, the probability that a row of class i is given the label j. Rows sum to one. A
        class that y does not hold has an identity row: nothing is known about it.

    Raises
    ------
    ValueError
        If `method` is unknown, `quantile` is out of range, `proba` has another number of rows than
        y or of columns than classes, or its rows are no probabilities.
    TypeError
        If `quantile` is not a number.

    Notes
    -----
    Every class that y holds counts at least one row as right, so that a class without a confident
    row does not vanish from the confident joint.

    Codes that accompany papers take the quantile over all rows. With more than ``1 / (1 -
    quantile)`` balanced classes, that is a row of another class; hence the rows given the class.

    Anchor points take the probabilities at their word: a model that is strongly regularized, or
    stopped early, is less sure than the labels are, and the matrix comes out noisier than it is.
    The confident joint only compares them with their means.

    Both methods follow the model: the rows of a class that it predicts badly look like noise. Do
    not score a model by an estimate from its own probabilities. One that always predicts the
    largest class explains all other labels as noise, and its corrected accuracy is about 1.

    References
    ----------
    .. [1] Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset
       Labels", Journal of Artificial Intelligence Research 70, 2021.
    .. [2] Liu, Tao, "Classification with Noisy Labels by Importance Reweighting", IEEE
       Transactions on Pattern Analysis and Machine Intelligence 38(3), 2016.
    .. [3] Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a
       Loss Correction Approach", CVPR 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from crust_sklearn.metrics import estimate_transition_matrix
    >>> from crust_sklearn.label_noise import make_label_noise
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = make_label_noise(
    ...     y, "asymmetric", 0.3, transition={0: 2}, random_state=0
    ... ).y
    >>> model = LogisticRegression(max_iter=1000)
    >>> proba = cross_val_predict(model, X, y_noisy, method="predict_proba")
    >>> estimate_transition_matrix(y_noisy, proba)[0].round(1)
    array([0.7, 0. , 0.3])
    """
    check_choice("method", method, _METHODS)
    check_number("quantile", quantile, low=0.0, high=1.0, open_low=True)
    y = check_rows("y", y)
    classes = check_classes(labels, {"y": y})
    proba = check_proba("proba", proba, len(y), len(classes))
    codes = LabelCodec(classes).encode(y)
    if method == "anchor":
        return _anchor_transitions(codes, proba, quantile)
    return _joint_transitions(_confident_joint(codes, proba))


def _confident_joint(codes: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Return the calibrated counts of rows by given class (rows) and true class (columns)."""
    n_classes = proba.shape[1]
    counts = np.bincount(codes, minlength=n_classes)
    present = counts > 0
    own = np.bincount(codes, weights=proba[np.arange(len(codes)), codes], minlength=n_classes)
    # A class without rows has no threshold to pass.
    thresholds = np.where(present, own / np.maximum(counts, 1) - _ROUNDING, np.inf)
    passed = np.where(proba >= thresholds, proba, -1.0)
    sure = passed.max(axis=1) >= 0.0
    joint = np.zeros((n_classes, n_classes))
    np.add.at(joint, (codes[sure], passed[sure].argmax(axis=1)), 1.0)
    diagonal = np.arange(n_classes)[present]
    joint[diagonal, diagonal] = np.maximum(joint[diagonal, diagonal], 1.0)
    joint[present] *= (counts[present] / joint[present].sum(axis=1))[:, None]
    return joint


def _joint_transitions(joint: np.ndarray) -> np.ndarray:
    """Return P(given | true) from a joint whose rows are the given classes."""
    absent = joint.sum(axis=0) == 0
    joint[absent, absent] = 1.0
    return (joint / joint.sum(axis=0)).T


def _anchor_transitions(codes: np.ndarray, proba: np.ndarray, quantile: float) -> np.ndarray:
    """Return the probabilities of the row at the quantile of each class."""
    matrix = np.eye(proba.shape[1])
    for own in np.unique(codes):
        rows = np.flatnonzero(codes == own)
        order = np.argsort(proba[rows, own], kind="stable")
        matrix[own] = proba[rows[order[int(quantile * (len(rows) - 1))]]]
    return matrix / matrix.sum(axis=1, keepdims=True)
