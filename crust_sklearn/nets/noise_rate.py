"""The share of wrong labels, as a method is told it, or finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._validation import check_number
from ..label_noise import LabelQuality
from ..label_noise.anchors import get_sure_noise
from .epoch_plan import EpochPlan
from .judged_labels import has_vectors, judge_now
from .open_warmup import begin_warmup, count_epochs_left, find_first_judgement, is_look_due
from .row_outputs import compute_row_outputs
from .state import TrainingState
from .training import Training

AUTO, NOISE_RATE = "auto", "noise_rate"


class NoiseRateMixin:
    """Let a net know the share of wrong labels, by its parameter `noise_rate`.

    A number in [0, 1); "auto", the share that label quality finds after the first epoch, and for
    images and the like when rows that are held out (`hold_out`) say that it is time; or a schedule:
    a callable that returns the number for an epoch, from 0.

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

    def hold_out(self, epoch: int) -> EpochPlan | None:
        """Return the rows to train on as long as "auto" is open; first of all in `plan_epoch`.

        Vectors tell what the rate is after an epoch. Of images, a tenth of the rows is held out,
        and labels are judged by the epoch after which the network tells most of what it has not
        seen, as in the open warm-up of `CRUSTClassifier`. Its own errors still look like wrong
        labels: the rate is that of the rows whose class is known best (`get_sure_noise`), if this
        is less.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : EpochPlan or None
            None: the rate is known, or known in time without rows held out.
        """
        training, plan, entries = self.training_, self.state_.plan, self.state_.entries
        assert training is not None
        if self.noise_rate != AUTO or NOISE_RATE in entries or has_vectors(training):
            return None
        if not self.seeks_noise_rate:
            return begin_warmup(self, epoch) if count_epochs_left(self, epoch) > 1 else None
        if is_look_due(self, epoch):
            outputs = compute_row_outputs(
                self,
                training.selection_dataset,
                numbers=training.rows,
                for_selection=True,
                **training.fit_params,
            )
            quality = find_first_judgement(self, epoch, outputs.features)
            if quality is not None:
                self._keep(min(quality.noise_rate, compute_sure_noise(quality)))
                return None
        return plan

    @property
    def seeks_noise_rate(self) -> bool:
        """Whether the epoch leaves rows out by which "auto" is to be found."""
        return self.state_.plan is not None and not self.state_.plan.is_coreset

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
        assert self.training_ is not None
        kept = self.state_.get_number(NOISE_RATE)
        if kept is None and epoch >= 1 and has_vectors(self.training_):
            kept = self._keep(judge_now(self).noise_rate)
        return 0.0 if kept is None else kept

    def _keep(self, noise_rate: float) -> float:
        kept = min(noise_rate, 1 - 1e-9)
        self.state_.entries[NOISE_RATE] = np.asarray(kept)
        return kept


def compute_sure_noise(quality: LabelQuality) -> float:
    """Return the share of wrong labels among the rows whose class is known best.

    Parameters
    ----------
    quality : LabelQuality

    Returns
    -------
    noise : float
        As of `get_sure_noise`.
    """
    counts = np.flatnonzero(quality.weights > 0)
    return get_sure_noise(quality.top[counts], quality.codes[counts], quality.weights[counts])


def check_rate(value: Any) -> float:
    """Return a share of wrong labels, in [0, 1)."""
    return float(check_number("noise_rate", value, low=0, high=1 - 1e-9))
