"""Selection in many groups at once, by threads, processes or machines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from scipy import sparse
from sklearn.utils import check_random_state

from ._base import BaseStrategy, Coreset, Part, check_indices


class Group(NamedTuple):
    """Rows of X to choose from, how many of them, their weights, and what seeds the choice."""

    rows: np.ndarray
    n_select: int
    sample_weight: np.ndarray
    seed: int


def select_in_groups(
    strategy: Any, X: Any, groups: list[Group], *, n_jobs: int | None, verbose: int
) -> list[Coreset]:
    """Select in every group; groups too large for memory in parts that fit.

    Parameters
    ----------
    strategy : BaseStrategy or object with a method ``select``
    X : {ndarray, sparse array} of shape (n_rows, n_features)
        Validated.
    groups : list of Group
    n_jobs : int or None
        Threads; a backend chosen by `joblib.parallel_config` counts instead, and workers that
        do not share memory read X from a memory map.
    verbose : int
        joblib's.

    Returns
    -------
    coresets : list of Coreset
        The indices and the assignment are positions in the group's rows. The same for every
        number of workers and every backend.
    """
    if not isinstance(strategy, BaseStrategy):
        strategy = _Foreign(strategy)
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", verbose=verbose)
    plans = [_plan(strategy, X, group) for group in groups]
    with _shared(X) as source:
        found = iter(
            parallel(
                delayed(_select_part)(
                    strategy,
                    source,
                    group.rows[part.rows],
                    part.n_select,
                    group.sample_weight[part.rows],
                    part.random_state,
                )
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
    """A user's class that has a method `select` and nothing else."""

    def __init__(self, strategy: Any):
        self.strategy = strategy

    def _select_part(
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
    if n_rows <= strategy._max_rows():
        return [Part(np.arange(n_rows), group.n_select, group.seed)], None
    random_state = check_random_state(group.seed)
    return strategy._split(_take(X, group.rows), group.n_select, random_state), random_state


def _select_part(
    strategy: BaseStrategy,
    source: Any,
    rows: np.ndarray,
    n_select: int,
    sample_weight: np.ndarray,
    seed: int,
) -> Coreset:
    X = _take(_open(source), rows)
    return strategy._select_part(X, n_select, sample_weight, check_random_state(seed))


def _merge(
    strategy: BaseStrategy,
    source: Any,
    group: Group,
    parts: list[Part],
    random_state: Any,
    coresets: list[Coreset],
) -> Coreset:
    X = _take(_open(source), group.rows)
    return strategy._merge(X, group.n_select, group.sample_weight, random_state, parts, coresets)


def _take(X: Any, rows: np.ndarray) -> np.ndarray:
    if sparse.issparse(X):
        return X[rows].toarray()
    is_everything = len(rows) == len(X) and np.array_equal(rows, np.arange(len(X)))
    return X if is_everything else X[rows]


@contextmanager
def _shared(X: Any) -> Iterator[Any]:
    """Yield X, or the path of a copy where the workers do not share this process's memory."""
    backend, _ = get_active_backend(prefer="threads")
    if getattr(backend, "supports_sharedmem", False):  # as joblib itself asks
        yield X
        return
    # joblib's own memory maps are for its own processes; Dask or Ray would pickle X. Workers on
    # other machines need joblib's temporary folder to be one that all of them see.
    parent = os.environ.get("JOBLIB_TEMP_FOLDER")
    with tempfile.TemporaryDirectory(prefix="crust-", dir=parent) as folder:
        path = Path(folder) / "rows.joblib"
        joblib.dump(X, path)
        yield path


def _open(source: Any) -> Any:
    return joblib.load(source, mmap_mode="r") if isinstance(source, Path) else source
