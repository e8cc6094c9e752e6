"""A stage that ends with its best epoch, against NumPy."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from crust_sklearn import make_label_noise
from crust_sklearn.baselines.parts.best_epoch import BestEpochClassifier
from crust_sklearn.modules import MLP

X, Y = load_digits(return_X_y=True)
X, Y = (X[:400] / 16).astype(np.float32), Y[:400]
GIVEN = make_label_noise(Y, "symmetric", 0.4, random_state=0).y
HELD_OUT = np.arange(0, 400, 4)


class Watched(BestEpochClassifier):
    """Keeps the weights after every epoch, and the rows that it saw."""

    def on_epoch_end(self, net, *args, **kwargs):
        weights = {name: part.clone() for name, part in self.module_.state_dict().items()}
        self.weights_ = [*vars(self).get("weights_", []), weights]
        super().on_epoch_end(net, *args, **kwargs)

    def get_losses(self, y_pred, y_true, rows):
        if self.module_.training:
            self.seen_ = {*vars(self).get("seen_", ()), *rows.tolist()}
        return super().get_losses(y_pred, y_true, rows)


def fit(held_out=HELD_OUT, **params):
    defaults = {"max_epochs": 12, "lr": 0.01, "batch_size": 32, "verbose": 0, "random_state": 0}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = MLP(64, 10).state_dict()
    return Watched(MLP, weights=weights, held_out=held_out, **defaults | params).fit(X, GIVEN)


def test_best_is_where_labels_held_out_are_most_probable():
    net = fit()
    losses = []
    for weights in net.weights_:
        module = MLP(64, 10)
        module.load_state_dict(weights)
        with torch.no_grad():
            p = module(torch.as_tensor(X[HELD_OUT])).softmax(dim=1).double().numpy()
        losses.append(-np.log(p[np.arange(100), GIVEN[HELD_OUT]]).mean())
    assert net.history[:, "held_out_loss"] == pytest.approx(losses, rel=1e-5)
    best = int(np.argmin(losses))
    assert 0 < best < 11  # labels are learnt by heart in the end
    for name, part in net.module_.state_dict().items():
        assert torch.equal(part, net.weights_[best][name])


def test_rows_held_out_are_not_trained_on():
    assert fit(max_epochs=2).seen_ == set(range(400)) - set(HELD_OUT.tolist())


def test_with_none_held_out_it_ends_with_its_last_epoch():
    net = fit(np.arange(0), max_epochs=3)
    assert net.seen_ == set(range(400))
    for name, part in net.module_.state_dict().items():
        assert torch.equal(part, net.weights_[-1][name])
