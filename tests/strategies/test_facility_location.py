from itertools import combinations
from math import ceil, comb, e, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs

from crust_sklearn.strategies import Centrality, FacilityLocation, Uniform
from crust_sklearn.strategies.facility_location import lazy_greedy, stochastic_greedy


def plain_greedy(distances, weights, n_select, start):
    """The definition: every step tries every row; the first of the best wins."""
    chosen, gains = [], []
    nearest = np.full(distances.shape[1], float(start))
    for _ in range(n_select):
        gain = [
            -1.0 if row in chosen else float(weights @ np.maximum(nearest - distances[row], 0.0))
            for row in range(len(distances))
        ]
        best = int(np.argmax(gain))
        chosen.append(best)
        gains.append(gain[best])
        nearest = np.minimum(nearest, distances[best])
    return chosen, gains


def objective(distances, weights, chosen):
    return weights @ distances[:, list(chosen)].min(axis=1)


@st.composite
def integer_problems(draw):
    # Small integers are exact in float32, and full of ties.
    n_rows = draw(st.integers(1, 12))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.RandomState(seed)
    distances = np.triu(rng.randint(0, draw(st.integers(2, 9)), (n_rows, n_rows)), 1)
    distances = (distances + distances.T).astype(np.float32)
    weights = rng.randint(0, draw(st.integers(2, 4)), n_rows).astype(np.float32)
    return distances, weights, draw(st.integers(1, n_rows)), np.float32(distances.max())


@given(integer_problems())
@settings(max_examples=300)
def test_lazy_kernel_is_the_plain_greedy_also_on_ties(problem):
    distances, weights, n_select, start = problem
    indices, gains = lazy_greedy(distances, weights, n_select, start)
    expected, expected_gains = plain_greedy(distances, weights, n_select, start)
    assert indices.tolist() == expected
    assert gains.tolist() == expected_gains


@given(integer_problems(), st.integers(1, 12))
@settings(max_examples=100)
def test_lazy_kernel_covers_other_points_than_it_chooses_from(problem, n_points):
    distances, weights, n_select, start = problem
    points = np.arange(n_points) % len(distances)
    distances, weights = np.ascontiguousarray(distances[:, points]), weights[points]
    indices, gains = lazy_greedy(distances, weights, n_select, start)
    expected, expected_gains = plain_greedy(distances, weights, n_select, start)
    assert indices.tolist() == expected
    assert gains.tolist() == expected_gains


@given(integer_problems())
@settings(max_examples=100)
def test_lazy_gains_do_not_increase_and_add_up(problem):
    distances, weights, n_select, start = problem
    indices, gains = lazy_greedy(distances, weights, n_select, start)
    assert (np.diff(gains) <= 0).all()
    assert gains.sum() == start * weights.sum() - objective(distances, weights, indices)


@given(integer_problems(), st.integers(0, 2**32 - 1))
@settings(max_examples=200)
def test_stochastic_kernel_with_all_rows_as_candidates_is_the_plain_greedy(problem, seed):
    distances, weights, n_select, start = problem
    draws = np.random.RandomState(seed).random_sample((n_select, len(distances)))
    indices, gains = stochastic_greedy(distances, weights, start, draws.astype(np.float32))
    expected, expected_gains = plain_greedy(distances, weights, n_select, start)
    assert indices.tolist() == expected
    assert gains.tolist() == expected_gains


