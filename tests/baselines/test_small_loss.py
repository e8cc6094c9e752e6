"""Small-loss selection, against the losses themselves."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.dataset import ValidSplit
from torch import nn

from crust_sklearn import make_label_noise
from crust_sklearn.baselines import SmallLossClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets import noise_rate

X, Y = load_digits(return_X_y=True)
X, Y = (X[:300] / 16).astype(np.float32), Y[:300]


def make(**params):
    defaults = {"noise_rate": 0.3, "warmup_epochs": 2, "max_epochs": 3, "lr": 0.1, "verbose": 0}
    return SmallLossClassifier(MLP, **defaults | {"random_state": 0} | params)


def get_losses(net):
    z = net.module_(torch.as_tensor(X)).detach()
    return nn.functional.cross_entropy(z, torch.as_tensor(Y), reduction="none").numpy()


def test_rows_of_smallest_loss_are_kept():
    losses = get_losses(make(max_epochs=2, noise_rate=0.0).fit(X, Y))
    net = make().fit(X, Y)
    assert net.coreset_indices_.tolist() == np.sort(np.argsort(losses)[:210]).tolist()
    assert net.coreset_history_.epochs.tolist() == [2]


def test_schedule():
    net = make(max_epochs=8, reselect_every=3).fit(X, Y)
    assert net.coreset_history_.epochs.tolist() == [2, 5]
    assert [row["coreset_size"] for row in net.history] == [300] * 2 + [210] * 6


def test_validation_rows_and_rows_without_weight_stay_out():
    weights = np.ones(300)
    weights[::3] = 0
    net = make(train_split=ValidSplit(5)).fit(X, Y, sample_weight=weights)
    assert weights[net.coreset_indices_].all()
    assert len(net.coreset_indices_) == 112  # of 160 training rows with a weight


@pytest.mark.parametrize(
    "params", [{"noise_rate": 1.0}, {"warmup_epochs": -1}, {"reselect_every": 0}]
)
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        make(**params).fit(X, Y)


def test_auto_leaves_out_about_as_many_rows_as_are_wrong():
    noisy = make_label_noise(Y, "symmetric", 0.3, random_state=0)
    net = make(noise_rate="auto", lr=0.001).fit(X, noisy.y)
    assert net.noise_rate_ == pytest.approx(noisy.is_wrong.mean(), abs=0.06)
    assert len(net.coreset_indices_) == round((1 - net.noise_rate_) * 300)


def test_rows_are_left_out_once_the_noise_rate_of_images_is_known(monkeypatch):
    def find(net, epoch, features):
        return None if epoch < 3 else SimpleNamespace(noise_rate=0.25)

    monkeypatch.setattr(noise_rate, "compute_sure_noise", lambda quality: 0.5)
    monkeypatch.setattr(noise_rate, "has_vectors", lambda training: False)
    monkeypatch.setattr(noise_rate, "find_first_judgement", find)
    net = make(noise_rate="auto", warmup_epochs=1, max_epochs=5).partial_fit(X, Y, epochs=2)
    assert net.noise_rate_ == 0
    assert not hasattr(net, "coreset_indices_")
    net.partial_fit(X, Y, epochs=3)
    assert net.history[:, "coreset_size"] == [200, 200, 200, 225, 225]
    assert net.noise_rate_ == 0.25


def test_a_schedule_of_noise_rates():
    net = make(noise_rate=lambda epoch: 0.1 * epoch, max_epochs=5).fit(X, Y)
    assert net.history[:, "coreset_size"] == [300, 300, 240, 210, 180]
    assert net.noise_rate_ == pytest.approx(0.4)


def test_a_schedule_is_asked_at_selections_alone_for_what_is_left_out():
    net = make(noise_rate=lambda epoch: 0.1 * epoch, max_epochs=6, reselect_every=2).fit(X, Y)
    assert net.history[:, "coreset_size"] == [300, 300, 240, 240, 180, 180]
    # "The share of rows that the last selection left out."
    assert net.noise_rate_ == pytest.approx(0.4)
