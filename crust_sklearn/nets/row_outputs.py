"""RowOutputs: what one pass of the current network over the training rows tells of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.utils import to_tensor

from ..data import CoresetDataset
from ..gradients import GradientProxy, get_logits
from ..label_noise.judging_features import MAX_FEATURES
from ..label_noise.own_rows import OwnRows
from . import processes
from .divergence import explain_gradients
from .evaluation import evaluating
from .largest_entries import ENTRIES, PLACES, is_too_much, keep_largest, make_sparse
from .shared_rows import SharedRows

# More numbers than this, a gigabyte, are not kept for the sake of judging labels.
MAX_INPUTS = 2**28


@dataclass(frozen=True)
class RowOutputs:
    """What a network says of rows, in eval mode.

    Attributes
    ----------
    predicted : ndarray of shape (n_rows,), dtype int64
        The predicted class, as a column.
    features : ndarray or SharedRows of shape (n_rows, n_features), dtype float32
        The inputs of the last linear layer; the logits, where there is none. Those of the own rows
        alone, where there are several processes and it was asked for.
    gradients : {ndarray, sparse array} of shape (n_rows, n_proxy), dtype float32, or None
        The gradient proxies; None if none were asked for. Sparse, where each row keeps only the
        largest entries of the gradient at the logits.
    metric : OuterProductDistance or None
        What the proxies are to be compared by; None for "euclidean".
    inputs : ndarray or SharedRows of shape (n_rows, n_inputs), dtype float32, or None
        What the module is given, if it was asked for, and if it is finite, a vector of
        floating-point numbers for each row (see `is_vectors`), and less than a gigabyte.
    confidence : ndarray of shape (n_rows,), dtype float32, or None
        The probability of the predicted class; None for a selection, which does not need it.
    """

    predicted: np.ndarray
    features: Any
    gradients: Any = None
    metric: Any = None
    inputs: Any = None
    confidence: np.ndarray | None = None


def compute_row_outputs(
    net: Any,
    dataset: Any,
    *,
    numbers: np.ndarray | None = None,
    gradient: str | None = None,
    gradient_layer: str | None = None,
    with_inputs: bool = False,
    for_selection: bool = False,
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
    for_selection : bool, default=False
        Whether labels are to be judged, and rows selected, by the outputs, as far as these are
        needed for it: each of several processes keeps the features and inputs of its own rows; and
        where gradients at the logits, of more than 32 classes, would be more than 2**26 numbers,
        each row keeps the 32 largest.
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
    columns = RowColumns(n_rows, processes.count(net))
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
            parts = {"predicted": logits.argmax(dim=1).int()}
            if not for_selection:
                parts["confidence"] = net.get_probabilities(logits).amax(dim=1).float()
            parts["features"] = found.features
            if found.rows is not None:
                n_columns = found.rows.shape[1]
                n_left = n_columns if proxy.metric is None else proxy.metric.n_left
                if for_selection and gradient != "features" and is_too_much(n_rows, n_left):
                    parts |= keep_largest(found.rows, n_left)
                else:
                    parts["gradients"] = found.rows
            with_inputs = with_inputs and _fits(batch.x, columns.parts.get("inputs"), n_rows)
            if with_inputs:
                parts["inputs"] = batch.x.float().flatten(1)
            else:  # of all rows, or of none
                columns.parts.pop("inputs", None)
            columns.fill(batch.rows, parts)
    held = ("features", "inputs") if for_selection else ()
    gathered = columns.gather(net, held)
    decisive = [name for name in ("gradients", ENTRIES) if name in gathered] or ["features"]
    if not all(_is_finite(net, gathered[name]) for name in decisive):
        raise FloatingPointError(explain_gradients(net.history))
    if "inputs" in gathered and not _is_finite(net, gathered["inputs"]):
        del gathered["inputs"]  # the module has a way with them that is not known here
    arrays: dict[str, Any] = {}
    for name, column in gathered.items():
        rows_of = OwnRows.of(column)
        arrays[name] = rows_of.replace(rows_of.values.cpu().numpy())
    arrays["predicted"] = arrays["predicted"].astype(np.int64)
    if ENTRIES in arrays:
        found_entries = arrays.pop(ENTRIES), arrays.pop(PLACES)
        arrays["gradients"] = make_sparse(*found_entries, n_columns)
    return RowOutputs(metric=proxy.metric, **arrays)


def _is_finite(net: Any, column: Any) -> bool:
    """Return whether a column is finite in all processes."""
    return all(processes.exchange(net, bool(OwnRows.of(column).values.isfinite().all())))


class RowColumns:
    """Columns of numbers for all rows, filled in a batch at a time, by all processes.

    Parameters
    ----------
    n_rows : int
    n_processes : int, default=1

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

    def __init__(self, n_rows: int, n_processes: int = 1):
        self.n_rows, self.n_processes = n_rows, n_processes
        # Where each row stands in the columns, which hold no others: in the order they come in.
        self.places = np.full(n_rows, -1, np.int64)
        self.n_filled = 0
        self.parts: dict[str, torch.Tensor] = {}

    def fill(self, rows: torch.Tensor, parts: Mapping[str, torch.Tensor]) -> None:
        """Fill in rows; one that is filled in already is overwritten.

        Parameters
        ----------
        rows : tensor of shape (n,), dtype int64
            Their places.
        parts : mapping of str to tensor of shape (n, ...)
        """
        at = rows.cpu().numpy()
        new = np.unique(at[self.places[at] < 0])
        self.places[new] = self.n_filled + np.arange(len(new))
        self.n_filled += len(new)
        for name, part in parts.items():
            column = self._make_room(name, part)
            column[torch.as_tensor(self.places[at], device=part.device)] = part

    def _make_room(self, name: str, part: torch.Tensor) -> torch.Tensor:
        """Return a column that has room for all rows filled in."""
        column = self.parts.get(name)
        if column is None or len(column) < self.n_filled:
            # The share of this process is not known yet, but by a batch or two.
            most = self.n_rows // self.n_processes + 2 * len(part)
            n = self.n_rows if self.n_processes == 1 or most < self.n_filled else most
            room = part.new_empty((min(n, self.n_rows), *part.shape[1:]))
            if column is not None:
                room[: len(column)] = column
            self.parts[name] = column = room
        return column

    def gather(self, net: Any, held: Sequence[str] = ()) -> dict[str, Any]:
        """Return the columns with what every process has filled in.

        Parameters
        ----------
        net : NoisyLabelClassifier
            Its accelerator, if it has one, knows the other processes.
        held : sequence of str, default=()
            Columns that are not told: of several processes, each has those of its own rows.

        Returns
        -------
        columns : dict of str to tensor of shape (n_rows, ...), or to SharedRows

        Raises
        ------
        RuntimeError
            If a row was given by no loader.
        """
        owners = processes.find_owners(net, self.places >= 0)
        missing = np.flatnonzero(owners < 0)
        if len(missing):
            raise RuntimeError(
                f"{len(missing)} of {self.n_rows} rows to be judged, the first of them at "
                f"{missing[0]}, came in no batch of iterator_valid. A loader has to give each row "
                "of its dataset, here to one of the processes at least."
            )
        at = self.places[owners == processes.get_rank(net)]
        # They are seldom shuffled: no copy, then.
        is_sorted = np.array_equal(at, np.arange(len(at)))
        found: dict[str, Any] = {}
        for name in processes.find_common(net, self.parts):
            part = self.parts.pop(name)
            part = part[: len(at)] if is_sorted else part[torch.as_tensor(at, device=part.device)]
            make = SharedRows.hold if name in held else processes.gather_rows
            found[name] = make(net, owners, part)
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
    training, columns = net.training_, RowColumns(len(net.training_.rows), processes.count(net))
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
    return describe_predictions(net, lambda proba, at: {"all": proba}, by)["all"]


