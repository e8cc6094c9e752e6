"""OuterProductDistance, against the outer products themselves."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from crust_sklearn.gradients import OuterProductDistance


def outer(rows):
    return np.einsum("ia,ib->iab", rows[:, :3], rows[:, 3:]).reshape(len(rows), -1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_the_distance_of_the_products(dtype):
    rng = np.random.RandomState(0)
    X, Y = rng.standard_normal((6, 7)).astype(dtype), rng.standard_normal((4, 7)).astype(dtype)
    before = X.copy(), Y.copy()
    distances = OuterProductDistance(3).pairwise(X, Y)
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, cdist(outer(X), outer(Y)), rtol=1e-5)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


def test_is_zero_from_a_row_to_itself_and_to_the_same_product_of_other_factors():
    X = np.random.RandomState(0).standard_normal((6, 7))
    np.testing.assert_allclose(np.diag(OuterProductDistance(3).pairwise(X, X)), 0, atol=1e-6)
    scaled = X * np.array([2.0] * 3 + [0.5] * 4)
    np.testing.assert_allclose(np.diag(OuterProductDistance(3).pairwise(X, scaled)), 0, atol=1e-6)
