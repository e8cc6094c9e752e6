"""Two networks trained by MixMatch on rows of which some are to be taken without their label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.utils import to_device
from torch import Tensor

from ...data import MixedBatch, RowBatch, mix
from ...data.reading import apply_to_leaves
from ...gradients import get_logits, make_unreduced
from ...nets import processes
from ...nets.augmenting import AugmentMixin
from ...nets.batch_choice import BatchChoiceMixin
from ...nets.evaluation import evaluating, unwrapped
from ...nets.two_networks import TwoNetworkClassifier
from .mixmatch import (
    average_views,
    concatenate,
    get_negative_entropy,
    get_prior_penalty,
    get_unlabelled_loss,
    refine,
    sharpen,
)


class MixMatchPair(AugmentMixin, BatchChoiceMixin, TwoNetworkClassifier):
    """The training steps of `DivideMixClassifier`, whose parameters these are."""

    augment: Callable[[Any], Any] | None
    n_views: int
    warmup_epochs: int
    entropy_penalty: bool
    clean_threshold: float
    temperature: float
    alpha: float
    lambda_u: float
    n_ramp: int

    def use_division(self, clean: np.ndarray, epoch: int) -> None:
        """Take, in the coming epoch, rows without their label where this is not probable enough.

        Of several processes, each mixes the rows of its part of a batch.

        Parameters
        ----------
        clean : ndarray of shape (n_samples, 2)
            How probable the label of each row of X is, for either network.
        epoch : int
        """
        assert self.training_ is not None
        device = next(self.module_.parameters()).device
        self.training_.kept |= {
            "division": torch.as_tensor(clean, dtype=torch.float32, device=device),
            "mixmatch": np.random.default_rng(self.get_own_seed("mixmatch", epoch)),
            "n_seen": 0,
        }

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
        # A part of a batch without weights has no views; nothing here waits for it.
        with unwrapped(self), torch.no_grad():
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
        if views is None and "division" in training.kept:  # no row has a weight
            return 0 * first.sum(), 0 * second.sum()
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
        training.kept["n_seen"] += n_rows * processes.count(self)
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
