"""A validation split: rows keep their numbers in the X given to fit."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import Subset, TensorDataset

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


@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize("gradient", ["features", "leave-one-out"])
def test_fitted_attributes_are_about_the_rows_of_fit(as_dataset, gradient):
    seen = {}

    class Watch(Callback):
        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen["train"] = np.asarray(dataset_train.indices)
            seen["valid"] = np.asarray(dataset_valid.indices)

    # skorch stratifies by a y that is given apart.
    split = ValidSplit(3, stratified=not as_dataset)
    net = make(train_split=split, callbacks=[Watch()], gradient=gradient)
    net.fit(*((TensorDataset(TX, TY), None) if as_dataset else (X, Y)))
    assert np.isin(net.coreset_indices_, seen["train"]).all()
    assert net.coreset_assignment_.shape == (N,)
    np.testing.assert_array_equal(np.flatnonzero(net.coreset_assignment_ == -1), seen["valid"])
    owner = net.coreset_indices_[net.coreset_assignment_[seen["train"]]]
    np.testing.assert_array_equal(Y[owner], Y[seen["train"]])
    np.testing.assert_array_equal(
        net.coreset_assignment_[net.coreset_indices_], np.arange(len(net.coreset_indices_))
    )
    n_train = len(seen["train"])
    assert net.history[:, "coreset_size"][0] == n_train
    assert len(net.coreset_indices_) == pytest.approx(n_train / 2, abs=2)


def test_split_of_a_subset_is_numbered_by_the_subset():
    rows = np.random.RandomState(0).permutation(N)[:90]
    part = Subset(TensorDataset(TX, TY), rows.tolist())
    split = ValidSplit(3, stratified=False)
    net = make(train_split=split).fit(part)
    expected = make(train_split=split).fit(X[rows], Y[rows])
    assert net.coreset_assignment_.shape == (90,)
    np.testing.assert_array_equal(net.coreset_assignment_, expected.coreset_assignment_)
    np.testing.assert_array_equal(net.coreset_indices_, expected.coreset_indices_)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["x", "y", "z"]], ids=str)
def test_predefined_split_takes_no_row(labels):
    y = np.array(labels)[Y]
    valid = Dataset(X[:30], y[:30])
    net = make(train_split=predefined_split(valid), max_epochs=5).fit(X, y)
    assert (net.coreset_assignment_ >= 0).all()
    assert net.history[-1, "valid_acc"] == pytest.approx(np.mean(net.predict(X[:30]) == y[:30]))


def test_validation_rows_do_not_change_what_is_trained():
    train = make(train_split=ValidSplit(4)).fit(X, Y).coreset_assignment_ >= 0
    changed, other = X.copy(), Y.copy()
    changed[~train], other[~train] = 0.0, (other[~train] + 1) % 3
    split = ValidSplit([(np.flatnonzero(train), np.flatnonzero(~train))])
    nets = [make(train_split=split).fit(x, y) for x, y in ((X, Y), (changed, other))]
    assert nets[0].history[:, "train_loss"] == nets[1].history[:, "train_loss"]
    assert nets[0].history[:, "valid_loss"] != nets[1].history[:, "valid_loss"]
    np.testing.assert_array_equal(nets[0].coreset_indices_, nets[1].coreset_indices_)
