"""RowOutputs: what one pass of the current network over the training rows tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.utils import to_tensor

from ..data import CoresetDataset
from ..gradients import GradientProxy, get_logits
from ..label_noise.label_quality import MAX_FEATURES
from . import processes
from .divergence import explain_gradients
from .evaluation import evaluating

IS_FILLED = "is_filled"
# More numbers than this, a gigabyte, are not kept for the sake of judging labels.
MAX_INPUTS = 2**28


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
    inputs : ndarray of shape (n_rows, n_inputs), dtype float32, or None
        What the module is given, if it was asked for, and if it is finite, a vector of
        floating-point numbers for each row (see `is_vectors`), and less than a gigabyte.
    confidence : ndarray of shape (n_rows,), dtype float32, or None
        The probability of the predicted class.
    """

    predicted: np.ndarray
    features: np.ndarray
    gradients: np.ndarray | None = None
    metric: Any = None
    inputs: np.ndarray | None = None
    confidence: np.ndarray | None = None


def compute_row_outputs(
    net: Any,
    dataset: Any,
    *,
    numbers: np.ndarray | None = None,
    gradient: str | None = None,
    gradient_layer: str | None = None,
    with_inputs: bool = False,
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
    with_inputs : bool, default=False
        Whether to return the inputs as well.
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
    columns = RowColumns(n_rows)
    processes.share_buffers(net)
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
            logits = get_logits(found.output)
            parts = {"predicted": logits.argmax(dim=1)}
            parts["confidence"] = net.get_probabilities(logits).amax(dim=1).float()
            parts["features"] = found.features
            if found.rows is not None:
                parts["gradients"] = found.rows
            with_inputs = with_inputs and _fits(batch.x, columns.parts.get("inputs"), n_rows)
            if with_inputs:
                parts["inputs"] = batch.x.float().flatten(1)
            else:  # of all rows, or of none
                columns.parts.pop("inputs", None)
            columns.fill(batch.rows, parts)
    gathered = columns.gather(net)
    if not gathered["gradients" if "gradients" in gathered else "features"].isfinite().all():
        raise FloatingPointError(explain_gradients(net.history))
    if "inputs" in gathered and not gathered["inputs"].isfinite().all():
        del gathered["inputs"]  # the module has a way with them that is not known here
    arrays: dict[str, Any] = {name: column.cpu().numpy() for name, column in gathered.items()}
    return RowOutputs(metric=proxy.metric, **arrays)


class RowColumns:
    """Columns of numbers for all rows, filled in a batch at a time, by all processes.

    Parameters
    ----------
    n_rows : int

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> from crust_sklearn.nets.row_outputs import RowColumns
    >>> columns = RowColumns(3)
    >>> columns.fill(torch.tensor([2, 0]), {"squares": torch.tensor([4.0, 0.0])})
    >>> columns.fill(torch.tensor([1]), {"squares": torch.tensor([1.0])})
    >>> columns.gather(NoisyLabelClassifier(MLP))
    {'squares': tensor([0., 1., 4.])}
    """

    def __init__(self, n_rows: int):
        self.n_rows = n_rows
        self.is_filled = np.zeros(n_rows, bool)
        self.parts: dict[str, torch.Tensor] = {}

    def fill(self, rows: torch.Tensor, parts: Mapping[str, torch.Tensor]) -> None:
        """Fill in rows; one that is filled in already is overwritten.

        Parameters
        ----------
        rows : tensor of shape (n,), dtype int64
            Their places.
        parts : mapping of str to tensor of shape (n, ...)
        """
        self.is_filled[rows.cpu().numpy()] = True
        for name, part in parts.items():
            if name not in self.parts:
                self.parts[name] = part.new_empty((self.n_rows, *part.shape[1:]))
            self.parts[name][rows.to(part.device)] = part

    def gather(self, net: Any) -> dict[str, torch.Tensor]:
        """Return the columns with what every process has filled in.

        Parameters
        ----------
        net : NoisyLabelClassifier
            Its accelerator, if it has one, knows the other processes.

        Returns
        -------
        columns : dict of str to tensor of shape (n_rows, ...)

        Raises
        ------
        RuntimeError
            If a row was given by no loader.
        """
        is_filled = torch.as_tensor(self.is_filled.astype(np.uint8))
        parts = self.parts | {IS_FILLED: is_filled}
        found = processes.gather_rows(net, np.flatnonzero(self.is_filled), parts)
        missing = np.flatnonzero(found.pop(IS_FILLED).numpy() == 0)
        if len(missing):
            raise RuntimeError(
                f"{len(missing)} of {self.n_rows} rows to be judged, the first of them at "
                f"{missing[0]}, came in no batch of iterator_valid. A loader has to give each row "
                "of its dataset, here to one of the processes at least."
            )
        return found


def is_vectors(x: Any) -> bool:
    """Return whether a batch is one tensor of floating-point numbers, with a vector for each row.

    An array of not more numbers than labels are judged by, as a small image, counts as one.
    """
    if not (isinstance(x, torch.Tensor) and x.ndim >= 2 and x.is_floating_point()):
        return False
    return x.ndim == 2 or x[0].numel() <= MAX_FEATURES


def _fits(x: Any, column: torch.Tensor | None, n_rows: int) -> bool:
    """Return whether a batch is vectors that can stand below those of the batches before."""
    if not is_vectors(x):
        return False
    width = x[0].numel()
    is_same = column is None or column.shape[1] == width  # not as padded sequences
    return is_same and n_rows * width <= MAX_INPUTS


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
    training, columns = net.training_, RowColumns(len(net.training_.rows))
    processes.share_buffers(net)
    with evaluating(net), torch.no_grad():
        for at, y, output in _run_over_rows(net, net):
            numbers = torch.as_tensor(training.rows[at.cpu().numpy()])
            numbers = numbers.to(get_logits(output).device)
            found = net.get_judged_losses(output, to_tensor(y, net.device), numbers)
            columns.fill(at, {"losses": found.cpu().double()})
    return columns.gather(net)["losses"].numpy()


def compute_row_probabilities(net: Any, by: Any = None) -> np.ndarray:
    """Return what the current network predicts for each training row, in eval mode.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.
    by : NoisyLabelClassifier or None, default=None
        Who predicts them: a stage; None: the net itself.

    Returns
    -------
    probabilities : ndarray of shape (n_train, n_classes), dtype float32
        In the order of ``net.training_.rows``.
    """
    by, columns = net if by is None else by, RowColumns(len(net.training_.rows))
    processes.share_buffers(net)
    with evaluating(by), torch.no_grad():
        for at, _, output in _run_over_rows(net, by):
            found = by.get_probabilities(get_logits(output))
            columns.fill(at, {"probabilities": found.cpu().float()})
    return columns.gather(net)["probabilities"].numpy()


def _run_over_rows(net: Any, by: Any) -> Iterator[tuple[torch.Tensor, Any, Any]]:
    """Return for each batch of the training rows their positions, labels and outputs."""
    training = net.training_
    rows = CoresetDataset(
        net.get_selection_dataset(training.dataset),
        np.arange(len(training.rows)),
        collate_fn=net.get_collate_fn("iterator_valid"),
    )
    for batch, y in net.get_iterator(rows, training=False):
        yield batch.rows, y, by.infer(batch.x, **training.fit_params)
