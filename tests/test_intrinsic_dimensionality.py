"""Local intrinsic dimensionality, on rows whose dimension is known, and against its formula."""

import numpy as np
import pytest

from crust_sklearn.intrinsic_dimensionality import local_intrinsic_dimensionality


def draw_sphere(dimension, n_rows=1500, n_features=8):
    """Return points drawn evenly from a sphere of a dimension, which has no boundary."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(n_rows, dimension + 1))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    axes = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    return points @ axes[: dimension + 1] + 3.0


def estimate(X, n_neighbors):
    """Return the estimates, row by row, as the formula has them."""
    found = []
    for i, x in enumerate(X):
        r = np.sort([np.sqrt(np.sum((x - other) ** 2)) for other in np.delete(X, i, axis=0)])
        r = r[:n_neighbors]
        found.append(-1.0 / np.mean(np.log(r / r[-1])))
    return np.array(found)


@pytest.mark.parametrize("n_neighbors", [20, 50])
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_known_dimensions(dimension, n_neighbors):
    mean = local_intrinsic_dimensionality(draw_sphere(dimension), n_neighbors).mean()
    assert mean * (n_neighbors - 2) / n_neighbors == pytest.approx(dimension, rel=0.08)


def test_noise_fills_all_dimensions():
    rng = np.random.default_rng(0)
    curve = draw_sphere(1, n_features=4)
    noisy = curve + rng.normal(scale=0.3, size=curve.shape)
    assert np.median(local_intrinsic_dimensionality(noisy)) > 3.0
    assert np.median(local_intrinsic_dimensionality(curve)) < 1.2


@pytest.mark.parametrize("n_neighbors", [2, 7, 20])
def test_formula(n_neighbors):
    X = np.random.default_rng(0).normal(size=(40, 3))
    found = local_intrinsic_dimensionality(X, n_neighbors)
    np.testing.assert_allclose(found, estimate(X, n_neighbors))


def test_scale_rotation_and_order_do_not_matter():
    X = draw_sphere(2, n_rows=200)
    expected = local_intrinsic_dimensionality(X)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    for other in (X * 1e-200, X * 1e200, (X - 5.0) @ turn):
        np.testing.assert_allclose(local_intrinsic_dimensionality(other), expected, rtol=1e-6)
    np.testing.assert_allclose(local_intrinsic_dimensionality(X[::-1]), expected[::-1])


def test_duplicates_are_no_neighbours():
    X = np.random.default_rng(0).normal(size=(30, 3))
    copies = np.vstack([X, np.repeat(X[:1], 25, axis=0)])
    found = local_intrinsic_dimensionality(copies, 10)
    expected = local_intrinsic_dimensionality(X, 10)[0]
    np.testing.assert_allclose(found[[0, *range(30, 55)]], expected)
    assert (found > 0).all()
    # Two other places: those neighbours that there are.
    places = np.array([[0.0], [0.0], [0.0], [1.0], [4.0]])
    found = local_intrinsic_dimensionality(places, 4)
    np.testing.assert_allclose(found[:3], 2 / np.log(4))


def test_fewer_rows_than_neighbours():
    X = np.random.default_rng(0).normal(size=(12, 3))
    found = local_intrinsic_dimensionality(X, 20)
    np.testing.assert_allclose(found, estimate(X, 11))


def test_where_there_is_no_estimate():
    assert np.isnan(local_intrinsic_dimensionality(np.ones((5, 2)))).all()
    two_places = local_intrinsic_dimensionality([[0.0], [0.0], [1.0]])
    np.testing.assert_array_equal(two_places, [np.nan, np.nan, np.inf])
    np.testing.assert_array_equal(local_intrinsic_dimensionality(np.eye(4)), np.inf)


@pytest.mark.parametrize(
    ("X", "n_neighbors", "error", "match"),
    [
        ([[0.0], [1.0]], 20, ValueError, "minimum of 3"),
        ([[0.0], [1.0], [np.nan]], 20, ValueError, "NaN"),
        ([[0.0], [1.0], [2.0]], 1, ValueError, "n_neighbors"),
        ([[0.0], [1.0], [2.0]], 2.5, TypeError, "n_neighbors"),
    ],
)
def test_bad_input(X, n_neighbors, error, match):
    with pytest.raises(error, match=match):
        local_intrinsic_dimensionality(X, n_neighbors)
