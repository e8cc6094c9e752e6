"""RowLossNet: a classifier whose training batches know their rows, and have a loss for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch.utils import to_device, to_tensor
from torch import Tensor
from torch.utils.data import default_collate

from ..data import BatchedDataset, CoresetDataset, MixedBatch, RowBatch, is_plain, keep_batch, mix
from ..data.inputs import takes_names
from ..gradients import check_losses, get_logits, make_unreduced
from . import checks, loading, processes
from .divergence import check_last_batch
from .labelled_net import LabelledNet
from .training import Training


class RowLossNet(LabelledNet):
    """A classifier whose loss is the weighted mean of one loss for each row.

    A batch of training carries the numbers of its rows, their weights, and what they are mixed
    with (see `RowBatch`, `MixedBatch`); the batches that callbacks see are skorch's.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    **kwargs : dict
        As in `NoisyLabelClassifier`.
    """

    training_: Training | None = None

    def get_collate_fn(self, prefix: str) -> Any:
        """Return what makes a batch of items: that of ``iterator_...__collate_fn``, or torch's."""
        return self.get_params_for(prefix).get("collate_fn") or default_collate

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the iterator over the batches of a dataset.

        Parameters
        ----------
        dataset : torch Dataset
        training : bool, default=False
            Whether to use `iterator_train` or `iterator_valid`.

        Returns
        -------
        iterator : iterable of batches
        """
        prefix = "iterator_train" if training else "iterator_valid"
        iterator_cls, kwargs = getattr(self, prefix), self.get_params_for(prefix)
        n_processes = processes.count(self)
        if training:
            kwargs = loading.fit_order(loading.get_step_options(self), iterator_cls)
        takes_batches = takes_names(iterator_cls, ["collate_fn"])
        kwargs.setdefault("batch_size", self.batch_size)
        # Those of selections and coresets before.
        processes.forget_loaders(self, lambda loader: isinstance(loader.dataset, BatchedDataset))
        if training and self.training_ is not None and dataset is self.training_.dataset:
            dataset = self.training_.make_whole()
            loading.check_whole(kwargs | {"batch_size": max(kwargs["batch_size"], 0)}, len(dataset))
        elif takes_batches and is_plain(dataset):
            # One indexing for a batch; and pandas' read-only arrays do not make torch warn.
            dataset = BatchedDataset(dataset, self.get_collate_fn(prefix))
        if kwargs["batch_size"] == -1:
            kwargs["batch_size"] = len(dataset)
        if takes_batches and isinstance(dataset, BatchedDataset):
            kwargs["collate_fn"] = keep_batch
        if training and isinstance(dataset, CoresetDataset):
            most = self.get_most_batches(len(dataset))
            kwargs = loading.fit_batches(kwargs, len(dataset), self.module_, n_processes, most)
        elif isinstance(dataset, CoresetDataset):  # rows that are judged: all of them, once
            for name in ("sampler", "batch_sampler", "shuffle", "drop_last"):
                kwargs.pop(name, None)
        if takes_names(iterator_cls, ["generator"]):
            kwargs.setdefault("generator", self._get_generator(training))
        if training and n_processes > 1:
            kwargs = loading.split_batches(kwargs, dataset, n_processes)
        return iterator_cls(dataset, **kwargs)

    def get_most_batches(self, n_rows: int) -> int | None:
        """Return how many batches the rows of an epoch are divided into, at most.

        Parameters
        ----------
        n_rows : int

        Returns
        -------
        n_batches : int or None
            None: as many as `batch_size` makes.
        """
        return None

    def _get_generator(self, training: bool) -> torch.Generator:
        """Return what a loader draws from, in place of torch's global generator."""
        if training and self.training_ is not None:
            return self.training_.generator
        return torch.Generator().manual_seed(0)

    def get_losses(self, y_pred: Any, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return one loss per example: the criterion's.

        Parameters
        ----------
        y_pred : tensor of shape (batch_size, n_classes)
            What the module returns, or the first of it: logits; with ``NLLLoss`` probabilities,
            as in skorch.
        y_true : tensor of shape (batch_size,), dtype int64
            Labels as columns.
        rows : tensor of shape (batch_size,), dtype int64
            The examples' numbers in the X given to fit.

        Returns
        -------
        losses : tensor of shape (batch_size,)

        Raises
        ------
        ValueError
            If the criterion gives none.
        """
        with self._unreduced():
            losses = self._ask_criterion(y_pred, y_true)
        return check_losses(losses, len(y_true), getattr(self, "criterion_", None))

    def make_step(self, step_fn: Callable[..., Any]) -> Callable[..., Any]:
        """Return a training step that takes batches with rows, from one of skorch's.

        What the step calls, of a subclass too, sees X as in skorch, mixed where it is to be; the
        batch with its rows is ``training_.batch`` meanwhile.

        Parameters
        ----------
        step_fn : callable

        Returns
        -------
        step : callable
        """
        training = self.training_
        assert training is not None

        def step(batch: Any, **fit_params: Any) -> Any:
            x = batch[0] if isinstance(batch, tuple | list) else None
            if isinstance(x, RowBatch | MixedBatch):
                training.batch, batch = x, (self.get_mixed(x), *batch[1:])
            done = step_fn(batch, **fit_params)
            training.has_begun = True
            return done

        return step

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Train on a batch, as skorch does.

        Parameters
        ----------
        batch : tuple
            Of a loader of `get_iterator`, or as skorch has it.
        **fit_params : dict

        Returns
        -------
        step : dict
        """
        has_rows = isinstance(batch, tuple | list) and isinstance(batch[0], RowBatch | MixedBatch)
        step = super().train_step
        return (self.make_step(step) if has_rows else step)(batch, **fit_params)

    def get_mixed(self, batch: RowBatch | MixedBatch) -> Any:
        """Return the X of a batch, each row mixed with its partner where it has one."""
        if isinstance(batch, RowBatch):
            return batch.x
        x, partner = (to_tensor(x, self.device) for x in (batch.x, batch.partner_x))
        return mix(x, partner, to_device(batch.share, self.device))

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on a batch, on random numbers of the net's own.

        Parameters
        ----------
        x : input data
            What the iterator gives as X.
        **fit_params : dict
            Passed on to the module's forward.

        Returns
        -------
        output : tensor or tuple of tensors
        """
        if self.training_ is None:
            return super().infer(x, **fit_params)
        forward = super().infer
        draws = self.training_.watch(self.module_, self.get_seed)
        return draws.run(lambda: forward(x, **fit_params), self.module_)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the loss of a batch: of a training batch, what `get_batch_loss` returns.

        Parameters
        ----------
        y_pred : tensor of shape (batch_size, n_classes)
        y_true : tensor of shape (batch_size,)
        X : input data, default=None
        training : bool, default=False

        Returns
        -------
        loss : tensor of shape ()
        """
        batch = self.training_.batch if training and self.training_ is not None else None
        if batch is None:
            return super().get_loss(get_logits(y_pred), y_true, X=X, training=training)
        y_true = to_tensor(y_true, device=self.device)
        loss = self.get_batch_loss(y_pred, y_true, batch)
        return loss if processes.count(self) == 1 else loss * self._get_share(loss, y_true, batch)

    def _get_share(self, loss: Tensor, y_true: Tensor, batch: RowBatch | MixedBatch) -> Any:
        """Return by what the loss of a process is multiplied: their mean is then the batch's."""
        if self.is_summed:
            return processes.count(self)
        norm = self._count_rows(y_true).to(loss)
        if isinstance(batch, MixedBatch):
            share = to_device(batch.share, loss.device)
            other = self._count_rows(to_tensor(batch.partner_y, device=self.device))
            norm = share * norm + (1 - share) * other.to(loss)
        return processes.get_share(self, norm.sum())

    def get_batch_loss(self, y_pred: Any, y_true: Tensor, batch: RowBatch | MixedBatch) -> Tensor:
        """Return the loss of a training batch: the mean of `get_losses`, and what is added.

        For methods that have no loss for each example, or need all that the module returns.

        Parameters
        ----------
        y_pred : tensor of shape (batch_size, n_classes), or tuple of which it is the first
            What the module returns for the batch.
        y_true : tensor of shape (batch_size,), dtype int64
            Labels as columns: those that the plan trains on.
        batch : RowBatch or MixedBatch
            Its rows' numbers in the X given to fit, and their weights.

        Returns
        -------
        loss : tensor of shape ()
        """
        if _is_unweighted(batch) and not self.has_own_get_losses:
            loss = checks.check_reduced(self._ask_criterion(get_logits(y_pred), y_true), self)
        else:
            loss = self._get_weighted_loss(batch, y_pred, y_true)
        added = self.get_added_loss(y_pred, batch.rows)
        return loss if added is None else loss + added

    def _ask_criterion(self, y_pred: Any, y_true: Any) -> Any:
        """Return what skorch's own get_loss does; that of a subclass adds what it adds."""
        try:
            return super().get_loss(y_pred, y_true)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise checks.explain_criterion(error, y_pred, y_true, self) from error

    def get_added_loss(self, y_pred: Any, rows: Tensor) -> Tensor | None:
        """Return what is added to the loss of a training batch; None, as here, for nothing.

        Parameters
        ----------
        y_pred : tensor of shape (batch_size, n_classes), or tuple of which it is the first
            What the module returns for the batch.
        rows : tensor of shape (batch_size,), dtype int64
            The examples' numbers in the X given to fit.

        Returns
        -------
        loss : tensor of shape (), or None
        """
        return None

    def _get_weighted_loss(self, batch: RowBatch | MixedBatch, y_pred: Any, y_true: Any) -> Tensor:
        loss, norm = self._get_weighed(y_pred, y_true, batch.rows)
        if isinstance(batch, MixedBatch):
            share = to_device(batch.share, loss.device)
            other, other_norm = self._get_weighed(y_pred, batch.partner_y, batch.partner_rows)
            loss = share * loss + (1 - share) * other
            norm = share * norm + (1 - share) * other_norm
        total = (to_device(batch.weight, loss.device) * loss).sum()
        return total if self.is_summed else total / norm.sum()

    @property
    def is_summed(self) -> bool:
        """Whether the criterion takes the sum of a batch's losses, not their mean."""
        return getattr(self.criterion_, "reduction", "mean") == "sum"

    def reduce_losses(self, losses: Tensor, y_true: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of some rows from one loss for each, as the criterion would.

        Parameters
        ----------
        losses : tensor of shape (n,)
        y_true : tensor of shape (n,), dtype int64, or (n, n_classes), of floats
            Labels as columns, or soft ones.
        weight : tensor of shape (n,)
            What each row counts, beside the criterion's weights of classes: of `batch.weight`.

        Returns
        -------
        loss : tensor of shape ()
            Their mean, or the sum where the criterion takes it; 0 for no rows.
        """
        total = (to_device(weight, losses.device) * losses).sum()
        if self.is_summed or not len(losses):
            return total
        return total / self._count_rows(y_true).to(losses).sum()

    def _get_weighed(self, y_pred: Any, y: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses, and what each counts in their mean."""
        logits, y = get_logits(y_pred), to_tensor(y, device=self.device)
        losses = checks.check_row_losses(self.get_losses(logits, y, rows.to(logits.device)), len(y))
        return losses, self._count_rows(y).to(losses)

    def _count_rows(self, y: Tensor) -> Tensor:
        """Return what each row counts in the mean of a criterion, as in torch.

        That is its class weight; nothing for a class that the criterion ignores.
        """
        class_weight = getattr(self.criterion_, "weight", None)
        if y.is_floating_point():
            return y.new_ones(len(y)) if class_weight is None else y @ class_weight
        counts = torch.ones(len(y), device=y.device) if class_weight is None else class_weight[y]
        return counts * (y != getattr(self.criterion_, "ignore_index", -100))

    def get_probabilities(self, y_pred: Tensor) -> Tensor:
        """Return the predicted probabilities of the classes.

        Parameters
        ----------
        y_pred : tensor of shape (batch_size, n_classes)
            As in `get_losses`.

        Returns
        -------
        probabilities : tensor of shape (batch_size, n_classes)
        """
        is_done = isinstance(getattr(self, "criterion_", None), torch.nn.NLLLoss)
        return y_pred if is_done else y_pred.softmax(dim=1)

    def _get_predict_nonlinearity(self) -> Any:
        # skorch's "auto" knows the criteria of torch by name, and takes others' logits for done. Of
        # several criteria, or one of another name, nothing is known here either.
        if self.predict_nonlinearity == "auto" and self._criteria == ["criterion"]:
            return self.get_probabilities
        return super()._get_predict_nonlinearity()

    def get_judged_losses(self, y_pred: Any, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return one loss per example, also where a subclass overrides `get_loss`, as in skorch.

        Parameters
        ----------
        y_pred, y_true, rows
            As in `get_losses`.

        Returns
        -------
        losses : tensor of shape (batch_size,)
        """
        if not self.has_own_get_loss:
            losses = self.get_losses(get_logits(y_pred), y_true, rows)
            return checks.check_row_losses(losses, len(y_true))
        with self._unreduced():
            losses = self.get_loss(y_pred, y_true)
        return check_losses(losses, len(y_true), getattr(self, "criterion_", None))

    @property
    def has_own_get_loss(self) -> bool:
        """Whether a subclass overrides `get_loss`."""
        return type(self).get_loss is not RowLossNet.get_loss

    @property
    def has_own_get_losses(self) -> bool:
        """Whether a subclass overrides `get_losses`."""
        return type(self).get_losses is not RowLossNet.get_losses

    @contextmanager
    def _unreduced(self) -> Iterator[None]:
        """Give the net criteria that do not reduce; other nets may share the ones it has."""
        before = {f"{name}_": vars(self)[f"{name}_"] for name in self._criteria}
        try:
            self.__dict__.update({name: make_unreduced(c) for name, c in before.items()})
            yield
        finally:
            self.__dict__.update(before)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the net's own method of an event, then the callbacks.

        They see batches as skorch's, with labels as they were given; ``net.training_.batch.rows``
        are the numbers of a training batch's rows.

        Parameters
        ----------
        method_name : str
        **cb_kwargs : dict
        """
        batch, training = cb_kwargs.get("batch"), self.training_
        x = batch[0] if isinstance(batch, tuple | list) and len(batch) else None
        if isinstance(x, RowBatch | MixedBatch):
            assert batch is not None
            cb_kwargs["batch"] = (x.x, *batch[1:])
            if training is not None:
                training.batch = x
        super().notify(method_name, **cb_kwargs)
        if method_name == "on_batch_end" and training is not None:
            training.batch = None

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Stop if the training loss is not finite.

        Parameters
        ----------
        net : RowLossNet
        batch : tuple, default=None
        training : bool, default=False
        **kwargs : dict
        """
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        if training:
            check_last_batch(self.history)


def _is_unweighted(batch: RowBatch | MixedBatch) -> bool:
    return isinstance(batch, RowBatch) and bool((batch.weight == 1.0).all())
