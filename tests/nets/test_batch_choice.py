"""Rows chosen within batches: what is told of them."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.dataset import ValidSplit

from crust_sklearn import EpochPlan, NoisyLabelClassifier
from crust_sklearn.inspection import CoresetDisplay
from crust_sklearn.modules import MLP
from crust_sklearn.nets.batch_choice import BatchChoiceMixin

X, Y = load_digits(return_X_y=True)
X, Y = (X[:120] / 16).astype(np.float32), Y[:120]


class Chooses(BatchChoiceMixin, NoisyLabelClassifier):
    """Takes the rows whose number is divisible by that of the epoch; none in those of `empty`."""

    def __init__(self, module, *, empty=(), planned=None, **kwargs):
        self.empty = empty
        self.planned = planned
        super().__init__(module, **kwargs)

    def plan_epoch(self, epoch):
        if self.planned is None or self.state_.plan is not None:
            return self.state_.plan
        return EpochPlan(np.array(self.planned))

    def get_batch_loss(self, y_pred, y_true, batch):
        epoch = self.state_.epoch
        is_used = batch.rows % (epoch + 1) == 0
        if epoch in self.empty:
            is_used[:] = False
        self.mark_used(batch.rows[is_used])
        losses = self.get_losses(y_pred, y_true, batch.rows)
        return self.reduce_losses(losses[is_used], y_true[is_used], batch.weight[is_used])


def make(**params):
    defaults = {"max_epochs": 3, "lr": 0.01, "verbose": 0, "random_state": 0, "batch_size": 16}
    return Chooses(MLP, module__hidden_sizes=(8,), **defaults | params)


def test_rows_of_every_epoch():
    net = make().fit(X, Y)
    assert net.coreset_history_.epochs.tolist() == [0, 1, 2]
    for epoch in range(3):
        expected = np.arange(0, 120, epoch + 1)
        np.testing.assert_array_equal(net.coreset_history_.get_indices(epoch), expected)
    np.testing.assert_array_equal(net.coreset_indices_, np.arange(0, 120, 3))
    assert net.coreset_weights_.tolist() == [1.0] * 40
    assert net.history[:, "coreset_size"] == [120, 60, 40]


def test_weights_are_those_of_the_rows():
    weights = np.linspace(1, 2, 120)
    net = make().fit(X, Y, sample_weight=weights)
    expected = weights[::3] / weights[::3].mean()
    np.testing.assert_allclose(net.coreset_weights_, expected)


def test_numbers_are_those_of_x_beside_a_validation_split():
    net = make(train_split=ValidSplit(4)).fit(X, Y)
    used = net.coreset_history_.get_indices(0)
    assert len(used) == 90
    np.testing.assert_array_equal(net.coreset_indices_, used[used % 3 == 0])


@pytest.mark.parametrize("weights", [None, np.linspace(1, 2, 120)])
def test_epochs_without_any_row(weights):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        net = make(empty=(1, 2)).fit(X, Y, sample_weight=weights)
        history = net.coreset_history_
        assert history.sizes.tolist() == [120, 0, 0]
        assert history.turnover[1:].tolist() == [1.0, 0.0]
    assert net.coreset_indices_.tolist() == []
    assert net.coreset_weights_.tolist() == []
    assert net.history[:, "coreset_size"] == [120, 0, 0]
    assert net.history[-1, "train_loss"] == 0


def test_a_batch_without_rows_leaves_the_weights_to_the_optimizer():
    options = {"optimizer": torch.optim.SGD, "max_epochs": 2, "empty": (1,)}
    after = make(**options).fit(X, Y)
    before = make(**options | {"max_epochs": 1}).fit(X, Y)
    for name, value in before.module_.state_dict().items():
        torch.testing.assert_close(after.module_.state_dict()[name], value, rtol=0, atol=0)


def test_an_epoch_without_any_row_is_displayed():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    net = make(empty=(1, 2)).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        display = CoresetDisplay.from_estimator(net, is_clean=np.arange(120) % 2 == 0)
    np.testing.assert_array_equal(display.clean_fraction, [0.5, np.nan, np.nan])
    assert display.recall.tolist() == [1.0, 0.0, 0.0]
    pyplot.close("all")


def test_a_plan_is_what_is_published_and_the_history_tells_of_the_rows_used():
    planned = np.arange(0, 100)
    net = make(planned=planned.tolist()).fit(X, Y)
    np.testing.assert_array_equal(net.coreset_indices_, planned)
    np.testing.assert_array_equal(net.coreset_history_.get_indices(-1), planned[::3])
    assert net.history[:, "coreset_size"] == [100, 50, 34]


def test_goes_on_over_calls():
    net = make()
    net.partial_fit(X, Y, epochs=1).partial_fit(X, Y, epochs=2)
    assert net.coreset_history_.sizes.tolist() == [120, 60, 40]
