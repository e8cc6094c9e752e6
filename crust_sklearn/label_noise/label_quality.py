"""How well each training label agrees with what the other rows say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from tqdm import tqdm

from .anchors import get_min_ratios, get_sure_noise, limit_dropped
from .class_pairs import ClassPairs
from .held_out import predict_in_parts
from .judging_features import narrow_features
from .own_rows import OwnRows
from .posterior import LabelPosterior, get_label_posterior
from .shown_noise import get_shown_noise
from .top_predictions import MAX_KEPT, TopPredictions

# With fewer wrong labels among the sure rows, leaving out hard rows costs more than it saves.
MIN_NOISE = 0.05
# No prediction is less than this, before they are brought to a sum of one.
MIN_SHARE = 1e-4


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """Leave-one-out predictions of the training labels, averaged over the selections.

    At every selection the last layer's inputs are given a new last layer, by ridge regression, and
    every row is predicted by the one that is fitted without it (see `leave_one_out_predictions`):
    that layer cannot have memorized the row's label. The layers below have seen it, and the longer
    the more. So the first selection decides whether there are wrong labels to look for, and what
    is asked of a label; later ones, whose layers know more, are averaged with it, as in the area
    under the margin [1]_. Rows whose label is not trusted do not take part in the fits, and were
    not trained on: what later selections say of them is not memory.

    Make one by `start`, and each further one by `update`: an instance does not change.

    Attributes
    ----------
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    weights : ndarray of shape (n_rows,)
        What each row counts in the fits, and in the noise rate.
    predictions : ndarray of shape (n_rows, n_kept), dtype float32
        The average over the selections, of sum one in each row over all classes; zeros before the
        first. Of up to 32 classes all are kept, of more the given label and 31 others, the largest.
    kept : ndarray of shape (n_rows, n_kept), or (1, n_classes) where all are kept, dtype int32
        The class that each prediction is of, ascending in each row.
    pairs : ndarray of shape (n_pairs,), dtype int64
        Pairs of a best label and a given one, as ``best * n_classes + given``, ascending.
    pair_ratios : ndarray of shape (n_pairs,), dtype float64
        What share of the best label's prediction the given one of each pair must get, see
        `get_min_ratios`; less, where more labels would not get it than the first predictions show
        to be wrong (`limit_dropped`, `get_shown_noise`).
    other_ratios : ndarray of shape (n_classes,), dtype float64
        The same of all other pairs, by the best label. No pairs and zeros, if the first selection
        finds fewer than 5 % of the labels wrong among the rows that it is sure of
        (`get_sure_noise`): then all are trusted for good.
    is_trusted : ndarray of shape (n_rows,), dtype bool
        The rows to learn from: those whose label gets that share, and at least one of each class.
    n_updates : int
        The number of selections.

    Notes
    -----
    Wrong labels have been found as the mean shifts of a regression on a network's features before:
    scalable penalized regression (SPR) [2]_ [3]_ lets all rows shift, and a penalty keeps few
    shifts. A leave-one-out residual is the mean-shift estimate of a single row [4]_: this is one
    step of theirs in closed form, and the fit without the rows that are not trusted the next.

    The memory is that of the features, and some hundred numbers for each row and for each class and
    feature, however many classes there are: predictions of all classes are made for a part of the
    rows after the other. What a row does not keep is taken to be the same for each of its other
    classes. An average over selections goes by what each of them has kept.

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
    >>> features = np.repeat([[-1.0], [1.0]], 40, axis=0)
    >>> codes = np.repeat([0, 1], 40)
    >>> codes[:6] = 1
    >>> quality = LabelQuality.start(codes, 2).update(features)
    >>> np.flatnonzero(~quality.is_trusted), round(quality.noise_rate, 3)
    (array([0, 1, 2, 3, 4, 5]), 0.075)
    """

    codes: np.ndarray
    weights: np.ndarray
    predictions: np.ndarray
    kept: np.ndarray
    pairs: np.ndarray
    pair_ratios: np.ndarray
    other_ratios: np.ndarray
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
        n_kept = min(n_classes, MAX_KEPT)
        return cls(
            codes=codes,
            weights=np.ones(len(codes)) if sample_weight is None else sample_weight,
            predictions=np.zeros((len(codes), n_kept), np.float32),
            kept=np.tile(
                np.arange(n_kept, dtype=np.int32), (1 if n_kept == n_classes else len(codes), 1)
            ),
            pairs=np.zeros(0, np.int64),
            pair_ratios=np.zeros(0),
            other_ratios=np.zeros(n_classes),
            is_trusted=np.ones(len(codes), dtype=bool),
        )

    def update(self, features: Any, verbose: int = 0, hidden: float = 0.0) -> LabelQuality:
        """Take the features of one more selection into account.

        Parameters
        ----------
        features : ndarray, torch.Tensor or OwnRows of shape (n_rows, n_features)
            The last layer's inputs; of several processes, those of the own rows. At the first
            selection, what else tells the classes apart may stand beside them: see
            `join_features`.
        verbose : int, default=0
            Whether to show a bar of the rows for each fit.
        hidden : float, default=0.0
            The share of the wrong labels, in [0, 1], that are predicted because the features know
            the rows by heart. So much less noise is enough to look for it.

        Returns
        -------
        quality : LabelQuality
        """
        features, min_ratios = narrow_features(features), self.min_ratios
        weights = hold_shares(self.weights, self.codes, self.is_trusted)
        found = predict_labels(features, self.codes, self.n_classes, weights, verbose)
        if self.n_updates == 0:
            least = (1.0 - hidden) * MIN_NOISE
            found, min_ratios = self._judge_first(features, found, least, verbose)
        else:
            found = self.top.mean_with(found, self.n_updates + 1, self.codes)
        updated = replace(
            self,
            predictions=found.values,
            kept=found.classes,
            pairs=min_ratios.keys,
            pair_ratios=min_ratios.values,
            other_ratios=min_ratios.others,
            n_updates=self.n_updates + 1,
        )
        return replace(updated, is_trusted=updated._find_trusted())

    def _judge_first(
        self, features: Any, found: TopPredictions, least: float, verbose: int
    ) -> tuple[TopPredictions, ClassPairs]:
        """Return the predictions of the first selection, and what they ask of a label."""
        # A slice, where all rows count, as a mask would copy them.
        counts = slice(None) if self.weights.all() else self.weights > 0.0
        counted = found[counts], self.codes[counts], self.weights[counts]
        if get_sure_noise(*counted) < least:
            return found, self.min_ratios
        # As much as is asked for to look for it, whatever the chance of so few rows.
        most = max(get_shown_noise(features, found, self.codes, self.weights), least)
        min_ratios = limit_dropped(get_min_ratios(*counted), *counted, most)
        # Once more, without what the first fit does not find plausible: which of classes of one row
        # each is nothing.
        weights = hold_shares(self.weights, self.codes, is_enough(found, self.codes, min_ratios))
        if weights.any():
            found = predict_labels(features, self.codes, self.n_classes, weights, verbose)
        return found, min_ratios

    def _find_trusted(self) -> np.ndarray:
        """Return which labels are plausible; of a class without one, the row that is most so."""
        is_trusted, own = self.is_plausible.copy(), self.own
        counts = self.weights > 0
        n_trusted = np.bincount(self.codes[is_trusted & counts], minlength=self.n_classes)
        rows = np.flatnonzero(counts & (n_trusted[self.codes] == 0))
        rows = rows[np.lexsort((-own[rows], self.codes[rows]))]
        is_trusted[rows[np.unique(self.codes[rows], return_index=True)[1]]] = True
        return is_trusted

    @property
    def top(self) -> TopPredictions:
        """The predictions, with the classes that they are of."""
        return TopPredictions(self.predictions, self.kept, self.n_classes)

    @property
    def min_ratios(self) -> ClassPairs:
        """What share of the best label's prediction (first) a given label (second) must get."""
        return ClassPairs(self.pairs, self.pair_ratios, self.other_ratios)

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.other_ratios)

    @property
    def is_clean(self) -> bool:
        """Whether the first selection has found hardly a label wrong: all are trusted for good."""
        return self.n_updates > 0 and not self.pair_ratios.any()

    @property
    def own(self) -> np.ndarray:
        """What the given labels are predicted with."""
        return self.top.own(self.codes)

    @cached_property
    def is_plausible(self) -> np.ndarray:
        """Whether each label gets what `min_ratios` ask for."""
        return is_enough(self.top, self.codes, self.min_ratios)

    @property
    def residuals(self) -> Any:
        """What the predictions leave of the labels, as gradients at the logits: float32.

        An array of shape (n_rows, n_classes); of more than 32 classes, a sparse one, in which those
        that a row does not keep are zero.
        """
        top, residuals = self.top, self.predictions.copy()
        residuals[np.arange(len(residuals)), top.find(self.codes)] -= 1.0
        if top.is_whole:
            return residuals
        ends = np.arange(len(residuals) + 1, dtype=np.int64) * residuals.shape[1]
        shape = len(residuals), self.n_classes
        return sparse.csr_array((residuals.ravel(), self.kept.ravel(), ends), shape=shape)

    @property
    def noise_rate(self) -> float:
        """The expected share of wrong labels (by weight); 0 before the first selection."""
        return float(np.average(1.0 - self.scores, weights=self.weights))

    @property
    def scores(self) -> np.ndarray:
        """The probability of each label to be right (see `get_label_posterior`)."""
        return self.posterior.right

    @property
    def suggested(self) -> np.ndarray:
        """The most probable other code, where the given one is probably wrong; else this one."""
        return self.posterior.suggested

    @cached_property
    def posterior(self) -> LabelPosterior:
        """What the predictions say of the given labels."""
        if self.n_updates == 0:
            n_rows = len(self.codes)
            return LabelPosterior(np.ones(n_rows), self.codes, np.zeros(n_rows))
        return get_label_posterior(self.top, self.codes, self.weights)


