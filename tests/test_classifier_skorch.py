"""Parameters, persistence and callbacks: what works on skorch's net works here."""

import copy
import pickle

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LoadInitState,
    LRScheduler,
    PrintLog,
    ProgressBar,
    TrainEndCheckpoint,
)
from skorch.dataset import ValidSplit
from skorch.hf import AccelerateMixin
from torch import nn

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE
from crust_sklearn.strategies import FacilityLocation, Uniform

N, WARMUP = 120, 1
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)
NAMES = np.array(["ham", "spam", "zebra"])[Y]


# The most central half of each label, without a size of its own for the classifier.
HALF = REFERENCE | {"selector": CoresetSelector("centrality"), "coreset_size": None}


def make(module=MLP, cls=CRUSTClassifier, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    defaults = HALF | {"max_epochs": 3, "warmup_epochs": WARMUP, "lr": 0.1, "batch_size": 32}
    return cls(module, **defaults | {"verbose": 0, "random_state": 0} | params)


def assert_same_weights(a, b):
    a, b = a.module_.state_dict(), b.module_.state_dict()
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=0)


FITTED = ("coreset_indices_", "coreset_weights_", "coreset_assignment_", "classes_")


def assert_same_fit(a, b):
    assert_same_weights(a, b)
    for name in FITTED:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("epoch", "coreset_size", "train_loss"):
        assert a.history[:, name] == b.history[:, name]
    assert a.predict(X).tolist() == b.predict(X).tolist()


# -- copies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, copy.copy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_a_copy_of_a_fitted_net(duplicate):
    net = make().fit(X, NAMES)
    twin = duplicate(net)
    assert_same_fit(net, twin)
    if duplicate is not copy.copy:
        assert twin.module_ is not net.module_
        # Both go on alike, and alone.
        twin.partial_fit(X, NAMES)
        assert len(net.history) == 3
        net.partial_fit(X, NAMES)
        assert_same_weights(net, twin)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, clone, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_a_copy_of_a_net_to_be_fitted(duplicate):
    net = make(selector=CoresetSelector("uniform"), selector__coreset_size=0.3)
    assert_same_fit(duplicate(net).fit(X, Y), net.fit(X, Y))


def test_a_clone_is_not_fitted():
    net = make(selector=CoresetSelector(Uniform())).fit(X, NAMES)
    twin = clone(net)
    assert not hasattr(twin, "coreset_indices_") and not twin.initialized_
    with pytest.raises(NotFittedError):
        twin.predict(X)
    assert twin.selector is not net.selector
    assert_same_fit(twin.fit(X, NAMES), net)


def test_a_pickled_net_does_not_hold_the_data():
    wide = np.random.RandomState(0).standard_normal((N, 500)).astype(np.float32)
    net = make().fit(wide, Y)
    assert len(pickle.dumps(net)) < 0.4 * wide.nbytes


# -- saved parameters -------------------------------------------------------------------------


def test_save_params_and_load_params(tmp_path):
    net = make().fit(X, NAMES)
    files = {f"f_{name}": tmp_path / name for name in ("params", "optimizer", "history")}
    net.save_params(**files)
    other = make(module__in_features=4, module__num_classes=3, classes=np.unique(NAMES))
    other.initialize().load_params(**files)
    assert_same_weights(net, other)
    np.testing.assert_allclose(net.predict_proba(X), other.predict_proba(X))
    assert other.history[:, "coreset_size"] == net.history[:, "coreset_size"]
    other.partial_fit(X, NAMES)
    assert len(other.history) == 6
    assert other.predict(X).dtype == NAMES.dtype


def test_load_params_restores_no_classes(tmp_path):
    net = make().fit(X, NAMES)
    net.save_params(f_params=tmp_path / "p")
    other = make(module__in_features=4, module__num_classes=3).initialize()
    other.load_params(f_params=tmp_path / "p")
    np.testing.assert_array_equal(np.unique(NAMES)[other.predict(X)], net.predict(X))


