"""Codes of classes, changed into others at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import truncnorm

_INSTANCE_RATE_STD = 0.1

Codes = NDArray[np.intp]


def flip_symmetric(codes: Codes, n_classes: int, rate: float, rng: np.random.RandomState) -> Codes:
    """Change a share `rate` of the codes, each into any other class, all equally likely."""
    noisy = codes.copy()
    rows = _choose_rows(codes, rate, rng)
    # A shift by 1 to n_classes - 1 reaches every class but the own one.
    noisy[rows] = (codes[rows] + rng.randint(1, n_classes, size=len(rows))) % n_classes
    return noisy


def flip_uniform(codes: Codes, n_classes: int, rate: float, rng: np.random.RandomState) -> Codes:
    """Draw a share `rate` of the codes anew, among all classes, all equally likely."""
    noisy = codes.copy()
    rows = _choose_rows(codes, rate, rng)
    noisy[rows] = rng.randint(n_classes, size=len(rows))
    return noisy


def flip_to_targets(codes: Codes, targets: Codes, rate: float, rng: np.random.RandomState) -> Codes:
    """Change a share `rate` of the codes that have another target into their class's target."""
    noisy = codes.copy()
    may_change = np.flatnonzero(targets[codes] != codes)
    rows = may_change[_choose_rows(codes[may_change], rate, rng)]
    noisy[rows] = targets[codes[rows]]
    return noisy


def flip_by_instance(
    codes: Codes, n_classes: int, rate: float, X: NDArray[Any], rng: np.random.RandomState
) -> Codes:
    """Change each code by a probability of its own, into a class that depends on its row of X."""
    flip_rates = _draw_flip_rates(len(codes), rate, rng)
    noisy = np.empty_like(codes)
    for own in range(n_classes):
        rows = np.flatnonzero(codes == own)
        projection = rng.standard_normal((X.shape[1], n_classes))
        scores = X[rows].astype(np.float64) @ projection
        scores[:, own] = -np.inf
        probabilities = flip_rates[rows, None] * softmax(scores, axis=1)
        probabilities[:, own] = 1 - flip_rates[rows]
        noisy[rows] = draw_classes(probabilities, rng)
    return noisy


def draw_classes(probabilities: NDArray[np.float64], rng: np.random.RandomState) -> Codes:
    """Draw one class per row from that row's probabilities."""
    # The last threshold is left out: rounding must not lead beyond the last class.
    thresholds = probabilities.cumsum(axis=1)[:, :-1]
    return (rng.random_sample((len(probabilities), 1)) >= thresholds).sum(axis=1)


def _draw_flip_rates(n_rows: int, rate: float, rng: np.random.RandomState) -> NDArray[np.float64]:
    if rate in (0, 1):
        return np.full(n_rows, float(rate))
    low, high = -rate / _INSTANCE_RATE_STD, (1 - rate) / _INSTANCE_RATE_STD
    return truncnorm.rvs(
        low, high, loc=rate, scale=_INSTANCE_RATE_STD, size=n_rows, random_state=rng
    )


def _choose_rows(codes: Codes, rate: float, rng: np.random.RandomState) -> Codes:
    """Choose ``round(rate * n)`` rows at random, from each class its share by largest remainder."""
    counts = np.bincount(codes)
    quotas = rate * counts
    sizes = np.floor(quotas).astype(np.intp)
    n_missing = round(rate * len(codes)) - sizes.sum()
    by_remainder = np.argsort(sizes - quotas, kind="stable")
    sizes[by_remainder[:n_missing]] += 1
    chosen = [
        rng.choice(np.flatnonzero(codes == code), size, replace=False)
        for code, size in enumerate(sizes)
        if size
    ]
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.intp)
