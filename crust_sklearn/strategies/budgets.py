"""How many rows to choose from each group."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import numpy as np


def share_budget(sizes: Sequence[int], coreset_size: float | int) -> list[int]:
    """Return how many rows to choose from each group.

    Parameters
    ----------
    sizes : sequence of int
        The number of rows of each group.
    coreset_size : float or int
        A fraction of each group, or the total, shared out in proportion to `sizes` by
        largest remainder. Every group gets at least one, none more than it has.

    Returns
    -------
    budgets : list of int

    Raises
    ------
    ValueError
        If an int `coreset_size` is less than the number of groups.

    Examples
    --------
    >>> from crust_sklearn.strategies.budgets import share_budget
    >>> share_budget([6, 3, 1], 0.5), share_budget([6, 3, 1], 4)
    ([3, 2, 1], [2, 1, 1])
    """
    counts = np.asarray(sizes)
    if not isinstance(coreset_size, Integral):
        # 0.29 * 100 is a little less than 29: the last digits must not decide.
        share = np.floor(np.round(float(coreset_size) * counts, 9) + 0.5).astype(int)
        return np.maximum(share, 1).tolist()
    if coreset_size < len(counts):
        raise ValueError(
            f"coreset_size={coreset_size} is less than the {len(counts)} classes, each of which "
            f"needs at least one row. Give at least {len(counts)}, or do not group by class."
        )
    total = min(int(coreset_size), int(counts.sum()))
    share = _largest_remainder(total, counts)
    large = np.ones(len(counts), dtype=bool)
    while not share.all():
        # Who went without gets one, and the others share what is left.
        large &= share > 0
        share = np.ones(len(counts), dtype=int)
        share[large] = _largest_remainder(total - int(np.sum(~large)), counts[large])
    return share.tolist()


def _largest_remainder(total: int, counts: np.ndarray) -> np.ndarray:
    share, remainder = np.divmod(total * counts, counts.sum())
    share[np.argsort(-remainder, kind="stable")[: total - share.sum()]] += 1
    return share
