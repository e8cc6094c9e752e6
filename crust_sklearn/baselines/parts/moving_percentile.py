"""The moving percentile of the losses of a net's batches."""

from __future__ import annotations

import torch
from torch import Tensor

from ...nets import TrainingState, processes

# Of the moving average: what is kept of it from batch to batch.
DECAY = 0.9
LOSS_PERCENTILE = "loss_percentile"


class MovingPercentileMixin:
    """Let a net tell large losses from small ones, by a percentile of them that moves along.

    After each batch, ``lambda = 0.9 lambda + 0.1 percentile(losses of the batch)``; the first batch
    gives its own.
    """

    percentile: float
    state_: TrainingState

    def move_percentile(self, losses: Tensor, weight: Tensor) -> Tensor:
        """Take the losses of a batch into account, and return the moving percentile.

        Parameters
        ----------
        losses : tensor of shape (n,)
            Of several processes, those of the own rows.
        weight : tensor of shape (n,)
            Rows of weight zero have no say.

        Returns
        -------
        threshold : tensor of shape (), dtype float32
        """
        counted = processes.join(self, losses.detach()[weight > 0].float())
        kept = self.state_.entries.get(LOSS_PERCENTILE)
        before = None if kept is None else torch.as_tensor(kept).to(counted.device)
        if not len(counted):
            return counted.new_zeros(()) if before is None else before
        moved = torch.quantile(counted, self.percentile)
        if before is not None:
            moved = DECAY * before + (1 - DECAY) * moved
        self.state_.entries[LOSS_PERCENTILE] = moved
        return moved
