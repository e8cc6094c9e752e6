"""Training, and the contract: fitted attributes, history, reproducibility."""

import random

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from sklearn.datasets import make_blobs
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint, LoadInitState
from torch import nn

from crust_sklearn import CoresetSelector, CRUSTClassifier, make_label_noise
from crust_sklearn.coreset_dataset import MixedBatch, WeightedBatch
from crust_sklearn.modules import MLP
from crust_sklearn.reselection import Reselection
from crust_sklearn.settings import REFERENCE

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


class Recorder(Callback):
    """Keeps the training batches, and the predictions before each epoch."""

    def __init__(self, predict=False):
        self.predict = predict

    def initialize(self):
        self.batches, self.probabilities = [], []
        return self

    def on_epoch_begin(self, net, **kwargs):
        if self.predict:
            self.probabilities.append(net.predict_proba(X))

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.batches.append(batch)


# The most central half of each label, without a size of its own for the classifier.
HALF = REFERENCE | {"selector": CoresetSelector("centrality"), "coreset_size": None}


def make(module=MLP, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    defaults = HALF | {"max_epochs": 4, "warmup_epochs": WARMUP, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "iterator_train__shuffle": True}
    return CRUSTClassifier(module, **defaults | params)


def weights_of(net):
    return [p.detach().clone() for p in net.module_.state_dict().values()]


def assert_same_weights(a, b):
    for p, q in zip(weights_of(a), weights_of(b), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0)


# -- as skorch trains -------------------------------------------------------------------------


@pytest.mark.parametrize("random_state", [None, 3])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    "module", [{}, {"dropout": 0.5}, {"batch_norm": True}], ids=["plain", "dropout", "batch_norm"]
)
def test_all_rows_without_weights_and_mixup_is_skorch(module, shuffle, random_state):
    common = {
        "max_epochs": 4,
        "lr": 0.1,
        "batch_size": 50,
        "verbose": 0,
        "iterator_train__shuffle": shuffle,
        "criterion": nn.CrossEntropyLoss,
        "train_split": None,
        **{f"module__{name}": value for name, value in module.items()},
    }
    stock = NeuralNetClassifier(Deep, callbacks=[Recorder()], **common)
    ours = CRUSTClassifier(
        Deep,
        callbacks=[Recorder()],
        warmup_epochs=1,
        coreset_size=1.0,
        mixup=None,
        coreset_weight="uniform",
        random_state=random_state,
        **common,
    )
    seed = 5 if random_state is None else random_state
    torch.manual_seed(seed)
    stock.fit(X, Y)
    torch.manual_seed(5)
    ours.fit(X, Y)

    batches = ours.callbacks[0].batches
    assert len(batches) == len(stock.callbacks[0].batches) == 4 * 3
    for (x, y), (stock_x, stock_y) in zip(batches, stock.callbacks[0].batches, strict=True):
        assert torch.equal(x, stock_x)
        assert torch.equal(y, stock_y)
    assert ours.history[:, "train_loss"] == stock.history[:, "train_loss"]
    np.testing.assert_array_equal(ours.predict_proba(X), stock.predict_proba(X))
    assert_same_weights(ours, stock)
    np.testing.assert_array_equal(ours.coreset_indices_, np.arange(N))


# -- random_state -----------------------------------------------------------------------------


@pytest.mark.parametrize("mixup", ["cluster", "class", "batch", None])
def test_a_seed_makes_fit_reproducible(mixup):
    params = {"mixup": mixup, "selector": "uniform", "module__dropout": 0.2}
    a, b = make(**params).fit(X, Y), make(**params).fit(X, Y)
    assert_same_weights(a, b)
    np.testing.assert_array_equal(a.coreset_indices_, b.coreset_indices_)
    assert a.history[:, "train_loss"] == b.history[:, "train_loss"]

    other = make(**params, random_state=1).fit(X, Y)
    assert other.history[:, "train_loss"] != a.history[:, "train_loss"]
    assert not np.array_equal(other.coreset_indices_, a.coreset_indices_)


