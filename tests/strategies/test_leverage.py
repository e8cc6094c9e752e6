import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm as normal
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies.leverage import (
    Leverage,
    inclusion_probabilities,
    leverage_scores,
    systematic_sample,
    top_rows,
)

VARIANTS = {
    "proportional": Leverage(),
    "top": Leverage(sampling="top"),
    "ridge": Leverage(ridge=0.5),
}
every_variant = pytest.mark.parametrize("strategy", VARIANTS.values(), ids=VARIANTS)


@parametrize_with_checks([CoresetSelector(VARIANTS[name]) for name in ("proportional", "top")])
def test_scikit_learn(estimator, check):
    check(estimator)


# Scores -------------------------------------------------------------------------------------------


def by_svd(A, ridge):
    U, values, _ = np.linalg.svd(A, full_matrices=False)
    return U**2 @ (values**2 / (values**2 + ridge))


@pytest.mark.parametrize("shape", [(50, 8), (8, 50), (20, 20)])
@pytest.mark.parametrize("n_select", [1, 3, 7])
def test_scores_by_svd_with_the_paper_s_ridge(shape, n_select):
    A = np.random.RandomState(0).standard_normal(shape)
    values = np.linalg.svd(A, compute_uv=False)
    ridge = np.sum(values[n_select:] ** 2) / n_select
    scores = leverage_scores(A, n_select)
    np.testing.assert_allclose(scores, by_svd(A, ridge), rtol=1e-10)
    np.testing.assert_allclose(scores.sum(), np.sum(values**2 / (values**2 + ridge)))
    # Cohen, Musco, Musco: with this ridge they add up to 2k at most.
    assert scores.sum() <= 2 * n_select


@pytest.mark.parametrize("ridge", [1e-3, 1.0, 1e3])
def test_scores_by_the_inverse(ridge):
    A = np.random.RandomState(0).standard_normal((50, 8))
    expected = np.diag(A @ np.linalg.inv(A.T @ A + ridge * np.eye(8)) @ A.T)
    np.testing.assert_allclose(leverage_scores(A, 3, ridge), expected, rtol=1e-10)


@pytest.mark.parametrize("rank", [3, 8])
def test_beyond_the_rank_they_are_the_plain_leverage_scores(rank):
    rng = np.random.RandomState(0)
    A = rng.standard_normal((50, rank)) @ rng.standard_normal((rank, 8))
    basis = np.linalg.svd(A, full_matrices=False)[0][:, :rank]
    scores = leverage_scores(A, 20)
    np.testing.assert_allclose(scores, np.sum(basis**2, axis=1), rtol=1e-6)
    np.testing.assert_allclose(scores.sum(), rank, rtol=1e-6)


def test_top_is_the_largest_scores():
    A = np.random.RandomState(0).standard_normal((50, 8)) * 0.7 ** np.arange(8)
    chosen = Leverage(sampling="top").select(A, 5).indices
    values = np.linalg.svd(A, compute_uv=False)
    expected = np.argsort(-by_svd(A, np.sum(values[5:] ** 2) / 5))[:5]
    assert chosen.tolist() == expected.tolist()


def test_a_float_ridge_is_in_the_units_of_the_data():
    rng = np.random.RandomState(0)
    A, weights = rng.standard_normal((50, 4)) * [10, 5, 1, 0.1], rng.uniform(1, 5, 50)
    for ridge in (0.01, 10.0, 1e4):
        scores = by_svd(A * np.sqrt(weights)[:, None], ridge)
        chosen = Leverage(ridge, "top").select(A, 9, sample_weight=weights).indices
        assert chosen.tolist() == np.argsort(-scores)[:9].tolist()
        scaled = Leverage(ridge * 1e60, "top").select(A * 1e30, 9, sample_weight=weights).indices
        assert scaled.tolist() == chosen.tolist()


@pytest.mark.parametrize("ridge", [1e-300, 1e300])
@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_a_ridge_out_of_range_leaves_squared_norms_or_plain_scores(ridge, factor):
    A = np.random.RandomState(0).standard_normal((30, 4)) * [3, 1, 1, 0.1]
    chosen = Leverage(ridge, "top").select(A * factor, 30).indices.tolist()
    small = ridge < factor**2 if factor <= 1 else True
    expected = by_svd(A, 0.0) if small and factor > 1e-100 else np.sum(A**2, axis=1)
    assert chosen == np.argsort(-expected).tolist()


def test_ties_of_the_top_go_to_the_longer_row_then_to_the_lower_index():
    assert top_rows(np.array([0.5, 0.5, 0.9, 0.5]), np.array([1, 2, 0, 2]), 4).tolist() == [
        *(2, 1, 3, 0)
    ]
    assert Leverage(sampling="top").select(np.ones((6, 2)), 4).indices.tolist() == [0, 1, 2, 3]


