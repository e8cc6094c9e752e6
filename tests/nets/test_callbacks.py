"""Callbacks of skorch work on every net of the trunk, and the method works without any."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch.callbacks import (
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    PrintLog,
    ProgressBar,
)
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.baselines import SmallLossClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)
NAMES = np.array(["ham", "spam", "zebra"])[Y]


def make(cls=CRUSTClassifier, **params):
    settings = {
        CRUSTClassifier: REFERENCE | {"warmup_epochs": 1},
        SmallLossClassifier: {"noise_rate": 0.5, "warmup_epochs": 1},
        NoisyLabelClassifier: {},
    }[cls]
    defaults = {"max_epochs": 3, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return cls(MLP, **settings | defaults | {"module__hidden_sizes": (16,)} | params)


@pytest.mark.parametrize("cls", [CRUSTClassifier, SmallLossClassifier])
def test_without_callbacks_the_method_is_still_on(cls):
    plain, net = make(cls).fit(X, Y), make(cls, callbacks="disable").fit(X, Y)
    for p, q in zip(plain.module_.parameters(), net.module_.parameters(), strict=True):
        assert torch.equal(p, q)
    assert net.history[:, "coreset_size"] == [N, N // 2, N // 2]
    np.testing.assert_array_equal(plain.coreset_indices_, net.coreset_indices_)


@pytest.mark.parametrize("cls", [CRUSTClassifier, SmallLossClassifier, NoisyLabelClassifier])
def test_printed_log(cls):
    lines = []
    net = make(cls, verbose=1, train_split=ValidSplit(4))
    net.set_params(callbacks__print_log__sink=lines.append).fit(X, Y)
    header = lines[0].split()
    assert {"epoch", "train_loss", "valid_acc", "coreset_size", "selection_dur"} <= set(header)
    at = header.index("coreset_size")
    printed = [int(line.split()[at]) for line in lines[2:]]
    assert printed == net.history[:, "coreset_size"]


def test_callbacks_of_skorch(capsys):
    def count_kept(net, X, y):
        return len(net.coreset_indices_) if hasattr(net, "coreset_indices_") else -1

    net = make(
        max_epochs=5,
        verbose=1,
        callbacks=[
            LRScheduler("StepLR", step_size=2, gamma=0.1),
            EpochScoring(count_kept, name="kept", on_train=True, use_caching=False),
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
    # What is found in the end is there although it came early.
    assert net.label_quality_.shape == (N,)