def test_a_seed_leaves_the_global_generators_alone():
    def states():
        return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002

    before = states()
    net = make(selector="uniform", module__dropout=0.2).fit(X, Y).partial_fit(X, Y)
    after = states()
    assert torch.equal(before[0], after[0])
    np.testing.assert_array_equal(before[1][1], after[1][1])
    assert before[1][2:] == after[1][2:]
    assert before[2] == after[2]
    with pytest.raises(ValueError, match="gradient"):
        net.set_params(gradient="none").fit(X, Y)
    assert torch.equal(before[0], torch.get_rng_state())


def test_the_global_generators_without_a_seed():
    def fit():
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        return make(selector="uniform", random_state=None).fit(X, Y)

    a, b = fit(), fit()
    assert_same_weights(a, b)
    np.testing.assert_array_equal(a.coreset_indices_, b.coreset_indices_)


def test_a_random_state_instance_is_drawn_from():
    rng = RandomState(7)
    first, second = (make(random_state=rng).fit(X, Y).history[:, "train_loss"] for _ in "ab")
    again = make(random_state=RandomState(7)).fit(X, Y).history[:, "train_loss"]
    assert first == again
    assert first != second


def test_calls_of_partial_fit_do_not_repeat_their_batches():
    net = make(max_epochs=1, warmup_epochs=0, coreset_size=1.0, mixup=None, callbacks=[Recorder()])
    net.partial_fit(X, Y).partial_fit(X, Y).partial_fit(X, Y)
    # The first call draws the weights too; those after it draw batches alone.
    second, third = net.callbacks[0].batches[4][1], net.callbacks[0].batches[8][1]
    assert not torch.equal(second, third)


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
    assert all(duration >= 0 for duration in net.history[:, "selection_dur"])
    for row in net.history:
        assert row["selection_dur"] <= row["dur"]
    assert net.history[-1, "selection_dur"] > net.history[0, "selection_dur"]


@pytest.mark.parametrize("size", [0.5, 0.29, 41])
def test_the_share_of_each_given_label(size):
    net = make(coreset_size=size).fit(X, Y)
    counts = np.bincount(Y)
    exact = size * counts if isinstance(size, float) else size * counts / N
    chosen = np.bincount(Y[net.coreset_indices_])
    assert (np.abs(chosen - exact) < 1).all()
    if isinstance(size, int):
        assert chosen.sum() == size


def test_the_share_of_each_predicted_class():
    recorder = Recorder(predict=True)
    net = make(group_by="prediction", coreset_size=0.5, callbacks=[recorder]).fit(X, Y)
    predicted = recorder.probabilities[-1].argmax(axis=1)
    rows = net.coreset_indices_
    for label in np.unique(predicted):
        assert abs(np.sum(predicted[rows] == label) - np.sum(predicted == label) / 2) <= 0.5
    np.testing.assert_array_equal(predicted[rows[net.coreset_assignment_]], predicted)


@pytest.mark.parametrize("max_epochs, every, expected", [(9, 1, range(2, 9)), (9, 3, [2, 5, 8])])
def test_reselect_every(monkeypatch, max_epochs, every, expected):
    epochs = spy_on_selection(monkeypatch)
    net = make(max_epochs=max_epochs, reselect_every=every).fit(X, Y)
    assert epochs == list(expected)
    assert net.history[:, "coreset_size"][2:] == [len(net.coreset_indices_)] * (max_epochs - 2)


def spy_on_selection(monkeypatch):
    epochs, reselect = [], Reselection.reselect

    def spy(self, epoch, **kwargs):
        epochs.append(epoch)
        assert epoch == len(self.net.history) - 1
        reselect(self, epoch, **kwargs)

    monkeypatch.setattr(Reselection, "reselect", spy)
    return epochs


def test_epochs_are_counted_over_partial_fit(monkeypatch):
    epochs = spy_on_selection(monkeypatch)
    net = make(max_epochs=1, warmup_epochs=2)
    for _ in range(4):
        net.partial_fit(X, Y)
    assert epochs == [2, 3]
    assert [size == N for size in net.history[:, "coreset_size"]] == [True, True, False, False]