def describe_predictions(
    net: Any, describe: Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]], by: Any = None
) -> dict[str, np.ndarray]:
    """Return what is to be known of the predictions for each training row, a batch at a time.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.
    describe : callable
        ``describe(probabilities, positions)`` returns arrays by name, with an entry for each row of
        a batch, of which it is given the probabilities, float32 of shape (n_batch, n_classes), and
        the positions among the training rows.
    by : NoisyLabelClassifier or None, default=None
        As of `compute_row_probabilities`.

    Returns
    -------
    columns : dict of str to ndarray of shape (n_train, ...)
        In the order of ``net.training_.rows``.
    """
    by = net if by is None else by
    columns = RowColumns(len(net.training_.rows), processes.count(net))
    processes.share_buffers(net)
    with evaluating(by), torch.no_grad():
        for at, _, output in _run_over_rows(net, by):
            proba = by.get_probabilities(get_logits(output)).cpu().float().numpy()
            found = describe(proba, at.cpu().numpy())
            columns.fill(at, {name: torch.as_tensor(part) for name, part in found.items()})
    return {name: column.numpy() for name, column in columns.gather(net).items()}


def _run_over_rows(net: Any, by: Any) -> Iterator[tuple[torch.Tensor, Any, Any]]:
    """Return for each batch of the training rows their positions, labels and outputs."""
    training = net.training_
    rows = CoresetDataset(
        training.selection_dataset,
        np.arange(len(training.rows)),
        collate_fn=net.get_collate_fn("iterator_valid"),
    )
    for batch, y in net.get_iterator(rows, training=False):
        yield batch.rows, y, by.infer(batch.x, **training.fit_params)
