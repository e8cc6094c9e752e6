"""The determinant of the joint distribution of labels and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._validation import check_number
from ..label_noise.probabilities import check_proba
from ..labels import LabelCodec, check_classes, check_rows
from .checks import check_pair, check_weights


def determinant_mutual_information(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Any = None,
    sample_weight: Any = None,
    normalize: bool = False,
    floor: float = 0.0,
) -> float:
    """Return the determinant based mutual information of labels and predictions.

    ``|det Q|``, where ``Q[i, j]`` is the share of the rows with label i and prediction j [1]_.
    Class-conditional label noise with transition matrix T multiplies it by ``|det T|``, whatever
    the predictions: in expectation over the noise, models keep their order.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The given labels, of any kind that scikit-learn's classifiers accept.
    y_pred : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted labels, or predicted probabilities with a column for each class. A row of
        probabilities counts as a prediction drawn from them.
    labels : array-like of shape (n_classes,), default=None
        The classes, for probabilities in the order of their columns. None: those that occur, in
        sorted order.
    sample_weight : array-like of shape (n_samples,), default=None
        What each row counts; None counts every row once.
    normalize : bool, default=False
        Whether to return ``n_classes * |det Q| ** (1 / n_classes)``. The order stays, and the value
        is a readable one: from 0 to 1, 1 for right predictions of balanced classes. It does not
        underflow where classes are many, as the determinant does from about 150.
    floor : float, default=0.0
        In rows: singular values of Q below ``floor / n_samples`` are raised to it. With 0, the
        score is 0 as soon as one class is never predicted, however good the rest is; a positive
        floor grades such predictions. Above the floor it changes nothing. With `sample_weight`,
        n_samples is the effective number of rows, ``sum(w)^2 / sum(w^2)``.

    Returns
    -------
    score : float
        At least 0, finite. At most ``(1 / n_classes) ** n_classes``, 1 if normalized; a floor may
        exceed it where there are fewer than ``floor * n_classes`` rows.

    Raises
    ------
    ValueError
        If there are fewer than two classes, a label that is not among `labels`, lengths that
        differ, or an invalid entry (NaN, negative weight, no probability).
    TypeError
        If `floor` is not a number.

    Notes
    -----
    The bound: ``|det Q|`` is at most the product of the row sums, which sum to one. Not in [1]_:
    `normalize` (a monotone function of the determinant) and `floor`.

    The measure does not know which prediction means which class: exchanging the names of two
    predicted classes does not change it. It judges models that were trained on labels of which
    most of each class are right.

    The probabilities of an honest model of noisy labels are spread out, and those of one that
    memorizes them are not: compare models by their predicted labels.

    References
    ----------
    .. [1] Xu, Cao, Kong, Wang, "L_DMI: A Novel Information-theoretic Loss Function for Training
       Deep Nets Robust to Label Noise", NeurIPS 2019, section 3: the loss is ``-log |det Q|``.

    Examples
    --------
    >>> from crust_sklearn.metrics import determinant_mutual_information
    >>> y_true = ["cat", "cat", "dog", "dog"]
    >>> determinant_mutual_information(y_true, y_true)
    0.25
    >>> determinant_mutual_information(y_true, y_true, normalize=True)
    1.0
    >>> determinant_mutual_information(y_true, ["cat"] * 4)
    0.0
    """
    check_number("floor", floor, low=0.0)
    joint, n_rows = _joint(y_true, y_pred, labels, sample_weight)
    values = np.linalg.svd(joint, compute_uv=False)
    # What the decomposition leaves of a zero; its root would be far from zero.
    values[values <= np.finfo(np.float64).eps * len(values) * values[0]] = 0.0
    values = np.maximum(values, floor / n_rows)
    if not normalize or not values.all():
        return float(values.prod())
    return float(len(values) * np.exp(np.log(values).mean()))


def _joint(y_true: Any, y_pred: Any, labels: Any, sample_weight: Any) -> tuple[np.ndarray, float]:
    """Return the joint distribution of labels and predictions, and the effective number of rows."""
    if np.ndim(y_pred) == 2 and np.shape(y_pred)[1] > 1:
        y_true = check_rows("y_true", y_true)
        classes = _check_several(check_classes(labels, {"y_true": y_true}))
        proba = check_proba("y_pred", y_pred, len(y_true), len(classes))
        weights = check_weights(sample_weight, len(y_true))
    else:
        y_true, y_pred, weights = check_pair(y_true, y_pred, sample_weight)
        classes = _check_several(check_classes(labels, {"y_true": y_true, "y_pred": y_pred}))
        proba = np.eye(len(classes))[LabelCodec(classes).encode(y_pred)]
    weights = weights / weights.sum()
    joint = np.zeros((len(classes), len(classes)))
    np.add.at(joint, LabelCodec(classes).encode(y_true), weights[:, None] * proba)
    return joint, float(1.0 / (weights @ weights))


def _check_several(classes: np.ndarray) -> np.ndarray:
    if len(classes) < 2:
        raise ValueError(
            f"There is one class only, {classes.tolist()}: nothing to be informed about. Score "
            "rows of several classes, or name all classes by the parameter labels."
        )
    return classes
