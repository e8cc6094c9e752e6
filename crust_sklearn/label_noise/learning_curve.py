"""How many labels predictions disagree with, however many rows these are made from."""

from __future__ import annotations

from typing import Any

import numpy as np

from .held_out import find_errors
from .judging_features import narrow_features
from .top_predictions import TopPredictions

# The errors that more rows would mend shrink with the number of rows to this power.
RATE = 0.7
# Halves are drawn until about so many of the other rows are predicted, or so often.
N_ASKED, MAX_DRAWS = 2**12, 8


def get_lasting_errors(
    features: Any, predictions: TopPredictions, codes: np.ndarray, sample_weight: np.ndarray
) -> float:
    """Return the share of the labels that predictions from ever more rows would disagree with.

    Predictions disagree with labels that are wrong, with those of rows where classes overlap, and
    with whatever so few rows do not show. How much of the last there is, predictions by one half of
    the rows for the other tell: those from `n` rows disagree with about ``a + b / n^0.7`` of the
    labels [1]_, where `a` lasts.

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
        By weight; from 0 to what the predictions disagree with.

    References
    ----------
    .. [1] Cortes, Jackel, Solla, Vapnik, Denker, "Learning Curves: Asymptotic Values and Rate of
       Convergence", NIPS 1993: a power of `n`, from 0.5 to 1.

    Examples
    --------
    A fifth of the labels of 150 digits are wrong, and these do not show how all others look:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.label_noise.label_quality import predict_labels
    >>> from crust_sklearn.label_noise.learning_curve import get_lasting_errors
    >>> X, y = load_digits(return_X_y=True)
    >>> X, weights = X[::12], np.ones(150)
    >>> codes = make_label_noise(y[::12], rate=0.2, random_state=0).y
    >>> predictions = predict_labels(X, codes, 10, weights)
    >>> round(float(np.mean(predictions.best != codes)), 2)
    0.34
    >>> round(get_lasting_errors(X, predictions, codes, weights), 2)
    0.2
    """
    features, n_classes = narrow_features(features), predictions.n_classes
    # Sums of weights of any size are finite.
    sample_weight = sample_weight / sample_weight.max()
    disagrees = predictions.best != codes
    errors = np.average(disagrees, weights=sample_weight)
    counts, rng = np.flatnonzero(sample_weight > 0.0), np.random.default_rng(0)
    # Whatever the order of the rows, and the numbers of the classes.
    counts = counts[np.lexsort((codes[counts], predictions.own(codes)[counts]))]
    gains, weights = [], []
    for draw in range(MAX_DRAWS):
        # Not class by class: its class is the rarer without a row, as for `predictions`.
        if draw % 2 == 0:
            order = rng.permutation(counts)
        fitted, others = order[draw % 2 :: 2], order[1 - draw % 2 :: 2]
        of_fit = np.zeros(len(codes))
        of_fit[fitted] = sample_weight[fitted]
        asked = others[:: -(-len(others) // N_ASKED)]
        is_wrong = find_errors(features, codes, n_classes, of_fit, asked)
        gains.append(is_wrong - 1.0 * disagrees[asked])
        weights.append(sample_weight[asked])
        if sum(map(len, gains)) >= N_ASKED / 2:
            break
    gain = np.average(np.concatenate(gains), weights=np.concatenate(weights))
    return float(np.clip(errors - gain / (2.0**RATE - 1.0), 0.0, errors))
