"""Predictions for training rows by a last layer that has not seen their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, sparse
from sklearn.utils import gen_batches

from .own_rows import OwnRows
from .threads import limit_threads

# Relative to the mean eigenvalue of the features' covariance.
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
# The ridge is chosen by the errors of so many rows: twice as many seldom choose another.
MAX_TRIED = 2**13
# The numbers of a part of the rows, so that what is beside the features and the result stays small.
PART_SIZE = 2**21
# The least that one minus a leverage is taken for: float32 knows it to some 1e-7.
MIN_REST = 1e-5


def leave_one_out_predictions(
    H: Any,
    codes: np.ndarray,
    n_classes: int,
    sample_weight: np.ndarray,
    ridges: tuple[float, ...] = RIDGES,
) -> np.ndarray:
    """Predict every row by a ridge regression that is fitted to all other rows.

    In closed form: with the hat matrix ``A = H (H^T W H + ridge)^-1 H^T W``, whose diagonal holds
    the ridge leverage scores, ``y_i - q_i = (y_i - (A Y)_i) / (1 - A_ii)`` for one-hot labels `Y`
    [1]_. Of the ridges the one with the least squared error of these predictions is taken [2]_. Of
    more than 8 192 rows, so many stand for all: every 8 192nd of the summed weights draws one, in
    the order of the classes.

    Parameters
    ----------
    H : ndarray or torch.Tensor of shape (n_rows, n_features)
        Features, of any real dtype. An intercept, without penalty, is added. A tensor, which must
        not require a gradient, is worked on where it is.
    codes : ndarray of shape (n_rows,), dtype int64
        The labels as 0..n_classes-1.
    n_classes : int
    sample_weight : ndarray of shape (n_rows,)
        What each row counts in the fit. Rows of weight zero are predicted by the fit as it is.
    ridges : tuple of float, default=(0.001, 0.01, 0.1, 1.0, 10.0)
        Penalties to choose from, as multiples of the mean eigenvalue of ``H^T W H``.

    Returns
    -------
    predictions : ndarray of shape (n_rows, n_classes), dtype float32

    Notes
    -----
    The residual ``y_i - q_i`` is the mean shift of a single row [3]_: what is estimated for `gamma`
    if the fit to all rows gives row i, and it alone, a term of its own, ``y_i = h_i B + gamma``.
    Scalable penalized regression (SPR) [4]_ [5]_ finds wrong labels by such shifts of all rows at
    once, of which a penalty keeps few, and alternates between shifts and fit. This is one step of
    it, in closed form.

    Rows are centred and multiplied part by part, in float32; what is summed over the parts, and the
    eigenvalues of ``H^T W H``, are in float64. The memory is that of the features, of the
    predictions, and of some matrices of n_features x n_features and n_features x n_classes.

    References
    ----------
    .. [1] Cook, Weisberg, "Residuals and Influence in Regression", 1982, section 2.2.
    .. [2] Golub, Heath, Wahba, "Generalized cross-validation as a method for choosing a good ridge
       parameter", Technometrics, 1979: the criterion that theirs generalizes, PRESS.
    .. [3] She, Owen, "Outlier Detection Using Nonconvex Penalized Regression", Journal of the
       American Statistical Association 106(494), 2011.
    .. [4] Wang, Sun, Fu, "Scalable Penalized Regression for Noise Detection in Learning with Noisy
       Labels", CVPR 2022.
    .. [5] Wang, Fu, Sun, "Knockoffs-SPR: Clean Sample Selection in Learning with Noisy Labels",
       IEEE Transactions on Pattern Analysis and Machine Intelligence, 2024.

    Examples
    --------
    The label of the last row contradicts the others:

    >>> import numpy as np
    >>> from crust_sklearn.label_noise import leave_one_out_predictions
    >>> H = np.array([[-1.2], [-1.1], [-1.0], [-0.9], [1.0], [1.1], [1.2], [0.9]])
    >>> codes = np.array([0, 0, 0, 0, 1, 1, 1, 0])
    >>> leave_one_out_predictions(H, codes, 2, np.ones(8)).argmax(axis=1)
    array([0, 0, 0, 0, 1, 1, 1, 1])
    """
    predictions = np.empty((len(H), n_classes), dtype=np.float32)
    for part, found in predict_in_parts(H, codes, n_classes, sample_weight, ridges):
        predictions[part] = found
    return predictions


def predict_in_parts(
    H: Any,
    codes: np.ndarray,
    n_classes: int,
    sample_weight: np.ndarray,
    ridges: tuple[float, ...] = RIDGES,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Make the leave-one-out predictions of a part of the rows after the other.

    What they take together, n_rows x n_classes numbers, is never there at once. Of several
    processes, which each hold some rows, all fit the same by sums over all rows: n_features x
    n_features and n_features x n_classes numbers, and some for each feature.

    Parameters
    ----------
    H : ndarray, torch.Tensor or OwnRows of shape (n_rows, n_features)
    codes, n_classes, sample_weight, ridges
        As of `leave_one_out_predictions`, of all rows.

    Yields
    ------
    part : slice
        Of the rows of `H`, or of the own ones.
    predictions : ndarray of shape (n_part, n_classes), dtype float32
        May be written to.
    """
    held = OwnRows.of(H)
    with limit_threads(len(held) * held.values.shape[1] ** 2):
        rows, problem, w = _prepare(held, codes, n_classes, sample_weight)
        fit = problem.fit(_choose(problem, rows, codes, w, ridges))
        codes, w = codes[held.numbers], w[held.numbers]
        for part in _split(len(held), max(held.values.shape[1], n_classes)):
            B = rows[part] @ problem.directions
            yield part, _predict(fit, B, codes[part], w[part], rows.H)


