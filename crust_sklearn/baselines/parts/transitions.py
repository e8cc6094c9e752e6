"""Transition matrices of methods: estimated from anchors, or given; kept, published, judged by."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._validation import check_number
from ...label_noise import RowJudgement, estimate_transition_matrix
from ...nets import NoisyLabelClassifier, TrainingState
from ...nets.judged_labels import judge_predicted
from ...nets.row_outputs import compute_row_probabilities
from .warm_start import WarmStartMixin

TRANSITIONS = "transition_matrix"

# No label is held impossible by an estimate: the loss of a row that has it would be infinite.
_LEAST = 1e-8


class TransitionsMixin(WarmStartMixin):
    """Let a net have a transition matrix: the probability of each given label, by the true one.

    It is an entry of `state_`, of shape (n_classes, n_classes), a row for each true class.
    """

    anchor_quantile: float
    first_epochs: int | None
    max_epochs: int
    state_: TrainingState

    def check_anchors(self) -> None:
        """Refuse parameters of the estimate that are not valid."""
        check_number("anchor_quantile", self.anchor_quantile, low=0, high=1, open_low=True)
        if self.first_epochs is not None:
            check_number("first_epochs", self.first_epochs, kind=Integral, low=1)

    def set_transitions(self, matrix: np.ndarray) -> None:
        """Take a matrix for the one that the net goes by.

        Parameters
        ----------
        matrix : ndarray of shape (n_classes, n_classes), dtype float64
            Rows are scaled to sum to one.
        """
        scaled = matrix / matrix.sum(axis=1, keepdims=True)
        self.state_.entries[TRANSITIONS] = scaled

    def train_for_anchors(self, held_out: np.ndarray) -> NoisyLabelClassifier:
        """Estimate the matrix from the anchors of a first training, for `first_epochs` epochs.

        Parameters
        ----------
        held_out : ndarray of shape (n_held_out,), dtype int64
            As of `draw_held_out`.

        Returns
        -------
        first : NoisyLabelClassifier
            Fitted.
        """
        epochs = self.max_epochs if self.first_epochs is None else self.first_epochs
        first = self.train_first(held_out, epochs)
        self._estimate(first)
        return first

    def _estimate(self, first: NoisyLabelClassifier) -> None:
        training = self.training_
        assert training is not None and training.codes is not None
        proba = compute_row_probabilities(self, first).astype(np.float64)
        has_say = slice(None) if training.weights is None else training.weights > 0
        matrix = estimate_transition_matrix(
            training.codes[has_say],
            (proba / proba.sum(axis=1, keepdims=True))[has_say],
            method="anchor",
            quantile=self.anchor_quantile,
            labels=np.arange(proba.shape[1]),
        )
        self.set_transitions(np.maximum(matrix, _LEAST))

    def get_transitions(self) -> np.ndarray:
        """Return the matrix that the net goes by.

        Returns
        -------
        matrix : ndarray of shape (n_classes, n_classes), dtype float64
        """
        return self.state_.entries[TRANSITIONS]

    def judge_rows(self) -> RowJudgement | None:
        """Return the probability of the true labels, by the network and the given ones.

        Returns
        -------
        judgement : RowJudgement or None
            None before the end of a training.
        """
        training = self.training_
        assert training is not None
        if not training.is_over or training.codes is None:
            return None
        matrix = self.get_transitions()
        return judge_predicted(self, None, lambda p, codes: compute_posterior(p, matrix, codes))

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the matrix among it.

        Returns
        -------
        attributes : dict of str to object
        """
        return super().get_fitted_attributes() | {"transition_matrix_": self.get_transitions()}


def compute_posterior(proba: np.ndarray, matrix: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the probabilities of the true labels, by what is predicted and the given labels.

    ``P(j | x, y) = p_j T[j, y] / (T^T p)_y``.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_classes)
        p, of the true labels by x alone.
    matrix : ndarray of shape (n_classes, n_classes)
        T, without a column of zeros.
    codes : ndarray of shape (n_rows,), dtype int64
        y, the given labels.

    Returns
    -------
    posterior : ndarray of shape (n_rows, n_classes), dtype float64

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.baselines.parts.transitions import compute_posterior
    >>> T = np.array([[0.75, 0.25], [0.0, 1.0]])
    >>> compute_posterior(np.array([[0.8, 0.2]]), T, np.array([1]))
    array([[0.5, 0.5]])
    """
    # Where a network is sure of a class that never has this label, all would be zero.
    jointly = np.maximum(proba.astype(np.float64), np.finfo(np.float32).tiny) * matrix.T[codes]
    return jointly / jointly.sum(axis=1, keepdims=True)


def to_tensor_like(matrix: np.ndarray, like: Tensor) -> Tensor:
    """Return a matrix as a tensor to compute with predictions: of 32 bits at least."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.as_tensor(matrix, dtype=dtype, device=like.device)
