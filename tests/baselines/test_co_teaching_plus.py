"""Co-teaching+, against steps by hand."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from crust_sklearn import make_label_noise
from crust_sklearn.baselines import CoTeachingClassifier, CoTeachingPlusClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets import noise_rate

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
# Two networks soon agree on three classes.
ROWS = np.flatnonzero(Y < 3)[:60]
A, B = X[ROWS], Y[ROWS]


def make(cls=CoTeachingPlusClassifier, **params):
    defaults = {"noise_rate": 0.4, "max_epochs": 3, "lr": 0.05, "batch_size": 20, "verbose": 0}
    defaults |= {"random_state": 0, "iterator_train__shuffle": False, "n_gradual": 2}
    return cls(MLP, **defaults | {"module__hidden_sizes": (8,)} | params)


def train_by_hand(net, n_epochs, n_warmup, weights, n_gradual=2, rate=0.4):
    """Train the modules of `net`; return the sizes of epochs, and how often none differed."""
    pair = [net.module_, net.peer_]
    optimizers = [torch.optim.AdamW(module.parameters(), lr=0.05) for module in pair]
    sizes, n_agreed = [], 0
    for epoch in range(n_epochs):
        share, n_used = 1 - rate * min(epoch / n_gradual, 1), 0
        for start in range(0, 60, 20):
            part = slice(start, start + 20)
            x, y = torch.as_tensor(A[part]), torch.as_tensor(B[part])
            outputs = [module(x) for module in pair]
            losses = [nn.functional.cross_entropy(z, y, reduction="none") for z in outputs]
            has_weight = weights[part] > 0
            rows = np.flatnonzero((outputs[0].argmax(1) != outputs[1].argmax(1)) & has_weight)
            if epoch < n_warmup or not len(rows):
                n_agreed += epoch >= n_warmup
                rows = np.flatnonzero(has_weight)
            n_kept = max(1, int(share * len(rows) + 1e-9))
            small = [
                rows[np.argsort(loss.detach().numpy()[rows], kind="stable")[:n_kept]]
                for loss in losses
            ]
            n_used += n_kept
            for loss, chosen, optimizer in zip(losses, small[::-1], optimizers, strict=True):
                optimizer.zero_grad()
                (weights[part][chosen] * loss[chosen]).mean().backward()
                optimizer.step()
        sizes.append(n_used)
    return sizes, n_agreed


@pytest.mark.parametrize("n_warmup", [0, 2])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_steps_by_hand(n_warmup, is_weighted):
    weights = np.ones(60)
    weights[:10] = 1 - is_weighted
    weights *= 60 / weights.sum()
    params = {"warmup_epochs": n_warmup, "max_epochs": 15}
    net = make(**params).fit(A, B, sample_weight=weights if is_weighted else None)
    expected = make(**params | {"max_epochs": 0}).fit(A, B)
    sizes, n_agreed = train_by_hand(expected, 15, n_warmup, torch.as_tensor(weights).float())
    assert net.history[:, "coreset_size"] == sizes
    assert n_agreed > 0  # batches without disagreement were there, too
    for name in ("module_", "peer_"):
        found = getattr(net, name).state_dict()
        for key, value in getattr(expected, name).state_dict().items():
            torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4)


def test_warmup_is_co_teaching():
    ours = make(warmup_epochs=3).fit(A, B)
    other = make(CoTeachingClassifier).fit(A, B)
    np.testing.assert_array_equal(ours.predict_proba(A), other.predict_proba(A))
    np.testing.assert_array_equal(ours.coreset_indices_, other.coreset_indices_)


def test_warmup_lasts_until_the_noise_rate_of_images_is_known(monkeypatch):
    monkeypatch.setattr(noise_rate, "has_vectors", lambda training: False)
    params = {"noise_rate": "auto", "max_epochs": 4}
    ours = make(warmup_epochs=0, **params).partial_fit(A, B, epochs=1)
    other = make(CoTeachingClassifier, **params).partial_fit(A, B, epochs=1)
    assert len(ours.coreset_indices_) < 60
    np.testing.assert_array_equal(ours.coreset_indices_, other.coreset_indices_)
    np.testing.assert_array_equal(ours.predict_proba(A), other.predict_proba(A))


@pytest.mark.parametrize(("max_epochs", "n_warmup"), [(1, 1), (6, 1), (30, 3), (200, 20)])
def test_warmup_by_default_is_a_tenth(max_epochs, n_warmup):
    assert make(max_epochs=max_epochs).get_warmup_epochs() == n_warmup


def test_learns_asymmetric_noise_less_than_plain_training():
    noisy = make_label_noise(Y[:900], "asymmetric", 0.3, random_state=0)
    params = {"max_epochs": 12, "batch_size": 64, "lr": 0.01, "n_gradual": 4}
    params |= {"module__hidden_sizes": (64,), "iterator_train__shuffle": True}
    ours = make(**params | {"noise_rate": 0.3}).fit(X[:900], noisy.y)
    plain = make(**params | {"noise_rate": 0.0, "warmup_epochs": 12}).fit(X[:900], noisy.y)
    assert ours.score(X[900:], Y[900:]) > plain.score(X[900:], Y[900:]) + 0.02


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (0.5, TypeError), ("car", ValueError), (None, TypeError)]
)
def test_parameters_out_of_range(value, error):
    with pytest.raises(error, match="warmup_epochs"):
        make(warmup_epochs=value).fit(A, B)
