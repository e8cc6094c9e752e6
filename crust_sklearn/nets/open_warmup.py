"""A warm-up that lasts as long as the network learns what tells of labels that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..label_noise import LabelQuality, join_features
from ..label_noise.label_quality import predict_labels
from . import processes
from .epoch_plan import EpochPlan
from .judged_labels import place

# The share of the rows held out, and how many at least, but for a third of the rows at most.
SHARE, LEAST, MOST_SHARE = 0.1, 100, 1 / 3
# What it counts that rows which are trained on are predicted better than others.
MEMORY = 0.5
# Looks in a row that are not better, which end the warm-up. The first ones are an epoch apart, in
# which a network that begins slowly learns less than chance adds or takes.
PATIENCE = 3
# The share of the epochs after which labels are judged in any case: the rest is for the coreset.
LAST = 2 / 3

HELD_OUT, START, NEXT_LOOK = "held_out", "warmup_start", "next_look"
BEST, SCORE, OWN, N_SINCE = "best_look", "best_look_score", "best_look_own", "looks_since"


def begin_warmup(net: Any, epoch: int) -> EpochPlan:
    """Hold some rows out: a tenth, or a hundred if that is more, but a third at most.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training. What is held out stands in its state; a row of each class is not.
    epoch : int
        The coming one, the first of the warm-up.

    Returns
    -------
    plan : EpochPlan
        Of the other rows.
    """
    training, entries = net.training_, net.state_.entries
    entries[HELD_OUT] = draw_held_out(training, net.get_seed(HELD_OUT, epoch))
    entries |= {START: np.asarray(epoch), NEXT_LOOK: np.asarray(epoch + 1)}
    return EpochPlan(np.setdiff1d(training.rows, entries[HELD_OUT]), is_coreset=False)


def draw_held_out(training: Any, seed: int) -> np.ndarray:
    """Draw rows to hold out: a tenth, or a hundred if that is more, but a third at most.

    Parameters
    ----------
    training : Training
        Rows of weight zero are not drawn, and a row of each class is not.
    seed : int

    Returns
    -------
    rows : ndarray of shape (n_held_out,), dtype int64
        Ascending.
    """
    order = np.random.default_rng(seed).permutation(len(training.rows))
    if training.weights is not None:
        order = order[training.weights[order] > 0.0]
    n_held = int(min(max(SHARE * len(order), LEAST), MOST_SHARE * len(order)))
    stays = np.unique(training.codes[order], return_index=True)[1]
    return np.sort(training.rows[np.delete(order, stays)[:n_held]])


def end_warmup(net: Any) -> None:
    """Forget what is held out, and the looks.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.
    """
    for name in (HELD_OUT, START, NEXT_LOOK, BEST, SCORE, OWN, N_SINCE):
        net.state_.drop(name)


def count_epochs_left(net: Any, epoch: int) -> int:
    """Return how many epochs there are from this one on, in this call, or up to `max_epochs`."""
    return max(net.training_.count_all_epochs(net.max_epochs), net.max_epochs) - epoch


def is_look_due(net: Any, epoch: int) -> bool:
    """Return whether labels are to be judged before an epoch of the warm-up.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.
    epoch : int

    Returns
    -------
    is_due : bool
        After 1, 2, 3, 4, 6, 9, 13, ... epochs: networks that learn fast are watched closely.
    """
    return epoch >= (net.state_.get_number(NEXT_LOOK) or 0)


def find_first_judgement(net: Any, epoch: int, features: Any) -> LabelQuality | None:
    """Return the judgement to choose the first coreset by, when it is time.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training; the best judgement so far is in its state.
    epoch : int
        The coming one.
    features : ndarray or OwnRows of shape (n_train, n_features)
        The inputs of the last linear layer; of several processes, those of the own rows.

    Returns
    -------
    best : LabelQuality or None
        That of the look of the best `score_features`, if this one is worse by more than a standard
        error, if this one and the two before are not better, or if the next one would be after two
        thirds of the epochs, those so far and in this call, or `max_epochs` if these are more; None
        else.
    """
    training, state = net.training_, net.state_
    features = place(net, join_features([features]))
    quality = LabelQuality.start(training.codes, len(net.classes_), training.weights)
    codes, weights = quality.codes, quality.weights
    top = predict_labels(features, codes, quality.n_classes, weights)
    is_held = np.isin(training.rows, state.entries[HELD_OUT])
    quality = quality.update(features, hidden=get_hidden(top.best != codes, is_held, weights))
    own, before, n_since = top.own(codes), state.get_number(SCORE), 0
    changes = own - state.entries.get(OWN, own)
    # What processes find differs by rounding; they are to go on alike.
    score, error = processes.share(
        net,
        (score_features(own, is_held, weights), get_standard_error(changes, is_held, weights)),
    )
    if before is None or score > before:
        before = score
        state.save(BEST, quality)
        state.entries |= {SCORE: np.asarray(score), OWN: own}
    else:
        quality = state.load(BEST, LabelQuality)
        n_since = int(state.entries[N_SINCE]) + 1
    start = int(state.entries[START])
    next_look = epoch + max(1, (epoch - start) // 2)
    is_last = next_look > start + LAST * count_epochs_left(net, start)
    if before - score > error or n_since == PATIENCE or is_last:
        end_warmup(net)
        return quality
    state.entries |= {N_SINCE: np.asarray(n_since), NEXT_LOOK: np.asarray(next_look)}
    return None


def score_features(own: np.ndarray, is_held: np.ndarray, weights: np.ndarray) -> float:
    """Return how well features predict labels, less for what they have learnt by heart.

    Labels are predicted without the row itself, and the better, the more the network has learnt of
    what the classes have in common. On rows that it trains on, predictions get better also when it
    learns these by heart, and then their wrong labels look right.

    Parameters
    ----------
    own : ndarray of shape (n_rows,)
        What each label is predicted with.
    is_held : ndarray of shape (n_rows,), dtype bool
        The rows that are not trained on.
    weights : ndarray of shape (n_rows,)
        What each row counts.

    Returns
    -------
    score : float
        The mean of the rows held out, less half of what that of the others is ahead.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.nets.open_warmup import score_features
    >>> is_held = np.array([False, False, True, True])
    >>> round(score_features(np.array([0.6, 0.6, 0.5, 0.3]), is_held, np.ones(4)), 6)
    0.3
    """
    held, others = average_apart(own, is_held, weights)
    return held - MEMORY * (others - held)


def get_standard_error(changes: np.ndarray, is_held: np.ndarray, weights: np.ndarray) -> float:
    """Return how uncertain it is by how much one score is better than another.

    Parameters
    ----------
    changes : ndarray of shape (n_rows,)
        Of what each label is predicted with, from one to the other.
    is_held : ndarray of shape (n_rows,), dtype bool
        The rows that are not trained on.
    weights : ndarray of shape (n_rows,)
        What each row counts.

    Returns
    -------
    error : float
        The standard error of `score_features` of the changes.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.nets.open_warmup import get_standard_error
    >>> is_held = np.array([True, True, False, False])
    >>> changes = np.array([0.2, -0.2, 0.1, 0.1])
    >>> round(get_standard_error(changes, is_held, np.ones(4)), 3)  # 1.5 * 0.2 / sqrt(2)
    0.212
    """
    means, variance = average_apart(changes, is_held, weights), 0.0
    for rows, mean, factor in zip((is_held, ~is_held), means, (1 + MEMORY, MEMORY), strict=True):
        shares = weights[rows] / max(weights[rows].sum(), np.finfo(float).tiny)
        variance += np.square(factor * shares * (changes[rows] - mean)).sum()
    return float(np.sqrt(variance))


def get_hidden(disagrees: np.ndarray, is_held: np.ndarray, weights: np.ndarray) -> float:
    """Return the share of the wrong labels that features hide as they know them by heart.

    Parameters
    ----------
    disagrees : ndarray of shape (n_rows,), dtype bool
        Whether another label is predicted.
    is_held : ndarray of shape (n_rows,), dtype bool
        The rows that are not trained on.
    weights : ndarray of shape (n_rows,)
        What each row counts.

    Returns
    -------
    hidden : float
        The share of the labels of rows trained on that would disagree if these were held out, and
        do not; 0 at least.
    """
    held, others = average_apart(disagrees, is_held, weights)
    return max(0.0, 1.0 - others / held) if held > 0.0 else 0.0


def average_apart(
    values: np.ndarray, is_held: np.ndarray, weights: np.ndarray
) -> tuple[float, float]:
    """Return the means of rows held out and of the others; 0 where there are none."""
    held, others = (
        float(np.average(values[rows], weights=weights[rows])) if weights[rows].any() else 0.0
        for rows in (is_held, ~is_held)
    )
    return held, others
