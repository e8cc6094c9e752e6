"""Modules of any kind: their sizes are set from the data, and their output is the logits."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import PAPER

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)


def make(module=MLP, cls=CRUSTClassifier, **params):
    defaults = {"max_epochs": 4, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return cls(module, **defaults | params)


# -- sizes ------------------------------------------------------------------------------------


class Sizes(MLP):
    def __init__(self, in_features, num_classes=2, hidden_sizes=(5,)):
        super().__init__(in_features, num_classes, hidden_sizes)
        self.got = in_features, num_classes


def test_sizes_are_inferred_unless_they_are_given():
    assert make(Sizes).fit(X, Y).module_.got == (4, 3)
    assert make(Sizes, module__num_classes=5, classes=range(5)).fit(X, Y).module_.got == (4, 5)
    assert make(Sizes(4, 3)).fit(X, Y).module_.got == (4, 3)


def test_sizes_are_inferred_anew_by_fit():
    net = make(Sizes).fit(X, Y)
    assert net.fit(X[:, :2], Y % 2).module_.got == (2, 2)


@pytest.mark.parametrize("cls", [CRUSTClassifier, NoisyLabelClassifier])
def test_module_instance_is_trained_itself(cls):
    module = MLP(4, 3, (16,))
    before = module.fc.weight.detach().clone()
    net = make(module, cls=cls).fit(X, Y)
    assert isinstance(net.module_, MLP)
    assert not torch.equal(net.module_.fc.weight, before)


# -- outputs ----------------------------------------------------------------------------------


class Logits(NamedTuple):
    logits: torch.Tensor
    hidden: torch.Tensor


class Output:
    """As of a transformer."""

    def __init__(self, logits, hidden):
        self.logits, self.hidden = logits, hidden


WRAPS = {"tuple": lambda z, h: (z, h), "named tuple": Logits, "object": Output}


class Wrapped(nn.Module):
    """Returns more than the logits."""

    def __init__(self, wrap=None):
        super().__init__()
        self.wrap = wrap
        self.hidden, self.fc = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, X):
        h = self.hidden(X).relu()
        return self.fc(h) if self.wrap is None else WRAPS[self.wrap](self.fc(h), h)


# U4
@pytest.mark.parametrize(
    "settings", [{}, PAPER | {"warmup_epochs": 1}, None], ids=["default", "paper", "trunk"]
)
@pytest.mark.parametrize("wrap", WRAPS)
def test_module_that_returns_more_than_logits(wrap, settings):
    names = np.array(["ham", "spam", "zebra"])[Y]
    cls = NoisyLabelClassifier if settings is None else CRUSTClassifier

    def fit(wrap):
        scores = [
            EpochScoring("f1_macro", name="cached"),
            EpochScoring("f1_macro", name="anew", use_caching=False),
        ]
        split = ValidSplit(4, stratified=True)
        params = {"module__wrap": wrap, "train_split": split, "callbacks": scores}
        return make(Wrapped, cls=cls, **params, **(settings or {})).fit(X, names)

    net, plain = fit(wrap), fit(None)
    for name in ("train_loss", "valid_loss", "valid_acc", "cached", "anew", "coreset_size"):
        assert net.history[:, name] == plain.history[:, name]
    np.testing.assert_array_equal(net.predict_proba(X), plain.predict_proba(X))
    if cls is CRUSTClassifier:
        np.testing.assert_array_equal(net.coreset_indices_, plain.coreset_indices_)
        np.testing.assert_array_equal(net.label_quality_, plain.label_quality_)
        aside = net.coreset_assignment_ == -1
        assert net.history[-1, "valid_acc"] == np.mean(net.predict(X[aside]) == names[aside])


# -- refused ----------------------------------------------------------------------------------


def assert_refused(match, net):
    with pytest.raises(ValueError, match=match):
        net.fit(X, Y)
    assert not getattr(net, "history_", None)


class Reshaped(MLP):
    """Outputs something else than one column per class."""

    def __init__(self, shape, num_classes):
        super().__init__(4, num_classes)
        self.shape = shape

    def forward(self, X):
        out = super().forward(X)
        return out[:, 0] if self.shape == 1 else out[:, :, None]


@pytest.mark.parametrize("n_columns", [1, 2, 4])
def test_columns_of_the_output(n_columns):
    match = rf"MLP.*\(2, {n_columns}\).* 3 classes.*one column per class.*num_classes"
    assert_refused(match, make(module__num_classes=n_columns))
    assert_refused(match, make(MLP(4, n_columns)))


@pytest.mark.parametrize("shape", [1, 3])
def test_axes_of_the_output(shape):
    assert_refused("one column per class", make(Reshaped, module__shape=shape))
