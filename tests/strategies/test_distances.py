import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances

from crust_sklearn.strategies.distances import (
    METRICS,
    check_metric,
    cross_distances,
    distance_matrix,
    nearest_columns,
    nearest_rows,
    weighted_row_sums,
)


class Manhattan:
    def pairwise(self, X, Y):
        return cdist(X, Y, "cityblock")


# One tile has 128 rows, four rows are worked on at once.
@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 127, 128, 129, 260])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_euclidean_matrix_in_every_tile(n_rows, dtype):
    X = np.random.RandomState(n_rows).standard_normal((n_rows, 7)).astype(dtype)
    distances, scale = distance_matrix(X)
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances * scale, cdist(X, X), rtol=1e-5, atol=1e-6)
    assert (distances == distances.T).all()
    assert (np.diag(distances) == 0).all()


@given(
    arrays(np.float64, (6, 3), elements=st.floats(-1e3, 1e3)),
    st.floats(-200, 200),
    st.sampled_from([0.0, 1.0, -1e4]),
)
@settings(max_examples=100)
def test_euclidean_matrix_at_any_scale_and_offset(X, exponent, offset):
    factor = 10.0**exponent
    distances, scale = distance_matrix((X + offset) * factor)
    size = np.abs(X + offset).max()
    np.testing.assert_allclose(
        distances.astype(float) * (scale / factor),
        cdist(X, X),
        rtol=1e-5,
        atol=1e-6 * size + 1e-18,
    )


def test_duplicates_are_exactly_zero_apart():
    X = np.random.RandomState(0).standard_normal((5, 9)) + 1e8
    distances, _ = distance_matrix(X[[0, 1, 2, 3, 4, 0, 1, 1]])
    assert distances[0, 5] == distances[1, 6] == distances[1, 7] == distances[6, 7] == 0.0
    assert (distances[:5, :5][~np.eye(5, dtype=bool)] > 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_named_metrics(metric):
    X = np.random.RandomState(0).standard_normal((20, 4))
    distances, scale = distance_matrix(X, metric)
    expected = pairwise_distances(X, metric=metric)
    np.testing.assert_allclose(distances * scale, expected, rtol=1e-5, atol=1e-6)
    nearest, distance = nearest_rows(X, np.array([3, 9]), metric)
    np.testing.assert_array_equal(nearest, expected[:, [3, 9]].argmin(axis=1))
    np.testing.assert_allclose(distance, expected[:, [3, 9]].min(axis=1), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("metric", [lambda x, y: np.abs(x - y).sum(), Manhattan()])
def test_functions_and_objects_as_metric(metric):
    X = np.random.RandomState(0).standard_normal((20, 4))
    expected = cdist(X, X, "cityblock")
    distances, scale = distance_matrix(X, metric)
    np.testing.assert_allclose(distances * scale, expected, rtol=1e-5)
    np.testing.assert_allclose(cross_distances(X, X[:3], metric), expected[:, :3])
    nearest, distance = nearest_rows(X, np.array([3, 9]), metric)
    np.testing.assert_array_equal(nearest, expected[:, [3, 9]].argmin(axis=1))
    np.testing.assert_allclose(distance, expected[:, [3, 9]].min(axis=1))


def test_the_matrix_of_a_metric_object_is_left_alone():
    class Precomputed:
        matrix = np.array([[0, 3, 4], [3, 0, 5], [4, 5, 0]])

        def pairwise(self, X, Y):
            return self.matrix

    Precomputed.matrix.flags.writeable = False
    distances, scale = distance_matrix(np.eye(3), Precomputed())
    np.testing.assert_allclose(distances * scale, Precomputed.matrix, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_metric_that_is_not_finite(bad):
    def metric(x, y):
        return bad

    with pytest.raises(ValueError, match="metric=.* gives distances that are NaN or infinite"):
        distance_matrix(np.eye(3), metric)


class Similarity:
    def pairwise(self, X, Y):
        return -X @ Y.T


@pytest.mark.parametrize("metric", [lambda x, y: -np.abs(x - y).sum(), Similarity()])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_a_metric_that_is_negative(metric, scale):
    X = scale * np.random.RandomState(0).standard_normal((20, 4))
    message = "metric=.* gives negative distances, such as -.*Give one that returns at least 0"
    with pytest.raises(ValueError, match=message):
        distance_matrix(X, metric)
    with pytest.raises(ValueError, match=message):
        nearest_rows(X, np.array([3, 9]), metric)
    with pytest.raises(ValueError, match=message):
        cross_distances(X, X[:3], metric)


@pytest.mark.parametrize("n_rows", [1, 20])
def test_a_metric_may_be_negative_by_rounding(n_rows):
    class Rounded:
        def pairwise(self, X, Y):
            return cdist(X, Y) - 1e-9

    X = np.random.RandomState(0).standard_normal((n_rows, 4))
    np.testing.assert_allclose(cross_distances(X, X, Rounded()), cdist(X, X), atol=1e-8)


@given(
    arrays(np.float32, (9, 9), elements=st.integers(0, 5).map(float)),
    st.lists(st.integers(0, 8), min_size=1, max_size=9, unique=True),
)
@settings(max_examples=100)
def test_nearest_columns_is_argmin(distances, indices):
    distances = np.maximum(distances, distances.T)
    assignment, nearest = nearest_columns(distances, np.array(indices))
    np.testing.assert_array_equal(assignment, distances[:, indices].argmin(axis=1))
    np.testing.assert_array_equal(nearest, distances[:, indices].min(axis=1))


def test_nearest_rows_in_slices():
    # 2**24 entries make one slice of the matrix between rows and centers.
    X = np.random.RandomState(0).standard_normal((8200, 2))
    indices = np.arange(0, 8200, 2)
    nearest, distance = nearest_rows(X, indices, Manhattan())
    assert nearest[indices].tolist() == list(range(len(indices)))
    few = np.arange(1, 8200, 500)
    expected = np.abs(X[few][:, None] - X[indices]).sum(axis=2)
    np.testing.assert_array_equal(nearest[few], expected.argmin(axis=1))
    np.testing.assert_allclose(distance[few], expected.min(axis=1))


@pytest.mark.parametrize("n_rows", [1, 255, 256, 257, 600])
def test_weighted_row_sums(n_rows):
    rng = np.random.RandomState(0)
    distances = rng.uniform(size=(n_rows, n_rows)).astype(np.float32)
    weights = rng.uniform(size=n_rows).astype(np.float32)
    np.testing.assert_allclose(
        weighted_row_sums(distances, weights), distances.astype(float) @ weights, rtol=1e-5
    )


def test_check_metric():
    metric = Manhattan()
    assert check_metric("cosine") == "cosine"
    assert check_metric(metric) is metric
    assert check_metric(max) is max
    with pytest.raises(ValueError, match=r"metric='manhatan' .*Did you mean 'manhattan'\?"):
        check_metric("manhatan")
    with pytest.raises(ValueError, match="metric='precomputed' is not valid"):
        check_metric("precomputed")
