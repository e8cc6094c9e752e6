"""How well each training label agrees with what the other rows say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from threadpoolctl import threadpool_limits

from .anchors import get_anchor_noise, get_min_ratios
from .held_out import leave_one_out_predictions

# More features than this are projected: the leave-one-out predictions take n d^2 + d^3 operations.
MAX_FEATURES = 512
# With fewer multiplications, threads save little, and fight with torch's for the cores.
MIN_THREADED = 2**30
# With fewer wrong labels among the anchors, leaving out hard rows costs more than it saves.
MIN_NOISE = 0.05
# No prediction is less than this, before they are brought to a sum of one.
MIN_SHARE = 1e-4


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """Leave-one-out predictions of the training labels, at the last selection and on average.

    At every selection the last layer's inputs are given a new last layer, by ridge regression, and
    every row is predicted by the one that is fitted without it (see `leave_one_out_predictions`):
    that layer cannot have memorized the row's label. The layers below have seen it. Rows whose
    label is not trusted do not take part in the fits, and all classes count the same. The coreset
    and `noise_rate`, an estimate of the share of wrong labels, go by the last predictions; the
    quality of a label by their average over the selections, as in the area under the margin [1]_.

    Make one by `start`, and each further one by `update`: an instance does not change.

    Attributes
    ----------
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    weights : ndarray of shape (n_rows,)
        What each row counts in the fits, and in the noise rate.
    predictions : ndarray of shape (n_rows, n_classes), dtype float64
        Those of the last selection, of sum one in each row; zeros before the first.
    average : ndarray of shape (n_rows, n_classes), dtype float64
        Their average over the selections.
    min_ratios : ndarray of shape (n_classes, n_classes), dtype float64
        What share of the best label's prediction (rows) a given label (columns) must get, see
        `get_min_ratios`. From the first selection: later ones have memorized more labels.
    is_trusted : ndarray of shape (n_rows,), dtype bool
        The rows to learn from: those whose label gets that share in the last predictions; all of
        them if the last selection finds fewer than 5 % of the labels wrong, among the rows that it
        is sure of. At least one of each class.
    n_updates : int
        The number of selections.

    Notes
    -----
    Wrong labels have been found as the mean shifts of a regression on a network's features before:
    scalable penalized regression (SPR) [2]_ [3]_ lets all rows shift, and a penalty keeps few
    shifts. A leave-one-out residual is the mean-shift estimate of a single row [4]_: this is one
    step of theirs in closed form, and the fit without the rows that are not trusted the next.

    References
    ----------
    .. [1] Pleiss, Zhang, Elenberg, Weinberger, "Identifying Mislabeled Data using the Area Under
       the Margin Ranking", NeurIPS 2020: of the network's own logits.
    .. [2] Wang, Sun, Fu, "Scalable Penalized Regression for Noise Detection in Learning with Noisy
       Labels", CVPR 2022.
    .. [3] Wang, Fu, Sun, "Knockoffs-SPR: Clean Sample Selection in Learning with Noisy Labels",
       IEEE Transactions on Pattern Analysis and Machine Intelligence, 2024.
    .. [4] She, Owen, "Outlier Detection Using Nonconvex Penalized Regression", Journal of the
       American Statistical Association 106(494), 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import LabelQuality
    >>> features = np.repeat([[-1.0], [1.0]], 20, axis=0)
    >>> codes = np.repeat([0, 1], 20)
    >>> codes[:3] = 1
    >>> quality = LabelQuality.start(codes, 2).update(features)
    >>> np.flatnonzero(~quality.is_trusted), round(quality.noise_rate, 3)
    (array([0, 1, 2]), 0.075)
    """

    codes: np.ndarray
    weights: np.ndarray
    predictions: np.ndarray
    average: np.ndarray
    min_ratios: np.ndarray
    is_trusted: np.ndarray
    n_updates: int = 0

    @classmethod
    def start(
        cls, codes: np.ndarray, n_classes: int, sample_weight: np.ndarray | None = None
    ) -> LabelQuality:
        """Return the quality of labels of which nothing is known: all are trusted.

        Parameters
        ----------
        codes : ndarray of shape (n_rows,), dtype int64
        n_classes : int
        sample_weight : ndarray of shape (n_rows,) or None, default=None
            None: 1 for each.

        Returns
        -------
        quality : LabelQuality
        """
        none = np.zeros((len(codes), n_classes))
        return cls(
            codes=codes,
            weights=np.ones(len(codes)) if sample_weight is None else sample_weight,
            predictions=none,
            average=none,
            min_ratios=np.zeros((n_classes, n_classes)),
            is_trusted=np.ones(len(codes), dtype=bool),
        )

    def update(self, features: np.ndarray) -> LabelQuality:
        """Take the last layer's inputs of one more selection into account.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)

        Returns
        -------
        quality : LabelQuality
        """
        weights = balance_classes(self.weights * self.is_trusted, self.codes, self.n_classes)
        found = predict_labels(features, self.codes, self.n_classes, weights)
        n_updates, min_ratios = self.n_updates + 1, self.min_ratios
        if n_updates == 1:
            min_ratios = get_min_ratios(found, self.codes, self.weights)
        updated = replace(
            self,
            predictions=found,
            average=self.average + (found - self.average) / n_updates,
            min_ratios=min_ratios,
            n_updates=n_updates,
        )
        return replace(updated, is_trusted=updated._find_trusted())

    def _find_trusted(self) -> np.ndarray:
        is_clean = self.n_updates == 0 or (
            get_anchor_noise(self.predictions, self.codes, self.weights) < MIN_NOISE
        )
        if is_clean:
            return np.ones(len(self.codes), dtype=bool)
        own, is_trusted = self.get_given(self.predictions), self.is_plausible.copy()
        for code in np.flatnonzero(np.bincount(self.codes[~is_trusted])):
            rows = np.flatnonzero((self.codes == code) & (self.weights > 0))
            if len(rows) and not is_trusted[rows].any():
                is_trusted[rows[own[rows].argmax()]] = True
        return is_trusted

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return self.predictions.shape[1]

    @cached_property
    def is_plausible(self) -> np.ndarray:
        """Whether each label gets what `min_ratios` ask for, in the last predictions."""
        best = self.predictions.argmax(axis=1)
        bars = self.min_ratios[best, self.codes] * self.predictions.max(axis=1)
        return self.get_given(self.predictions) >= bars

    def get_given(self, predictions: np.ndarray) -> np.ndarray:
        """Return what the given labels are predicted with."""
        return predictions[np.arange(len(self.codes)), self.codes]

    @property
    def residuals(self) -> np.ndarray:
        """What the last predictions leave of the labels, as gradients at the logits: float32."""
        return (self.predictions - np.eye(self.n_classes)[self.codes]).astype(np.float32)

    @property
    def suggested(self) -> np.ndarray:
        """The code that fits each row best on average; the given one if no other does better."""
        return np.where(self.scores < 0.5, self.average.argmax(axis=1), self.codes)

    @property
    def noise_rate(self) -> float:
        """The share of the labels (by weight) that `is_plausible` denies: an estimate of the noise.

        By the last predictions; 0 before the first. The rows that are not trusted are these, but
        where all are trusted although some labels are not plausible (fewer than 5 % of the labels
        are wrong among the rows that are surely predicted), or one is for its class.
        """
        return float(np.average(~self.is_plausible, weights=self.weights))

    @cached_property
    def scores(self) -> np.ndarray:
        """The quality of each label in [0, 1], 0.5 plus half its margin over the best other."""
        others = self.average.copy()
        others[np.arange(len(self.codes)), self.codes] = -np.inf
        margin = self.get_given(self.average) - others.max(axis=1)
        return np.clip(0.5 + margin / 2.0, 0.0, 1.0)


def predict_labels(
    features: np.ndarray, codes: np.ndarray, n_classes: int, sample_weight: np.ndarray
) -> np.ndarray:
    """Return for each row what each label is predicted with by the other rows.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    codes : ndarray of shape (n_rows,), dtype int64
    n_classes : int
    sample_weight : ndarray of shape (n_rows,)
        What each row counts in the fit.

    Returns
    -------
    predictions : ndarray of shape (n_rows, n_classes), dtype float64
        Positive, of sum one in each row.
    """
    if features.shape[1] > MAX_FEATURES:
        draw = np.random.default_rng(0).standard_normal((features.shape[1], MAX_FEATURES))
        features = features @ draw.astype(features.dtype)
    is_small = len(features) * features.shape[1] ** 2 < MIN_THREADED
    with threadpool_limits(1 if is_small else None, user_api="blas"):
        found = leave_one_out_predictions(features, np.eye(n_classes)[codes], sample_weight)
    found = np.maximum(found, MIN_SHARE)
    return found / found.sum(axis=1, keepdims=True)


def balance_classes(weights: np.ndarray, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return weights of the same sum in every class."""
    sums = np.bincount(codes, weights=weights, minlength=n_classes)
    return weights / np.where(sums > 0.0, sums, 1.0)[codes]
