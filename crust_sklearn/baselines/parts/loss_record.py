"""LossRecord: what the losses of some rows are in each epoch of a plain training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data import MixedBatch, RowBatch
from ...gradients import get_logits
from ...nets import NoisyLabelClassifier, processes
from .moving_percentile import MovingPercentileMixin


class LossRecorder(MovingPercentileMixin, NoisyLabelClassifier):
    """Train on all rows, and record what a mentor is to see of some of them.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    watched : ndarray of shape (n_samples,), dtype bool
        The rows to record.
    percentile : float
        As in `MentorNetClassifier`.
    **kwargs : dict
        As in `NoisyLabelClassifier`.

    Attributes
    ----------
    features_ : list of ndarrays of shape (n, 3), dtype float32
        One for each batch: as `Mentor` takes them.
    rows_ : list of ndarrays of shape (n,), dtype int64
        Which rows these are.
    """

    def __init__(self, module: Any, *, watched: Any, percentile: float, **kwargs: Any):
        self.watched = watched
        self.percentile = percentile
        super().__init__(module, **kwargs)

    def prepare_training(self) -> None:
        """Begin with an empty record."""
        super().prepare_training()
        self.features_: list[np.ndarray] = []
        self.rows_: list[np.ndarray] = []

    def get_batch_loss(self, y_pred: Any, y_true: Tensor, batch: RowBatch | MixedBatch) -> Tensor:
        """Return the plain loss of a training batch, and record the losses of its rows.

        Parameters
        ----------
        y_pred, y_true, batch
            As in `NoisyLabelClassifier`.

        Returns
        -------
        loss : tensor of shape ()
        """
        logits = get_logits(y_pred)
        losses = self.get_losses(logits, y_true, batch.rows.to(logits.device))
        weight = batch.weight.to(losses.device)
        self._record(losses.detach().float(), self.move_percentile(losses, weight), batch.rows)
        return self.reduce_losses(losses, y_true, weight)

    def _record(self, losses: Tensor, threshold: Tensor, rows: Tensor) -> None:
        percents = torch.full_like(losses, get_percent(self.state_.epoch, self.max_epochs))
        features = torch.stack([losses, losses - threshold, percents], dim=1)
        at = torch.as_tensor(self.watched[rows.cpu().numpy()], device=features.device)
        # All processes are to learn the same of them.
        found = processes.join(self, features[at]), processes.join(self, rows.to(at.device)[at])
        for record, part in zip((self.features_, self.rows_), found, strict=True):
            record.append(part.cpu().numpy())


def get_percent(epoch: int, n_epochs: int) -> int:
    """Return the percentage of the epochs that are over, from 0 to 99."""
    return min(99, 100 * epoch // n_epochs)
