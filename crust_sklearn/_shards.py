"""Rows that lie in files, and are read a part at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import sparse

# Numbers that are handled at once, where all rows are gone through.
BLOCK = 2**24
# Rows that stand for all, where a mean or a direction need not be exact.
SAMPLE = 2**16


def slice_rows(n_rows: int, n_features: int) -> Iterator[slice]:
    """Yield slices that together are so many rows, each of at most `BLOCK` numbers."""
    step = max(1, BLOCK // max(1, n_features))
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))


def sample_rows(X: Any) -> np.ndarray:
    """Return rows of X, evenly spread: all of them, where they are no more than `SAMPLE`."""
    most = SAMPLE
    if is_sparse(X):  # of which wide rows take no room before
        most = max(1, min(SAMPLE, BLOCK // X.shape[1]))
    return X[:: max(1, -(-len(X) // most))]


def get_largest(X: Any) -> float:
    """Return the largest absolute value of X, a block of rows at a time."""
    return max(
        (float(np.abs(X[rows]).max(initial=0.0)) for rows in slice_rows(*X.shape)), default=0.0
    )


class Rows:
    """Some rows of X: numbered from 0, and copied only where they are asked for.

    Parameters
    ----------
    X : {ndarray, sparse array, Shards}
    numbers : ndarray of int
        Which rows of X. Those of a sparse array are dense where they are asked for.
    """

    def __init__(self, X: Any, numbers: np.ndarray):
        self.X = X
        self.numbers = numbers
        self.shape = len(numbers), X.shape[1]
        self.dtype = X.dtype

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        found = self.X[self.numbers[rows]]
        return found.toarray() if sparse.issparse(found) else found


def is_sparse(X: Any) -> bool:
    """Return whether X is `Rows` of a sparse array, or such rows of these."""
    return isinstance(X, Rows) and (sparse.issparse(X.X) or is_sparse(X.X))


def narrow(X: Any, numbers: np.ndarray) -> Any:
    """Return some rows of X: a copy, or `Rows` where X is such of a sparse array."""
    return Rows(X.X, X.numbers[numbers]) if is_sparse(X) else X[numbers]


class Shard(NamedTuple):
    """Where an array lies in a file."""

    path: str
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype
    order: Literal["C", "F"]

    def open(self) -> np.ndarray:
        """Return the array, mapped into memory."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)


class Shards:
    """Rows in files, one after the other: an array of two dimensions of which parts can be read.

    A file is mapped into memory while rows of it are read, and no longer; a pickle holds its path.

    Parameters
    ----------
    shards : list of Shard
        Of as many columns each.

    Attributes
    ----------
    shape : tuple of two int
        Numbers of rows and of features.
    dtype : dtype
        float32 where all shards are, else float64.
    """

    def __init__(self, shards: list[Shard]):
        self.shards = shards
        self.ends = np.cumsum([shard.shape[0] for shard in shards])
        self.shape = int(self.ends[-1]), shards[0].shape[1]
        is_short = all(shard.dtype == np.float32 for shard in shards)
        self.dtype = np.dtype(np.float32 if is_short else np.float64)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return a copy of rows, by a slice or by their numbers."""
        numbers = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        found = np.empty((len(numbers), self.shape[1]), self.dtype)
        # In the order of the files, a block at a time: little of them is in memory at once.
        order = np.argsort(numbers, kind="stable")
        for part in slice_rows(*found.shape):
            self._read(numbers, order[part], found)
        return found

    def _read(self, numbers: np.ndarray, places: np.ndarray, found: np.ndarray) -> None:
        shard_of = np.searchsorted(self.ends, numbers[places], side="right")
        for which in np.unique(shard_of):
            shard, at = self.shards[which], places[shard_of == which]
            first = self.ends[which] - shard.shape[0]
            found[at] = shard.open()[numbers[at] - first]


def find_shards(X: Any) -> Shards | None:
    """Return the files that the rows of X lie in, or None if it is no such X.

    Parameters
    ----------
    X : object
        A memory-mapped array of two dimensions; or a list or tuple of such arrays and of paths of
        ``.npy`` files.

    Returns
    -------
    shards : Shards or None
        None also for a mapped array whose values are not those of a file: a copy-on-write map, a
        strided view, a file that is gone.

    Raises
    ------
    ValueError
        If a file holds no numbers, or not an array of two dimensions, or not as many features as
        the first.
    OSError
        If a file cannot be read.
    """
    if isinstance(X, np.memmap) and X.ndim == 2 and X.dtype.kind in "biuf":
        shard = _locate(X)
        return None if shard is None else Shards([shard])
    is_list = isinstance(X, list | tuple) and len(X) > 0
    if not is_list or not all(map(_is_shard, X)):
        return None
    shards = [_open_shard(item) for item in X]
    widths = [shard.shape[1] for shard in shards]
    for item, width in zip(X, widths, strict=True):
        if width != widths[0]:
            raise ValueError(
                f"The first shard of X has {widths[0]} features, {_name(item)} has {width}. All "
                "have to have as many."
            )
    return Shards(shards)


def _is_shard(item: Any) -> bool:
    if isinstance(item, str | os.PathLike):
        return os.fspath(item).endswith(".npy")
    return isinstance(item, np.memmap) and item.ndim == 2


def _open_shard(item: Any) -> Shard:
    array = item if isinstance(item, np.memmap) else np.load(item, mmap_mode="r")
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{_name(item)} holds an array of shape {array.shape} and dtype {array.dtype}. A shard "
            "of X has to hold numbers, in rows and columns."
        )
    shard = _locate(array)
    if shard is None:
        raise ValueError(
            f"{_name(item)} is empty, or not the array in a file: a copy-on-write map, a strided "
            "view, or the file is gone. Give a path, or what np.load(path, mmap_mode='r') returns."
        )
    return shard


def _name(item: Any) -> str:
    return f"The memory map of {item.filename}" if isinstance(item, np.memmap) else f"{item}"


def _locate(array: np.memmap) -> Shard | None:
    """Return where the values of a mapped array lie in its file, or None for nowhere."""
    root: Any = array
    while isinstance(root.base, np.memmap):
        root = root.base
    if root.mode == "c" or root.filename is None or not os.path.isfile(root.filename):
        return None
    # A slice of rows has its offset in the memory, not in its attribute.
    skipped = array.ctypes.data - root.ctypes.data
    is_inside = 0 <= skipped <= root.nbytes - array.nbytes
    is_dense = array.flags.c_contiguous or array.flags.f_contiguous
    if not (is_inside and is_dense and array.size):
        return None
    path, offset = os.path.abspath(root.filename), root.offset + skipped
    return Shard(path, offset, array.shape, array.dtype, "C" if array.flags.c_contiguous else "F")
