"""The accuracy on true labels, from noisy ones and their transition matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..label_noise.probabilities import check_stochastic_matrix
from ..labels import LabelCodec, check_classes
from .checks import check_pair

# Correcting multiplies sampling errors by up to 1 / (smallest singular value): beyond 1000, a
# million rows would not fix the first decimal.
_SMALLEST_SINGULAR_VALUE = 1e-3


def corrected_accuracy_score(
    y_true: Any,
    y_pred: Any,
    *,
    transition_matrix: Any,
    labels: Any = None,
    sample_weight: Any = None,
) -> float:
    """Return the accuracy on true labels, estimated without bias from noisy ones.

    Given labels are true labels passed through T, independently of the prediction: their joint
    distribution with the predictions is that of the true labels times T. The score undoes it: the
    mean of ``inverse(T)[y_true, y_pred]`` over the rows, i.e. the 0-1 score after the backward
    correction [1]_ (Lemma 1, two classes) [2]_ (Theorem 1).

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The given labels, some of them wrong.
    y_pred : array-like of shape (n_samples,)
        The predicted labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        ``T[i, j]``, the probability that a row of class i is given the label j; known, or from
        :func:`estimate_transition_matrix`.
    labels : array-like of shape (n_classes,), default=None
        The classes in the order of the rows of T. None: those that occur, in sorted order.
    sample_weight : array-like of shape (n_samples,), default=None
        What each row counts; None counts every row once.

    Returns
    -------
    score : float
        Finite, but not confined to [0, 1]: cut off there, the estimate would be biased, and the
        best models tied.

    Raises
    ------
    ValueError
        If T is not square, not of the size of the classes, no stochastic matrix, or so near a
        singular one that sampling errors could grow over 1000-fold; if a label is not among
        `labels`, lengths differ, or labels or weights are invalid.

    Notes
    -----
    The standard error is that of a mean of entries of the inverse of T: the noisier the labels,
    the more rows it takes.

    References
    ----------
    .. [1] Natarajan, Dhillon, Ravikumar, Tewari, "Learning with Noisy Labels", NeurIPS 2013.
    .. [2] Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a
       Loss Correction Approach", CVPR 2017.

    Examples
    --------
    One in five of class 1 is labelled 0, and the predictions are right:

    >>> from crust_sklearn.metrics import corrected_accuracy_score
    >>> y_noisy = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    >>> y_pred = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    >>> T = [[1.0, 0.0], [0.2, 0.8]]
    >>> round(corrected_accuracy_score(y_noisy, y_pred, transition_matrix=T), 3)
    1.0
    """
    matrix = check_transition_matrix(transition_matrix)
    y_true, y_pred, weights = check_pair(y_true, y_pred, sample_weight)
    classes = check_classes(labels, {"y_true": y_true, "y_pred": y_pred})
    if len(classes) != len(matrix):
        raise ValueError(
            f"transition_matrix has {len(matrix)} rows, expected one for each of the "
            f"{len(classes)} classes {classes.tolist()}. Name the class of each row by the "
            "parameter labels."
        )
    codec = LabelCodec(classes)
    scores = np.linalg.inv(matrix)[codec.encode(y_true), codec.encode(y_pred)]
    return float(np.average(scores, weights=weights))


def check_transition_matrix(matrix: Any) -> np.ndarray:
    """Return a stochastic matrix that can be inverted."""
    matrix = check_stochastic_matrix("transition_matrix", matrix)
    smallest = np.linalg.svd(matrix, compute_uv=False)[-1]
    if smallest < _SMALLEST_SINGULAR_VALUE:
        raise ValueError(
            f"transition_matrix is nearly singular (smallest singular value {smallest:.2g}, at "
            f"least {_SMALLEST_SINGULAR_VALUE:g} needed): different true classes give the same "
            "labels, so the labels do not tell them apart. Merge these classes, or use dmi_scorer."
        )
    return matrix
