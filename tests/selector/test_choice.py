"""What is chosen, of duplicates too."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris, make_blobs

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies import (
    STRATEGIES,
    FacilityLocation,
)

NAMES = sorted(STRATEGIES)
every_strategy = pytest.mark.parametrize("strategy", NAMES)


@st.composite
def problems(draw):
    n_rows = draw(st.integers(2, 40))
    rng = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    X = rng.standard_normal((n_rows, draw(st.integers(1, 3))))
    if draw(st.booleans()):
        X = np.round(X)
    y = rng.randint(draw(st.integers(1, 4)), size=n_rows) if draw(st.booleans()) else None
    weights = rng.randint(0, 4, n_rows).astype(float) if draw(st.booleans()) else None
    if weights is not None:
        weights[0] = 1.0
    return X, y, weights, draw(st.floats(0.01, 1.0))


@every_strategy
@given(problem=problems())
@settings(max_examples=60)
def test_fitted_attributes_agree(strategy, problem):
    X, y, given_weights, size = problem
    selector = CoresetSelector(strategy, coreset_size=size, random_state=0)
    selector.fit(X, y, sample_weight=given_weights)
    weights = np.ones(len(X)) if given_weights is None else given_weights
    groups = np.zeros(len(X), int) if y is None else y
    indices, assignment = selector.sample_indices_, selector.assignment_

    assert indices.dtype == assignment.dtype == np.int64
    assert len(set(indices.tolist())) == len(indices)
    assert (weights[indices] > 0).all()
    assert assignment[indices].tolist() == list(range(len(indices)))
    assert ((assignment == -1) == (weights == 0)).all()
    np.testing.assert_array_equal(selector.components_, X[indices])
    kept = weights > 0
    np.testing.assert_array_equal(groups[indices[assignment[kept]]], groups[kept])
    if strategy != "leverage":  # which has weights 1 / p
        np.testing.assert_allclose(
            selector.sample_weight_,
            [weights[assignment == position].sum() for position in range(len(indices))],
        )
    objective = 0.0
    for label in np.unique(groups[kept]):
        rows = np.flatnonzero(kept & (groups == label))
        own = indices[groups[indices] == label]
        n_distinct = len({tuple(row) for row in X[rows].tolist()})
        assert len(own) == max(1, int(np.floor(size * n_distinct + 0.5 + 1e-9)))
        distances = cdist(X[rows], X[own])
        mine = np.linalg.norm(X[rows] - X[indices[assignment[rows]]], axis=1)
        np.testing.assert_allclose(mine, distances.min(axis=1), rtol=1e-5, atol=1e-6)
        objective += weights[rows] @ mine
    np.testing.assert_allclose(selector.objective_, objective, rtol=1e-5, atol=1e-5)


@every_strategy
@pytest.mark.parametrize("n_jobs", [2, -1])
def test_threads_do_not_change_the_result(strategy, n_jobs):
    X, y = make_blobs(200, centers=5, random_state=0)
    one, many = (
        CoresetSelector(strategy, n_jobs=jobs, random_state=0).fit(X, y) for jobs in (1, n_jobs)
    )
    for name in ("sample_indices_", "sample_weight_", "assignment_", "objective_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


@every_strategy
def test_classes_are_selected_one_by_one(strategy):
    X, y = make_blobs(90, centers=3, random_state=0)
    selector = CoresetSelector(strategy, coreset_size=0.2, random_state=0).fit(X, y)
    assert y[selector.sample_indices_].tolist() == [0] * 6 + [1] * 6 + [2] * 6
    seeds = np.random.RandomState(0).randint(2**31 - 1, size=3)
    for label in range(3):
        rows = np.flatnonzero(y == label)
        coreset = STRATEGIES[strategy]().select(X[rows], 6, random_state=seeds[label])
        part = slice(6 * label, 6 * label + 6)
        assert selector.sample_indices_[part].tolist() == rows[coreset.indices].tolist()
        assert selector.assignment_[rows].tolist() == (6 * label + coreset.assignment).tolist()


@pytest.mark.parametrize(
    "encode",
    [
        lambda y: np.array(["ham", "owl", "zoo"])[y],
        lambda y: np.array(["ham", "owl", "zoo"], dtype=object)[y],
        lambda y: np.array([-5, 7, 1000])[y],
        lambda y: y.astype(float),
        lambda y: y.tolist(),
        lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
        lambda y: pd.Series(np.array(["a", "b", "c"])[y], dtype="category"),
    ],
)
def test_labels_of_any_kind(encode):
    X, y = load_iris(return_X_y=True)
    expected = CoresetSelector(coreset_size=9).fit(X, y).sample_indices_
    chosen = CoresetSelector(coreset_size=9).fit(X, encode(y)).sample_indices_
    assert chosen.tolist() == expected.tolist()


def test_without_stratify_all_rows_are_one_group():
    X, y = load_iris(return_X_y=True)
    for selector in (
        CoresetSelector(coreset_size=9, stratify=False).fit(X, y),
        CoresetSelector(coreset_size=9).fit(X),
        CoresetSelector(coreset_size=9, stratify=False).fit(X, np.linspace(0, 1, 150)),
    ):
        chosen = FacilityLocation().select(X, 9)
        np.testing.assert_array_equal(
            np.sort(X[selector.sample_indices_], axis=0), np.sort(X[chosen.indices], axis=0)
        )
        np.testing.assert_allclose(selector.objective_, chosen.objective, rtol=1e-5)


@every_strategy
def test_weights_are_repeated_rows(strategy):
    rng = np.random.RandomState(0)
    X, y, weights = rng.standard_normal((40, 3)), np.arange(40) % 2, rng.randint(0, 4, 40)
    row = np.repeat(np.arange(40), weights)
    weighted, repeated = (
        CoresetSelector(strategy, coreset_size=0.3, random_state=0) for _ in range(2)
    )
    weighted.fit(X, y, sample_weight=weights)
    repeated.fit(X[row], y[row])
    assert row[repeated.sample_indices_].tolist() == weighted.sample_indices_.tolist()
    np.testing.assert_allclose(repeated.sample_weight_, weighted.sample_weight_)
    np.testing.assert_array_equal(repeated.assignment_, weighted.assignment_[row])


def test_class_without_weight_is_left_out():
    X, y = load_iris(return_X_y=True)
    selector = CoresetSelector(coreset_size=6).fit(X, y, sample_weight=y != 1)
    assert y[selector.sample_indices_].tolist() == [0, 0, 0, 2, 2, 2]
    assert (selector.assignment_[y == 1] == -1).all()
    assert (selector.assignment_[y != 1] >= 0).all()


@every_strategy
def test_duplicates_are_one_point(strategy):
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [5.0, 5.0], [0.0, 1.0], [5.0, 5.0], [9.0, 0.0]])
    selector = CoresetSelector(strategy, coreset_size=3, random_state=0).fit(X)
    assert sorted(selector.sample_indices_) == [0, 2, 5]
    weight = dict(zip(selector.sample_indices_, selector.sample_weight_, strict=True))
    assert weight == {0: 3.0, 2: 2.0, 5: 1.0}
    medoid = selector.sample_indices_[selector.assignment_]
    assert medoid.tolist() == [0, 0, 2, 0, 2, 5]
    assert selector.objective_ == 0.0


@every_strategy
def test_int_size_is_filled_up_with_copies(strategy):
    X = np.array([[0.0], [0.0], [1.0], [0.0], [1.0]])
    weights = np.array([0.1, 0.2, 1.0, 1e-30, 1.0])
    selector = CoresetSelector(strategy, coreset_size=4, random_state=0)
    selector.fit(X, sample_weight=weights)
    assert sorted(selector.sample_indices_[:2]) == [0, 2]
    assert selector.sample_indices_[2:].tolist() == [1, 3]
    assert selector.assignment_[selector.sample_indices_].tolist() == [0, 1, 2, 3]
    weight = dict(zip(selector.sample_indices_, selector.sample_weight_, strict=True))
    assert weight == {0: 0.1, 1: 0.2, 2: 2.0, 3: 1e-30}


@every_strategy
@pytest.mark.parametrize("size", [1, 3, 5, 0.2, 1.0])
def test_all_rows_equal(strategy, size):
    selector = CoresetSelector(strategy, coreset_size=size, random_state=0).fit(np.ones((5, 2)))
    expected = size if isinstance(size, int) else 1
    assert selector.sample_indices_.tolist() == list(range(expected))
    assert selector.sample_weight_.sum() == 5.0
    assert selector.objective_ == 0.0


@every_strategy
def test_every_row(strategy):
    X, y = make_blobs(20, random_state=0)
    for size in (1.0, 20):
        selector = CoresetSelector(strategy, coreset_size=size, random_state=0).fit(X, y)
        assert sorted(selector.sample_indices_) == list(range(20))
        assert selector.sample_weight_.tolist() == [1.0] * 20
