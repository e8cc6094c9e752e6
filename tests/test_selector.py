import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import CoresetSelector
from crust_sklearn.selector import share_budget
from crust_sklearn.strategies import (
    STRATEGIES,
    BaseStrategy,
    Centrality,
    Coreset,
    FacilityLocation,
    Uniform,
)

NAMES = sorted(STRATEGIES)
every_strategy = pytest.mark.parametrize("strategy", NAMES)


class FirstRows(BaseStrategy):
    def __init__(self, metric=None, skip=0):
        super().__init__(metric)
        self.skip = skip

    def _pick(self, X, n_select, sample_weight, random_state):
        return (np.arange(n_select) + self.skip) % len(X)


class LastRows:
    """No base, no parameters: only what the contract asks for."""

    def select(self, X, n_select, *, sample_weight, random_state):
        indices = np.arange(len(X))[-n_select:]
        assignment = np.abs(X[:, None] - X[indices]).sum(axis=2).argmin(axis=1)
        weights = np.bincount(assignment, weights=sample_weight, minlength=n_select)
        return Coreset(indices, weights, assignment, 0.0)


class Chebyshev:
    def pairwise(self, X, Y):
        return np.abs(X[:, None] - Y).max(axis=2)


@parametrize_with_checks(
    [CoresetSelector(name) for name in NAMES]
    + [CoresetSelector(FacilityLocation("stochastic")), CoresetSelector(coreset_size=7)]
)
def test_scikit_learn(estimator, check):
    check(estimator)


# Budgets ------------------------------------------------------------------------------------------

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(SIZES, st.floats(0.001, 1.0))
@settings(deadline=None)
def test_float_budget_is_the_share_of_each_class(sizes, fraction):
    for size, budget in zip(sizes, share_budget(sizes, fraction), strict=True):
        assert 1 <= budget <= size
        assert abs(budget - fraction * size) <= 0.5 + 1e-6 or budget == 1


@pytest.mark.parametrize(
    ("fraction", "size", "budget"),
    [(0.5, 5, 3), (0.29, 100, 29), (0.35, 10, 4), (0.15, 10, 2), (0.3, 1, 1), (1.0, 7, 7)],
)
def test_float_budget_rounds_halves_up(fraction, size, budget):
    assert share_budget([size], fraction) == [budget]


@given(SIZES, st.data())
@settings(max_examples=300, deadline=None)
def test_int_budget_adds_up_and_is_proportional(sizes, data):
    total = data.draw(st.integers(len(sizes), sum(sizes)))
    budgets = np.array(share_budget(sizes, total))
    sizes = np.array(sizes)
    assert budgets.sum() == total
    assert (budgets >= 1).all()
    assert (budgets <= sizes).all()
    # What a minority of one costs is paid in proportion by the classes that have more.
    large = budgets > 1
    assert (budgets[large] <= np.ceil(total * sizes[large] / sizes.sum())).all()
    quota = total * sizes / sizes.sum()
    if (quota >= 1).all():
        assert (np.abs(budgets - quota) < 1).all()


@given(SIZES, st.data())
@settings(max_examples=100, deadline=None)
def test_int_budget_is_largest_remainder(sizes, data):
    total = data.draw(st.integers(len(sizes), sum(sizes)))
    exact = [divmod(total * size, sum(sizes)) for size in sizes]
    expected = [whole for whole, _ in exact]
    ranked = sorted(range(len(sizes)), key=lambda i: (-exact[i][1], i))
    for i in ranked[: total - sum(expected)]:
        expected[i] += 1
    if min(expected) >= 1:
        assert share_budget(sizes, total) == expected


@pytest.mark.parametrize(
    ("sizes", "total", "budgets"),
    [
        ([6, 3, 1], 4, [2, 1, 1]),
        ([1000, 500] + [1] * 10, 20, [7, 3] + [1] * 10),
        ([5, 5, 5], 4, [2, 1, 1]),
        ([1, 1, 98], 3, [1, 1, 1]),
        ([4, 4], 100, [4, 4]),
        ([10**9, 10**9], 10**9, [5 * 10**8, 5 * 10**8]),
    ],
)
def test_int_budget_by_hand(sizes, total, budgets):
    assert share_budget(sizes, total) == budgets


