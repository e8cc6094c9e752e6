"""What becomes of the labels of rows that are surely predicted, and what that asks of a label."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

# A label is trusted if it gets this share of the best label's prediction, or less where such labels
# are seldom wrong.
MAX_RATIO = 0.85
# How near to the best label, from 1 (what a wrong label gets) to 0 (as much as the best).
POWER = 0.25
# The share of the rows predicted as a class, the surest, that show what becomes of its labels.
ANCHORS = 0.5


def get_min_ratios(
    predictions: np.ndarray, codes: np.ndarray, sample_weight: np.ndarray
) -> np.ndarray:
    """Return the share of the best label's prediction from which on a given label is trusted.

    Among rows of class `p`, a share `T[p, g]` is labelled `g`. Predictions of the given labels
    tend to `T[p]` there: a wrong label `g` gets ``T[p, g] / T[p, p]`` of what `p` gets, and a label
    that gets more than that is the more likely to be right. `T` is read off the rows that are
    surely predicted, so-called anchor points [1]_: a network that has not learnt the classes yet
    does not make the labels look worse than they are.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes)
        Positive, of sum one in each row, each made without the row's label.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    sample_weight : ndarray of shape (n_rows,)
        What each row counts, 1 on average.

    Returns
    -------
    min_ratios : ndarray of shape (n_classes, n_classes)
        Rows are the class predicted, columns the label given: the fourth root of what a wrong
        label gets, at most 0.85; 1 on the diagonal. The root is taken of calibrated predictions:
        those that are too unsure (powers above one would predict the labels better) ask for more.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a
       Loss Correction Approach", CVPR 2017, section 4.

    Examples
    --------
    A third of the second class is labelled 0, and none of the first class is labelled 1:

    >>> import numpy as np
    >>> from crust_sklearn.label_noise import get_min_ratios
    >>> predictions = np.repeat([[0.98, 0.02], [0.33, 0.67]], 300, axis=0)
    >>> codes = np.repeat([0, 0, 1], [300, 100, 200])
    >>> get_min_ratios(predictions, codes, np.ones(600)).round(2)
    array([[1.  , 0.32],
           [0.85, 1.  ]])
    """
    n_classes = predictions.shape[1]
    anchors = find_anchors(predictions)
    best = predictions[anchors].argmax(axis=1)
    transition = np.zeros((n_classes, n_classes))
    np.add.at(transition, (best, codes[anchors]), sample_weight[anchors])
    # Half a row more of each label, so that what was not seen is not held to be impossible.
    transition += 0.5
    is_predicted = np.bincount(best, minlength=n_classes) > 0
    transition[~is_predicted] = np.eye(n_classes)[~is_predicted]
    shares = transition / transition.diagonal()[:, None]
    power = POWER / max(1.0, get_inverse_temperature(predictions, codes, sample_weight))
    min_ratios = np.minimum(shares**power, MAX_RATIO)
    np.fill_diagonal(min_ratios, 1.0)
    return min_ratios


def find_anchors(predictions: np.ndarray) -> np.ndarray:
    """Return the surer half of the rows predicted as each class, and ten of them if there are ten.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes)

    Returns
    -------
    rows : ndarray of shape (n_anchors,), dtype int64
        Class by class, the surest first; of equal ones, the earlier row.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import find_anchors
    >>> sure = np.linspace(0.5, 0.9, 24)
    >>> find_anchors(np.column_stack([sure, 1 - sure]))
    array([23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12])
    """
    best = predictions.argmax(axis=1)
    order = np.lexsort((-predictions.max(axis=1), best))
    sizes = np.bincount(best, minlength=predictions.shape[1])
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    n_anchors = np.maximum(10, (ANCHORS * sizes).astype(np.int64))
    return order[rank < np.repeat(n_anchors, sizes)]


def get_anchor_noise(
    predictions: np.ndarray, codes: np.ndarray, sample_weight: np.ndarray
) -> float:
    """Return the share of the anchors (by weight) whose label is not the one predicted."""
    anchors = find_anchors(predictions)
    is_other = predictions[anchors].argmax(axis=1) != codes[anchors]
    weights = sample_weight[anchors]
    return float(weights @ is_other / (weights.sum() or 1.0))


def get_inverse_temperature(
    predictions: np.ndarray, codes: np.ndarray, sample_weight: np.ndarray
) -> float:
    """Return the power of the predictions that makes the given labels likeliest, 0.5 to 4."""
    logs = np.log(predictions)
    own = sample_weight @ logs[np.arange(len(codes)), codes]

    def cross_entropy(power: float) -> float:
        return float(sample_weight @ logsumexp(power * logs, axis=1) - power * own)

    return float(minimize_scalar(cross_entropy, bounds=(0.5, 4.0), method="bounded").x)
