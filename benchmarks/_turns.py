"""Competitors that take turns. Imports neither torch nor the package."""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np

# A competitor slower than this is measured once, not in every turn.
SLOW_SECONDS = 20.0


@dataclass
class Measured:
    """The seconds of each turn and what was returned, or why there is nothing."""

    seconds: np.ndarray
    results: list
    not_run: str = ""


def take_turns(calls, n_turns):
    """Call everything once per turn, one after the other, so that a busy machine slows all.

    `calls` maps names to functions of the turn's number. What fails, for instance because its
    package is missing, is left out from then on, and the answer says why.
    """
    measured = {name: Measured(np.array([]), []) for name in calls}
    for turn in range(n_turns):
        for name, call in calls.items():
            so_far = measured[name]
            if so_far.not_run or (turn and so_far.seconds.max() > SLOW_SECONDS):
                continue
            start = time.perf_counter()
            try:
                so_far.results.append(call(turn))
            except Exception as error:  # a peer that is missing or fails must not stop the others
                so_far.not_run = f"{type(error).__name__}: {error}"
                continue
            so_far.seconds = np.append(so_far.seconds, time.perf_counter() - start)
    return measured


def warm_up(competitors, X, k):
    """Import and compile everything on a few rows."""
    part = X[: min(len(X), 300)]
    take_turns(
        {n: partial(call, part, min(k, len(part) // 2)) for n, call in competitors.items()}, 1
    )


def compare_times(measured, ours):
    """Return least seconds, ratio of the least, and median of the ratios turn by turn, to ours."""
    reference = measured[ours].seconds
    found = {}
    for name, m in measured.items():
        if not m.not_run:
            turns = len(m.seconds)
            ratios = m.seconds / reference[:turns]
            found[name] = m.seconds.min(), m.seconds.min() / reference.min(), np.median(ratios)
    return found


def print_not_run(measured):
    """Print what failed, and why."""
    for name, m in measured.items():
        if m.not_run:
            print(f"not run: {name}: {m.not_run}")