def test_int_budget_smaller_than_the_number_of_classes():
    message = "coreset_size=2 is less than the 3 classes.*Give at least 3"
    with pytest.raises(ValueError, match=message):
        share_budget([5, 5, 5], 2)
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        CoresetSelector(coreset_size=2).fit(X, y)
    assert len(CoresetSelector(coreset_size=2, stratify=False).fit(X, y).sample_indices_) == 2


# What is chosen -----------------------------------------------------------------------------------


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
@settings(max_examples=60, deadline=None)
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


# Duplicates ---------------------------------------------------------------------------------------


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


# Input --------------------------------------------------------------------------------------------


@every_strategy
def test_many_kinds_of_X(strategy, tmp_path):
    y = np.arange(30) % 3
    X = np.random.RandomState(0).randint(-3, 4, (30, 5)).astype(np.float64)
    expected = CoresetSelector(strategy, random_state=0).fit(X, y)
    stored = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flags.writeable = False
    kinds = [
        *(X.astype(dtype) for dtype in (np.float16, np.float32, np.int32, object)),
        np.asfortranarray(X),
        stored,
        X.tolist(),
        pd.DataFrame(X, columns=list("abcde"), index=np.arange(30) + 7),
        sparse.csr_array(X),
        sparse.csc_matrix(X),
        sparse.coo_array(X.astype(np.float32)),
    ]
    for kind in kinds:
        selector = CoresetSelector(strategy, random_state=0).fit(kind, y)
        assert selector.sample_indices_.tolist() == expected.sample_indices_.tolist()
        assert selector.assignment_.tolist() == expected.assignment_.tolist()
        np.testing.assert_allclose(
            selector.transform(kind), expected.transform(X), rtol=1e-5, atol=1e-3
        )
        components = selector.components_
        if sparse.issparse(kind):
            assert sparse.issparse(components)
            components = components.toarray()
        np.testing.assert_array_equal(components, expected.components_)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"X": np.ones((5, 2)), "y": np.ones(6)}, ValueError, "X has 5 rows, y has 6"),
        ({"X": [[np.nan]] * 5}, ValueError, "Input X contains NaN"),
        ({"X": [[np.inf]] * 5}, ValueError, "Input X contains infinity"),
        ({"sample_weight": np.ones(3)}, ValueError, r"sample_weight.shape == \(3,\), expected"),
        ({"sample_weight": np.full(6, np.nan)}, ValueError, "sample_weight contains NaN"),
        ({"sample_weight": np.zeros(6)}, ValueError, "sample_weight is zero for every row"),
        ({"sample_weight": np.full(6, 1e308)}, ValueError, "sample_weight is too large.*Divide"),
        ({"X": [["a", "1"]] * 6}, ValueError, "X holds text, first in column 0.*encode"),
        ({"X": pd.DataFrame({"n": range(6), "s": list("abcdef")})}, ValueError, "column 's'"),
        ({"y": np.linspace(0, 1, 6)}, ValueError, "continuous.*set stratify=False"),
        ({"y": [0, 1, 0, 1, 0, np.nan]}, ValueError, "NaN"),
    ],
)
def test_bad_data(arguments, error, message):
    arguments = {"X": np.arange(12.0).reshape(6, 2), "y": None} | arguments
    with pytest.raises(error, match=message):
        CoresetSelector().fit(**arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"coreset_size": 0}, ValueError, "coreset_size=0 is out of range.*fraction"),
        ({"coreset_size": -1}, ValueError, "coreset_size=-1 is out of range"),
        ({"coreset_size": 0.0}, ValueError, "coreset_size=0.0 is out of range"),
        ({"coreset_size": 1.5}, ValueError, "coreset_size=1.5 is out of range"),
        ({"coreset_size": np.nan}, ValueError, "coreset_size=nan is out of range"),
        ({"coreset_size": 7}, ValueError, "coreset_size=7 is more than the n_samples=6 rows"),
        ({"coreset_size": "half"}, TypeError, "coreset_size='half' is not a number"),
        ({"coreset_size": True}, TypeError, "coreset_size=True is not a number"),
        ({"strategy": "facilty-location"}, ValueError, "Did you mean 'facility-location'"),
        ({"strategy": Centrality}, TypeError, "is neither a name nor a strategy"),
        ({"strategy": FacilityLocation("lazi")}, ValueError, "Did you mean 'lazy'"),
        ({"metric": "euclidaen"}, ValueError, r"metric=.*Did you mean 'euclidean'\?"),
        ({"metric": None}, ValueError, "metric=None is not valid. Choose one of"),
    ],
)
def test_bad_options(options, error, message):
    selector = CoresetSelector(**options)
    with pytest.raises(error, match=message):
        selector.fit(np.arange(12.0).reshape(6, 2))
    assert not hasattr(selector, "sample_indices_")


