"""TwoNetworkClassifier: the trunk of methods in which two networks teach each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from .._validation import check_choice
from ..data import MixedBatch, RowBatch
from ..gradients import get_logits
from .noisy_label_classifier import NoisyLabelClassifier
from .seeding import OwnDraws

FIRST, MEAN = "first", "mean"


class TwoNetworkClassifier(NoisyLabelClassifier):
    """Base of methods that train two networks of the same module at once.

    The second is `peer_`, with weights drawn apart. A training batch goes through both; a method
    fills in `get_pair_losses`, what either is trained by. One optimizer steps for both: as
    no loss is about the weights of both, that is the same as one for each.

    Parameters
    ----------
    module : torch.nn.Module class
        No instance, which both networks would be.
    predict_by : {"first", "mean"}, default="first"
        Whether predictions are those of the first network, or the mean probabilities of both.
    **kwargs : dict
        As in `NoisyLabelClassifier`.

    Attributes
    ----------
    module_, peer_ : torch.nn.Module
        The two networks.

    Raises
    ------
    ValueError
        If `module` is an instance.

    Notes
    -----
    skorch saves the second network where it is given a file for it: ``save_params(f_params=...,
    f_peer=...)``, ``Checkpoint(f_peer=...)``; ``f_state``, and what a checkpoint writes beside its
    history, hold both. ``EarlyStopping(load_best=True)`` takes the first one
    alone back to its best weights: with ``predict_by="mean"``, use a Checkpoint.

    Examples
    --------
    Without a method, either network is trained on all rows; together they predict their mean:

    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn.modules import MLP
    >>> from crust_sklearn.nets.two_networks import TwoNetworkClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = TwoNetworkClassifier(
    ...     MLP, predict_by="mean", lr=0.01, random_state=0, verbose=0
    ... )
    >>> net.fit(X, y).score(X, y) > 0.9
    True
    >>> bool((net.module_.fc.weight == net.peer_.fc.weight).any())
    False
    """

    def __init__(self, module: Any, *, predict_by: str = FIRST, **kwargs: Any):
        self.predict_by = predict_by
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        check_choice("predict_by", self.predict_by, (FIRST, MEAN))
        if isinstance(self.module, nn.Module):
            name = type(self.module).__name__
            raise ValueError(
                f"module={name}(...) is an instance, and {type(self).__name__} trains two "
                f"networks, which would both be this one. Give the class, module={name}, and its "
                "parameters as module__...; or a function that makes one."
            )

    def initialize_module(self) -> TwoNetworkClassifier:
        """Initialize both networks.

        Returns
        -------
        self : TwoNetworkClassifier
        """
        super().initialize_module()
        with OwnDraws(self.get_seed("peer weights")):
            self.peer_ = self.initialized_instance(self.module, self.get_module_params())
        return self

    @contextmanager
    def as_peer(self) -> Iterator[None]:
        """Inside, the second network is in the place of the first, and the other way round."""
        first, second = self.module_, self.peer_
        try:
            # Not by attribute: skorch takes modules that are set after the start for new ones.
            self.__dict__.update(module_=second, peer_=first)
            yield
        finally:
            self.__dict__.update(module_=first, peer_=second)

    @contextmanager
    def alone(self, *, peer: bool = False) -> Iterator[None]:
        """Inside, batches go through one of the networks alone.

        Parameters
        ----------
        peer : bool, default=False
            Whether by the second.
        """
        assert self.training_ is not None
        kept = self.training_.kept
        kept["is_alone"] = True
        try:
            with self.as_peer() if peer else nullcontext():
                yield
        finally:
            del kept["is_alone"]

    @property
    def is_alone(self) -> bool:
        """Whether batches go through one of the networks alone."""
        return self.training_ is not None and "is_alone" in self.training_.kept

    @property
    def is_in_step(self) -> bool:
        """Whether a training batch is on its way through both networks."""
        if self.training_ is None or self.training_.batch is None:
            return False
        return self.module_.training and not self.is_alone

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the networks on a batch.

        Parameters
        ----------
        x : input data
        **fit_params : dict
            Passed on to the modules' forward.

        Returns
        -------
        output : tensor of shape (batch_size, n_classes), or tuple of two
            Of a training batch, the logits of both; else those that predictions are made of.
        """
        first = super().infer(x, **fit_params)
        in_step = self.is_in_step
        if not in_step and (self.is_alone or self.predict_by == FIRST):
            return first
        with self.as_peer():
            second = super().infer(x, **fit_params)
        first, second = get_logits(first), get_logits(second)
        return (first, second) if in_step else self._average(first, second)

    def _average(self, first: Tensor, second: Tensor) -> Tensor:
        """Return logits, or probabilities with NLLLoss, of the mean prediction."""
        mean = (self.get_probabilities(first) + self.get_probabilities(second)) / 2
        is_probability = isinstance(getattr(self, "criterion_", None), nn.NLLLoss)
        return mean if is_probability else mean.clamp_min(torch.finfo(mean.dtype).tiny).log()

    def get_batch_loss(self, y_pred: Any, y_true: Tensor, batch: RowBatch | MixedBatch) -> Tensor:
        """Return the sum of what the two networks are trained by.

        Parameters
        ----------
        y_pred : tuple of two tensors of shape (batch_size, n_classes)
        y_true, batch
            As in `NoisyLabelClassifier`.

        Returns
        -------
        loss : tensor of shape ()
        """
        first, second = self.get_pair_losses(y_pred[0], y_pred[1], y_true, batch)
        return first + second

    def get_pair_losses(
        self, first: Tensor, second: Tensor, y_true: Tensor, batch: RowBatch | MixedBatch
    ) -> tuple[Tensor, Tensor]:
        """Return what either network is trained by; here, the mean loss of the batch.

        Parameters
        ----------
        first, second : tensors of shape (batch_size, n_classes)
            What the networks return.
        y_true : tensor of shape (batch_size,), dtype int64
            Labels as columns.
        batch : RowBatch or MixedBatch

        Returns
        -------
        first_loss, second_loss : tensors of shape ()
            The second one depends on `second` alone, and the first one on `first`.
        """
        return (
            super().get_batch_loss(first, y_true, batch),
            super().get_batch_loss(second, y_true, batch),
        )