def test_checkpoint_and_load_init_state(tmp_path):
    def with_checkpoint(**params):
        checkpoint = Checkpoint(monitor=None, dirname=tmp_path)
        return make(callbacks=[checkpoint, LoadInitState(checkpoint)], **params)

    with_checkpoint(warmup_epochs=2, max_epochs=3).fit(X, NAMES)
    net = with_checkpoint(warmup_epochs=2, max_epochs=3).fit(X, NAMES)
    sizes = net.history[:, "coreset_size"]
    assert len(sizes) == 6
    assert [size == N for size in sizes] == [True] * 2 + [False] * 4
    assert net.score(X, NAMES) > 0.7


def test_a_checkpoint_of_the_best_epoch(tmp_path):
    checkpoint = Checkpoint(monitor="valid_acc_best", dirname=tmp_path, load_best=True)
    net = make(callbacks=[checkpoint], train_split=ValidSplit(4), max_epochs=6).fit(X, NAMES)
    valid = net.coreset_assignment_ == -1
    best = max(net.history[:, "valid_acc"])
    assert np.mean(net.predict(X[valid]) == NAMES[valid]) == pytest.approx(best)


def test_a_checkpoint_at_the_end_of_training(tmp_path):
    end = TrainEndCheckpoint(dirname=tmp_path)
    net = make(callbacks=[end]).fit(X, Y)
    other = make(module__in_features=4, module__num_classes=3).initialize()
    other.load_params(f_params=tmp_path / "train_end_params.pt")
    assert_same_weights(net, other)


# -- parameters -------------------------------------------------------------------------------


def test_get_params_and_back():
    net = make(selector=CoresetSelector("uniform"), selector__n_jobs=1, coreset_size=30)
    params = net.get_params()
    assert params["selector__n_jobs"] == 1
    assert params["coreset_size"] == 30
    twin = CRUSTClassifier(MLP).set_params(**params)
    after = twin.get_params()
    assert after.keys() == params.keys()
    for name, value in params.items():
        if not isinstance(value, list | CoresetSelector) and "callbacks" not in name:
            assert after[name] is value or after[name] == value
    assert_same_fit(twin.fit(X, Y), net.fit(X, Y))


def test_every_parameter_of_the_contract_is_one():
    own = set(make().get_params(deep=False))
    assert own >= {
        "selector",
        "coreset_size",
        "warmup_epochs",
        "reselect_every",
        "gradient",
        "group_by",
        "coreset_weight",
        "mixup",
        "mixup_alpha",
        "random_state",
        "lr",
        "module__hidden_sizes",
    }
    fitted = set(make().fit(X, Y).get_params(deep=False))
    assert not [name for name in fitted if name.endswith("_")]


@pytest.mark.parametrize("state", ["new", "initialized", "fitted"])
def test_parameters_of_the_selector_are_set_at_any_time(state):
    net = make(selector="uniform", module__in_features=4, module__num_classes=3)
    net = {"new": net, "initialized": net.initialize(), "fitted": net.fit(X, Y)}[state]
    module = getattr(net, "module_", None)
    net.set_params(selector__strategy="facility-location", selector__coreset_size=0.25)
    assert getattr(net, "module_", None) is module
    assert net.get_params()["selector__coreset_size"] == 0.25
    net.fit(X, Y)
    assert net.selector_.strategy == "facility-location"
    assert len(net.coreset_indices_) == pytest.approx(N / 4, abs=2)
    expected = make(selector="facility-location", coreset_size=0.25).fit(X, Y)
    np.testing.assert_array_equal(net.coreset_indices_, expected.coreset_indices_)


def test_parameters_of_the_strategy():
    net = make(selector="facility-location", selector__strategy__metric="cityblock").fit(X, Y)
    assert isinstance(net.selector_.strategy, FacilityLocation)
    assert net.selector_.strategy.metric == "cityblock"
    other = make(selector="facility-location").fit(X, Y)
    assert not np.array_equal(net.coreset_indices_, other.coreset_indices_)


def test_the_size_of_the_classifier_counts():
    selector = CoresetSelector("uniform", coreset_size=0.25)
    assert len(make(selector=selector).fit(X, Y).coreset_indices_) == 30
    assert len(make(selector=selector, coreset_size=0.75).fit(X, Y).coreset_indices_) == 90
    net = make(selector=selector, coreset_size=0.75, selector__coreset_size=0.1).fit(X, Y)
    assert len(net.coreset_indices_) == 90
    assert selector.coreset_size == 0.25


