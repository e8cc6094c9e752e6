"""What a method does before the first epoch of a call: once, after the checks, with its state."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from skorch.dataset import ValidSplit

from crust_sklearn import NoisyLabelClassifier
from crust_sklearn.modules import MLP

N = 60
X, Y = make_blobs(N, n_features=4, centers=3, random_state=0)
X = X.astype(np.float32)


class Preparing(NoisyLabelClassifier):
    """Notes what there is when it prepares, and keeps a number in its state."""

    def check_training(self):
        super().check_training()
        self.order_ = ["check"]
        if getattr(self, "is_refused_", False):
            raise ValueError("refused")

    def prepare_training(self):
        super().prepare_training()
        self.order_.append("prepare")
        self.seen_ = (
            len(self.training_.rows),
            self.module_.fc.out_features,
            dict(self.state_.entries),
            self.training_.has_begun,
        )
        assert "number" not in self.training_.kept
        self.training_.kept["number"] = 1
        self.state_.entries.setdefault("calls", np.asarray(0))
        self.state_.entries["calls"] = self.state_.entries["calls"] + 1
        if getattr(self, "is_failing_", False):
            raise RuntimeError("failed")

    def plan_epoch(self, epoch):
        self.order_.append(epoch)
        assert self.training_.kept["number"] == 1


def make(**params):
    defaults = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "verbose": 0}
    return Preparing(MLP, **defaults | {"module__hidden_sizes": (8,)} | params)


def test_once_a_call_after_the_checks_and_before_the_first_epoch():
    net = make(train_split=ValidSplit(4)).fit(X, Y)
    assert net.order_ == ["check", "prepare", 0, 1, 2]
    assert net.seen_ == (45, 3, {}, False)
    net.fit(X, Y)
    assert net.order_ == ["check", "prepare", 0, 1, 2]
    assert net.seen_[2] == {}


def test_calls_with_the_same_rows_find_the_state_of_those_before():
    net = make().partial_fit(X, Y).partial_fit(X, Y)
    assert net.order_ == ["check", "prepare", 3, 4, 5]
    assert net.seen_[2] == {"calls": 1}
    assert net.state_.entries["calls"] == 2
    net.partial_fit(X, Y[::-1])
    assert net.seen_[2] == {}


def test_what_is_refused_is_not_prepared():
    net = make().fit(X, Y)
    net.is_refused_ = True
    with pytest.raises(ValueError, match="refused"):
        net.partial_fit(X, Y)
    assert net.order_ == ["check", "prepare", 0, 1, 2]
    assert net.state_.entries["calls"] == 1


def test_a_failure_leaves_the_net_and_its_state_as_they_were():
    net = make().fit(X, Y)
    net.is_failing_ = True
    proba = net.predict_proba(X)
    with pytest.raises(RuntimeError, match="failed"):
        net.partial_fit(X, Y)
    assert net.state_.entries["calls"] == 1
    assert len(net.history) == 3
    net.is_failing_ = False
    np.testing.assert_array_equal(net.predict_proba(X), proba)
    net.partial_fit(X, Y)
    assert net.state_.entries["calls"] == 2


def test_without_epochs_nothing_is_prepared():
    assert not hasattr(make(max_epochs=0).fit(X, Y), "order_")
