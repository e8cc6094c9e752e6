"""Ways to train on wrong labels: this package's, and others beside them, on the same network."""

import numpy as np
import torch
from _averaged_weights import AverageWeights
from _sets import IMAGES
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.baselines import ELRClassifier, SmallLossClassifier
from crust_sklearn.losses import GeneralizedCrossEntropyLoss
from crust_sklearn.modules import MLP, SmallCNN
from crust_sklearn.settings import PAPER, REFERENCE

# What CRUSTClassifier is given, where a method is one of its settings.
SETTINGS = {
    "default": {},
    "paper": PAPER,
    "reference": REFERENCE,
    "centrality": REFERENCE | {"mixup": None},
}
METHODS = (
    "plain",
    *SETTINGS,
    "small loss, true rate",
    "averaged weights",
    "generalized CE",
    "ELR",
    "cleanlab",
    "oracle",
)


def make_common(name):
    """Return the network and what every method has in common on a set."""
    is_image = name in IMAGES
    options = {
        "module": SmallCNN if is_image else MLP,  # MLP: 256 and 128 hidden units
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "lr": 0.05,
        "batch_size": 128 if is_image else 64,
        "max_epochs": 24 if is_image else 60,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    if is_image:
        options["optimizer__weight_decay"] = 5e-4
        schedule = LRScheduler(policy=CosineAnnealingLR, T_max=options["max_epochs"])
        options["callbacks"] = [("schedule", schedule)]
    return options


def make_plain(options, data, seed):
    """Return skorch's own classifier: it is told the sizes, and draws from the generators seeded.

    The classifiers of this package find the sizes by themselves.
    """
    torch.manual_seed(seed)
    size = "module__in_features" if data.X.ndim == 2 else "module__in_channels"
    n_classes = int(max(data.given.max(), data.true.max())) + 1
    sizes = {"module__num_classes": n_classes, size: data.X.shape[1]}
    return NeuralNetClassifier(**options | sizes)


def make_classifier(method, options, data, seed):
    """Return a classifier to fit."""
    if method in SETTINGS:
        return CRUSTClassifier(**options | SETTINGS[method], random_state=seed)
    if method == "small loss, true rate":
        rate = 1 - data.is_right.mean()
        return SmallLossClassifier(
            **options, noise_rate=rate, warmup_epochs=5, reselect_every=3, random_state=seed
        )
    if method == "generalized CE":
        options = options | {"criterion": GeneralizedCrossEntropyLoss}
        return NoisyLabelClassifier(**options, random_state=seed)
    if method == "ELR":
        return ELRClassifier(**options, random_state=seed)
    if method == "averaged weights":
        n_steps = options["max_epochs"] * -(-len(data.X) // options["batch_size"])
        averaging = ("average", AverageWeights(n_steps))
        options = options | {"callbacks": [*options.get("callbacks", []), averaging]}
    net = make_plain(options, data, seed)
    if method == "cleanlab":
        from cleanlab.classification import CleanLearning

        # Its own processes do not work inside those of this run.
        return CleanLearning(net, seed=seed, find_label_issues_kwargs={"n_jobs": 1})
    return net


def train(method, options, data, seed):
    """Return the fitted classifier, and the training rows that its last epochs used."""
    clf = make_classifier(method, options, data, seed)
    if method == "oracle":
        clf.fit(data.X[data.is_right], data.given[data.is_right])
        return clf, np.flatnonzero(data.is_right)
    clf.fit(data.X, data.given)
    if method == "cleanlab":
        return clf, np.flatnonzero(~clf.get_label_issues()["is_label_issue"].to_numpy())
    return clf, getattr(clf, "coreset_indices_", np.arange(len(data.X)))
