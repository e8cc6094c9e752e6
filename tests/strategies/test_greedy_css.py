"""Greedy column subset selection, and the matching pursuit that shares its scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies.greedy_css import GreedyCSS
from crust_sklearn.strategies.greedy_low_rank import GreedyLowRank

both = pytest.mark.parametrize("strategy", [GreedyCSS(), GreedyLowRank()], ids=["css", "pursuit"])


@parametrize_with_checks([CoresetSelector(GreedyCSS()), CoresetSelector(GreedyLowRank())])
def test_scikit_learn(estimator, check):
    check(estimator)


def error(A, chosen, weights=None):
    """The weighted squared error of projecting A on the span of its chosen rows, by lstsq."""
    rows = A[chosen].T
    residual = A.T - rows @ np.linalg.lstsq(rows, A.T, rcond=None)[0]
    return np.sum(residual**2, axis=0) @ (np.ones(len(A)) if weights is None else weights)


def naive_css(A, n_select, weights):
    chosen = []
    for _ in range(n_select):
        errors = [np.inf if j in chosen else error(A, [*chosen, j], weights) for j in range(len(A))]
        chosen.append(int(np.argmin(errors)))
    return chosen


def naive_pursuit(A, n_select, weights):
    chosen, residual = [], A.copy()
    atoms = A / np.linalg.norm(A, axis=1, keepdims=True)
    for _ in range(n_select):
        scores = weights @ (residual @ atoms.T) ** 2
        scores[chosen] = -1
        chosen.append(int(scores.argmax()))
        basis = np.linalg.qr(A[chosen].T)[0]
        residual = A - A @ basis @ basis.T
    return chosen


def decaying(rng, n_rows, n_features, rate=0.7):
    return rng.standard_normal((n_rows, n_features)) * rate ** np.arange(n_features)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_rows", "n_features"), [(60, 9), (12, 30), (40, 40)])
@pytest.mark.parametrize(
    ("strategy", "naive"), [(GreedyCSS(), naive_css), (GreedyLowRank(), naive_pursuit)]
)
def test_same_as_explicit_projections(strategy, naive, n_rows, n_features, weighted):
    rng = np.random.RandomState(n_rows)
    A = decaying(rng, n_rows, n_features)
    weights = rng.uniform(0.2, 4.0, n_rows) if weighted else np.ones(n_rows)
    n_select = min(n_rows, n_features) - 2
    chosen = strategy.select(A, n_select, sample_weight=weights).indices
    assert chosen.tolist() == naive(A, n_select, weights)


@pytest.mark.parametrize("offset", [10.0, 1e3])
@both
def test_keeps_its_digits_when_the_error_drops(strategy, offset):
    """After the first choice all that is left are the small differences to the common mean."""
    A = decaying(np.random.RandomState(0), 40, 8) + offset
    naive = naive_css if isinstance(strategy, GreedyCSS) else naive_pursuit
    chosen = strategy.select(A, 6).indices.tolist()
    assert chosen == naive(A, 6, np.ones(40))


def test_keeps_its_digits_in_rows_that_nearly_are_in_the_span():
    rng = np.random.RandomState(0)
    A = decaying(rng, 50, 8)
    A[25:] = A[:25] * 3 + 1e-6 * rng.standard_normal((25, 8))
    chosen = GreedyCSS().select(A, 7).indices.tolist()
    assert chosen == naive_css(A, 7, np.ones(50))


def test_pursuit_is_not_subset_selection():
    A = decaying(np.random.RandomState(0), 200, 20, rate=0.9)
    first, second = GreedyCSS().select(A, 10).indices, GreedyLowRank().select(A, 10).indices
    assert first[0] == second[0]
    assert set(first.tolist()) != set(second.tolist())


def test_error_is_that_of_the_paper_s_bound():
    """f(T) >= (1 - eps) f(S) with |T| = 16 |S| / (eps sigma_min(S)); here far fewer are enough."""
    rng = np.random.RandomState(0)
    A = np.repeat(np.eye(12), 10, axis=0) + 0.05 * rng.standard_normal((120, 12))
    total = np.sum(A**2)
    target = total - error(A, list(range(0, 120, 10)))
    greedy = total - error(A, GreedyCSS().select(A, 12).indices)
    assert greedy >= 0.99 * target


@both
def test_duplicates_are_chosen_once_the_rest_is_spanned(strategy):
    A = np.repeat(decaying(np.random.RandomState(0), 5, 5), 3, axis=0)
    chosen = strategy.select(A, 15).indices
    assert sorted((chosen[:5] // 3).tolist()) == [0, 1, 2, 3, 4]
    assert (chosen[:5] % 3 == 0).all()
    assert sorted(chosen.tolist()) == list(range(15))


@both
def test_beyond_the_rank_by_norm(strategy):
    rng = np.random.RandomState(0)
    A = rng.standard_normal((30, 3)) @ rng.standard_normal((3, 10))
    chosen = strategy.select(A, 20).indices.tolist()
    norms = np.linalg.norm(A, axis=1)
    by_norm = [i for i in np.argsort(-norms).tolist() if i not in chosen[:3]]
    assert chosen[3:] == by_norm[:17]
    assert error(A, chosen[:3]) < 1e-20


@both
@pytest.mark.parametrize("n_select", [1, 4, 6])
@pytest.mark.parametrize(
    "rows", [np.zeros((6, 3)), np.ones((6, 3)), np.ones((6, 1)), np.eye(6) * 1e-300]
)
def test_ties_go_to_the_lowest_index(strategy, rows, n_select):
    coreset = strategy.select(rows, n_select)
    assert coreset.indices.tolist() == list(range(n_select))
    assert np.isfinite(coreset.weights).all()


@both
def test_zero_rows_come_last(strategy):
    A = decaying(np.random.RandomState(0), 20, 6)
    A[::2] = 0.0
    chosen = strategy.select(A, 14).indices
    assert (chosen[:10] % 2 == 1).all()
    assert chosen[10:].tolist() == [0, 2, 4, 6]


@both
def test_parallel_rows_of_other_length_are_ties_for_the_longest(strategy):
    A = np.vstack([np.eye(3), 2 * np.eye(3), 0.5 * np.eye(3)])
    assert sorted(strategy.select(A, 3).indices.tolist()) == [3, 4, 5]


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_of_rows_and_weights_does_not_matter(strategy, dtype):
    rng = np.random.RandomState(0)
    A, weights = decaying(rng, 40, 8).astype(dtype), rng.uniform(1, 2, 40)
    expected = strategy.select(A, 20, sample_weight=weights).indices.tolist()
    for factor in (1e-30, 1e30) if dtype == np.float32 else (1e-200, 1e200):
        chosen = strategy.select(A * dtype(factor), 20, sample_weight=weights * 1e-300).indices
        assert chosen.tolist() == expected


@both
def test_rows_of_very_different_norm(strategy):
    A = np.diag([1e150, 1e-150, 1.0, 1e100, 0.0])
    assert strategy.select(A, 5).indices.tolist() == [0, 3, 2, 1, 4]


@both
def test_a_weight_counts_as_repeated_rows(strategy):
    rng = np.random.RandomState(0)
    A, times = decaying(rng, 30, 6), rng.randint(1, 6, 30)
    weighted = strategy.select(A, 5, sample_weight=times).indices
    repeated = strategy.select(np.repeat(A, times, axis=0), 5).indices
    np.testing.assert_array_equal(np.repeat(A, times, axis=0)[repeated], A[weighted])


@both
def test_weight_zero_adds_nothing_to_the_error(strategy):
    A = np.array([[1.0, 0.0], [0.0, 50.0], [1.0, 0.1]])
    chosen = strategy.select(A, 3, sample_weight=[1.0, 0.0, 1.0]).indices
    assert chosen[0] in (0, 2)
    assert sorted(chosen.tolist()) == [0, 1, 2]


@both
@given(
    st.integers(1, 20), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1)
)
@settings(max_examples=40)
def test_properties(strategy, n_rows, n_features, coarse, weighted, seed):
    rng = np.random.RandomState(seed)
    A = rng.standard_normal((n_rows, n_features))
    A = np.round(A) if coarse else A
    weights = rng.randint(1, 4, n_rows).astype(float) if weighted else np.ones(n_rows)
    n_select = rng.randint(1, n_rows + 1)
    coreset = strategy.select(A, n_select, sample_weight=weights)
    chosen = coreset.indices.tolist()
    assert len(set(chosen)) == n_select
    np.testing.assert_allclose(coreset.weights.sum(), weights.sum())
    # Every choice, up to the rank, is new to the span; the gains of CSS do not increase by much.
    rank = np.linalg.matrix_rank(A)
    # With a row of zeros, as of no rows NumPy 1.26 knows no rank.
    first = np.vstack([A[chosen[:rank]], np.zeros_like(A[:1])])
    assert np.linalg.matrix_rank(first) == min(rank, n_select)
    if isinstance(strategy, GreedyCSS) and n_select:
        best = min(error(A, [j], weights) for j in range(n_rows) if A[j].any()) if rank else 0.0
        first = error(A, chosen[:1], weights)
        np.testing.assert_allclose(first, best if rank else 0.0, rtol=1e-7, atol=1e-9)
    if not coarse:
        order = rng.permutation(n_rows)
        shuffled = strategy.select(A[order], n_select, sample_weight=weights[order])
        assert order[shuffled.indices].tolist() == chosen
