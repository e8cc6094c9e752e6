"""Decoupling, against steps by hand."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from crust_sklearn import NoisyLabelClassifier, find_label_issues, make_label_noise
from crust_sklearn.baselines import DecouplingClassifier
from crust_sklearn.modules import MLP

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
# Two networks soon agree on three classes.
ROWS = np.flatnonzero(Y < 3)[:60]
A, B = X[ROWS], Y[ROWS]


def make(**params):
    defaults = {"max_epochs": 3, "lr": 0.05, "batch_size": 20, "verbose": 0, "random_state": 0}
    defaults |= {"iterator_train__shuffle": False, "module__hidden_sizes": (8,)}
    return DecouplingClassifier(MLP, **defaults | params)


def train_by_hand(net, n_epochs, n_warmup, optimizer_cls, **options):
    pair = [net.module_, net.peer_]
    optimizers = [optimizer_cls(module.parameters(), **options) for module in pair]
    sizes = []
    for epoch in range(n_epochs):
        n_used = 0
        for start in range(0, 60, 20):
            x, y = torch.as_tensor(A[start : start + 20]), torch.as_tensor(B[start : start + 20])
            outputs = [module(x) for module in pair]
            differs = (outputs[0].argmax(1) != outputs[1].argmax(1)) | (epoch < n_warmup)
            n_used += int(differs.sum())
            for z, optimizer in zip(outputs, optimizers, strict=True):
                losses = nn.functional.cross_entropy(z, y, reduction="none")
                optimizer.zero_grad()
                # As in the authors' code: divided by a tenth of the batch at least.
                ((differs * losses).sum() / max(2.0, float(differs.sum()))).backward()
                optimizer.step()
        sizes.append(n_used)
    return sizes


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [(torch.optim.SGD, {"momentum": 0.9}), (torch.optim.AdamW, {"weight_decay": 0.1})],
)
@pytest.mark.parametrize("n_warmup", [1, 2])
def test_steps_by_hand(optimizer, options, n_warmup):
    params = {f"optimizer__{name}": value for name, value in options.items()}
    params |= {"optimizer": optimizer, "warmup_epochs": n_warmup, "max_epochs": 20}
    net, expected = make(**params).fit(A, B), make(**params | {"max_epochs": 0}).fit(A, B)
    sizes = train_by_hand(expected, 20, n_warmup, optimizer, lr=0.05, **options)
    assert net.history[:, "coreset_size"] == sizes
    assert 0 in sizes  # epochs without any row were there, and others with less than a tenth
    assert {1, 2, 3} & set(sizes)
    for name in ("module_", "peer_"):
        found = getattr(net, name).state_dict()
        for key, value in getattr(expected, name).state_dict().items():
            torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4)


def test_warmup_is_plain_training():
    net = make(warmup_epochs=3).fit(A, B)
    options = {"max_epochs": 3, "lr": 0.05, "batch_size": 20, "iterator_train__shuffle": False}
    plain = NoisyLabelClassifier(
        MLP, module__hidden_sizes=(8,), random_state=0, verbose=0, **options
    ).fit(A, B)
    np.testing.assert_allclose(net.predict_proba(A), plain.predict_proba(A), atol=1e-5)
    assert net.history[:, "coreset_size"] == [60] * 3


def test_networks_that_predict_one_class_do_not_begin_without_a_warmup():
    net = make(warmup_epochs=0).fit(A, B)
    assert net.history[:, "coreset_size"] == [0] * 3
    assert len(set(net.predict(A))) == 1
    assert make(max_epochs=10).fit(A, B).score(A, B) > 0.95


def test_networks_that_agree_learn_nothing():
    y = B % 2  # predicted the same from the start on, as the inputs are far from the origin

    def make_far():
        module = nn.Sequential(nn.Linear(64, 2))
        with torch.no_grad():
            module[0].bias.copy_(torch.tensor([50.0, 0.0]))
        return module

    net = DecouplingClassifier(make_far, warmup_epochs=0, max_epochs=2, verbose=0, random_state=0)
    net.set_params(optimizer=torch.optim.SGD)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        net.fit(A, y)
        assert set(find_label_issues(net, as_frame=False).rows) == set(np.flatnonzero(y))
    start = DecouplingClassifier(make_far, max_epochs=0, verbose=0, random_state=0).fit(A, y)
    torch.testing.assert_close(net.module_[0].weight, start.module_[0].weight, rtol=0, atol=0)
    assert net.coreset_indices_.tolist() == []
    assert net.coreset_history_.sizes.tolist() == [0, 0]
    assert net.history[:, "train_loss"] == [0, 0]
    assert 0 < net.noise_rate_ < 1


def test_the_sum_is_of_the_rows_that_differ():
    net = make(criterion__reduction="sum", lr=0.0, warmup_epochs=0, max_epochs=1).fit(A, B)
    with torch.no_grad():
        first, second = net.module_(torch.as_tensor(A)), net.peer_(torch.as_tensor(A))
    differs = first.argmax(1) != second.argmax(1)
    assert net.coreset_indices_.tolist() == torch.nonzero(differs)[:, 0].tolist()
    losses = sum(
        nn.functional.cross_entropy(z[differs], torch.as_tensor(B)[differs], reduction="sum")
        for z in (first, second)
    )
    # The history has the mean over batches, all of one size.
    assert net.history[-1, "train_loss"] == pytest.approx(losses.item() / 3, rel=1e-4)


def test_learns_wrong_labels_by_heart_more_slowly():
    noisy = make_label_noise(Y[:300], "symmetric", 0.4, random_state=0)
    params = {"max_epochs": 24, "lr": 0.01, "module__hidden_sizes": (128,), "batch_size": 32}
    nets = [make(**params, warmup_epochs=n).fit(X[:300], noisy.y) for n in (1, 24)]
    wrong = noisy.y[noisy.is_wrong]
    ours, plain = ((net.predict(X[:300])[noisy.is_wrong] == wrong).mean() for net in nets)
    assert ours < plain - 0.2


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (0.5, TypeError)])
def test_parameters_out_of_range(value, error):
    with pytest.raises(error, match="warmup_epochs"):
        make(warmup_epochs=value).fit(A, B)
