"""Mixup: with whom rows are mixed, by how much, and what the module gets."""

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from sklearn.datasets import make_blobs
from torch import nn

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.data import MixedBatch, RowBatch
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N, WARMUP = 120, 2
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(Y, "symmetric", 0.2, random_state=0).y
# Each row can be told by its first feature.
ROW_OF = {float(row[0]): i for i, row in enumerate(X)}


class Watched(CRUSTClassifier):
    """Keeps the batches that it is given in training."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.seen_ = [*vars(self).get("seen_", ()), self.training_.batch]
        return super().infer(x, **fit_params)


def make(module=MLP, cls=Watched, **params):
    defaults = REFERENCE | {"max_epochs": 3, "warmup_epochs": WARMUP, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "iterator_train__shuffle": True}
    return cls(module, **defaults | params)


def watch(*, weights=None, **params):
    """Return a fitted net, and the batches after the warm-up."""
    net = make(**params).fit(X, Y, sample_weight=weights)
    n_warmup = sum(row["train_batch_count"] for row in net.history[:WARMUP])
    assert all(isinstance(batch, RowBatch) for batch in net.seen_[:n_warmup])
    return net, net.seen_[n_warmup:]


def rows_of(x):
    return np.array([ROW_OF[float(row[0])] for row in x])


def test_rows_can_be_told():
    assert len(ROW_OF) == N


@pytest.mark.parametrize("coreset_weight", ["cluster", "uniform"])
@pytest.mark.parametrize("mixup", ["cluster", "class", "batch"])
def test_partners(mixup, coreset_weight):
    net, batches = watch(mixup=mixup, coreset_weight=coreset_weight)
    assert all(isinstance(batch, MixedBatch) for batch in batches)
    mine = np.concatenate([rows_of(b.x) for b in batches])
    partners = np.concatenate([rows_of(b.partner_x) for b in batches])
    np.testing.assert_array_equal(np.concatenate([b.rows for b in batches]), mine)
    np.testing.assert_array_equal(np.concatenate([b.partner_rows for b in batches]), partners)
    np.testing.assert_array_equal(np.concatenate([b.partner_y for b in batches]), Y[partners])
    np.testing.assert_array_equal(np.sort(mine), net.coreset_indices_)
    position = np.searchsorted(net.coreset_indices_, mine)
    weights = np.concatenate([b.weight for b in batches])
    np.testing.assert_allclose(weights, net.coreset_weights_[position], rtol=1e-6)
    if mixup == "cluster":
        np.testing.assert_array_equal(net.coreset_assignment_[partners], position)
    elif mixup == "class":
        np.testing.assert_array_equal(Y[partners], Y[mine])
        assert not set(partners) <= set(mine)
    else:
        for b in batches:
            np.testing.assert_array_equal(np.sort(b.partner_rows), np.sort(b.rows))
    assert (partners != mine).any()


@pytest.mark.parametrize("coreset_weight", ["cluster", "uniform"])
def test_without_mixup_rows_are_as_they_are(coreset_weight):
    net, batches = watch(mixup=None, coreset_weight=coreset_weight)
    assert all(isinstance(batch, RowBatch) for batch in batches)
    rows = np.concatenate([b.rows for b in batches])
    np.testing.assert_array_equal(np.sort(rows), net.coreset_indices_)


@pytest.mark.parametrize("mixup", ["cluster", "class", "batch"])
def test_mixtures_are_drawn_anew_in_each_epoch_and_alike_in_each_fit(mixup):
    def get_mixtures(**params):
        params |= {"mixup": mixup, "lr": 0.0, "reselect_every": 9, "max_epochs": 4}
        net, batches = watch(batch_size=N, **params)
        assert len(net.coreset_history_) == 1
        # By the rows, as the batches are shuffled.
        return [
            (b.share[order].tolist(), b.partner_rows[order].tolist())
            for b in batches
            for order in [b.rows.argsort()]
        ]

    first, second = get_mixtures()
    assert first[0] != second[0] and first[1] != second[1]
    assert get_mixtures() == [first, second]
    assert get_mixtures(random_state=1)[0][0] != first[0]


@pytest.mark.parametrize(
    ("alpha", "low", "high"),
    [((1e3, 1.0), 0.9, 1.0), ((1.0, 1e3), 0.0, 0.1), (1e3, 0.4, 0.6)],
)
def test_mixup_alpha(alpha, low, high):
    _, batches = watch(mixup_alpha=alpha)
    share = torch.cat([b.share for b in batches])
    assert low < share.mean() < high


def test_module_gets_the_mixture():
    seen = []

    class Spy(MLP):
        def forward(self, X):
            if self.training:
                seen.append(X.clone())
            return super().forward(X)

    net, batches = watch(module=Spy)
    assert len(seen) == len(net.seen_)
    for b, mixture in zip(batches, seen[-len(batches) :], strict=True):
        share = b.share[:, None]
        torch.testing.assert_close(mixture, share * b.x + (1 - share) * b.partner_x)


@pytest.mark.parametrize("selector", ["facility-location", "centrality", "uniform"])
@pytest.mark.parametrize("mixup", ["class", "cluster", "batch"])
def test_rows_of_weight_zero_are_nobodys_partner(selector, mixup):
    weights = RandomState(0).randint(3, size=N)
    net, batches = watch(weights=weights, selector=selector, mixup=mixup)
    partners = np.concatenate([b.partner_rows for b in batches])
    assert (weights[partners] > 0).all()
    assert len(net.coreset_indices_) == len(partners)


class TwoInputs(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.net = MLP(4, num_classes, (16,))

    def forward(self, left, right):
        return self.net(torch.cat([left, right], dim=1))


@pytest.mark.parametrize("mixup", ["class", "cluster", "batch"])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_inputs_of_a_dict_are_mixed_alike(mixup, convert):
    given = {"left": convert(X[:, :1].copy()), "right": convert(X[:, 1:].copy())}
    by_name = make(TwoInputs, mixup=mixup).fit(given, Y)
    plain = make(MLP, mixup=mixup, module__hidden_sizes=(16,)).fit(X, Y)
    np.testing.assert_array_equal(by_name.coreset_indices_, plain.coreset_indices_)
    np.testing.assert_allclose(
        by_name.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=1e-4
    )


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, X):
        return self.fc(self.embedding(X).mean(dim=1))


@pytest.mark.parametrize("mixup", ["class", "cluster", "batch"])
def test_token_ids_cannot_be_mixed(mixup):
    tokens = RandomState(0).randint(20, size=(N, 6))
    net = make(Tokens, mixup=mixup)
    with pytest.raises(TypeError, match="Tokens.*mixtures.*mixup=None"):
        net.fit(tokens, Y)
    assert not vars(net).get("seen_")
    assert make(Tokens, mixup=None).fit(tokens, Y).history[-1, "coreset_size"] < N
