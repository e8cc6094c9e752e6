"""Stopped by the keyboard: the net is then whole, and goes on."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE
from crust_sklearn.strategies import Centrality

N, WARMUP = 120, 1
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)


def make(**params):
    defaults = REFERENCE | {"max_epochs": 5, "warmup_epochs": WARMUP, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "module__hidden_sizes": (16,)}
    return CRUSTClassifier(MLP, **defaults | params)


def assert_whole(net):
    assert np.isin(net.predict(X), [0, 1, 2]).all()
    assert np.isfinite(net.predict_proba(X)).all()
    if not hasattr(net, "coreset_indices_"):
        return
    n_coreset = len(net.coreset_indices_)
    assert len(net.coreset_weights_) == n_coreset
    places = net.coreset_assignment_[net.coreset_indices_]
    np.testing.assert_array_equal(places, np.arange(n_coreset))
    assert sorted(net.selector_.sample_indices_) == net.coreset_indices_.tolist()
    assert np.sort(net.state_.plan.rows).tolist() == net.coreset_indices_.tolist()


class Interrupt(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("settings", [{}, {"coreset_size": "auto", "gradient": "leave-one-out"}])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_in_a_batch(epoch, settings):
    net = make(callbacks=[Interrupt(epoch)], **settings).fit(X, Y)
    assert len(net.history) == epoch
    assert hasattr(net, "coreset_indices_") == (epoch > WARMUP)
    # What a selection has found of the labels is published although training was cut short.
    assert hasattr(net, "label_quality_") == (epoch > WARMUP)
    assert_whole(net)
    net.set_params(callbacks=[]).partial_fit(X, Y)
    assert len(net.history) == epoch + 5
    assert_whole(net)


class Interrupted(Centrality):
    """Is interrupted in the second of three groups of a selection."""

    n_calls = 0
    at = 1

    def select(self, *args, **kwargs):
        type(self).n_calls += 1
        if self.n_calls == 3 * (self.at - 1) + 2:
            raise KeyboardInterrupt
        return super().select(*args, **kwargs)


@pytest.mark.parametrize("at", [1, 2])
def test_in_a_selection(at, monkeypatch):
    monkeypatch.setattr(Interrupted, "n_calls", 0)
    monkeypatch.setattr(Interrupted, "at", at)
    net = make(selector=CoresetSelector(Interrupted())).fit(X, Y)
    assert len(net.history) == WARMUP + at
    assert hasattr(net, "coreset_indices_") == (at > 1)
    assert_whole(net)
    net.partial_fit(X, Y)
    assert_whole(net)
    assert len(net.coreset_indices_) == N // 2


def test_after_a_selection_before_its_loader_leaves_the_coreset_before():
    class Broken(CRUSTClassifier):
        def get_iterator(self, dataset, training=False):
            if training and len(self.history) == 3:
                raise KeyboardInterrupt
            return super().get_iterator(dataset, training=training)

    net = Broken(**make().get_params(deep=False)).set_params(lr=0.5, group_by="prediction")
    net.fit(X, Y)
    assert len(net.history) == 3
    assert len(net.coreset_history_) == 1
    rows = net.coreset_history_.get_indices(0)
    np.testing.assert_array_equal(net.coreset_indices_, rows)
    assert_whole(net)
