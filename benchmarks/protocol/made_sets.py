"""Rows that are made so that the first judgement of their labels knows next to nothing.

Neither a linear fit nor a wide kernel tells the classes apart, or a class has a dozen rows.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from .sources import Table, standardize

N_TEST = 1_500
N_SPIRALS, N_BITS, N_RELEVANT, N_TOPICS, N_WORDS = 5, 10, 3, 15, 100


def make_spirals(rng, n_rows):
    """Return points near five arms of two and a half turns, and their arms."""
    y = rng.integers(N_SPIRALS, size=n_rows)
    turned = 5 * np.pi * np.sqrt(rng.random(n_rows))
    angle = turned + 2 * np.pi * y / N_SPIRALS
    X = np.column_stack([turned * np.cos(angle), turned * np.sin(angle)]) / 3
    return X + 0.05 * rng.standard_normal(X.shape), y


def make_parity(rng, n_rows):
    """Return ten bits, and whether the sum of the first three is odd."""
    X = rng.integers(2, size=(n_rows, N_BITS))
    return 2.0 * X - 1.0, X[:, :N_RELEVANT].sum(axis=1) % 2


def make_many(rng, n_rows):
    """Return thirty classes of five columns, beside forty that tell nothing."""
    return make_classification(
        n_rows,
        n_features=45,
        n_informative=5,
        n_redundant=0,
        n_classes=30,
        n_clusters_per_class=1,
        class_sep=1.5,
        flip_y=0.0,
        shuffle=False,
        random_state=int(rng.integers(2**31)),
    )


def make_words(rng, n_rows):
    """Return counts of a hundred words in texts of some ten, on fifteen topics."""
    odds = (rng.gamma(0.3, size=N_WORDS) + 0.01) * np.exp(
        0.8 * rng.standard_normal((N_TOPICS, N_WORDS))
    )
    y = rng.integers(N_TOPICS, size=n_rows)
    shares = odds / odds.sum(axis=1, keepdims=True)
    return np.array([rng.multinomial(3 + rng.poisson(10), shares[topic]) for topic in y]), y


@dataclass(frozen=True)
class Made:
    """Rows and test rows that the seed draws."""

    name: str
    make: object
    n_rows: int
    place = "noise"  # nothing else is read
    is_image = False

    def read(self, places, seed):
        X, y = self.make(np.random.default_rng(seed), self.n_rows + N_TEST)
        X, X_test, y, y_test = train_test_split(
            X.astype(np.float32), y, train_size=self.n_rows, stratify=y, random_state=seed
        )
        X, X_test = standardize(X, X_test)
        return Table(X, y, X_test, y_test)


SPIRALS = Made("spirals", make_spirals, 250)
PARITY = Made("parity", make_parity, 700)
MANY = Made("thirty classes", make_many, 400)
WORDS = Made("few words", make_words, 150)
