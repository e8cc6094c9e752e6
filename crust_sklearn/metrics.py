"""Scores that choose between models although the labels they are scored on are partly wrong.

Three answers, by what is known about the noise. Nothing: determinant mutual information keeps the
order of models under any class-conditional noise. Its transition matrix: the accuracy corrected by
it. Some labels for sure: the accuracy on those. Each comes as a function of labels and predictions
and as a scorer for ``scoring=``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from ._validation import check_choice, check_number, check_sample_weight
from .labels import LabelCodec, check_labels

__all__ = [
    "corrected_accuracy_score",
    "corrected_accuracy_scorer",
    "determinant_mutual_information",
    "dmi_scorer",
    "estimate_transition_matrix",
    "trusted_accuracy_score",
    "trusted_accuracy_scorer",
]

_METHODS = ("confident-joint", "anchor")

# float32 softmax outputs of thousands of classes stay well inside.
_SUM_TOLERANCE = 1e-3

# Correcting multiplies sampling errors by up to 1 / (smallest singular value): beyond 1000, a
# million rows would not fix the first decimal.
_SMALLEST_SINGULAR_VALUE = 1e-3

# A mean of equal probabilities may come out above each of them.
_ROUNDING = 1e-9


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
    >>> from crust_sklearn.noise import make_label_noise
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = make_label_noise(y, "asymmetric", 0.3, transition={0: 2}, random_state=0).y
    >>> model = LogisticRegression(max_iter=1000)
    >>> proba = cross_val_predict(model, X, y_noisy, method="predict_proba")
    >>> estimate_transition_matrix(y_noisy, proba)[0].round(1)
    array([0.7, 0. , 0.3])
    """
    check_choice("method", method, _METHODS)
    check_number("quantile", quantile, low=0.0, high=1.0, open_low=True)
    y = _check_rows("y", y)
    classes = _check_classes(labels, {"y": y})
    proba = _check_proba("proba", proba, len(y), len(classes))
    codes = LabelCodec(classes).encode(y)
    if method == "anchor":
        return _anchor_transitions(codes, proba, quantile)
    return _joint_transitions(_confident_joint(codes, proba))


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
    matrix = _check_transition_matrix(transition_matrix)
    y_true, y_pred, weights = _check_pair(y_true, y_pred, sample_weight)
    classes = _check_classes(labels, {"y_true": y_true, "y_pred": y_pred})
    if len(classes) != len(matrix):
        raise ValueError(
            f"transition_matrix has {len(matrix)} rows, expected one for each of the "
            f"{len(classes)} classes {classes.tolist()}. Name the class of each row by the "
            "parameter labels."
        )
    codec = LabelCodec(classes)
    scores = np.linalg.inv(matrix)[codec.encode(y_true), codec.encode(y_pred)]
    return float(np.average(scores, weights=weights))


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
    >>> trusted_accuracy_score([0, 0, 1, 1], [0, 1, 1, 0], trusted=[True, True, True, False])
    0.6666666666666666
    """
    y_true, y_pred, weights = _check_pair(y_true, y_pred, sample_weight)
    weights = weights * _check_mask(trusted, len(y_true))
    if not weights.any():
        raise ValueError(
            f"trusted is False for every one of the {len(y_true)} rows to score (or their "
            "sample_weight is 0). Trust more rows, or in cross-validation use fewer folds or "
            "splits that share them out, e.g. StratifiedKFold().split(X, trusted)."
        )
    right = y_true == y_pred
    return float(np.average(right, weights=weights))


def corrected_accuracy_scorer(transition_matrix: Any, *, labels: Any = None) -> Any:
    """Make a scorer of :func:`corrected_accuracy_score`.

    Parameters
    ----------
    transition_matrix : array-like of shape (n_classes, n_classes)
        ``T[i, j]``, the probability that a row of class i is given the label j. If unknown,
        estimate it once for all models to be compared, as below: an estimate from the
        probabilities of the model that is scored would flatter the bad ones (see the notes of
        :func:`estimate_transition_matrix`).
    labels : array-like of shape (n_classes,), default=None
        The classes in the order of the rows of T. None: the estimator's ``classes_`` and those
        that occur, in sorted order.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``, for ``scoring=``. Its method
        ``set_score_request(sample_weight=True)`` returns a scorer that takes weights by metadata
        routing.

    Raises
    ------
    ValueError
        If T is not square, no stochastic matrix or nearly singular, or if `labels` holds a label
        twice or another number of labels than T has rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV, cross_val_predict
    >>> from crust_sklearn.metrics import corrected_accuracy_scorer, estimate_transition_matrix
    >>> from crust_sklearn.noise import make_label_noise
    >>> X, y = load_iris(return_X_y=True)
    >>> y_noisy = make_label_noise(y, "asymmetric", 0.3, transition={0: 2}, random_state=0).y
    >>> model = LogisticRegression(max_iter=1000)
    >>> proba = cross_val_predict(model, X, y_noisy, method="predict_proba")
    >>> scorer = corrected_accuracy_scorer(estimate_transition_matrix(y_noisy, proba))
    >>> search = GridSearchCV(model, {"C": [0.001, 1.0]}, scoring=scorer).fit(X, y_noisy)
    >>> search.best_params_
    {'C': 1.0}
    """
    # Here, too: in a search, an error in the scorer is only a warning and a score of NaN.
    matrix = _check_transition_matrix(transition_matrix)
    if labels is not None and len(_check_classes(labels, {})) != len(matrix):
        raise ValueError(
            f"labels has {len(labels)} entries, expected {len(matrix)}: one for each row of "
            "transition_matrix."
        )
    return _Scorer(corrected_accuracy_score, {"transition_matrix": matrix, "labels": labels})


@dataclass(frozen=True, eq=False, repr=False)
class _Scorer:
    """A score of labels and predicted labels as a scorer that knows the estimator's classes.

    scikit-learn's ``make_scorer`` does not show the estimator to the score, which then cannot
    tell a class that is absent from a fold from one that does not exist.
    """

    score_func: Callable[..., float]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    requests: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, estimator: Any, X: Any, y_true: Any, **metadata: Any) -> float:
        for name in self.required:
            if metadata.get(name) is None:
                raise ValueError(
                    f"{name} did not reach the scorer. Switch on metadata routing, "
                    "sklearn.set_config(enable_metadata_routing=True), and pass it on: "
                    f"GridSearchCV(...).fit(X, y, {name}={name}) or "
                    f"cross_val_score(..., params={{'{name}': {name}}})."
                )
        y_pred = estimator.predict(X)
        kwargs = {**self.kwargs, **metadata}
        if "labels" in kwargs and kwargs["labels"] is None:
            kwargs["labels"] = _all_classes(estimator, y_true, y_pred)
        return self.score_func(y_true, y_pred, **kwargs)

    def __repr__(self) -> str:
        return f"<scorer of {self.score_func.__name__}>"

    def set_score_request(self, **requests: bool | str | None) -> _Scorer:
        """Return a scorer that requests metadata; this one, which others may use, is unchanged.

        Parameters
        ----------
        **requests : bool, str or None
            ``sample_weight=True``; a string is the name under which the metadata is passed.
        """
        for name in requests:
            check_choice("set_score_request", name, ("sample_weight", *self.required))
        changed = replace(self, requests={**self.requests, **requests})
        changed.get_metadata_routing()
        return changed

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what scikit-learn's metadata routing asks a scorer for."""
        request = MetadataRequest(owner=self)
        for name, alias in self.requests.items():
            request.score.add_request(param=name, alias=alias)
        return request


