"""Ridge leverage scores: how much of the rows' span depends on each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy import linalg

from .._validation import check_choice, check_number
from .base import BaseStrategy, Coreset, make_coreset
from .distances import nearest_rows
from .low_rank import rank_tolerance, row_norms, scale_rows, shorten_rows


class Leverage(BaseStrategy):
    """Choose rows by their ridge leverage scores, at random or from the top.

    The score of row i is ``tau_i = a_i^T (A^T A + ridge I)^-1 a_i`` [1]_, between 0 and 1: near 1
    for a row that points where no other does. Their sum is the effective dimension.

    Parameters
    ----------
    ridge : "auto" or float, default="auto"
        What is added to the diagonal of ``A^T A``. "auto": ``|A - A_k|_F^2 / k`` with A_k the best
        approximation of rank k = `n_select` [1]_. A float is greater than 0, in the units of
        ``A^T A``. It is never taken smaller than ``eps * max(X.shape)`` times the largest
        eigenvalue of ``A^T A``, eps = 2.2e-16: the value of "auto" where k reaches the rank.
    sampling : {"proportional", "top"}, default="proportional"
        "proportional" draws exactly k distinct rows, row i with probability
        ``p_i = min(1, c tau_i)``, c such that the p_i add up to k. "top" takes the k rows of
        largest score; of equal scores the row of larger norm, then of lower index.
    metric : str, callable, object with a method ``pairwise(X, Y)`` or None, default=None
        The distance that assigns rows to the chosen ones; None: the selector's, "euclidean"
        alone. The choice itself is by inner products and does not depend on it.

    Notes
    -----
    The coreset's weights with "proportional" are not cluster sizes but those of Horvitz and
    Thompson, ``sample_weight_i / p_i``: the weighted ``sum_i weights_i a_i a_i^T`` over the chosen
    rows is an unbiased estimate of the same sum over all rows, as is any other weighted sum that
    leaves rows of score zero out. Their sum is the total weight only in expectation. With "top"
    they are cluster sizes: the total `sample_weight` of the rows nearest to each chosen one.

    `sample_weight` scales the rows: row i of A is ``sqrt(w_i) a_i``.

    The draw is systematic [2]_: the p_i laid end to end in random order, and one point taken from
    every unit of length. So the p_i are exact, not approximate as in a draw without replacement
    row by row. Where fewer than k rows have a positive score, all of these are chosen, and the
    rest is drawn from the others, in proportion to `sample_weight`. The draw depends on
    the rows and the seed, not on the order of the rows.

    Time is O(n d^2) and memory O(n d), with d = min(n_rows, n_features). Rows are not centered.

    References
    ----------
    .. [1] Cohen, Musco, Musco, "Input sparsity time low-rank approximation via ridge leverage
       score sampling", SODA 2017.
    .. [2] Madow, "On the theory of systematic sampling, II", Annals of Mathematical Statistics,
       1949.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.strategies import Leverage
    >>> X = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> coreset = Leverage().select(X, 2, random_state=0)
    >>> sorted(coreset.weights.round(6).tolist())
    [1.0, 3.0]
    >>> Leverage(sampling="top").select(X, 2).indices
    array([3, 0])
    """

    is_linear = True

    def __init__(
        self, ridge: float | str = "auto", sampling: str = "proportional", metric: Any = None
    ):
        super().__init__(metric=metric)
        self.ridge = ridge
        self.sampling = sampling

    def check_options(self) -> None:
        """Raise if a parameter of the strategy is not valid."""
        super().check_options()
        check_choice("sampling", self.sampling, ("proportional", "top"))
        if isinstance(self.ridge, str):
            check_choice("ridge", self.ridge, ("auto",))
        else:
            check_number("ridge", self.ridge, low=0.0, open_low=True)

    def select_part(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> Coreset:
        """Return the coreset of a part, with the weights that go with the draw."""
        indices, odds = self._draw(X, n_select, sample_weight, random_state)
        assignment, nearest = nearest_rows(X, indices, self.get_metric())
        coreset = make_coreset(indices, assignment, nearest, sample_weight)
        if self.sampling == "top":
            return coreset
        return replace(coreset, weights=sample_weight[indices] / odds[indices])

    def _pick(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> np.ndarray:
        return self._draw(X, n_select, sample_weight, random_state)[0]

    def _draw(
        self, X: np.ndarray, n_select: int, sample_weight: np.ndarray, random_state: RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the chosen rows, and for every row the probability that it is chosen."""
        rows, weights, scale = scale_rows(X, sample_weight)
        norms = row_norms(rows, weights)
        rows *= np.sqrt(weights)[:, None]
        with np.errstate(over="ignore", under="ignore"):
            ridge = self.ridge
            if not isinstance(ridge, str):
                ridge = float(np.float64(ridge) / sample_weight.max() / scale / scale)
        scores = leverage_scores(rows, n_select, ridge)
        if self.sampling == "top":
            chosen = top_rows(scores, norms, n_select)
            odds = np.zeros(len(X))
            odds[chosen] = 1.0
            return chosen, odds
        odds = inclusion_probabilities([scores, weights, np.ones(len(X))], n_select)
        order = _order_of_content(X, weights)[random_state.permutation(len(X))]
        start = random_state.random_sample()
        return order[systematic_sample(odds[order], n_select, start)], odds


