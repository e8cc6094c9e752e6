"""Where nets run: devices by name, and accelerate's."""

import numpy as np
import pytest
from accelerate import Accelerator
from sklearn.datasets import make_blobs
from skorch.hf import AccelerateMixin

from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)
NAMES = np.array(["ham", "spam", "zebra"])[Y]
AUTO = {"gradient": "leave-one-out", "coreset_size": "auto"}


def make(cls=CRUSTClassifier, **params):
    defaults = REFERENCE | {"max_epochs": 3, "warmup_epochs": 1, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "module__hidden_sizes": (16,)}
    return cls(MLP, **defaults | params)


class Accelerated(AccelerateMixin, CRUSTClassifier):
    pass


@pytest.mark.parametrize(
    "params",
    [
        {"mixup": "class", "coreset_weight": "cluster"},
        {"mixup": None, "coreset_weight": "cluster"},
        AUTO,
        AUTO | {"average_weights": True, "max_epochs": 20},
        AUTO | {"dropped": "pseudo-label", "mixup": None},
        AUTO | {"dropped": "consistency", "augment": lambda x: 2 * x, "max_epochs": 20},
    ],
    ids=["mixup", "cluster weights", "auto", "average", "pseudo-label", "consistency"],
)
def test_accelerate(params):
    params["iterator_train__shuffle"] = True
    net = make(Accelerated, accelerator=Accelerator(cpu=True), **params).fit(X, NAMES)
    plain = make(**params).fit(X, NAMES)
    assert net.history[:, "coreset_size"] == plain.history[:, "coreset_size"]
    np.testing.assert_allclose(
        net.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=1e-5
    )
    np.testing.assert_array_equal(net.coreset_indices_, plain.coreset_indices_)
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))


def test_device_by_name():
    net = make(device="cpu").fit(X, Y)
    assert next(net.module_.parameters()).device.type == "cpu"
    assert make(device="meta").device == "meta"
