"""Torch datasets of any class: where their labels are, and what of their rows is trained on."""

import numpy as np
import pandas as pd
import pytest
import skorch.dataset
import torch
from sklearn.datasets import make_blobs
from sklearn.model_selection import cross_val_score
from skorch.dataset import ValidSplit
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)
TX, TY = torch.from_numpy(X), torch.from_numpy(Y)


def make(**params):
    defaults = REFERENCE | {"max_epochs": 3, "warmup_epochs": 1, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "module__hidden_sizes": (16,)}
    return CRUSTClassifier(MLP, **defaults | params)


def assert_trained_alike(net, reference):
    np.testing.assert_array_equal(net.coreset_indices_, reference.coreset_indices_)
    np.testing.assert_allclose(
        net.history[:, "train_loss"], reference.history[:, "train_loss"], rtol=1e-4
    )


@pytest.fixture(scope="module")
def reference():
    return make().fit(X, Y)


class Targets(torch.utils.data.Dataset):
    """As torchvision's."""

    def __init__(self, targets):
        self.targets = targets

    def __len__(self):
        return N

    def __getitem__(self, i):
        return TX[i], self.targets[i]


class Rows(torch.utils.data.Dataset):
    """Has no labels."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return TX[i]


def halves(dataset):
    return ConcatDataset([Subset(dataset, range(50)), Subset(dataset, range(50, N))])


INSIDE = {
    "tensors": lambda: TensorDataset(TX, TY),
    "skorch": lambda: skorch.dataset.Dataset(X, Y),
    "subset": lambda: Subset(TensorDataset(TX, TY), range(N)),
    "halves": lambda: halves(TensorDataset(TX, TY)),
    "targets": lambda: Targets(Y.tolist()),
    "target array": lambda: Targets(Y),
    "target tensor": lambda: Targets(TY),
}


@pytest.mark.parametrize("kind", INSIDE)
def test_labels_inside_a_dataset(kind, reference):
    dataset = INSIDE[kind]()
    net = make(module__in_features=4).fit(dataset, None)
    assert_trained_alike(net, reference)
    assert net.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(net.predict_proba(dataset), reference.predict_proba(X), rtol=1e-4)
    np.testing.assert_array_equal(net.predict(X), reference.predict(X))


@pytest.mark.parametrize("kind", INSIDE)
@pytest.mark.parametrize("labels", [[2, 0, 1], ["x", "y", "z"]], ids=str)
def test_labels_apart_override_those_inside(kind, labels):
    y = np.array(labels)[Y]
    net, plain = make().fit(INSIDE[kind](), y), make().fit(X, y)
    assert_trained_alike(net, plain)
    np.testing.assert_array_equal(net.predict(INSIDE[kind]()), plain.predict(X))


@pytest.mark.parametrize("kind", ["targets", "skorch", "halves"])
@pytest.mark.parametrize("split", [None, ValidSplit(4)], ids=["all", "split"])
def test_strings_inside_a_dataset(kind, split):
    names = np.array(["ham", "spam", "zebra"])[Y]
    datasets = {
        "targets": Targets(names.tolist()),
        "skorch": skorch.dataset.Dataset(X, names),
        "halves": halves(skorch.dataset.Dataset(X, names)),
    }
    net = make(train_split=split, max_epochs=4).fit(datasets[kind], None)
    apart = make(train_split=split, max_epochs=4).fit(X, names)
    assert_trained_alike(net, apart)
    assert net.predict(X).tolist() == apart.predict(X).tolist()
    if split is not None:
        assert net.history[:, "valid_acc"] == pytest.approx(apart.history[:, "valid_acc"])


def test_dataset_of_rows_alone_with_labels_apart(reference):
    assert_trained_alike(make().fit(Rows(), Y), reference)


def test_data_frame_in_cross_validation():
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(N) * 7 % N)
    names = pd.Series(np.array(["a", "b", "c"])[Y], index=frame.index)
    net = make(max_epochs=6)
    scores = cross_val_score(net, frame, names, cv=3)
    np.testing.assert_allclose(scores, cross_val_score(net, X, names.to_numpy(), cv=3))
    assert scores.mean() > 0.7


def test_dataset_class_of_ones_own(reference):
    class Halved(torch.utils.data.Dataset):
        def __init__(self, X, y=None):
            self.X, self.y = X, y

        def __len__(self):
            return len(self.X)

        def __getitem__(self, i):
            return self.X[i] / 2, 0 if self.y is None else self.y[i]

    net = make(dataset=Halved).fit(2 * X, Y)
    assert_trained_alike(net, reference)
    np.testing.assert_array_equal(net.predict(2 * X), reference.predict(X))


def test_transform_of_a_skorch_dataset_of_ones_own(reference):
    class Halved(skorch.dataset.Dataset):
        def transform(self, X, y):
            X, y = super().transform(X, y)
            return X / 2, y

    net = make(dataset=Halved).fit(2 * X, Y)
    assert_trained_alike(net, reference)
    np.testing.assert_array_equal(net.predict(2 * X), reference.predict(X))
