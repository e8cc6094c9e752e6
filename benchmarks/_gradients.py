"""The rows that the benchmarks select from: Gaussian clusters, and gradients of trained nets."""

import numpy as np
import torch
from _cifar10 import read_images
from numpy.random import RandomState
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier

from crust_sklearn import make_label_noise
from crust_sklearn.gradients import GradientProxy
from crust_sklearn.modules import MLP, SmallCNN

N_CLASSES = 10
COMMON = {
    "criterion": torch.nn.CrossEntropyLoss,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "iterator_train__shuffle": True,
    "train_split": None,
    "verbose": 0,
}


def make_clusters(n_rows, n_features, n_groups=N_CLASSES):
    """Return rows around one centre per group, as wide as the centres are apart, and the groups."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_groups, size=n_rows)
    centres = rng.standard_normal((n_groups, n_features))
    return (centres[y] + rng.standard_normal((n_rows, n_features))).astype(np.float32), y


def make_digits(n_rows=None, seed=0):
    """Return scikit-learn's digits, 64 pixels from 0 to 1; more than there are: noisy copies."""
    X, y = load_digits(return_X_y=True)
    n_rows = len(X) if n_rows is None else n_rows
    rng = np.random.default_rng(seed)
    again = rng.permutation(np.resize(np.arange(len(X)), max(n_rows - len(X), 0)))
    rows = np.concatenate([np.arange(len(X))[:n_rows], again])
    X = X[rows] / 16
    X[len(X) - len(again) :] += rng.normal(scale=0.1, size=(len(again), X.shape[1]))
    return X.astype(np.float32), y[rows]


def train_on_digits(seed, n_rows=None, hidden_sizes=(256, 128)):
    """Return an MLP after 5 epochs on digits with 40 % symmetric noise, the images, the labels.

    The labels are what ``make_label_noise`` returns: `y` as given, and `is_wrong`.
    """
    X, y = make_digits(n_rows, seed)
    noisy = make_label_noise(y, "symmetric", 0.4, random_state=RandomState(seed))
    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        MLP,
        module__in_features=X.shape[1],
        module__num_classes=N_CLASSES,
        module__hidden_sizes=hidden_sizes,
        **COMMON,
    )
    net.set_params(max_epochs=5, batch_size=64).fit(X, noisy.y)
    return net, X, noisy


def train_on_cifar(folder, n_features=64):
    """Return a SmallCNN after 2 epochs on CIFAR-10 with 50 % symmetric noise, images, labels."""
    X, y, *_ = read_images(folder)
    X = X - 0.5
    noisy = make_label_noise(y, "symmetric", 0.5, random_state=RandomState(0))
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        SmallCNN, module__width=n_features // 4, max_epochs=2, batch_size=128, **COMMON
    )
    return net.fit(X, noisy.y), X, noisy


def get_gradients(net, X, y, gradient="features"):
    """Return a gradient of each row's loss, in eval mode.

    "features": at the input of the last layer. "last-layer": for its weights, the outer product
    written out, as long as there are weights.
    """
    module = net.module_.eval()
    losses = torch.nn.CrossEntropyLoss(reduction="none")
    proxy = GradientProxy(module, net.criterion_, gradient)
    parts = [
        proxy.compute(lambda x=x: module(x), labels, losses).rows
        for x, labels in zip(
            torch.as_tensor(X).split(1000), torch.as_tensor(y).split(1000), strict=True
        )
    ]
    rows = torch.cat(parts)
    if gradient == "last-layer":
        n_left = proxy.metric.n_left
        rows = (rows[:, :n_left, None] * rows[:, None, n_left:]).flatten(1)
    return rows.numpy()