def predict_some(
    H: Any, codes: np.ndarray, n_classes: int, sample_weight: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """Return which labels the ridge regression predicts for some rows, by all other rows.

    Parameters
    ----------
    H : ndarray, torch.Tensor or OwnRows of shape (n_rows, n_features)
    codes, n_classes, sample_weight
        As of `leave_one_out_predictions`, of all rows.
    asked : ndarray of shape (n_asked,), dtype int64
        The rows; of weight zero or not.

    Returns
    -------
    labels : ndarray of shape (n_asked,), dtype int64
        As 0..n_classes-1.
    """
    held = OwnRows.of(H)
    labels = np.zeros(len(asked))
    with limit_threads(len(held) * held.values.shape[1] ** 2):
        rows, problem, w = _prepare(held, codes, n_classes, sample_weight)
        fit = problem.fit(_choose(problem, rows, codes, w, RIDGES))
        places, is_own = held.find(asked)
        own = np.arange(len(asked))[is_own]
        for part in _split(len(own), max(held.values.shape[1], n_classes)):
            at = asked[own[part]]
            B = rows[places[part]] @ problem.directions
            labels[own[part]] = _predict(fit, B, codes[at], w[at], rows.H).argmax(axis=1)
    return held.add(labels).astype(np.int64)


def _predict(fit: _RidgeFit, B: Any, codes: np.ndarray, w: np.ndarray, H: Any) -> np.ndarray:
    """Return the leave-one-out predictions of rows given by what they have of each direction."""
    residuals, rest = fit.get_residuals(B, codes, w)
    residuals /= _put(rest, H)[:, None]
    residuals[np.arange(len(rest)), codes] += 1.0
    return _to_numpy(residuals)


def _prepare(
    held: OwnRows, codes: np.ndarray, n_classes: int, sample_weight: np.ndarray
) -> tuple[_CenteredRows, _Problem, np.ndarray]:
    """Return the rows, what fits with all ridges have in common, and the weights, of sum one."""
    w = np.asarray(sample_weight, dtype=np.float64)
    w = w / w.sum()
    parts = _split(len(held), max(held.values.shape[1], n_classes))
    rows = _CenteredRows.make(held, w, parts)
    return rows, _Problem.make(rows, codes, n_classes, w, parts), w


def _split(n_rows: int, width: int) -> list[slice]:
    return list(gen_batches(n_rows, max(1, PART_SIZE // width)))


@dataclass(frozen=True)
class _CenteredRows:
    """Rows in float32 that have lost their mean, and any large offset before they are rounded."""

    held: OwnRows
    origin: Any  # one of the rows, in float32 or, where H needs it, float64
    scale: float
    mean: Any  # of the other rows' scaled differences to it

    @classmethod
    def make(cls, held: OwnRows, w: np.ndarray, parts: list[slice]) -> _CenteredRows:
        H, own = held.values, w[held.numbers]
        zero = _put(np.zeros(H.shape[1]), H)
        highest, lowest = -np.inf, np.inf
        for part in parts:
            # NaN is neither, and stays.
            highest = np.maximum(highest, float(H[part].max()))
            lowest = np.minimum(lowest, float(H[part].min()))
        highest, lowest = held.get_max(highest), -held.get_max(-lowest)
        scale = float(max(highest, -lowest)) or 1.0
        rows = cls(held, held.get_row(int(w.argmax())) + zero, scale, zero)
        mean = np.zeros(H.shape[1])
        for part in parts:
            mean += _to_numpy(_put(own[part], H) @ rows[part])
        return cls(held, rows.origin, scale, _put(held.add(mean), H))

    @property
    def H(self) -> Any:
        return self.held.values

    def __getitem__(self, index: slice | np.ndarray) -> Any:
        X = self.H[index] - self.origin
        X /= self.scale
        X = _to_float32(X)
        X -= self.mean
        return X

    @property
    def rounding(self) -> float:
        """The relative precision of the features."""
        return float(np.finfo(_to_numpy(self.origin).dtype).eps)


@dataclass(frozen=True)
class _RidgeFit:
    """A ridge regression on rows that are given by what they have of each direction."""

    shrunk: Any  # (n_directions,)
    coef: Any  # (n_directions, n_classes)
    shares: Any  # (n_classes,)

    def get_residuals(self, B: Any, codes: np.ndarray, w: np.ndarray) -> tuple[Any, np.ndarray]:
        """Return what the fit to all rows leaves of the labels, and one minus the leverages."""
        residuals = B @ self.coef
        residuals += self.shares
        residuals[np.arange(len(codes)), codes] -= 1.0
        leverages = w * (_to_numpy((B * B) @ self.shrunk) + 1.0)
        # A row that alone spans a direction of the fit leaves nothing to predict it by.
        return residuals, np.maximum(1.0 - leverages, MIN_REST)


@dataclass(frozen=True)
class _Problem:
    """What the fits with all ridges have in common."""

    directions: Any  # of the features, of mean variance one
    eigenvalues: np.ndarray  # (n_directions,)
    along: np.ndarray  # the summed rows of each class, in these directions
    shares: np.ndarray  # (n_classes,)

    @classmethod
    def make(
        cls,
        rows: _CenteredRows,
        codes: np.ndarray,
        n_classes: int,
        w: np.ndarray,
        parts: list[slice],
    ) -> _Problem:
        H, n_features, held = rows.H, rows.H.shape[1], rows.held
        shares = np.bincount(codes, weights=w, minlength=n_classes)
        codes, w = codes[held.numbers], w[held.numbers]
        gram, sums = np.zeros((n_features, n_features)), np.zeros((n_classes, n_features))
        for part in parts:
            roots = np.sqrt(w[part])
            X = rows[part]
            X *= _put(roots, H)[:, None]
            gram += _to_numpy(X.T @ X)
            # A part may be of fewer rows than there are classes.
            present, own = np.unique(codes[part], return_inverse=True)
            sums[present] += _to_numpy(_sum_by_class(X, own, len(present), roots))
        gram, sums = held.add_symmetric(gram), held.add(sums)
        eigenvalues, vectors = linalg.eigh(gram, overwrite_a=True, check_finite=False)
        # Directions in which the features do not vary, up to rounding, say nothing.
        least = max(np.finfo(np.float32).eps * eigenvalues[-1], (4 * rows.rounding) ** 2)
        eigenvalues = np.where(eigenvalues > least, eigenvalues, 0.0)
        mean = eigenvalues.mean() or 1.0
        vectors = np.where(eigenvalues > 0.0, vectors, 0.0) / np.sqrt(mean)
        return cls(_put(vectors, H), eigenvalues / mean, vectors.T @ sums.T, shares)

    def fit(self, ridge: float) -> _RidgeFit:
        """Return the fit with a ridge."""
        shrunk = 1.0 / (self.eigenvalues + ridge)
        found = shrunk, shrunk[:, None] * self.along, self.shares
        return _RidgeFit(*(_put(a, self.directions) for a in found))


def _choose(
    problem: _Problem,
    rows: _CenteredRows,
    codes: np.ndarray,
    w: np.ndarray,
    ridges: tuple[float, ...],
) -> float:
    """Return the ridge with the least error of its leave-one-out predictions."""
    if len(ridges) == 1:
        return ridges[0]
    tried, counts = _spread(codes, w)
    places, is_own = rows.held.find(tried)
    tried, counts = tried[is_own], counts[is_own]
    parts = _split(len(tried), max(rows.H.shape[1], len(problem.shares)))
    bases = [rows[places[part]] @ problem.directions for part in parts]
    errors = np.zeros(len(ridges))
    # One after the other: each fit takes n_features x n_classes numbers.
    for i, ridge in enumerate(ridges):
        fit = problem.fit(ridge)
        for part, B in zip(parts, bases, strict=True):
            own = tried[part]
            residuals, rest = fit.get_residuals(B, codes[own], w[own])
            squares = _to_numpy((residuals * residuals).sum(axis=1))
            errors[i] += counts[part] @ (squares / rest**2)
    return ridges[rows.held.add(errors).argmin()]


def _spread(codes: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose weight stands for that of all rows, and what each of them counts."""
    if len(codes) <= MAX_TRIED:
        return np.arange(len(codes)), w
    order = np.argsort(codes, kind="stable")
    shares = (np.arange(MAX_TRIED) + 0.5) / MAX_TRIED
    drawn = order[np.searchsorted(np.cumsum(w[order]), shares)]
    return np.unique(drawn, return_counts=True)


def _sum_by_class(X: Any, codes: np.ndarray, n_classes: int, w: np.ndarray) -> Any:
    """Return the weighted sum of the rows of each class."""
    one_hot = sparse.csc_array(
        (w.astype(np.float32), codes, np.arange(len(codes) + 1)), shape=(n_classes, len(codes))
    )
    return _put(one_hot.toarray(), X) @ X if is_tensor(X) else one_hot @ X


# What NumPy arrays and torch tensors spell differently. This room does not import torch.


def is_tensor(X: Any) -> bool:
    """Return whether X is a torch tensor."""
    return hasattr(X, "new_tensor")


def _to_float32(X: Any) -> Any:
    return X.float() if is_tensor(X) else X.astype(np.float32, copy=False)


def _to_numpy(X: Any) -> np.ndarray:
    return X.cpu().numpy() if is_tensor(X) else X


def _put(values: np.ndarray, H: Any) -> Any:
    """Return `values` in float32, of the same library and on the same device as `H`."""
    return H[:0].float().new_tensor(values) if is_tensor(H) else values.astype(np.float32)