def test_epochs_are_counted_over_warm_start(monkeypatch):
    epochs = spy_on_selection(monkeypatch)
    net = make(max_epochs=3, warmup_epochs=2, warm_start=True).fit(X, Y)
    net.fit(X, Y)
    assert epochs == [2, 3, 4, 5]
    assert len(net.history) == 6


def test_fit_again_starts_again(monkeypatch):
    epochs = spy_on_selection(monkeypatch)
    net = make(max_epochs=3).fit(X, Y)
    first = weights_of(net)
    net.fit(X, Y)
    assert epochs == [2, 2]
    for p, q in zip(first, weights_of(net), strict=True):
        assert torch.equal(p, q)


def test_a_checkpoint_is_resumed_at_its_epoch(monkeypatch, tmp_path):
    def with_checkpoint(**params):
        checkpoint = Checkpoint(monitor=None, dirname=tmp_path)
        return make(callbacks=[checkpoint, LoadInitState(checkpoint)], **params)

    with_checkpoint(max_epochs=3, warmup_epochs=2).fit(X, Y)
    epochs = spy_on_selection(monkeypatch)
    net = with_checkpoint(max_epochs=3, warmup_epochs=2).fit(X, Y)
    assert epochs == [3, 4, 5]
    assert len(net.history) == 6
    assert len(net.coreset_indices_) == net.history[-1, "coreset_size"] < N


# -- the selection ----------------------------------------------------------------------------


@pytest.fixture
def given_proxies(monkeypatch):
    """The gradients that the selector was last given."""
    given, fit = [], CoresetSelector._fit_gradients

    def spy(self, X, *args):
        given[:] = [X]
        return fit(self, X, *args)

    monkeypatch.setattr(CoresetSelector, "_fit_gradients", spy)
    return given


class Gradients(Callback):
    """Computes the gradients before an epoch from its probabilities, by their formulas."""

    def on_epoch_begin(self, net, **kwargs):
        # predict_proba runs in eval mode, hence without dropout.
        at_logits = net.predict_proba(X).astype(np.float64) - np.eye(3)[Y]
        weight = net.module_.fc.weight.detach().double().numpy()
        with torch.no_grad():
            h = net.module_.hidden(torch.from_numpy(X)).double().numpy()
        self.proxies = {
            "logits": at_logits,
            "features": at_logits @ weight,
            "last_layer": np.einsum("ij,ik->ijk", at_logits, h).reshape(N, -1),
        }


@pytest.mark.parametrize("gradient", ["logits", "features"])
@pytest.mark.parametrize("strategy", ["facility-location", "centrality"])
def test_the_coreset_is_that_of_the_gradients(given_proxies, gradient, strategy):
    gradients = Gradients()
    net = make(
        selector=strategy,
        gradient=gradient,
        coreset_size=0.4,
        coreset_weight="cluster",
        callbacks=[gradients],
        module__dropout=0.3,
    ).fit(X, Y)
    np.testing.assert_allclose(given_proxies[0], gradients.proxies[gradient], atol=1e-5)
    # The rows it was given, as near ties are decided by the last bits.
    selector = CoresetSelector(strategy, coreset_size=0.4).fit(given_proxies[0], Y)
    order = np.argsort(selector.sample_indices_)
    np.testing.assert_array_equal(net.coreset_indices_, selector.sample_indices_[order])
    weights = selector.sample_weight_[order]
    np.testing.assert_allclose(net.coreset_weights_, weights / weights.mean())
    owner = selector.sample_indices_[selector.assignment_]
    np.testing.assert_array_equal(net.coreset_indices_[net.coreset_assignment_], owner)


def test_the_weights_of_the_last_layer_as_gradients():
    gradients = Gradients()
    net = make(
        selector="facility-location", gradient="last_layer", callbacks=[gradients], max_epochs=3
    ).fit(X, Y)
    proxies = gradients.proxies["last_layer"]
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
    net = make(selector="centrality", coreset_size=0.5, max_epochs=8, random_state=seed)
    net.fit(X, noise.y)
    base, chosen = (
        np.mean(noise.y == y),
        np.mean(noise.y[net.coreset_indices_] == y[net.coreset_indices_]),
    )
    assert base < 0.75
    assert chosen > base + 0.1


