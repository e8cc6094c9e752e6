"""What becomes of the labels of rows that are surely predicted, and what that asks of a label."""

from __future__ import annotations

from typing import Any

import numpy as np

from .class_pairs import ClassPairs
from .top_predictions import TopPredictions

# A label is trusted if it gets this share of the best label's prediction, or less where such labels
# are seldom wrong.
MAX_RATIO = 0.85
# How near to the best label, from 1 (what a wrong label gets) to 0 (as much as the best).
POWER = 1 / 3
# The share of the rows predicted as a class, the surest, that show what becomes of its labels.
ANCHORS = 0.5
# Rows are as sure as others whose prediction differs by no more than this share of it.
AS_SURE = 0.01
# The least rows that tell of the labels of a predicted class, and the chance that they mislead.
MIN_ROWS, RISK = 30, 0.1
# The rows that each label has at a predicted class before any is seen.
UNSEEN = 0.5


def get_min_ratios(predictions: Any, codes: np.ndarray, sample_weight: np.ndarray) -> ClassPairs:
    """Return the share of the best label's prediction from which on a given label is trusted.

    Among rows of class `p`, a share `T[p, g]` is labelled `g`. Predictions of the given labels
    tend to `T[p]` there: a wrong label `g` gets ``T[p, g] / T[p, p]`` of what `p` gets, and a label
    that gets more than that is the more likely to be right. `T` is read off the rows that are
    surely predicted, so-called anchor points [1]_: a network that has not learnt the classes yet
    does not make the labels look worse than they are.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes) or TopPredictions
        Positive, of sum one in each row, each made without the row's label.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    sample_weight : ndarray of shape (n_rows,)
        What each row counts; at least one is positive.

    Returns
    -------
    min_ratios : ClassPairs
        Rows are the class predicted, columns the label given: the cube root of what a wrong label
        gets, so between that and what the best one gets, at most 0.85; 1 on the diagonal.

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
    >>> codes = np.concatenate([np.zeros(300, int), np.tile([0, 1, 1], 100)])
    >>> get_min_ratios(predictions, codes, np.ones(600)).toarray().round(2)
    array([[1.  , 0.15],
           [0.8 , 1.  ]])
    """
    transitions = get_transitions(predictions, codes, sample_weight)
    own = transitions.diagonal
    values = np.minimum((transitions.values / own[transitions.first]) ** POWER, MAX_RATIO)
    values[transitions.is_diagonal] = 1.0
    others = np.minimum((transitions.others / own) ** POWER, MAX_RATIO)
    return ClassPairs(transitions.keys, values, others)


def limit_dropped(
    min_ratios: ClassPairs,
    predictions: Any,
    codes: np.ndarray,
    sample_weight: np.ndarray,
    most: float,
) -> ClassPairs:
    """Return ratios, lowered by one factor, that about so many labels do not get, or fewer.

    Parameters
    ----------
    min_ratios : ClassPairs
        As of `get_min_ratios`.
    predictions : ndarray of shape (n_rows, n_classes) or TopPredictions
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    sample_weight : ndarray of shape (n_rows,)
        What each row counts; all are positive.
    most : float
        The share of the labels, by weight, that may not get what is asked, from 0 to 1.

    Returns
    -------
    limited : ClassPairs
        Of the factors up to one, that by which the share is nearest to `most`: labels that get the
        same of what is asked, to 1e-4 of it, stay together.

    Examples
    --------
    Of four labels two get less than 0.8 of what the best one gets, and one may:

    >>> import numpy as np
    >>> from crust_sklearn.label_noise import ClassPairs
    >>> from crust_sklearn.label_noise.anchors import limit_dropped
    >>> predictions = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> ratios = ClassPairs(np.array([0, 3]), np.ones(2), np.full(2, 0.8))
    >>> limit_dropped(
    ...     ratios, predictions, np.array([0, 0, 1, 1]), np.ones(4), 0.25
    ... ).toarray().round(2)
    array([[0.83, 0.67],
           [0.67, 0.83]])
    """
    top = TopPredictions.of(predictions)
    got = top.own(codes) / (min_ratios[top.best, codes] * top.sure.astype(np.float64))
    order = np.argsort(got)
    got, sums = got[order], np.concatenate([[0.0], np.cumsum(sample_weight[order])])
    # A little less than what labels get: equal ones, which differ by rounding, stay together.
    factors = np.append((1.0 - 1e-4) * got[got < 1.0], 1.0)
    left_out = sums[np.searchsorted(got, factors)]
    factor = factors[np.abs(left_out - most * sums[-1]).argmin()]
    return ClassPairs(min_ratios.keys, factor * min_ratios.values, factor * min_ratios.others)


