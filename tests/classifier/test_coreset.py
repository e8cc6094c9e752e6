"""Which rows are chosen, by what gradients, and what the net says of them."""

import itertools
import time

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from torch import nn

from crust_sklearn import CoresetSelector, CRUSTClassifier, make_label_noise
from crust_sklearn.modules import MLP
from crust_sklearn.nets import coreset_net
from crust_sklearn.settings import REFERENCE
from crust_sklearn.strategies import Centrality, FacilityLocation

N, WARMUP = 120, 2
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(Y, "symmetric", 0.2, random_state=0).y


class Deep(nn.Module):
    """With what draws at random and what keeps statistics of its batches."""

    def __init__(self, dropout=0.0, batch_norm=False):
        super().__init__()
        norm = nn.BatchNorm1d(16) if batch_norm else nn.Identity()
        self.body = nn.Sequential(nn.Linear(4, 16), norm, nn.ReLU(), nn.Dropout(dropout))
        self.fc = nn.Linear(16, 3)

    def forward(self, X):
        return self.fc(self.body(X))


class Batches(Callback):
    """Keeps the training batches."""

    def initialize(self):
        self.batches = []
        return self

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.batches.append(batch)


class Predicts(Callback):
    """Keeps what is predicted before each epoch."""

    def on_epoch_begin(self, net, **kwargs):
        self.probabilities = net.predict_proba(X)


def make(module=MLP, cls=CRUSTClassifier, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    defaults = REFERENCE | {"max_epochs": 4, "warmup_epochs": WARMUP, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "iterator_train__shuffle": True}
    return cls(module, **defaults | params)


def get_weights(net):
    return [p.detach().clone() for p in net.module_.state_dict().values()]


def assert_equal(first, second):
    assert len(first) == len(second)
    for p, q in zip(first, second, strict=True):
        assert torch.equal(p, q)


# -- a coreset of all rows --------------------------------------------------------------------


class DrawsAs(Callback):
    """Lets skorch's own net draw from the streams of ours."""

    def __init__(self, net):
        self.net = net

    def on_epoch_begin(self, net, **kwargs):
        epoch = len(net.history) - 1
        net.iterator_train__generator.manual_seed(self.net.get_seed("batches", epoch))
        torch.manual_seed(self.net.get_seed("module", epoch))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    "module", [{}, {"dropout": 0.5}, {"batch_norm": True}], ids=["plain", "dropout", "batch_norm"]
)
def test_all_rows_without_weights_and_mixup_is_skorch(module, shuffle):
    common = {
        "max_epochs": 4,
        "optimizer": torch.optim.SGD,
        "lr": 0.1,
        "batch_size": 50,
        "verbose": 0,
        "iterator_train__shuffle": shuffle,
        "criterion": nn.CrossEntropyLoss,
        "train_split": None,
        **{f"module__{name}": value for name, value in module.items()},
    }
    settings = {"coreset_size": 1.0, "warmup_epochs": 1, "random_state": 3}
    ours = CRUSTClassifier(Deep, callbacks=[Batches()], **settings, **common)
    start = CRUSTClassifier(Deep, **settings, **common).initialize().module_.state_dict()
    ours.fit(X, Y)
    stock = NeuralNetClassifier(
        Deep,
        callbacks=[Batches(), DrawsAs(ours)],
        iterator_train__generator=torch.Generator(),
        **common,
    ).initialize()
    stock.module_.load_state_dict(start)
    with torch.random.fork_rng(devices=[]):
        stock.partial_fit(X, Y)

    batches = ours.callbacks[0].batches
    assert len(batches) == len(stock.callbacks[0].batches) == 4 * 3
    for (x, y), (stock_x, stock_y) in zip(batches, stock.callbacks[0].batches, strict=True):
        assert torch.equal(x, stock_x)
        assert torch.equal(y, stock_y)
    assert ours.history[:, "train_loss"] == stock.history[:, "train_loss"]
    assert_equal(get_weights(ours), get_weights(stock))
    np.testing.assert_array_equal(ours.predict_proba(X), stock.predict_proba(X))
    np.testing.assert_array_equal(ours.coreset_indices_, np.arange(N))


