"""initial_subset: what is chosen to complement rows that are chosen already, by brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from crust_sklearn import CoresetClassifier, CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.strategies import STRATEGIES, FacilityLocation

RNG = np.random.default_rng(0)
N, D = 40, 6
X = RNG.normal(size=(N, D)) * np.arange(1, D + 1)
Y = RNG.integers(3, size=N)
WEIGHTS = RNG.integers(1, 4, size=N).astype(float)
INITIAL = [17, 3, 25]
CAN_EXTEND = {"facility-location", "greedy-css", "pivoted-qr", "uniform"}
DISTANCES = np.linalg.norm(X[:, None] - X, axis=2)


def choose(strategy="facility-location", *, y=None, weights=None, data=X, **params):
    params = {"coreset_size": 4, "initial_subset": INITIAL, "random_state": 0} | params
    return CoresetSelector(strategy, **params).fit(data, y, weights)


def get_residuals(chosen):
    basis = np.linalg.svd(X[chosen], full_matrices=False)[2]
    return X - X @ basis.T @ basis


def score_facility(chosen):
    return -WEIGHTS @ DISTANCES[:, chosen].min(axis=1)


def score_css(chosen):
    return -WEIGHTS @ (get_residuals(chosen) ** 2).sum(axis=1)


def score_qr(chosen):
    row = chosen[-1]
    return WEIGHTS[row] * (get_residuals(chosen[:-1])[row] ** 2).sum()


@pytest.mark.parametrize(
    ("strategy", "score", "n_select"),
    [
        ("facility-location", score_facility, 8),
        ("facility-location", score_facility, N - 3),
        ("greedy-css", score_css, 2),
        ("pivoted-qr", score_qr, 3),
    ],
)
def test_every_choice_is_the_best_next_one(strategy, score, n_select):
    selector = choose(strategy, weights=WEIGHTS, coreset_size=n_select)
    chosen = list(INITIAL)
    for found in selector.sample_indices_[3:]:
        rest = np.setdiff1d(np.arange(N), chosen)
        assert found in rest
        scores = [score([*chosen, row]) for row in rest]
        assert_allclose(score([*chosen, found]), max(scores), rtol=1e-5)
        chosen.append(found)
    assert len(chosen) == 3 + n_select


@pytest.mark.parametrize("strategy", ["facility-location", "greedy-css", "pivoted-qr"])
def test_choosing_in_two_goes_is_choosing_in_one(strategy):
    # Below the rank: the row that completes the span is chosen by its norm.
    at_once = choose(strategy, initial_subset=None, coreset_size=5)
    again = choose(strategy, initial_subset=at_once.sample_indices_[:2], coreset_size=3)
    assert_array_equal(again.sample_indices_, at_once.sample_indices_)
    assert_array_equal(again.assignment_, at_once.assignment_)
    assert_allclose(again.objective_, at_once.objective_)


@pytest.mark.parametrize("strategy", ["greedy-css", "pivoted-qr"])
def test_beyond_the_rank_the_rows_are_filled_up(strategy):
    flat = X.copy()
    flat[:, 2:] = 0
    selector = choose(strategy, data=flat, coreset_size=10)
    assert len(np.unique(selector.sample_indices_)) == 13
    assert_array_equal(selector.sample_indices_[:3], INITIAL)


def test_stochastic_greedy_with_all_rows_as_candidates():
    strategy = FacilityLocation(optimizer="stochastic", epsilon=1e-300)
    found = choose(strategy, weights=WEIGHTS).sample_indices_
    assert_array_equal(found, choose(weights=WEIGHTS).sample_indices_)


def test_uniform_draws_from_the_others():
    found = [choose("uniform", random_state=seed).sample_indices_[3:] for seed in range(100)]
    assert not np.isin(found, INITIAL).any()
    assert len(np.unique(found)) == N - 3


@pytest.mark.parametrize("strategy", sorted(CAN_EXTEND))
@pytest.mark.parametrize("y", [None, Y])
def test_fitted_attributes(strategy, y):
    selector = choose(strategy, y=y, weights=WEIGHTS)
    rows = selector.sample_indices_
    assert_array_equal(rows[:3], INITIAL)
    assert len(np.unique(rows)) == len(rows) == 7
    assert_array_equal(selector.components_, X[rows])
    distances = DISTANCES[:, rows].copy()
    if y is not None:
        distances[y[:, None] != y[rows]] = np.inf
    assert_array_equal(selector.assignment_, distances.argmin(axis=1))
    expected = np.bincount(selector.assignment_, WEIGHTS, minlength=7)
    assert_allclose(selector.sample_weight_, expected)
    assert_allclose(selector.objective_, WEIGHTS @ distances.min(axis=1), rtol=1e-5)
    assert selector.transform(X).shape == (N, 7)


def test_sizes_count_what_is_added():
    y = np.repeat([0, 1, 2], [20, 17, 3])
    initial = [0, 1, 37, 38, 39]  # all of the last class
    found = choose(y=y, coreset_size=0.5, initial_subset=initial).sample_indices_[5:]
    assert_array_equal(np.bincount(y[found]), [9, 9])
    found = choose(y=y, coreset_size=2, initial_subset=initial).sample_indices_[5:]
    assert_array_equal(np.bincount(y[found]), [1, 1])
    # A class without such a row is chosen from as ever.
    alone = CoresetSelector(coreset_size=8).fit(X[20:37]).sample_indices_ + 20
    assert set(choose(y=y, coreset_size=0.5, initial_subset=[0]).sample_indices_) >= set(alone)


def test_masks_copies_and_none():
    mask = np.isin(np.arange(N), INITIAL)
    found = choose(initial_subset=mask)
    assert_array_equal(found.sample_indices_[:3], np.sort(INITIAL))
    assert_array_equal(found.sample_indices_[3:], choose().sample_indices_[3:])
    for nothing in ([], np.zeros(N, bool), None):
        assert_array_equal(
            choose(initial_subset=nothing).sample_indices_,
            CoresetSelector(coreset_size=4).fit(X).sample_indices_,
        )
    copied = clone(CoresetSelector(initial_subset=INITIAL))
    assert copied.get_params()["initial_subset"] == INITIAL


def test_sparse_rows_and_equal_rows():
    data = sparse.csr_array(np.repeat(np.round(X), 2, axis=0))
    selector = choose(data=data, initial_subset=[0, 1], coreset_size=2 * N - 2)
    assert_array_equal(np.sort(selector.sample_indices_), np.arange(2 * N))
    assert_array_equal(selector.sample_indices_[:2], [0, 1])


def test_rows_of_weight_zero_are_not_chosen():
    weights = WEIGHTS.copy()
    weights[::4] = 0
    selector = choose(weights=weights, coreset_size=27)
    assert_array_equal(np.sort(selector.sample_indices_), np.flatnonzero(weights))
    assert_array_equal(selector.assignment_ == -1, weights == 0)


def test_a_classifier_on_the_rows():
    selector = CoresetSelector(initial_subset=INITIAL, coreset_size=9)
    clf = CoresetClassifier(LogisticRegression(), selector)
    assert set(clf.fit(X, Y).selector_.sample_indices_) >= set(INITIAL)


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - CAN_EXTEND))
def test_strategies_that_cannot(strategy):
    with pytest.raises(ValueError, match="does not choose rows that complement others.*'uniform'"):
        choose(strategy)


@pytest.mark.parametrize(
    ("initial", "sentence"),
    [
        ([0, N], "numbers from 0 to 40, 2 in all, which are not different rows from 0 to 39"),
        ([-1], "numbers from -1"),
        ([1, 1], "not different rows"),
        ([0.5], "dtype float64"),
        ([[1]], r"the shape \(1, 1\)"),
        ([True, False], "dtype bool, for an X of 40 rows"),
        (np.arange(N), "holds all rows"),
        (3, r"the shape \(\)"),
        (["a"], "Give the numbers of rows of X"),
    ],
)
def test_refused(initial, sentence):
    with pytest.raises(ValueError, match=f"initial_subset.*{sentence}"):
        choose(initial_subset=initial)


def test_refused_sizes_weights_and_memory():
    with pytest.raises(ValueError, match="more than the n_samples=37 rows to choose from"):
        choose(coreset_size=38)
    with pytest.raises(ValueError, match="holds row 3, whose sample_weight is zero"):
        choose(weights=(np.arange(N) != 3).astype(float))
    with (
        config_context(working_memory=1),
        pytest.raises(ValueError, match="1200 rows are more than the 1000 that fit in memory"),
    ):
        choose(data=RNG.normal(size=(1200, 2)))


@pytest.mark.parametrize("strategy", ["facility-location", "smallest-norm"])
def test_a_network_chooses_by_itself(strategy):
    selector = CoresetSelector(strategy, initial_subset=INITIAL)
    clf = CRUSTClassifier(MLP, selector=selector, max_epochs=2, verbose=0)
    with pytest.raises(ValueError, match="initial_subset"):
        clf.fit(X.astype(np.float32), Y)
