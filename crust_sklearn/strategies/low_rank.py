"""What the low-rank selections share: scaling, filling up beyond the rank, greedy deflation."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from scipy import linalg

# Scores that fell below this share of their last exact value are computed anew, so that they
# keep about eight digits.
DROP = 1e-4
# Rounding errors, relative to the last exact values. Scores this close are a tie.
NOISE = 1000 * np.finfo(np.float64).eps
# Fewer dimensions than this are not worth new coordinates.
MIN_SHRINK = 32


def scale_rows(X: np.ndarray, sample_weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return float64 rows with entries in [-1, 1], weights in [0, 1], and the rows' scale.

    Squares of rows of norm 1e200 or 1e-200 would leave the range of float64. The rows are a copy.
    """
    scale = float(np.abs(X).max(initial=0.0)) or 1.0
    return X.astype(np.float64) / scale, sample_weight / sample_weight.max(), scale


def shorten_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows with the same inner products and at most as many features as there are rows."""
    if rows.shape[1] <= rows.shape[0]:
        return rows
    triangle = linalg.qr(rows.T, mode="r", check_finite=False)[0]
    return np.ascontiguousarray(triangle[: len(rows)].T)


def row_norms(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the norms of the rows, multiplied by the square roots of their weights."""
    return np.sqrt(weights * np.einsum("ij,ij->i", rows, rows))


