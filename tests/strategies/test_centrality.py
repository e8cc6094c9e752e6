import numpy as np
import pytest
from scipy.spatial.distance import cdist

from crust_sklearn.strategies import Centrality


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("n_rows", "n_select"), [(10, 10), (50, 1), (700, 300)])
def test_chooses_the_smallest_weighted_sums(n_rows, n_select, metric, weighted):
    rng = np.random.RandomState(n_rows)
    X = rng.standard_normal((n_rows, 4))
    weights = rng.uniform(0.1, 3.0, n_rows) if weighted else np.ones(n_rows)
    chosen = Centrality(metric).select(X, n_select, sample_weight=weights).indices
    sums = cdist(X, X, metric) @ weights
    np.testing.assert_allclose(sums[chosen], np.sort(sums)[:n_select], rtol=1e-6)
    assert len(set(chosen.tolist())) == n_select


def test_what_the_reference_code_does():
    """Its greedy returns F(S + e) for every e, so the scores of the first step decide all."""
    X = np.random.RandomState(0).standard_normal((60, 3))
    distances = cdist(X, X)
    similarity = distances.max() - distances
    ranked = np.argsort(-similarity.sum(axis=1), kind="stable")
    assert Centrality().select(X, 25).indices.tolist() == ranked[:25].tolist()


def test_leaves_out_the_far_rows():
    rng = np.random.RandomState(0)
    X = np.vstack([rng.standard_normal((80, 5)), rng.standard_normal((20, 5)) * 30])
    assert Centrality().select(X, 80).indices.max() < 80


def test_a_weight_counts_as_repeated_rows():
    rng = np.random.RandomState(0)
    X, weights = rng.standard_normal((30, 2)), rng.randint(1, 5, 30)
    weighted = Centrality().select(X, 30, sample_weight=weights).indices
    sums = np.zeros(30)
    for i, times in enumerate(weights):
        for _ in range(times):
            sums += np.linalg.norm(X - X[i], axis=1)
    assert weighted.tolist() == np.argsort(sums).tolist()


def test_ties_go_to_the_lowest_index():
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    assert Centrality().select(corners, 3).indices.tolist() == [0, 1, 2]
    assert Centrality().select(np.ones((5, 2)), 2).indices.tolist() == [0, 1]
