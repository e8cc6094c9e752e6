"""Greedy facility location: the k-medoids surrogate of CRUST."""

from __future__ import annotations

from math import ceil, log
from typing import Any

import numba
import numpy as np
from numpy.random import RandomState

from .._validation import check_choice, check_number
from .base import BaseDistanceStrategy
from .distances import distance_matrix

# Choices by whole rows of the distance matrix, before lists of near rows replace them.
N_DENSE = 6
# The lists may hold this share of the matrix's entries: with 8 bytes each, a quarter of its memory.
MAX_LISTED = 1 / 8


class FacilityLocation(BaseDistanceStrategy):
    """Choose medoids greedily (paper, Eq. 6, as facility location).

    Every step adds the row that shortens the weighted sum of the distances to the nearest
    chosen row the most. The function is monotone and submodular, so the reduction of the
    objective is at least 1 - 1/e of the best possible [1]_. Ties go to the lowest index.

    Rows far from all others earn much: with wrong labels spread out in gradient space, this
    strategy prefers them. See ``Centrality`` for the opposite rule.

    Parameters
    ----------
    optimizer : {"lazy", "stochastic"}, default="lazy"
        "lazy" evaluates a row again only when its old gain, an upper bound, leads [2]_: the
        exact greedy choice. "stochastic" takes in every step the best of a random sample of
        rows; 1 - 1/e - `epsilon` of the best in expectation [3]_, in time that does not
        depend on `n_select`.
    epsilon : float, default=0.01
        Accuracy of "stochastic": a step looks at ``n_rows / n_select * log(1 / epsilon)``
        rows. Between 0 and 1, both excluded. Not used by "lazy".
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance between rows; None: the selector's, "euclidean" alone.

    References
    ----------
    .. [1] Nemhauser, Wolsey, Fisher, "An analysis of approximations for maximizing
       submodular set functions", Mathematical Programming, 1978.
    .. [2] Minoux, "Accelerated greedy algorithms for maximizing submodular set functions",
       Optimization Techniques, 1978.
    .. [3] Mirzasoleiman, Badanidiyuru, Karbasi, Vondrak, Krause, "Lazier than lazy greedy",
       AAAI 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import FacilityLocation
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
    >>> FacilityLocation().select(X, 2).indices
    array([2, 3])
    """

    can_extend = True

    def __init__(self, optimizer: str = "lazy", epsilon: float = 0.01, metric: Any = None):
        super().__init__(metric=metric)
        self.optimizer = optimizer
        self.epsilon = epsilon

    def check_options(self) -> None:
        """Raise if a parameter of the strategy is not valid."""
        super().check_options()
        check_choice("optimizer", self.optimizer, ("lazy", "stochastic"))
        check_number("epsilon", self.epsilon, low=0.0, high=1.0, open_low=True)
        if self.epsilon == 1.0:
            raise ValueError("epsilon must be less than 1; got 1.0: no row would be looked at.")

    def _pick(
        self,
        distances: np.ndarray,
        n_select: int,
        sample_weight: np.ndarray,
        random_state: RandomState,
    ) -> np.ndarray:
        start = distances.max(initial=np.float32(0.0))
        return self._choose(distances, n_select, sample_weight, random_state, start)

    def _pick_more(
        self,
        X: np.ndarray,
        initial: np.ndarray,
        rest: np.ndarray,
        n_select: int,
        sample_weight: np.ndarray,
        random_state: RandomState,
    ) -> np.ndarray:
        distances, _ = distance_matrix(X, self.get_metric())
        start = distances[initial].min(axis=0)
        return self._choose(distances[rest], n_select, sample_weight, random_state, start)

    def _choose(
        self,
        distances: np.ndarray,
        n_select: int,
        sample_weight: np.ndarray,
        random_state: RandomState,
        start: Any,
    ) -> np.ndarray:
        weights = (sample_weight / sample_weight.max()).astype(np.float32)
        if self.optimizer == "lazy":
            return lazy_greedy(distances, weights, n_select, start)[0]
        n_rows = len(distances)
        n_candidates = min(n_rows, ceil(n_rows / n_select * log(1 / self.epsilon)))
        draws = random_state.random_sample((n_select, n_candidates)).astype(np.float32)
        return stochastic_greedy(distances, weights, start, draws)[0]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _gain(
    row: np.ndarray, weights: np.ndarray, nearest: np.ndarray
) -> float:  # pragma: no cover (compiled)
    # d + |d| is 2 max(d, 0) without a branch; short float32 sums are added up in float64.
    # Slices, whose indices start at 0: only then is the inner loop vectorized.
    total = 0.0
    for first in range(0, row.size, 256):
        part = np.float32(0)
        block = slice(first, first + 256)
        d, w, m = row[block], weights[block], nearest[block]
        for i in range(d.size):
            shorter = m[i] - d[i]
            part += w[i] * (shorter + abs(shorter))
        total += float(part)
    return 0.5 * total


