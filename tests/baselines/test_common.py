"""Every method takes labels of any kind, and survives clone, pickle, pipeline and search."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crust_sklearn import NoisyLabelClassifier
from crust_sklearn.baselines import ELRClassifier, SmallLossClassifier
from crust_sklearn.modules import MLP

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


# With lam=3, as for CIFAR-10, the regularization of ELR overcomes the labels of so few rows.
OWN = {SmallLossClassifier: {"noise_rate": 0.1, "warmup_epochs": 2}, ELRClassifier: {"lam": 1.0}}


def make(cls, **params):
    options = {"module__hidden_sizes": (16,), "lr": 0.1, "max_epochs": 20, "batch_size": 16}
    options |= {"iterator_train__shuffle": True, "random_state": 0, "verbose": 0}
    return cls(MLP, **options | OWN.get(cls, {}) | params)


METHODS = (NoisyLabelClassifier, ELRClassifier, SmallLossClassifier)


@pytest.mark.parametrize("cls", METHODS)
def test_labels_of_any_kind_in_a_pipeline_and_a_search(cls):
    pipe = make_pipeline(StandardScaler(), make(cls))
    grid = GridSearchCV(pipe, {f"{cls.__name__.lower()}__lr": [0.05, 0.1]}, cv=2).fit(X, NAMES)
    assert set(grid.predict(X)) <= set(NAMES)
    assert grid.score(X, NAMES) > 0.85


@pytest.mark.parametrize("cls", METHODS)
def test_clone_and_pickle(cls):
    net = make(cls).fit(X, Y)
    again = clone(net).fit(X, Y)
    copy = pickle.loads(pickle.dumps(net))
    for other in (again, copy):
        assert torch.equal(other.module_.fc.weight, net.module_.fc.weight)
