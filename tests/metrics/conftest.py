import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin


class Rule(ClassifierMixin, BaseEstimator):
    """Predicts the class in one column of X, whatever it was trained on."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.array(["a", "b", "c"])[X[:, self.column]]


@pytest.fixture
def rule():
    return Rule()


@pytest.fixture(scope="session")
def random_transitions():
    """Make transition matrices with at least 0.6 on the diagonal, so that they can be inverted."""

    def make(n_classes, rng):
        return 0.6 * np.eye(n_classes) + 0.4 * rng.dirichlet(np.ones(n_classes), n_classes)

    return make


@pytest.fixture(scope="session")
def every_case():
    """Return all triples (true, predicted, given) with their exact probabilities under noise T."""

    def make(n_classes, T, rng):
        shares = rng.dirichlet(np.ones(n_classes**2)).reshape(n_classes, n_classes)
        true, predicted, noisy = map(np.ravel, np.indices((n_classes,) * 3))
        return true, predicted, noisy, shares[true, predicted] * T[true, noisy]

    return make


@pytest.fixture
def swallowed():
    """Three of five of class a are labelled c: X holds the true class, and the likeliest label."""
    T = np.array([[0.4, 0.0, 0.6], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    true = np.repeat([0, 1, 2], 50)
    noisy = true.copy()
    noisy[:50][np.arange(50) % 5 < 3] = 2
    X = np.c_[true, np.where(true == 0, 2, true)]
    return X, np.array(["a", "b", "c"])[noisy], T


@pytest.fixture
def blobs():
    rng = np.random.RandomState(0)
    codes = np.repeat([0, 1, 2], 40)
    X = rng.standard_normal((120, 2)) + 2 * np.array([[0, 0], [0, 2], [2, 0]])[codes]
    return X, np.array(["x", "y", "z"])[codes]