def test_selection_sees_no_augmentation():
    class Augmenting(CRUSTClassifier):
        def get_selection_dataset(self, dataset_train):
            self.asked_for_ = len(dataset_train)
            return super().get_selection_dataset(dataset_train)

    net = Augmenting(MLP, module__hidden_sizes=(16,), max_epochs=2, warmup_epochs=1, verbose=0)
    assert net.fit(X, Y).asked_for_ == N


def test_selection_leaves_statistics_of_batch_norm_alone(monkeypatch):
    reselect = Reselection.reselect

    def spy(self, epoch, **kwargs):
        before = weights_of(self.net)
        reselect(self, epoch, **kwargs)
        for p, q in zip(before, weights_of(self.net), strict=True):
            assert torch.equal(p, q)

    monkeypatch.setattr(Reselection, "reselect", spy)
    make(Deep, module__batch_norm=True).fit(X, Y)


# -- the loss ---------------------------------------------------------------------------------

RNG = RandomState(1)
LOGITS = torch.tensor(RNG.normal(size=(6, 3)), dtype=torch.float32)
TARGET, PARTNER = torch.tensor([0, 1, 2, 2, 1, 0]), torch.tensor([1, 1, 0, 2, 2, 0])
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.1, 1.4, 1.0])
SHARE = torch.tensor([0.9, 0.5, 0.3, 1.0, 0.0, 0.7])
CLASS_WEIGHT = np.array([0.2, 1.0, 3.0])


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def example_losses(criterion, y):
    """Return per-example losses and their share in the mean, by the definition."""
    z, y = LOGITS.double().numpy(), y.numpy()
    rows = np.arange(len(y))
    if criterion == "nll":
        return -np.log(np.exp(log_softmax(z))[rows, y]), np.ones(len(y))
    logs = log_softmax(z)
    if criterion == "smooth":
        targets = 0.9 * np.eye(3)[y] + 0.1 / 3
        return -(targets * logs).sum(axis=1), np.ones(len(y))
    class_weight = CLASS_WEIGHT[y] if criterion == "class_weight" else np.ones(len(y))
    return -class_weight * logs[rows, y], class_weight


CRITERIA = {
    "plain": nn.CrossEntropyLoss(),
    "class_weight": nn.CrossEntropyLoss(weight=torch.tensor(CLASS_WEIGHT, dtype=torch.float32)),
    "smooth": nn.CrossEntropyLoss(label_smoothing=0.1),
    "sum": nn.CrossEntropyLoss(reduction="sum"),
    "nll": nn.NLLLoss(),
}


def initialized(criterion):
    net = make(module__in_features=4, module__num_classes=3, criterion=CRITERIA[criterion])
    output = LOGITS.softmax(dim=1) if criterion == "nll" else LOGITS
    return net.initialize(), output


@pytest.mark.parametrize("criterion", CRITERIA)
def test_weighted_loss(criterion):
    net, output = initialized(criterion)
    losses, norm = example_losses(criterion, TARGET)
    total = (WEIGHT.double().numpy() * losses).sum()
    expected = total if criterion == "sum" else total / norm.sum()
    loss = net.get_loss(output, TARGET, X=WeightedBatch(LOGITS, WEIGHT), training=True)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_loss_of_a_mixture(criterion):
    net, output = initialized(criterion)
    share = SHARE.double().numpy()
    mine, my_norm = example_losses(criterion, TARGET)
    other, other_norm = example_losses(criterion, PARTNER)
    total = (WEIGHT.double().numpy() * (share * mine + (1 - share) * other)).sum()
    norm = (share * my_norm + (1 - share) * other_norm).sum()
    expected = total if criterion == "sum" else total / norm
    batch = MixedBatch(LOGITS, WEIGHT, LOGITS, PARTNER, SHARE)
    loss = net.get_loss(output, TARGET, X=batch, training=True)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_uniform_weights_give_the_loss_of_skorch(criterion):
    net, output = initialized(criterion)
    stock = NeuralNetClassifier(
        MLP, module__in_features=4, module__num_classes=3, criterion=CRITERIA[criterion]
    ).initialize()
    expected = stock.get_loss(output, TARGET)
    ones = torch.ones(6)
    for batch in (
        LOGITS,
        WeightedBatch(LOGITS, ones),
        MixedBatch(LOGITS, ones, LOGITS, PARTNER, ones),
    ):
        loss = net.get_loss(output, TARGET, X=batch, training=True)
        torch.testing.assert_close(loss, expected)