def get_transitions(
    predictions: Any, codes: np.ndarray, sample_weight: np.ndarray, unseen: float = UNSEEN
) -> ClassPairs:
    """Return how often rows surely predicted as a class have each label.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes) or TopPredictions
    codes : ndarray of shape (n_rows,), dtype int64
    sample_weight : ndarray of shape (n_rows,)
    unseen : float, default=0.5
        What each label counts before any is seen.

    Returns
    -------
    transitions : ClassPairs
        Rows are the class predicted, columns the label given: summed weights of the anchors, where
        one is the mean of all positive ones, and `unseen` more of each label, so that what was
        not seen is not held to be impossible. Of a class that is never predicted, its own label
        alone.
    """
    top = TopPredictions.of(predictions)
    n_classes, weights = top.n_classes, sample_weight / sample_weight[sample_weight > 0.0].mean()
    anchors, shares = find_anchors(top)
    best = top[anchors].best
    diagonal = np.arange(n_classes) * (n_classes + 1)
    seen = np.concatenate([diagonal, best * n_classes + codes[anchors]])
    keys, at = np.unique(seen, return_inverse=True)
    counts = np.concatenate([np.zeros(n_classes), shares * weights[anchors]])
    values = np.bincount(at, counts) + unseen
    is_predicted = np.bincount(best, minlength=n_classes) > 0
    values[~is_predicted[keys // n_classes]] = 1.0  # the diagonal, where there is nothing else
    return ClassPairs(keys, values, np.where(is_predicted, unseen, 0.0))


def find_anchors(predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the surer half of the rows predicted as each class, and ten of them if there are ten.

    Of rows with the same features, those with another label than the predicted one are predicted a
    little more surely, as it is their own vote that is left out. So no label has a say in which of
    the rows are anchors that are as sure as the least sure one, to a hundredth of it: each of them
    counts by the share of them that is needed.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes) or TopPredictions

    Returns
    -------
    rows : ndarray of shape (n_anchors,), dtype int64
        Class by class, the surest first; of equal ones, the earlier row.
    shares : ndarray of shape (n_anchors,), dtype float64
        What each counts, above 0 and at most 1; of a sum of half of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import find_anchors
    >>> sure = np.repeat([0.9, 0.8, 0.7], 8)
    >>> rows, shares = find_anchors(np.column_stack([sure, 1 - sure]))
    >>> rows
    array([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15])
    >>> shares[[0, 8]]
    array([1. , 0.5])
    """
    top = TopPredictions.of(predictions)
    order, sizes = _sort_by_sureness(top.best, top.sure, top.n_classes)
    # One ascending list for all classes: what they are predicted with is from 0 to 1.
    sure = top.sure[order].astype(np.float64)
    ranks = 4.0 * top.best[order] - sure
    found = np.flatnonzero(sizes)
    begin = (np.cumsum(sizes) - sizes)[found]
    n_anchors = np.minimum(np.maximum(10, (ANCHORS * sizes[found]).astype(np.int64)), sizes[found])
    first, last, share = _find_equals(ranks, sure, begin, n_anchors)
    at, sizes = np.arange(len(order)), sizes[found]
    shares = np.where(at < np.repeat(first, sizes), 1.0, np.repeat(share, sizes))
    is_anchor = at < np.repeat(last, sizes)
    return order[is_anchor], shares[is_anchor]


def get_sure_noise(predictions: Any, codes: np.ndarray, sample_weight: np.ndarray) -> float:
    """Return the share of wrong labels among the rows whose class is known best.

    The rows predicted as a class are sorted, the surest first. Of the ``m >= 30`` first ones, taken
    as those of `find_anchors` are, those count for which the upper bound of the share of other
    labels, ``a_m + sqrt(log(10) / (2 n_m))``, is least (Hoeffding's, of risk 0.1), where
    ``n_m = sum(w)^2 / sum(w^2)`` is `m` if all weights are the same, and less if they are not.
    Where right labels are hard to predict, these rows are few and still agree with their labels;
    where labels are wrong, they are as often wrong here as elsewhere. Each class counts by the rows
    that are predicted as it. Classes of which fewer than 30 rows are predicted count as one.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes) or TopPredictions
    codes : ndarray of shape (n_rows,), dtype int64
    sample_weight : ndarray of shape (n_rows,)
        What each row counts in the share; at least one is positive.

    Returns
    -------
    noise : float
        By weight; 0 if there are fewer than 30 rows.

    Examples
    --------
    Half of the labels disagree, but not where the prediction is sure:

    >>> import numpy as np
    >>> from crust_sklearn.label_noise import get_sure_noise
    >>> predictions = np.repeat([[0.9, 0.1], [0.51, 0.49]], 100, axis=0)
    >>> codes = np.repeat([0, 1], 100)
    >>> get_sure_noise(predictions, codes, np.ones(200))
    0.0
    >>> round(get_sure_noise(predictions, np.tile([0, 1], 100), np.ones(200)), 2)
    0.5
    """
    sample_weight = sample_weight / np.max(sample_weight)
    top = TopPredictions.of(predictions)
    best, sure = top.best, top.sure
    order, sizes = _sort_by_sureness(best, sure, top.n_classes)
    is_small = np.repeat(sizes < MIN_ROWS, sizes)
    groups = np.split(order[~is_small], np.cumsum(sizes[sizes >= MIN_ROWS])[:-1])
    few = order[is_small]
    groups.append(few[np.argsort(-sure[few], kind="stable")])
    total = wrong = 0.0
    for rows in groups:
        if len(rows) < MIN_ROWS:
            continue
        n_rows = np.arange(MIN_ROWS, len(rows) + 1)
        sorted_sure = sure[rows].astype(np.float64)
        equals = _find_equals(-sorted_sure, sorted_sure, 0, n_rows)
        weights, tiny = sample_weight[rows], np.finfo(np.float64).tiny
        counted = _add_up(weights, *equals)
        others = _add_up(weights * (best[rows] != codes[rows]), *equals)
        share = others / np.maximum(counted, tiny)
        effective = counted**2 / np.maximum(_add_up(weights**2, *equals), tiny)
        margins = np.sqrt(np.log(1.0 / RISK) / (2.0 * np.maximum(effective, 1.0)))
        # A class counts by its size, as fewer of its rows are sure where labels are wrong.
        size = weights.sum()
        total += size
        wrong += size * share[(share + margins).argmin()]
    return float(wrong / total) if total > 0.0 else 0.0


def _sort_by_sureness(
    best: np.ndarray, sure: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows by predicted class, the surest of each first, and how many each class has."""
    return np.lexsort((-sure, best)), np.bincount(best, minlength=n_classes)


def _find_equals(
    ranks: np.ndarray, sure: np.ndarray, begin: Any, n_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which rows are as sure as the last one of some that are surest.

    Those are `n_rows` from `begin` on, by `ranks`, which ascend as `sure` descends in a class.
    Returned are the first row that is as sure, the one after the last, and what each of them
    counts, so that all counts add up to `n_rows`.
    """
    at = begin + n_rows - 1
    # Of very many classes, all predictions are small.
    near = AS_SURE * sure[at]
    first = np.searchsorted(ranks, ranks[at] - near, "left")
    last = np.searchsorted(ranks, ranks[at] + near, "right")
    return first, last, (begin + n_rows - first) / (last - first)


def _add_up(
    numbers: np.ndarray, first: np.ndarray, last: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Return the sums of the numbers before `first`, and of a share of those up to `last`."""
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    return sums[first] + share * (sums[last] - sums[first])
