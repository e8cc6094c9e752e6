"""The defaults of training: they train as they are, and give way to what is set."""

import inspect
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler
from skorch.callbacks import Callback
from torch.utils.data import BatchSampler, DataLoader

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.baselines import ELRClassifier, SmallLossClassifier
from crust_sklearn.modules import MLP, SmallCNN

DEFAULTS = {
    "optimizer": torch.optim.AdamW,
    "lr": 0.001,
    "max_epochs": 30,
    "batch_size": 64,
    "iterator_train__shuffle": True,
}
N = 150
X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)


class Rows(Callback):
    """Notes the rows of each batch."""

    def on_train_begin(self, net, **kwargs):
        self.epochs_ = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs_.append([])

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.epochs_[-1].append(net.training_.batch.rows.tolist())


def make(cls=NoisyLabelClassifier, **params):
    options = {"module__hidden_sizes": (8,), "max_epochs": 2, "verbose": 0, "random_state": 0}
    return cls(MLP, **options | {"callbacks": [("rows", Rows())]} | params)


def get_epochs(net):
    """Return the rows of each epoch, in the order that they were trained on."""
    return [sum(epoch, []) for epoch in dict(net.callbacks_)["rows"].epochs_]


# -- they train -------------------------------------------------------------------------------


def mean_accuracy(make_classifier, load):
    X, y = load(return_X_y=True)
    X = MinMaxScaler().fit_transform(X)
    scores = []
    for seed in range(3):
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
        scores.append(make_classifier(seed).fit(X_train, y_train).score(X_test, y_test))
    return np.mean(scores)


@cache
def perceptron_accuracy(load):
    return mean_accuracy(lambda seed: MLPClassifier(random_state=seed), load)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # 200 epochs are its default
@pytest.mark.parametrize("load", [load_digits, load_iris])
@pytest.mark.parametrize("cls", [NoisyLabelClassifier, CRUSTClassifier])
def test_a_bare_net_is_as_good_as_scikit_learns_perceptron(cls, load):
    ours = mean_accuracy(lambda seed: cls(MLP, random_state=seed, verbose=0), load)
    assert ours > perceptron_accuracy(load) - 0.02


def test_a_bare_net_trains_a_convolutional_network():
    X, y = load_digits(return_X_y=True)
    images = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    net = NoisyLabelClassifier(SmallCNN, module__width=8, random_state=0, verbose=0)
    net.fit(images[:1000], y[:1000])
    assert net.score(images[1000:], y[1000:]) > 0.9


# -- they give way ----------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [NoisyLabelClassifier, CRUSTClassifier])
def test_batches_are_drawn_anew_in_each_epoch(cls):
    net = make(cls, **{"warmup_epochs": 1, "coreset_size": 1.0} if cls is CRUSTClassifier else {})
    first, second = get_epochs(net.fit(X, Y))
    assert sorted(first) == sorted(second) == list(range(N))
    assert first != second and sorted(first) != first


def test_rows_come_in_their_order_without_shuffle():
    for net in (
        make(iterator_train__shuffle=False),
        make().set_params(iterator_train__shuffle=False),
        clone(make(iterator_train__shuffle=False)),
        make().fit(X, Y).set_params(iterator_train__shuffle=False),
    ):
        assert get_epochs(net.fit(X, Y)) == [list(range(N))] * 2


@pytest.mark.parametrize(
    "params",
    [
        {"iterator_train__sampler": range(N)[::-1]},
        {
            "iterator_train__batch_sampler": BatchSampler(range(N)[::-1], 30, drop_last=False),
            "iterator_train__batch_size": 1,  # as DataLoader wants it
        },
    ],
    ids=["sampler", "batch_sampler"],
)
def test_a_sampler_decides_on_the_order(params):
    assert get_epochs(make(**params).fit(X, Y)) == [list(range(N))[::-1]] * 2


def test_a_loader_that_knows_no_shuffle_decides_on_the_order():
    class InOrder(DataLoader):
        def __init__(self, dataset, batch_size, collate_fn, generator):
            super().__init__(dataset, batch_size, collate_fn=collate_fn, generator=generator)

    assert get_epochs(make(iterator_train=InOrder).fit(X, Y)) == [list(range(N))] * 2


@pytest.mark.parametrize("state", ["new", "fitted"])
@pytest.mark.parametrize("name", ["iterator_train", "iterator_valid"])
def test_what_loaders_are_told_is_set_at_any_time(state, name):
    sizes = []

    class Own(DataLoader):
        def __init__(self, dataset, batch_size, **kwargs):
            sizes.append(batch_size)
            super().__init__(dataset, batch_size, **kwargs)

    net = make() if state == "new" else make().fit(X, Y)
    net.set_params(**{name: Own, f"{name}__batch_size": 7})
    net.fit(X, Y).predict(X)
    assert sizes == [7]


# -- they are parameters ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "net",
    [
        NoisyLabelClassifier(MLP),
        CRUSTClassifier(MLP),
        ELRClassifier(MLP),
        SmallLossClassifier(MLP, noise_rate=0.1),
    ],
    ids=lambda net: type(net).__name__,
)
def test_defaults_are_the_same_for_all_and_kept_by_clones(net):
    assert {name: net.get_params()[name] for name in DEFAULTS} == DEFAULTS
    others = {
        "optimizer": torch.optim.SGD,
        "lr": 0.05,
        "max_epochs": 2,
        "batch_size": 7,
        "iterator_train__shuffle": False,
    }
    twin = clone(clone(net).set_params(**others))
    assert {name: twin.get_params()[name] for name in DEFAULTS} == others
    assert {name: net.get_params()[name] for name in DEFAULTS} == DEFAULTS


def test_only_what_differs_from_the_defaults_is_shown():
    assert not any(name in repr(CRUSTClassifier(MLP)) for name in DEFAULTS)
    shown = repr(CRUSTClassifier(MLP, lr=0.1, iterator_train__shuffle=False))
    assert "  lr=0.1,\n  iterator_train__shuffle=False,\n" in shown
    assert "batch_size" not in shown


def test_they_are_searched():
    grid = {
        "optimizer": [torch.optim.SGD, torch.optim.Adam],
        "lr": [0.001, 0.1],
        "batch_size": [32, -1],
        "iterator_train__shuffle": [True, False],
    }
    search = GridSearchCV(make(callbacks=None), grid, cv=2, error_score="raise").fit(X, Y)
    results = search.cv_results_
    assert len(results["params"]) == 16
    best = clone(make(callbacks=None)).set_params(**search.best_params_).fit(X, Y)
    np.testing.assert_array_equal(best.predict_proba(X), search.predict_proba(X))


@pytest.mark.parametrize(
    "cls", [NoisyLabelClassifier, CRUSTClassifier, ELRClassifier, SmallLossClassifier]
)
def test_docstrings_have_the_defaults(cls):
    text = " ".join(inspect.getdoc(cls).split())
    if cls is NoisyLabelClassifier:
        for name, value in DEFAULTS.items():
            value = "torch.optim.AdamW" if name == "optimizer" else value
            assert f"default={value} " in text[text.index(f" {name} : ") :][:80]
    else:
        told = [f"{name}={value}" for name, value in (DEFAULTS | {"optimizer": "AdamW"}).items()]
        assert f"``{', '.join(told)}``" in text
