"""The trunk: rows keep their numbers in X, plans and losses of a method are what is trained on."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, Subset

from crust_sklearn import CRUSTClassifier, EpochPlan, NoisyLabelClassifier
from crust_sklearn.baselines import ELRClassifier, SmallLossClassifier
from crust_sklearn.data import Mixing
from crust_sklearn.modules import MLP

X, Y = load_digits(return_X_y=True)
X, Y = (X[:90] / 16).astype(np.float32), Y[:90]
# Each row can be told by its first feature.
X[:, 0] = np.arange(90)


class Watched(NoisyLabelClassifier):
    """Notes what a method is told about each batch."""

    def __init__(self, module, plan=None, **kwargs):
        self.plan = plan
        super().__init__(module, **kwargs)

    def plan_epoch(self, epoch):
        self.seen_ = [*vars(self).get("seen_", ())]
        return self.plan

    def get_losses(self, y_pred, y_true, rows):
        self.seen_.append((rows.tolist(), y_true.tolist()))
        return super().get_losses(y_pred, y_true, rows)

    def infer(self, x, **fit_params):
        batch = None if self.training_ is None else self.training_.batch
        if batch is not None and not hasattr(batch, "share"):
            first = x["x"] if isinstance(x, dict) else x
            assert first[:, 0].tolist() == batch.rows.tolist()
        return super().infer(x, **fit_params)


def make(cls=Watched, module=MLP, **params):
    defaults = {"max_epochs": 2, "lr": 1e-4, "batch_size": 16, "iterator_train__shuffle": True}
    return cls(module, **defaults | {"verbose": 0, "random_state": 0} | params)


def get_rows(net):
    return sorted(row for rows, _ in net.seen_ for row in rows)


def assert_labels_are_those_of_the_rows(net, y):
    for rows, labels in net.seen_:
        assert labels == y[rows].tolist()


class Own(torch.utils.data.Dataset):
    targets = Y

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i], int(Y[i])


# S3
@pytest.mark.parametrize("data", [(X, Y), (Own(),), (torch.as_tensor(X), Y.tolist())])
def test_every_batch_knows_its_rows(data):
    net = make().fit(*data)
    assert get_rows(net) == sorted([*range(90)] * 2)
    assert_labels_are_those_of_the_rows(net, Y)


def test_dict_of_arrays_knows_its_rows():
    class Takes(MLP):
        def forward(self, x):
            return super().forward(x)

    net = make(module=Takes, module__in_features=64).fit({"x": X}, Y)
    assert get_rows(net) == sorted([*range(90)] * 2)


def test_rows_of_a_validation_split_keep_their_numbers_and_are_not_trained_on():
    net = make(train_split=ValidSplit(StratifiedKFold(3))).fit(X, Y)
    train, _ = next(StratifiedKFold(3).split(X, Y))
    assert get_rows(net) == sorted([*train] * 2)
    assert_labels_are_those_of_the_rows(net, Y)


def test_rows_of_a_subset_are_numbered_as_its_items():
    rows = np.arange(89, 9, -1)
    X[rows, 0] = np.arange(80)
    try:
        net = make().fit(Subset(Own(), rows.tolist()))
        assert get_rows(net) == sorted([*range(80)] * 2)
        assert_labels_are_those_of_the_rows(net, Y[rows])
    finally:
        X[:, 0] = np.arange(90)


def test_rows_with_weights_and_over_partial_fits():
    net = make()
    for _ in range(2):
        net.partial_fit(X, Y, sample_weight=np.linspace(0.1, 1, 90))
    assert get_rows(net) == sorted([*range(90)] * 4)


def test_workers_deliver_the_numbers_too():
    net = make(max_epochs=1, iterator_train__num_workers=1).fit(X, Y)
    assert get_rows(net) == [*range(90)]


def test_callbacks_see_batches_as_skorchs_and_the_rows():
    class Sees(Callback):
        def on_train_begin(self, net, **kwargs):
            self.seen_ = []

        def on_batch_end(self, net, batch=None, training=False, loss=None, y_pred=None):
            assert torch.is_tensor(batch[0])
            assert batch[0][:, 0].tolist() == net.training_.batch.rows.tolist()
            self.seen_ += batch[1].tolist()

    sees = Sees()
    make(callbacks=[sees]).fit(X, Y)
    assert sorted(sees.seen_) == sorted([*Y] * 2)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 89), min_size=1, max_size=90, unique=True))
def test_planned_rows_are_trained_on_and_no_others(rows):
    net = make(plan=EpochPlan(np.array(rows)), max_epochs=1).fit(X, Y)
    assert get_rows(net) == sorted(rows)
    assert_labels_are_those_of_the_rows(net, Y)
    assert net.coreset_indices_.tolist() == sorted(rows)
    assert net.history[-1]["coreset_size"] == len(rows)


def test_loss_is_the_weighted_mean_of_those_of_the_rows():
    rows, weights = np.array([5, 3, 80]), np.array([1.0, 2.0, 5.0])
    net = make(plan=EpochPlan(rows, weights), max_epochs=1, lr=0.0).fit(X, Y)
    logits = net.module_(torch.as_tensor(X[rows]))
    losses = nn.functional.cross_entropy(logits, torch.as_tensor(Y[rows]), reduction="none")
    expected = np.average(losses.detach().numpy(), weights=weights)
    assert net.history[-1]["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert net.coreset_weights_.tolist() == [0.75, 0.375, 1.875]


def test_mixtures_have_the_loss_of_both_labels():
    pools = np.full(90, -1)
    pools[[5, 3]] = 0
    net = make(plan=EpochPlan(np.array([5, 3]), mixing=Mixing((1.0, 1.0), pools)), max_epochs=1)
    net.fit(X, Y)
    first, second = net.seen_
    assert sorted(first[0]) == [3, 5]
    assert set(second[0]) <= {3, 5}
    assert_labels_are_those_of_the_rows(net, Y)


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([], "at least one"),
        ([1, 1], "a row twice"),
        ([90], "from 0 to 89"),
        ([-1], "from 0 to 89"),
        ([0.5], "integers"),
    ],
)
def test_plan_that_names_no_training_rows(rows, match):
    with pytest.raises(ValueError, match=match):
        make(plan=EpochPlan(np.array(rows))).fit(X, Y)


def test_plan_that_names_a_validation_row():
    net = make(plan=EpochPlan(np.arange(90)), train_split=ValidSplit(3))
    with pytest.raises(ValueError, match="not training rows"):
        net.fit(X, Y)


def test_without_a_method_it_is_skorchs_classifier():
    options = {"module__hidden_sizes": (8,), "max_epochs": 5, "lr": 0.01, "verbose": 0}
    options |= {"module__in_features": 64, "module__num_classes": 10, "train_split": None}
    options |= {"optimizer": torch.optim.Adam, "iterator_train__shuffle": False, "batch_size": 32}
    ours = NoisyLabelClassifier(MLP, random_state=0, **options).initialize()
    theirs = NeuralNetClassifier(MLP, criterion=nn.CrossEntropyLoss, **options).initialize()
    theirs.module_.load_state_dict(ours.module_.state_dict())
    ours.partial_fit(X, Y)
    theirs.partial_fit(X, Y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def test_a_loader_class_of_the_users_own():
    class Loader(DataLoader):
        pass

    net = make(iterator_train=Loader).fit(X, Y)
    assert get_rows(net) == sorted([*range(90)] * 2)


def count_code(cls):
    """Return the lines of a class that are neither blank nor docstring."""
    import ast

    tree = ast.parse(inspect.getsource(inspect.getmodule(cls)))
    found = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    doc_lines = sum(
        node.body[0].end_lineno - node.body[0].lineno + 1
        for node in ast.walk(found)
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
    )
    lines = inspect.getsource(cls).splitlines()
    return sum(bool(line.strip()) for line in lines) - doc_lines


@pytest.mark.parametrize("cls", [ELRClassifier, SmallLossClassifier])
def test_a_method_takes_no_more_than_forty_lines(cls):
    assert count_code(cls) <= 40


def test_methods_hold_no_loop():
    for cls in (CRUSTClassifier, ELRClassifier, SmallLossClassifier):
        assert not {"fit_loop", "run_single_epoch", "train_step", "get_iterator"} & set(vars(cls))


def test_none_after_a_plan_ends_it():
    class Once(NoisyLabelClassifier):
        def plan_epoch(self, epoch):
            return EpochPlan(np.arange(10)) if epoch == 0 else None

    net = make(Once, max_epochs=3).fit(X, Y)
    assert net.history[:, "coreset_size"] == [10, 90, 90]
    assert not hasattr(net, "coreset_indices_")
    assert net.coreset_history_.epochs.tolist() == [0]


def test_batches_of_ones_own_loop():
    net = make().fit(X, Y)
    train, _ = net.get_split_datasets(X, Y)
    losses = [net.train_step(batch)["loss"] for batch in net.get_iterator(train, training=True)]
    assert len(losses) == 6
    assert all(loss.isfinite() for loss in losses)
