"""What a method has found about the labels of rows."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from sklearn.utils import gen_batches

# The numbers that are worked on at once.
PART_SIZE = 2**20


class LabelJudgement(Protocol):
    """What is said of the label of each row; `LabelQuality` and `RowJudgement` are such.

    Attributes
    ----------
    scores : ndarray of shape (n_rows,), dtype float64
        How probable it is that the given label is right.
    suggested : ndarray of shape (n_rows,), dtype int64
        The code of the most probable other label where the score is below one half, else the given.
    noise_rate : float
        An estimate of the share of wrong labels.
    """

    @property
    def scores(self) -> np.ndarray:
        """How probable it is that each given label is right."""

    @property
    def suggested(self) -> np.ndarray:
        """The code that is suggested for each row."""

    @property
    def noise_rate(self) -> float:
        """An estimate of the share of wrong labels."""


class RowJudgement(NamedTuple):
    """The label of each row judged by the probabilities of the true ones.

    Attributes
    ----------
    scores, suggested, noise_rate
        As of `LabelJudgement`.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import RowJudgement
    >>> proba = np.array([[0.9, 0.1], [0.7, 0.3]])
    >>> judgement = RowJudgement.from_probabilities(proba, np.array([0, 1]))
    >>> judgement.scores, judgement.suggested, round(judgement.noise_rate, 2)
    (array([0.9, 0.3]), array([0, 0]), 0.4)
    """

    scores: np.ndarray
    suggested: np.ndarray
    noise_rate: float

    @classmethod
    def from_probabilities(
        cls,
        proba: np.ndarray,
        codes: np.ndarray,
        sample_weight: np.ndarray | None = None,
        *,
        scores: np.ndarray | None = None,
    ) -> RowJudgement:
        """Return what probabilities of the true labels say of the given ones.

        Parameters
        ----------
        proba : ndarray of shape (n_rows, n_classes)
            Of the true labels.
        codes : ndarray of shape (n_rows,), dtype int64
            The given labels.
        sample_weight : ndarray of shape (n_rows,) or None, default=None
            What each row counts in the noise rate.
        scores : ndarray of shape (n_rows,) or None, default=None
            How probable the given labels are, where something else than `proba` tells.

        Returns
        -------
        judgement : RowJudgement
        """
        rows = np.arange(len(codes))
        own = proba[rows, codes] if scores is None else scores
        own = np.clip(np.asarray(own, np.float64), 0.0, 1.0)
        suggested = codes.copy()
        for part in gen_batches(len(codes), max(1, PART_SIZE // proba.shape[1])):
            wrong = rows[part][own[part] < 0.5]
            others = np.array(proba[wrong], np.float64)
            others[np.arange(len(wrong)), codes[wrong]] = -np.inf
            suggested[wrong] = others.argmax(axis=1)
        return cls(own, suggested, float(1.0 - np.average(own, weights=sample_weight)))
