import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import qr
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies.pivoted_qr import PivotedQR


@parametrize_with_checks([CoresetSelector(PivotedQR())])
def test_scikit_learn(estimator, check):
    check(estimator)


def naive(A, n_select):
    """Take the longest residual and remove its direction, with explicit projections."""
    chosen, residual = [], A.copy()
    for _ in range(n_select):
        chosen.append(int(np.linalg.norm(residual, axis=1).argmax()))
        basis = qr(A[chosen].T, mode="economic")[0]
        residual = A - A @ basis @ basis.T
    return chosen


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_rows", "n_features"), [(80, 10), (12, 40), (30, 30)])
def test_same_as_scipy_and_as_explicit_projections(n_rows, n_features, weighted):
    rng = np.random.RandomState(n_rows)
    A = rng.standard_normal((n_rows, n_features))
    weights = rng.uniform(0.2, 4.0, n_rows) if weighted else np.ones(n_rows)
    scaled = A * np.sqrt(weights)[:, None]
    n_select = min(n_rows, n_features) - 1
    chosen = PivotedQR().select(A, n_select, sample_weight=weights).indices.tolist()
    assert chosen == naive(scaled, n_select)
    assert chosen == qr(scaled.T, mode="r", pivoting=True)[1][:n_select].tolist()


def test_beyond_the_rank_by_norm():
    rng = np.random.RandomState(0)
    A = rng.standard_normal((30, 3)) @ rng.standard_normal((3, 10))
    chosen = PivotedQR().select(A, 20).indices.tolist()
    by_norm = np.argsort(-np.linalg.norm(A, axis=1)).tolist()
    assert chosen[:3] == naive(A, 3)
    assert chosen[3:] == [i for i in by_norm if i not in chosen[:3]][:17]


@pytest.mark.parametrize("n_select", [1, 4, 6])
@pytest.mark.parametrize("rows", [np.zeros((6, 3)), np.ones((6, 3)), np.ones((6, 9))])
def test_equal_rows_go_by_index(rows, n_select):
    assert PivotedQR().select(rows, n_select).indices.tolist() == list(range(n_select))


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_scale_of_rows_and_weights_does_not_matter(factor):
    rng = np.random.RandomState(0)
    A, weights = rng.standard_normal((40, 8)), rng.uniform(1, 2, 40)
    expected = PivotedQR().select(A, 20, sample_weight=weights).indices.tolist()
    scaled = PivotedQR().select(A * factor, 20, sample_weight=weights * 1e-300).indices
    assert scaled.tolist() == expected


def test_float32():
    A = np.random.RandomState(0).standard_normal((40, 8)).astype(np.float32)
    expected = PivotedQR().select(A.astype(np.float64), 20).indices.tolist()
    assert PivotedQR().select(A * np.float32(1e30), 20).indices.tolist() == expected


def test_weight_zero_and_zero_rows_come_last():
    A = np.array([[1.0, 0.0], [0.0, 9.0], [0.0, 0.0], [0.0, 1.0]])
    chosen = PivotedQR().select(A, 4, sample_weight=[1.0, 0.0, 1.0, 2.0]).indices
    assert chosen.tolist() == [3, 0, 1, 2]


@given(st.integers(1, 20), st.integers(1, 6), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_properties(n_rows, n_features, coarse, seed):
    rng = np.random.RandomState(seed)
    A = rng.standard_normal((n_rows, n_features))
    A = np.round(A) if coarse else A
    n_select = rng.randint(1, n_rows + 1)
    weights = rng.randint(1, 4, n_rows).astype(float)
    coreset = PivotedQR().select(A, n_select, sample_weight=weights)
    chosen = coreset.indices.tolist()
    assert len(set(chosen)) == n_select
    np.testing.assert_allclose(coreset.weights.sum(), weights.sum())
    rank = np.linalg.matrix_rank(A)
    # With a row of zeros, as of no rows NumPy 1.26 knows no rank.
    first = np.vstack([A[chosen[:rank]], np.zeros_like(A[:1])])
    assert np.linalg.matrix_rank(first) == min(rank, n_select)
    if not coarse:
        order = rng.permutation(n_rows)
        shuffled = PivotedQR().select(A[order], n_select, sample_weight=weights[order])
        assert order[shuffled.indices].tolist() == chosen