# Drawing ------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.floats(0.1, 100.0))
@settings(max_examples=150)
def test_probabilities_add_up_and_are_proportional(n_rows, seed, spread):
    rng = np.random.RandomState(seed)
    size = np.exp(spread * rng.standard_normal(n_rows))
    size[rng.random_sample(n_rows) < 0.2] = 0.0
    n_select = rng.randint(1, n_rows + 1)
    odds = inclusion_probabilities([size, np.ones(n_rows)], n_select)
    np.testing.assert_allclose(odds.sum(), n_select)
    assert (odds >= 0).all()
    assert (odds <= 1).all()
    positive = size > 0
    if positive.sum() <= n_select:
        assert (odds[positive] == 1).all()
        assert len(set(odds[~positive].tolist())) <= 1
    else:
        assert (odds[~positive] == 0).all()
        open_rows = positive & (odds < 1) & (odds > 1e-290)
        factor = odds[open_rows] / size[open_rows]
        np.testing.assert_allclose(factor, factor[:1].repeat(len(factor)), rtol=1e-9)
        # Who is certain would have been above 1.
        certain = size[positive & (odds == 1)]
        if len(factor) and len(certain):
            assert certain.min() * factor[0] >= 1 - 1e-9


def test_probabilities_by_hand():
    odds = inclusion_probabilities([np.array([8.0, 1.0, 1.0, 2.0])], 2)
    np.testing.assert_allclose(odds, [1, 0.25, 0.25, 0.5])
    three = [np.array([1.0, 0, 0, 0]), np.array([1.0, 1.0, 3.0, 0]), np.ones(4)]
    np.testing.assert_allclose(inclusion_probabilities(three, 2), [1, 0.25, 0.75, 0])
    np.testing.assert_allclose(inclusion_probabilities(three, 4), np.ones(4))


def test_every_row_is_drawn_with_its_probability():
    """Over all starts: the share of the unit interval in which a row is taken is its p."""
    odds = inclusion_probabilities([np.random.RandomState(0).uniform(0.01, 1, 12)], 5)
    starts = (np.arange(2000) + 0.5) / 2000
    counts = np.zeros(12)
    for start in starts:
        at = systematic_sample(odds, 5, start)
        assert len(set(at.tolist())) == 5
        counts[at] += 1
    np.testing.assert_allclose(counts / 2000, odds, atol=1.01 / 2000)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1 - 2**-53]))
@settings(max_examples=100)
def test_rounding_takes_no_row_twice(n_rows, seed, start):
    rng = np.random.RandomState(seed)
    size = np.exp(20 * rng.standard_normal(n_rows))
    n_select = rng.randint(1, n_rows + 1)
    at = systematic_sample(inclusion_probabilities([size], n_select), n_select, start)
    assert (np.diff(at) > 0).all()
    assert at[-1] < n_rows


@pytest.mark.parametrize("weighted", [False, True])
def test_weighted_gram_matrix_is_unbiased(weighted):
    """Exact for each order of the rows: the average over the start, here on a fine grid."""
    rng = np.random.RandomState(0)
    A = rng.standard_normal((15, 3)) * [3, 1, 0.3]
    weights = rng.uniform(0.5, 2, 15) if weighted else np.ones(15)
    scaled = A * np.sqrt(weights)[:, None]
    odds = inclusion_probabilities([leverage_scores(scaled, 6)], 6)
    cuts = np.unique(np.r_[0.0, np.cumsum(odds) % 1.0, 1.0])
    mean = np.zeros((3, 3))
    for low, high in zip(cuts[:-1], cuts[1:], strict=True):
        at = systematic_sample(odds, 6, (low + high) / 2)
        mean += (high - low) * (A[at].T * (weights[at] / odds[at])) @ A[at]
    np.testing.assert_allclose(mean, scaled.T @ scaled, rtol=1e-9, atol=1e-9)


def test_weights_of_the_coreset_are_those_of_horvitz_and_thompson():
    rng = np.random.RandomState(0)
    A, weights = rng.standard_normal((30, 4)) * [3, 2, 1, 0.3], rng.uniform(1, 4, 30)
    scaled = A * np.sqrt(weights)[:, None]
    odds = inclusion_probabilities([leverage_scores(scaled, 12)], 12)
    counts, gram, total = np.zeros(30), [], []
    generator = np.random.RandomState(1)
    for _ in range(400):
        coreset = Leverage().select(A, 12, sample_weight=weights, random_state=generator)
        chosen = coreset.indices
        np.testing.assert_allclose(coreset.weights, weights[chosen] / odds[chosen])
        counts[chosen] += 1
        gram.append((A[chosen].T * coreset.weights) @ A[chosen])
        total.append(coreset.weights.sum())
    bound = normal.isf(1e-6)
    spread = np.sqrt(odds * (1 - odds) / 400)
    assert (np.abs(counts / 400 - odds) <= bound * spread + 1e-9).all()
    for estimates, truth in ((gram, scaled.T @ scaled), (total, weights.sum())):
        noise = np.std(estimates, axis=0) / 20
        assert (np.abs(np.mean(estimates, axis=0) - truth) <= bound * noise + 1e-9).all()


