"""First trainings by the criterion, and the small learning rates that methods go on by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._validation import check_number
from ...nets.evaluation import unwrap
from ...nets.open_warmup import draw_held_out
from ...nets.stages import StagesMixin
from .best_epoch import BestEpochClassifier


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

    def draw_held_out(self) -> np.ndarray:
        """Draw rows whose labels choose the best epoch of a stage.

        Returns
        -------
        rows : ndarray of shape (n_held_out,), dtype int64
            As they are numbered in a stage: by their place among the training rows.
        """
        training = self.training_
        assert training is not None
        rows = draw_held_out(training, self.get_seed("held out"))  # type: ignore[attr-defined]
        return np.flatnonzero(np.isin(training.rows, rows))

    def train_first(self, held_out: np.ndarray, epochs: int) -> BestEpochClassifier:
        """Train a network by the criterion, from the weights that the net has.

        In a first call these were drawn by the seed; in one with other rows, they are those that
        it has learnt.

        Parameters
        ----------
        held_out : ndarray of shape (n_held_out,), dtype int64
            As of `draw_held_out`.
        epochs : int

        Returns
        -------
        first : BestEpochClassifier
            Fitted.
        """
        weights = unwrap(self.module_).state_dict()
        return self.train_stage(
            "first", BestEpochClassifier, weights=weights, held_out=held_out, max_epochs=epochs
        )


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
