"""K-medoids by swaps: FasterPAM, and the solvers of scikit-learn-extra."""

from __future__ import annotations

from importlib import import_module
from numbers import Integral
from typing import Any
from warnings import warn

import numba
import numpy as np
from numpy.random import RandomState
from sklearn.exceptions import ConvergenceWarning

from .._validation import check_choice, check_number
from .base import BaseDistanceStrategy, BaseStrategy, Coreset
from .distances import normalize_rows, weighted_row_sums
from .facility_location import lazy_greedy

# A swap has to gain this share of what it moves: more than rounding can feign, so that every
# swap lowers the objective and no set of medoids comes back.
TOLERANCE = 1e-12
# Rows that are tested at once for one that a candidate is near to.
BLOCK = 32
# Samples that CLARA draws: its authors' number, and scikit-learn-extra's.
N_SAMPLES = 5


class KMedoids(BaseDistanceStrategy):
    """Choose medoids by swaps: a local optimum of the k-medoids objective (paper, Eq. 6).

    FasterPAM [1]_ tries every row in place of the medoid that it replaces best, takes each swap
    that lowers the objective at once, and stops where no single swap lowers it. From greedy's
    choice that takes a few passes over the rows. The objective is never above the start's.

    Rows are tried most central first (by their weighted summed distance), ties by the lowest
    index, so that the choice depends neither on the order of the rows nor on threads.

    Parameters
    ----------
    solver : {"fasterpam", "pam", "alternate", "clara"}, default="fasterpam"
        "fasterpam" is compiled here. The others are those of scikit-learn-extra, which has to be
        installed; they take no sample weights. "pam" makes the best of all swaps at each step
        [2]_, "alternate" moves each medoid to the center of its cluster, as k-means does, and
        "clara" runs "pam" on five random samples of ``40 + 2 * n_select`` rows and keeps the
        best medoids [2]_: it needs no distance matrix of all rows.
    init : {"greedy", "random"}, default="greedy"
        The medoids to begin with: the exact choice of ``FacilityLocation`` (scikit-learn-extra's
        "build", the same rule, for its solvers), or rows drawn at random. One medoid is never
        drawn at random by "pam" and "clara", which would not move it.
    max_iter : int, default=100
        The most passes over the rows of "fasterpam", the most swaps of "pam" (and of each sample
        of "clara"), the most rounds of "alternate". A ``ConvergenceWarning`` says if they did
        not do.
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance between rows; None: the selector's, "euclidean" alone. "clara" does not take
        an object with ``pairwise``.

    Notes
    -----
    The chosen rows are in the order of the start, greedy's by default; a medoid swapped in takes
    the place of the one that it replaces. "pam" and "alternate" keep to that order as well.

    `random_state` is used by ``init="random"`` and by "clara".

    Beside the distance matrix, "fasterpam" takes memory for a few numbers per row, and a pass
    takes time for one look at the matrix, whatever the number of medoids. The solvers of
    scikit-learn-extra take more: "pam" and "alternate" copies of the medoids' rows of the matrix.

    References
    ----------
    .. [1] Schubert, Rousseeuw, "Fast and eager k-medoids clustering: O(k) runtime improvement of
       the PAM, CLARA, and CLARANS algorithms", Information Systems, 2021.
    .. [2] Kaufman, Rousseeuw, "Finding Groups in Data", Wiley, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import FacilityLocation
    >>> from crust_sklearn.strategies import KMedoids
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> greedy, swapped = FacilityLocation().select(X, 2), KMedoids().select(X, 2)
    >>> greedy.indices, round(greedy.objective, 3)
    (array([2, 4]), 5.0)
    >>> swapped.indices, round(swapped.objective, 3)
    (array([1, 4]), 4.0)
    """

    def __init__(
        self,
        solver: str = "fasterpam",
        init: str = "greedy",
        max_iter: int = 100,
        metric: Any = None,
    ):
        super().__init__(metric=metric)
        self.solver = solver
        self.init = init
        self.max_iter = max_iter

    def check_options(self) -> None:
        """Raise if a parameter of the strategy is not valid."""
        super().check_options()
        check_choice("solver", self.solver, ("fasterpam", "pam", "alternate", "clara"))
        check_choice("init", self.init, ("greedy", "random"))
        check_number("max_iter", self.max_iter, kind=Integral, low=1)
        if self.solver == "clara" and hasattr(self.get_metric(), "pairwise"):
            raise ValueError(
                "solver='clara' takes no object with a method pairwise as metric. Give the name "
                "of a metric or a function of two rows, or choose another solver."
            )

    def get_max_rows(self) -> float:
        """Return how many rows may be selected from at once."""
        # CLARA samples rows, so that it needs them, and no distance matrix of them all.
        return np.inf if self.solver == "clara" else super().get_max_rows()

    def select_part(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> Coreset:
        """Return the coreset of a part: by its distance matrix, or by its rows for "clara"."""
        base = BaseStrategy if self.solver == "clara" else BaseDistanceStrategy
        return base.select_part(self, X, n_select, sample_weight, random_state)

    def _pick(
        self,
        distances: np.ndarray,
        n_select: int,
        sample_weight: np.ndarray,
        random_state: RandomState,
    ) -> np.ndarray:
        if self.solver == "fasterpam":
            return self._faster_pam(distances, n_select, sample_weight, random_state)
        _check_uniform(sample_weight, self.solver)
        cluster = import_sklearn_extra(self.solver)
        if n_select == len(distances):
            return np.arange(n_select)
        options = {
            "n_clusters": n_select,
            "init": "build" if self.init == "greedy" or n_select == 1 else "random",
            # PAM knows no swap of the only medoid, and warns; the greedy one is the best.
            "max_iter": 0 if n_select == 1 and self.solver != "alternate" else self.max_iter,
        }
        if self.solver == "clara":
            return self._clara(cluster.CLARA, distances, options, random_state)
        solver = cluster.KMedoids(
            metric="precomputed", method=self.solver, random_state=random_state, **options
        )
        return solver.fit(distances).medoid_indices_

    def _faster_pam(
        self,
        distances: np.ndarray,
        n_select: int,
        sample_weight: np.ndarray,
        random_state: RandomState,
    ) -> np.ndarray:
        weights = sample_weight / sample_weight.max()
        farthest = distances.max(initial=np.float32(0.0))
        short = weights.astype(np.float32)
        candidates = np.argsort(weighted_row_sums(distances, short), kind="stable")
        if self.init == "greedy":
            start = lazy_greedy(distances, short, n_select, farthest)[0]
        else:
            start = candidates[random_state.permutation(len(distances))[:n_select]]
        medoids, _, converged = faster_pam(
            distances, weights, start, candidates, farthest, self.max_iter
        )
        if not converged:
            warn(
                f"max_iter={self.max_iter} passes over the rows were not enough: swaps that "
                "improve the medoids may be left. Raise max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return medoids

    def _clara(
        self, clara: Any, X: np.ndarray, options: dict[str, Any], random_state: RandomState
    ) -> np.ndarray:
        # One sample at a time: given several, CLARA 0.3.0 reports the positions that the best
        # medoids had in their sample as positions in the last sample, that is, other rows.
        rows = normalize_rows(X)[0] if self.get_metric() == "euclidean" else X
        best, least = np.arange(options["n_clusters"]), np.inf
        for _ in range(N_SAMPLES):
            solver = clara(
                metric=self.get_metric(), n_sampling_iter=1, random_state=random_state, **options
            ).fit(rows)
            if solver.inertia_ < least:
                best, least = solver.medoid_indices_, solver.inertia_
        return best


def import_sklearn_extra(solver: str) -> Any:
    """Return the module `sklearn_extra.cluster`, or say what to do where it does not import.

    Parameters
    ----------
    solver : str
        Who needs it, for the message.

    Returns
    -------
    cluster : module

    Raises
    ------
    ImportError
        If scikit-learn-extra is not installed, or built for another version of NumPy.
    """
    try:
        return import_module("sklearn_extra.cluster")
    # Where it was compiled for NumPy 1 and NumPy 2 is installed, the error is a ValueError.
    except (ImportError, ValueError) as error:
        raise ImportError(
            f"solver={solver!r} needs scikit-learn-extra, which does not import here "
            f"({type(error).__name__}: {error}). Its wheels are for NumPy 1: either use that,\n"
            '    pip install "numpy<2" scikit-learn-extra\n'
            "or build it for the NumPy that is installed,\n"
            "    pip install --upgrade cython setuptools\n"
            "    pip install --no-build-isolation --no-binary scikit-learn-extra "
            "--no-cache-dir --force-reinstall --no-deps scikit-learn-extra\n"
            "or choose solver='fasterpam', which needs neither."
        ) from error


def _check_uniform(sample_weight: np.ndarray, solver: str) -> None:
    if sample_weight.min() < sample_weight.max():
        raise ValueError(
            f"solver={solver!r} of scikit-learn-extra takes no sample weights, and these are not "
            "all equal (CoresetSelector also weighs equal rows, which it merges, by their "
            "number). Choose solver='fasterpam', or give no weights."
        )


@numba.njit(cache=True, nogil=True, fastmath=True)
def _any_below(row: np.ndarray, bound: np.ndarray) -> bool:  # pragma: no cover (compiled)
    # One vectorized minimum; most blocks of most candidates end here.
    low = np.float32(0)
    for i in range(row.size):
        low = min(low, row[i] - bound[i])
    return bool(low < 0)


@numba.njit(cache=True, nogil=True)
def _second_nearest(
    distances: np.ndarray, medoids: np.ndarray, i: int, nearest: int
) -> tuple[int, Any]:  # pragma: no cover (compiled)
    # The nearest medoid of row i but the one in position `nearest`.
    best, best_distance = -1, np.float32(np.inf)
    for position in range(medoids.size):
        distance = distances[medoids[position], i]
        if distance < best_distance and position != nearest:
            best, best_distance = position, distance
    return best, best_distance


@numba.njit(cache=True, nogil=True)
def _two_nearest(
    distances: np.ndarray, medoids: np.ndarray, farthest: np.float32
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # pragma: no cover (compiled)
    # For every row the positions of its two nearest medoids, and how far they are. Where there
    # is one medoid only, a second as far as can be makes every formula below hold.
    n_rows = distances.shape[0]
    first = np.zeros(n_rows, np.int64)
    first_distance = distances[medoids[0]].copy()
    second = np.full(n_rows, -1, np.int64)
    second_distance = np.full(n_rows, farthest if medoids.size == 1 else np.inf, np.float32)
    for position in range(1, medoids.size):
        row = distances[medoids[position]]
        for begin in range(0, n_rows, BLOCK):
            end = min(begin + BLOCK, n_rows)
            if not _any_below(row[begin:end], second_distance[begin:end]):
                continue
            for i in range(begin, end):
                if row[i] < first_distance[i]:
                    second[i], second_distance[i] = first[i], first_distance[i]
                    first[i], first_distance[i] = position, row[i]
                elif row[i] < second_distance[i]:
                    second[i], second_distance[i] = position, row[i]
    return first, first_distance, second, second_distance


@numba.njit(cache=True, nogil=True)
def _removal_losses(
    weights: np.ndarray,
    first: np.ndarray,
    first_distance: np.ndarray,
    second_distance: np.ndarray,
    losses: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    # What the objective would lose without each of the medoids. Summed anew after every swap, in
    # a pass no longer than the swap's own: kept up by differences, it would drift.
    losses[:] = 0.0
    for i in range(first.size):
        step = np.float64(second_distance[i]) - np.float64(first_distance[i])
        losses[first[i]] += weights[i] * step


@numba.njit(cache=True, nogil=True)
def _best_removal(
    row: np.ndarray,
    weights: np.ndarray,
    first: np.ndarray,
    first_distance: np.ndarray,
    second_distance: np.ndarray,
    losses: np.ndarray,
    cheapest: Any,
    relief: np.ndarray,
    touched: np.ndarray,
) -> tuple[int, float, float]:  # pragma: no cover (compiled)
    # The medoid that the candidate with this row of distances had best replace, the change of
    # the objective, and the size of the terms in it. A medoid that the candidate relieves of
    # none of its loss stays at it, so of those only the cheapest counts: no loop over medoids.
    gain, n_touched = 0.0, 0
    for begin in range(0, row.size, BLOCK):
        end = min(begin + BLOCK, row.size)
        if not _any_below(row[begin:end], second_distance[begin:end]):
            continue
        for i in range(begin, end):
            if row[i] < second_distance[i]:
                distance, own = np.float64(row[i]), np.float64(first_distance[i])
                gain += weights[i] * max(own - distance, 0.0)
                spared = np.float64(second_distance[i]) - max(own, distance)
                relief[first[i]] += weights[i] * spared
                touched[n_touched] = first[i]
                n_touched += 1
    best, least = cheapest, losses[cheapest] - relief[cheapest]
    for at in range(n_touched):
        position = touched[at]
        loss = losses[position] - relief[position]
        if loss < least or (loss == least and position < best):
            best, least = position, loss
    for at in range(n_touched):
        relief[touched[at]] = 0.0
    return best, least - gain, losses[best] + gain


@numba.njit(cache=True, nogil=True)
def _swap(
    distances: np.ndarray,
    medoids: np.ndarray,
    position: int,
    candidate: int,
    first: np.ndarray,
    first_distance: np.ndarray,
    second: np.ndarray,
    second_distance: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    # Put the candidate in that position, and mend the two nearest medoids of every row.
    medoids[position] = candidate
    row = distances[candidate]
    for i in range(row.size):
        distance = row[i]
        if first[i] == position:
            if distance <= second_distance[i]:
                first_distance[i] = distance
            else:
                first[i], first_distance[i] = second[i], second_distance[i]
                second[i], second_distance[i] = _second_nearest(distances, medoids, i, first[i])
        elif distance < first_distance[i]:
            second[i], second_distance[i] = first[i], first_distance[i]
            first[i], first_distance[i] = position, distance
        elif distance < second_distance[i]:
            second[i], second_distance[i] = position, distance
        elif second[i] == position:
            second[i], second_distance[i] = _second_nearest(distances, medoids, i, first[i])


@numba.njit(cache=True, nogil=True)
def faster_pam(
    distances: np.ndarray,
    weights: np.ndarray,
    start: np.ndarray,
    candidates: np.ndarray,
    farthest: np.float32,
    max_iter: int,
) -> tuple[np.ndarray, int, bool]:  # pragma: no cover (compiled)
    """Return the medoids after eager swaps, their number, and whether no swap is left.

    Parameters
    ----------
    distances : ndarray of shape (n_rows, n_rows), dtype float32
    weights : ndarray of shape (n_rows,), dtype float64
    start : ndarray of shape (n_select,), dtype int64
        The medoids to begin with, distinct.
    candidates : ndarray of shape (n_rows,), dtype int64
        Every row once, in the order in which they are tried.
    farthest : float32
        At least the largest distance.
    max_iter : int
        How many times to go through the candidates.

    Returns
    -------
    medoids : ndarray of shape (n_select,), dtype int64
        A medoid swapped in has the position of the one that it replaced.
    n_swaps : int
    converged : bool
    """
    n_rows = distances.shape[0]
    medoids = start.copy()
    is_medoid = np.zeros(n_rows, np.bool_)
    is_medoid[medoids] = True
    first, first_distance, second, second_distance = _two_nearest(distances, medoids, farthest)
    losses, relief = np.empty(medoids.size), np.zeros(medoids.size)
    touched = np.empty(n_rows, np.int64)
    _removal_losses(weights, first, first_distance, second_distance, losses)
    cheapest = np.argmin(losses)
    n_swaps, n_idle = 0, 0
    for _ in range(max_iter):
        for candidate in candidates:
            if n_idle == n_rows:
                return medoids, n_swaps, True
            n_idle += 1
            if is_medoid[candidate]:
                continue
            best, change, size = _best_removal(
                distances[candidate],
                weights,
                first,
                first_distance,
                second_distance,
                losses,
                cheapest,
                relief,
                touched,
            )
            if change >= -TOLERANCE * size:
                continue
            is_medoid[medoids[best]], is_medoid[candidate] = False, True
            _swap(
                distances, medoids, best, candidate, first, first_distance, second, second_distance
            )
            _removal_losses(weights, first, first_distance, second_distance, losses)
            cheapest = np.argmin(losses)
            n_swaps, n_idle = n_swaps + 1, 0
    return medoids, n_swaps, n_idle == n_rows
