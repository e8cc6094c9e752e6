"""DecouplingClassifier: two networks, each trained on the rows on which they disagree."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from torch import Tensor

from .._validation import check_number
from ..data import MixedBatch, RowBatch
from ..label_noise import RowJudgement
from ..nets.batch_choice import BatchChoiceMixin
from ..nets.judged_labels import judge_by_predictions
from ..nets.two_networks import TwoNetworkClassifier

# Fewer rows than this share of a batch count as so many, so that one row is not a whole step.
MIN_SHARE = 0.1


class DecouplingClassifier(BatchChoiceMixin, TwoNetworkClassifier):
    """Decoupling: two networks are trained on the rows for which their predictions differ.

    When to update is told by the disagreement, how to update by the label [1]_ (Algorithm 1). As
    the networks come to agree, fewer rows are learnt, and fewer wrong labels by heart. It knows no
    noise rate.

    Parameters
    ----------
    module : torch.nn.Module class
        No instance, which both networks would be.
    warmup_epochs : int, default=5
        The epochs in which both are trained on all rows before. See the notes.
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
        The rows that both were trained on in the last epoch, ascending: those on which they
        disagreed. There may be none.
    coreset_weights_ : ndarray of shape (n_coreset,), dtype float64
        Their `sample_weight`, of mean one.
    coreset_history_ : CoresetHistory
        The rows of every epoch.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability of each given label by the trained networks, as `predict_by` says.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is predicted for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The mean of what `label_quality_` lacks to one.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if `module` is an instance, or a parameter is not valid.

    Notes
    -----
    Costs two forward and backward passes for each batch: about twice plain training.

    The authors' code begins with `init_iter` steps on all rows (0, if nothing is said) of 15000.
    Here, it is some epochs: as long as both networks predict the most frequent class for all rows,
    they do not disagree, and would never begin. On a text set of nine classes, of which one has
    half of the rows, one epoch was too few.

    As in the authors' code, the sum of the losses is divided by the number of rows in
    disagreement, and by no less than a tenth of the batch. Of a batch without disagreement the loss
    and all gradients are 0; the optimizer still steps, as it does there: momentum runs out, and
    weight decay goes on. Both are small (by AdamW's defaults, weights shrink by 1e-5 of
    themselves a step, and what momentum is left comes to less than ten steps). That code is for two
    classes and weighs them by their frequency in the batch; here, this is `criterion__weight`.

    Nothing keeps wrong labels out of the rows on which the two disagree: these have more of them
    than all rows, and the method is to learn from fewer of them, later.

    References
    ----------
    .. [1] Malach, Shalev-Shwartz, "Decoupling 'when to update' from 'how to update'", NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn.baselines import DecouplingClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = DecouplingClassifier(MLP, max_epochs=10, random_state=0, verbose=0).fit(
    ...     X / 16, y
    ... )
    >>> sizes = clf.coreset_history_.sizes
    >>> int(sizes[0]), bool(sizes[-1] < 200)
    (1797, True)
    """

    def __init__(
        self,
        module: Any,
        *,
        warmup_epochs: int = 5,
        predict_by: str = "first",
        **kwargs: Any,
    ):
        self.warmup_epochs = warmup_epochs
        super().__init__(module, predict_by=predict_by, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        check_number("warmup_epochs", self.warmup_epochs, kind=Integral, low=0)

    def get_pair_losses(
        self, first: Tensor, second: Tensor, y_true: Tensor, batch: RowBatch | MixedBatch
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of either network on the rows on which they disagree.

        Parameters
        ----------
        first, second, y_true, batch
            As in `TwoNetworkClassifier`.

        Returns
        -------
        first_loss, second_loss : tensors of shape ()
        """
        rows, weight = batch.rows.to(first.device), batch.weight.to(first.device)
        is_used = weight > 0
        if self.state_.epoch >= self.warmup_epochs:
            is_used &= first.argmax(dim=1) != second.argmax(dim=1)
        self.mark_used(rows[is_used])
        least, n_used = MIN_SHARE * len(rows), int(is_used.sum())
        scale = 1.0 if self.is_summed else min(1.0, n_used / least)
        first_loss, second_loss = (
            scale
            * self.reduce_losses(
                self.get_losses(output, y_true, rows)[is_used], y_true[is_used], weight[is_used]
            )
            for output in (first, second)
        )
        return first_loss, second_loss

    def judge_rows(self) -> RowJudgement | None:
        """Return how probable the trained networks hold the labels.

        Returns
        -------
        judgement : RowJudgement or None
        """
        return judge_by_predictions(self)
