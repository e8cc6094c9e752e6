"""What results say of a method: gains over plain training, and shares of the way to the oracle.

A *cell* is a pair (set, recipe). Differences of two methods are means over the seeds that both
have in a cell, in points of accuracy; NaN stands for what was not run.
"""

from dataclasses import dataclass

import numpy as np

from .methods import METHODS
from .recipes import RECIPES
from .sets import SETS

# The share of a gap that is less than this many points is the luck of a few test rows: it counts
# in the pooled share, but has none of its own.
MIN_GAP = 1.0


@dataclass(frozen=True)
class Figures:
    """Accuracies in per cent, by cell, method and seed."""

    accuracies: dict
    results: dict

    @classmethod
    def make(cls, results, measure="test_accuracy"):
        """Return the figures of results of which the keys are (set, method, recipe, seed)."""
        accuracies = {}
        for (name, method, recipe, seed), measured in results.items():
            found = accuracies.setdefault((name, recipe), {}).setdefault(method, {})
            found[seed] = 100 * measured[measure]
        return cls(accuracies, dict(results))

    @property
    def cells(self):
        """Return what was run, in the order of RECIPES and SETS."""
        cells = ((name, recipe) for recipe in RECIPES for name in SETS)
        return [cell for cell in cells if cell in self.accuracies]

    @property
    def methods(self):
        """Return what was run, in the order of METHODS; then what is not there any more."""
        found = dict.fromkeys(m for by_method in self.accuracies.values() for m in by_method)
        return [*(m for m in METHODS if m in found), *(m for m in found if m not in METHODS)]

    def get_accuracies(self, cell, method):
        """Return the accuracy of every seed."""
        return self.accuracies.get(cell, {}).get(method, {})

    def compare(self, cell, method, other):
        """Return the mean difference over the seeds that both have."""
        mine, theirs = self.get_accuracies(cell, method), self.get_accuracies(cell, other)
        seeds = mine.keys() & theirs.keys()
        return np.mean([mine[s] - theirs[s] for s in seeds]) if seeds else np.nan

    def get_gains(self, cells, method):
        """Return the points over plain training, one for each cell."""
        return np.array([self.compare(cell, method, "plain") for cell in cells])

    def get_share(self, cells, method):
        """Return the pooled share of the gap that is closed: sum of gains over sum of gaps."""
        gains, gaps = self.get_gains(cells, method), self.get_gains(cells, "oracle")
        known = ~np.isnan(gains) & ~np.isnan(gaps)
        return gains[known].sum() / gaps[known].sum() if known.any() else np.nan

    def get_mean_share(self, cells, method):
        """Return the mean of the cells' shares, of those whose gap is at least MIN_GAP."""
        gains, gaps = self.get_gains(cells, method), self.get_gains(cells, "oracle")
        known = ~np.isnan(gains) & (gaps >= MIN_GAP)
        return np.mean(gains[known] / gaps[known]) if known.any() else np.nan

    def get_runs(self, cells, method):
        """Return the measures of every run of a method, by cell and seed."""
        return {
            (name, recipe, seed): self.results[name, method, recipe, seed]
            for name, recipe in cells
            for seed in self.get_accuracies((name, recipe), method)
        }

    def get_mean(self, cells, method, measure):
        """Return the mean of a measure over the runs of some cells."""
        found = [measured[measure] for measured in self.get_runs(cells, method).values()]
        return np.mean(found) if found else np.nan

    def get_time(self, cells, method):
        """Return the median ratio of the seconds to those of plain training, over all runs."""
        plain, own = self.get_runs(cells, "plain"), self.get_runs(cells, method)
        ratios = [own[k]["seconds"] / plain[k]["seconds"] for k in own.keys() & plain.keys()]
        return np.median(ratios) if ratios else np.nan


def is_noisy(cell):
    return SETS[cell[0]].kind != "clean"
