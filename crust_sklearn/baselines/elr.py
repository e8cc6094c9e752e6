"""ELRClassifier: early-learning regularization."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._validation import check_number
from ..label_noise import RowJudgement
from ..nets import NoisyLabelClassifier


class ELRClassifier(NoisyLabelClassifier):
    """Early-learning regularization: hold the network to what it predicted early.

    Each row has a target, the moving average of its predictions; a term in the loss keeps the
    prediction near it, so that the gradients of labels that are learnt late, the wrong ones, are
    held down [1]_ (Eq. 6 and 9).

    Parameters
    ----------
    module : torch.nn.Module class or instance
    lam : float, default=3.0
        The weight of the term, at least 0. The paper's for CIFAR-10; it has 7 for CIFAR-100.
    beta : float, default=0.7
        How much of the old target is kept in each epoch, in [0, 1]. The paper's for CIFAR-10; it
        has 0.9 for CIFAR-100.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        What the targets say of the given labels.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is probable for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The mean probability of the given labels to be wrong.
    state_ : TrainingState
        ``state_.entries["targets"]`` are the targets of the rows.

    Notes
    -----
    Predictions are clipped to [1e-4, 1 - 1e-4], as in the authors' code. The term tends to
    overcome the labels on small data sets whose network is sure early: lower `lam` there.

    References
    ----------
    .. [1] Liu, Niles-Weed, Razavian, Fernandez-Granda, "Early-Learning Regularization Prevents
       Memorization of Noisy Labels", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn.baselines import ELRClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ELRClassifier(MLP, lam=1.0, random_state=0, verbose=0).fit(X / 16, y)
    >>> clf.score(X / 16, y) > 0.9
    True
    """

    def __init__(self, module: Any, *, lam: float = 3.0, beta: float = 0.7, **kwargs: Any):
        self.lam = lam
        self.beta = beta
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        check_number("lam", self.lam, low=0)
        check_number("beta", self.beta, low=0, high=1)

    def get_losses(self, y_pred: Tensor, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return the criterion's losses, and the term that holds the network to its targets.

        Parameters
        ----------
        y_pred, y_true, rows
            As in `NoisyLabelClassifier`.

        Returns
        -------
        losses : tensor of shape (batch_size,)
        """
        losses = super().get_losses(y_pred, y_true, rows)
        p = self.get_probabilities(y_pred).clamp(1e-4, 1 - 1e-4)
        new = p.detach() / p.detach().sum(dim=1, keepdim=True)
        targets = self.get_row_state("targets", y_pred.shape[1])
        targets[rows] = (self.beta * targets[rows] + (1 - self.beta) * new).to(targets.dtype)
        return losses + self.lam * (1 - (targets[rows] * p).sum(dim=1)).log()

    def judge_rows(self) -> RowJudgement | None:
        """Return what the targets say of the labels.

        Returns
        -------
        judgement : RowJudgement or None
            A row that no batch has held yet keeps its label.
        """
        training, targets = self.training_, self.state_.entries.get("targets")
        if targets is None or training is None or training.codes is None:
            return None
        proba = torch.as_tensor(targets).double().cpu().numpy()[training.rows]
        # They begin at zero: in the first epochs, their sum is not yet one.
        total = proba.sum(axis=1, keepdims=True)
        given = np.eye(proba.shape[1])[training.codes]
        proba = np.where(total > 0, proba / np.where(total > 0, total, 1.0), given)
        return RowJudgement.from_probabilities(proba, training.codes, training.weights)
