"""Copies, pickles, saved parameters and checkpoints: the same net, that goes on alike."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Checkpoint, LoadInitState, TrainEndCheckpoint
from skorch.dataset import ValidSplit

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)
NAMES = np.array(["ham", "spam", "zebra"])[Y]
SIZES = {"module__in_features": 4, "module__num_classes": 3}


def make(**params):
    defaults = REFERENCE | {"max_epochs": 3, "warmup_epochs": 1, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "module__hidden_sizes": (16,)}
    return CRUSTClassifier(MLP, **defaults | params)


def assert_same_weights(a, b):
    a, b = a.module_.state_dict(), b.module_.state_dict()
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=0)


def assert_same_fit(a, b):
    assert_same_weights(a, b)
    for name in ("coreset_indices_", "coreset_weights_", "coreset_assignment_", "classes_"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("epoch", "coreset_size", "train_loss"):
        assert a.history[:, name] == b.history[:, name]
    assert a.predict(X).tolist() == b.predict(X).tolist()


def repickle(net):
    return pickle.loads(pickle.dumps(net))


# -- copies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, repickle])
def test_copy_of_a_fitted_net_is_the_same(duplicate):
    net = make().fit(X, NAMES)
    assert_same_fit(net, duplicate(net))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, repickle])
def test_copy_goes_on_alike_and_alone(duplicate):
    net = make().fit(X, NAMES)
    twin = duplicate(net)
    assert twin.module_ is not net.module_
    twin.partial_fit(X, NAMES)
    assert len(net.history) == 3
    net.partial_fit(X, NAMES)
    assert_same_fit(net, twin)
    assert len(net.coreset_history_) == len(twin.coreset_history_) == 5


@pytest.mark.parametrize("duplicate", [copy.deepcopy, clone, repickle])
def test_copy_of_a_net_to_be_fitted(duplicate):
    net = make(selector=CoresetSelector("uniform"), coreset_size=None, selector__coreset_size=0.3)
    assert_same_fit(duplicate(net).fit(X, Y), net.fit(X, Y))


def test_clone_is_not_fitted():
    twin = clone(make().fit(X, NAMES))
    assert not twin.initialized_
    with pytest.raises(NotFittedError):
        twin.predict(X)


def test_pickled_net_does_not_hold_the_data():
    wide = np.random.RandomState(0).standard_normal((N, 500)).astype(np.float32)
    net = make(module__hidden_sizes=(4,)).fit(wide, Y)
    assert len(pickle.dumps(net)) < 0.4 * wide.nbytes


def test_trimmed_for_prediction():
    net = make().fit(X, Y)
    expected, size = net.predict(X), len(pickle.dumps(net))
    quality, indices = net.label_quality_, net.coreset_indices_
    net.trim_for_prediction()
    assert len(pickle.dumps(net)) < 0.7 * size
    np.testing.assert_array_equal(net.predict(X), expected)
    np.testing.assert_array_equal(net.label_quality_, quality)
    np.testing.assert_array_equal(net.coreset_indices_, indices)
    assert not hasattr(net, "selector_")


# -- saved parameters -------------------------------------------------------------------------


def test_save_params_and_load_params(tmp_path):
    net = make().fit(X, NAMES)
    files = {f"f_{name}": tmp_path / name for name in ("params", "optimizer", "history")}
    net.save_params(**files)
    other = make(classes=np.unique(NAMES), **SIZES).initialize()
    other.load_params(**files)
    assert_same_weights(net, other)
    np.testing.assert_allclose(net.predict_proba(X), other.predict_proba(X))
    assert other.history[:, "coreset_size"] == net.history[:, "coreset_size"]
    other.partial_fit(X, NAMES)
    assert len(other.history) == 6
    assert other.predict(X).dtype == NAMES.dtype


def test_load_params_restores_no_classes(tmp_path):
    net = make().fit(X, NAMES)
    net.save_params(f_params=tmp_path / "p")
    other = make(**SIZES).initialize()
    other.load_params(f_params=tmp_path / "p")
    np.testing.assert_array_equal(np.unique(NAMES)[other.predict(X)], net.predict(X))


def test_checkpoint_and_load_init_state(tmp_path):
    def fit(max_epochs):
        checkpoint = Checkpoint(monitor=None, dirname=tmp_path)
        callbacks = [checkpoint, LoadInitState(checkpoint)]
        return make(callbacks=callbacks, warmup_epochs=2, max_epochs=max_epochs).fit(X, NAMES)

    first, net = fit(3), fit(6)  # of the second, three are done
    assert net.history[:3, "train_loss"] == first.history[:, "train_loss"]
    sizes = net.history[:, "coreset_size"]
    assert [size == N for size in sizes] == [True] * 2 + [False] * 4
    assert net.score(X, NAMES) > 0.7


def test_checkpoint_of_the_best_epoch(tmp_path):
    checkpoint = Checkpoint(monitor="valid_acc_best", dirname=tmp_path, load_best=True)
    net = make(callbacks=[checkpoint], train_split=ValidSplit(4), max_epochs=6).fit(X, NAMES)
    valid = net.coreset_assignment_ == -1
    best = max(net.history[:, "valid_acc"])
    assert np.mean(net.predict(X[valid]) == NAMES[valid]) == pytest.approx(best)


def test_checkpoint_at_the_end_of_training(tmp_path):
    net = make(callbacks=[TrainEndCheckpoint(dirname=tmp_path)]).fit(X, Y)
    other = make(**SIZES).initialize()
    other.load_params(f_params=tmp_path / "train_end_params.pt")
    assert_same_weights(net, other)
