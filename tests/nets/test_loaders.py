"""Loaders, collate functions, samplers and workers of the user's own."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler, default_collate

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)


def make(cls=CRUSTClassifier, **params):
    settings = REFERENCE | {"warmup_epochs": 1} if cls is CRUSTClassifier else {}
    defaults = {"max_epochs": 3, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return cls(MLP, **settings | defaults | {"module__hidden_sizes": (16,)} | params)


def assert_trained_alike(net, reference):
    np.testing.assert_array_equal(net.coreset_indices_, reference.coreset_indices_)
    np.testing.assert_allclose(
        net.history[:, "train_loss"], reference.history[:, "train_loss"], rtol=1e-4
    )


@pytest.fixture(scope="module")
def reference():
    return make().fit(X, Y)


def test_loader_class_of_ones_own_makes_each_loader_of_training(reference):
    made = []

    class Own(DataLoader):
        def __init__(self, dataset, **kwargs):
            made.append(len(dataset))
            super().__init__(dataset, **kwargs)

    assert_trained_alike(make(iterator_train=Own).fit(X, Y), reference)
    assert made == [N, N // 2, N // 2]  # all rows, and a coreset for each of two epochs


def halve(items):
    x, y = default_collate(items)
    return x / 2, y


@pytest.mark.parametrize("convert", [lambda x: (x, Y), lambda x: (as_dataset(x),)])
def test_collate_function_of_ones_own(convert, reference):
    net = make(iterator_train__collate_fn=halve, iterator_valid__collate_fn=halve)
    net.set_params(module__in_features=4).fit(*convert(2 * X))
    assert_trained_alike(net, reference)
    np.testing.assert_array_equal(net.predict(2 * X), reference.predict(X))


def as_dataset(x):
    return TensorDataset(torch.from_numpy(x), torch.from_numpy(Y))


def test_workers():
    params = {"mixup": None, "max_epochs": 2, "coreset_weight": "cluster"}
    params["iterator_train__shuffle"] = True
    with warnings.catch_warnings():
        # Of Python, where a process with threads forks.
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        many = make(iterator_train__num_workers=2, iterator_valid__num_workers=2, **params)
        many.fit(X, Y)
    assert_trained_alike(many, make(**params).fit(X, Y))


@pytest.mark.filterwarnings("ignore:You set iterator_valid__shuffle=True")
@pytest.mark.parametrize(
    "params",
    [
        {"iterator_valid__shuffle": True},
        {"iterator_valid__drop_last": True},
        {"iterator_valid__batch_size": 11},
        {"iterator_valid__sampler": [5, 4, 3]},
    ],
    ids=str,
)
@pytest.mark.parametrize("settings", [{}, {"coreset_size": "auto", "gradient": "leave-one-out"}])
def test_rows_are_judged_all_and_in_order_whatever_the_validation_loader(params, settings):
    assert_trained_alike(make(**params, **settings).fit(X, Y), make(**settings).fit(X, Y))


def test_sampler_is_used_where_no_rows_are_chosen():
    # Without rows of one class.
    sampler = WeightedRandomSampler((Y > 0).astype(float), 64, generator=torch.Generator())
    net = make(NoisyLabelClassifier, iterator_train__sampler=sampler, max_epochs=20).fit(X, Y)
    assert set(net.predict(X)) == {1, 2}
    assert net.history[-1, "train_batch_count"] == 2


def test_whole_batches_alone_are_trained_on_with_drop_last():
    net = make(batch_size=50, iterator_train__drop_last=True).fit(X, Y)
    sizes = [[b["train_batch_size"] for b in row["batches"]] for row in net.history]
    assert sizes == [[50, 50], [50], [50]]


@pytest.mark.parametrize("cls", [CRUSTClassifier, NoisyLabelClassifier])
def test_all_rows_in_one_batch(cls):
    net = make(cls, batch_size=-1).fit(X, Y)
    sizes = [[b["train_batch_size"] for b in row["batches"]] for row in net.history]
    assert sizes == [[size] for size in net.history[:, "coreset_size"]]
