"""CoTeachingPlusClassifier: small losses are exchanged where two networks disagree."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

from torch import Tensor

from .._validation import check_number
from ..data import MixedBatch, RowBatch
from .co_teaching import CoTeachingClassifier

AUTO = "auto"
# 20 of 200 epochs, as the authors' code has it for CIFAR-10.
WARMUP_SHARE = 0.1


class CoTeachingPlusClassifier(CoTeachingClassifier):
    """Co-teaching+: Co-teaching among the rows on which the two networks disagree.

    Two networks that teach each other become one. These are trained, after a warm-up by
    Co-teaching, on rows for which their predictions differ alone: of those of a batch, each network
    takes the ``R(t)`` share of smallest loss, and the other one is trained on them [1]_ (Algorithm
    1).

    Parameters
    ----------
    module : torch.nn.Module class
        No instance, which both networks would be.
    noise_rate : float, "auto" or callable, default="auto"
        The share of wrong labels, tau, in [0, 1); "auto": what label quality finds after the first
        epoch; of images and the like, when a tenth of the rows, held out until then, say that it
        is time. A callable returns the number for an epoch, from 0.
    n_gradual : int, default=10
        The epochs over which the share that is left out rises to `noise_rate`; the paper's.
    warmup_epochs : int or "auto", default="auto"
        The epochs in which the networks choose among all rows, as in Co-teaching; "auto": a tenth
        of `max_epochs`, at least 1. More, where rows are still held out for the `noise_rate`: all
        rows in disagreement, wrong ones included, would be learnt without it.
    predict_by : {"first", "mean"}, default="first"
        Whether predictions are those of the first network, or the mean probabilities of both.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    module_, peer_ : torch.nn.Module
        The two networks.
    coreset_indices_, coreset_history_, label_quality_, suggested_labels_, given_labels_,
    noise_rate_, classes_
        As of `CoTeachingClassifier`.

    Raises
    ------
    ValueError, TypeError
        Before any training, if `module` is an instance, or a parameter is not valid.

    Notes
    -----
    Costs two forward and backward passes for each batch: about twice plain training.

    The authors' code warms up for 20 of 200 epochs on CIFAR-10, 5 on CIFAR-100, 100 on
    Tiny-ImageNet and none on MNIST and news, by Co-teaching, as here. The share that is left out
    rises over ten epochs, which are counted from the first of the warm-up.

    Otherwise, this is the paper rather than its code. There, the cross-entropy after the warm-up is
    that of softmaxed outputs (a softmax twice), and means are divided by the number of rows once
    more: gradients are so small that the networks hardly move; with Adam, their size does not
    matter, and their form does. Where no row of a batch is in disagreement, it trains on all of
    its rows as long as the number of the epoch times that of the batch is below 5000, and on none
    later; here, the rows of small loss of the whole batch are exchanged. A batch in which some
    disagree gives at least one row; there, all of them, where the share comes to none.

    References
    ----------
    .. [1] Yu, Han, Yao, Niu, Tsang, Sugiyama, "How does Disagreement Help Generalization against
       Label Corruption?", ICML 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import CoTeachingPlusClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> clf = CoTeachingPlusClassifier(
    ...     MLP, noise_rate=0.3, max_epochs=10, random_state=0, verbose=0
    ... )
    >>> clf.fit(X / 16, noisy.y).score(X / 16, y) > 0.9
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        noise_rate: float | str | Callable[[int], float] = "auto",
        n_gradual: int = 10,
        warmup_epochs: int | str = "auto",
        predict_by: str = "first",
        **kwargs: Any,
    ):
        self.warmup_epochs = warmup_epochs
        super().__init__(
            module, noise_rate=noise_rate, n_gradual=n_gradual, predict_by=predict_by, **kwargs
        )

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        if not isinstance(self.warmup_epochs, str):
            check_number("warmup_epochs", self.warmup_epochs, kind=Integral, low=0)
        elif self.warmup_epochs != AUTO:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs!r} is not valid. Give an integer of at least "
                "0, or 'auto'."
            )

    def get_warmup_epochs(self) -> int:
        """Return how many epochs choose among all rows.

        Returns
        -------
        n_epochs : int
        """
        if isinstance(self.warmup_epochs, str):
            return max(1, round(WARMUP_SHARE * self.max_epochs))
        return self.warmup_epochs

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
        if self.state_.epoch >= self.get_warmup_epochs() and not self.seeks_noise_rate:
            differs = first.argmax(dim=1) != second.argmax(dim=1)
            weight = batch.weight * differs.to(batch.weight)
            if weight.any():
                # Rows without a weight are not chosen.
                batch = batch._replace(weight=weight)
        return super().get_pair_losses(first, second, y_true, batch)
