"""RowOutputs: what one pass of the current network over the training rows tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.utils import to_tensor

from ..data import CoresetDataset
from ..gradients import GradientProxy, get_logits
from .divergence import explain_gradients
from .evaluation import evaluating


@dataclass(frozen=True)
class RowOutputs:
    """What a network says of rows, in eval mode.

    Attributes
    ----------
    predicted : ndarray of shape (n_rows,), dtype int64
        The predicted class, as a column.
    features : ndarray of shape (n_rows, n_features), dtype float32
        The inputs of the last linear layer; the logits, where there is none.
    gradients : ndarray of shape (n_rows, n_proxy), dtype float32, or None
        The gradient proxies; None if none were asked for.
    metric : OuterProductDistance or None
        What the proxies are to be compared by; None for "euclidean".
    """

    predicted: np.ndarray
    features: np.ndarray
    gradients: np.ndarray | None = None
    metric: Any = None


def compute_row_outputs(
    net: Any,
    dataset: Any,
    *,
    numbers: np.ndarray | None = None,
    gradient: str | None = None,
    gradient_layer: str | None = None,
    **fit_params: Any,
) -> RowOutputs:
    """Run a net over a dataset, and return what it says of each row.

    Parameters
    ----------
    net : NoisyLabelClassifier
        Initialized.
    dataset : torch Dataset
        Gives pairs (X, y) with codes as labels.
    numbers : ndarray of shape (n_rows,), dtype int64, default=None
        The rows' numbers in the X given to fit; None: their positions.
    gradient : {"logits", "features", "last-layer"} or None, default=None
        The gradient proxies to compute.
    gradient_layer : str or None, default=None
        The last linear layer; None: it is found.
    **fit_params : dict
        Passed on to the module's forward.

    Returns
    -------
    outputs : RowOutputs

    Raises
    ------
    ValueError
        If there is no last linear layer, where the gradient needs one.
    FloatingPointError
        If a gradient or a feature is not finite.
    """
    n_rows = len(dataset)
    numbers = np.arange(n_rows) if numbers is None else numbers
    rows = CoresetDataset(
        dataset, np.arange(n_rows), collate_fn=net.get_collate_fn("iterator_valid")
    )
    # The closed form is that of the criterion alone.
    is_plain = not (net.has_own_get_loss or net.has_own_get_losses)
    columns: list[torch.Tensor] = []  # of all rows: predicted classes, features, gradients
    with evaluating(net), torch.no_grad():
        proxy = GradientProxy(
            net.module_, net.criterion_ if is_plain else None, gradient, gradient_layer
        )
        for batch, y in net.get_iterator(rows, training=False):
            of_batch = torch.as_tensor(numbers[batch.rows.cpu().numpy()])
            found = proxy.compute(
                lambda x=batch.x: net.infer(x, **fit_params),  # type: ignore[misc]
                to_tensor(y, net.device),
                lambda y_pred, y, at=of_batch: net.get_judged_losses(  # type: ignore[misc]
                    y_pred, y, at.to(y.device)
                ),
            )
            parts = [get_logits(found.output).argmax(dim=1), found.features]
            parts += [] if found.rows is None else [found.rows]
            if not columns:
                columns = [part.new_empty((n_rows, *part.shape[1:])) for part in parts]
            at = batch.rows.to(parts[0].device)
            for column, part in zip(columns, parts, strict=True):
                column[at] = part
    if not columns[-1].isfinite().all():
        raise FloatingPointError(explain_gradients(net.history))
    predicted, features, *rest = (column.cpu().numpy() for column in columns)
    return RowOutputs(predicted, features, rest[0] if rest else None, proxy.metric)


def compute_row_losses(net: Any) -> np.ndarray:
    """Return the loss of each training row by the current network, in eval mode.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.

    Returns
    -------
    losses : ndarray of shape (n_train,), dtype float64
        In the order of ``net.training_.rows``.
    """
    training = net.training_
    rows = CoresetDataset(
        net.get_selection_dataset(training.dataset),
        np.arange(len(training.rows)),
        collate_fn=net.get_collate_fn("iterator_valid"),
    )
    losses = np.empty(len(rows))
    with evaluating(net), torch.no_grad():
        for batch, y in net.get_iterator(rows, training=False):
            output, at = net.infer(batch.x, **training.fit_params), batch.rows.cpu().numpy()
            numbers = torch.as_tensor(training.rows[at], device=get_logits(output).device)
            found = net.get_judged_losses(output, to_tensor(y, net.device), numbers)
            losses[at] = found.double().cpu().numpy()
    return losses
