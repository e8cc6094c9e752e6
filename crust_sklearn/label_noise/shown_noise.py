"""How many labels predictions show to be wrong, by how well they agree with one another."""

from __future__ import annotations

from typing import Any

import numpy as np

from .held_out import predict_some
from .judging_features import narrow_features
from .top_predictions import TopPredictions

# The odds that a row's class is known grow with the number of rows to this power.
POWER = 1.2
# The least of the surest rows that are looked at alone.
MIN_SURE = 100
# Pairs of halves are drawn until about so many rows are predicted by both, or so often.
N_ASKED, MAX_DRAWS = 2**12, 4


def get_shown_noise(
    features: Any, predictions: TopPredictions, codes: np.ndarray, sample_weight: np.ndarray
) -> float:
    """Return the share of the labels that predictions show to be wrong, as far as these are right.

    Predictions disagree with wrong labels, and with right ones where they are wrong themselves. How
    often that is so, labels do not tell, but predictions by one half of the rows and by the other,
    which agree on what both know [1]_, whatever the labels. If they know the class of a share `q`
    of the rows, and guess it for others, they agree on ``q^2 + (1 - q^2) / C`` of them, of `C`
    classes. From all rows the odds ``q / (1 - q)`` are 2^1.2 as large, so ``q + (1 - q) / C`` is
    predicted rightly; by as much as fewer labels agree with predictions, they must be wrong.
    Counted are all rows, the surest half, quarter, and so on, of at least 100, and the largest of
    these shares is taken: where labels are mostly wrong, only few rows are known.

    Parameters
    ----------
    features : ndarray, torch.Tensor or OwnRows of shape (n_rows, n_features)
    predictions : TopPredictions
        Of n_rows, each made from all other rows.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    sample_weight : ndarray of shape (n_rows,)
        What each row counts; two at least are positive.

    Returns
    -------
    share : float
        By weight; 0 if predictions agree with one another as if all were guessed.

    References
    ----------
    .. [1] Madani, Pennock, Flake, "Co-Validation: Using Model Disagreement on Unlabeled Data to
       Validate Classification Algorithms", NIPS 2004.

    Examples
    --------
    A fifth of the labels of 150 digits are wrong, and these do not show how all others look:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.label_noise.label_quality import predict_labels
    >>> from crust_sklearn.label_noise.shown_noise import get_shown_noise
    >>> X, y = load_digits(return_X_y=True)
    >>> X, weights = X[::12], np.ones(150)
    >>> codes = make_label_noise(y[::12], rate=0.2, random_state=0).y
    >>> predictions = predict_labels(X, codes, 10, weights)
    >>> round(float(np.mean(predictions.best != codes)), 2)
    0.34
    >>> round(get_shown_noise(X, predictions, codes, weights), 2)
    0.2
    """
    counts = np.flatnonzero(sample_weight > 0.0)
    # The surest first, whatever the order of the rows, and the numbers of the classes.
    keys = codes, predictions.own(codes), -predictions.sure
    counts = counts[np.lexsort([key[counts] for key in keys])]
    asked = counts[:: -(-len(counts) // N_ASKED)]
    # Sums of weights of any size are finite.
    sample_weight = sample_weight / sample_weight.max()
    weights, n_classes = sample_weight[asked], predictions.n_classes
    agreement = _get_agreement(features, codes, n_classes, sample_weight, counts, asked)
    is_as_given = predictions.best[asked] == codes[asked]
    share, n_surest = 0.0, len(asked)
    while n_surest >= min(MIN_SURE, len(asked)):
        surest = slice(n_surest)
        agreed, given = (
            np.average(values[surest], weights=weights[surest])
            for values in (agreement, is_as_given)
        )
        share = max(share, _get_accuracy(agreed, n_classes) - given)
        n_surest //= 2
    return float(share)


def _get_agreement(
    features: Any,
    codes: np.ndarray,
    n_classes: int,
    sample_weight: np.ndarray,
    counts: np.ndarray,
    asked: np.ndarray,
) -> np.ndarray:
    """Return how often predictions by two halves of some rows are the same, for each of others."""
    features, rng = narrow_features(features), np.random.default_rng(0)
    agreed, n_draws = np.zeros(len(asked)), 0
    while n_draws < MAX_DRAWS and n_draws * len(asked) < N_ASKED / 2:
        # Not class by class: its class is the rarer without a row, as for all predictions.
        order, found = rng.permutation(counts), []
        for half in (order[::2], order[1::2]):
            of_fit = np.zeros(len(codes))
            of_fit[half] = sample_weight[half]
            found.append(predict_some(features, codes, n_classes, of_fit, asked))
        agreed += found[0] == found[1]
        n_draws += 1
    return agreed / n_draws


def _get_accuracy(agreed: float, n_classes: int) -> float:
    """Return how often all rows predict the right label, by how often halves of them agree."""
    known = np.sqrt(max(0.0, (n_classes * agreed - 1.0) / max(1, n_classes - 1)))
    known = 2.0**POWER * known / (1.0 + (2.0**POWER - 1.0) * known)
    return float(known + (1.0 - known) / n_classes)
