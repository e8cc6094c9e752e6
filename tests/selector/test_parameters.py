"""Parameters, searches, pipelines and persistence."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import CoresetSelector
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


@parametrize_with_checks(
    [CoresetSelector(name) for name in NAMES]
    + [CoresetSelector(FacilityLocation("stochastic")), CoresetSelector(coreset_size=7)]
)
def test_scikit_learn(estimator, check):
    check(estimator)


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
