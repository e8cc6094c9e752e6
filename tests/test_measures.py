from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from crust_sklearn import CoresetSelector
from crust_sklearn.measures import coverage, k_medoids_objective, low_rank_error
from crust_sklearn.strategies import FacilityLocation

NORMS = pytest.mark.parametrize("norm", ["fro", "spectral"])


class Chebyshev:
    def pairwise(self, X, Y):
        return np.abs(X[:, None] - Y).max(axis=2)


# k-medoids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("metric", "name"),
    [("euclidean", "euclidean"), ("manhattan", "cityblock"), (Chebyshev(), "chebyshev")],
)
def test_objective_by_all_distances(metric, name, weighted):
    rng = np.random.RandomState(0)
    X, weights = rng.standard_normal((40, 3)), rng.uniform(0, 2, 40) if weighted else None
    value = k_medoids_objective(X, [3, 30, 7], metric=metric, sample_weight=weights)
    nearest = cdist(X, X[[3, 30, 7]], name).min(axis=1)
    np.testing.assert_allclose(value, nearest.sum() if weights is None else weights @ nearest)


@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_objective_is_that_of_a_coreset(factor):
    X = np.random.RandomState(0).standard_normal((40, 3)) * factor
    selector = CoresetSelector(coreset_size=6).fit(X)
    value = k_medoids_objective(X, selector.sample_indices_)
    np.testing.assert_allclose(value / factor, selector.objective_ / factor, rtol=1e-5)


def test_objective_of_all_rows_is_zero():
    assert k_medoids_objective(np.ones((5, 2)) / 3, np.arange(5)) == 0.0


# Low rank -----------------------------------------------------------------------------------------


@NORMS
@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
def test_error_by_least_squares(shape, norm):
    A = np.random.RandomState(0).standard_normal(shape)
    order = "fro" if norm == "fro" else 2
    U, values, Vt = np.linalg.svd(A, full_matrices=False)
    for k in range(1, 6):
        rows = A[:k].T
        residual = A.T - rows @ np.linalg.lstsq(rows, A.T, rcond=None)[0]
        best = A - (U[:, :k] * values[:k]) @ Vt[:k]
        expected = np.linalg.norm(residual, order) / np.linalg.norm(best, order)
        np.testing.assert_allclose(low_rank_error(A, np.arange(k), norm=norm), expected)


@NORMS
def test_rows_along_the_singular_vectors_are_the_best(norm):
    V = np.linalg.qr(np.random.RandomState(0).standard_normal((5, 5)))[0]
    A = np.vstack([V.T * np.array([5, 4, 3, 2, 1])[:, None], np.zeros((3, 5))])
    for k in range(1, 6):
        np.testing.assert_allclose(low_rank_error(A, np.arange(k), norm=norm), 1.0)
    np.testing.assert_allclose(low_rank_error(A, [1], norm="spectral"), 5 / 4)
    np.testing.assert_allclose(low_rank_error(A, [1]), np.sqrt((55 - 16) / (55 - 25)))


@NORMS
@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_error_where_the_best_is_exact(norm, factor):
    rng = np.random.RandomState(0)
    A = rng.standard_normal((30, 3)) @ rng.standard_normal((3, 8))
    A[5] = 2 * A[4]
    A *= factor
    assert low_rank_error(A, [0, 1, 2], norm=norm) == 1.0
    assert low_rank_error(A, [0, 1, 2, 9], norm=norm) == 1.0
    assert low_rank_error(A, [0, 4, 5], norm=norm) == np.inf
    assert low_rank_error(A, np.arange(30), norm=norm) == 1.0
    assert np.isfinite(low_rank_error(A, [4, 5], norm=norm))
    assert low_rank_error(np.zeros((4, 2)), [1], norm=norm) == 1.0


def test_some_rows_reach_the_bound():
    """Deshpande et al.: some k rows have a squared error of at most k + 1 times the best."""
    for seed in range(5):
        A = np.random.RandomState(seed).standard_normal((8, 4))
        for k in (1, 2, 3):
            errors = [low_rank_error(A, rows) for rows in combinations(range(8), k)]
            assert 1 - 1e-12 <= min(errors) <= np.sqrt(k + 1)