@given(integer_problems(), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=200)
def test_stochastic_kernel_takes_the_best_of_its_distinct_candidates(problem, n_candidates, seed):
    distances, weights, n_select, start = problem
    n_rows = len(distances)
    draws = np.random.RandomState(seed).random_sample((n_select, n_candidates)).astype(np.float32)
    indices, gains = stochastic_greedy(distances, weights, start, draws)
    # A plain Fisher-Yates shuffle of the rows that are left, by the same numbers.
    rest, nearest = list(range(n_rows)), np.full(n_rows, float(start))
    for step in range(n_select):
        pool, candidates = list(rest), []
        for c in range(min(n_candidates, len(pool))):
            other = c + min(int(draws[step, c] * np.float32(len(pool) - c)), len(pool) - c - 1)
            pool[c], pool[other] = pool[other], pool[c]
            candidates.append(pool[c])
        assert len(set(candidates)) == len(candidates)
        gain = {row: weights @ np.maximum(nearest - distances[row], 0.0) for row in candidates}
        best = min(row for row in candidates if gain[row] == max(gain.values()))
        assert indices[step] == best
        assert gains[step] == gain[best]
        at = pool.index(best)
        pool[at] = pool[-1]
        rest, nearest = pool[:-1], np.minimum(nearest, distances[best])
    assert len(set(indices.tolist())) == n_select


def test_a_draw_of_almost_one_stays_in_range():
    # float32 rounds 0.99999999 up to 1.0.
    distances = np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]], np.float32)
    draws = np.ones((3, 3), np.float32)
    indices, _ = stochastic_greedy(distances, np.ones(3, np.float32), np.float32(2), draws)
    assert sorted(indices) == [0, 1, 2]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize(("n_rows", "n_select"), [(40, 7), (300, 150), (520, 3)])
def test_choice_is_the_plain_greedy_on_float64_distances(n_rows, n_select, metric, weighted):
    rng = np.random.RandomState(n_rows)
    X = rng.standard_normal((n_rows, 5))
    weights = rng.uniform(0.1, 3.0, n_rows) if weighted else np.ones(n_rows)
    distances = cdist(X, X, {"manhattan": "cityblock"}.get(metric, metric))
    coreset = FacilityLocation(metric=metric).select(
        X, n_select, sample_weight=weights if weighted else None
    )
    assert (
        coreset.indices.tolist() == plain_greedy(distances, weights, n_select, distances.max())[0]
    )
    np.testing.assert_allclose(
        coreset.objective, objective(distances, weights, coreset.indices), rtol=1e-5
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_select", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_greedy_bound_against_brute_force(seed, n_select, weighted):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((12, 2)) ** 3
    weights = rng.randint(1, 5, 12).astype(float) if weighted else np.ones(12)
    distances = cdist(X, X)
    subsets = list(combinations(range(12), n_select))
    assert len(subsets) == comb(12, n_select)
    best = min(objective(distances, weights, subset) for subset in subsets)
    nothing = distances.max() * weights.sum()
    coreset = FacilityLocation().select(X, n_select, sample_weight=weights)
    assert coreset.objective >= best * (1 - 1e-6)
    assert nothing - coreset.objective >= (1 - 1 / e) * (nothing - best)
    if n_select == 1:
        np.testing.assert_allclose(coreset.objective, best, rtol=1e-6)


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.5])
def test_stochastic_bound_against_brute_force_in_the_mean(epsilon):
    X = np.random.RandomState(1).standard_normal((14, 2)) ** 3
    distances, ones = cdist(X, X), np.ones(14)
    best = min(objective(distances, ones, subset) for subset in combinations(range(14), 4))
    nothing = distances.max() * 14
    strategy = FacilityLocation("stochastic", epsilon=epsilon)
    reduction = [nothing - strategy.select(X, 4, random_state=s).objective for s in range(30)]
    assert np.mean(reduction) >= (1 - 1 / e - epsilon) * (nothing - best)


def test_stochastic_looks_at_as_many_rows_as_epsilon_asks(monkeypatch):
    seen = []
    module = __import__("crust_sklearn.strategies.facility_location", fromlist=["_"])

    def record(distances, weights, start, draws):
        seen.append(draws.shape)
        return stochastic_greedy(distances, weights, start, draws)

    monkeypatch.setattr(module, "stochastic_greedy", record)
    X = np.random.RandomState(0).standard_normal((100, 2))
    for epsilon, n_select in [(0.5, 20), (0.01, 50), (1e-9, 1)]:
        FacilityLocation("stochastic", epsilon=epsilon).select(X, n_select, random_state=0)
        assert seen.pop() == (n_select, min(100, ceil(100 / n_select * log(1 / epsilon))))


