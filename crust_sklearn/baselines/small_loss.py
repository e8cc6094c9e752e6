"""SmallLossClassifier: train on the rows of smallest loss."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np

from .._validation import check_number
from ..label_noise import RowJudgement
from ..nets import EpochPlan, NoisyLabelClassifier
from ..nets.judged_labels import judge_by_predictions
from ..nets.noise_rate import NoiseRateMixin
from ..nets.row_outputs import compute_row_losses


class SmallLossClassifier(NoiseRateMixin, NoisyLabelClassifier):
    """Train each epoch on the rows of smallest loss.

    A network learns wrong labels last [1]_: a row of large loss probably has one.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    noise_rate : float, "auto" or callable, default="auto"
        The share of rows that is left out, in [0, 1): the share of wrong labels, known or guessed.
        "auto": what label quality finds after the first epoch; of images and the like, when a tenth
        of the rows, held out until then, say that it is time. A callable returns the number for an
        epoch, from 0.
    warmup_epochs : int, default=5
        Epochs on all rows before the first selection.
    reselect_every : int, default=1
        Epochs from one selection to the next.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The rows of the last selection, ascending.
    coreset_history_ : CoresetHistory
        The rows that each selection chose.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability of each given label by the trained network.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is predicted for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The share of rows that the last selection left out.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Notes
    -----
    Costs one pass over the rows, without gradients, for each selection.

    Co-teaching [2]_ chooses in each batch, for another network, and leaves out a share that grows
    in the first ten epochs; this chooses among all rows at once, for itself, after a warm-up.

    References
    ----------
    .. [1] Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017.
    .. [2] Han, Yao, Yu, Niu, Xu, Hu, Tsang, Sugiyama, "Co-teaching: Robust Training of Deep Neural
       Networks with Extremely Noisy Labels", NeurIPS 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn.baselines import SmallLossClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_iris(return_X_y=True)
    >>> y[:15] = 2
    >>> clf = SmallLossClassifier(MLP, noise_rate=0.1, random_state=0, verbose=0)
    >>> len(clf.fit(X, y).coreset_indices_)
    135
    """

    def __init__(
        self,
        module: Any,
        *,
        noise_rate: float | str | Callable[[int], float] = "auto",
        warmup_epochs: int = 5,
        reselect_every: int = 1,
        **kwargs: Any,
    ):
        self.noise_rate = noise_rate
        self.warmup_epochs = warmup_epochs
        self.reselect_every = reselect_every
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        self.check_noise_rate()
        check_number("warmup_epochs", self.warmup_epochs, kind=Integral, low=0)
        check_number("reselect_every", self.reselect_every, kind=Integral, low=1)

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Choose the rows of smallest loss.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : EpochPlan or None
        """
        if (held_out := self.hold_out(epoch)) is not None:
            return held_out
        noise_rate, since = self.get_noise_rate(epoch), epoch - self.warmup_epochs
        plan = None if self.seeks_noise_rate else self.state_.plan
        if since < 0 or (plan is not None and since % self.reselect_every):
            return plan
        assert self.training_ is not None
        rows, losses = self.training_.rows, compute_row_losses(self)
        if self.training_.weights is not None:
            has_weight = self.training_.weights > 0
            rows, losses = rows[has_weight], losses[has_weight]
        n_kept = max(1, round((1 - noise_rate) * len(rows)))
        return EpochPlan(np.sort(rows[np.argsort(losses, kind="stable")[:n_kept]]))

    def judge_rows(self) -> RowJudgement | None:
        """Return how probable the trained network holds the labels.

        Returns
        -------
        judgement : RowJudgement or None
        """
        judgement = judge_by_predictions(self)
        if judgement is None:
            return None
        history = self.state_.coreset_history
        epoch = int(history.epochs[-1]) if len(history) else self.state_.epoch
        return judgement._replace(noise_rate=self.get_noise_rate(epoch))
