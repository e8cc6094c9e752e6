"""Labels judged by the trained network: what is published, and when."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from skorch.dataset import ValidSplit

from crust_sklearn import EpochPlan, NoisyLabelClassifier, find_label_issues
from crust_sklearn.modules import MLP
from crust_sklearn.nets.judged_labels import judge_by_predictions

N = 90
X, TRUE = make_blobs(N, n_features=4, centers=3, random_state=0)
X = X.astype(np.float32)
IS_WRONG = np.arange(N) % 9 == 0
Y = np.where(IS_WRONG, (TRUE + 1) % 3, TRUE)


class Judging(NoisyLabelClassifier):
    """Judges by predictions, under a new plan in each epoch."""

    def plan_epoch(self, epoch):
        self.early_ = judge_by_predictions(self)
        return EpochPlan(self.training_.rows)

    def judge_rows(self):
        return judge_by_predictions(self)


def make(**params):
    defaults = {"max_epochs": 6, "lr": 0.02, "batch_size": 16, "random_state": 0, "verbose": 0}
    return Judging(MLP, **defaults | {"module__hidden_sizes": (8,)} | params)


@pytest.mark.parametrize("weights", [None, np.linspace(0, 2, N)], ids=["plain", "weights"])
def test_quality_is_what_is_predicted_in_the_end(weights):
    net = make().fit(X, Y, sample_weight=weights)
    assert net.early_ is None
    proba = net.predict_proba(X)
    own = proba[np.arange(N), Y]
    np.testing.assert_allclose(net.label_quality_, own, rtol=1e-5)
    assert net.noise_rate_ == pytest.approx(1 - np.average(own, weights=weights), rel=1e-5)
    proba[np.arange(N), Y] = -1
    expected = np.where(own < 0.5, proba.argmax(axis=1), Y)
    np.testing.assert_array_equal(net.suggested_labels_, expected)
    np.testing.assert_array_equal(net.given_labels_, Y)
    issues = find_label_issues(net, as_frame=False)
    assert set(np.flatnonzero(IS_WRONG)) == set(issues.rows)


def test_labels_of_any_kind_and_validation_rows():
    names = np.array(["a", "b", "c"])
    net = make(train_split=ValidSplit(3)).fit(X, names[Y])
    is_valid = np.isnan(net.label_quality_)
    assert is_valid.sum() == 30
    np.testing.assert_array_equal(net.given_labels_, names[Y])
    np.testing.assert_array_equal(net.suggested_labels_[is_valid], names[Y[is_valid]])
    judged = ~is_valid
    own = net.predict_proba(X)[np.arange(N), Y]
    np.testing.assert_allclose(net.label_quality_[judged], own[judged], rtol=1e-5)


def test_each_call_judges_anew():
    net = make(max_epochs=1).partial_fit(X, Y)
    first = net.label_quality_
    net.partial_fit(X, Y)
    assert not np.array_equal(net.label_quality_, first)
    own = net.predict_proba(X)[np.arange(N), Y]
    np.testing.assert_allclose(net.label_quality_, own, rtol=1e-5)
    assert net.clean_probability_ is net.label_quality_


def test_without_a_judgement_nothing_is_published():
    net = NoisyLabelClassifier(MLP, max_epochs=1, verbose=0).fit(X, Y)
    for name in ("label_quality_", "suggested_labels_", "given_labels_", "noise_rate_"):
        assert not hasattr(net, name)
    assert not hasattr(net, "clean_probability_")
