"""MarginNet: a network that notes, while it is trained, by how much it holds with each label."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...data import MixedBatch, RowBatch
from ...gradients import get_logits
from ...nets import NoisyLabelClassifier


class MarginNet(NoisyLabelClassifier):
    """Plain training in which the margins of the rows are averaged over the epochs.

    The margin of a row is that of the training pass, in which its batch is trained on.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    **kwargs : dict
        As in `NoisyLabelClassifier`.

    Attributes
    ----------
    aum_ : ndarray of shape (n_samples,), dtype float64
        The area under the margin: the mean of a row's margins; NaN for rows that no batch held.
    """

    def get_batch_loss(self, y_pred: Any, y_true: Tensor, batch: RowBatch | MixedBatch) -> Tensor:
        """Note the margins of a batch, and return its loss.

        Parameters
        ----------
        y_pred, y_true, batch
            As in `NoisyLabelClassifier`.

        Returns
        -------
        loss : tensor of shape ()
        """
        logits = get_logits(y_pred).detach().float()
        if isinstance(self.criterion_, nn.NLLLoss):
            logits = (logits + torch.finfo(logits.dtype).eps).log()  # as skorch does
        margins = compute_margins(logits, y_true)
        noted = torch.stack([margins, torch.ones_like(margins)], dim=1)
        sums = self.get_row_state("margins", 2)
        sums.index_add_(0, batch.rows.to(sums.device), noted.to(sums.device))
        return super().get_batch_loss(y_pred, y_true, batch)

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the mean margins among it.

        Returns
        -------
        attributes : dict of str to object
        """
        total, count = self.get_row_state("margins", 2).double().cpu().numpy().T
        missing = np.full(len(total), np.nan)
        own = {"aum_": np.divide(total, count, out=missing, where=count > 0)}
        return super().get_fitted_attributes() | own


def compute_margins(logits: Tensor, y: Tensor) -> Tensor:
    """Return by how much the logits of labels are above the best other ones.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
    y : tensor of shape (n,), dtype int64

    Returns
    -------
    margins : tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.baselines.parts.margin_net import compute_margins
    >>> compute_margins(
    ...     torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]), torch.tensor([0, 1])
    ... )
    tensor([ 1., -2.])
    """
    at = y[:, None]
    best_other = logits.scatter(1, at, -torch.inf).amax(dim=1)
    return logits.gather(1, at)[:, 0] - best_other