# -- fitted attributes and history ------------------------------------------------------------


@pytest.mark.parametrize("selector", ["facility-location", "centrality", "uniform"])
@pytest.mark.parametrize("size", [0.3, 40])
@pytest.mark.parametrize("group_by", ["prediction", "label", None])
@pytest.mark.parametrize("coreset_weight", ["cluster", "uniform"])
def test_fitted_attributes(selector, size, group_by, coreset_weight):
    given = CoresetSelector(selector)
    net = make(
        selector=given, coreset_size=size, group_by=group_by, coreset_weight=coreset_weight
    ).fit(X, Y)
    rows, weights, assignment = (
        net.coreset_indices_,
        net.coreset_weights_,
        net.coreset_assignment_,
    )
    assert rows.dtype == np.int64 and weights.dtype == np.float64 and assignment.dtype == np.int64
    assert (np.diff(rows) > 0).all() and rows.min() >= 0 and rows.max() < N
    assert len(weights) == len(rows) and abs(len(rows) - 0.3 * N) <= 5
    assert weights.mean() == pytest.approx(1)
    assert assignment.shape == (N,) and assignment.min() >= 0 and assignment.max() < len(rows)
    np.testing.assert_array_equal(assignment[rows], np.arange(len(rows)))
    sizes = np.bincount(assignment, minlength=len(rows))
    expected = sizes * len(rows) / N if coreset_weight == "cluster" else np.ones(len(rows))
    np.testing.assert_allclose(weights, expected)
    if group_by == "label":
        np.testing.assert_array_equal(Y[rows[assignment]], Y)

    assert sorted(net.selector_.sample_indices_) == rows.tolist()
    assert net.selector_ is not given
    assert not hasattr(given, "sample_indices_") and given.coreset_size == 0.5
    assert net.classes_.tolist() == [0, 1, 2]
    assert net.n_features_in_ == 4

    sizes = net.history[:, "coreset_size"]
    assert sizes[:WARMUP] == [N] * WARMUP and sizes[-1] == len(rows)
    assert all(size < N for size in sizes[WARMUP:])


def test_history_tells_what_a_selection_took():
    class Slow(Centrality):
        def select(self, *args, **kwargs):
            time.sleep(0.05)
            return super().select(*args, **kwargs)

    net = make(selector=CoresetSelector(Slow()), group_by=None).fit(X, Y)
    assert len(net.history[:, "selection_dur"]) == 4
    for row in net.history[WARMUP:]:
        assert 0.05 <= row["selection_dur"] <= row["dur"]


@pytest.mark.parametrize("size", [0.5, 0.29, 41])
def test_share_of_each_given_label(size):
    net = make(coreset_size=size).fit(X, Y)
    counts = np.bincount(Y)
    exact = size * counts if isinstance(size, float) else size * counts / N
    chosen = np.bincount(Y[net.coreset_indices_])
    assert (np.abs(chosen - exact) < 1).all()
    if isinstance(size, int):
        assert chosen.sum() == size


def test_share_of_each_predicted_class():
    seen = Predicts()
    net = make(group_by="prediction", coreset_size=0.5, callbacks=[seen]).fit(X, Y)
    predicted = seen.probabilities.argmax(axis=1)
    rows = net.coreset_indices_
    assert len(np.unique(predicted)) > 1
    for label in np.unique(predicted):
        assert abs(np.sum(predicted[rows] == label) - np.sum(predicted == label) / 2) <= 0.5
    np.testing.assert_array_equal(predicted[rows[net.coreset_assignment_]], predicted)


def test_fewer_rows_than_classes_without_groups():
    assert len(make(coreset_size=2, group_by=None).fit(X, Y).coreset_indices_) == 2


# -- the gradients ----------------------------------------------------------------------------

GIVEN = []


