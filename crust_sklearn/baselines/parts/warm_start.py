"""Trainings that begin where others ended, and the small learning rates that they go on by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..._validation import check_number
from ...nets import NoisyLabelClassifier
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
        self.module_.load_state_dict(self.weights)


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
        weights = self.module_.state_dict()
        return self.train_stage("first", ContinuedClassifier, weights=weights, max_epochs=epochs)


class RateRatioMixin:
    """Let a net's own training take smaller steps than its stages, by its parameter `lr_ratio`."""

    lr_ratio: float

    def check_lr_ratio(self) -> None:
        """Refuse what is no ratio of learning rates."""
        check_number("lr_ratio", self.lr_ratio, low=0, open_low=True)

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """Initialize the optimizer, its learning rates times `lr_ratio`.

        Schedules begin with what they find there.

        Returns
        -------
        self : object
        """
        super().initialize_optimizer(*args, **kwargs)  # type: ignore[misc]
        self._scale_rates()
        return self

    def set_params(self, **kwargs: Any) -> Any:
        """Set parameters; a new `lr` is that of the first training, also for a net that is trained.

        Parameters
        ----------
        **kwargs : dict

        Returns
        -------
        self : object
        """
        before = vars(self).get("optimizer_")
        super().set_params(**kwargs)  # type: ignore[misc]
        is_kept = before is not None and vars(self).get("optimizer_") is before
        if is_kept and {"lr", "optimizer__lr"} & set(kwargs):
            self._scale_rates()
        return self

    def _scale_rates(self) -> None:
        for group in self.optimizer_.param_groups:  # type: ignore[attr-defined]
            group["lr"] *= self.lr_ratio
