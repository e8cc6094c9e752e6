"""What all strategies choose, by every measure."""

import numpy as np
from _markdown import print_table
from sklearn.neighbors import NearestNeighbors

from crust_sklearn import CoresetSelector
from crust_sklearn.measures import coverage, k_medoids_objective
from crust_sklearn.strategies import FacilityLocation, Leverage

from .low_rank_errors import LowRankErrors

STRATEGIES = {
    "facility-location": "facility-location",
    "facility-location, stochastic": FacilityLocation(optimizer="stochastic"),
    "k-medoids": "k-medoids",
    "centrality = the reference code's rule": "centrality",
    "greedy-css": "greedy-css",
    "greedy-low-rank": "greedy-low-rank",
    "pivoted-qr": "pivoted-qr",
    "leverage": "leverage",
    "leverage, top": Leverage(sampling="top"),
    "uniform": "uniform",
}


def judge(G, y, is_wrong, size, seed):
    """Return for each strategy its measures on gradients, chosen by given label."""
    low_rank, found = LowRankErrors(G), {}
    # The default of `coverage`, found once.
    radius = np.median(NearestNeighbors(n_neighbors=1).fit(G).kneighbors()[0])
    for name, strategy in STRATEGIES.items():
        selector = CoresetSelector(strategy, coreset_size=size, random_state=seed).fit(G, y)
        chosen = selector.sample_indices_
        right = ~is_wrong[chosen]
        found[name] = np.array(
            [
                k_medoids_objective(G, chosen),
                coverage(G, chosen, radius=radius),
                *low_rank.errors(chosen),
                right.mean(),
                np.average(right, weights=selector.sample_weight_),
            ]
        )
    for name in found:
        if name != "uniform":
            found[name][0] /= found["uniform"][0]
    found["uniform"][0] = 1.0
    return found


def print_quality(what, make_rows, sizes, n_seeds):
    """Print the means over seeds of every measure of every strategy."""
    for size in sizes:
        runs = [judge(*make_rows(seed), size, seed) for seed in range(n_seeds)]
        print(
            f"\nWhat is chosen: {what}, last layer's gradients, {size:.0%} kept by given label, "
            f"{n_seeds} seeds.\nObjective relative to uniform's; covered: a chosen row within the "
            "median distance to the nearest row;\nerrors relative to the best subspace.\n"
        )
        header = ("", "objective", "covered", "Frobenius", "spectral", "clean", "clean by weight")
        rows = []
        for name in STRATEGIES:
            mean = np.mean([run[name] for run in runs], axis=0)
            objective, covered, fro, spectral, clean, weighted = mean
            rows.append(
                (
                    name,
                    f"{objective:.3f}",
                    f"{covered:.1%}",
                    f"{fro:.3f}",
                    f"{spectral:.3f}",
                    f"{clean:.1%}",
                    f"{weighted:.1%}",
                )
            )
        print_table(header, rows)
