"""RelabellingStage: a network and soft labels that are found together, for Joint Optimization."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data import MixedBatch, RowBatch
from ...gradients import get_logits
from ...nets import EpochPlan, NoisyLabelClassifier

PREDICTIONS = "predictions"


class RelabellingStage(NoisyLabelClassifier):
    """Train on labels that are taken from the network's own predictions, after some epochs.

    The first step of Joint Optimization [1]_; see `JointOptimizationClassifier`.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    alpha, beta : float
        The weights of the prior and of the entropy in the loss.
    prior : array-like of shape (n_classes,) or None
        The shares of the classes; None: all the same.
    n_given : int
        The epochs that are trained on the given labels.
    n_averaged : int
        The epochs over whose predictions a soft label is the mean.
    **kwargs : dict
        As in `NoisyLabelClassifier`.

    Attributes
    ----------
    soft_labels_ : ndarray of shape (n_samples, n_classes), dtype float32
        The mean predictions of the last `n_averaged` epochs; what is given, for a row that none of
        them trained on. NaN for rows of a validation split.

    References
    ----------
    .. [1] Tanaka, Ikami, Yamasaki, Aizawa, "Joint Optimization Framework for Learning with Noisy
       Labels", CVPR 2018.
    """

    def __init__(
        self,
        module: Any,
        *,
        alpha: float = 1.2,
        beta: float = 0.8,
        prior: Any = None,
        n_given: int = 10,
        n_averaged: int = 10,
        **kwargs: Any,
    ):
        self.alpha = alpha
        self.beta = beta
        self.prior = prior
        self.n_given = n_given
        self.n_averaged = n_averaged
        super().__init__(module, **kwargs)

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Find the labels of the coming epoch; it goes over all rows.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : None
        """
        assert self.training_ is not None
        kept, predictions = self.training_.kept, self.get_predictions()
        if epoch >= self.n_given:
            kept["targets"] = self.get_soft_labels()
        elif "targets" not in kept:
            kept["targets"] = self.get_given_labels()
        # The oldest predictions make room.
        predictions[:, epoch % self.n_averaged] = 0.0
        return None

    def get_predictions(self) -> Tensor:
        """Return the predictions of the last epochs, zeros where there are none.

        Returns
        -------
        predictions : tensor of shape (n_samples, n_averaged, n_classes), dtype float32
            To be changed in place.
        """
        n_classes = len(self.classes_)
        flat = self.get_row_state(PREDICTIONS, self.n_averaged * n_classes)
        return flat.view(-1, self.n_averaged, n_classes)

    def get_given_labels(self) -> Tensor:
        """Return the given labels as rows of zeros and a one.

        Returns
        -------
        labels : tensor of shape (n_samples, n_classes), dtype float32
            Zeros for rows of a validation split.
        """
        assert self.training_ is not None
        labels = torch.zeros(self.training_.n_rows, len(self.classes_))
        labels[self.training_.rows, self.training_.codes] = 1.0
        return labels.to(self.get_predictions().device)

    def get_soft_labels(self) -> Tensor:
        """Return the mean predictions of the last epochs.

        Returns
        -------
        labels : tensor of shape (n_samples, n_classes), dtype float32
            What is given, for a row without predictions, as of a batch that is left out.
        """
        total = self.get_predictions().sum(dim=1)
        n_predictions = total.sum(dim=1, keepdim=True)
        is_seen = n_predictions > 0
        return torch.where(is_seen, total / n_predictions, self.get_given_labels())

    def get_batch_loss(self, y_pred: Any, y_true: Tensor, batch: RowBatch | MixedBatch) -> Tensor:
        """Return the cross-entropy with the soft labels, and the two terms that hold them.

        Parameters
        ----------
        y_pred, y_true, batch
            As in `NoisyLabelClassifier`.

        Returns
        -------
        loss : tensor of shape ()
        """
        assert self.training_ is not None
        logits = get_logits(y_pred)
        rows, weight = batch.rows.to(logits.device), batch.weight.to(logits.device)
        log_p = logits.log_softmax(dim=1)
        predictions = self.get_predictions()
        predictions[rows, self.state_.epoch % self.n_averaged] = log_p.detach().exp().float()
        targets = self.training_.kept["targets"][rows].to(logits.dtype)
        loss = self.reduce_losses(self.get_losses(logits, targets, rows), targets, weight)
        prior = np.full(len(self.classes_), 1.0) if self.prior is None else self.prior
        prior = torch.as_tensor(np.asarray(prior, np.float64)).to(logits)
        loss = loss + self.alpha * compute_prior_loss(log_p, weight, prior / prior.sum())
        return loss + self.beta * compute_mean_entropy(log_p, weight)

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the soft labels among it.

        Returns
        -------
        attributes : dict of str to object
        """
        assert self.training_ is not None
        labels = np.full((self.training_.n_rows, len(self.classes_)), np.nan, np.float32)
        rows = self.training_.rows
        labels[rows] = self.get_soft_labels().cpu().numpy()[rows]
        return super().get_fitted_attributes() | {"soft_labels_": labels}


def compute_prior_loss(log_p: Tensor, weight: Tensor, prior: Tensor) -> Tensor:
    """Return how far the mean prediction of a batch is from the shares of the classes.

    ``-sum_k prior_k log pbar_k``, which is the divergence KL(prior || pbar) and a constant.

    Parameters
    ----------
    log_p : tensor of shape (n, n_classes)
        Logarithms of the predicted probabilities.
    weight : tensor of shape (n,)
        What each row counts in the mean.
    prior : tensor of shape (n_classes,)

    Returns
    -------
    loss : tensor of shape ()
        0 if no row has a weight.
    """
    has_weight = weight > 0
    if not has_weight.any():
        return log_p.sum() * 0.0
    log_p, weight = log_p[has_weight], weight[has_weight].to(log_p.dtype)
    # A class that no row predicts has a probability that its logarithm alone can tell from zero.
    log_mean = torch.logsumexp(log_p + weight.log()[:, None], dim=0) - weight.sum().log()
    return -(prior * log_mean).sum()


def compute_mean_entropy(log_p: Tensor, weight: Tensor) -> Tensor:
    """Return the mean entropy of the predictions of a batch.

    Parameters
    ----------
    log_p : tensor of shape (n, n_classes)
        Logarithms of the predicted probabilities.
    weight : tensor of shape (n,)
        What each row counts.

    Returns
    -------
    entropy : tensor of shape ()
    """
    return -(weight * (log_p.exp() * log_p).sum(dim=1)).mean()
