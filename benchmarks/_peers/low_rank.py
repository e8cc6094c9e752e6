"""Column subset selection on the rows, and scikit-matter's, by the error of the chosen span."""

import time
import warnings
from contextlib import suppress
from functools import partial

import numpy as np
from _markdown import print_table
from _turns import compare_times, print_not_run, take_turns, warm_up

from crust_sklearn.strategies import GreedyCSS, GreedyLowRank, Leverage, PivotedQR, Uniform

from .low_rank_errors import LowRankErrors
from .memory import get_extra_mib, weigh
from .ours import select


class StopCUR(Exception):
    """The time for it is over."""


def cur(X, k, seed=0, *, limit=600.0, recompute_every=1):
    """Return the rows that scikit-matter's CUR chooses within `limit` seconds.

    With `recompute_every=0`: the largest entries of the k leading singular vectors.
    """
    from skmatter.sample_selection import CUR

    class TimedCUR(CUR):
        def _update_post_selection(self, X, y, last_selected):
            super()._update_post_selection(X, y, last_selected)
            if time.perf_counter() > deadline:
                raise StopCUR

    deadline = time.perf_counter() + limit
    vectors = 1 if recompute_every else min(k, min(X.shape) - 1)
    selector = TimedCUR(n_to_select=k, k=vectors, recompute_every=recompute_every)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of zeros, once the rows are spanned
        with suppress(StopCUR):
            selector.fit(X)
    return np.asarray(selector.selected_idx_[: selector.n_selected_], dtype=np.int64)


def fps(X, k, seed=0):
    """Return the rows of scikit-matter's farthest point sampling."""
    from skmatter.sample_selection import FPS

    return np.asarray(FPS(n_to_select=k).fit(X).selected_idx_, dtype=np.int64)


def get_competitors(limit):
    """Return who chooses; scikit-matter's CUR within `limit` seconds."""
    return {
        "crust_sklearn, greedy-css": partial(select, GreedyCSS()),
        "crust_sklearn, greedy-low-rank": partial(select, GreedyLowRank()),
        "crust_sklearn, pivoted-qr": partial(select, PivotedQR()),
        "crust_sklearn, leverage": partial(select, Leverage()),
        "crust_sklearn, leverage, top": partial(select, Leverage(sampling="top")),
        "crust_sklearn, uniform": partial(select, Uniform()),
        "scikit-matter CUR": partial(cur, limit=limit),
        "scikit-matter CUR, recompute_every=0": partial(cur, recompute_every=0),
        "scikit-matter FPS": fps,
    }


def select_fresh(name, path, k):
    """Return the memory that one of them takes; called in a fresh process."""
    return weigh(get_competitors(limit=20.0)[name], path, k)


def print_low_rank(what, A, sizes, n_turns, limit, short):
    """Print time and error of the low-rank strategies and their peers."""
    measure = LowRankErrors(A)
    choices = get_competitors(limit)
    ours = next(iter(choices))
    warm_up(choices, A, min(sizes))
    weighed = () if short else choices
    memory = get_extra_mib("_peers.low_rank:select_fresh", weighed, A, min(sizes))
    for k in sizes:
        calls = {
            name: lambda seed, call=call, k=k: call(A, k, seed) for name, call in choices.items()
        }
        measured = take_turns(calls, n_turns)
        print(
            f"\nLow rank: {what}, {len(A)} x {A.shape[1]} of rank {measure.rank}, {k} chosen, "
            f"{n_turns} turns. Errors relative to the best subspace of as many dimensions.\nOurs "
            f"also assign every row to its nearest chosen row. CUR is given {limit:.0f} s.\n"
            "inf: the best subspace is exact, the span of the choice is not.\n"
        )
        rows = []
        for name, (least, ratio, median) in compare_times(measured, ours).items():
            errors = [measure.errors(indices) for indices in measured[name].results]
            n_done = len(measured[name].results[0])
            label = name if n_done == k else f"{name}: {n_done} of {k} rows in the time"
            rows.append(
                (
                    label,
                    f"{least:.2f}",
                    f"{ratio:.2f}",
                    f"{median:.2f}",
                    *(f"{value:.3f}" for value in np.mean(errors, axis=0)),
                    memory.get(name, "") if k == min(sizes) else "",
                )
            )
            if n_done < k:
                rows.append(greedy_as_far(A, n_done, measure))
        header = ("", "least s", "ratio", "median", "Frobenius", "spectral", "extra MiB")
        print_table(header, rows)
        print_not_run(measured)


def greedy_as_far(A, k, measure):
    """Return the row of greedy-css with as many rows as CUR had time for."""
    start = time.perf_counter()
    chosen = select(GreedyCSS(), A, k)
    seconds = time.perf_counter() - start
    fro, spectral = measure.errors(chosen)
    name = f"crust_sklearn, greedy-css, {k} rows"
    return name, f"{seconds:.2f}", "", "", f"{fro:.3f}", f"{spectral:.3f}", ""
