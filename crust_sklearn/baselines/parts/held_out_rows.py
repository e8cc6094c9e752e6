"""What a network in training predicts of rows that it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data import CoresetDataset
from ...gradients import get_logits
from ...nets import processes
from ...nets.evaluation import evaluating
from ...nets.row_outputs import RowColumns


def ask_rows(
    net: Any, positions: np.ndarray, read: Callable[[Tensor, Tensor], Tensor]
) -> np.ndarray:
    """Return a number for each of some training rows, from what is predicted of it now.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.
    positions : ndarray of shape (n,), dtype int64
        Of the rows among the training rows, ascending; at least one.
    read : callable
        Takes probabilities of shape (batch_size, n_classes), dtype float64, and the codes of the
        given labels, of shape (batch_size,), both on the CPU; returns a tensor of that shape.

    Returns
    -------
    numbers : ndarray of shape (n,), dtype float64
        The same in all processes.
    """
    training = net.training_
    rows = CoresetDataset(training.dataset, positions, collate_fn=training.collate_fn)
    codes = torch.as_tensor(training.codes)
    columns = RowColumns(len(positions), processes.count(net))
    processes.share_buffers(net)
    with evaluating(net), torch.no_grad():
        for batch, _ in net.get_iterator(rows, training=False):
            logits = get_logits(net.infer(batch.x, **training.fit_params))
            p = net.get_probabilities(logits).double().cpu()
            at = np.searchsorted(positions, batch.rows.cpu().numpy())
            columns.fill(torch.as_tensor(at), {"numbers": read(p, codes[batch.rows.cpu()])})
    return np.asarray(columns.gather(net)["numbers"], np.float64)