def test_a_criterion_keeps_its_reduction():
    criterion = nn.CrossEntropyLoss(reduction="sum")
    net = make(criterion=criterion, lr=1e-3, coreset_weight="cluster").fit(X, Y)
    assert criterion.reduction == net.criterion_.reduction == "sum"


# -- mixup ------------------------------------------------------------------------------------


class Watched(CRUSTClassifier):
    """Keeps what it infers in training."""

    def infer(self, x, **fit_params):
        if self.module_.training:
            self.seen_.append(x)
        return super().infer(x, **fit_params)


ROW_OF = {row.tobytes(): i for i, row in enumerate(X)}


def rows_of(x):
    return np.array([ROW_OF[row.numpy().tobytes()] for row in x])


def watch(**params):
    net = Watched(**make(max_epochs=3, **params).get_params(deep=False))
    net.set_params(module__hidden_sizes=(16,), iterator_train__shuffle=True)
    vars(net)["seen_"] = []
    net.fit(X, Y)
    n_warmup = WARMUP * 4
    assert all(torch.is_tensor(x) for x in net.seen_[:n_warmup])
    return net, net.seen_[n_warmup:]


@pytest.mark.parametrize("coreset_weight", ["cluster", "uniform"])
@pytest.mark.parametrize("mixup", ["cluster", "class", "batch"])
def test_partners(mixup, coreset_weight):
    net, batches = watch(mixup=mixup, coreset_weight=coreset_weight, coreset_size=0.5)
    assert all(isinstance(x, MixedBatch) for x in batches)
    mine = np.concatenate([rows_of(b.x) for b in batches])
    partners = np.concatenate([rows_of(b.partner_x) for b in batches])
    labels = np.concatenate([b.partner_y.numpy() for b in batches])
    np.testing.assert_array_equal(np.sort(mine), net.coreset_indices_)
    np.testing.assert_array_equal(labels, Y[partners])
    weights = np.concatenate([b.weight.numpy() for b in batches])
    position = np.searchsorted(net.coreset_indices_, mine)
    np.testing.assert_allclose(weights, net.coreset_weights_[position], rtol=1e-6)
    if mixup == "cluster":
        np.testing.assert_array_equal(net.coreset_assignment_[partners], position)
    elif mixup == "class":
        np.testing.assert_array_equal(Y[partners], Y[mine])
        assert not set(partners) <= set(mine)
    else:
        for b in batches:
            np.testing.assert_array_equal(np.sort(rows_of(b.partner_x)), np.sort(rows_of(b.x)))
    assert (partners != mine).any()


def test_no_mixup():
    net, batches = watch(mixup=None, coreset_weight="cluster")
    assert all(isinstance(x, WeightedBatch) for x in batches)
    net, batches = watch(mixup=None, coreset_weight="uniform")
    assert all(torch.is_tensor(x) for x in batches)


@pytest.mark.parametrize("alpha, low, high", [((1e3, 1.0), 0.9, 1.0), (1e3, 0.4, 0.6)])
def test_mixup_alpha(alpha, low, high):
    _, batches = watch(mixup_alpha=alpha)
    share = torch.cat([b.share for b in batches])
    assert low < share.mean() < high


