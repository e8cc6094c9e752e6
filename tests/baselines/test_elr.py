"""Early-learning regularization, against its equations."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import ELRClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets.training import Training

X, Y = load_digits(return_X_y=True)
X, Y = (X[:300] / 16).astype(np.float32), Y[:300]


def make(cls=ELRClassifier, **params):
    defaults = {"max_epochs": 3, "lr": 0.1, "verbose": 0, "random_state": 0}
    return cls(MLP, **defaults | params)


def test_targets_are_the_moving_average_of_the_predictions():
    net = make(lr=0.0, max_epochs=4).fit(X, Y)
    p = torch.as_tensor(net.predict_proba(X)).clamp(1e-4, 1 - 1e-4)
    p = p / p.sum(1, keepdim=True)
    targets = torch.as_tensor(net.state_.entries["targets"])
    torch.testing.assert_close(targets, (1 - 0.7**4) * p, rtol=1e-4, atol=1e-6)


def test_loss_is_that_of_the_paper():
    net = make(lr=0.0, max_epochs=1, batch_size=300).fit(X, Y)
    z = net.module_(torch.as_tensor(X)).detach()
    p = z.softmax(1)
    agreement = (0.3 * p * p).sum(1)  # the first target is (1 - beta) p
    expected = nn.functional.cross_entropy(z, torch.as_tensor(Y)) + 3 * (1 - agreement).log().mean()
    assert net.history[-1]["train_loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_without_weight_it_is_plain_training():
    ours, plain = make(lam=0.0).fit(X, Y), make(NoisyLabelClassifier).fit(X, Y)
    np.testing.assert_allclose(ours.predict_proba(X), plain.predict_proba(X), atol=1e-6)


def test_targets_of_rows_do_not_depend_on_the_order_of_batches():
    nets = [make(lr=0.0, iterator_train__shuffle=shuffle).fit(X, Y) for shuffle in (True, False)]
    first, second = (net.state_.entries["targets"] for net in nets)
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)


def test_rows_that_no_batch_held_keep_their_label():
    options = {"max_epochs": 1, "batch_size": 200, "iterator_train__shuffle": False}
    net = make(**options, iterator_train__drop_last=True).fit(X, Y)
    np.testing.assert_array_equal(net.label_quality_[200:], 1.0)
    np.testing.assert_array_equal(net.suggested_labels_[200:], Y[200:])
    assert (net.label_quality_[:200] < 1).all()
    assert net.noise_rate_ == pytest.approx(1 - net.label_quality_.mean())


def test_memorizes_less_than_plain_training():
    noisy = make_label_noise(Y, "symmetric", 0.4, random_state=0).y
    options = {"max_epochs": 60, "optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}
    ours = make(**options).fit(X, noisy)
    plain = make(NoisyLabelClassifier, **options).fit(X, noisy)
    is_wrong = noisy != Y
    assert (
        ours.score(X[is_wrong], noisy[is_wrong]) < plain.score(X[is_wrong], noisy[is_wrong]) - 0.2
    )


@pytest.mark.parametrize("params", [{"lam": -1.0}, {"beta": 1.5}, {"beta": "a"}])
def test_parameters_out_of_range(params):
    with pytest.raises((ValueError, TypeError), match=next(iter(params))):
        make(**params).fit(X, Y)


def test_loss_stays_finite_where_the_network_is_sure():
    net = make(lr=0.0, max_epochs=1).fit(X, Y)
    net.training_ = Training()
    net.training_.n_rows = 300
    logits, rows = 100.0 * torch.eye(10), torch.arange(10)
    for _ in range(300):
        losses = net.get_losses(logits, rows, rows)
    assert losses.isfinite().all()
    targets = net.state_.entries["targets"][:10]
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(10))  # the average of shares


def test_probabilities_of_the_module_are_taken_as_they_are():
    class Softmax(MLP):
        def forward(self, x):
            return super().forward(x).softmax(dim=1)

    of_logits = make(lr=0.0).fit(X, Y).state_.entries["targets"]
    options = {"max_epochs": 3, "lr": 0.0, "verbose": 0, "random_state": 0}
    net = ELRClassifier(Softmax, criterion=nn.NLLLoss, **options).fit(X, Y)
    torch.testing.assert_close(net.state_.entries["targets"], of_logits, rtol=1e-4, atol=1e-5)
