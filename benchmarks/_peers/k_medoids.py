"""FasterPAM, and that of the package `kmedoids`, over sizes and seeds."""

from functools import partial

import numpy as np
from _markdown import print_table
from _turns import compare_times, print_not_run, take_turns, warm_up

from crust_sklearn.measures import k_medoids_objective
from crust_sklearn.strategies import FacilityLocation, KMedoids
from crust_sklearn.strategies.distances import distance_matrix

from .ours import OURS, select

# BUILD looks at n^2 distances for each medoid.
MOST_FOR_BUILD = 2e10


def fasterpam(X, k, seed=0, *, init="random", n_cpu=1):
    """Return the medoids of the package `kmedoids`, from the same distances as ours."""
    import kmedoids

    distances = distance_matrix(X)[0]
    if init == "greedy":
        # It shuffles the rows that it tries only if asked to; then it wants no seed.
        start = select(FacilityLocation(), X, k)
        return kmedoids.fasterpam(distances, start, n_cpu=n_cpu).medoids.astype(np.int64)
    found = kmedoids.fasterpam(distances, k, init=init, random_state=seed, n_cpu=n_cpu)
    return found.medoids.astype(np.int64)


COMPETITORS = {
    OURS: partial(select, KMedoids()),
    "crust_sklearn, from random": partial(select, KMedoids(init="random")),
    "(greedy alone)": partial(select, FacilityLocation()),
    "kmedoids, from our greedy's": partial(fasterpam, init="greedy"),
    "kmedoids, from random": fasterpam,
    "kmedoids, from random, all cores": partial(fasterpam, n_cpu=-1),
    "kmedoids, from BUILD": partial(fasterpam, init="build"),
}


def print_k_medoids(what, X, sizes, n_seeds):
    """Print objective and time of FasterPAM over sizes and seeds."""
    warm_up(COMPETITORS, X, 10)
    print(
        f"\nFasterPAM: {what}, {X.shape[1]} features, {n_seeds} seeds. The objective is relative "
        "to ours on the same rows:\nits mean over the seeds, its least, its largest.\n"
    )
    rows, not_run = [], {}
    for n in sizes:
        for k in (n // 2, n // 10, 10):
            calls = {
                name: lambda seed, call=call, n=n, k=k: call(X[:n], k, seed)
                for name, call in COMPETITORS.items()
                if not (name.endswith("BUILD") and n * n * k > MOST_FOR_BUILD)
            }
            measured = take_turns(calls, n_seeds)
            rows += [(name, f"{n}", f"{k}", *row) for name, *row in k_medoids_rows(X[:n], measured)]
            not_run |= {name: m for name, m in measured.items() if m.not_run}
    header = ("", "n", "k", "least s", "ratio", "median", "objective - ours", "least", "largest")
    print_table(header, rows)
    print_not_run(not_run)
    print(f"BUILD is left out where n^2 k is above {MOST_FOR_BUILD:.0e}.")


def k_medoids_rows(X, measured):
    for name, (least, ratio, median) in compare_times(measured, OURS).items():
        objective = [k_medoids_objective(X, indices) for indices in measured[name].results]
        ours = [k_medoids_objective(X, indices) for indices in measured[OURS].results]
        gap = np.array(objective) / np.array(ours[: len(objective)]) - 1
        yield (
            name,
            f"{least:.3f}",
            f"{ratio:.2f}",
            f"{median:.2f}",
            *(f"{value:+.3%}" for value in (gap.mean(), gap.min(), gap.max())),
        )