def project_out(X: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return what is left of the rows outside the span of some of them, up to a common factor.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    chosen : ndarray of shape (n_chosen,), dtype int64

    Returns
    -------
    rows : ndarray of shape (n_rows, n_features), dtype float64
        Zero where nothing but rounding is left.
    """
    rows, ones, _ = scale_rows(X, np.ones(len(X)))
    floor = rank_tolerance(rows.shape) * row_norms(rows, ones)
    basis, triangle, _ = linalg.qr(
        rows[chosen].T, mode="economic", pivoting=True, check_finite=False
    )
    diagonal = np.abs(np.diagonal(triangle))
    basis = basis[:, : np.sum(diagonal > rank_tolerance(rows.shape) * diagonal[0])]
    for _ in range(2):  # twice is enough (Kahan, Parlett)
        rows -= (rows @ basis) @ basis.T
    rows[row_norms(rows, ones) <= floor] = 0.0
    return rows


def rank_tolerance(shape: tuple[int, ...]) -> float:
    """Return the relative size under which a float64 residual is rounding."""
    return float(np.finfo(np.float64).eps * max(shape))


def fill_by_norm(indices: np.ndarray, norms: np.ndarray, n_select: int) -> np.ndarray:
    """Append the rows of largest norm, ties by index, until there are `n_select`."""
    rest = np.setdiff1d(np.arange(len(norms)), indices)
    order = rest[np.argsort(-norms[rest], kind="stable")]
    return np.concatenate([indices, order])[:n_select].astype(np.int64)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _two_products(
    rows: np.ndarray, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover (compiled)
    # Bound by memory: one pass over the rows for both.
    along, across = np.empty(rows.shape[0]), np.empty(rows.shape[0])
    for i in range(rows.shape[0]):
        a, b = 0.0, 0.0
        for j in range(rows.shape[1]):
            a += rows[i, j] * u[j]
            b += rows[i, j] * v[j]
        along[i], across[i] = a, b
    return along, across


class Residual:
    """What is left of the rows outside the span of the chosen ones, known by its scores.

    With r_i the residual of row i and ``C = sum_i w_i r_i r_i^T``, `energy` holds |r_i|^2 and
    `captured` holds ``r_i^T C r_i = sum_j w_j (r_j . r_i)^2``. Choosing a row changes both by two
    products of the rows with a vector. Only where cancellation eats their digits are residuals
    formed, in place of the rows, and once half of the dimensions are chosen: in coordinates of
    the other half. `gram` is C as it was when all of them were last formed, which serves as well
    for vectors orthogonal to the rows chosen since, whose span `basis` holds.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float64
        Overwritten. At most as many features as rows.
    weights : ndarray of shape (n_rows,), float64
    """

    def __init__(self, rows: np.ndarray, weights: np.ndarray):
        self.rows = rows
        self.weights = weights
        self.norms = row_norms(rows, np.ones(len(rows)))
        self.floor = (rank_tolerance(rows.shape) * self.norms) ** 2
        self.basis = np.empty((0, rows.shape[1]))
        self.captured = np.zeros(len(rows))
        self.energy = np.zeros(len(rows))
        self.exact_captured = np.zeros(len(rows))
        self.exact_energy = np.zeros(len(rows))
        self._refresh_all()

    def choose(self, against: str) -> int:
        """Return the row with the best score and deflate by it; -1 if nothing is left.

        Parameters
        ----------
        against : {"residual", "row"}
            What `captured` is divided by: |r_i|^2 (the decrease of the error, greedy column
            subset selection) or |a_i|^2 (matching pursuit).
        """
        while len(self.basis) < self.rows.shape[1]:
            best = self._best(against)
            if best < 0:
                break
            direction = self._direction(best)
            self.captured[best] = self.energy[best] = self.exact_energy[best] = 0.0
            self.rows[best] = 0.0
            if direction is not None:
                self._deflate(direction)
                return best
        return -1

    def _best(self, against: str) -> int:
        rows = np.flatnonzero((self.energy > 0) & (self.captured > 0))
        if not len(rows):
            return -1
        captured, energy = self.captured[rows], self.energy[rows]
        if against == "residual" and len(self.basis) + 1 == self.rows.shape[1]:
            # One dimension is left, and every row completes the span.
            return int(rows[np.argmax(self.norms[rows])])
        score = captured / (energy if against == "residual" else self.norms[rows] ** 2)
        noise = self.exact_captured[rows] / captured + self.exact_energy[rows] / energy
        error = NOISE * noise * score
        top = score.argmax()
        tied = rows[score + error >= score[top] - error[top]]
        return int(tied[np.argmax(self.norms[tied])])

    def _direction(self, row: int) -> np.ndarray | None:
        direction = self.rows[row]
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            direction = direction - (self.basis @ direction) @ self.basis
        norm = np.linalg.norm(direction)
        return direction / norm if norm**2 > self.floor[row] else None

    def _deflate(self, direction: np.ndarray) -> None:
        image = self.gram @ direction
        image -= (self.basis @ image) @ self.basis
        inner = float(image @ direction)
        along, across = _two_products(self.rows, direction, image)
        self.captured += along * (along * inner - 2 * across)
        self.energy -= along**2
        np.maximum(self.captured, 0.0, out=self.captured)
        np.maximum(self.energy, 0.0, out=self.energy)
        self.trace -= inner
        self._directions[len(self.basis)] = direction
        self.basis = self._directions[: len(self.basis) + 1]
        if len(self.basis) == self.rows.shape[1]:
            return  # nothing is left
        is_half = 2 * len(self.basis) >= self.rows.shape[1] > MIN_SHRINK
        if is_half or self.trace < DROP * self.exact_trace:
            self._refresh_all()
        else:
            self._refresh(np.flatnonzero(self.energy < DROP * self.exact_energy))

    def _refresh_all(self) -> None:
        if len(self.basis):
            rest = linalg.qr(self.basis.T, check_finite=False)[0][:, len(self.basis) :]
            self.rows = self.rows @ rest
        n_features = self.rows.shape[1]
        self._directions = np.empty((n_features, n_features))
        self.basis = self._directions[:0]
        self.rows[row_norms(self.rows, np.ones(1)) ** 2 <= self.floor] = 0.0
        self.gram = (self.rows * self.weights[:, None]).T @ self.rows
        self.trace = self.exact_trace = float(np.trace(self.gram))
        self._score(np.s_[:])

    def _refresh(self, which: np.ndarray) -> None:
        if len(which):
            self._project(which)
            self._score(which)

    def _project(self, which: np.ndarray) -> None:
        rows = self.rows[which]
        rows -= (rows @ self.basis.T) @ self.basis
        energy = np.einsum("ij,ij->i", rows, rows)
        rows[energy <= self.floor[which]] = 0.0
        self.rows[which] = rows

    def _score(self, which: Any) -> None:
        rows = self.rows[which]
        captured = np.einsum("ij,ij->i", rows @ self.gram, rows)
        energy = np.einsum("ij,ij->i", rows, rows)
        self.captured[which] = self.exact_captured[which] = np.maximum(captured, 0.0)
        self.energy[which] = self.exact_energy[which] = energy


def greedy_rows(
    X: np.ndarray, n_select: int, sample_weight: np.ndarray, against: str
) -> np.ndarray:
    """Return the rows chosen greedily for the span; see `Residual.choose` for `against`.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    n_select : int
    sample_weight : ndarray of shape (n_rows,)
    against : {"residual", "row"}

    Returns
    -------
    indices : ndarray of shape (n_select,), dtype int64
    """
    rows, weights, _ = scale_rows(X, sample_weight)
    norms = row_norms(rows, weights)
    residual = Residual(shorten_rows(rows), weights)
    del rows
    indices: list[int] = []
    while len(indices) < n_select and (row := residual.choose(against)) >= 0:
        indices.append(row)
    return fill_by_norm(np.array(indices, dtype=np.int64), norms, n_select)