def hold_shares(weights: np.ndarray, codes: np.ndarray, is_taken: np.ndarray) -> np.ndarray:
    """Return weights of some of the rows that stand for all rows, class by class.

    Hard rows of a small class look the most like wrong labels. A fit without them would expect the
    class the less, find more of its rows wrong at the next selection, and so on until none is left.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
    codes : ndarray of shape (n_rows,), dtype int64
    is_taken : ndarray of shape (n_rows,), dtype bool

    Returns
    -------
    held : ndarray of shape (n_rows,), dtype float64
        Zero for the rows that are not taken; in a class of which some are, the sum is that of
        `weights`.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise.label_quality import hold_shares
    >>> codes, is_taken = (
    ...     np.array([0, 0, 0, 1, 1]),
    ...     np.array([True, True, True, True, False]),
    ... )
    >>> hold_shares(np.ones(5), codes, is_taken)
    array([1., 1., 1., 2., 0.])
    """
    held = weights * is_taken
    sums, left = np.bincount(codes, weights), np.bincount(codes, held)
    return held * np.divide(sums, left, out=np.ones_like(sums), where=left > 0.0)[codes]


def is_enough(top: TopPredictions, codes: np.ndarray, min_ratios: ClassPairs) -> np.ndarray:
    """Return whether each label gets what `min_ratios` ask for.

    Parameters
    ----------
    top : TopPredictions
        Of n_rows.
    codes : ndarray of shape (n_rows,), dtype int64
    min_ratios : ClassPairs

    Returns
    -------
    is_plausible : ndarray of shape (n_rows,), dtype bool
    """
    return top.own(codes) >= min_ratios[top.best, codes] * top.sure


