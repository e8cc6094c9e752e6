"""Choosing one of several variants without looking at the set that it is judged on.

For every table of data, all sets that are made of it are left out, whatever their noise; the
variant of the best criterion on all other sets, over all recipes, is the one that the left-out sets
get. What these choices reach together is what can be claimed for choosing among the variants.
"""

import numpy as np
from _markdown import print_table

from .figures import Figures, is_noisy
from .report import print_summary
from .sets import SETS

CHOSEN = "chosen by the other sets"
# Closing a tenth more of the gap is worth a point of accuracy lost where labels are right.
SHARE_PER_POINT = 0.1


def compute_criterion(figures, cells, method):
    """Return the pooled share of the gap on noisy cells, less a penalty for harm on clean ones.

    Harm is the mean loss against plain training in points; a gain on one set makes up for no loss
    on another.
    """
    clean = [cell for cell in cells if not is_noisy(cell)]
    share = figures.get_share([cell for cell in cells if is_noisy(cell)], method)
    losses = np.maximum(0, -figures.get_gains(clean, method))
    return share - SHARE_PER_POINT * (losses.mean() if len(losses) else 0)


def get_table(cell):
    """Return the table of data that the set of a cell is made of."""
    return SETS[cell[0]].source.table


def find_complete(figures, cells, candidates):
    """Return the cells where all candidates were run with all seeds of plain training."""

    def is_complete(cell):
        needed = ("plain", "oracle") if is_noisy(cell) else ("plain",)
        seeds = figures.get_accuracies(cell, "plain").keys()
        return bool(seeds) and all(
            seeds <= figures.get_accuracies(cell, m).keys() for m in (*needed, *candidates)
        )

    return [cell for cell in cells if is_complete(cell)]


def choose(figures, cells, candidates):
    """Return by table which candidate is the best on all other tables."""
    chosen = {}
    for table in dict.fromkeys(get_table(cell) for cell in cells):
        others = [cell for cell in cells if get_table(cell) != table]
        if not any(is_noisy(cell) for cell in others):
            raise ValueError(f"Without {table}, there is no noisy set to choose by.")
        chosen[table] = max(candidates, key=lambda m, o=others: compute_criterion(figures, o, m))
    return chosen


def add_chosen(figures, cells, chosen, measure):
    """Return figures with one more method: on every set the candidate that was chosen for it."""
    added = {
        (name, CHOSEN, recipe, seed): measured
        for (name, method, recipe, seed), measured in figures.results.items()
        if (name, recipe) in cells and method == chosen[get_table((name, recipe))]
    }
    return Figures.make(figures.results | added, measure)


def print_choice(figures, cells, candidates, measure):
    """Print what is chosen for every set, what it reaches there, and the summary."""
    complete = find_complete(figures, cells, candidates)
    if len(complete) < len(cells):
        print(f"\n{len(complete)} of {len(cells)} pairs of set and recipe have all candidates.")
    if not complete:
        raise ValueError("No set has runs of plain training, the oracle and all candidates.")
    chosen = choose(figures, complete, candidates)
    figures = add_chosen(figures, complete, chosen, measure)
    rows = []
    for cell in complete:
        gap = f"{figures.compare(cell, 'oracle', 'plain'):.1f}" if is_noisy(cell) else ""
        gain = figures.compare(cell, CHOSEN, "plain")
        rows.append((*cell, chosen[get_table(cell)], f"{gain:+.1f}", gap))
    print()
    header = ("set", "recipe", "chosen by the other sets", "gain", "oracle: gain")
    print_table(header, rows, n_text=3, is_aligned=False)
    print_summary(figures, complete, [CHOSEN, *candidates])