#: Scorer of :func:`determinant_mutual_information`, normalized and with a floor of one row: finite,
#: and graded where a class is never predicted or absent from a fold.
dmi_scorer = _Scorer(
    determinant_mutual_information, {"normalize": True, "floor": 1.0, "labels": None}
)

#: Scorer of :func:`trusted_accuracy_score`, which requests `trusted` by metadata routing:
#: ``GridSearchCV(..., scoring=trusted_accuracy_scorer).fit(X, y, trusted=mask)`` after
#: ``sklearn.set_config(enable_metadata_routing=True)``.
trusted_accuracy_scorer = _Scorer(
    trusted_accuracy_score, required=("trusted",), requests={"trusted": True}
)


def _joint(y_true: Any, y_pred: Any, labels: Any, sample_weight: Any) -> tuple[np.ndarray, float]:
    """Return the joint distribution of labels and predictions, and the effective number of rows."""
    if np.ndim(y_pred) == 2 and np.shape(y_pred)[1] > 1:
        y_true = _check_rows("y_true", y_true)
        classes = _check_several(_check_classes(labels, {"y_true": y_true}))
        proba = _check_proba("y_pred", y_pred, len(y_true), len(classes))
        weights = _check_weights(sample_weight, len(y_true))
    else:
        y_true, y_pred, weights = _check_pair(y_true, y_pred, sample_weight)
        classes = _check_several(_check_classes(labels, {"y_true": y_true, "y_pred": y_pred}))
        proba = np.eye(len(classes))[LabelCodec(classes).encode(y_pred)]
    weights = weights / weights.sum()
    joint = np.zeros((len(classes), len(classes)))
    np.add.at(joint, LabelCodec(classes).encode(y_true), weights[:, None] * proba)
    return joint, float(1.0 / (weights @ weights))


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


