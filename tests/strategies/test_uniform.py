import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import pairwise_distances

from crust_sklearn.strategies import Uniform


def test_every_row_is_as_likely():
    X = np.random.RandomState(0).standard_normal((10, 2))
    rng = np.random.RandomState(0)
    counts = np.zeros(10)
    for _ in range(200):
        counts[Uniform().select(X, 3, random_state=rng).indices] += 1
    low, high = binom.interval(1 - 1e-6, 200, 0.3)
    assert counts.sum() == 600
    assert (counts >= low).all()
    assert (counts <= high).all()


def test_sample_weight_does_not_change_the_choice_but_the_weights():
    X = np.random.RandomState(0).standard_normal((20, 2))
    weights = np.arange(1.0, 21.0)
    plain = Uniform().select(X, 5, random_state=0)
    weighted = Uniform().select(X, 5, sample_weight=weights, random_state=0)
    assert plain.indices.tolist() == weighted.indices.tolist()
    for position in range(5):
        cluster = plain.assignment == position
        assert plain.weights[position] == cluster.sum()
        assert weighted.weights[position] == weights[cluster].sum()


def test_choice_depends_on_rows_and_seed_not_on_their_order():
    X = np.random.RandomState(0).standard_normal((20, 2))
    order = np.random.RandomState(1).permutation(20)
    chosen = Uniform().select(X, 5, random_state=0).indices
    shuffled = Uniform().select(X[order], 5, random_state=0).indices
    other_seed = Uniform().select(X, 5, random_state=1).indices
    np.testing.assert_array_equal(X[chosen], X[order][shuffled])
    assert chosen.tolist() != other_seed.tolist()


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_rows_go_to_their_nearest_at_any_scale(scale, offset):
    X = np.random.RandomState(0).standard_normal((30, 3)) + offset
    coreset = Uniform().select(X * scale, 6, random_state=0)
    distances = pairwise_distances(X - offset, X[coreset.indices] - offset)
    np.testing.assert_array_equal(coreset.assignment, distances.argmin(axis=1))
    expected = distances.min(axis=1).sum()
    np.testing.assert_allclose(coreset.objective / scale, expected, rtol=1e-5)


@pytest.mark.parametrize("metric", ["manhattan", lambda x, y: abs(x - y).sum()])
def test_other_metrics_decide_the_assignment(metric):
    X = np.random.RandomState(0).standard_normal((30, 3))
    coreset = Uniform(metric).select(X, 6, random_state=0)
    distances = np.abs(X[:, None] - X[coreset.indices]).sum(axis=2)
    np.testing.assert_array_equal(coreset.assignment, distances.argmin(axis=1))