@NORMS
@given(st.integers(1, 15), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_error_is_at_least_one(norm, n_rows, n_features, seed):
    rng = np.random.RandomState(seed)
    A = rng.standard_normal((n_rows, n_features)).astype(rng.choice(["float32", "float64"]))
    chosen = rng.permutation(n_rows)[: rng.randint(1, n_rows + 1)]
    error = low_rank_error(A, chosen, norm=norm)
    assert error >= 1 - 1e-9
    np.testing.assert_allclose(low_rank_error(A, np.r_[chosen, chosen], norm=norm), error)
    if len(chosen) >= n_features:
        assert error == 1.0


# Coverage -----------------------------------------------------------------------------------------


def test_default_radius_is_the_median_distance_to_the_nearest_other_row():
    X = np.random.RandomState(0).standard_normal((41, 3))
    distances = cdist(X, X)
    np.fill_diagonal(distances, np.inf)
    radius = np.median(distances.min(axis=1))
    np.fill_diagonal(distances, 0.0)
    for chosen in ([0], [1, 5, 9], np.arange(20)):
        expected = (distances[:, chosen].min(axis=1) <= radius).mean()
        assert coverage(X, chosen) == pytest.approx(expected)
        assert coverage(X, chosen, radius=radius * (1 + 1e-12)) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", Chebyshev()])
def test_coverage_on_a_line_with_weights(metric):
    X = np.array([[0.0], [1.0], [2.0], [4.0]])
    weights = [1.0, 2.0, 3.0, 4.0]
    values = [
        coverage(X, [1], radius=radius, metric=metric, sample_weight=weights)
        for radius in (0.0, 0.9, 1.0, 3.0)
    ]
    assert values == [0.2, 0.2, 0.6, 1.0]


@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_duplicates_are_covered_at_radius_zero(factor):
    X = np.repeat(np.random.RandomState(0).standard_normal((7, 5)), 3, axis=0) * factor
    assert coverage(X, [0, 4]) == coverage(X, [0, 4], radius=0.0) == pytest.approx(6 / 21)
    assert coverage(X[:1], [0]) == 1.0


@given(st.integers(2, 25), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_coverage_grows(n_rows, seed):
    rng = np.random.RandomState(seed)
    X, order = rng.standard_normal((n_rows, 2)), rng.permutation(n_rows)
    by_rows = [coverage(X, order[:k]) for k in range(1, n_rows + 1)]
    by_radius = [coverage(X, order[:2], radius=r) for r in (0.0, 0.1, 0.5, 2.0, 20.0)]
    assert by_rows == sorted(by_rows)
    assert by_rows[-1] == by_radius[-1] == 1.0
    assert by_radius == sorted(by_radius)


def test_many_rows_are_worked_on_in_parts():
    X = np.random.RandomState(0).standard_normal((3500, 2)).astype(np.float32)
    distances = cdist(X.astype(float), X.astype(float))
    np.fill_diagonal(distances, np.inf)
    radius = np.median(distances.min(axis=1))
    covered = distances[:, :1000].min(axis=1) <= radius
    covered[:1000] = True
    assert coverage(X, np.arange(1000)) == pytest.approx(covered.mean(), abs=1e-3)


def test_a_greedy_choice_beats_a_random_one():
    X = np.random.RandomState(0).standard_normal((200, 2))
    chosen = FacilityLocation().select(X, 20).indices
    assert coverage(X, chosen, radius=0.6) > coverage(X, np.arange(20), radius=0.6)
    assert k_medoids_objective(X, chosen) < k_medoids_objective(X, np.arange(20))


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [k_medoids_objective, low_rank_error, coverage])
@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([], ValueError, "with at least one row"),
        ([[0]], ValueError, r"indices.shape == \(1, 1\)"),
        ([0, 4], ValueError, "indices must be from 0 to 3"),
        ([-1], ValueError, "indices must be from 0 to 3"),
        ([0.0], TypeError, "indices must hold integers"),
        ([True, False, True, True], TypeError, "Turn a mask into positions by numpy.flatnonzero"),
    ],
)
def test_bad_indices(measure, indices, error, message):
    with pytest.raises(error, match=message):
        measure(np.eye(4), indices)


@pytest.mark.parametrize("measure", [k_medoids_objective, low_rank_error, coverage])
def test_bad_rows(measure):
    with pytest.raises(ValueError, match="Input X contains NaN"):
        measure([[np.nan]], [0])


def test_bad_options():
    with pytest.raises(ValueError, match="norm='nuclear' is not valid"):
        low_rank_error(np.eye(2), [0], norm="nuclear")
    with pytest.raises(ValueError, match="metric='far' is not valid"):
        coverage(np.eye(2), [0], metric="far")
    with pytest.raises(ValueError, match="radius must be a number at least 0"):
        coverage(np.eye(2), [0], radius=-1.0)
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(3,\)"):
        k_medoids_objective(np.eye(2), [0], sample_weight=np.ones(3))
