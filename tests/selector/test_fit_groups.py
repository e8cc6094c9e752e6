"""Selection in groups that are given."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies import (
    STRATEGIES,
    FacilityLocation,
)

NAMES = sorted(STRATEGIES)
every_strategy = pytest.mark.parametrize("strategy", NAMES)


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
