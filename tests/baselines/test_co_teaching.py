"""Co-teaching, against the same steps with two networks and two optimizers by hand."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from crust_sklearn import make_label_noise
from crust_sklearn.baselines import CoTeachingClassifier
from crust_sklearn.modules import MLP

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
# As many rows as three batches.
A, B = X[:48], Y[:48]


class Softmax(MLP):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


def make(module=MLP, **params):
    defaults = {"noise_rate": 0.4, "max_epochs": 1, "lr": 0.05, "batch_size": 16, "verbose": 0}
    defaults |= {"random_state": 0, "iterator_train__shuffle": False, "n_gradual": 1}
    return CoTeachingClassifier(module, module__hidden_sizes=(8,), **defaults | params)


def train_by_hand(net, n_epochs, make_optimizer, share, class_weight=None, reduction="mean"):
    """Return the rows of the first network in the last epoch; the modules of `net` are trained."""
    pair = [net.module_, net.peer_]
    optimizers = [make_optimizer(module.parameters()) for module in pair]
    for epoch in range(n_epochs):
        used = []
        for start in range(0, 48, 16):
            rows = np.arange(start, start + 16)
            x, y = torch.as_tensor(A[rows]), torch.as_tensor(B[rows])
            outputs = [module(x) for module in pair]
            losses = [
                nn.functional.cross_entropy(z, y, weight=class_weight, reduction="none")
                for z in outputs
            ]
            n_kept = int(share(epoch) * 16 + 1e-9)
            small = [np.argsort(loss.detach().numpy(), kind="stable")[:n_kept] for loss in losses]
            used.append(rows[small[1]])
            for z, chosen, optimizer in zip(outputs, small[::-1], optimizers, strict=True):
                loss = nn.functional.cross_entropy(
                    z[chosen], y[chosen], weight=class_weight, reduction=reduction
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return np.sort(np.concatenate(used))


def assert_same_weights(net, expected):
    for name in ("module_", "peer_"):
        found = getattr(net, name).state_dict()
        for key, value in getattr(expected, name).state_dict().items():
            torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [(torch.optim.SGD, {"momentum": 0.9}), (torch.optim.AdamW, {"weight_decay": 0.1})],
)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_steps_are_those_of_two_optimizers(optimizer, options, reduction, is_weighted):
    class_weight = torch.linspace(0.5, 2, 10) if is_weighted else None
    params = {f"optimizer__{name}": value for name, value in options.items()}
    params |= {"optimizer": optimizer, "lr": 0.01, "criterion__reduction": reduction}
    params |= {"criterion__weight": class_weight}
    net = make(max_epochs=3, n_gradual=2, **params).fit(A, B)
    expected = make(max_epochs=0, **params).fit(A, B)
    used = train_by_hand(
        expected,
        3,
        lambda parameters: optimizer(parameters, lr=0.01, **options),
        lambda epoch: 1 - 0.4 * min(epoch / 2, 1),
        class_weight,
        reduction,
    )
    assert_same_weights(net, expected)
    np.testing.assert_array_equal(net.coreset_indices_, used)


def test_share_falls_linearly_to_the_noise_rate():
    net = make(noise_rate=0.5, n_gradual=4, max_epochs=6, iterator_train__shuffle=True).fit(A, B)
    assert net.history[:, "coreset_size"] == [48, 42, 36, 30, 24, 24]  # 1 - t / 8 of 3 times 16
    assert net.coreset_history_.sizes.tolist() == [48, 42, 36, 30, 24, 24]


def test_a_schedule_is_multiplied_with_the_rise():
    net = make(noise_rate=lambda epoch: [0.5, 0.25, 0.5][epoch], n_gradual=2, max_epochs=3)
    assert net.fit(A, B).history[:, "coreset_size"] == [48, 42, 24]
    assert net.noise_rate_ == 0.5


def test_one_row_is_left_at_least():
    net = make(noise_rate=0.99, max_epochs=2).fit(A, B)
    assert net.history[:, "coreset_size"] == [48, 3]


def test_rows_of_weight_zero_do_not_count():
    weights = np.ones(48)
    weights[:8] = 0
    net = make(noise_rate=0.5, max_epochs=2).fit(A, B, sample_weight=weights)
    assert net.history[:, "coreset_size"] == [40, 4 + 8 + 8]
    assert net.coreset_indices_.min() >= 8
    assert np.allclose(net.coreset_weights_, 1)


def test_a_batch_without_any_weight_changes_nothing_but_by_the_optimizer():
    weights = np.ones(48)
    weights[16:32] = 0
    options = {"optimizer": torch.optim.SGD, "noise_rate": 0.0}
    net = make(**options).fit(A, B, sample_weight=weights)
    rows = np.flatnonzero(weights)
    expected = make(**options).fit(A[rows], B[rows], sample_weight=np.full(32, 1.0))
    # The weights of 32 of 48 rows are 1.5 after scaling, and so is the rate of their steps.
    assert not torch.allclose(net.module_.fc.weight, expected.module_.fc.weight)
    expected = make(**options, lr=0.075).fit(A[rows], B[rows])
    assert_same_weights(net, expected)


def test_auto_is_close_to_the_truth_and_is_what_is_left_out():
    noisy = make_label_noise(Y, "symmetric", 0.4, random_state=0)
    params = {"noise_rate": "auto", "batch_size": 64, "max_epochs": 4, "lr": 0.005}
    net = make(n_gradual=2, **params).fit(X, noisy.y)
    assert net.noise_rate_ == pytest.approx(noisy.is_wrong.mean(), abs=0.05)
    assert len(net.coreset_indices_) == pytest.approx((1 - net.noise_rate_) * len(X), abs=30)


def test_trains_on_fewer_wrong_labels_than_are_given():
    noisy = make_label_noise(Y[:900], "symmetric", 0.4, random_state=0)
    net = make(batch_size=64, max_epochs=12, n_gradual=5, lr=0.01, iterator_train__shuffle=True)
    net.fit(X[:900], noisy.y)
    assert noisy.is_wrong[net.coreset_indices_].mean() < 0.1
    assert net.score(X[900:], Y[900:]) > 0.8


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_mean_predictions_are_those_of_both(criterion):
    module = Softmax if criterion is nn.NLLLoss else MLP
    net = make(module, criterion=criterion, predict_by="mean", max_epochs=3).fit(A, B)
    with torch.no_grad():
        outputs = [one(torch.as_tensor(A)) for one in (net.module_.eval(), net.peer_.eval())]
    if criterion is nn.CrossEntropyLoss:
        outputs = [z.softmax(dim=1) for z in outputs]
    mean = (outputs[0] + outputs[1]).numpy() / 2
    np.testing.assert_allclose(net.predict_proba(A), mean, atol=1e-6)
    np.testing.assert_array_equal(net.predict(A), mean.argmax(axis=1))
    np.testing.assert_allclose(net.label_quality_, mean[np.arange(48), B], atol=1e-6)


def test_probabilities_of_the_module_are_trained_as_logits_are():
    of_logits = make(max_epochs=3).fit(A, B)
    net = make(Softmax, criterion=nn.NLLLoss, max_epochs=3).fit(A, B)
    np.testing.assert_allclose(net.predict_proba(A), of_logits.predict_proba(A), atol=1e-4)
    np.testing.assert_array_equal(net.coreset_indices_, of_logits.coreset_indices_)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"n_gradual": 0}, ValueError),
        ({"n_gradual": 1.5}, TypeError),
        ({"noise_rate": 1.0}, ValueError),
        ({"predict_by": "second"}, ValueError),
    ],
)
def test_parameters_out_of_range(params, error):
    with pytest.raises(error, match=next(iter(params))):
        make(**params).fit(A, B)


def test_a_module_instance_is_refused():
    with pytest.raises(ValueError, match="module=MLP.*is an instance"):
        CoTeachingClassifier(MLP(64, 10), verbose=0).fit(A, B)