def leverage_scores(A: np.ndarray, n_select: int, ridge: float | str = "auto") -> np.ndarray:
    """Return the ridge leverage scores of the rows of A.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_features), float64
    n_select : int
        The rank of the approximation by which "auto" chooses the ridge.
    ridge : "auto" or float, default="auto"

    Returns
    -------
    scores : ndarray of shape (n_rows,)
    """
    tolerance = rank_tolerance(A.shape)
    A = shorten_rows(A)
    eigenvalues, vectors = linalg.eigh(A.T @ A, check_finite=False)
    eigenvalues = np.maximum(eigenvalues[::-1], 0.0)
    if eigenvalues[0] == 0.0:
        return np.zeros(len(A))
    if isinstance(ridge, str):
        ridge = float(eigenvalues[n_select:].sum()) / n_select
    # Not so large either that the scores, which then go as the squared norms, underflow.
    ridge = np.clip(ridge, tolerance * eigenvalues[0], 1e100 * eigenvalues[0])
    coordinates = (A @ vectors[:, ::-1]) / np.sqrt(eigenvalues + ridge)
    return np.einsum("ij,ij->i", coordinates, coordinates)


def top_rows(scores: np.ndarray, norms: np.ndarray, n_select: int) -> np.ndarray:
    """Return the rows of largest score; of scores equal but for rounding, of largest norm."""
    rounded = np.round(scores / (scores.max() or 1.0), 10)
    return np.lexsort((-norms, -rounded))[:n_select]


def inclusion_probabilities(sizes: list[np.ndarray], n_select: int) -> np.ndarray:
    """Return probabilities ``min(1, c size)`` that add up to `n_select`.

    Parameters
    ----------
    sizes : list of ndarray of shape (n_rows,)
        Where fewer than `n_select` entries of the first are positive, these rows are certain,
        and the others share what is left by the second, and so on.
    n_select : int

    Returns
    -------
    odds : ndarray of shape (n_rows,)
    """
    odds = np.zeros(len(sizes[0]))
    is_open = np.ones(len(odds), dtype=bool)
    for size in sizes:
        rows = np.flatnonzero(is_open & (size > 0))
        n_here = min(n_select, len(rows))
        if n_here:
            odds[rows] = _share(size[rows], n_here)
        n_select -= n_here
        is_open[rows] = False
    return odds


def _share(size: np.ndarray, n_select: int) -> np.ndarray:
    descending = np.sort(size / size.max())[::-1]
    tail = np.cumsum(descending[::-1])[::-1]
    # How many are certain: the first number that leaves no probability above 1.
    left = n_select - np.arange(n_select)
    n_certain = int(np.argmax(left * descending[:n_select] <= tail[:n_select]))
    with np.errstate(under="ignore"):
        odds = (size / size.max()) / tail[n_certain] * left[n_certain]
    odds[np.argsort(-size, kind="stable")[:n_certain]] = 1.0
    return np.minimum(odds, 1.0)


def systematic_sample(odds: np.ndarray, n_select: int, start: float) -> np.ndarray:
    """Return `n_select` distinct positions, each with its probability if `start` is uniform.

    Parameters
    ----------
    odds : ndarray of shape (n_rows,)
        Probabilities that add up to `n_select`.
    n_select : int
    start : float in [0, 1)

    Returns
    -------
    positions : ndarray of shape (n_select,), ascending
    """
    positive = np.flatnonzero(odds > 0)
    ends = np.cumsum(odds[positive])
    ends *= n_select / ends[-1]
    steps = np.arange(n_select)
    at = np.searchsorted(ends, start + steps, side="right")
    # Rounding must neither take a row twice nor run over the end.
    at = np.maximum.accumulate(at - steps) + steps
    return positive[np.minimum(at, len(positive) - n_select + steps)]


def _order_of_content(X: np.ndarray, weights: np.ndarray) -> np.ndarray:
    # Bytes, most significant first, so that the order survives a change of scale; 0.0 is added
    # to make -0.0 and 0.0 equal.
    table = np.column_stack([X, weights]).astype(np.float64) + 0.0
    table = np.ascontiguousarray(table, dtype=">f8")
    return np.argsort(table.view(np.dtype((np.void, 8 * table.shape[1]))).ravel(), kind="stable")