def test_int_size_counts_the_rows_that_have_weight():
    with pytest.raises(ValueError, match="coreset_size=3 is more than the n_samples=2 rows"):
        CoresetSelector(coreset_size=3).fit(np.eye(4), sample_weight=[1, 0, 0, 1])


# Transform ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("euclidean", "euclidean"),
        ("manhattan", "cityblock"),
        ("cosine", "cosine"),
        (lambda a, b: np.abs(a - b).max(), "chebyshev"),
        (Chebyshev(), "chebyshev"),
    ],
)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_transform_is_the_distances(metric, reference, kind):
    rng = np.random.RandomState(0)
    X, new = rng.standard_normal((30, 3)), rng.standard_normal((7, 3))
    selector = CoresetSelector(coreset_size=4, metric=metric).fit(kind(X))
    expected = cdist(X, X, reference)
    transformed = selector.transform(kind(new))
    chosen = X[selector.sample_indices_]
    np.testing.assert_allclose(transformed, cdist(new, chosen, reference), atol=1e-6)
    np.testing.assert_allclose(
        selector.objective_, expected[:, selector.sample_indices_].min(axis=1).sum(), rtol=1e-5
    )


@every_strategy
def test_a_metric_that_is_negative_is_refused_by_every_strategy(strategy):
    X = np.random.RandomState(0).standard_normal((30, 3))
    selector = CoresetSelector(strategy, metric=lambda a, b: -np.abs(a - b).sum())
    with pytest.raises(ValueError, match="metric=.* gives negative distances"):
        selector.fit(X)


