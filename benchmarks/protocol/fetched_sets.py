"""The sets of small images that `crust_sklearn.datasets` fetches; `--data` names their folder."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from crust_sklearn.datasets import load_cifar10, load_cifar100, load_tiny_imagenet

from .sources import Table


@dataclass(frozen=True)
class ImageArrays:
    """All images of a set, standardized by the training images.

    They lie in the folder that `--data` names, or in one of the name of `table` in it, as they do
    in scikit-learn's data home after they were fetched. `label_set` is None for a set that has but
    one.
    """

    name: str
    table: str
    load: Callable
    label_set: str | None = None
    place = "data"
    is_image = True

    def read(self, places, seed):
        inner = places.data / self.table
        folder = inner if inner.is_dir() else places.data
        load = self.load if self.label_set is None else partial(self.load, label_set=self.label_set)
        train, test = load(folder), self.load(folder, subset="test")
        X, X_test = (bunch.data.astype(np.float32) for bunch in (train, test))
        mean, std = X.mean(axis=(0, 2, 3), keepdims=True), X.std(axis=(0, 2, 3), keepdims=True)
        for images in (X, X_test):  # in place: they are large
            images -= mean
            images /= std
        return Table(X, train.target_true, X_test, test.target, train.target)


CIFAR100 = ImageArrays("cifar100", "cifar100", load_cifar100)
TINY_IMAGENET = ImageArrays("tiny-imagenet", "tiny_imagenet", load_tiny_imagenet)
# By the names of their sets.
HUMAN = {
    "cifar10-aggregate": ImageArrays("cifar10-aggregate", "cifar10", load_cifar10, "aggregate"),
    "cifar10-random1": ImageArrays("cifar10-random1", "cifar10", load_cifar10, "random1"),
    "cifar10-worst": ImageArrays("cifar10-worst", "cifar10", load_cifar10, "worst"),
    "cifar100-human": ImageArrays("cifar100-human", "cifar100", load_cifar100, "noisy"),
}
