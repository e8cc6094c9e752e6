"""Trainings that begin where others ended, and the small learning rates that they go on by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ..._validation import check_number
from ...nets import NoisyLabelClassifier
from ...nets.evaluation import unwrap
from ...nets.stages import StagesMixin


class ContinuedClassifier(NoisyLabelClassifier):
    """Training by the criterion that begins with given weights; a stage of methods.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    weights : mapping of str to tensor
        A `state_dict` of such a module.
    **kwargs : dict
        As in `NoisyLabelClassifier`.
    """

    def __init__(self, module: Any, *, weights: Mapping[str, Tensor], **kwargs: Any):
        self.weights = weights
        super().__init__(module, **kwargs)

    def prepare_training(self) -> None:
        """Load the weights."""
        super().prepare_training()
        unwrap(self.module_).load_state_dict(self.weights)


class WarmStartMixin(StagesMixin):
    """Let a net train a first network by the criterion, before its own first epoch."""

    module_: Any

    def check_training(self) -> None:
        """Refuse labels that cannot be read, before the first batch of a call."""
        super().check_training()  # type: ignore[misc]
        if self.training_ is not None and self.training_.codes is None:
            raise ValueError(
                "The labels of X cannot be read, and another network is trained on them first. "
                "Pass them apart, fit(dataset, y), or give the dataset an attribute `y` or "
                "`targets`."
            )

    def train_first(self, epochs: int) -> ContinuedClassifier:
        """Train a network by the criterion, from the weights that the net has.

        In a first call these were drawn by the seed; in one with other rows, they are those that
        it has learnt.

        Parameters
        ----------
        epochs : int

        Returns
        -------
        first : ContinuedClassifier
            Fitted.
        """
        weights = unwrap(self.module_).state_dict()
        return self.train_stage("first", ContinuedClassifier, weights=weights, max_epochs=epochs)


class RateRatioMixin:
    """Let a net's own training take smaller steps than its stages, by its parameter `lr_ratio`."""

    lr_ratio: float

    def check_lr_ratio(self) -> None:
        """Refuse what is no ratio of learning rates."""
        check_number("lr_ratio", self.lr_ratio, low=0, open_low=True)

    def make_step(self, step_fn: Callable[..., Any]) -> Callable[..., Any]:
        """Return a training step at `lr_ratio` times the rates, whatever schedule sets these.

        Parameters
        ----------
        step_fn : callable
            As in `RowLossNet`.

        Returns
        -------
        step : callable
        """
        step = super().make_step(step_fn)  # type: ignore[misc]

        def small_step(batch: Any, **fit_params: Any) -> Any:
            groups = self.optimizer_.param_groups  # type: ignore[attr-defined]
            rates = [group["lr"] for group in groups]
            try:
                for group in groups:
                    group["lr"] = group["lr"] * self.lr_ratio
                return step(batch, **fit_params)
            finally:
                for group, rate in zip(groups, rates, strict=True):
                    group["lr"] = rate

        return small_step
