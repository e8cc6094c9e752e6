import numpy as np
import pytest
from sklearn.base import BaseEstimator


class Judged(BaseEstimator):
    """As much of a fitted classifier as a review needs."""

    def __init__(self, given, suggested=None, quality=None, classes=None):
        self.given_labels_ = np.asarray(given)
        n_rows = len(self.given_labels_)
        self.classes_ = np.unique(given) if classes is None else np.asarray(classes)
        if suggested is None:  # the class after the given one
            codes = np.searchsorted(self.classes_, self.given_labels_)
            suggested = self.classes_[(codes + 1) % len(self.classes_)]
        self.suggested_labels_ = np.asarray(suggested)
        self.label_quality_ = np.linspace(0, 0.4, n_rows) if quality is None else np.array(quality)

    def fit(self, X, y):
        raise AssertionError("not to be fitted")


@pytest.fixture(scope="session")
def judged():
    return Judged
