import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import pairwise_distances

from crust_sklearn.strategies import (
    STRATEGIES,
    BaseStrategy,
    Centrality,
    FacilityLocation,
    KMedoids,
    SmallestNorm,
    Uniform,
    base,
    make_strategy,
)
from crust_sklearn.strategies.distances import distance_matrix

VARIANTS = {
    "lazy": FacilityLocation(),
    "stochastic": FacilityLocation("stochastic", epsilon=0.3),
    "manhattan": FacilityLocation(metric="manhattan"),
    "k-medoids": KMedoids(),
    "centrality": Centrality(),
    "smallest-norm": SmallestNorm(),
    "uniform": Uniform(),
}
# And not by norms, which have an origin.
GOES_BY_DISTANCES = {name: s for name, s in VARIANTS.items() if name != "smallest-norm"}
every_strategy = pytest.mark.parametrize("strategy", VARIANTS.values(), ids=VARIANTS)


class LargestNorm(BaseStrategy):
    def _pick(self, X, n_select, sample_weight, random_state):
        return np.argsort(-np.linalg.norm(X, axis=1), kind="stable")[:n_select]


@st.composite
def problems(draw):
    """Rows on a coarse grid (duplicates and ties) or anywhere, how many to select, weights."""
    n_rows = draw(st.integers(1, 25))
    rng = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    X = rng.standard_normal((n_rows, draw(st.integers(1, 4))))
    if draw(st.booleans()):
        X = np.round(X)
    weights = rng.randint(0, 4, n_rows).astype(float) if draw(st.booleans()) else None
    if weights is not None:
        weights[rng.randint(n_rows)] = 1.0
    return X, draw(st.integers(1, n_rows)), weights


