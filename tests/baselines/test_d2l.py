"""Dimensionality-driven learning, with estimates that are made up, and with true ones."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs
from torch import nn

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import D2LClassifier
from crust_sklearn.baselines.d2l import get_label_share, is_turning_point
from crust_sklearn.intrinsic_dimensionality import local_intrinsic_dimensionality
from crust_sklearn.modules import MLP

X, Y = make_blobs(60, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)
# Before the fourth epoch it rises, and the weights are those after two epochs again.
MADE_UP = [4.0, 3.0, 2.0, 5.0, 6.0, 3.0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU())
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.hidden(x))


class MadeUp(D2LClassifier):
    def compute_lid(self, epoch):
        return MADE_UP[epoch]

    def plan_epoch(self, epoch):
        states = self.training_.kept.setdefault("states", [])
        states.append(self.copy_weights())
        plan = super().plan_epoch(epoch)
        self.seen_ = [*states, self.copy_weights()]
        return plan

    def copy_weights(self):
        return {name: part.clone() for name, part in self.module_.state_dict().items()}


def make(cls=MadeUp, **params):
    defaults = {"warmup_epochs": 0, "window": 2, "lr": 0.1, "max_epochs": 4, "batch_size": -1}
    defaults |= {"optimizer": torch.optim.SGD, "verbose": 0, "random_state": 0}
    return cls(Net, **defaults | params)


def is_same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def get_mixed_loss(logits, alpha):
    """Return the cross-entropy with alpha y + (1 - alpha) yhat, by NumPy."""
    logits = logits.detach().double().numpy()
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = alpha * np.eye(3)[Y] + (1 - alpha) * np.eye(3)[logits.argmax(axis=1)]
    return -(targets * log_p).sum(axis=1).mean()


@pytest.mark.parametrize(
    ("lids", "window", "n_first", "expected"),
    [
        # mean 2, deviation (not corrected) sqrt(2/3) = 0.816
        ([1.0, 2.0, 3.0, 3.64], 3, 0, True),
        ([1.0, 2.0, 3.0, 3.62], 3, 0, False),
        ([1.0, 2.0, 3.0, 0.0], 3, 0, False),  # a fall
        ([9.0, 1.0, 2.0, 3.0, 3.64], 3, 0, True),  # what is older does not count
        ([1.0, 2.0, 3.0, 3.64], 3, 1, False),  # too early
        ([9.0, 1.0, 2.0, 3.0, 3.64], 3, 1, True),
        ([1.0, 2.0, 3.0], 3, 0, False),
        ([np.nan, 1.0, 9.0], 2, 0, False),
    ],
)
def test_turning_point(lids, window, n_first, expected):
    assert is_turning_point(lids, window, n_first) is expected


def test_share_of_the_labels():
    assert get_label_share([4.0, 2.0, 3.0], 0.25) == pytest.approx(np.exp(-0.25 * 1.5))
    assert get_label_share([2.0, 3.0], 0.0) == 1.0


def test_goes_back_to_the_weights_before():
    net = make().fit(X, Y)
    *starts, after = net.seen_
    assert net.turning_epoch_ == 2
    assert is_same(after, starts[2])
    assert not is_same(after, starts[3])
    assert not torch.equal(after["hidden.1.running_mean"], starts[3]["hidden.1.running_mean"])


def test_targets_are_mixed_from_then_on():
    net = make(lr=0.01).fit(X, Y)
    alpha = np.exp(-3 / 4 * 5 / 2)
    np.testing.assert_allclose(net.history[:, "alpha"], [1, 1, 1, alpha])
    assert net.history[:, "lid"] == MADE_UP[:4]
    for epoch, state, share in ((2, net.seen_[2], 1.0), (3, net.seen_[-1], alpha)):
        module = Net()
        module.load_state_dict(state)
        expected = get_mixed_loss(module.train()(torch.as_tensor(X)), share)
        assert net.history[epoch, "train_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n_first", [1, 2, 3, 4])
def test_goes_on_in_parts(n_first):
    net = make().partial_fit(X, Y, epochs=n_first)
    assert net.turning_epoch_ == (2 if n_first == 4 else None)
    net = pickle.loads(pickle.dumps(net)).partial_fit(X, Y, epochs=6 - n_first)
    assert net.turning_epoch_ == 2
    np.testing.assert_array_equal(net.state_.entries["lids"], MADE_UP)
    # Counted over both calls, of which the last knows how many epochs there are.
    np.testing.assert_allclose(net.history[-1, "alpha"], np.exp(-5 / 6 * 3 / 2))
    if n_first == 3:
        at_turn = make(max_epochs=2).fit(X, Y)
        expected = {name: part.clone() for name, part in at_turn.module_.state_dict().items()}
        again = make().partial_fit(X, Y, epochs=3).partial_fit(X, Y, epochs=1)
        assert is_same(again.seen_[-1], expected)


def test_without_a_turning_point_it_is_plain_training():
    ours = make(D2LClassifier, warmup_epochs=100).fit(X, Y)
    plain = NoisyLabelClassifier(
        Net, lr=0.1, max_epochs=4, batch_size=-1, optimizer=torch.optim.SGD, verbose=0,
        random_state=0,
    ).fit(X, Y)  # fmt: skip
    np.testing.assert_array_equal(ours.predict_proba(X), plain.predict_proba(X))
    assert ours.turning_epoch_ is None


def test_estimate_is_that_of_the_last_hidden_layer():
    weights = np.where(np.arange(60) < 40, 1.0, 0.0)
    net = make(D2LClassifier, lr=0.0, max_epochs=1, n_neighbors=8).initialize()
    with torch.no_grad():
        features = net.module_.eval().hidden(torch.as_tensor(X[:40])).numpy()
    net.fit(X, Y, sample_weight=weights)
    lids = local_intrinsic_dimensionality(features, 8)
    expected = lids[np.isfinite(lids)].mean()
    assert net.history[0, "lid"] == pytest.approx(expected, rel=1e-4)


def test_rows_of_an_estimate_are_drawn_anew():
    options = {"lr": 0.0, "warmup_epochs": 100, "n_neighbors": 5}
    some = make(D2LClassifier, n_lid_samples=30, n_lid_batch=15, **options).fit(X, Y)
    lids = some.history[:, "lid"]
    assert len(set(lids)) == 4
    again = make(D2LClassifier, n_lid_samples=30, n_lid_batch=15, **options).fit(X, Y)
    assert again.history[:, "lid"] == lids


def test_layer_without_dimensions():
    class Dead(Net):
        def forward(self, x):
            return self.head(self.hidden(x) * 0.0)

    net = D2LClassifier(Dead, max_epochs=4, warmup_epochs=0, window=2, verbose=0).fit(X, Y)
    assert np.isnan(net.history[:, "lid"]).all()
    assert net.turning_epoch_ is None


def test_follows_wrong_labels_less_than_plain_training():
    x, y = load_digits(return_X_y=True)
    x, y = (x[:400] / 16).astype(np.float32), y[:400]
    noisy = make_label_noise(y, "symmetric", 0.4, random_state=0)
    options = {"max_epochs": 30, "lr": 0.005, "verbose": 0, "random_state": 0}
    net = D2LClassifier(MLP, warmup_epochs=0, **options).fit(x, noisy.y)
    plain = NoisyLabelClassifier(MLP, **options).fit(x, noisy.y)
    assert net.turning_epoch_ is not None
    wrong = noisy.is_wrong
    assert net.score(x[wrong], noisy.y[wrong]) < plain.score(x[wrong], noisy.y[wrong]) - 0.2
    assert net.score(x, y) > plain.score(x, y)


@pytest.mark.parametrize(
    "params",
    [
        {"warmup_epochs": -1},
        {"window": 1},
        {"n_neighbors": 1},
        {"n_lid_samples": 2},
        {"n_lid_batch": 2.5},
    ],
)
def test_parameters_out_of_range(params):
    with pytest.raises((ValueError, TypeError), match=next(iter(params))):
        make(**params).fit(X, Y)
