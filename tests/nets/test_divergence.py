"""Training that diverges is stopped, by a message that says when, and what to look for."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from torch.utils.data import TensorDataset

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.modules import MLP

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)

every_net = pytest.mark.parametrize("cls", [NoisyLabelClassifier, CRUSTClassifier])


def make(cls, **params):
    defaults = {"max_epochs": 6, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return cls(MLP, **defaults | {"module__hidden_sizes": (16,)} | params)


@every_net
def test_loss_that_turns_nan(cls):
    class Breaking(cls):
        """Its loss is NaN in the third epoch."""

        def get_loss(self, y_pred, y_true, X=None, training=False):
            loss = super().get_loss(y_pred, y_true, X=X, training=training)
            return loss * float("nan") if training and len(self.history) == 3 else loss

    net = make(Breaking)
    with pytest.raises(FloatingPointError, match="training loss is nan in epoch 3.*Lower lr"):
        net.fit(X, Y)
    assert len(net.history) == 3
    assert np.isfinite(net.history[:2, "train_loss"]).all()
    assert "train_loss" not in net.history[2]


@every_net
@pytest.mark.parametrize(("row", "match"), [(100, "Dataset, look for NaN"), (0, "Is X finite")])
@pytest.mark.filterwarnings("ignore:The training loss is nan")
def test_dataset_that_is_not_finite(cls, row, match):
    bad = torch.from_numpy(X).clone()
    bad[row, 1] = torch.nan
    with pytest.raises(FloatingPointError, match=match):
        make(cls, iterator_train__shuffle=False).fit(TensorDataset(bad, torch.from_numpy(Y)), None)


def test_first_batch_that_is_not_finite_warns():
    bad = torch.from_numpy(X).clone()
    bad[0, 1] = torch.nan
    dataset = TensorDataset(bad, torch.from_numpy(Y))
    with (
        pytest.warns(UserWarning, match="The training loss is nan in epoch 1"),
        pytest.raises(FloatingPointError),
    ):
        make(NoisyLabelClassifier, iterator_train__shuffle=False).fit(dataset)


@every_net
@pytest.mark.filterwarnings("ignore:The training loss is")
def test_learning_rate_that_is_too_large(cls):
    with pytest.raises(FloatingPointError, match="lr"):
        make(cls, lr=1e20, max_epochs=10).fit(X, Y)


def test_gradients_that_are_not_finite_say_before_which_epoch():
    class Breaking(CRUSTClassifier):
        def select(self, epoch):
            with torch.no_grad():
                self.module_.fc.weight.fill_(float("nan"))
                self.module_.hidden[0].weight.fill_(float("nan"))
            return super().select(epoch)

    net = make(Breaking, warmup_epochs=2)
    with pytest.raises(FloatingPointError, match="gradients before epoch 3.*Lower lr.*`history`"):
        net.fit(X, Y)
    assert np.isfinite(net.history[:2, "train_loss"]).all()