def predict_labels(
    features: Any,
    codes: np.ndarray,
    n_classes: int,
    sample_weight: np.ndarray,
    verbose: int = 0,
) -> TopPredictions:
    """Return for each row what each label is predicted with by the other rows.

    Parameters
    ----------
    features : ndarray, torch.Tensor or OwnRows of shape (n_rows, n_features)
        A tensor is worked on where it is; a memory map is read part by part. Of several processes,
        which each hold some rows, all are told the predictions of all.
    codes : ndarray of shape (n_rows,), dtype int64
    n_classes : int
    sample_weight : ndarray of shape (n_rows,)
        What each row counts in the fit.
    verbose : int, default=0
        Whether to show a bar of the rows that are predicted.

    Returns
    -------
    predictions : TopPredictions
        Positive float32, of sum one in each row over all classes.
    """
    features = narrow_features(features)
    rows = OwnRows.of(features)
    n_rows, n_kept, own = len(rows), min(n_classes, MAX_KEPT), codes[rows.numbers]
    values = np.empty((n_rows, n_kept), np.float32)
    classes = np.arange(n_classes, dtype=np.int32)[None]
    if n_kept < n_classes:
        classes = np.empty((n_rows, n_kept), np.int32)
    with tqdm(total=n_rows, desc="labels judged", unit=" rows", disable=not verbose) as bar:
        for part, found in predict_in_parts(features, codes, n_classes, sample_weight):
            np.maximum(found, MIN_SHARE, out=found)
            found /= found.sum(axis=1, keepdims=True)
            top = TopPredictions.keep(found, own[part], n_kept)
            values[part] = top.values
            if not top.is_whole:
                classes[part] = top.classes
            bar.update(len(found))
    if n_kept < n_classes:
        classes = rows.gather(classes)
    return TopPredictions(rows.gather(values), classes, n_classes)
