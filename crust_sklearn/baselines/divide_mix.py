"""DivideMixClassifier: rows with doubtful labels are trained on without them."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import torch
from skorch.utils import to_device
from torch import Tensor, nn

from .._validation import check_flag, check_number
from ..data import MixedBatch, RowBatch, mix
from ..data.reading import apply_to_leaves
from ..gradients import get_logits, make_unreduced
from ..label_noise import RowJudgement
from ..nets.augmenting import AugmentMixin
from ..nets.batch_choice import BatchChoiceMixin
from ..nets.checks import check_mixing
from ..nets.epoch_plan import EpochPlan
from ..nets.evaluation import evaluating
from ..nets.judged_labels import judge_by_predictions
from ..nets.row_outputs import compute_row_losses, compute_row_probabilities
from ..nets.two_networks import MEAN, TwoNetworkClassifier
from .loss_mixture import get_clean_probability
from .mixmatch import (
    average_views,
    concatenate,
    get_prior_penalty,
    get_unlabelled_loss,
    refine,
    sharpen,
)

# The state's name of what the labels' losses say of them, for either network.
CLEAN = "clean_probability"


class DivideMixClassifier(AugmentMixin, BatchChoiceMixin, TwoNetworkClassifier):
    """DivideMix.

    Parameters
    ----------
    module : torch.nn.Module class
    """

    def __init__(
        self,
        module: Any,
        *,
        augment: Callable[[Any], Any] | None = None,
        n_views: int = 2,
        warmup_epochs: int = 5,
        entropy_penalty: bool = False,
        clean_threshold: float = 0.5,
        temperature: float = 0.5,
        alpha: float = 4.0,
        lambda_u: float = 25.0,
        n_ramp: int = 16,
        predict_by: str = MEAN,
        **kwargs: Any,
    ):
        self.augment = augment
        self.n_views = n_views
        self.warmup_epochs = warmup_epochs
        self.entropy_penalty = entropy_penalty
        self.clean_threshold = clean_threshold
        self.temperature = temperature
        self.alpha = alpha
        self.lambda_u = lambda_u
        self.n_ramp = n_ramp
        super().__init__(module, predict_by=predict_by, **kwargs)

    # -- before training ------------------------------------------------------------------

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        self.check_augment()
        if self.augment is None:
            raise ValueError(
                "augment=None makes no views of rows, and DivideMix trains on them. Give a "
                "callable on a batch of inputs: crust_sklearn.modules.RandomCropFlip() for "
                "images, crust_sklearn.modules.GaussianNoise() for tables."
            )
        check_number("n_views", self.n_views, kind=Integral, low=1)
        check_number("warmup_epochs", self.warmup_epochs, kind=Integral, low=1)
        check_flag("entropy_penalty", self.entropy_penalty)
        check_number("clean_threshold", self.clean_threshold, low=0, high=1)
        check_number("temperature", self.temperature, low=0, open_low=True)
        check_number("alpha", self.alpha, low=0, open_low=True)
        check_number("lambda_u", self.lambda_u, low=0)
        check_number("n_ramp", self.n_ramp, kind=Integral, low=1)

    def check_training(self) -> None:
        """Refuse criteria and inputs that do not go with soft labels and mixtures."""
        super().check_training()
        self._check_criterion()
        training = self.training_
        assert training is not None
        x, y = training.fetch(np.arange(min(2, len(training.rows))))
        check_mixing(self, x, y, "DivideMix mixes rows: take another method")
        self.check_views(x)

    def _check_criterion(self) -> None:
        criterion = getattr(self.criterion_, "_orig_mod", self.criterion_)
        name = type(criterion).__name__
        if not isinstance(criterion, nn.CrossEntropyLoss):
            raise ValueError(
                f"criterion={name} cannot be used: DivideMix trains on soft labels, by "
                "cross-entropy. Leave criterion=torch.nn.CrossEntropyLoss, with or without "
                "label_smoothing."
            )
        if criterion.weight is not None:
            raise ValueError(
                "criterion__weight makes the losses of classes differ, and DivideMix tells wrong "
                "labels by them. Leave it out; sample_weight can be given to fit."
            )
        if criterion.reduction != "mean":
            raise ValueError(
                f"criterion__reduction={criterion.reduction!r} is not valid: DivideMix weighs "
                "means against each other. Leave it at 'mean'."
            )

    # -- the division of the rows ---------------------------------------------------------

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Divide the rows for the coming epoch, which goes over all of them.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : None
        """
        training = self.training_
        assert training is not None
        if epoch >= self.warmup_epochs:
            clean = self.divide(epoch)
            self.state_.entries[CLEAN] = np.stack(
                [training.spread(of_one, np.nan) for of_one in clean], axis=1
            )
            device = next(self.module_.parameters()).device
            division = torch.as_tensor(self.state_.entries[CLEAN], dtype=torch.float32)
            rng = np.random.default_rng(self.get_seed("mixmatch", epoch))
            training.kept |= {"division": division.to(device), "mixmatch": rng, "n_seen": 0}
        return None

    def divide(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return how probable each network holds the labels, for the other one.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        for_first, for_second : ndarrays of shape (n_train,), dtype float64
            By the losses of the second network, and by those of the first.
        """
        training = self.training_
        assert training is not None
        has_weight = None if training.weights is None else training.weights > 0
        seed = self.get_seed("loss mixture", epoch)
        found = []
        for peer in (True, False):
            with self.alone(peer=peer):
                losses = compute_row_losses(self)
            found.append(get_clean_probability(losses, has_weight, seed))
        return found[0], found[1]

    # -- a training step ------------------------------------------------------------------

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the networks on a batch; on views of its rows, where these are divided.

        Parameters
        ----------
        x : input data
        **fit_params : dict
            Passed on to the modules' forward.

        Returns
        -------
        output : tensor of shape (batch_size, n_classes), or tuple of two
            As of `TwoNetworkClassifier`; of views, the logarithms of their mean probabilities,
            without gradients.
        """
        training = self.training_
        if training is None or not (self.is_in_step and "division" in training.kept):
            return super().infer(x, **fit_params)
        assert training.batch is not None
        if not training.batch.weight.any():
            return super().infer(x, **fit_params)
        x = self.to_module(x)
        views = concatenate([self.to_module(self.make_view(x)) for _ in range(self.n_views)])
        training.kept["views"] = views
        with torch.no_grad():
            pair = super().infer(views, **fit_params)
            means = [average_views(logits.softmax(dim=1), self.n_views) for logits in pair]
        return tuple(mean.clamp_min(torch.finfo(mean.dtype).tiny).log() for mean in means)

    def get_pair_losses(
        self, first: Tensor, second: Tensor, y_true: Tensor, batch: RowBatch | MixedBatch
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of either network, of the warm-up or of mixtures.

        Parameters
        ----------
        first, second, y_true, batch
            As in `TwoNetworkClassifier`.

        Returns
        -------
        first_loss, second_loss : tensors of shape ()
        """
        training = self.training_
        assert training is not None
        views = training.kept.pop("views", None)
        if views is None:
            losses = super().get_pair_losses(first, second, y_true, batch)
            if not self.entropy_penalty:
                return losses
            weight = to_device(batch.weight, first.device)
            penalties = [get_negative_entropy(logits, weight) for logits in (first, second)]
            return losses[0] + penalties[0], losses[1] + penalties[1]
        n_rows, weight = len(first), to_device(batch.weight, first.device)
        used = torch.nonzero(weight > 0)[:, 0]
        at = torch.cat([used + i * n_rows for i in range(self.n_views)])
        views = apply_to_leaves(views, lambda leaf: leaf[at])
        rows = to_device(batch.rows, first.device)[used]
        first_loss, second_loss = (
            self.get_mixed_loss(
                views, logits[used].softmax(dim=1), y_true[used], rows, weight[used], peer=peer
            )
            for logits, peer in ((first, False), (second, True))
        )
        training.kept["n_seen"] += n_rows
        return first_loss, second_loss

    def get_mixed_loss(
        self,
        views: Any,
        own: Tensor,
        y_true: Tensor,
        rows: Tensor,
        weight: Tensor,
        *,
        peer: bool,
    ) -> Tensor:
        """Return what one network is trained by on mixtures of views.

        Parameters
        ----------
        views : tensors of shape (n_views * n, ...)
            The first views of n rows, then the second ones, and so on.
        own : tensor of shape (n, n_classes)
            The network's mean probabilities of the views of each row.
        y_true, rows : tensors of shape (n,), dtype int64
            The labels as columns, and the rows' numbers in the X given to fit.
        weight : tensor of shape (n,)
            What the labels count, more than 0.
        peer : bool
            Whether it is the second network.

        Returns
        -------
        loss : tensor of shape ()
        """
        training = self.training_
        assert training is not None
        clean = training.kept["division"][rows, int(peer)]
        is_labelled = clean > self.clean_threshold
        if not peer:
            self.mark_used(rows[is_labelled])
        guessed = self.guess(views, own, ~is_labelled, peer=peer)
        targets = torch.where(is_labelled[:, None], refine(y_true, own, clean), guessed)
        targets = sharpen(targets, self.temperature).repeat(self.n_views, 1)

        share, order = self.draw_mixture(targets)
        mixed = mix(views, apply_to_leaves(views, lambda leaf: leaf[order]), share)
        targets = mix(targets, targets[order], share)
        with self.alone(peer=peer):
            logits = get_logits(self.infer(mixed, **training.fit_params))

        at, not_at = is_labelled.repeat(self.n_views), ~is_labelled.repeat(self.n_views)
        losses = make_unreduced(self.criterion_)(logits[at], targets[at])
        labelled = (weight.repeat(self.n_views)[at] * losses).sum() / max(1, len(losses))
        unlabelled = get_unlabelled_loss(logits[not_at], targets[not_at])
        return labelled + self.get_lambda() * unlabelled + get_prior_penalty(logits)

    def guess(self, views: Any, own: Tensor, is_unlabelled: Tensor, *, peer: bool) -> Tensor:
        """Return the mean of both networks' probabilities where the label is left out.

        Parameters
        ----------
        views, own, peer
            As in `get_mixed_loss`.
        is_unlabelled : tensor of shape (n,), dtype bool

        Returns
        -------
        guessed : tensor of shape (n, n_classes)
            For the other rows, the network's own.
        """
        training = self.training_
        assert training is not None
        if not is_unlabelled.any():
            return own
        at = is_unlabelled.repeat(self.n_views)
        x = apply_to_leaves(views, lambda leaf: leaf[at])
        # The network that is not trained is in eval mode, as in the authors' code.
        with self.alone(peer=not peer), evaluating(self), torch.no_grad():
            logits = get_logits(self.infer(x, **training.fit_params))
        other = average_views(logits.softmax(dim=1), self.n_views)
        guessed = own.clone()
        guessed[is_unlabelled] = (own[is_unlabelled] + other) / 2
        return guessed

    def draw_mixture(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Draw how the views of a batch are mixed.

        Parameters
        ----------
        like : tensor of shape (n, ...)
            Of the dtype and on the device that is wanted.

        Returns
        -------
        share : tensor of shape (n,)
            The share of each view in its mixture, at least one half, one for all.
        order : tensor of shape (n,), dtype int64
            The view that each is mixed with.
        """
        assert self.training_ is not None
        rng = self.training_.kept["mixmatch"]
        share = rng.beta(self.alpha, self.alpha)
        order = torch.as_tensor(rng.permutation(len(like)), device=like.device)
        return like.new_full((len(like),), max(share, 1 - share)), order

    def get_lambda(self) -> float:
        """Return the weight of the unlabelled loss, which rises over `n_ramp` epochs."""
        training = self.training_
        assert training is not None
        epoch = self.state_.epoch + training.kept["n_seen"] / len(training.rows)
        return self.lambda_u * min(1.0, (epoch - self.warmup_epochs) / self.n_ramp)

    # -- what is published ----------------------------------------------------------------

    def judge_rows(self) -> RowJudgement | None:
        """Return what the losses say of the labels, and the networks of other labels.

        Returns
        -------
        judgement : RowJudgement or None
        """
        training = self.training_
        assert training is not None
        if CLEAN not in self.state_.entries:
            return judge_by_predictions(self)
        if training.codes is None:
            return None
        scores = np.asarray(self.state_.entries[CLEAN])[training.rows].mean(axis=1)
        return RowJudgement.from_probabilities(
            compute_row_probabilities(self), training.codes, training.weights, scores=scores
        )


def get_negative_entropy(logits: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of ``sum_c p_c log p_c``, which is small where predictions are unsure.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
    weight : tensor of shape (n,)
        What each row counts.

    Returns
    -------
    penalty : tensor of shape ()
    """
    log_p = logits.log_softmax(dim=1)
    return (weight * (log_p.exp() * log_p).sum(dim=1)).mean()
