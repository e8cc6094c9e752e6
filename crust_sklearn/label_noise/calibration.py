"""Probabilities of the right labels, from predictions made without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from .class_pairs import ClassPairs
from .threads import limit_threads
from .top_predictions import MAX_KEPT, TopPredictions

# Of the priors, so that those of classes without rows stay finite.
PENALTY = 1e-5
TINY = np.finfo(np.float32).tiny


@dataclass(frozen=True, eq=False)
class Calibration:
    """``P(k) = softmax(scale * q + biases)_k`` of predictions `q`.

    Attributes
    ----------
    scale : float
    biases : ndarray of shape (n_classes,), dtype float64
    """

    scale: float
    biases: np.ndarray

    @property
    def odds(self) -> np.ndarray:
        """The exponentials of the biases, at most 1."""
        return np.exp(self.biases - self.biases.max())

    def get_shares(self, top: TopPredictions) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of the classes that rows keep, and of the others.

        Parameters
        ----------
        top : TopPredictions
            Of n_rows.

        Returns
        -------
        shares : ndarray of shape (n_rows, n_kept), dtype float64
        unit : ndarray of shape (n_rows,), dtype float64
            That of a class that the row does not keep, for odds of 1.
        """
        powers = self.scale * top.values + self.biases[top.classes]
        if top.is_whole:
            return softmax(powers, axis=1), np.zeros(len(top))
        of_rest = self.scale * top.rest + self.biases.max()
        highest = np.maximum(powers.max(axis=1), of_rest)
        shares, unit, odds = np.exp(powers - highest[:, None]), np.exp(of_rest - highest), self.odds
        total = shares.sum(axis=1) + unit * (odds.sum() - odds[top.classes].sum(axis=1))
        return shares / total[:, None], unit / total

    def get_joint(
        self, top: TopPredictions, codes: np.ndarray, transitions: ClassPairs
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of right labels together with the given ones.

        Parameters
        ----------
        top : TopPredictions
            Of n_rows.
        codes : ndarray of shape (n_rows,), dtype int64
            The given labels.
        transitions : ClassPairs
            The probabilities of given labels (second) by the right ones (first).

        Returns
        -------
        joint : ndarray of shape (n_rows, n_kept), dtype float64
            For the classes that rows keep.
        others : ndarray of shape (n_rows,), dtype float64
            For all classes together that they do not keep.
        """
        joint, unit = self.get_shares(top)
        of_given = transitions[top.classes, codes[:, None]]
        joint *= of_given
        if top.is_whole:
            return joint, unit
        odds = self.odds
        left = transitions.rmatmul(odds)[codes] - (odds[top.classes] * of_given).sum(axis=1)
        return joint, unit * np.maximum(left, 0.0)


def calibrate(
    top: TopPredictions,
    codes: np.ndarray,
    weights: np.ndarray,
    transitions: ClassPairs,
) -> Calibration:
    """Return the scale and the biases that make the given labels likeliest.

    Parameters
    ----------
    top : TopPredictions
        Of n_rows.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels.
    weights : ndarray of shape (n_rows,)
        What each row counts.
    transitions : ClassPairs
        The probabilities of given labels (second) by the right ones (first).

    Returns
    -------
    calibration : Calibration
    """
    # In columns, of which the sums are over many rows at once.
    q, classes = np.ascontiguousarray(top.values.T), top.classes.T
    of_given = transitions[classes, codes].astype(np.float32)
    shares = (weights / weights.sum()).astype(np.float32)
    unit, start_scale = 1.0, 3.0
    if top.n_classes > MAX_KEPT:
        # Of many classes, predictions are small: as large a scale makes the best one likely.
        unit = start_scale = float(np.log(top.n_classes) / top.sure.mean())
    left_out = None if top.is_whole else _LeftOut(top, codes, shares, transitions, of_given)

    def get_loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, biases = np.float32(unit * parameters[0]), parameters[1:]
        P = scale * q + biases.astype(np.float32)[classes]
        highest = P.max(axis=0)
        if left_out is not None:
            highest = left_out.start(scale, biases, highest)
        P -= highest
        np.exp(P, out=P)
        total = P.sum(axis=0)
        if left_out is not None:
            total += left_out.unit * left_out.sum
        P /= total
        joint = P * of_given
        likelihood = joint.sum(axis=0)
        if left_out is not None:
            likelihood += left_out.join(total)
        likelihood = np.maximum(likelihood, TINY)
        joint /= likelihood
        P -= joint
        P *= shares
        loss = PENALTY / 2 * biases @ biases - float(shares @ np.log(likelihood))
        slope = np.einsum("ij,ij->", P, q, dtype=np.float64)
        if left_out is None:
            slopes = P.sum(axis=1, dtype=np.float64)
        else:
            more, slopes = left_out.get_slopes(P, likelihood)
            slope += more
        return loss, np.r_[unit * slope, slopes + PENALTY * biases]

    start = np.r_[start_scale / unit, np.zeros(top.n_classes)]
    bounds = [(0.01, None)] + [(None, None)] * top.n_classes
    options = {"ftol": 1e-7}  # of float32
    # Of vectors as short as these, threads make hundreds of steps slower, not faster.
    with limit_threads(q.size):
        found = minimize(
            get_loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x
    return Calibration(float(unit * found[0]), found[1:])


class _LeftOut:
    """The part that the classes have in the loss which rows do not keep.

    All of a row are predicted alike: ``P(k) = unit * odds_k``, where the odds are the exponentials
    of the biases. So sums over them are those over all classes, less those over the kept ones.
    """

    def __init__(
        self,
        top: TopPredictions,
        codes: np.ndarray,
        shares: np.ndarray,
        transitions: ClassPairs,
        of_given: np.ndarray,
    ):
        self.classes, self.rest = top.classes.T, top.rest
        self.codes, self.shares, self.of_given = codes, shares, of_given
        self.transitions = transitions

    def start(self, scale: np.float32, biases: np.ndarray, highest: np.ndarray) -> np.ndarray:
        """Return what the exponents are at most, given that of the kept ones."""
        of_rest = scale * self.rest + np.float32(biases.max())
        highest = np.maximum(highest, of_rest)
        self.odds = np.exp(biases - biases.max())
        self.kept_odds = self.odds.astype(np.float32)[self.classes]
        self.unit = np.exp(of_rest - highest)
        self.sum = np.maximum(self.odds.sum() - self.kept_odds.sum(axis=0), 0.0)
        return highest

    def join(self, total: np.ndarray) -> np.ndarray:
        """Return what they add to the likelihood."""
        self.unit = self.unit / total
        of_all = self.transitions.rmatmul(self.odds)[self.codes]
        of_kept = np.einsum("ij,ij->j", self.kept_odds, self.of_given)
        self.joint = self.unit * np.maximum(of_all - of_kept, 0.0)
        return self.joint.astype(np.float32)

    def get_slopes(self, P: np.ndarray, likelihood: np.ndarray) -> tuple[float, np.ndarray]:
        """Return what they add to the slope of the scale, and the slopes of all biases.

        P holds those of the kept classes, row by row.
        """
        n_classes, unit = len(self.odds), self.shares * self.unit
        of_row = unit / likelihood
        beyond = self.unit * self.sum - self.joint / likelihood
        slope = float((self.shares * beyond) @ self.rest)
        by_given = np.bincount(self.codes, of_row, minlength=n_classes)
        slopes = self.odds * (unit.sum(dtype=np.float64) - self.transitions @ by_given)
        P -= self.kept_odds * (unit - of_row * self.of_given).astype(np.float32)
        kept = np.broadcast_to(self.classes, P.shape).ravel()
        return slope, slopes + np.bincount(kept, P.ravel(), minlength=n_classes)
