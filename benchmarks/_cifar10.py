"""CIFAR-10 from its own files, and the human labels of CIFAR-10N."""

from functools import cache

import numpy as np

from crust_sklearn.datasets import load_cifar10


@cache
def read_images(folder):
    """Return training images and labels, test images and labels; images float32 in [0, 1].

    `folder` holds ``cifar-10-batches-py``, the "python version" of the CIFAR-10 site, unpacked.
    """
    train, test = (load_cifar10(folder, subset=subset) for subset in ("train", "test"))
    X, X_test = (bunch.data.astype(np.float32) / 255 for bunch in (train, test))
    return X, train.target, X_test, test.target


def read_human_labels(folder):
    """Return the first of CIFAR-10N's human labels of the training images."""
    return load_cifar10(folder, label_set="random1").target