def test_the_module_gets_the_mixture():
    seen = []

    class Spy(MLP):
        def forward(self, X):
            if self.training:
                seen.append(X.clone())
            return super().forward(X)

    net = Watched(Spy, max_epochs=3, warmup_epochs=WARMUP, mixup="class", verbose=0, random_state=0)
    vars(net)["seen_"] = []
    net.fit(X, Y)
    assert len(seen) == len(net.seen_)
    b = net.seen_[-1]
    share = b.share[:, None]
    torch.testing.assert_close(seen[-1], share * b.x + (1 - share) * b.partner_x)


# -- sample_weight ----------------------------------------------------------------------------


@pytest.mark.parametrize("selector", ["facility-location", "centrality", "uniform"])
@pytest.mark.parametrize("mixup", ["class", "cluster"])
def test_rows_of_weight_zero_are_left_out(selector, mixup):
    sample_weight = RandomState(0).randint(3, size=N)
    zero = np.flatnonzero(sample_weight == 0)
    net = Watched(MLP, selector=selector, max_epochs=4, warmup_epochs=1, verbose=0, mixup=mixup)
    vars(net)["seen_"] = []
    net.fit(X, Y, sample_weight=sample_weight)
    assert len(zero) > 20
    assert not np.isin(zero, net.coreset_indices_).any()
    np.testing.assert_array_equal(np.flatnonzero(net.coreset_assignment_ == -1), zero)
    assert net.coreset_weights_.mean() == pytest.approx(1)
    expected = sample_weight[net.coreset_indices_]
    np.testing.assert_allclose(net.coreset_weights_, expected / expected.mean())
    partners = [rows_of(b.partner_x) for b in net.seen_ if isinstance(b, MixedBatch)]
    assert not np.isin(zero, np.concatenate(partners)).any()


def test_cluster_weights_count_sample_weights():
    sample_weight = RandomState(0).uniform(0.5, 2, size=N)
    net = make(coreset_weight="cluster").fit(X, Y, sample_weight=sample_weight)
    mass = np.bincount(net.coreset_assignment_, weights=sample_weight)
    np.testing.assert_allclose(net.coreset_weights_, mass / mass.mean())


def test_the_loss_of_the_warmup_is_weighted():
    sample_weight = RandomState(0).randint(3, size=N)
    recorder = Recorder(predict=True)
    net = make(
        batch_size=N, max_epochs=2, warmup_epochs=1, callbacks=[recorder], module__dropout=0.0
    )
    net.fit(X, Y, sample_weight=sample_weight)
    losses = -np.log(recorder.probabilities[0][np.arange(N), Y])
    expected = np.average(losses, weights=sample_weight)
    assert net.history[0, "train_loss"] == pytest.approx(expected, rel=1e-5)


def test_equal_weights_are_no_weights():
    plain, weighted = make().fit(X, Y), make().fit(X, Y, sample_weight=np.full(N, 3.0))
    np.testing.assert_array_equal(plain.coreset_indices_, weighted.coreset_indices_)
    np.testing.assert_allclose(
        plain.history[:, "train_loss"], weighted.history[:, "train_loss"], rtol=1e-5
    )


def test_sample_weight_in_partial_fit():
    sample_weight = (np.arange(N) % 2).astype(float)
    net = make(warmup_epochs=0, max_epochs=1).partial_fit(X, Y, sample_weight=sample_weight)
    assert (net.coreset_indices_ % 2 == 1).all()
    net.partial_fit(X, Y)
    assert (net.coreset_assignment_ >= 0).all()


@pytest.mark.parametrize("coreset_weight", ["cluster", "uniform"])
def test_a_weight_is_a_number_of_copies(coreset_weight):
    copies = RandomState(0).randint(1, 4, size=N)
    params = {"coreset_size": 1.0, "mixup": None, "batch_size": -1, "warmup_epochs": 1}
    net = make(coreset_weight=coreset_weight, **params).fit(X, Y, sample_weight=copies)
    repeated = make(**params).fit(np.repeat(X, copies, axis=0), np.repeat(Y, copies))
    np.testing.assert_allclose(net.predict_proba(X), repeated.predict_proba(X), atol=1e-4)
