"""The data sets of the benchmarks on robustness: human labels, weak rules, injected noise."""

from dataclasses import dataclass

import numpy as np
from _cifar10 import read_human_labels, read_images
from numpy.random import RandomState
from sklearn.model_selection import train_test_split

from crust_sklearn import make_label_noise

HUMAN = ("labelme",)
WEAK = ("wrench_semeval", "wrench_youtube")
CLEAN = ("optdigits", "segment", "texture")
NOISES = {
    "clean": None,
    "symmetric 20%": ("symmetric", 0.2),
    "symmetric 50%": ("symmetric", 0.5),
    "symmetric 80%": ("symmetric", 0.8),
    "asymmetric 40%": ("asymmetric", 0.4),
    "instance 40%": ("instance", 0.4),
}
IMAGES = ("cifar10 human", "cifar10 symmetric 50%", "cifar10 asymmetric 40%", "cifar10 clean")
N_IMAGES = 8_000
# By these nothing was chosen: see unpack_keel.py.
UNSEEN_FILES = ("letter", "penbased", "satimage", "spambase", "twonorm", "vowel")
UNSEEN_NOISES = ("clean", "symmetric 50%", "asymmetric 40%", "instance 40%")
# Two classes with half of the labels wrong tell nothing.
UNSEEN = tuple(
    f"{name} {noise}"
    for name in UNSEEN_FILES
    for noise in UNSEEN_NOISES
    if not (name in ("spambase", "twonorm") and noise == "symmetric 50%")
)
TABLES = (*HUMAN, *WEAK, *(f"{name} {noise}" for name in CLEAN for noise in NOISES))


@dataclass
class Data:
    """Training rows with their given and their true labels, and test rows with true ones."""

    X: np.ndarray
    given: np.ndarray
    true: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def is_right(self):
        return self.given == self.true


def get_kind(name):
    """Return what a set says something about: "human", "weak", "injected" or "clean"."""
    if name.endswith("clean"):
        return "clean"
    if name in WEAK:
        return "weak"
    return "human" if name in HUMAN or name.endswith("human") else "injected"


def find_tables(folder):
    """Return the names of the tabular sets whose file is there."""
    return [n for n in TABLES + UNSEEN if (folder / f"{n.partition(' ')[0]}.npz").exists()]


def load(name, tables, images, seed):
    """Return the set of this name; the seed draws the noise, and which images.

    `tables` is the folder of the .npz files, `images` that of ``cifar-10-batches-py``.
    """
    if name in IMAGES:
        return load_images(images, name.removeprefix("cifar10 "), seed)
    file, _, noise = name.partition(" ")
    with np.load(tables / f"{file}.npz") as arrays:
        X, true, X_test, y_test = (arrays[n] for n in ("X", "y_clean", "X_test", "y_test"))
        given = arrays.get("y_given")
    X, X_test = X.astype(np.float32), X_test.astype(np.float32)
    mean, std = X.mean(axis=0), X.std(axis=0)
    std[std == 0] = 1
    X, X_test = (X - mean) / std, (X_test - mean) / std
    if given is None:
        given = add_noise(X, true, NOISES[noise], seed)
    given, true, y_test = (labels.astype(np.int64) for labels in (given, true, y_test))
    return Data(X, given, true, X_test, y_test)


def add_noise(X, y, noise, seed, **options):
    """Return labels with noise of a kind and rate; None leaves them."""
    if noise is None:
        return y
    kind, rate = noise
    return make_label_noise(y, kind, rate, X=X, random_state=RandomState(seed), **options).y


def load_images(folder, noise, seed):
    """Return N_IMAGES training images of CIFAR-10, drawn by the seed, and its test images."""
    X, y, X_test, y_test = read_images(folder)
    rows, _ = train_test_split(
        np.arange(len(y)), train_size=N_IMAGES, stratify=y, random_state=seed
    )
    true = y[rows]
    if noise == "human":
        given = read_human_labels(folder, y)[rows]
    else:
        options = {"transition": "cifar10"} if noise.startswith("asymmetric") else {}
        given = add_noise(None, true, NOISES[noise], seed, **options)
    mean, std = X.mean(axis=(0, 2, 3), keepdims=True), X.std(axis=(0, 2, 3), keepdims=True)
    return Data((X[rows] - mean) / std, given, true, (X_test - mean) / std, y_test)
