"""The loss of a batch: the weighted mean of one loss for each row, by any criterion."""

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from sklearn.datasets import make_blobs
from skorch import NeuralNetClassifier
from skorch.dataset import ValidSplit
from torch import nn

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.data import MixedBatch, RowBatch
from crust_sklearn.modules import MLP
from crust_sklearn.nets.training import Training
from crust_sklearn.settings import PAPER, REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)

RNG = RandomState(1)
LOGITS = torch.tensor(RNG.normal(size=(6, 3)), dtype=torch.float32)
TARGET, PARTNER = torch.tensor([0, 1, 2, 2, 1, 0]), torch.tensor([1, 1, 0, 2, 2, 0])
ROWS = torch.tensor([7, 3, 5, 0, 2, 9])
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.1, 1.4, 1.0])
SHARE = torch.tensor([0.9, 0.5, 0.3, 1.0, 0.0, 0.7])
CLASS_WEIGHT = np.array([0.2, 1.0, 3.0])


def make(cls=CRUSTClassifier, **params):
    settings = REFERENCE | {"warmup_epochs": 1} if issubclass(cls, CRUSTClassifier) else {}
    defaults = {"max_epochs": 3, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    defaults |= {"module__hidden_sizes": (16,)}
    return cls(MLP, **settings | defaults | params)


def log_softmax(z):
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def example_losses(criterion, y):
    """Return per-example losses and their share in the mean, by the definition."""
    logs, y = log_softmax(LOGITS.double().numpy()), y.numpy()
    rows = np.arange(len(y))
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
    params = {"module__in_features": 4, "module__num_classes": 3, "criterion": CRITERIA[criterion]}
    output = LOGITS.softmax(dim=1) if criterion == "nll" else LOGITS
    return make(NoisyLabelClassifier, **params).initialize(), output


def get_loss(net, output, batch):
    net.training_ = Training()
    net.training_.batch = batch
    return net.get_loss(output, TARGET, X=LOGITS, training=True).item()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_weighted_loss(criterion):
    net, output = initialized(criterion)
    losses, norm = example_losses(criterion, TARGET)
    total = (WEIGHT.double().numpy() * losses).sum()
    expected = total if criterion == "sum" else total / norm.sum()
    found = get_loss(net, output, RowBatch(LOGITS, ROWS, WEIGHT))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_loss_of_a_mixture(criterion):
    net, output = initialized(criterion)
    share = SHARE.double().numpy()
    mine, my_norm = example_losses(criterion, TARGET)
    other, other_norm = example_losses(criterion, PARTNER)
    total = (WEIGHT.double().numpy() * (share * mine + (1 - share) * other)).sum()
    norm = (share * my_norm + (1 - share) * other_norm).sum()
    expected = total if criterion == "sum" else total / norm
    batch = MixedBatch(LOGITS, ROWS, WEIGHT, LOGITS, PARTNER, ROWS.flip(0), SHARE)
    assert get_loss(net, output, batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_equal_weights_give_the_loss_of_skorch(criterion):
    net, output = initialized(criterion)
    stock = NeuralNetClassifier(
        MLP, module__in_features=4, module__num_classes=3, criterion=CRITERIA[criterion]
    ).initialize()
    expected = stock.get_loss(output, TARGET)
    ones = torch.ones(6)
    for batch in (
        None,
        RowBatch(LOGITS, ROWS, ones),
        MixedBatch(LOGITS, ROWS, ones, LOGITS, PARTNER, ROWS, ones),
    ):
        assert get_loss(net, output, batch) == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_losses_are_those_of_the_rows(criterion):
    net, output = initialized(criterion)
    found = net.get_losses(output, TARGET, ROWS)
    np.testing.assert_allclose(found, example_losses(criterion, TARGET)[0], rtol=1e-5)


def test_losses_of_a_method_are_given_the_rows_of_both_labels():
    by_row = torch.linspace(0, 1, 10)

    class ByRow(NoisyLabelClassifier):
        def get_losses(self, y_pred, y_true, rows):
            return by_row[rows] + 0 * y_pred.sum()

    net = make(ByRow, module__in_features=4, module__num_classes=3).initialize()
    partner_rows = ROWS.flip(0)
    batch = MixedBatch(LOGITS, ROWS, WEIGHT, LOGITS, PARTNER, partner_rows, SHARE)
    expected = WEIGHT @ (SHARE * by_row[ROWS] + (1 - SHARE) * by_row[partner_rows]) / 6
    assert get_loss(net, LOGITS, batch) == pytest.approx(expected.item(), rel=1e-5)
    batch = RowBatch(LOGITS, ROWS, torch.ones(6))
    assert get_loss(net, LOGITS, batch) == pytest.approx(by_row[ROWS].mean().item(), rel=1e-5)


@pytest.mark.parametrize("settings", [PAPER, REFERENCE, {}], ids=["paper", "reference", "default"])
def test_criterion_keeps_its_reduction(settings):
    criterion = nn.CrossEntropyLoss(reduction="sum")
    net = make(**settings | {"warmup_epochs": 1}, criterion=criterion, lr=1e-3).fit(X, Y)
    assert criterion.reduction == net.criterion_.reduction == "sum"


def test_criterion_with_class_weights():
    weights = torch.tensor([1.0, 2.0, 3.0])
    net = make(criterion__weight=weights, lr=0.0, warmup_epochs=2, batch_size=N).fit(X, Y)
    output = net.module_(torch.as_tensor(X)).detach()
    expected = nn.functional.cross_entropy(output, torch.as_tensor(Y), weight=weights)
    assert net.history[0, "train_loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert len(net.coreset_indices_) == N // 2


class L1(CRUSTClassifier):
    """Adds a penalty to the loss of the batch, as skorch's documentation has it."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        self.terms_ = [*vars(self).get("terms_", ()), (type(X).__name__, training)]
        return loss + 0.1 * self.module_.fc.weight.abs().sum()


@pytest.mark.parametrize("mixup", ["class", None])
def test_get_loss_of_ones_own(mixup):
    params = {"coreset_weight": "cluster", "mixup": mixup, "batch_size": N}
    own, plain = make(L1, **params).fit(X, Y), make(**params).fit(X, Y)
    assert [name for name, training in own.terms_ if training] == ["Tensor"] * 3  # as in skorch
    start = plain.set_params(max_epochs=0).fit(X, Y).module_
    penalty = 0.1 * start.fc.weight.abs().sum().item()
    loss = nn.functional.cross_entropy(start(torch.as_tensor(X)), torch.as_tensor(Y)).item()
    assert own.history[0, "train_loss"] == pytest.approx(loss + penalty, rel=1e-5)
    plain = make(**params).fit(X, Y)
    assert own.module_.fc.weight.abs().sum() < plain.module_.fc.weight.abs().sum()


def test_gradients_of_a_selection_are_those_of_a_get_loss_of_ones_own():
    class Flipped(CRUSTClassifier):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            return super().get_loss(y_pred, (y_true + 1) % 3, X=X, training=training)

    # lr=0: the networks are the same.
    params = {"gradient": "logits", "lr": 0.0, "group_by": None, "mixup": None}
    found = make(Flipped, **params).fit(X, Y).coreset_indices_
    np.testing.assert_array_equal(found, make(**params).fit(X, (Y + 1) % 3).coreset_indices_)
    assert not np.array_equal(found, make(**params).fit(X, Y).coreset_indices_)


class Averaging(nn.Module):
    def forward(self, output, y):
        return nn.functional.cross_entropy(output, y)


def test_criterion_without_losses_per_example():
    net = make(criterion=Averaging)
    with pytest.raises(ValueError, match="Averaging.*reduction"):
        net.fit(X, Y)
    assert not getattr(net, "history_", None)


# -- the loss of a batch as a method has it ----------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("chosen", [[0, 1, 2, 3, 4, 5], [4, 2], [3]], ids=str)
def test_losses_are_reduced_as_the_criterion_does(criterion, chosen):
    net, output = initialized(criterion)
    losses = net.get_losses(output, TARGET, ROWS)
    found = net.reduce_losses(losses[chosen], TARGET[chosen], WEIGHT[chosen])
    expected, norm = (column[chosen] for column in example_losses(criterion, TARGET))
    total = (WEIGHT[chosen].double().numpy() * expected).sum()
    expected = total if criterion == "sum" else total / norm.sum()
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_reduced_losses_of_all_rows_are_the_loss_of_the_batch(criterion):
    net, output = initialized(criterion)
    batch = RowBatch(LOGITS, ROWS, WEIGHT)
    reduced = net.reduce_losses(net.get_losses(output, TARGET, ROWS), TARGET, WEIGHT)
    assert reduced.item() == pytest.approx(get_loss(net, output, batch), rel=1e-5)
    assert net.get_batch_loss(output, TARGET, batch).item() == pytest.approx(
        reduced.item(), rel=1e-5
    )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_no_rows_have_no_loss_but_a_gradient(criterion):
    net, output = initialized(criterion)
    output = output.clone().requires_grad_()
    losses = net.get_losses(output, TARGET, ROWS)[:0]
    loss = net.reduce_losses(losses, TARGET[:0], WEIGHT[:0])
    loss.backward()
    assert loss.item() == 0
    assert not output.grad.any()


def test_a_loss_of_the_batch_of_ones_own_is_what_is_trained_on():
    class Pairs(MLP):
        def forward(self, X):
            z = super().forward(X)
            return z, 2 * z

    class Own(NoisyLabelClassifier):
        def get_batch_loss(self, y_pred, y_true, batch):
            first, second = y_pred
            assert torch.equal(second, 2 * first)
            assert y_true.tolist() == Y[batch.rows].tolist()
            assert batch.weight.tolist() == pytest.approx(SCALED[batch.rows].tolist(), rel=1e-5)
            return second.square().mean()

        def get_losses(self, *args):
            raise AssertionError("not asked for")

    weights = np.linspace(1, 2, N)
    SCALED = weights / weights.mean()
    params = {"max_epochs": 1, "lr": 0.0, "batch_size": N}
    net = Own(Pairs, random_state=0, verbose=0, **params).fit(X, Y, sample_weight=weights)
    expected = (2 * net.module_(torch.as_tensor(X))[0]).square().mean().item()
    assert net.history[0, "train_loss"] == pytest.approx(expected, rel=1e-5)


def test_validation_batches_are_scored_by_the_criterion_alone():
    class Own(NoisyLabelClassifier):
        def get_batch_loss(self, y_pred, y_true, batch):
            return 0 * y_pred.sum()

    net = make(Own, train_split=ValidSplit(4, stratified=True), max_epochs=1).fit(X, Y)
    assert net.history[0, "train_loss"] == 0
    valid = net.get_split_datasets(X, Y)[1]
    output = net.module_(torch.stack([torch.as_tensor(x) for x, _ in valid]))
    expected = nn.functional.cross_entropy(output, torch.tensor([int(y) for _, y in valid]))
    assert net.history[0, "valid_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_what_is_added_comes_on_top_once():
    class Added(NoisyLabelClassifier):
        def get_added_loss(self, y_pred, rows):
            assert rows.tolist() == ROWS.tolist()
            return torch.tensor(10.0)

    plain, output = initialized("plain")
    net = make(Added, module__in_features=4, module__num_classes=3).initialize()
    for batch in (
        RowBatch(LOGITS, ROWS, torch.ones(6)),
        RowBatch(LOGITS, ROWS, WEIGHT),
        MixedBatch(LOGITS, ROWS, WEIGHT, LOGITS, PARTNER, ROWS.flip(0), SHARE),
    ):
        expected = get_loss(plain, output, batch) + 10
        assert get_loss(net, output, batch) == pytest.approx(expected, rel=1e-6)