def test_metric_of_the_strategy_comes_first():
    X = np.random.RandomState(0).standard_normal((30, 3))
    own = CoresetSelector(FacilityLocation(metric="manhattan"), coreset_size=4).fit(X)
    given = CoresetSelector(FacilityLocation(), metric="manhattan", coreset_size=4).fit(X)
    assert own.sample_indices_.tolist() == given.sample_indices_.tolist()
    assert given.strategy.metric is None
    expected = cdist(X, X[given.sample_indices_], "cityblock").min(axis=1).sum()
    np.testing.assert_allclose([own.objective_, given.objective_], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_keeps_the_dtype(dtype):
    X = np.random.RandomState(0).standard_normal((30, 3)).astype(dtype)
    selector = CoresetSelector().fit(X)
    assert selector.components_.dtype == dtype
    assert selector.transform(X).dtype == dtype
    metric = CoresetSelector(metric=Chebyshev()).fit(X)
    assert metric.transform(X).dtype == dtype


def test_pandas_output_and_feature_names():
    frame, y = load_iris(return_X_y=True, as_frame=True)
    selector = CoresetSelector(coreset_size=5).set_output(transform="pandas")
    out = selector.fit_transform(frame, y)
    names = [f"coresetselector{i}" for i in range(5)]
    assert selector.get_feature_names_out().tolist() == names
    assert out.columns.tolist() == names
    assert out.index.equals(frame.index)
    assert selector.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_allclose(out, cdist(frame, frame.iloc[selector.sample_indices_]), atol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        selector.transform(frame.rename(columns=str.upper))


# Parameters ---------------------------------------------------------------------------------------


def test_a_strategy_is_cloned_and_its_parameters_count():
    strategy = FirstRows()
    selector = CoresetSelector(strategy, coreset_size=2).set_params(strategy__skip=3)
    selector.fit(np.random.RandomState(0).standard_normal((6, 2)))
    assert selector.strategy is strategy
    assert vars(strategy) == {"metric": None, "skip": 3}
    assert selector.sample_indices_.tolist() == [3, 4]


def test_a_class_with_select_is_enough():
    X, y = make_blobs(20, centers=2, random_state=0)
    strategy = LastRows()
    for selector in (
        CoresetSelector(strategy, coreset_size=4),
        clone(CoresetSelector(strategy, coreset_size=4)),
        pickle.loads(pickle.dumps(CoresetSelector(strategy, coreset_size=4))),
    ):
        selector.fit(X, y)
        expected = [*np.flatnonzero(y == 0)[-2:], *np.flatnonzero(y == 1)[-2:]]
        assert selector.sample_indices_.tolist() == expected
        assert selector.sample_weight_.sum() == 20.0
    assert "strategy" in selector.get_params()


def test_a_registered_name(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "first-rows", FirstRows)
    selector = CoresetSelector("first-rows", coreset_size=2).set_params(strategy__skip=1)
    assert selector.fit(np.eye(4)).sample_indices_.tolist() == [1, 2]


def test_set_params_reaches_into_a_named_strategy():
    selector = CoresetSelector()
    assert selector.set_params(strategy__optimizer="stochastic") is selector
    assert isinstance(selector.strategy, FacilityLocation)
    assert selector.get_params()["strategy__optimizer"] == "stochastic"
    selector.set_params(strategy__epsilon=0.2, strategy="facility-location")
    assert selector.get_params()["strategy__optimizer"] == "lazy"
    assert selector.get_params()["strategy__epsilon"] == 0.2
    selector.set_params(strategy=Uniform(), strategy__metric="cosine", coreset_size=3)
    assert selector.strategy.metric == "cosine"
    assert selector.coreset_size == 3
    with pytest.raises(ValueError, match="Invalid parameter 'epsilom'"):
        CoresetSelector().set_params(strategy__epsilom=0.2)
    with pytest.raises(ValueError, match="Invalid parameter 'size'"):
        CoresetSelector().set_params(size=0.2)


def test_grid_search_in_a_pipeline():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(
        StandardScaler(),
        CoresetSelector(coreset_size=6, random_state=0),
        LogisticRegression(max_iter=1000),
    )
    grid = [
        {"coresetselector__strategy": ["uniform", "centrality", Centrality(metric="manhattan")]},
        {
            "coresetselector__strategy": [FacilityLocation("stochastic")],
            "coresetselector__strategy__epsilon": [0.1, 0.9],
            "coresetselector__coreset_size": [3, 30],
        },
        {"coresetselector__strategy__epsilon": [0.3]},
    ]
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 3 + 4 + 1
    assert search.best_score_ > 0.9
    best = search.best_estimator_[:-1].fit(X, y)[-1]
    assert search.best_estimator_[-1].n_features_in_ == len(best.sample_indices_)
    # The parameters were really set: three columns against thirty.
    assert len(set(np.round(scores, 6))) > 1


def test_sample_weight_is_routed_in_a_pipeline():
    X, y = load_iris(return_X_y=True)
    weights = (y != 1).astype(float)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            StandardScaler(),
            CoresetSelector(coreset_size=6).set_fit_request(sample_weight=True),
            LogisticRegression(max_iter=500).set_fit_request(sample_weight=False),
        )
        pipeline[0].set_fit_request(sample_weight=False)
        pipeline.fit(X, y, sample_weight=weights)
    assert set(y[pipeline[1].sample_indices_]) == {0, 2}
    assert (pipeline[1].assignment_[y == 1] == -1).all()


@every_strategy
def test_pickle_and_clone(strategy):
    X, y = load_iris(return_X_y=True)
    selector = CoresetSelector(strategy, coreset_size=0.1, random_state=0).fit(X, y)
    copy = pickle.loads(pickle.dumps(selector))
    np.testing.assert_array_equal(copy.transform(X), selector.transform(X))
    fresh = clone(selector)
    assert not hasattr(fresh, "sample_indices_")
    assert fresh.fit(X, y).sample_indices_.tolist() == selector.sample_indices_.tolist()


def test_random_state_of_every_kind():
    X, y = load_iris(return_X_y=True)

    def choose(random_state):
        selector = CoresetSelector("uniform", coreset_size=9, random_state=random_state)
        return selector, selector.fit(X, y).sample_indices_.tolist()

    assert choose(0)[1] == choose(np.random.RandomState(0))[1] != choose(1)[1]
    selector, first = choose(np.random.RandomState(0))
    assert selector.fit(X, y).sample_indices_.tolist() != first


def test_verbose_reports(capsys):
    X, y = load_iris(return_X_y=True)
    CoresetSelector(verbose=10).fit(X, y)
    output = "".join(capsys.readouterr())
    assert "3" in output
    CoresetSelector().fit(X, y)
    assert "".join(capsys.readouterr()) == ""


# By groups ----------------------------------------------------------------------------------------


def test_equal_gradients_stay_rows_of_their_own():
    X = np.array([[0.0], [0.0], [0.0], [4.0]])
    groups = np.zeros(4, int)
    selector = CoresetSelector(coreset_size=1.0).fit_groups(X, groups)
    assert sorted(selector.sample_indices_) == [0, 1, 2, 3]
    assert selector.sample_weight_.tolist() == [1.0] * 4
    half = CoresetSelector("centrality", coreset_size=0.5).fit_groups(X, None)
    assert half.sample_indices_.tolist() == [0, 1]
    assert half.n_features_in_ == 1
    np.testing.assert_allclose(half.transform(X), [[0, 0], [0, 0], [0, 0], [4, 4]])


@every_strategy
def test_without_duplicates_groups_are_the_classes(strategy):
    X, y = make_blobs(60, centers=3, random_state=0)
    weights = np.random.RandomState(0).randint(0, 3, 60).astype(float)
    selector = CoresetSelector(strategy, coreset_size=0.3, random_state=0)
    by_class = clone(selector).fit(X, y, sample_weight=weights)
    by_group = clone(selector).fit_groups(X, y, weights)
    for name in ("sample_indices_", "sample_weight_", "assignment_", "objective_", "components_"):
        np.testing.assert_array_equal(getattr(by_group, name), getattr(by_class, name))
    assert (by_group.assignment_[weights == 0] == -1).all()


@every_strategy
@pytest.mark.parametrize("coreset_size", [0.5, 1, 59, 1000])
def test_budgets_come_before_the_size(strategy, coreset_size):
    X, y = make_blobs([20, 20, 20], random_state=0)
    groups = np.array([3, 0, 1])[y]
    weights = np.ones(60)
    weights[np.flatnonzero(groups == 1)[2:]] = 0.0
    selector = CoresetSelector(strategy, coreset_size=coreset_size, random_state=0)
    # No row is of group 2, and two candidates of group 1.
    selector.fit_groups(X, groups, weights, budgets=np.array([7, 5, 0, 20]))
    chosen = selector.sample_indices_
    assert groups[chosen].tolist() == [0] * 7 + [1] * 2 + [3] * 20
    assert len(set(chosen.tolist())) == 29
    assert ((selector.assignment_ == -1) == (weights == 0)).all()
    one = selector.fit_groups(X, None, budgets=np.array([4]))
    assert len(one.sample_indices_) == 4


@pytest.mark.parametrize("budgets", [[1], [2, 0], [2, -1]])
def test_bad_budgets(budgets):
    X, groups = np.eye(4), np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"budgets=.*at least 1 for each of the groups \[0, 1\]"):
        CoresetSelector().fit_groups(X, groups, budgets=np.array(budgets))


def test_a_refused_budget_leaves_the_selection():
    selector = CoresetSelector(coreset_size=2).fit(np.eye(4))
    before = selector.sample_indices_.tolist()
    with pytest.raises(ValueError, match="budgets"):
        selector.fit_groups(np.eye(3), None, budgets=np.array([0]))
    assert selector.sample_indices_.tolist() == before


def test_checking_options_alone():
    CoresetSelector(coreset_size=7).check_options()
    CoresetSelector(coreset_size=7).check_options(7)
    with pytest.raises(ValueError, match="coreset_size=7 is more than the n_samples=6 rows"):
        CoresetSelector(coreset_size=7).check_options(6)
    with pytest.raises(ValueError, match="Did you mean 'lazy'"):
        CoresetSelector(FacilityLocation("lazi")).check_options()
