"""Exact greedy facility location, and its peers."""

from contextlib import nullcontext
from functools import cache, partial
from unittest import mock

import numpy as np
from _markdown import print_table
from _turns import compare_times, print_not_run, take_turns, warm_up
from sklearn.metrics import pairwise_distances

from crust_sklearn.measures import k_medoids_objective
from crust_sklearn.strategies import FacilityLocation
from crust_sklearn.strategies.distances import distance_matrix

from .memory import get_extra_mib, weigh
from .ours import OURS, select


def similarities(X, dtype=np.float64):
    """Return what facility location maximizes: the largest distance minus each distance."""
    distances = pairwise_distances(X.astype(dtype, copy=False))
    return np.subtract(distances.max(), distances, out=distances)


def apricot(X, k, seed=0, *, metric="precomputed", compile_once=True):
    """Return the choice of apricot's lazy greedy.

    It compiles its kernels anew in every fit; with `compile_once` it is spared that. Its metric
    "euclidean" means squared distances, "l2" plain ones.
    """
    from apricot import FacilityLocationSelection
    from apricot.functions import facilityLocation as module

    kept = mock.patch.multiple(module, **kept_kernels()) if compile_once else nullcontext()
    rows = similarities(X) if metric == "precomputed" else X.astype(np.float64)
    selector = FacilityLocationSelection(k, metric=metric, optimizer="lazy", random_state=seed)
    with kept:
        return selector.fit(rows).ranking.astype(np.int64)


@cache
def kept_kernels():
    """Return the functions that compile apricot's kernels, made to do it once."""
    from apricot.functions import facilityLocation as module

    names = ("calculate_gains", "calculate_gains_sieve")
    return {name: cache(getattr(module, name)) for name in names}


def submodlib(X, k, seed=0, *, dtype=np.float32):
    """Return the choice of submodlib's LazyGreedy, on a kernel of plain distances.

    Its own metric "euclidean" is a kernel that falls exponentially with the distance, another
    objective.
    """
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(
        n=len(X), mode="dense", sijs=similarities(X, dtype), separate_rep=False
    )
    # By default it would stop at a gain of 0, and draw a progress bar.
    found = function.maximize(
        budget=k,
        optimizer="LazyGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        show_progress=False,
    )
    return np.array([row for row, _ in found])


def only_distances(X, k, seed=0):
    """Return nothing after computing our distance matrix."""
    distance_matrix(X)


def only_pairwise_distances(X, k, seed=0):
    """Return nothing after computing scikit-learn's distance matrix."""
    pairwise_distances(X)


COMPILES = "apricot, lazy"
COMPETITORS = {
    OURS: partial(select, FacilityLocation()),
    COMPILES: partial(apricot, compile_once=False),
    "apricot, lazy, kernels compiled once": apricot,
    "apricot, the same, metric='l2'": partial(apricot, metric="l2"),
    "apricot, the same, metric='euclidean'": partial(apricot, metric="euclidean"),
    "submodlib, LazyGreedy, float32 kernel": submodlib,
    "submodlib, LazyGreedy, float64 kernel": partial(submodlib, dtype=np.float64),
    "(our distance matrix alone)": only_distances,
    "(scikit-learn's distances alone)": only_pairwise_distances,
}
# Those whose memory is measured.
WEIGHED = (
    OURS,
    "submodlib, LazyGreedy, float32 kernel",
    "apricot, lazy, kernels compiled once",
    "submodlib, LazyGreedy, float64 kernel",
    "(our distance matrix alone)",
)


def select_fresh(name, path, k):
    """Return the memory that one of them takes; called in a fresh process."""
    return weigh(COMPETITORS[name], path, k)


def print_greedy(what, X, n_turns, short):
    """Print the table of exact greedy facility location."""
    k = len(X) // 2
    left_out = COMPILES if short else ""
    competitors = {name: call for name, call in COMPETITORS.items() if name != left_out}
    warm_up(competitors, X, k)
    measured = take_turns({n: partial(call, X, k) for n, call in competitors.items()}, n_turns)
    times = compare_times(measured, OURS)
    weighed = [name for name in WEIGHED[: 2 if short else None] if name in times]
    memory = get_extra_mib("_peers.greedy:select_fresh", weighed, X, k)
    objectives = {
        name: k_medoids_objective(X, m.results[0])
        for name, m in measured.items()
        if m.results and m.results[0] is not None
    }
    print(
        f"\nExact greedy facility location: {what}, {len(X)} x {X.shape[1]}, {k} kept, {n_turns} "
        f"turns; our objective {objectives[OURS]:.6g}\n"
    )
    header = ("with distances", "least s", "ratio", "median", "objective - ours", "extra MiB")
    rows = []
    for name, (least, ratio, median) in times.items():
        difference = "" if name not in objectives else objectives[name] / objectives[OURS] - 1
        rows.append(
            (
                name,
                f"{least:.3f}",
                f"{ratio:.2f}",
                f"{median:.2f}",
                difference if difference == "" else f"{difference:+.1e}",
                memory.get(name, ""),
            )
        )
    print_table(header, rows)
    print_not_run(measured)