@every_strategy
@given(problem=problems(), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_a_coreset_is_what_it_says(strategy, problem, seed):
    X, n_select, given_weights = problem
    coreset = strategy.select(X, n_select, sample_weight=given_weights, random_state=seed)
    weights = np.ones(len(X)) if given_weights is None else given_weights
    indices, assignment = coreset.indices, coreset.assignment

    assert indices.dtype == assignment.dtype == np.int64
    assert coreset.weights.dtype == np.float64
    assert len(indices) == len(set(indices.tolist())) == n_select
    assert indices.min() >= 0
    assert indices.max() < len(X)
    assert assignment[indices].tolist() == list(range(n_select))
    assert (coreset.weights >= 0).all()
    np.testing.assert_allclose(
        coreset.weights,
        [weights[assignment == position].sum() for position in range(n_select)],
    )
    np.testing.assert_allclose(coreset.weights.sum(), weights.sum())

    metric = strategy.metric or "euclidean"
    distances = pairwise_distances(X, X[indices], metric)
    own = distances[np.arange(len(X)), assignment]
    np.testing.assert_allclose(own, distances.min(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(coreset.objective, weights @ own, rtol=1e-5, atol=1e-5)


@every_strategy
def test_order_of_rows_does_not_matter(strategy):
    # Not for "stochastic", whose sample is one of positions.
    if strategy is VARIANTS["stochastic"]:
        strategy = FacilityLocation("stochastic", epsilon=1e-9)
    rng = np.random.RandomState(0)
    X, weights, order = rng.standard_normal((60, 3)), rng.uniform(1, 2, 60), rng.permutation(60)
    plain = strategy.select(X, 13, sample_weight=weights, random_state=0)
    shuffled = strategy.select(X[order], 13, sample_weight=weights[order], random_state=0)
    assert order[shuffled.indices].tolist() == plain.indices.tolist()
    assert shuffled.assignment.tolist() == plain.assignment[order].tolist()
    np.testing.assert_allclose(shuffled.weights, plain.weights)


@pytest.mark.parametrize("strategy", GOES_BY_DISTANCES.values(), ids=GOES_BY_DISTANCES)
@pytest.mark.parametrize("offset", [-3.0, 1e5])
def test_translation_does_not_matter(strategy, offset):
    X = np.random.RandomState(0).standard_normal((60, 3))
    plain = strategy.select(X, 13, random_state=0)
    moved = strategy.select(X + offset, 13, random_state=0)
    assert moved.indices.tolist() == plain.indices.tolist()
    assert moved.assignment.tolist() == plain.assignment.tolist()
    np.testing.assert_allclose(moved.objective, plain.objective, rtol=1e-5)


@every_strategy
@pytest.mark.parametrize("factor", [1e-200, 2.0**-30, 1e200])
def test_scale_does_not_matter(strategy, factor):
    X = np.random.RandomState(0).standard_normal((60, 3))
    plain = strategy.select(X, 13, random_state=0)
    scaled = strategy.select(X * factor, 13, random_state=0)
    assert scaled.indices.tolist() == plain.indices.tolist()
    assert scaled.assignment.tolist() == plain.assignment.tolist()
    np.testing.assert_allclose(scaled.objective / factor, plain.objective, rtol=1e-5)


@every_strategy
def test_float32_has_no_smaller_range(strategy):
    X = np.random.RandomState(0).standard_normal((60, 3)).astype(np.float32)
    plain = strategy.select(X, 13, random_state=0)
    huge = strategy.select(X * np.float32(1e36), 13, random_state=0)
    assert huge.indices.tolist() == plain.indices.tolist()
    np.testing.assert_allclose(huge.objective / 1e36, plain.objective, rtol=1e-4)


@every_strategy
@pytest.mark.parametrize("factor", [1e-300, 1e300])
def test_scale_of_the_weights_does_not_matter(strategy, factor):
    rng = np.random.RandomState(0)
    X, weights = rng.standard_normal((60, 3)), rng.uniform(1, 2, 60)
    plain = strategy.select(X, 13, sample_weight=weights, random_state=0)
    scaled = strategy.select(X, 13, sample_weight=weights * factor, random_state=0)
    assert scaled.indices.tolist() == plain.indices.tolist()
    np.testing.assert_allclose(scaled.weights / factor, plain.weights)


@every_strategy
def test_many_kinds_of_array(strategy, tmp_path):
    X = np.random.RandomState(0).randint(-50, 50, (30, 3)).astype(np.float64)
    expected = strategy.select(X, 5, random_state=0)
    stored = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flags.writeable = False
    wide = np.zeros((60, 6))
    wide[::2, ::2] = X
    kinds = [
        *(X.astype(dtype) for dtype in (np.float16, np.float32, np.int8, np.int64, object)),
        np.asfortranarray(X),
        X.astype(">f8"),
        wide[::2, ::2],
        stored,
        X.tolist(),
        pd.DataFrame(X, index=np.arange(30) + 7),
    ]
    for kind in kinds:
        coreset = strategy.select(kind, 5, random_state=0)
        assert coreset.indices.tolist() == expected.indices.tolist()
        assert coreset.assignment.tolist() == expected.assignment.tolist()


@every_strategy
def test_input_is_left_alone(strategy):
    X, weights = np.random.RandomState(0).standard_normal((20, 3)), np.arange(1.0, 21.0)
    before = X.copy(), weights.copy()
    X.flags.writeable = weights.flags.writeable = False
    strategy.select(X, 5, sample_weight=weights, random_state=0)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(weights, before[1])


@every_strategy
def test_global_generator_is_left_alone(strategy):
    X = np.random.RandomState(0).standard_normal((20, 3))
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    strategy.select(X, 5, random_state=0)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@every_strategy
def test_clone_and_pickle(strategy):
    X = np.random.RandomState(0).standard_normal((20, 3))
    expected = strategy.select(X, 5, random_state=0)
    for copy in (clone(strategy), pickle.loads(pickle.dumps(strategy))):
        assert copy.get_params() == strategy.get_params()
        assert copy.select(X, 5, random_state=0).indices.tolist() == expected.indices.tolist()


@every_strategy
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_select": 0}, ValueError, "n_select must be an integer at least 1; got 0"),
        ({"n_select": 6}, ValueError, "n_select=6 is more than the 5 rows to choose from"),
        ({"n_select": 2.0}, TypeError, "n_select must be an integer"),
        ({"n_select": True}, TypeError, "n_select must be an integer"),
        ({"X": [[np.nan]] * 5}, ValueError, "Input X contains NaN"),
        ({"X": [[np.inf]] * 5}, ValueError, "Input X contains infinity"),
        ({"X": np.ones(5)}, ValueError, "Expected 2D array"),
        ({"sample_weight": np.ones(4)}, ValueError, r"sample_weight.shape == \(4,\)"),
        ({"sample_weight": np.zeros(5)}, ValueError, "sample_weight is zero for every row"),
        ({"sample_weight": -np.ones(5)}, ValueError, "sample_weight contains negative"),
        ({"sample_weight": [1, 1, 1, 1, np.nan]}, ValueError, "sample_weight contains NaN"),
    ],
)
def test_bad_input(strategy, arguments, error, message):
    X = np.arange(5.0).reshape(-1, 1)
    n_select = 2
    arguments = {"X": X, "n_select": n_select} | arguments
    with pytest.raises(error, match=message):
        strategy.select(**arguments)


@pytest.mark.parametrize("strategy", [FacilityLocation(), Centrality()])
@pytest.mark.parametrize("n_select", [1, 20, 999, 1500, 2999, 3000])
def test_rows_that_do_not_fit_are_selected_in_parts(strategy, n_select, monkeypatch):
    X = np.random.RandomState(0).standard_normal((3000, 2))
    sizes = []

    def record(rows, metric):
        sizes.append(len(rows))
        return distance_matrix(rows, metric)

    monkeypatch.setattr(base, "distance_matrix", record)
    weights = np.random.RandomState(1).uniform(0, 2, 3000)
    with sklearn.config_context(working_memory=1):
        coreset = strategy.select(X, n_select, sample_weight=weights, random_state=0)
    assert max(sizes) <= 1000
    assert len(np.unique(coreset.indices)) == n_select
    np.testing.assert_array_equal(coreset.assignment[coreset.indices], np.arange(n_select))
    expected = np.bincount(coreset.assignment, weights, minlength=n_select)
    np.testing.assert_allclose(coreset.weights, expected)
    away = np.linalg.norm(X - X[coreset.indices[coreset.assignment]], axis=1)
    np.testing.assert_allclose(coreset.objective, weights @ away, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_features", [2, 10])
@pytest.mark.parametrize("n_select", [20, 1500])
def test_medoids_of_parts_come_close_to_those_of_the_whole(n_features, n_select):
    X = np.random.RandomState(0).standard_normal((3000, n_features))
    whole = FacilityLocation().select(X, n_select).objective
    with sklearn.config_context(working_memory=1):
        parts = FacilityLocation().select(X, n_select, random_state=0).objective
    assert parts < 1.06 * whole


def test_central_rows_of_parts_are_those_of_the_whole():
    X = np.random.RandomState(0).standard_normal((3000, 2))
    whole = Centrality().select(X, 1000).indices
    with sklearn.config_context(working_memory=1):
        parts = Centrality().select(X, 1000, random_state=0).indices
    assert len(np.intersect1d(whole, parts)) > 900


def test_one_method_makes_a_strategy():
    X = np.array([[1.0], [-4.0], [3.0], [-3.0]])
    coreset = LargestNorm().select(X, 2)
    assert coreset.indices.tolist() == [1, 2]
    assert coreset.assignment.tolist() == [1, 0, 1, 0]
    assert coreset.weights.tolist() == [2.0, 2.0]
    np.testing.assert_allclose(coreset.objective, 3.0)
    with pytest.raises(TypeError, match="_pick"):
        BaseStrategy()


def test_registry():
    assert {name: type(make_strategy(name)) for name in STRATEGIES} == STRATEGIES
    assert list(STRATEGIES)[:1] == ["facility-location"]
    assert {"centrality", "uniform"} <= set(STRATEGIES)
    own = LargestNorm()
    assert make_strategy(own) is own


def test_registering_a_strategy(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "largest-norm", LargestNorm)
    assert isinstance(make_strategy("largest-norm"), LargestNorm)
    with pytest.raises(ValueError, match="Did you mean 'largest-norm'"):
        make_strategy("largest-nrm")


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        ("facility_location", ValueError, r"strategy=.*Did you mean 'facility-location'\?"),
        ("Centralty", ValueError, "'facility-location', 'k-medoids', 'centrality'"),
        (None, TypeError, "strategy=None is neither a name nor a strategy.*'centrality'"),
        (FacilityLocation, TypeError, r"neither a name nor a strategy.*select\(X, n_select"),
        (3, TypeError, "strategy=3 is neither"),
    ],
)
def test_unknown_strategies(strategy, error, message):
    with pytest.raises(error, match=message):
        make_strategy(strategy)
