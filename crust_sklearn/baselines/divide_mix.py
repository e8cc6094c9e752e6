"""DivideMixClassifier: rows of doubtful label are trained on without it."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from torch import nn

from .._validation import check_flag, check_number
from ..label_noise import RowJudgement
from ..nets.checks import check_mixing, takes_soft_labels
from ..nets.epoch_plan import EpochPlan
from ..nets.judged_labels import judge_by_predictions, judge_predicted
from ..nets.row_outputs import compute_row_losses
from ..nets.two_networks import MEAN
from .parts.loss_mixture import get_clean_probability
from .parts.mixmatch_pair import MixMatchPair

# The state's name of what the labels' losses say of them, for either network.
CLEAN = "clean_probability"


class DivideMixClassifier(MixMatchPair):
    """DivideMix: a row whose label the other network doubts is trained on without it.

    After a warm-up, a mixture of two Gaussians is fitted to the losses of all rows before each
    epoch, one for each of two networks; ``w_i``, the posterior of the component of smaller mean, is
    how probable the label of row i is right. It divides the rows for the *other* network: those
    with ``w_i > clean_threshold`` keep their label, corrected by what the network predicts, and
    the others get a label that both guess. Either one is then trained on mixtures of views of all,
    as in MixMatch [1]_ (Algorithm 1).

    Parameters
    ----------
    module : torch.nn.Module class
        No instance, which both networks would be.
    augment : callable
        Makes another view of a batch of inputs, on the device of the module:
        ``crust_sklearn.modules.RandomCropFlip()`` for images, ``GaussianNoise()`` for tables of
        standardized features. Required.
    n_views : int, default=2
        Views of each row in a step, M.
    warmup_epochs : int, default=10
        Epochs on all rows by the criterion before the first division, at least 1. It is 10 for
        CIFAR-10, 30 for CIFAR-100 and 1 for images from the web in the authors' code, of 300, 300
        and 80. Losses tell wrong labels apart once the classes have been learnt.
    entropy_penalty : bool, default=False
        Whether the negative entropy of the predictions is added to the loss of the warm-up, so that
        the networks are not yet sure of wrong labels. For noise that gives all wrong labels of a
        class the same other one (the paper's asymmetric noise, and Clothing1M).
    clean_threshold : float, default=0.5
        The probability above which a row keeps its label, in [0, 1].
    temperature : float, default=0.5
        Sharpens the targets, T > 0; at 1, they stay as they are.
    alpha : float, default=4.0
        The first view's share in a mixture is ``max(b, 1 - b)``, with b of Beta(alpha, alpha).
    lambda_u : float, default=0.0
        The weight of the loss of rows without label. The paper chooses it for each data set: 0 for
        labels from the web, for asymmetric and for little noise, 25 for CIFAR-10 with half of the
        labels wrong, up to 150 for CIFAR-100. At 0, these rows still have a part in the mixtures
        and in the penalty of the mean prediction.
    n_ramp : int, default=16
        The epochs after the warm-up over which this weight rises from 0.
    predict_by : {"mean", "first"}, default="mean"
        Whether predictions are the mean probabilities of both networks, or those of the first.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    module_, peer_ : torch.nn.Module
        The two networks.
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The rows that kept their label for the first network in the last epoch, ascending.
    coreset_history_ : CoresetHistory
        The same of every epoch after the warm-up.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The mean of the two ``w_i`` of the last epoch, also `clean_probability_`. After a training
        without division, the probability of each label by the networks.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is predicted for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The mean probability of the given labels to be wrong.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    state_ : TrainingState
        ``state_.entries["clean_probability"]``, of shape (n_samples, 2), are the ``w_i`` that the
        two networks were last trained by; NaN for rows of a validation split.

    Raises
    ------
    ValueError, TypeError
        Before any training, if `module` is an instance, `augment` is missing or does not make
        views, the criterion is not cross-entropy (with its mean, and without weights of classes),
        inputs cannot be mixed, or a parameter is not valid.

    Notes
    -----
    For a batch of n rows, with M views of each, y the given label as a unit vector, p the mean
    prediction of the network for the views of a row, and p' that of the other one:

    - Targets are ``w y + (1 - w) p`` for the rows that keep their label, and ``(p + p') / 2`` for
      the others, both sharpened: ``q_c^(1/T) / sum_k q_k^(1/T)``. No gradient goes through them.
    - Each of the M n views is mixed with another one of them, and so are their targets, with one
      share for the batch, drawn for each network.
    - The loss is ``L_X + lambda_u r(t) L_U + L_reg``: the mean cross-entropy of the mixtures whose
      first view has a label, weighted by `sample_weight`; the mean squared error of the
      probabilities of the others; and ``sum_c (1/C) log((1/C) / pbar_c)`` with the mean prediction
      pbar of all. This keeps from predicting one class for all, and holds against classes of very
      different sizes. ``r(t)`` rises from 0 to 1 over `n_ramp` epochs.

    Rows of `sample_weight` zero are in neither part, and no mixture is made with them; the mixture
    of Gaussians is fitted without them. Where all losses are equal, all labels are kept. The rows
    are divided by the losses of the criterion, `label_smoothing` included.

    The authors' code draws for each step as many rows without a label as with one, and its epochs
    go over those with one; here, a batch has them as they come, and an epoch goes over all rows. A
    part that is missing in a batch adds nothing to its loss. There, the second network's epoch
    begins when the first one's is over, on views of its own; here, both take each step together, on
    the same views. As there, a network's own predictions are made in train mode, and the other
    one's in eval mode. For 90 % of wrong labels, it divides by the mean loss of the last 5 epochs;
    here, it is always the current one. For images from the web, alpha is 0.5, and only mixtures
    whose first view has a label are made. It tests by the sum of both networks' logits; here, and
    in the paper, it is their mean prediction. It trains by SGD (0.02, momentum 0.9, weight decay
    5e-4, batches of 64, 300 epochs, a tenth of the rate from epoch 150 on).

    An epoch of the warm-up costs twice plain training, a later one about five times (measured with
    an MLP): for each network and step, a forward pass of all views, one of the views without label
    for the other network, and a forward and a backward pass of the mixtures; and, for each epoch, a
    pass over all rows.

    References
    ----------
    .. [1] Li, Socher, Hoi, "DivideMix: Learning with Noisy Labels as Semi-supervised Learning",
       ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import DivideMixClassifier
    >>> from crust_sklearn.modules import MLP, GaussianNoise
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = (X[:600] / 16).astype("float32"), y[:600]
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> options = {"max_epochs": 15, "batch_size": 32, "random_state": 0, "verbose": 0}
    >>> clf = DivideMixClassifier(MLP, augment=GaussianNoise(0.15), **options).fit(
    ...     X, noisy.y
    ... )
    >>> bool(noisy.is_wrong[clf.coreset_indices_].mean() < 0.05)
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        augment: Callable[[Any], Any] | None = None,
        n_views: int = 2,
        warmup_epochs: int = 10,
        entropy_penalty: bool = False,
        clean_threshold: float = 0.5,
        temperature: float = 0.5,
        alpha: float = 4.0,
        lambda_u: float = 0.0,
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
        check_mixing(self, x, y, "Take a method that mixes no rows.")
        self.check_views(x)

    def _check_criterion(self) -> None:
        criterion = getattr(self.criterion_, "_orig_mod", self.criterion_)
        name = type(criterion).__name__
        like = next(self.module_.parameters()).new_zeros(2, len(self.classes_))
        # A weight of classes and a reduction have sentences of their own.
        if not (isinstance(criterion, nn.CrossEntropyLoss) and takes_soft_labels(criterion, like)):
            raise ValueError(
                f"criterion={name} cannot be used: DivideMix trains on soft labels, by "
                "cross-entropy. Leave criterion=torch.nn.CrossEntropyLoss, with or without "
                "label_smoothing, and without ignore_index."
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
            self.use_division(self.state_.entries[CLEAN], epoch)
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
        return judge_predicted(self, scores)
