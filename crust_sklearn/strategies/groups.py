"""Selection in many groups at once, by threads, processes or machines."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from scipy import sparse
from sklearn.utils import check_random_state

from .._shards import Rows, Shards
from .base import BaseStrategy, Coreset, Part, check_indices

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

# Rows of a sparse array are made dense up to so many numbers, half a gigabyte of float64.
MAX_DENSE = 2**26
# Held on a file of this name by the process that a folder belongs to.
LOCK = "lock"


class Group(NamedTuple):
    """Rows of X to choose from, how many of them, their weights, and what seeds the choice.

    With `initial`, the positions of rows that were chosen before, `n_select` counts the others.
    """

    rows: np.ndarray
    n_select: int
    sample_weight: np.ndarray
    seed: int
    initial: np.ndarray | None = None


def select_in_groups(
    strategy: Any, X: Any, groups: list[Group], *, n_jobs: int | None, verbose: int
) -> list[Coreset]:
    """Select in every group; groups too large for memory in parts that fit.

    Parameters
    ----------
    strategy : BaseStrategy or object with a method ``select``
    X : {ndarray, sparse array, Shards} of shape (n_rows, n_features)
        Validated.
    groups : list of Group
    n_jobs : int or None
        Threads; a backend chosen by `joblib.parallel_config` counts instead, and workers that
        do not share memory read X from a memory map, `Shards` from their files.
    verbose : int
        joblib's. Not 0: the parts are counted, too, and all of them dispatched at once, so that
        joblib tells how many are left.

    Returns
    -------
    coresets : list of Coreset
        The indices and the assignment are positions in the group's rows. The same for every
        number of workers and every backend.
    """
    if not isinstance(strategy, BaseStrategy) or type(strategy).select is not BaseStrategy.select:
        strategy = _Foreign(strategy)
    pre_dispatch = "all" if verbose else "2*n_jobs"
    parallel = Parallel(n_jobs, prefer="threads", verbose=verbose, pre_dispatch=pre_dispatch)
    plans = [_plan(strategy, X, group) for group in groups]
    if verbose:
        n_rows, n_parts = sum(len(g.rows) for g in groups), sum(len(parts) for parts, _ in plans)
        # Where joblib's own lines go.
        print(f"{n_rows} rows, {len(groups)} groups, {n_parts} parts", file=sys.stderr)
    with _shared(X) as source:
        found = iter(
            parallel(
                delayed(_select_part)(strategy, source, _narrow(group, part))
                for group, (parts, _) in zip(groups, plans, strict=True)
                for part in parts
            )
        )
        coresets = [[next(found) for _ in parts] for parts, _ in plans]
        many = [i for i, (parts, _) in enumerate(plans) if len(parts) > 1]
        if many:
            merged = parallel(
                delayed(_merge)(strategy, source, groups[i], *plans[i], coresets[i]) for i in many
            )
            for i, coreset in zip(many, merged, strict=True):
                coresets[i] = [coreset]
    return [coreset for (coreset,) in coresets]


class _Foreign(BaseStrategy):
    """A user's class with a method `select` of its own."""

    def __init__(self, strategy: Any):
        self.strategy = strategy

    def select_part(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: Any
    ) -> Coreset:
        coreset = self.strategy.select(
            X, n_select, sample_weight=sample_weight, random_state=random_state
        )
        check_indices(coreset.indices, n_select, len(X), self.strategy)
        return coreset

    def _pick(self, *args: Any) -> np.ndarray:
        raise AssertionError("`select` does it")


def _plan(strategy: BaseStrategy, X: Any, group: Group) -> tuple[list[Part], Any]:
    """Return the parts of a group, and the random state of what comes after them."""
    n_rows = len(group.rows)
    if group.initial is not None and strategy.get_max_rows() < n_rows:
        raise ValueError(
            f"initial_subset needs the distances of all rows of a group at once: {n_rows} rows are "
            f"more than the {strategy.get_max_rows():.0f} that fit in memory. Raise "
            "sklearn.set_config(working_memory=...), or choose from fewer rows."
        )
    if n_rows <= strategy.get_max_rows():
        return [Part(np.arange(n_rows), group.n_select, group.seed)], None
    random_state = check_random_state(group.seed)
    return strategy.split(
        _view(strategy, X, group.rows), group.n_select, random_state
    ), random_state


def _narrow(group: Group, part: Part) -> Group:
    """Return the rows of a part as a group, which goes to a worker.

    In a tuple: joblib puts arrays by themselves on one of Dask's workers, where they may be lost.
    """
    rows, weights = group.rows[part.rows], group.sample_weight[part.rows]
    return Group(rows, part.n_select, weights, part.random_state, group.initial)


def _select_part(strategy: BaseStrategy, source: Any, part: Group) -> Coreset:
    X = _take(strategy, _open(source), part.rows)
    random_state = check_random_state(part.seed)
    if part.initial is not None:
        return strategy.extend_part(
            X, part.initial, part.n_select, part.sample_weight, random_state
        )
    return strategy.select_part(X, part.n_select, part.sample_weight, random_state)


def _merge(
    strategy: BaseStrategy,
    source: Any,
    group: Group,
    parts: list[Part],
    random_state: Any,
    coresets: list[Coreset],
) -> Coreset:
    X = _view(strategy, _open(source), group.rows)
    return strategy.merge(X, group.n_select, group.sample_weight, random_state, parts, coresets)


def _take(strategy: BaseStrategy, X: Any, rows: np.ndarray) -> Any:
    if sparse.issparse(X):
        is_large = len(rows) * X.shape[1] > MAX_DENSE
        return Rows(X, rows) if is_large and strategy.takes_sparse else X[rows].toarray()
    is_everything = len(rows) == len(X) and np.array_equal(rows, np.arange(len(X)))
    return X if is_everything and isinstance(X, np.ndarray) else X[rows]


def _view(strategy: BaseStrategy, X: Any, rows: np.ndarray) -> Any:
    """Return rows of which only parts are needed at a time."""
    return _take(strategy, X, rows) if sparse.issparse(X) else Rows(X, rows)


@contextmanager
def _shared(X: Any) -> Iterator[Any]:
    """Yield X, or the path of a copy where the workers do not share this process's memory."""
    backend, _ = get_active_backend(prefer="threads")
    # As joblib itself asks. Rows that lie in files are read there by every worker.
    if getattr(backend, "supports_sharedmem", False) or isinstance(X, Shards):
        yield X
        return
    # joblib's own memory maps are for its own processes; Dask or Ray would pickle X.
    with _temporary_folder() as folder:
        path = folder / "rows.joblib"
        joblib.dump(X, path)
        yield path


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Yield a folder inside joblib's temporary folder; remove those that killed processes left.

    Workers on other machines need joblib's temporary folder to be one that all of them see.
    """
    parent = Path(os.environ.get("JOBLIB_TEMP_FOLDER") or tempfile.gettempdir())
    prefix = f"crust-{platform.node()}-"
    for folder in parent.glob(f"{escape(prefix)}*"):
        _remove_if_left(folder)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name,
        open(Path(name, "unlocked"), "wb") as file,
    ):
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks: nothing in it is swept
                fcntl.flock(file, fcntl.LOCK_EX)
                # Under its name only now, so that no other process takes it for one left.
                os.rename(file.name, Path(name, LOCK))
        yield Path(name)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder whose process is gone: the system has released its lock."""
    # Errors: the process lives, the folder is gone meanwhile, or it is another user's.
    with suppress(OSError), open(folder / LOCK, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)


def _open(source: Any) -> Any:
    return joblib.load(source, mmap_mode="r") if isinstance(source, Path) else source