def _all_classes(estimator: Any, y_true: Any, y_pred: Any) -> np.ndarray:
    """Return the classes that the estimator knows and those that occur, in sorted order."""
    seen = [_check_rows("y_true", y_true), _check_rows("y_pred", y_pred)]
    return _union(np.asarray(getattr(estimator, "classes_", seen[1])), *seen)


def _union(*parts: np.ndarray) -> np.ndarray:
    """Return all labels in sorted order."""
    # Not sklearn's unique_labels: it takes a list of classes for continuous targets, and warns.
    if len({isinstance(part[0], str) for part in parts if len(part)}) > 1:
        raise ValueError(
            "Some labels are strings and some are numbers, which are never equal. Give all of "
            "y_true, y_pred and labels as one or the other."
        )
    return np.unique(np.concatenate(parts))


def _check_classes(labels: Any, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return `labels`, which must hold all that are given, or without it the ones given."""
    if labels is None:
        return _union(*given.values())
    classes = np.asarray(labels)
    if classes.ndim != 1:
        raise ValueError(f"labels.shape == {classes.shape}, expected (n_classes,).")
    if len(np.unique(classes)) < len(classes):
        raise ValueError(f"labels={labels!r} holds a label twice. Give each label once.")
    for name, y in given.items():
        unknown = np.setdiff1d(_union(y, classes), classes)
        if len(unknown):
            raise ValueError(
                f"{name} holds labels that are not among labels={classes.tolist()}: "
                f"{unknown[:5].tolist()}. Name all classes in labels."
            )
    return classes


def _check_several(classes: np.ndarray) -> np.ndarray:
    if len(classes) < 2:
        raise ValueError(
            f"There is one class only, {classes.tolist()}: nothing to be informed about. Score "
            "rows of several classes, or name all classes by the parameter labels."
        )
    return classes


def _check_rows(name: str, y: Any) -> np.ndarray:
    """Return one label per row of at least one row."""
    try:
        y = check_labels(y)
    except ValueError as error:
        raise ValueError(f"{name} must hold one class label per row: {error}") from error
    if not len(y):
        raise ValueError(f"{name} holds no rows. Give at least one.")
    return y


def _check_pair(
    y_true: Any, y_pred: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, predicted labels and weights of equal length."""
    y_true, y_pred = _check_rows("y_true", y_true), _check_rows("y_pred", y_pred)
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_pred has {len(y_pred)} rows and y_true {len(y_true)}. Give a prediction for every "
            "label."
        )
    _union(y_true, y_pred)  # strings never equal numbers
    return y_true, y_pred, _check_weights(sample_weight, len(y_true))


def _check_weights(sample_weight: Any, n_rows: int) -> np.ndarray:
    weights = check_sample_weight(sample_weight, n_rows)
    return np.ones(n_rows) if weights is None else weights / weights.max()


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


def _as_numbers(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers, in rows of equal length: {error}") from error


def _check_proba(name: str, proba: Any, n_rows: int, n_classes: int) -> np.ndarray:
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


def _check_transition_matrix(matrix: Any) -> np.ndarray:
    """Return a stochastic matrix that can be inverted."""
    name = "transition_matrix"
    matrix = _as_numbers(name, matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name}.shape == {matrix.shape}, expected (n_classes, n_classes).")
    if not (matrix >= 0).all():
        raise ValueError(f"{name} must not have negative or NaN entries.")
    sums = matrix.sum(axis=1)
    if not np.allclose(sums, 1):
        hint = " Its columns do: transpose it." if np.allclose(matrix.sum(axis=0), 1) else ""
        raise ValueError(f"The rows of {name} must sum to 1, got {sums}.{hint}")
    smallest = np.linalg.svd(matrix, compute_uv=False)[-1]
    if smallest < _SMALLEST_SINGULAR_VALUE:
        raise ValueError(
            f"{name} is nearly singular (smallest singular value {smallest:.2g}, at least "
            f"{_SMALLEST_SINGULAR_VALUE:g} needed): different true classes give the same labels, "
            "so the labels do not tell them apart. Merge these classes, or use dmi_scorer."
        )
    return matrix