def test_stochastic_with_a_tiny_epsilon_is_exact_and_a_large_one_is_not():
    X = np.random.RandomState(0).standard_normal((200, 3))
    exact = FacilityLocation().select(X, 20).indices.tolist()
    choices = [
        FacilityLocation("stochastic", epsilon=epsilon).select(X, 20, random_state=3).indices
        for epsilon in (1e-12, 0.9)
    ]
    assert choices[0].tolist() == exact
    assert choices[1].tolist() != exact


def test_stochastic_depends_on_the_seed_alone():
    X = np.random.RandomState(0).standard_normal((200, 3))
    strategy = FacilityLocation("stochastic", epsilon=0.5)
    first, again, other = (
        strategy.select(X, 20, random_state=seed).indices.tolist() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_weights_count_as_repeated_rows():
    rng = np.random.RandomState(0)
    X, weights = rng.standard_normal((30, 2)), rng.randint(1, 5, 30)
    weighted = FacilityLocation().select(X, 6, sample_weight=weights)
    row = np.repeat(np.arange(30), weights)
    repeated = FacilityLocation().select(X[row], 6)
    assert row[repeated.indices].tolist() == weighted.indices.tolist()
    np.testing.assert_allclose(repeated.objective, weighted.objective, rtol=1e-6)
    assert repeated.weights.tolist() == weighted.weights.tolist()


def test_rows_of_weight_zero_do_not_pull():
    X = np.array([[0.0], [1.0], [2.0], [50.0]])
    assert FacilityLocation().select(X, 1, sample_weight=[1, 1, 1, 0]).indices.tolist() == [1]


def test_finds_one_row_of_every_cluster_first():
    X, label = make_blobs([50] * 6, centers=np.eye(6) * 100, random_state=0)
    chosen = FacilityLocation().select(X, 6).indices
    assert sorted(label[chosen]) == [0, 1, 2, 3, 4, 5]


def test_beats_random_and_centrality_by_its_own_objective():
    X, _ = make_blobs(600, centers=8, n_features=10, random_state=0)
    greedy = FacilityLocation().select(X, 60).objective
    assert greedy < min(Uniform().select(X, 60, random_state=s).objective for s in range(10))
    assert greedy < Centrality().select(X, 60).objective


def test_all_rows_equal():
    coreset = FacilityLocation().select(np.full((5, 3), 7.5), 3)
    assert coreset.indices.tolist() == [0, 1, 2]
    assert coreset.objective == 0.0
    assert coreset.weights.tolist() == [3.0, 1.0, 1.0]


@pytest.mark.parametrize("optimizer", ["lazy", "stochastic"])
def test_one_row_and_all_rows(optimizer):
    X = np.random.RandomState(0).standard_normal((9, 2))
    strategy = FacilityLocation(optimizer)
    everything = strategy.select(X, 9, random_state=0)
    assert sorted(everything.indices) == list(range(9))
    assert everything.objective == 0.0
    assert everything.weights.tolist() == [1.0] * 9
    assert strategy.select(X[:1], 1, random_state=0).indices.tolist() == [0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimizer": "lasy"}, ValueError, r"optimizer='lasy' .*'lazy'.*Did you mean 'lazy'\?"),
        ({"optimizer": None}, ValueError, "optimizer=None is not valid. Choose one of 'lazy'"),
        ({"epsilon": 0.0}, ValueError, "epsilon must be a number greater than 0"),
        ({"epsilon": 1.0}, ValueError, "epsilon must be less than 1"),
        ({"epsilon": np.nan}, ValueError, "epsilon must be a number"),
        ({"epsilon": "0.1"}, TypeError, "epsilon must be a number"),
        ({"metric": "euclidian"}, ValueError, r"metric=.*Did you mean 'euclidean'\?"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        FacilityLocation(**options).select(np.eye(3), 2)
