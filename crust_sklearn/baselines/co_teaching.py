"""CoTeachingClassifier: two networks choose the rows of small loss for each other."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from .._validation import check_number
from ..data import MixedBatch, RowBatch
from ..label_noise import RowJudgement
from ..nets.batch_choice import BatchChoiceMixin
from ..nets.epoch_plan import EpochPlan
from ..nets.judged_labels import judge_by_predictions
from ..nets.noise_rate import NoiseRateMixin
from ..nets.two_networks import TwoNetworkClassifier


class CoTeachingClassifier(NoiseRateMixin, BatchChoiceMixin, TwoNetworkClassifier):
    """Co-teaching: each of two networks is trained on the rows whose loss the other finds small.

    Of a batch of n rows, each network takes the ``R(t) n`` rows of smallest loss, and the *other*
    one is trained on them: ``R(t) = 1 - tau min(t / t_k, 1)`` in epoch t, with the noise rate tau
    [1]_ (Algorithm 1). The two begin differently, so that one filters the errors of the other.

    Parameters
    ----------
    module : torch.nn.Module class
        No instance, which both networks would be.
    noise_rate : float, "auto" or callable, default="auto"
        The share of wrong labels, tau, in [0, 1); "auto": what label quality finds after the first
        epoch; of images and the like, when a tenth of the rows, held out until then, say that it
        is time. A callable returns the number for an epoch, from 0.
    n_gradual : int, default=10
        The epochs over which the share that is left out rises to `noise_rate`, t_k; the paper's.
    predict_by : {"first", "mean"}, default="first"
        Whether predictions are those of the first network, or the mean probabilities of both.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    module_, peer_ : torch.nn.Module
        The two networks.
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The rows that the first network was trained on in the last epoch, ascending.
    coreset_history_ : CoresetHistory
        The same of every epoch.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability of each given label by the trained networks, as `predict_by` says.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is predicted for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The share of wrong labels that it went by.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if `module` is an instance, or a parameter is not valid.

    Notes
    -----
    Costs two forward and backward passes for each batch: about twice plain training, a little less
    as rows are left out.

    The authors' code steps its rate through ``linspace(0, tau, t_k)``, which is there one epoch
    earlier, trains with Adam (0.001, batches of 128, 200 epochs, the rate falling to 0 from epoch
    80 on, beta1 from 0.9 to 0.1 then), and is told the true noise rate (and half of it for pairs).
    Rows of `sample_weight` zero are never taken.

    References
    ----------
    .. [1] Han, Yao, Yu, Niu, Xu, Hu, Tsang, Sugiyama, "Co-teaching: Robust Training of Deep Neural
       Networks with Extremely Noisy Labels", NeurIPS 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import CoTeachingClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> clf = CoTeachingClassifier(
    ...     MLP, noise_rate=0.3, max_epochs=20, random_state=0, verbose=0
    ... )
    >>> clf = clf.fit(X / 16, noisy.y)
    >>> bool(noisy.is_wrong[clf.coreset_indices_].mean() < 0.05)
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        noise_rate: float | str | Callable[[int], float] = "auto",
        n_gradual: int = 10,
        predict_by: str = "first",
        **kwargs: Any,
    ):
        self.noise_rate = noise_rate
        self.n_gradual = n_gradual
        super().__init__(module, predict_by=predict_by, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        self.check_noise_rate()
        check_number("n_gradual", self.n_gradual, kind=Integral, low=1)

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Find the share of rows that the coming epoch leaves out of each batch.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : EpochPlan or None
            None: it goes over all rows.
        """
        assert self.training_ is not None
        held_out = self.hold_out(epoch)
        rate = self.get_noise_rate(epoch) * min(epoch / self.n_gradual, 1.0)
        self.training_.kept["left_out"] = rate
        return held_out

    def get_pair_losses(
        self, first: Tensor, second: Tensor, y_true: Tensor, batch: RowBatch | MixedBatch
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of either network on the rows that the other one has chosen.

        Parameters
        ----------
        first, second, y_true, batch
            As in `TwoNetworkClassifier`.

        Returns
        -------
        first_loss, second_loss : tensors of shape ()
        """
        rows, weight = batch.rows.to(first.device), batch.weight.to(first.device)
        losses = [self.get_losses(output, y_true, rows) for output in (first, second)]
        by_first, by_second = (self.choose(of_one.detach(), weight) for of_one in losses)
        self.mark_used(rows[by_second])
        first_loss, second_loss = (
            self.reduce_losses(of_one[chosen], y_true[chosen], weight[chosen])
            for of_one, chosen in zip(losses, (by_second, by_first), strict=True)
        )
        return first_loss, second_loss

    def choose(self, losses: Tensor, weight: Tensor) -> Tensor:
        """Return the rows of small loss.

        Parameters
        ----------
        losses : tensor of shape (n,)
        weight : tensor of shape (n,)
            Rows of weight zero are not chosen.

        Returns
        -------
        chosen : tensor of shape (n_chosen,), dtype int64
            Their places in the batch; at least one, if any has a weight.
        """
        assert self.training_ is not None
        has_weight = torch.nonzero(weight > 0)[:, 0]
        share = 1.0 - self.training_.kept["left_out"]
        n_chosen = max(1, int(share * len(has_weight) + 1e-9))
        return has_weight[torch.argsort(losses[has_weight], stable=True)[:n_chosen]]

    def judge_rows(self) -> RowJudgement | None:
        """Return how probable the trained networks hold the labels.

        Returns
        -------
        judgement : RowJudgement or None
        """
        judgement = judge_by_predictions(self)
        if judgement is None:
            return None
        return judgement._replace(noise_rate=self.get_noise_rate(self.state_.epoch))
