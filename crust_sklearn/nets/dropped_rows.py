"""What becomes of the rows that a selection leaves out: new labels, or training without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch.utils import to_device
from torch import Tensor, nn
from torch.nn import functional as F

from ..gradients import get_logits
from ..label_noise import LabelQuality
from . import processes
from .augmenting import AugmentMixin
from .epoch_plan import EpochPlan
from .evaluation import evaluating, unwrapped
from .loading import has_batch_norm
from .training import Training
from .weight_average import WeightAverageMixin

IGNORE, PSEUDO_LABEL, CONSISTENCY = "ignore", "pseudo-label", "consistency"
DROPPED = (IGNORE, PSEUDO_LABEL, CONSISTENCY)
# A suggested label must be surer than this to be trained on.
MIN_SUGGESTED = 0.9
# From this probability on, a row counts as what the averaged network takes it for.
MIN_PREDICTED = 0.95
# The selections over which the weight of these rows rises to one.
N_RAMP = 5
# What the moving mean of the predictions keeps of itself at a step.
MEAN_DECAY = 0.99
# No mean is taken to be less than this: that of a class never predicted becomes 0.
MIN_MEAN = 1e-6
# The state's names of that mean, and of the number of selections.
MEAN, N_SELECTIONS = "mean_prediction", "label_quality.n_updates"


def get_dropped(plan: EpochPlan, training: Training) -> np.ndarray:
    """Return the training rows that a plan leaves out, but for those of weight zero.

    Parameters
    ----------
    plan : EpochPlan
    training : Training

    Returns
    -------
    positions : ndarray of shape (n_dropped,), dtype int64
        Among the training rows, ascending.
    """
    is_dropped = ~np.isin(training.rows, plan.rows)
    if training.weights is not None:
        is_dropped &= training.weights > 0
    return np.flatnonzero(is_dropped)


def add_relabelled(plan: EpochPlan, training: Training, quality: LabelQuality) -> EpochPlan:
    """Return a plan with the rows that it leaves out, where another label is sure enough.

    Parameters
    ----------
    plan : EpochPlan
        Of rows that keep their labels.
    training : Training
    quality : LabelQuality
        Of the training rows.

    Returns
    -------
    plan : EpochPlan
    """
    dropped = get_dropped(plan, training)
    found = quality.posterior
    added = dropped[found.best_other[dropped] > MIN_SUGGESTED]
    weights = plan.weights
    if weights is not None:
        own = np.ones(len(added)) if training.weights is None else training.weights[added]
        weights = np.r_[weights, own]
    return EpochPlan(
        np.r_[plan.rows, training.rows[added]],
        weights,
        plan.mixing,
        np.r_[np.full(len(plan.rows), -1, np.int64), found.suggested[added]],
    )


class Guesses(NamedTuple):
    """What the averaged network takes a batch of dropped rows for.

    Attributes
    ----------
    x : tensor of shape (n, ...)
        The rows, plain.
    codes : tensor of shape (n,), dtype int64
    is_sure : tensor of shape (n,), dtype bool
    """

    x: Any
    codes: Tensor
    is_sure: Tensor


class DroppedDraws:
    """The dropped rows of one epoch, a batch at a time.

    Parameters
    ----------
    positions : ndarray of shape (n_dropped,), dtype int64
        At least one.
    epoch : int
    get_seed : callable
        Returns the seed of a purpose and an epoch.
    """

    def __init__(
        self,
        positions: np.ndarray,
        epoch: int,
        get_seed: Callable[[str, int], int],
    ):
        self.positions, self.epoch = positions, epoch
        self.rng = np.random.default_rng(get_seed("dropped rows", epoch))
        self.queue = np.empty(0, np.int64)

    def take(self, n_rows: int) -> np.ndarray:
        """Return the next rows; all are taken before one is taken again.

        Parameters
        ----------
        n_rows : int

        Returns
        -------
        positions : ndarray of shape (min(n_rows, n_dropped),), dtype int64
        """
        n_rows = min(n_rows, len(self.positions))
        if len(self.queue) < n_rows:
            self.queue = np.r_[self.queue, self.rng.permutation(self.positions)]
        taken, self.queue = self.queue[:n_rows], self.queue[n_rows:]
        return taken


class DroppedRowsMixin(AugmentMixin, WeightAverageMixin):
    """Let a net train on the rows that its plans leave out, as the parameter `dropped` says."""

    dropped: str

    @property
    def averages_weights(self) -> bool:
        """Whether the weights are averaged: the average is the teacher of dropped rows, too."""
        return self.average_weights or self.dropped == CONSISTENCY

    def check_dropped(self, judges_labels: bool) -> None:
        """Refuse what goes not together with the training on dropped rows.

        Parameters
        ----------
        judges_labels : bool
            Whether rows are left out by the quality of their labels.
        """
        self.check_augment()
        if self.dropped == IGNORE:
            return
        if not judges_labels:
            raise ValueError(
                f"dropped={self.dropped!r} goes by what is found of the labels of rows: it needs "
                "coreset_size='auto' and gradient='leave-one-out'. Set these, or dropped='ignore'."
            )
        if self.dropped == PSEUDO_LABEL and self.mixup in ("cluster", "class"):  # type: ignore[attr-defined]
            raise ValueError(
                f"mixup={self.mixup!r} mixes rows of the same given label, and "  # type: ignore[attr-defined]
                "dropped='pseudo-label' trains on other labels. Set mixup='batch' or None."
            )
        if self.dropped == CONSISTENCY and self.augment is None:
            raise ValueError(
                "dropped='consistency' compares two views of a row, and augment=None makes none. "
                "Give augment, a callable on a batch of inputs, such as "
                "crust_sklearn.modules.RandomCropFlip()."
            )

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Guess, before a training step, the labels of the dropped rows that go along.

        Parameters
        ----------
        net : NoisyLabelClassifier
        batch : tuple, default=None
        training : bool, default=False
        **kwargs : dict
        """
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)
        held = self.training_
        is_due = training and held is not None and self.dropped == CONSISTENCY
        if is_due and held is not None and held.batch is not None:
            held.kept["guesses"] = self.guess(len(held.batch.rows))

    def guess(self, n_rows: int) -> Guesses | None:
        """Return what the averaged network takes the next dropped rows for.

        Its predictions are aligned: divided by their moving mean, so that no class is preferred.

        Parameters
        ----------
        n_rows : int
            Of several processes, each gives its part of a batch, and has a part of these rows.

        Returns
        -------
        guesses : Guesses or None
            None where no row is dropped, or one alone with BatchNorm.
        """
        draws = self._get_draws()
        if draws is None:
            return None
        taken = draws.take(sum(processes.exchange(self, n_rows)))
        own = taken[processes.get_rank(self) :: processes.count(self)]
        if len(own) == 1 and has_batch_norm(self.module_):  # type: ignore[attr-defined]
            own = own[:0]
        x, p = self._predict_averaged(own)
        whole = processes.join(self, p)
        if len(whole):
            self._move_mean(whole.mean(dim=0))
        if not len(own):
            return None
        aligned = p / self.state_.entries[MEAN].clamp_min(MIN_MEAN)
        sure, codes = (aligned / aligned.sum(dim=1, keepdim=True)).max(dim=1)
        return Guesses(x, codes, sure >= MIN_PREDICTED)

    def _predict_averaged(self, positions: np.ndarray) -> tuple[Any, Tensor]:
        """Return rows, and their probabilities by the averaged network."""
        training = self.training_
        assert training is not None
        if not len(positions):
            like = next(self.module_.parameters())  # type: ignore[attr-defined]
            return None, like.new_zeros(0, len(self.classes_)).float()  # type: ignore[attr-defined]
        x = self.to_module(training.fetch_judged(positions)[0])
        with self.averaged(), evaluating(self), torch.no_grad():
            logits = get_logits(self.infer(x, **training.fit_params))  # type: ignore[attr-defined]
            return x, self.get_probabilities(logits).float()  # type: ignore[attr-defined]

    def _move_mean(self, latest: Tensor) -> None:
        mean = self.state_.entries.get(MEAN)
        mean = torch.full_like(latest, 1 / len(latest)) if mean is None else torch.as_tensor(mean)
        mean = MEAN_DECAY * to_device(mean, latest.device) + (1 - MEAN_DECAY) * latest
        self.state_.entries[MEAN] = mean

    def _get_draws(self) -> DroppedDraws | None:
        training, state = self.training_, self.state_
        assert training is not None
        if state.plan is None or not state.plan.is_coreset:
            return None
        draws = training.kept.get("dropped")
        if draws is None or draws.epoch != state.epoch:
            positions = get_dropped(state.plan, training)
            if not len(positions):
                return None
            draws = DroppedDraws(positions, state.epoch, self.get_seed)  # type: ignore[attr-defined]
            training.kept["dropped"] = draws
        return draws

    def get_added_loss(self, y_pred: Any, rows: Tensor) -> Tensor | None:
        """Return what the dropped rows add to the loss of a training batch.

        The mean over the batch of them, or the sum where the criterion takes it, of the
        cross-entropy of their other view against their guessed label, where this is sure; its
        weight rises over the first selections.

        Parameters
        ----------
        y_pred, rows
            As in `RowLossNet`.

        Returns
        -------
        loss : tensor of shape (), or None
        """
        added = super().get_added_loss(y_pred, rows)  # type: ignore[misc]
        training = self.training_
        assert training is not None
        guesses = training.kept.get("guesses")
        if guesses is None or not guesses.is_sure.any():
            return added
        other = self.make_view(guesses.x)
        with own_buffers(self.module_), unwrapped(self):  # type: ignore[attr-defined]
            logits = get_logits(self.infer(other, **training.fit_params))  # type: ignore[attr-defined]
        if isinstance(self.criterion_, nn.NLLLoss):  # type: ignore[attr-defined]
            logits = logits.clamp_min(torch.finfo(logits.dtype).tiny).log()
        losses = F.cross_entropy(logits, guesses.codes, reduction="none") * guesses.is_sure
        is_sum = getattr(self.criterion_, "reduction", "mean") == "sum"  # type: ignore[attr-defined]
        weight = min(1.0, (self.state_.get_number(N_SELECTIONS) or 0.0) / N_RAMP)
        loss = weight * (losses.sum() if is_sum else losses.mean())
        return loss if added is None else added + loss


@contextmanager
def own_buffers(module: nn.Module) -> Iterator[None]:
    """Inside, a module changes copies of its buffers, such as the statistics of BatchNorm.

    Parameters
    ----------
    module : torch.nn.Module
    """
    before = [(part, dict(part._buffers)) for part in module.modules() if part._buffers]
    try:
        for part, buffers in before:
            copies = {k: None if b is None else b.clone() for k, b in buffers.items()}
            part._buffers.update(copies)
        yield
    finally:
        for part, buffers in before:
            part._buffers.update(buffers)