def test_own_parameters_take_effect_between_calls():
    net = make(warmup_epochs=0, max_epochs=1).partial_fit(X, Y)
    net.set_params(coreset_size=0.2, mixup=None, gradient="logits").partial_fit(X, Y)
    assert net.history[:, "coreset_size"] == [N // 2, N // 5]


def test_a_parameter_of_the_module_after_fit():
    net = make().fit(X, Y)
    net.set_params(module__hidden_sizes=(8,)).fit(X, Y)
    assert net.module_.fc.in_features == 8
    assert_same_fit(net, make(module__hidden_sizes=(8,)).fit(X, Y))


def test_a_module_instance():
    torch.manual_seed(0)
    net = make(MLP(4, 3, (16,))).fit(X, Y)
    assert isinstance(net.module_, MLP)
    assert len(net.coreset_indices_) == N // 2


def test_a_subclass_of_the_criterion_with_weights():
    net = make(criterion=nn.CrossEntropyLoss, criterion__weight=torch.tensor([1.0, 2.0, 3.0]))
    assert len(net.fit(X, Y).coreset_indices_) == N // 2


# -- callbacks --------------------------------------------------------------------------------


def test_without_callbacks_the_method_is_still_on():
    plain, net = make().fit(X, Y), make(callbacks="disable").fit(X, Y)
    assert_same_weights(plain, net)
    assert net.history[:, "coreset_size"] == [N, N // 2, N // 2]
    np.testing.assert_array_equal(plain.coreset_indices_, net.coreset_indices_)


def test_the_printed_log():
    lines = []
    net = make(verbose=1, train_split=ValidSplit(4))
    net.set_params(callbacks__print_log__sink=lines.append).fit(X, Y)
    header = lines[0].split()
    assert {"epoch", "train_loss", "valid_acc", "coreset_size", "selection_dur"} <= set(header)
    at = header.index("coreset_size")
    printed = [int(line.split()[at]) for line in lines[2:]]
    assert printed == net.history[:, "coreset_size"]


def test_callbacks_of_skorch(capsys):
    def keep(net, X, y):
        return len(net.coreset_indices_) if hasattr(net, "coreset_indices_") else -1

    net = make(
        max_epochs=5,
        verbose=1,
        callbacks=[
            LRScheduler("StepLR", step_size=2, gamma=0.1),
            EpochScoring(keep, name="kept", on_train=True, use_caching=False),
            ProgressBar(detect_notebook=False),
        ],
        callbacks__print_log=PrintLog(sink=lambda line: None),
    ).fit(X, NAMES)
    assert net.history[:, "event_lr"] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])
    assert net.history[:, "kept"] == [-1, 60, 60, 60, 60]


def test_early_stopping():
    stopping = EarlyStopping("train_loss", patience=2, threshold=10.0, sink=lambda line: None)
    net = make(callbacks=[stopping], max_epochs=9).fit(X, Y)
    assert 1 < len(net.history) < 9
    assert len(net.coreset_indices_) == N // 2


# -- accelerate -------------------------------------------------------------------------------


class Accelerated(AccelerateMixin, CRUSTClassifier):
    pass


@pytest.mark.parametrize("mixup", ["class", None])
def test_accelerate(mixup):
    params = {"mixup": mixup, "coreset_weight": "cluster", "iterator_train__shuffle": True}
    net = make(cls=Accelerated, accelerator=Accelerator(cpu=True), **params).fit(X, NAMES)
    plain = make(**params).fit(X, NAMES)
    np.testing.assert_array_equal(net.history[:, "coreset_size"], [N, N // 2, N // 2])
    assert len(net.coreset_indices_) == N // 2
    np.testing.assert_allclose(
        net.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=1e-5
    )
    np.testing.assert_array_equal(net.coreset_indices_, plain.coreset_indices_)
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))


def test_the_device_by_name():
    net = make(device="cpu").fit(X, Y)
    assert next(net.module_.parameters()).device.type == "cpu"
    net = make(device="meta")
    assert net.device == "meta"


def test_trimmed_for_prediction():
    net = make().fit(X, Y)
    expected, size = net.predict(X), len(pickle.dumps(net))
    quality = net.label_quality_
    net.trim_for_prediction()
    assert len(pickle.dumps(net)) < 0.7 * size
    np.testing.assert_array_equal(net.predict(X), expected)
    np.testing.assert_array_equal(net.label_quality_, quality)
