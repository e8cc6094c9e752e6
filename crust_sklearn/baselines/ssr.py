"""SSRClassifier: sample selection by neighbours, and relabelling by the network."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._validation import check_number
from ..data import MixedBatch, Mixing, RowBatch
from ..label_noise import RowJudgement
from ..nets import EpochPlan, NoisyLabelClassifier
from ..nets.augmenting import AugmentMixin
from ..nets.checks import check_mixing, check_readable
from ..nets.judged_labels import judge_by_predictions, place
from ..nets.loading import check_sampler
from ..nets.neighbor_votes import count_neighbor_votes
from ..nets.row_outputs import compute_row_outputs

# Entries of the state: what the votes said of the given labels, and the loss of each class.
QUALITY, SUGGESTED, CLASS_WEIGHTS = "label_quality", "suggested", "class_weights"
# The authors' neighbours are one in so many rows of CIFAR; on small sets, so few say too little.
ROWS_PER_NEIGHBOR, MIN_NEIGHBORS = 250, 10


class SSRClassifier(AugmentMixin, NoisyLabelClassifier):
    """SSR: train on the rows whose label their neighbours vote for, some of them relabelled.

    Before each epoch, rows are relabelled, then selected [1]_. Where the network's
    confidence is above a threshold, ``max_c p_ic > theta_r``, a row gets the predicted label; the
    others keep the given one. Let ``v_ic`` be the share of class c's rows that is among the k
    nearest rows of row i, by the cosine of their features, under these labels y. Row i is kept if

        c_i = v_i,y_i / max_c v_ic >= theta_s.

    The network is then trained on mixtures of views of the kept rows, with their labels mixed
    alike, and each class counts as much as any other.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    augment : callable
        Makes another view of a batch of inputs, such as `RandomCropFlip` for images and
        `GaussianNoise` for tables of standardized features, both of `crust_sklearn.modules`. It has
        to be given.
    relabel_threshold : float, default=0.9
        The confidence above which rows are relabelled, theta_r, in [0, 1]. The authors'; they
        have 0.8 for CIFAR-100 with half of the labels wrong and more. 1: none is.
    select_threshold : float, default=1.0
        The least c_i of the kept rows, theta_s, in [0, 1]; the authors'. 1: no other label has more
        votes. 0: all rows are kept.
    n_neighbors : int, default=200
        How many rows vote on each, k; the authors'. Fewer on small sets, see the notes.
    mixup_alpha : float, default=4.0
        A row's share in its mixture is Beta-distributed with this parameter twice; the authors'.
    warmup_epochs : int, default=1
        Epochs on views of all rows, neither mixed nor relabelled, before the first selection.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The rows that were kept with their given label in the last epoch, ascending.
    coreset_history_ : CoresetHistory
        The same of every epoch.
    relabelled_indices_ : ndarray of shape (n_relabelled,), dtype int64
        The rows that were kept with another label in the last epoch, ascending.
    class_weights_ : ndarray of shape (n_classes,), dtype float32
        What the rows of each class counted in the loss of the last epoch, beside `sample_weight`;
        0 for classes of which no row was kept.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The share of the given label g in the votes for it and for the best other one,
        ``v_ig / (v_ig + max_{c != g} v_ic)``, before the last epoch. Below 0.5: outvoted. By the
        trained network's predictions, as long as no epoch after the warm-up was trained.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        The label of most votes for the rows of quality below 0.5, else the given label; the given
        ones.
    noise_rate_ : float
        The share of rows whose given label is outvoted, weighted by `sample_weight`.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if `augment` is missing or does not make views of the rows, if the
        module cannot take mixtures of its inputs, as with token ids, or a parameter is not valid.

    Notes
    -----
    Costs one pass over the rows, without gradients, and the similarities of all pairs of rows,
    O(n_samples**2) each of the size of the features, in each epoch; and a view of each row and of
    its partner. On small tables, that is two to four times plain training.

    200 neighbours are more than a class has rows in many a table, and votes among most of the rows
    tell nothing. So k is at most a fifth of the mean number of rows of a class, or one in 250 rows,
    as the authors' is for CIFAR, or 10, whichever is most; and in no case above half that number.

    Labels are made anew from the given ones in each epoch: a row that was relabelled is given back
    its label where the network is no longer sure. If fewer than two rows are kept, the epoch goes
    over all of them. Rows of `sample_weight` zero neither vote nor are kept; weights of other rows
    are what their votes count.

    This is SSR. SSR+, which adds the consistency of features of two views through a projection and
    a prediction head, is not here: it gains 0.4 to 0.6 points on CIFAR-10 in the paper.

    The authors' code has no warm-up; finds features on weakly augmented rows, here on plain ones;
    mixes two strongly augmented views of each row, by a share of ``max(l, 1 - l)`` that is one for
    the batch, where here a view is mixed with one of another row, each by its own share; repeats
    rows of rare classes until classes are of one size, where here their loss is raised by the same
    factor; and makes an epoch as long as if all rows were kept. It trains with SGD (0.02, momentum
    0.9, weight decay 0.0005, batches of 128, 300 epochs, a cosine to 0.0004).

    References
    ----------
    .. [1] Feng, Tzimiropoulos, Patras, "SSR: An Efficient and Robust Framework for Learning with
       Unknown Label Noise", BMVC 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import SSRClassifier
    >>> from crust_sklearn.modules import MLP, GaussianNoise
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> clf = SSRClassifier(
    ...     MLP, augment=GaussianNoise(), max_epochs=5, random_state=0, verbose=0
    ... )
    >>> clf = clf.fit(X / 16, noisy.y)
    >>> bool(noisy.is_wrong[clf.coreset_indices_].mean() < 0.03)
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        augment: Callable[[Any], Any] | None = None,
        relabel_threshold: float = 0.9,
        select_threshold: float = 1.0,
        n_neighbors: int = 200,
        mixup_alpha: float = 4.0,
        warmup_epochs: int = 1,
        **kwargs: Any,
    ):
        self.augment = augment
        self.relabel_threshold = relabel_threshold
        self.select_threshold = select_threshold
        self.n_neighbors = n_neighbors
        self.mixup_alpha = mixup_alpha
        self.warmup_epochs = warmup_epochs
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        self.check_augment()
        if self.augment is None:
            raise ValueError(
                "SSRClassifier trains on views of rows, and augment=None makes none. Give augment, "
                "a callable on a batch of inputs, such as crust_sklearn.modules.RandomCropFlip() "
                "for images, or GaussianNoise() of the same for tables."
            )
        check_number("relabel_threshold", self.relabel_threshold, low=0, high=1)
        check_number("select_threshold", self.select_threshold, low=0, high=1)
        check_number("n_neighbors", self.n_neighbors, kind=Integral, low=1)
        check_number("mixup_alpha", self.mixup_alpha, low=0, open_low=True)
        check_number("warmup_epochs", self.warmup_epochs, kind=Integral, low=0)

    def check_training(self) -> None:
        """Refuse what cannot work, before the first batch."""
        super().check_training()
        training = self.training_
        assert training is not None
        check_readable(training.codes)
        check_sampler(self.get_params_for("iterator_train"))
        x, y = training.fetch(np.arange(min(2, len(training.rows))))
        check_mixing(self, x, y, "SSRClassifier mixes rows: take another method for token ids.")
        self.check_views(x)

    # -- the method -----------------------------------------------------------------------

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Relabel the rows, and select those whose label their neighbours vote for.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : EpochPlan or None
        """
        if epoch < self.warmup_epochs:
            return self.state_.plan
        training = self.training_
        assert training is not None and training.codes is not None
        given, weights = training.codes, training.weights
        outputs = compute_row_outputs(self, training.selection_dataset, **training.fit_params)
        assert outputs.confidence is not None
        is_sure = outputs.confidence > self.relabel_threshold
        labels = np.where(is_sure, outputs.predicted, given)
        votes = self.count_votes(outputs.features, labels)
        self.keep_judgement(votes)
        own = votes[np.arange(len(labels)), labels]
        can_be_kept = np.full(len(labels), True) if weights is None else weights > 0
        is_kept = can_be_kept & (own >= self.select_threshold * votes.max(axis=1))
        if np.count_nonzero(is_kept) < 2:
            is_kept, labels = can_be_kept, given
        self.state_.entries[CLASS_WEIGHTS] = balance(
            labels[is_kept], len(self.classes_), None if weights is None else weights[is_kept]
        )
        return EpochPlan(
            training.rows[is_kept],
            mixing=Mixing((float(self.mixup_alpha), float(self.mixup_alpha))),
            labels=np.where(labels == given, -1, labels)[is_kept],
        )

    def count_votes(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return how the nearest rows vote on each training row.

        Parameters
        ----------
        features : ndarray of shape (n_train, n_features)
        labels : ndarray of shape (n_train,), dtype int64
            As columns, those that vote.

        Returns
        -------
        votes : ndarray of shape (n_train, n_classes), dtype float32
            As of `count_neighbor_votes`.
        """
        assert self.training_ is not None
        weights = self.training_.weights
        voting = labels if weights is None else labels[weights > 0]
        k = limit_neighbors(self.n_neighbors, len(voting), len(np.unique(voting)))
        features = place(self, features)
        return count_neighbor_votes(features, labels, len(self.classes_), k, weights)

    def keep_judgement(self, votes: np.ndarray) -> None:
        """Keep what votes say of the given labels.

        Parameters
        ----------
        votes : ndarray of shape (n_train, n_classes)
        """
        training = self.training_
        assert training is not None and training.codes is not None
        rows = np.arange(len(votes))
        others = votes.astype(np.float64)
        own = others[rows, training.codes]
        others[rows, training.codes] = -1.0
        judgement = RowJudgement.from_probabilities(
            votes, training.codes, scores=own / (own + others.max(axis=1))
        )
        self.state_.entries[QUALITY] = training.spread(judgement.scores, np.nan)
        self.state_.entries[SUGGESTED] = training.spread(judgement.suggested, -1)

    def get_mixed(self, batch: RowBatch | MixedBatch) -> Any:
        """Return views of a batch's rows, each mixed with a view of its partner where it has one.

        Parameters
        ----------
        batch : RowBatch or MixedBatch

        Returns
        -------
        x : tensors in the form of ``batch.x``
        """
        if self.training_ is None or not self.training_.is_checked:
            return super().get_mixed(batch)
        batch = batch._replace(x=self.make_view(self.to_module(batch.x)))
        if isinstance(batch, MixedBatch):
            batch = batch._replace(partner_x=self.make_view(self.to_module(batch.partner_x)))
        return super().get_mixed(batch)

    def get_losses(self, y_pred: Tensor, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return the criterion's losses, in which all classes count alike after the warm-up.

        Parameters
        ----------
        y_pred, y_true, rows
            As in `NoisyLabelClassifier`.

        Returns
        -------
        losses : tensor of shape (batch_size,)
        """
        losses = super().get_losses(y_pred, y_true, rows)
        if self.state_.plan is None:
            return losses
        of_class = torch.as_tensor(self.state_.entries[CLASS_WEIGHTS], device=losses.device)
        return losses * of_class[y_true].to(losses.dtype)

    # -- what is published ----------------------------------------------------------------

    def judge_rows(self) -> RowJudgement | None:
        """Return what the last votes say of the labels; predictions, where there were none.

        Returns
        -------
        judgement : RowJudgement or None
        """
        training, entries = self.training_, self.state_.entries
        assert training is not None
        if QUALITY not in entries:
            return judge_by_predictions(self)
        quality, suggested = entries[QUALITY][training.rows], entries[SUGGESTED][training.rows]
        noise_rate = float(np.average(quality < 0.5, weights=training.weights))
        return RowJudgement(quality, suggested, noise_rate)

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the weights of the classes among it.

        Returns
        -------
        attributes : dict of str to object
        """
        attributes, weights = super().get_fitted_attributes(), self.state_.entries
        if CLASS_WEIGHTS in weights:
            attributes["class_weights_"] = weights[CLASS_WEIGHTS]
        return attributes


def limit_neighbors(n_neighbors: int, n_rows: int, n_classes: int) -> int:
    """Return how many rows vote on each, of so many rows and classes.

    Parameters
    ----------
    n_neighbors : int
        The most.
    n_rows, n_classes : int
        Of the rows that vote.

    Returns
    -------
    n_neighbors : int
        At least 1.
    """
    most = max(n_rows // (5 * n_classes), n_rows // ROWS_PER_NEIGHBOR, MIN_NEIGHBORS)
    return max(1, min(n_neighbors, most, n_rows // (2 * n_classes)))


def balance(codes: np.ndarray, n_classes: int, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return what the rows of each class are to count for all classes to count alike.

    Parameters
    ----------
    codes : ndarray of shape (n_kept,), dtype int64
    n_classes : int
    sample_weight : ndarray of shape (n_kept,) or None

    Returns
    -------
    class_weights : ndarray of shape (n_classes,), dtype float32
        Inversely to the size of the class, of mean one over the rows; 0 for classes without a row.
    """
    sizes = np.bincount(codes, sample_weight, n_classes)
    is_there = sizes > 0
    share = sizes.sum() / np.count_nonzero(is_there)
    return np.divide(share, sizes, np.zeros(n_classes), where=is_there).astype(np.float32)
