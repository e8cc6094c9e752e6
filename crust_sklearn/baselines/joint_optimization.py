"""JointOptimizationClassifier: find labels and network together, then train a new network."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._validation import check_number
from ..data import MixedBatch, RowBatch
from ..gradients import get_logits
from ..label_noise import RowJudgement
from ..nets import NoisyLabelClassifier
from ..nets.checks import takes_soft_labels
from ..nets.stages import StagesMixin
from .parts.relabelling_stage import RelabellingStage

RELABELLED = "relabelled"


class JointOptimizationClassifier(StagesMixin, NoisyLabelClassifier):
    """Joint Optimization: a network relabels the rows, and a new one is trained on its labels.

    The first network is trained by

    ``L = -mean_i sum_k s_ik log p_ik - alpha sum_k prior_k log pbar_k + beta mean_i H(p_i)``

    with its predictions p_i and their mean over the batch, pbar [1]_. Its labels s_i are the given
    ones at first, and then the mean of what it predicted for the row in the last `n_averaged`
    epochs. Of such labels alone, one class for all rows would fit best: the prior forbids it, and
    the entropy lets the labels become hard. The second network, which predicts, is trained from
    scratch on the last of these labels, by the first term alone.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    alpha : float, default=1.2
        The weight of the prior, at least 0.
    beta : float, default=0.8
        The weight of the entropy, at least 0.
    prior : array-like of shape (n_classes,) or None, default=None
        The shares of the classes among the true labels, in the order of `classes_`, of sum one.
        None: all the same, as in the paper. Give it where classes differ in size.
    relabel_from : float, default=0.35
        The share of `max_epochs` after which labels are no longer the given ones; the paper's 70 of
        200 epochs.
    n_averaged : int, default=10
        The epochs over whose predictions a label is the mean; the paper's.
    relabel_lr : float or None, default=None
        The learning rate of the first network. None: `lr`. See the notes.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    relabelled_ : ndarray of shape (n_samples, n_classes), dtype float32
        The labels that the second network is trained on: probabilities of the classes, in the order
        of `classes_`. NaN for rows that were not trained on, as of a validation split.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability of each given label in `relabelled_`.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        The most probable class for the rows of quality below 0.5, else the given label; the given
        ones.
    noise_rate_ : float
        The mean probability of the given labels to be wrong.
    stage_histories_ : dict of str to skorch.history.History
        ``"relabelling"``: that of the first network.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter is not valid, or the criterion is another than
        ``CrossEntropyLoss`` with the mean for its reduction: labels are soft.

    Notes
    -----
    Costs two trainings, of `max_epochs` epochs each, and ``n_samples * n_classes * n_averaged``
    numbers while the first one lasts. `partial_fit` with the same rows goes on with the second
    network, and keeps the labels.

    *A high learning rate is essential in the first training* [1]_: at a low one, the network has
    learnt the wrong labels by heart before they are replaced. Give `relabel_lr`, several times
    `lr`, where this is one to end a training with, as the default is. The paper has SGD with
    momentum 0.9, weight decay 1e-4, batches of 128, and a constant rate. A schedule among the
    callbacks acts on either training. Its settings for CIFAR-10, 200 epochs, depend on the noise:
    ``alpha=1.2, beta=0.8`` for symmetric noise (at 70 %, a rate of 0.08), the defaults here, and
    ``alpha=0.8, beta=0.4`` with a rate of 0.03 for asymmetric noise of 40 %. The authors' code has
    1.0, 0.5 and a rate of 0.1 where nothing is said. Their second training takes 120 epochs, from a
    rate of 0.2, a tenth of it after each third.

    Predictions are those of the training batches, as in the authors' code: in train mode, with
    augmentation, each made before the step on its batch. In that code, epochs before the first
    count as predictions of zero; here the mean is over the predictions that there are.

    Sample weights count in all terms. Class weights act on the first term, on each class's share of
    a soft label, and divide by what they sum up to, as in torch for hard ones.

    References
    ----------
    .. [1] Tanaka, Ikami, Yamasaki, Aizawa, "Joint Optimization Framework for Learning with Noisy
       Labels", CVPR 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import JointOptimizationClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> settings = dict(max_epochs=6, random_state=0, verbose=0)
    >>> clf = JointOptimizationClassifier(MLP, relabel_lr=0.01, **settings).fit(
    ...     X / 16, noisy.y
    ... )
    >>> bool((clf.relabelled_.argmax(axis=1) == y).mean() > 0.9)
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        alpha: float = 1.2,
        beta: float = 0.8,
        prior: Any = None,
        relabel_from: float = 0.35,
        n_averaged: int = 10,
        relabel_lr: float | None = None,
        **kwargs: Any,
    ):
        self.alpha = alpha
        self.beta = beta
        self.prior = prior
        self.relabel_from = relabel_from
        self.n_averaged = n_averaged
        self.relabel_lr = relabel_lr
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        check_number("alpha", self.alpha, low=0)
        check_number("beta", self.beta, low=0)
        check_number("relabel_from", self.relabel_from, low=0, high=1)
        check_number("n_averaged", self.n_averaged, kind=Integral, low=1)
        if self.relabel_lr is not None:
            check_number("relabel_lr", self.relabel_lr, low=0)
        if self.prior is not None:
            check_prior(self.prior)

    def check_training(self) -> None:
        """Refuse criteria that know no soft labels, and a prior of other classes."""
        super().check_training()
        assert self.training_ is not None
        if self.training_.codes is None:
            raise ValueError(
                "The labels of X cannot be read, and new ones begin with them. Pass them apart, "
                "fit(dataset, y), or give the dataset an attribute `y` or `targets`."
            )
        criterion = self.criterion_
        is_mean = isinstance(criterion, nn.CrossEntropyLoss) and criterion.reduction == "mean"
        like = next(self.module_.parameters()).new_zeros(2, len(self.classes_))
        if not is_mean or not takes_soft_labels(criterion, like):
            raise ValueError(
                f"criterion={criterion!r} is not valid. Joint Optimization trains on soft labels, "
                "by their mean cross-entropy: give torch.nn.CrossEntropyLoss, without ignore_index."
            )
        if self.prior is not None and len(self.prior) != len(self.classes_):
            raise ValueError(
                f"prior has {len(self.prior)} entries, and there are {len(self.classes_)} classes. "
                "Give one share for each of classes_, in this order."
            )

    def prepare_training(self) -> None:
        """Train the network that finds the labels, unless they are known."""
        super().prepare_training()
        if RELABELLED in self.state_.entries:
            return
        assert self.training_ is not None
        stage = self.train_stage(
            "relabelling",
            RelabellingStage,
            alpha=self.alpha,
            beta=self.beta,
            prior=self.prior,
            n_given=round(self.relabel_from * self.max_epochs),
            n_averaged=self.n_averaged,
            lr=self.lr if self.relabel_lr is None else self.relabel_lr,
        )
        labels = np.full((self.training_.n_rows, len(self.classes_)), np.nan, np.float32)
        labels[self.training_.rows] = stage.soft_labels_
        self.state_.entries[RELABELLED] = labels

    def get_targets(self, y_pred: Tensor, rows: Tensor) -> Tensor:
        """Return the soft labels of some rows.

        Parameters
        ----------
        y_pred : tensor of shape (n, n_classes)
            What they are to be compared with.
        rows : tensor of shape (n,), dtype int64
            Their numbers in the X given to fit.

        Returns
        -------
        targets : tensor of shape (n, n_classes)
            On the device of `y_pred`, of its dtype.
        """
        assert self.training_ is not None
        kept = self.training_.kept
        if RELABELLED not in kept:
            kept[RELABELLED] = torch.as_tensor(self.state_.entries[RELABELLED]).to(y_pred.device)
        return kept[RELABELLED][rows.to(y_pred.device)].to(y_pred.dtype)

    def get_losses(self, y_pred: Tensor, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return the criterion's losses by the soft labels.

        Parameters
        ----------
        y_pred, y_true, rows
            As in `NoisyLabelClassifier`.

        Returns
        -------
        losses : tensor of shape (batch_size,)
        """
        return super().get_losses(y_pred, self.get_targets(y_pred, rows), rows)

    def get_batch_loss(self, y_pred: Any, y_true: Tensor, batch: RowBatch | MixedBatch) -> Tensor:
        """Return the mean loss of a training batch.

        Parameters
        ----------
        y_pred, y_true, batch
            As in `NoisyLabelClassifier`.

        Returns
        -------
        loss : tensor of shape ()
        """
        logits = get_logits(y_pred)
        losses = self.get_losses(logits, y_true, batch.rows)
        # Class weights are those of the soft labels, not of the given ones.
        return self.reduce_losses(losses, self.get_targets(logits, batch.rows), batch.weight)

    def judge_rows(self) -> RowJudgement | None:
        """Return what the soft labels say of the given ones.

        Returns
        -------
        judgement : RowJudgement or None
        """
        training, labels = self.training_, self.state_.entries.get(RELABELLED)
        if labels is None or training is None or training.codes is None:
            return None
        proba = np.asarray(labels, np.float64)[training.rows]
        return RowJudgement.from_probabilities(proba, training.codes, training.weights)

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the soft labels among it.

        Returns
        -------
        attributes : dict of str to object
        """
        labels = self.state_.entries.get(RELABELLED)
        return super().get_fitted_attributes() | ({} if labels is None else {"relabelled_": labels})


def check_prior(prior: Any) -> None:
    """Refuse what are no shares of classes."""
    shares = np.asarray(prior)
    is_good = shares.ndim == 1 and shares.dtype.kind in "iuf" and len(shares)
    if not is_good or not (shares >= 0).all() or not np.isclose(shares.sum(), 1.0):
        raise ValueError(
            f"prior must hold one share for each class, at least 0 and of sum 1; got {prior!r}. "
            "Give counts divided by their sum, or None for classes of the same size."
        )
