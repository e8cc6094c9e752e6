"""Joint Optimization, against its equations and a training loop of its own."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs
from skorch.dataset import ValidSplit
from torch import nn

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import JointOptimizationClassifier
from crust_sklearn.baselines.parts.relabelling_stage import (
    RelabellingStage,
    compute_mean_entropy,
    compute_prior_loss,
)
from crust_sklearn.losses import GeneralizedCrossEntropyLoss
from crust_sklearn.modules import MLP

X, Y = make_blobs(60, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
PLAIN = {"optimizer": torch.optim.SGD, "verbose": 0, "random_state": 0, "classes": [0, 1, 2]}


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x)


def make(cls=JointOptimizationClassifier, **params):
    return cls(Linear, **PLAIN | {"lr": 0.02, "max_epochs": 6, "batch_size": -1} | params)


def get_log_p(n=8, seed=0):
    logits = torch.as_tensor(np.random.default_rng(seed).normal(size=(n, 3)) * 2)
    return logits.log_softmax(dim=1)


# The terms ---------------------------------------------------------------------------------------


def test_terms_by_numpy():
    log_p, weight = get_log_p(), torch.as_tensor([1.0, 0.0, 2.0, 1.0, 1.0, 0.5, 2.0, 0.5])
    prior = torch.as_tensor([0.2, 0.3, 0.5])
    p, w = np.exp(log_p.numpy()), weight.double().numpy()
    mean = w @ p / w.sum()
    assert compute_prior_loss(log_p, weight, prior).item() == pytest.approx(
        -np.sum(prior.numpy() * np.log(mean))
    )
    assert compute_mean_entropy(log_p, weight).item() == pytest.approx(
        np.mean(w * -np.sum(p * np.log(p), axis=1))
    )


def test_prior_loss_is_least_at_the_prior():
    prior = torch.as_tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    logits = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    for _ in range(60):
        log_p = logits.log_softmax(dim=1)
        (slope,) = torch.autograd.grad(compute_prior_loss(log_p, torch.ones(4), prior), logits)
        logits = (logits - 8.0 * slope).detach().requires_grad_()
    found = logits.softmax(dim=1).mean(dim=0).detach()
    torch.testing.assert_close(found, prior, atol=1e-3, rtol=0)


def test_prior_loss_is_finite_where_a_class_is_out_of_sight():
    logits = torch.tensor([[500.0, 0.0, 0.0]], requires_grad=True)
    loss = compute_prior_loss(logits.log_softmax(dim=1), torch.ones(1), torch.full((3,), 1 / 3))
    loss.backward()
    assert loss.item() == pytest.approx(1000 / 3, rel=1e-5)
    assert logits.grad[0, 0] > 0  # away from the one class
    nothing = compute_prior_loss(logits.log_softmax(dim=1), torch.zeros(1), torch.full((3,), 1 / 3))
    assert nothing.item() == 0.0


# The first network -------------------------------------------------------------------------------


def replay(module, lr, n_epochs, n_given, n_averaged, alpha, beta, prior, weights):
    """Train on all rows at once, with the labels written as in the paper."""
    module, x = copy.deepcopy(module), torch.as_tensor(X)
    targets, w = torch.eye(3)[Y], torch.as_tensor(weights / weights.mean(), dtype=torch.float32)
    seen = []
    for epoch in range(n_epochs):
        if epoch >= n_given and seen:
            targets = torch.stack(seen[-n_averaged:]).mean(dim=0)
        p = module(x).softmax(dim=1)
        seen.append(p.detach().clone())
        mean = (w[:, None] * p).sum(dim=0) / w.sum()
        loss = (w * -(targets * p.log()).sum(dim=1)).mean()
        loss = loss - alpha * (torch.as_tensor(prior) * mean.log()).sum()
        loss = loss + beta * (w * -(p * p.log()).sum(dim=1)).mean()
        slopes = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(module.parameters(), slopes, strict=True):
                parameter -= lr * slope
    return torch.stack(seen[-n_averaged:]).mean(dim=0).numpy(), loss.item()


@pytest.mark.parametrize(("n_given", "n_averaged"), [(0, 2), (3, 2), (2, 4), (6, 10)])
def test_labels_by_hand(n_given, n_averaged):
    weights = np.where(np.arange(60) % 3 == 0, 2.0, 1.0)
    prior = np.array([0.5, 0.3, 0.2], np.float32)
    options = {"alpha": 1.2, "beta": 0.8, "prior": prior}
    stage = make(RelabellingStage, n_given=n_given, n_averaged=n_averaged, **options).initialize()
    expected, loss = replay(stage.module_, 0.02, 6, n_given, n_averaged, weights=weights, **options)
    stage.fit(X, Y, sample_weight=weights)
    np.testing.assert_allclose(stage.soft_labels_, expected, rtol=1e-3, atol=1e-5)
    assert stage.history[-1]["train_loss"] == pytest.approx(loss, rel=1e-4)


def test_without_terms_and_new_labels_it_is_plain_training():
    options = {"criterion__weight": torch.tensor([1.0, 2.0, 3.0]), "batch_size": 16}
    stage = make(RelabellingStage, alpha=0.0, beta=0.0, n_given=6, **options).fit(X, Y)
    plain = make(NoisyLabelClassifier, **options).fit(X, Y)
    np.testing.assert_allclose(stage.predict_proba(X), plain.predict_proba(X), atol=1e-5)


def test_rows_that_no_batch_holds_keep_their_label():
    options = {"batch_size": 16, "iterator_train__shuffle": False, "iterator_train__drop_last": 1}
    stage = make(RelabellingStage, n_given=1, **options).fit(X, Y)
    np.testing.assert_array_equal(stage.soft_labels_[48:], np.eye(3)[Y[48:]])
    assert (stage.soft_labels_[:48].max(axis=1) < 1).all()


# The second network ------------------------------------------------------------------------------


def test_second_network_is_trained_on_the_soft_labels():
    weights = np.linspace(0.5, 1.5, 60)
    of_class = np.array([1.0, 2.0, 3.0])
    net = make(max_epochs=1, criterion__weight=torch.tensor(of_class).float()).initialize()
    log_p = net.module_(torch.as_tensor(X)).log_softmax(dim=1).detach().double().numpy()
    net.fit(X, Y, sample_weight=weights)
    labels = net.relabelled_.astype(float)
    w = weights / weights.mean()
    expected = -np.sum(w[:, None] * of_class * labels * log_p) / np.sum(labels * of_class)
    assert net.history[-1]["train_loss"] == pytest.approx(expected, rel=1e-4)


def test_numbers_of_epochs_and_rates():
    net = make(max_epochs=10, relabel_from=0.5, relabel_lr=0.0, n_averaged=3).fit(X, Y)
    assert len(net.stage_histories_["relabelling"]) == len(net.history) == 10
    losses = net.stage_histories_["relabelling"][:, "train_loss"]
    # Without a step, the loss changes when the labels do, and only then.
    np.testing.assert_allclose(losses[:5], losses[0], rtol=1e-5)
    np.testing.assert_allclose(losses[5:], losses[5], rtol=1e-5)
    assert losses[5] < losses[0] - 0.1


def test_labels_are_found_once_for_the_same_rows():
    net = make().partial_fit(X, Y)
    labels, history = net.relabelled_.copy(), net.stage_histories_["relabelling"]
    net.partial_fit(X, Y)
    np.testing.assert_array_equal(net.relabelled_, labels)
    assert net.stage_histories_["relabelling"] is history
    net.partial_fit(X, (Y + 1) % 3)
    assert not np.array_equal(net.relabelled_, labels)


def test_rows_of_a_validation_split_have_no_labels():
    net = make(train_split=ValidSplit(5)).fit(X, Y)
    is_out = np.isnan(net.relabelled_).all(axis=1)
    assert is_out.sum() == 12
    np.testing.assert_array_equal(is_out, np.isnan(net.label_quality_))
    np.testing.assert_allclose(net.relabelled_[~is_out].sum(axis=1), 1.0, rtol=1e-5)
    own = net.relabelled_[np.flatnonzero(~is_out), Y[~is_out]]
    np.testing.assert_allclose(net.label_quality_[~is_out], own)
    assert net.noise_rate_ == pytest.approx(1 - own.mean(), rel=1e-5)


def test_corrects_labels_and_beats_plain_training():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    noisy = make_label_noise(y[:600], "asymmetric", 0.3, random_state=0)
    options = {"max_epochs": 20, "verbose": 0, "random_state": 0}
    net = JointOptimizationClassifier(MLP, relabel_lr=0.01, **options).fit(x[:600], noisy.y)
    plain = NoisyLabelClassifier(MLP, **options).fit(x[:600], noisy.y)
    is_right = net.relabelled_.argmax(axis=1) == y[:600]
    assert is_right.mean() > 0.9  # 0.7 of those given
    assert net.score(x[600:], y[600:]) > plain.score(x[600:], y[600:]) + 0.05


def test_labels_have_to_be_known():
    class Loader(torch.utils.data.DataLoader):
        """Somebody's own, as which labels are not asked for."""

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return 60

        def __getitem__(self, i):
            return X[i], Y[i]

    with pytest.raises(ValueError, match="cannot be read"):
        make(iterator_train=Loader).fit(Pairs(), None)


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": -1.0},
        {"beta": "a"},
        {"relabel_from": 1.5},
        {"n_averaged": 0},
        {"relabel_lr": -1.0},
        {"prior": [0.5, 0.4]},
        {"prior": [[1.0]]},
        {"prior": "uniform"},
        {"prior": [1.5, -0.5, 0.0]},
        {"prior": [0.5, 0.5]},
        {"criterion": nn.NLLLoss},
        {"criterion__reduction": "sum"},
        {"criterion__ignore_index": 1},
        {"criterion": GeneralizedCrossEntropyLoss},
    ],
)
def test_parameters_out_of_range(params):
    with pytest.raises((ValueError, TypeError), match=next(iter(params)).partition("__")[0]):
        make(**params).fit(X, Y)
