"""A net that several processes train: what they do alike, and what the main one does alone."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from skorch import callbacks as skorch_callbacks
from skorch.utils import noop
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from . import checks, processes
from .epoch_plan import EpochPlan
from .state import TrainingState
from .training import Training

# What only reports.
REPORTS = (
    skorch_callbacks.MlflowLogger,
    skorch_callbacks.NeptuneLogger,
    skorch_callbacks.PrintLog,
    skorch_callbacks.ProgressBar,
    skorch_callbacks.SacredLogger,
    skorch_callbacks.TensorBoard,
    skorch_callbacks.WandbLogger,
)


class ProcessesMixin:
    """Let several processes train a net, each on its part of every batch, and on one plan.

    Nothing of it shows in one process. A method that cannot be trained by several says why, as a
    sentence in an attribute of its class, and is refused with it, by a ValueError before training.

    Examples
    --------
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> class Momentum(NoisyLabelClassifier):
    ...     single_process_reason = "the loss of a batch goes by that of the batch before."
    >>> net = Momentum(MLP, random_state=0)
    >>> net.get_own_seed("views", epoch=3) == net.get_seed("views", 3)
    True
    """

    training_: Training | None
    state_: TrainingState
    callbacks_: list[tuple[str, Any]]
    # Why several processes cannot train the net; "", if they can.
    single_process_reason = ""

    def get_own_seed(self, purpose: str, epoch: int = 0) -> int:
        """Return the seed of a stream that each process has for itself, as that of dropout.

        Parameters
        ----------
        purpose : str
        epoch : int, default=0

        Returns
        -------
        seed : int
            In the main process, that of `get_seed`.
        """
        rank = processes.get_rank(self)
        return self.get_seed(f"{purpose} of process {rank}" if rank else purpose, epoch)  # type: ignore[attr-defined]

    # -- before training ------------------------------------------------------------------

    def initialize_module(self) -> Any:
        """Initialize the module.

        Returns
        -------
        self : object
        """
        super().initialize_module()  # type: ignore[misc]
        if processes.count(self) > 1:
            # A new one is to be wrapped, also where the old one still is.
            vars(self)["_wrapped_with_accelerator"] = False
        return self

    def initialize_criterion(self) -> Any:
        """Initialize the criterion.

        Returns
        -------
        self : object
        """
        super().initialize_criterion()  # type: ignore[misc]
        if processes.count(self) > 1 and self.accelerator.device.type == "cpu":  # type: ignore[attr-defined]
            for name in self._criteria:  # type: ignore[attr-defined]
                criterion = getattr(self, f"{name}_")
                if isinstance(criterion, nn.Module) and not has_parameters(criterion):
                    # accelerate would wrap it, and the wrapper takes no module without parameters.
                    criterion._is_accelerate_prepared = True  # type: ignore[assignment]
        return self

    def initialize_callbacks(self) -> Any:
        """Initialize the callbacks; those that write or report do so in the main process.

        Returns
        -------
        self : object
        """
        super().initialize_callbacks()  # type: ignore[misc]
        if processes.get_rank(self):
            self.callbacks_ = [
                (name, callback)
                for name, callback in self.callbacks_
                if not isinstance(callback, REPORTS)
            ]
            for _, callback in self.callbacks_:
                silence(callback)
        return self

    def on_train_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Wrap the module again, which is unwrapped after a call, and refuse what is not shared.

        Parameters
        ----------
        net : NoisyLabelClassifier
        *args, **kwargs
            As in skorch.
        """
        super().on_train_begin(net, *args, **kwargs)  # type: ignore[misc]
        if self.training_ is not None:
            self.training_.loaders_before = list(processes.get_loaders(self))
        if processes.count(self) > 1:
            self._initialize_accelerator()  # type: ignore[attr-defined]
            check_shared(self)

    # -- an epoch -------------------------------------------------------------------------

    def find_plan(self, epoch: int) -> EpochPlan | None:
        """Return what the coming epoch trains on: in all processes what the main one plans.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : EpochPlan or None
        """
        training, last = self.training_, self.state_.plan
        assert training is not None
        before = training.n_bytes_sent
        with processes.agreeing(self):
            plan = checks.check_plan(self.plan_epoch(epoch), self)  # type: ignore[attr-defined]
        if processes.count(self) == 1:
            return plan
        self.history.record("selection_bytes", training.n_bytes_sent - before)  # type: ignore[attr-defined]
        is_last, state = processes.share(
            self, (plan is last, None if plan is None else plan.state_dict())
        )
        if processes.get_rank(self) == 0 or is_last:
            return last if is_last else plan
        return None if state is None else EpochPlan.from_state_dict(state)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the net's own method of an event, then the callbacks.

        Those of several processes see the predictions and labels of all where they are to score
        them, and stop together at the end of an epoch.

        Parameters
        ----------
        method_name : str
        **cb_kwargs : dict
        """
        if processes.count(self) == 1:
            super().notify(method_name, **cb_kwargs)  # type: ignore[misc]
            return
        if method_name == "on_batch_end" and self._is_scored(**cb_kwargs):
            cb_kwargs = self._gather_scored(**cb_kwargs)
        is_end = method_name == "on_epoch_end"
        with processes.agreeing(self) if is_end else nullcontext():
            super().notify(method_name, **cb_kwargs)  # type: ignore[misc]

    def _is_scored(self, batch: Any, y_pred: Any, training: bool, **kwargs: Any) -> bool:
        if not (isinstance(batch, tuple | list) and torch.is_tensor(batch[1])):
            return False
        if not training:
            return True
        return torch.is_tensor(y_pred) and any(
            getattr(callback, "on_train", False)
            for _, callback in self.callbacks_
            if isinstance(callback, skorch_callbacks.EpochScoring | skorch_callbacks.BatchScoring)
        )

    def _gather_scored(
        self, batch: Any, y_pred: Any, training: bool, **kwargs: Any
    ) -> dict[str, Any]:
        """Return what callbacks are told of a batch, with the labels and outputs of all parts."""
        (x, y), gather = batch, self.accelerator.gather_for_metrics  # type: ignore[attr-defined]
        if training:
            y, y_pred = (processes.join(self, part) for part in (y, y_pred.detach()))
        else:  # without the rows by which the last batch is filled up
            y, y_pred = gather((y, y_pred))
            if not self.has_own_get_loss:  # type: ignore[attr-defined]
                loss = self.get_loss(y_pred, y, X=x, training=False)  # type: ignore[attr-defined]
                self.history.record_batch("valid_loss", loss.item())  # type: ignore[attr-defined]
                self.history.record_batch("valid_batch_size", len(y))  # type: ignore[attr-defined]
        return kwargs | {"batch": (x, y), "y_pred": y_pred, "training": training}

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Note the rows of a training batch, where a method keeps something for each.

        Parameters
        ----------
        net : NoisyLabelClassifier
        batch : tuple, default=None
        training : bool, default=False
        **kwargs : dict
        """
        super().on_batch_end(net, batch=batch, training=training, **kwargs)  # type: ignore[misc]
        held = self.training_
        is_noted = training and processes.count(self) > 1 and held is not None
        if is_noted and held is not None and held.row_states and held.batch is not None:
            held.seen.append(held.batch.rows.cpu())

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Tell the other processes what this one has learnt of its rows, and its losses.

        Parameters
        ----------
        net : NoisyLabelClassifier
        *args, **kwargs
            As in skorch.
        """
        if processes.count(self) > 1:
            self._share_row_states()
            self._share_losses()
        super().on_epoch_end(net, *args, **kwargs)  # type: ignore[misc]

    def _share_row_states(self) -> None:
        training, plan = self.training_, vars(self).get("state_") and self.state_.plan
        if training is None or not training.seen:
            return
        if plan is not None and plan.mixing is not None:
            raise ValueError(
                f"{type(self).__name__} keeps {sorted(training.row_states)} for each row, and "
                "mixes rows, so that several processes change what is kept for one. Train it in "
                "one process."
            )
        names = sorted(training.row_states)
        found = [torch.as_tensor(self.state_.entries[name]) for name in names]
        is_held = np.zeros(max(map(len, found)), bool)
        is_held[torch.cat(training.seen).numpy()] = True
        owners, rank = processes.find_owners(self, is_held), processes.get_rank(self)
        own, told = torch.as_tensor(owners == rank), torch.as_tensor(owners >= 0)
        for column in found:
            here = column.device
            everything = processes.gather_rows(self, owners, column[own.to(here)])
            column[told.to(here)] = everything[told.to(here)]
        training.seen.clear()

    def _share_losses(self) -> None:
        """Put the losses of whole batches in the place of those of this process's parts."""
        batches = self.history[-1]["batches"]  # type: ignore[attr-defined]
        names = ("train_loss", "valid_loss", "train_batch_size")
        own = np.array([[batch.get(name, np.nan) for name in names] for batch in batches])
        found = np.stack(processes.exchange(self, own))
        for i, batch in enumerate(batches):
            for j, name in enumerate(names[:2]):
                if name in batch:
                    batch[name] = float(found[:, i, j].mean())
            if "train_batch_size" in batch:
                batch["train_batch_size"] = int(found[:, i, 2].sum())

    def on_train_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Give all processes the module of the main one, and let go of the loaders of the call.

        Parameters
        ----------
        net : NoisyLabelClassifier
        *args, **kwargs
            As in skorch.
        """
        processes.share_buffers(self)
        if self.training_ is not None:
            before = self.training_.loaders_before
            processes.forget_loaders(self, lambda loader: not any(loader is b for b in before))
        super().on_train_end(net, *args, **kwargs)  # type: ignore[misc]


def has_parameters(module: nn.Module) -> bool:
    """Return whether a module has parameters that are trained."""
    return any(parameter.requires_grad for parameter in module.parameters())


def silence(callback: Any) -> None:
    """Let a callback neither print nor pickle the net; its other files are ``save_params``'s.

    Parameters
    ----------
    callback : skorch.callbacks.Callback
    """
    parts: list[Any] = [callback, getattr(callback, "checkpoint_", None)]
    for part in parts:
        if hasattr(part, "sink"):
            part.sink = noop
        if getattr(part, "f_pickle", None) is not None:
            part.f_pickle = None


def check_shared(net: Any) -> None:
    """Refuse what several processes cannot train.

    Parameters
    ----------
    net : NoisyLabelClassifier
        Wrapped by its accelerator.

    Raises
    ------
    ValueError
    """
    name, n = type(net).__name__, processes.count(net)
    if net.single_process_reason:
        raise ValueError(
            f"{name} cannot be trained by {n} processes: {net.single_process_reason} Train it in "
            "one process."
        )
    for part in net._modules:
        if not isinstance(getattr(net, f"{part}_"), DistributedDataParallel):
            raise ValueError(
                f"{part} is not wrapped in DistributedDataParallel: with "
                f"{net.accelerator.distributed_type}, no process has the whole of it, by which "
                "rows are judged. Launch with MULTI_GPU or MULTI_CPU."
            )
    for part in net._criteria:
        if isinstance(criterion := getattr(net, f"{part}_"), nn.Module) and has_parameters(
            criterion
        ):
            raise ValueError(
                f"{part}={type(criterion).__name__} has parameters of its own, which {n} processes "
                "do not train. Put them into the module, or train in one process."
            )
    if net.accelerator.split_batches or net.accelerator.dispatch_batches:
        raise ValueError(
            "split_batches=True and dispatch_batches=True of the accelerator are not taken: each "
            f"process reads its own part of a batch. Leave them out, and divide batch_size by {n}, "
            "as it counts the rows of one process."
        )
    loader = net.get_params_for("iterator_train")
    given = [key for key in ("sampler", "batch_sampler") if loader.get(key) is not None]
    is_torchs = isinstance(net.iterator_train, type) and issubclass(net.iterator_train, DataLoader)
    if given or not is_torchs:
        what = f"iterator_train__{given[0]}" if given else f"iterator_train={net.iterator_train!r}"
        raise ValueError(
            f"{what} does not know which part of a batch is whose of {n} processes. Leave it out; "
            "rows are weighed by sample_weight."
        )
