"""T-Revision, against NumPy, finite differences, and noise that is known."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs
from torch import nn

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import TRevisionClassifier
from crust_sklearn.baselines.parts.slack import Slack
from crust_sklearn.baselines.t_revision import ReweightedClassifier, compute_importance
from crust_sklearn.modules import MLP
from crust_sklearn.nets.training import Training

RNG = np.random.default_rng(0)
X, Y = make_blobs(300, centers=[[0, 0], [4, 0], [0, 4]], random_state=0)
X = X.astype(np.float32)
T = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]])
GIVEN = np.array([RNG.choice(3, p=T[label]) for label in Y])
FROZEN = 1e-12


def make(cls=TRevisionClassifier, **params):
    defaults = {"max_epochs": 1, "lr": FROZEN, "batch_size": 300, "verbose": 0, "random_state": 0}
    return cls(MLP, **defaults | params)


def get_importance(p, y, matrix):
    rows = np.arange(len(y))
    return p[rows, y] / (p @ matrix)[rows, y]


class KeepsAll(TRevisionClassifier):
    """Holds nothing out: each training ends with its last epoch."""

    def draw_held_out(self):
        return np.arange(0)


@pytest.mark.parametrize("training", ["own", "reweighting"])
def test_loss_of_a_step(training):
    net = make(KeepsAll, slack_range=0.0).fit(X, GIVEN)
    history = net.history if training == "own" else net.stage_histories_["reweighting"]
    p = net.predict_proba(X).astype(float)
    losses = -np.log(p[np.arange(300), GIVEN])
    expected = (get_importance(p, GIVEN, net.initial_transition_matrix_) * losses).mean()
    assert history[-1, "train_loss"] == pytest.approx(expected, rel=1e-4)


def test_importance_where_neither_class_nor_label_is_predicted():
    p = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)
    importance = compute_importance(p, torch.tensor([2]), torch.eye(3))
    importance.sum().backward()
    assert importance.item() == 0
    assert p.grad.isfinite().all()


def make_slack(start):
    slack = Slack(T, {}, lr=0.01, device="cpu")
    slack.matrix = torch.as_tensor(T)
    slack.parameter = nn.Parameter(torch.as_tensor(start))
    return slack


def test_gradient_with_respect_to_the_slack():
    net = make().fit(X, GIVEN)
    net.training_ = Training()
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, start, p = torch.as_tensor(GIVEN[:20]), 0.05 * RNG.random((3, 3)), z.softmax(1).numpy()
    net.training_.kept["slack"] = slack = make_slack(start)
    net.get_losses(z, y, y).mean().backward()

    def get_loss(change):
        total = T + start + change
        importance = get_importance(p, GIVEN[:20], total / total.sum(axis=1, keepdims=True))
        return (importance * -np.log(p[np.arange(20), GIVEN[:20]])).mean()

    for entry in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[entry] = 1e-6
        expected = (get_loss(step) - get_loss(-step)) / 2e-6
        assert slack.parameter.grad[entry].item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_weights_of_the_second_training_are_constants():
    net = make(
        ReweightedClassifier,
        transition_matrix=T,
        weights=MLP(2, 3).state_dict(),
        held_out=np.arange(0),
    )
    net.fit(X, GIVEN)
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = torch.as_tensor(GIVEN[:20])
    net.get_losses(z, y, y).sum().backward()
    p = z.detach().softmax(1).double().numpy()
    expected = get_importance(p, GIVEN[:20], T)[:, None] * (p - np.eye(3)[GIVEN[:20]])
    np.testing.assert_allclose(z.grad, expected, atol=1e-5)


def test_weights_of_the_third_training_are_constants_to_the_network():
    net = make(slack_range=0.0).fit(X, GIVEN)
    net.training_ = Training()
    net.training_.kept["slack"] = make_slack(np.zeros((3, 3)))
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z.requires_grad = True
    y = torch.as_tensor(GIVEN[:20])
    net.get_losses(z, y, y).sum().backward()
    p = z.detach().softmax(1).numpy()
    expected = get_importance(p, GIVEN[:20], T)[:, None] * (p - np.eye(3)[GIVEN[:20]])
    np.testing.assert_allclose(z.grad, expected, atol=1e-5)
    # No label is unlearnt.
    assert (z.grad.gather(1, y[:, None]) < 0).all()


def test_first_step_of_the_slack_is_adams():
    slack = Slack(T, {}, lr=0.01, device="cpu")
    slack.parameter.grad = torch.tensor([[1.0, -2.0, 0.0]] * 3)
    slack.step()
    np.testing.assert_allclose(slack.parameter.detach(), [[-0.01, 0.01, 0.0]] * 3, atol=1e-6)


def test_slack_goes_on_and_keeps_the_matrix_at_least_zero():
    def run(n_steps, entries):
        slack = Slack(T, entries, lr=0.05, device="cpu")
        for _ in range(n_steps):
            slack.get_revised()[0, 1].backward()
            slack.step()
        return slack.get_revised().detach().numpy()

    whole, entries = run(8, {}), {}
    run(3, entries)
    entries = {name: entry.numpy() for name, entry in entries.items()}  # as a pickle has them
    np.testing.assert_array_equal(run(5, entries), whole)
    assert whole[0, 1] == 0
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=1e-6)


def test_each_training_begins_where_the_one_before_has_ended():
    epochs = {"max_epochs": 3, "first_epochs": 1, "reweighting_epochs": 1}
    net = make(KeepsAll, lr=0.01, batch_size=32, lr_ratio=FROZEN, **epochs).fit(X, GIVEN)
    assert [len(net.stage_histories_[name]) for name in ("first", "reweighting")] == [1, 1]
    first, second, third = (
        history[0, "train_loss"]
        for history in (*map(net.stage_histories_.get, ("first", "reweighting")), net.history)
    )
    p = net.predict_proba(X).astype(float)
    losses = -np.log(p[np.arange(300), GIVEN])
    own = (get_importance(p, GIVEN, net.initial_transition_matrix_) * losses).mean()
    assert third == pytest.approx(own, abs=0.02)  # not of weights that are drawn anew
    assert first > second > third


class StartsWrong(TRevisionClassifier):
    def train_for_anchors(self, held_out):
        first = super().train_for_anchors(held_out)
        self.set_transitions(0.9 * np.eye(3) + 0.1 / 3)
        return first


def test_revision_moves_towards_the_truth_from_less_noise():
    net = make(StartsWrong, max_epochs=10, lr=0.01, batch_size=32, slack_range=0.3).fit(X, GIVEN)
    before, after = net.initial_transition_matrix_, net.transition_matrix_
    np.testing.assert_allclose(before, 0.9 * np.eye(3) + 0.1 / 3)
    np.testing.assert_allclose(after.sum(axis=1), 1.0)
    assert after.min() >= 0
    assert np.abs(after - T).sum() < 0.7 * np.abs(before - T).sum()


def test_without_range_nothing_is_revised():
    net = make(max_epochs=2, lr=0.01, slack_range=0.0).fit(X, GIVEN)
    np.testing.assert_array_equal(net.transition_matrix_, net.initial_transition_matrix_)


def test_better_than_plain_training_where_one_class_is_taken_for_another():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    noisy = make_label_noise(y[:1000], "asymmetric", 0.4, random_state=0)
    options = {"max_epochs": 15, "lr": 0.002, "batch_size": 64}
    ours = make(**options).fit(x[:1000], noisy.y)
    plain = make(NoisyLabelClassifier, **options).fit(x[:1000], noisy.y)
    assert ours.score(x[1000:], y[1000:]) > plain.score(x[1000:], y[1000:]) + 0.03


def test_a_network_that_is_seldom_sure_does_not_unlearn():
    x, y = load_digits(return_X_y=True)
    x = (x / 16 + 0.5 * np.random.default_rng(0).normal(size=x.shape)).astype(np.float32)
    noisy = make_label_noise(y[:1000], "symmetric", 0.5, random_state=0)
    options = {"max_epochs": 8, "lr": 0.1, "optimizer": torch.optim.SGD, "batch_size": 64}
    ours = make(**options, lr_ratio=0.1).fit(x[:1000], noisy.y)
    plain = make(NoisyLabelClassifier, **options).fit(x[:1000], noisy.y)
    assert ours.score(x[1000:], y[1000:]) > plain.score(x[1000:], y[1000:]) - 0.05


@pytest.mark.parametrize(
    "params",
    [
        {"slack_range": -0.1},
        {"slack_range": "a"},
        {"lr_ratio": 0.0},
        {"first_epochs": 0},
        {"reweighting_epochs": 1.5},
        {"anchor_quantile": 2.0},
    ],
)
def test_parameters_out_of_range(params):
    net = make(**params)
    with pytest.raises((ValueError, TypeError), match=next(iter(params))):
        net.fit(X, GIVEN)
    assert not getattr(net, "history_", None)
