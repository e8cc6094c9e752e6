"""The votes of neighbours, against scikit-learn and brute force."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier

from crust_sklearn.nets import neighbor_votes
from crust_sklearn.nets.neighbor_votes import count_neighbor_votes

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(90, 5))
CODES = RNG.choice(3, size=90, p=[0.6, 0.3, 0.1])
WEIGHTS = RNG.integers(0, 3, size=90) / 2.0


def count_by_brute_force(k):
    """Return the weighted votes of the k most similar rows that have a weight."""
    similarity = cosine_similarity(FEATURES)
    similarity[:, WEIGHTS == 0] = -np.inf
    votes = np.zeros((90, 3))
    for row, similar in enumerate(similarity):
        for other in np.argsort(-similar)[:k]:
            votes[row, CODES[other]] += WEIGHTS[other]
    return votes / np.bincount(CODES, WEIGHTS)


@pytest.mark.parametrize("k", [1, 4, 25])
def test_votes_are_the_neighbours_of_scikit_learn(k):
    knn = KNeighborsClassifier(k, metric="cosine").fit(FEATURES, CODES)
    expected = k * knn.predict_proba(FEATURES) / np.bincount(CODES)
    votes = count_neighbor_votes(FEATURES, CODES, 3, k)
    np.testing.assert_allclose(votes, expected, rtol=1e-6)
    assert votes.dtype == np.float32


@pytest.mark.parametrize("k", [1, 4, 25])
def test_weights_are_what_votes_count(k):
    votes = count_neighbor_votes(FEATURES, CODES, 3, k, WEIGHTS)
    np.testing.assert_allclose(votes, count_by_brute_force(k), rtol=1e-6)


@pytest.mark.parametrize("n_held", [1, 90, 7 * 90, 89 * 90])
def test_blocks_are_one_block(monkeypatch, n_held):
    whole = count_neighbor_votes(torch.as_tensor(FEATURES), CODES, 3, 10)
    monkeypatch.setattr(neighbor_votes, "MAX_SIMILARITIES", n_held)
    np.testing.assert_array_equal(count_neighbor_votes(FEATURES, CODES, 3, 10), whole)


def test_all_rows_vote_where_neighbours_are_more():
    np.testing.assert_allclose(count_neighbor_votes(FEATURES, CODES, 3, 1000), 1.0)


def test_a_class_without_rows_has_no_votes():
    votes = count_neighbor_votes(FEATURES, CODES, 4, 10)
    assert not votes[:, 3].any()
    np.testing.assert_array_equal(votes[:, :3], count_neighbor_votes(FEATURES, CODES, 3, 10))


def test_features_of_nothing_but_zeros_have_no_direction():
    votes = count_neighbor_votes(np.zeros((6, 2)), np.array([0, 0, 0, 1, 1, 1]), 2, 3)
    assert np.isfinite(votes).all()
    np.testing.assert_allclose(3 * votes.sum(axis=1), 3)  # all the same three, or others
