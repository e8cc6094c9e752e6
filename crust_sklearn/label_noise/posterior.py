"""How probable it is that a given label is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from .anchors import get_transitions

# The rows that the scale and the priors are fitted to, and the numbers of them in one pass.
MIN_FITTED, MAX_FITTED, FITTED_SIZE = 2**11, 2**12, 2**20
# Of the priors, so that those of classes without rows stay finite.
PENALTY = 1e-5


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
    predictions: np.ndarray, codes: np.ndarray, sample_weight: np.ndarray
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
    predictions : ndarray of shape (n_rows, n_classes)
        Positive, of sum one in each row, each made without the row's label.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    sample_weight : ndarray of shape (n_rows,)
        What each row counts; rows of weight zero are judged as well.

    Returns
    -------
    posterior : LabelPosterior

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
    n_classes = predictions.shape[1]
    fitted = _spread(sample_weight, n_classes)
    of_fitted = predictions[fitted].astype(np.float32), codes[fitted], sample_weight[fitted]
    scale, biases = _calibrate(*of_fitted, np.eye(n_classes))
    calibrated = softmax(scale * of_fitted[0] + biases, axis=1)
    transitions = get_transitions(calibrated, *of_fitted[1:])
    transitions /= transitions.sum(axis=1, keepdims=True)
    # Where most labels are others than the predicted class, it is the prediction that is wrong.
    knows_nothing = transitions.diagonal() < transitions.max(axis=1)
    transitions[knows_nothing] = np.eye(n_classes)[knows_nothing]
    scale, biases = _calibrate(*of_fitted, transitions)
    right, suggested, best_other = np.empty(len(codes)), codes.copy(), np.empty(len(codes))
    for part in gen_batches(len(codes), max(1, FITTED_SIZE // n_classes)):
        at, own = np.arange(len(codes[part])), codes[part]
        joint = softmax(scale * predictions[part] + biases, axis=1) * transitions.T[own]
        total = np.maximum(joint.sum(axis=1), np.finfo(np.float64).tiny)
        right[part] = joint[at, own] / total
        joint[at, own] = -1.0
        best_other[part] = joint.max(axis=1) / total
        is_wrong = right[part] < 0.5
        suggested[part][is_wrong] = joint.argmax(axis=1)[is_wrong]
    return LabelPosterior(right, suggested, best_other)


def _spread(weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Return rows that count, evenly spread, not more than are needed."""
    rows = np.flatnonzero(weights > 0.0)
    most = int(np.clip(FITTED_SIZE // n_classes, MIN_FITTED, MAX_FITTED))
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]


def _calibrate(
    predictions: np.ndarray, codes: np.ndarray, weights: np.ndarray, transitions: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the scale and the biases that make the given labels likeliest."""
    # In columns, of which the sums are over many rows at once.
    q, of_given = np.ascontiguousarray(predictions.T), transitions[:, codes].astype(np.float32)
    shares = (weights / weights.sum()).astype(np.float32)

    def get_loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, biases = np.float32(parameters[0]), parameters[1:]
        P = scale * q + biases.astype(np.float32)[:, None]
        P -= P.max(axis=0)
        np.exp(P, out=P)
        P /= P.sum(axis=0)
        joint = P * of_given
        likelihood = np.maximum(joint.sum(axis=0), np.finfo(np.float32).tiny)
        joint /= likelihood
        P -= joint
        P *= shares
        loss = PENALTY / 2 * biases @ biases - float(shares @ np.log(likelihood))
        slope = np.einsum("ij,ij->", P, q, dtype=np.float64)
        return loss, np.r_[slope, P.sum(axis=1, dtype=np.float64) + PENALTY * biases]

    start = np.r_[3.0, np.zeros(predictions.shape[1])]
    bounds = [(0.01, None)] + [(None, None)] * predictions.shape[1]
    options = {"ftol": 1e-7}  # of float32
    # Of vectors as short as these, threads make hundreds of steps slower, not faster.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(
            get_loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x
    return float(found[0]), found[1:]