@numba.njit(cache=True, nogil=True)
def _list_near(
    distances: np.ndarray, nearest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # pragma: no cover (compiled)
    # For every row the rows that it would be nearer to than their medoid is. No others can add
    # to its gain from now on, and after t choices there are about n / t of them.
    # Empty, where they would take too much memory.
    n_rows, n_columns = distances.shape
    start = np.zeros(n_rows + 1, np.int64)
    for i in range(n_rows):
        count = 0
        for j in range(n_columns):
            count += distances[i, j] < nearest[j]
        start[i + 1] = start[i] + count
    if start[n_rows] > MAX_LISTED * n_rows * n_columns:
        start[:] = 0
    near = np.empty(start[n_rows], np.int32)
    near_distance = np.empty(start[n_rows], np.float32)
    for i in range(n_rows if near.size else 0):
        at = start[i]
        for j in range(n_columns):
            if distances[i, j] < nearest[j]:
                near[at] = j
                near_distance[at] = distances[i, j]
                at += 1
    return start[:-1].copy(), start[1:].copy(), near, near_distance


@numba.njit(cache=True, nogil=True)
def _near_gain(
    first: int,
    stop: int,
    near: np.ndarray,
    near_distance: np.ndarray,
    weights: np.ndarray,
    nearest: np.ndarray,
) -> tuple[float, int]:  # pragma: no cover (compiled)
    # The gain over the list, and its new end: rows that another medoid has taken drop out.
    # In float64, where differences of float32 are exact: two rows that are near each other and
    # nothing else gain the same, and such ties are to go by the index, not by rounding.
    total, keep = 0.0, first
    for at in range(first, stop):
        i, distance = near[at], near_distance[at]
        if distance < nearest[i]:
            total += np.float64(weights[i]) * (np.float64(nearest[i]) - np.float64(distance))
            near[keep], near_distance[keep] = i, distance
            keep += 1
    return total, keep


@numba.njit(cache=True, nogil=True, inline="always")
def _gain_now(
    row: int,
    distances: np.ndarray,
    weights: np.ndarray,
    nearest: np.ndarray,
    lists: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> float:  # pragma: no cover (compiled)
    first, stop, near, near_distance = lists
    if near.size == 0:
        gain = _gain(distances[row], weights, nearest)
    else:
        gain, stop[row] = _near_gain(first[row], stop[row], near, near_distance, weights, nearest)
    return gain


@numba.njit(cache=True, nogil=True)
def _choose(
    row: int,
    distances: np.ndarray,
    nearest: np.ndarray,
    lists: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:  # pragma: no cover (compiled)
    # Shorten the distances of the rows that are nearer to the new medoid.
    first, stop, near, near_distance = lists
    if near.size == 0:
        for i in range(nearest.size):
            nearest[i] = min(nearest[i], distances[row, i])
    else:
        for at in range(first[row], stop[row]):
            i = near[at]
            nearest[i] = min(nearest[i], near_distance[at])


@numba.njit(cache=True, nogil=True)
def _sift_down(
    heap: np.ndarray, bounds: np.ndarray, size: int, item: Any, bound: Any
) -> None:  # pragma: no cover (compiled)
    # Put `item` at the root of a heap whose first entry has the largest bound, or among
    # equal bounds the lowest index, and let it sink.
    position = 0
    while True:
        child = 2 * position + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            bounds[right] > bounds[child]
            or (bounds[right] == bounds[child] and heap[right] < heap[child])
        ):
            child = right
        if bounds[child] < bound or (bounds[child] == bound and heap[child] > item):
            break
        heap[position] = heap[child]
        bounds[position] = bounds[child]
        position = child
    heap[position] = item
    bounds[position] = bound


@numba.njit(cache=True, nogil=True)
def lazy_greedy(
    distances: np.ndarray, weights: np.ndarray, n_select: int, start: Any
) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover (compiled)
    """Return the exact greedy choice of `n_select` rows and the gain of each.

    Parameters
    ----------
    distances : ndarray of shape (n_rows, n_points), dtype float32
        From the rows to choose from to the points to cover: the same, or others.
    weights : ndarray of shape (n_points,), dtype float32
    n_select : int
    start : float32 or ndarray of shape (n_points,), dtype float32
        Every point's distance before the first choice: to what was chosen before, or, for all of
        them, at least the largest distance.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
    gains : ndarray of shape (n_select,), dtype float64
    """
    n_rows, n_columns = distances.shape
    nearest = np.empty(n_columns, np.float32)
    nearest[:] = start
    lists = _list_near(distances[:0], nearest)
    gains = np.empty(n_rows)
    for i in range(n_rows):
        gains[i] = _gain_now(i, distances, weights, nearest, lists)
    heap = np.argsort(-gains, kind="mergesort")
    bounds = gains[heap]
    evaluated_at = np.zeros(n_rows, np.int64)
    size = n_rows
    indices = np.empty(n_select, np.int64)
    chosen_gains = np.empty(n_select)
    next_try = N_DENSE
    for step in range(n_select):
        if step == next_try and lists[2].size == 0:
            lists, next_try = _list_near(distances, nearest), 2 * next_try
        while evaluated_at[heap[0]] != step:
            top = heap[0]
            evaluated_at[top] = step
            gain = _gain_now(top, distances, weights, nearest, lists)
            _sift_down(heap, bounds, size, top, gain)
        top = heap[0]
        indices[step] = top
        chosen_gains[step] = bounds[0]
        size -= 1
        _sift_down(heap, bounds, size, heap[size], bounds[size])
        _choose(top, distances, nearest, lists)
    return indices, chosen_gains


@numba.njit(cache=True, nogil=True)
def stochastic_greedy(
    distances: np.ndarray, weights: np.ndarray, start: Any, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover (compiled)
    """Return the choice of stochastic greedy and the gain of each.

    Parameters
    ----------
    distances : ndarray of shape (n_rows, n_points), dtype float32
    weights : ndarray of shape (n_points,), dtype float32
    start : float32 or ndarray of shape (n_points,), dtype float32
        As of `lazy_greedy`.
    draws : ndarray of shape (n_select, n_candidates), dtype float32
        Uniform numbers in [0, 1), one for every candidate of every step.

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
    gains : ndarray of shape (n_select,), dtype float64
    """
    n_rows, n_columns = distances.shape
    n_select, n_candidates = draws.shape
    nearest = np.empty(n_columns, np.float32)
    nearest[:] = start
    rest = np.arange(n_rows)
    size = n_rows
    indices = np.empty(n_select, np.int64)
    chosen_gains = np.empty(n_select)
    lists = _list_near(distances[:0], nearest)
    next_try = N_DENSE
    for step in range(n_select):
        if step == next_try and lists[2].size == 0:
            lists, next_try = _list_near(distances, nearest), 2 * next_try
        best, best_gain = -1, -1.0
        for c in range(min(n_candidates, size)):
            # A partial shuffle: candidates of one step are distinct.
            other = c + min(int(draws[step, c] * (size - c)), size - c - 1)
            rest[c], rest[other] = rest[other], rest[c]
            gain = _gain_now(rest[c], distances, weights, nearest, lists)
            if gain > best_gain or (gain == best_gain and rest[c] < rest[best]):
                best, best_gain = c, gain
        chosen = rest[best]
        size -= 1
        rest[best] = rest[size]
        indices[step] = chosen
        chosen_gains[step] = best_gain
        _choose(chosen, distances, nearest, lists)
    return indices, chosen_gains
