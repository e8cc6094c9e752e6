"""The share of wrong labels, as a method is told it, or finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._validation import check_number
from .judged_labels import get_judging_epoch, judge_now
from .state import TrainingState
from .training import Training

AUTO = "auto"


class NoiseRateMixin:
    """Let a net know the share of wrong labels, by its parameter `noise_rate`.

    A number in [0, 1); "auto", the share that label quality finds after the first epoch (after the
    fourth, or a third of the epochs, for images and the like); or a schedule: a callable that
    returns the number for an epoch, from 0.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn.baselines import SmallLossClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_iris(return_X_y=True)
    >>> net = SmallLossClassifier(
    ...     MLP, noise_rate=lambda epoch: 0.02 * epoch, warmup_epochs=1
    ... )
    >>> net = net.set_params(max_epochs=6, random_state=0, verbose=0).fit(X, y)
    >>> net.coreset_history_.sizes
    array([147, 144, 141, 138, 135])
    """

    noise_rate: float | str | Callable[[int], float]
    training_: Training | None
    state_: TrainingState

    def check_noise_rate(self) -> None:
        """Refuse what is no noise rate."""
        if isinstance(self.noise_rate, str):
            if self.noise_rate != AUTO:
                raise ValueError(
                    f"noise_rate={self.noise_rate!r} is not valid. Give the share of wrong labels, "
                    "a number in [0, 1), 'auto', or a callable that returns it for an epoch."
                )
        elif not callable(self.noise_rate):
            check_rate(self.noise_rate)

    def get_noise_rate(self, epoch: int) -> float:
        """Return the share of wrong labels that an epoch goes by; for `plan_epoch`.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        noise_rate : float
            Of "auto", 0 as long as nothing is known of it.
        """
        if callable(self.noise_rate):
            return check_rate(self.noise_rate(epoch))
        if not isinstance(self.noise_rate, str):
            return float(self.noise_rate)
        kept = self.state_.get_number("noise_rate")
        if kept is None and epoch >= get_judging_epoch(self):
            kept = min(judge_now(self).noise_rate, 1 - 1e-9)
            self.state_.entries["noise_rate"] = np.asarray(kept)
        return 0.0 if kept is None else kept


def check_rate(value: Any) -> float:
    """Return a share of wrong labels, in [0, 1)."""
    return float(check_number("noise_rate", value, low=0, high=1 - 1e-9))
