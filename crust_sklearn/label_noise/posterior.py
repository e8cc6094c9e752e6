"""How probable it is that a given label is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from .anchors import UNSEEN, get_transitions
from .calibration import calibrate
from .class_pairs import ClassPairs
from .top_predictions import MAX_KEPT, TopPredictions

# The rows that the scale and the priors are fitted to, and the numbers of them in one pass.
MIN_FITTED, MAX_FITTED, FITTED_SIZE = 2**11, 2**12, 2**20
# The rows of each class among them, where they are so many classes that each keeps some.
FITTED_PER_CLASS = 10


class LabelPosterior(NamedTuple):
    """What is thought of given labels.

    Attributes
    ----------
    right : ndarray of shape (n_rows,), dtype float64
        The probability that the given label is right.
    suggested : ndarray of shape (n_rows,), dtype int64
        The label to take: of labels that are probably wrong, the most probable other one; else the
        given one.
    best_other : ndarray of shape (n_rows,), dtype float64
        The probability of the most probable other label.
    """

    right: np.ndarray
    suggested: np.ndarray
    best_other: np.ndarray


def get_label_posterior(
    predictions: Any, codes: np.ndarray, sample_weight: np.ndarray
) -> LabelPosterior:
    """Return how probable each given label is right, by predictions made without it.

    A model of how right labels `k` become given ones `g`: ``P(k) = softmax(a q + b)_k`` of the
    predictions `q`, and ``P(g | k) = T[k, g]``. The scale `a` and the biases `b`, in which the
    classes' frequencies are, make the given labels likeliest, as in forward correction [1]_:
    predictions of a rare class are not taken for wrong because they are small. `T` is read off the
    surer half of the rows of each predicted class, by predictions calibrated in the same way with
    ``T = 1``; a class that gets another label more often than its own counts as if it kept its own.
    By Bayes, a label is right with probability ``P(g) T[g, g] / sum_k P(k) T[k, g]``.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes) or TopPredictions
        Positive, of sum one in each row, each made without the row's label.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    sample_weight : ndarray of shape (n_rows,)
        What each row counts; rows of weight zero are judged as well.

    Returns
    -------
    posterior : LabelPosterior

    Notes
    -----
    The model is fitted to 4 096 rows, drawn by a fixed seed, of more than 256 classes to as few as
    2 048, or, if that is more, to ten for each class, as far as the predictions that these keep are
    not more than a million. Labels that are not seen at a predicted class count half a row each, of
    more than 32 classes 16 rows together. Classes that a row does not keep count in the sums of
    the model, and are not suggested.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a
       Loss Correction Approach", CVPR 2017.

    Examples
    --------
    A tenth of the rows of either class have the other's label:

    >>> import numpy as np
    >>> from crust_sklearn.label_noise import get_label_posterior
    >>> predictions = np.repeat([[0.9, 0.1], [0.1, 0.9]], 100, axis=0)
    >>> codes = np.repeat([0, 1], 100)
    >>> codes[::10] = 1 - codes[::10]
    >>> posterior = get_label_posterior(predictions, codes, np.ones(200))
    >>> np.flatnonzero(posterior.right < 0.5)[:5]
    array([ 0, 10, 20, 30, 40])
    >>> posterior.suggested[:3]
    array([0, 0, 0])
    """
    top = TopPredictions.of(predictions)
    n_classes, n_kept = top.n_classes, top.values.shape[1]
    fitted = _draw_rows(sample_weight, n_classes, n_kept)
    of_fitted = replace(top[fitted], values=top.values[fitted].astype(np.float32))
    rest = codes[fitted], sample_weight[fitted]
    shares, _ = calibrate(of_fitted, *rest, _make_identity(n_classes)).get_shares(of_fitted)
    # All labels that are not seen together count so many rows, however many they are.
    unseen = UNSEEN * min(1.0, MAX_KEPT / n_classes)
    transitions = _normalize(get_transitions(replace(of_fitted, values=shares), *rest, unseen))
    model = calibrate(of_fitted, *rest, transitions)
    right, suggested, best_other = np.empty(len(codes)), codes.copy(), np.empty(len(codes))
    for part in gen_batches(len(codes), max(1, FITTED_SIZE // n_kept)):
        own, given = top[part], codes[part]
        joint, others = model.get_joint(own, given, transitions)
        at, place = np.arange(len(given)), own.find(given)
        total = np.maximum(joint.sum(axis=1) + others, np.finfo(np.float64).tiny)
        right[part] = joint[at, place] / total
        joint[at, place] = -1.0
        best_other[part] = joint.max(axis=1) / total
        is_wrong = right[part] < 0.5
        suggested[part][is_wrong] = own.at(joint.argmax(axis=1))[is_wrong]
    return LabelPosterior(right, suggested, best_other)


def _draw_rows(weights: np.ndarray, n_classes: int, n_kept: int) -> np.ndarray:
    """Return rows that count, drawn by a fixed seed, not more than are needed."""
    rows = np.flatnonzero(weights > 0.0)
    most = int(np.clip(FITTED_SIZE // n_classes, MIN_FITTED, MAX_FITTED))
    most = max(most, min(FITTED_PER_CLASS * n_classes, FITTED_SIZE // n_kept))
    if len(rows) <= most:
        return rows
    # Every so many-th row would be of one class, where classes take turns.
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def _make_identity(n_classes: int) -> ClassPairs:
    """Return the transitions of labels that stay as they are."""
    diagonal = np.arange(n_classes) * (n_classes + 1)
    return ClassPairs(diagonal, np.ones(n_classes), np.zeros(n_classes))


def _normalize(transitions: ClassPairs) -> ClassPairs:
    """Return shares of a sum of one; of classes that lose most labels, as if they kept them."""
    sums = transitions.sum()
    values, others = transitions.values / sums[transitions.first], transitions.others / sums
    # Where most labels are others than the predicted class, it is the prediction that is wrong.
    knows_nothing = transitions.diagonal < transitions.max()
    of_nothing = knows_nothing[transitions.first]
    values[of_nothing] = transitions.is_diagonal[of_nothing]
    others[knows_nothing] = 0.0
    return ClassPairs(transitions.keys, values, others)