def test_all_rows_keep_their_weight():
    rng = np.random.RandomState(0)
    A, weights = rng.standard_normal((20, 4)), rng.uniform(1, 4, 20)
    A[::5] = 0.0
    coreset = Leverage().select(A, 20, sample_weight=weights, random_state=0)
    assert sorted(coreset.indices.tolist()) == list(range(20))
    np.testing.assert_allclose(coreset.weights, weights[coreset.indices])


def test_top_has_cluster_sizes():
    A = np.random.RandomState(0).standard_normal((30, 3))
    coreset = Leverage(sampling="top").select(A, 7)
    np.testing.assert_allclose(coreset.weights, np.bincount(coreset.assignment, minlength=7))


def test_the_draw_depends_on_rows_and_seed_not_on_their_order():
    rng = np.random.RandomState(0)
    A, weights, order = rng.standard_normal((40, 3)), rng.uniform(1, 2, 40), rng.permutation(40)
    A[:, 1] = np.round(A[:, 1])
    plain = Leverage().select(A, 9, sample_weight=weights, random_state=3)
    again = Leverage().select(A, 9, sample_weight=weights, random_state=3)
    shuffled = Leverage().select(A[order], 9, sample_weight=weights[order], random_state=3)
    other = Leverage().select(A, 9, sample_weight=weights, random_state=4)
    assert plain.indices.tolist() == again.indices.tolist()
    assert order[shuffled.indices].tolist() == plain.indices.tolist()
    np.testing.assert_allclose(shuffled.weights, plain.weights)
    assert plain.indices.tolist() != other.indices.tolist()


# Any rows -----------------------------------------------------------------------------------------


@every_variant
@pytest.mark.parametrize("n_select", [1, 4, 6])
@pytest.mark.parametrize(
    "rows",
    [np.zeros((6, 3)), np.ones((6, 3)), np.ones((6, 9)), np.diag([1e150, 1e-150, 1, 0, 0, 0])],
)
def test_rows_that_hold_little(strategy, rows, n_select):
    coreset = strategy.select(rows, n_select, random_state=0)
    assert len(set(coreset.indices.tolist())) == n_select
    assert np.isfinite(coreset.weights).all()
    assert (coreset.weights > 0).all()


@pytest.mark.parametrize("strategy", [Leverage(), Leverage(sampling="top")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_of_rows_and_weights_does_not_matter(strategy, dtype):
    rng = np.random.RandomState(0)
    A, weights = rng.standard_normal((40, 8)).astype(dtype), rng.uniform(1, 2, 40)
    plain = strategy.select(A, 20, sample_weight=weights, random_state=0)
    for factor in (1e-30, 1e30) if dtype == np.float32 else (1e-200, 1e200):
        scaled = strategy.select(
            A * dtype(factor), 20, sample_weight=weights * 1e-300, random_state=0
        )
        assert scaled.indices.tolist() == plain.indices.tolist()
        np.testing.assert_allclose(scaled.weights * 1e300, plain.weights, rtol=1e-6)


@every_variant
@given(st.integers(1, 20), st.integers(1, 6), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_properties(strategy, n_rows, n_features, coarse, seed):
    rng = np.random.RandomState(seed)
    A = rng.standard_normal((n_rows, n_features))
    A = np.round(A) if coarse else A
    n_select = rng.randint(1, n_rows + 1)
    weights = rng.randint(0, 4, n_rows).astype(float)
    weights[rng.randint(n_rows)] = 1.0
    coreset = strategy.select(A, n_select, sample_weight=weights, random_state=seed)
    assert len(set(coreset.indices.tolist())) == n_select
    assert np.isfinite(coreset.weights).all()
    assert (coreset.weights >= 0).all()
    if strategy.sampling == "top":
        np.testing.assert_allclose(coreset.weights.sum(), weights.sum())
    else:
        assert (coreset.weights >= weights[coreset.indices] * (1 - 1e-12)).all()


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        (Leverage(sampling="best"), ValueError, "sampling='best' is not valid"),
        (Leverage(ridge="none"), ValueError, "ridge='none' is not valid. Choose one of 'auto'"),
        (Leverage(ridge=0.0), ValueError, "ridge must be a number greater than 0"),
        (Leverage(ridge=None), TypeError, "ridge must be a number"),
        (Leverage(metric="far"), ValueError, "metric='far' is not valid"),
    ],
)
def test_bad_options(strategy, error, message):
    with pytest.raises(error, match=message):
        strategy.select(np.eye(3), 2)


def test_through_the_selector():
    A, y = np.random.RandomState(0).standard_normal((40, 3)), np.repeat([0, 1], 20)
    selector = CoresetSelector(Leverage(), coreset_size=0.25, random_state=0).fit(A, y)
    assert np.bincount(y[selector.sample_indices_]).tolist() == [5, 5]
    assert (selector.sample_weight_ >= 1).all()
    full = CoresetSelector(Leverage(), coreset_size=80).fit(np.vstack([A, A]))
    assert sorted(full.sample_indices_.tolist()) == list(range(80))
    assert full.sample_weight_.sum() == 80
