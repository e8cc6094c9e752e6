"""L_DMI from a warm start, against NumPy's determinant."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.datasets import load_digits, make_blobs
from skorch.callbacks import LRScheduler
from torch import nn

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import DMIClassifier
from crust_sklearn.baselines.dmi import is_clearly_less
from crust_sklearn.data import RowBatch
from crust_sklearn.losses import DMILoss, GeneralizedCrossEntropyLoss
from crust_sklearn.modules import MLP
from crust_sklearn.nets.training import Training

X, Y = make_blobs(90, centers=[[0, 0], [6, 0], [0, 6]], random_state=0)
X = X.astype(np.float32)


class Watched(DMIClassifier):
    """Keeps the stage, and the weights that its own training begins with."""

    def train_stage(self, *args, **kwargs):
        self.n_stages_ = vars(self).get("n_stages_", 0) + 1
        stage = super().train_stage(*args, **kwargs)
        self.stage_params_ = stage.module_.state_dict()
        return stage

    def plan_epoch(self, epoch):
        self.begun_ = {k: v.clone() for k, v in self.module_.state_dict().items()}


def make(cls=DMIClassifier, module=MLP, **params):
    defaults = {"max_epochs": 2, "lr": 0.01, "batch_size": 30, "verbose": 0, "random_state": 0}
    return cls(module, **defaults | params)


def test_begins_with_the_weights_of_the_first_training():
    net = make(Watched, max_epochs=1).fit(X, Y)
    for name, weight in net.begun_.items():
        assert torch.equal(weight, net.stage_params_[name])
    assert not torch.equal(net.begun_[name], net.module_.state_dict()[name])
    assert len(net.stage_histories_["first"]) == len(net.history) == 1


def test_the_first_training_is_not_repeated_for_the_same_rows():
    net = make(Watched).partial_fit(X, Y)
    net.partial_fit(X, Y)
    assert net.n_stages_ == 1
    net.partial_fit(X, (Y + 1) % 3)
    assert net.n_stages_ == 2


def test_other_rows_do_not_make_it_forget():
    net = make(max_epochs=10).partial_fit(X, Y)
    net.set_params(lr=1e-6)
    assert net.partial_fit(X[:60], Y[:60]).score(X, Y) > 0.95


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 90)])
def test_loss_of_a_step(weights):
    net = make(lr=1e-12, max_epochs=1, batch_size=90).fit(X, Y, sample_weight=weights)
    used = np.delete(np.arange(90), net.state_.entries["held_out"])
    p = net.predict_proba(X[used]).astype(float)
    w = np.ones(60) if weights is None else weights[used] / weights[used].mean()
    expected = -np.log(abs(np.linalg.det(np.eye(3)[Y[used]].T @ np.diag(w) @ p)) + 0.001)
    assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-4)


class Spoilt(DMIClassifier):
    """Loses what it knew in the epochs of some numbers; keeps the weights after each."""

    spoilt: tuple[int, ...] = (1, 3)

    def train_step(self, batch, **fit_params):
        step = super().train_step(batch, **fit_params)
        if len(self.history) - 1 in self.spoilt:
            with torch.no_grad():
                for weight in self.module_.parameters():
                    weight.zero_()
        return step

    def on_epoch_end(self, net, *args, **kwargs):
        super().on_epoch_end(net, *args, **kwargs)
        weights = {name: part.clone() for name, part in self.module_.state_dict().items()}
        self.weights_ = [*vars(self).get("weights_", []), weights]


def test_an_epoch_is_taken_back_after_which_fewer_labels_held_out_are_predicted():
    net = make(Spoilt, max_epochs=5).fit(X, Y)
    assert net.history[:, "taken_back"] == [False, True, False, True, False]
    for name, weight in net.weights_[0].items():
        assert torch.equal(weight, net.weights_[1][name])
    assert net.score(X, Y) > 0.95


def test_labels_held_out_are_not_trained_on():
    seen = set()

    class Seen(DMIClassifier):
        def get_batch_loss(self, y_pred, y_true, batch):
            seen.update(batch.rows.tolist())
            return super().get_batch_loss(y_pred, y_true, batch)

    net = make(Seen, max_epochs=1).fit(X, Y)
    assert seen == set(range(90)) - set(net.state_.entries["held_out"].tolist())
    assert len(seen) == 60


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_clearly_less_is_one_standard_deviation_of_fair_coins(pairs):
    hits, best = np.array(pairs, float).reshape(-1, 2).T
    changed = hits[hits != best]
    coins = binom(len(changed), 0.5)
    assert is_clearly_less(hits, best) == (changed.sum() < coins.mean() - coins.std() - 1e-9)


@pytest.mark.parametrize("sureness", [0.01, 1.0, 10.0])
def test_gradient_is_that_of_the_determinant_and_no_larger_than_that_of_cross_entropy(sureness):
    net = make()
    net.training_ = Training()
    draws = torch.Generator().manual_seed(0)
    z = sureness * torch.randn(30, 3, generator=draws, dtype=torch.float64)
    y, w = torch.as_tensor(Y[:30]), torch.rand(30, generator=draws, dtype=torch.float64)

    def get_gradient(loss_of):
        logits = z.clone().requires_grad_()
        loss = loss_of(logits)
        loss.backward()
        return loss.item(), logits.grad

    batch = RowBatch(x=None, weight=w, rows=torch.arange(30))
    own, found = get_gradient(lambda logits: net.get_batch_loss(logits, y, batch))
    value, gradient = get_gradient(lambda logits: DMILoss()(logits, y, w))
    entropy = nn.CrossEntropyLoss(reduction="none")
    _, of_entropy = get_gradient(lambda logits: (w * entropy(logits, y)).mean())
    assert own == pytest.approx(value)
    norm = min(gradient.norm(), of_entropy.norm())
    np.testing.assert_allclose(found, gradient * (norm / gradient.norm()), atol=1e-12)


def test_plain_gradient_steps_do_not_end_with_one_class_for_all():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    noisy = make_label_noise(y[:1000], "symmetric", 0.5, random_state=0)
    options = {"max_epochs": 10, "lr": 0.1, "batch_size": 64, "optimizer": torch.optim.SGD}
    net = make(**options, optimizer__momentum=0.9).fit(x[:1000], noisy.y)
    assert net.score(x[1000:], y[1000:]) > 0.7


class Rates(torch.optim.SGD):
    """Notes the learning rate of each step."""

    seen: list[float] = []

    def step(self, closure=None):
        self.seen.append(self.param_groups[0]["lr"])
        return super().step(closure)


@pytest.mark.parametrize(
    "policy",
    [
        {"policy": torch.optim.lr_scheduler.StepLR, "step_size": 1, "gamma": 0.5},
        # It names the rates itself.
        {"policy": torch.optim.lr_scheduler.OneCycleLR, "max_lr": 0.1, "total_steps": 4},
    ],
)
def test_learning_rates_are_scaled_whatever_sets_them(policy, monkeypatch):
    monkeypatch.setattr(Rates, "seen", [])
    callbacks = [("rate", LRScheduler(**policy))]
    options = {"optimizer": Rates, "lr": 0.02, "max_epochs": 3, "batch_size": 90}
    net = make(**options, lr_ratio=0.25, callbacks=callbacks).fit(X, Y)
    first, own = np.reshape(Rates.seen, (2, 3))
    np.testing.assert_allclose(own, first / 4)
    np.testing.assert_allclose(net.history[:, "event_lr"], first)


def test_a_last_batch_of_fewer_rows_than_classes_teaches_nothing():
    net = make()
    net.training_ = Training()
    logits = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = net.get_batch_loss(logits, torch.tensor([0, 1]), None)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()
    fitted = make(batch_size=44, max_epochs=10).fit(X, Y)  # the last one has two rows
    assert fitted.score(X, Y) > 0.95


def test_batch_norm():
    def make_normed():  # by the net, and so by its seed
        return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    net = make(module=make_normed, batch_size=59, max_epochs=20).fit(X, Y)  # of 60
    assert net.score(X, Y) > 0.9


def test_better_than_plain_training_where_one_class_is_taken_for_another():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    noisy = make_label_noise(y[:1000], "asymmetric", 0.3, random_state=0)
    options = {"max_epochs": 15, "lr": 0.002, "batch_size": 64}
    ours = make(**options).fit(x[:1000], noisy.y)
    plain = make(NoisyLabelClassifier, **options).fit(x[:1000], noisy.y)
    assert ours.score(x[1000:], y[1000:]) > plain.score(x[1000:], y[1000:]) + 0.03


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"lr_ratio": 0}, "lr_ratio"),
        ({"lr_ratio": "small"}, "lr_ratio"),
        ({"criterion": nn.NLLLoss}, "criterion=NLLLoss"),
        ({"criterion": GeneralizedCrossEntropyLoss()}, "criterion=GeneralizedCrossEntropyLoss"),
        ({"batch_size": 2}, "batch_size=2"),
        ({"iterator_train__batch_size": 2}, "batch_size=2"),
        ({"classes": [0, 1, 2, 3], "module__num_classes": 4}, "class 3 has no training row"),
    ],
)
def test_what_cannot_work_is_refused_before_any_training(params, sentence):
    net = make(Watched, **params)
    with pytest.raises((ValueError, TypeError), match=sentence):
        net.fit(X, Y)
    assert not hasattr(net, "n_stages_")


def test_a_class_without_weight_is_refused():
    with pytest.raises(ValueError, match="class 2 has no training row of positive weight"):
        make().fit(X, Y, sample_weight=(Y != 2).astype(float))