class Noting:
    """A strategy of a user's own: notes the rows that it is given, and leaves it to another."""

    def __init__(self, strategy):
        self.strategy = strategy

    def select(self, rows, n_select, **kwargs):
        GIVEN.append(rows.copy())
        return self.strategy.select(rows, n_select, **kwargs)


@pytest.fixture(autouse=True)
def nothing_given():
    GIVEN.clear()


class Gradients(Callback):
    """Computes the gradients before an epoch from its probabilities, by their formulas."""

    def on_epoch_begin(self, net, **kwargs):
        # predict_proba runs in eval mode, hence without dropout.
        at_logits = net.predict_proba(X).astype(np.float64) - np.eye(3)[Y]
        weight = net.module_.fc.weight.detach().double().numpy()
        net.module_.eval()
        with torch.no_grad():
            h = net.module_.hidden(torch.from_numpy(X)).double().numpy()
        self.proxies = {
            "logits": at_logits,
            "features": at_logits @ weight,
            "last-layer": np.einsum("ij,ik->ijk", at_logits, h).reshape(N, -1),
        }


@pytest.mark.parametrize("gradient", ["logits", "features"])
@pytest.mark.parametrize("strategy", [FacilityLocation(), Centrality()], ids=str)
def test_coreset_is_that_of_the_gradients(gradient, strategy):
    gradients = Gradients()
    net = make(
        selector=CoresetSelector(Noting(strategy)),
        gradient=gradient,
        coreset_size=0.4,
        coreset_weight="cluster",
        callbacks=[gradients],
        module__dropout=0.3,
    ).fit(X, Y)
    # One group for each label, those of the last selection last.
    found = np.empty((N, GIVEN[-1].shape[1]), np.float32)
    for label, rows in enumerate(GIVEN[-3:]):
        found[label == Y] = rows
    np.testing.assert_allclose(found, gradients.proxies[gradient], atol=1e-5)
    # Of the rows as they were given: near ties are decided by the last bits.
    selector = CoresetSelector(strategy, coreset_size=0.4).fit(found, Y)
    order = np.argsort(selector.sample_indices_)
    np.testing.assert_array_equal(net.coreset_indices_, selector.sample_indices_[order])
    weights = selector.sample_weight_[order]
    np.testing.assert_allclose(net.coreset_weights_, weights / weights.mean())
    owner = selector.sample_indices_[selector.assignment_]
    np.testing.assert_array_equal(net.coreset_indices_[net.coreset_assignment_], owner)


