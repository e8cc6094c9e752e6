"""The nearest rows with the suggested label, against brute force; what they may be found by."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse

from crust_sklearn.review.neighbors import find_neighbors, get_features

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
LABELS = RNG.integers(3, size=60)
IS_DOUBTED = RNG.random(60) < 0.3
ROWS = np.flatnonzero(IS_DOUBTED)
SUGGESTED = (LABELS[ROWS] + 1) % 3


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_neighbors", [1, 4, 60])
def test_brute_force(kind, n_neighbors):
    found = find_neighbors(kind(X), LABELS, IS_DOUBTED, ROWS, SUGGESTED, n_neighbors)
    for row, label, nearest in zip(ROWS, SUGGESTED, found, strict=True):
        distances = np.linalg.norm(X - X[row], axis=1)
        distances[(label != LABELS) | IS_DOUBTED] = np.inf
        expected = np.argsort(distances)[: np.isfinite(distances).sum()]
        assert_array_equal(nearest, expected[:n_neighbors])


def test_nobody_is_left_of_the_class():
    found = find_neighbors(X, LABELS, np.ones(60, bool), ROWS, SUGGESTED, 3)
    assert [len(nearest) for nearest in found] == [0] * len(ROWS)


def test_features_that_are_not_finite():
    with pytest.raises(ValueError, match="NaN.*by `features`, or set n_neighbors=0"):
        find_neighbors(np.full_like(X, np.nan), LABELS, IS_DOUBTED, ROWS, SUGGESTED, 3)


@pytest.mark.parametrize(
    ("shown", "features", "expected"),
    [
        (X, None, X),
        (X.reshape(60, 3, 1), None, X),
        (torch.tensor(X), None, X),
        (pd.DataFrame(X), None, X),
        (["text"] * 60, X, X),
        (["text"] * 60, None, None),
        (np.array(["text"] * 60), None, None),
        (pd.DataFrame({"a": ["x"] * 60}), None, None),
        (["text"] * 60, X.tolist(), X),
    ],
)
def test_what_rows_are_compared_by(shown, features, expected):
    found = get_features(shown, features, 60)
    if expected is None:
        assert found is None
    else:
        assert_array_equal(found, expected)


@pytest.mark.parametrize("features", [X[:5], np.array(["a"] * 60), sparse.csr_array(X[:5])])
def test_refused_features(features):
    with pytest.raises(ValueError, match="features has the shape .* give 60 rows of numbers"):
        get_features(["text"] * 60, features, 60)