def test_weights_of_the_last_layer_as_gradients():
    gradients = Gradients()
    net = make(
        selector="facility-location", gradient="last-layer", callbacks=[gradients], max_epochs=3
    ).fit(X, Y)
    proxies = gradients.proxies["last-layer"]
    selector = CoresetSelector("facility-location").fit(proxies, Y)
    both = np.intersect1d(net.coreset_indices_, selector.sample_indices_)
    assert len(both) >= 0.95 * len(net.coreset_indices_)
    owner = net.coreset_indices_[net.coreset_assignment_]
    distances = np.linalg.norm(proxies - proxies[owner], axis=1)
    assert distances.sum() == pytest.approx(selector.objective_, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_centrality_finds_clean_rows(seed):
    X, y = make_blobs(300, n_features=4, centers=3, cluster_std=1.0, random_state=seed)
    noise = make_label_noise(y, "symmetric", 0.3, random_state=seed)
    net = make(max_epochs=8, random_state=seed).fit(X, noise.y)
    is_right = noise.y == y
    assert is_right.mean() < 0.75
    assert is_right[net.coreset_indices_].mean() > is_right.mean() + 0.1


@pytest.mark.parametrize("name", ["greedy-css", "greedy-low-rank", "pivoted-qr", "leverage"])
def test_strategies_by_inner_products_need_the_gradient_itself(name):
    with pytest.raises(ValueError, match="gradient='last-layer'.*needs the gradient itself"):
        make(selector=name, gradient="last-layer").fit(X, Y)
    net = make(selector=name, gradient="logits").fit(X, Y)
    assert len(net.coreset_indices_) == sum((n + 1) // 2 for n in np.bincount(Y))


@pytest.mark.parametrize("strategy", ["uniform", "leverage"])
def test_random_strategies_draw_anew_in_each_epoch_and_alike_in_each_fit(strategy):
    nets = [make(selector=strategy, lr=0.0).fit(X, Y) for _ in "ab"]
    first, second = ([h.get_indices(at).tolist() for at in (0, 1)] for h in map(history, nets))
    assert first == second
    assert first[0] != first[1]
    other = make(selector=strategy, lr=0.0, random_state=1).fit(X, Y)
    assert history(other).get_indices(0).tolist() != first[0]


def history(net):
    return net.coreset_history_


def test_seed_of_the_selector_counts():
    net = make(selector=CoresetSelector("uniform", random_state=5), lr=0.0).fit(X, Y)
    assert net.selector_.random_state == 5
    first, second = (history(net).get_indices(at).tolist() for at in (0, 1))
    assert first == second


# -- what a selection sees and leaves alone ---------------------------------------------------


class Augmented(torch.utils.data.Dataset):
    """Items are shifted by another number each time."""

    targets = Y

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return N

    def __getitem__(self, i):
        return X[i] + self.rng.normal(scale=5.0, size=4).astype(np.float32), Y[i]


@pytest.mark.parametrize("plain", [Dataset(X, Y), None], ids=["plain", "as-trained"])
def test_selection_sees_the_rows_of_the_selection_dataset(plain):
    seen = Predicts()
    selector = CoresetSelector(Noting(Centrality()))
    params = {"selector": selector, "gradient": "logits", "group_by": None, "mixup": None}
    params["selection_dataset"] = plain
    make(callbacks=[seen], module__in_features=4, **params).fit(Augmented())
    is_plain = np.allclose(GIVEN[-1], seen.probabilities - np.eye(3)[Y], atol=1e-5)
    assert is_plain == (plain is not None)


@pytest.mark.parametrize("gradient", ["leave-one-out", "logits", "features", "last-layer"])
def test_selection_changes_nothing_of_the_module(gradient):
    changes = []

    class Watched(CRUSTClassifier):
        def select(self, epoch):
            before = get_weights(self)
            grads = [p.grad.clone() for p in self.module_.parameters()]
            plan = super().select(epoch)
            # Weights, and the statistics of batch normalization.
            assert_equal(get_weights(self), before)
            assert_equal([p.grad for p in self.module_.parameters()], grads)
            assert all(p.requires_grad for p in self.module_.parameters())
            changes.append(epoch)
            return plan

    make(Deep, cls=Watched, module__batch_norm=True, gradient=gradient).fit(X, Y)
    assert changes == [2, 3]


@pytest.mark.parametrize("batch_size", [8, 3, 2])
def test_module_with_batch_norm_over_a_coreset(batch_size):
    net = make(Deep, module__batch_norm=True, coreset_size=25, batch_size=batch_size).fit(X, Y)
    for row in net.history[WARMUP:]:
        sizes = [batch["train_batch_size"] for batch in row["batches"]]
        assert sum(sizes) == 25 and min(sizes) > 1
    n_steps = sum(row["train_batch_count"] for row in net.history)
    assert net.module_.body[1].num_batches_tracked == n_steps


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_selection_that_lasts_shows_itself(verbose, monkeypatch, capsys):
    clock = itertools.count(step=2)
    monkeypatch.setattr(coreset_net, "perf_counter", lambda: next(clock))
    options = {"module__hidden_sizes": (8,), "max_epochs": 2, "coreset_size": 60}
    clf = CRUSTClassifier(MLP, warmup_epochs=1, verbose=verbose, random_state=0, **options)
    clf.fit(X, Y)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("coreset of")]
    assert lines == ["coreset of 60 of 120 rows in 2.0 s"] * verbose
