"""DMIClassifier: training by the determinant of labels and predictions, from a warm start."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import MixedBatch, RowBatch
from ..gradients import get_logits
from ..label_noise import RowJudgement
from ..losses import DMILoss
from ..nets import EpochPlan, NoisyLabelClassifier
from ..nets.evaluation import unwrap
from ..nets.judged_labels import judge_by_predictions
from .parts.held_out_rows import ask_rows
from .parts.warm_start import RateRatioMixin, WarmStartMixin

HELD_OUT, BEST, BEFORE = "held_out", "best_hits", "weights_before"


class DMIClassifier(RateRatioMixin, WarmStartMixin, NoisyLabelClassifier):
    r"""Learn by the information that predictions have of labels, measured by a determinant.

    A network is trained by cross-entropy first; it goes on by

    .. math::

        -\log \bigl(|\det U| + \epsilon\bigr), \qquad U = Y^\top \mathrm{diag}(w) \, P,

    of each batch, with one-hot labels Y, predicted probabilities P, and sample weights w [1]_
    (section 3). If labels are wrong by a transition matrix T, the determinant is multiplied by
    :math:`|\det T|` in expectation, whatever is predicted: T need not be known.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    lr_ratio : float, default=0.1
        The learning rate of the second training is this times `lr`; positive.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``. The criterion, of the first training, is
        ``CrossEntropyLoss``. A batch should hold several times as many rows as there are classes.

    Attributes
    ----------
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability of each given label by the trained network.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is predicted for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The mean probability of the given labels to be wrong.
    stage_histories_ : dict of str to History
        Of the first training, "first".
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter is not valid, the criterion is another one, a batch
        has fewer rows than there are classes, or a class has no row of positive weight: the
        determinant would always be zero.

    See Also
    --------
    crust_sklearn.losses.DMILoss : The loss alone, for any skorch net; what epsilon is, and where
        the loss is flat.

    Notes
    -----
    Costs twice plain training: both trainings have `max_epochs` epochs. The optimizer and the
    schedules of the second one begin anew; what these say of the learning rate counts `lr_ratio`
    times.

    As in the authors' code, labels that are held out of both trainings say which epoch was best:
    a tenth of all, a hundred at least but a third at most. The first training ends with the epoch
    after which they are most probable. The second one takes the weights of an epoch back after
    which clearly fewer of them are predicted than after the best, and goes on from those before;
    ``history[:, "taken_back"]`` tells. There, the epoch of the best accuracy on them is chosen, the
    first training's end among them.

    A batch teaches nothing where it lacks a class, or has fewer rows than there are classes, as
    the last one of an epoch may: its determinant is zero, and so is the gradient. The authors'
    code drops a last partial batch.

    The first training begins with the weights that the net has: in a later call of `partial_fit`
    with other rows, what was learnt before is not lost.

    Where the network is unsure, the gradient of this loss is large, and one step too many makes all
    predictions the same, from where there is no way back. So the gradient of a batch with respect
    to the logits is scaled to the norm of that of the mean cross-entropy, where it is larger:
    `lr_ratio` then means the same for plain gradient steps as for those of AdamW, which do not
    depend on the scale. In the authors' code the second training takes plain gradient steps, with
    momentum, at a rate of 1e-6 instead.

    ``valid_loss`` is cross-entropy.

    References
    ----------
    .. [1] Xu, Cao, Kong, Wang, "L_DMI: A Novel Information-theoretic Loss Function for Training
       Deep Nets Robust to Label Noise", NeurIPS 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import DMIClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> clf = DMIClassifier(MLP, max_epochs=10, random_state=0, verbose=0).fit(
    ...     X / 16, noisy.y
    ... )
    >>> clf.score(X / 16, y) > 0.85
    True
    """

    def __init__(self, module: Any, *, lr_ratio: float = 0.1, **kwargs: Any):
        self.lr_ratio = lr_ratio
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        self.check_lr_ratio()
        kind = self.criterion if isinstance(self.criterion, type) else type(self.criterion)
        if kind is not nn.CrossEntropyLoss:
            raise ValueError(
                f"criterion={getattr(kind, '__name__', kind)} cannot be used: the first training "
                "is by CrossEntropyLoss, the second by DMILoss. Leave the criterion out."
            )

    def check_training(self) -> None:
        """Refuse batches and rows whose determinant is always zero."""
        super().check_training()
        training, n_classes = self.training_, len(self.classes_)
        assert training is not None and training.codes is not None
        has_say = slice(None) if training.weights is None else training.weights > 0
        counts = np.bincount(training.codes[has_say], minlength=n_classes)
        if len(missing := np.flatnonzero(counts == 0)):
            raise ValueError(
                f"The class {self.classes_[missing[0]]} has no training row of positive weight, "
                "so that the determinant of labels and predictions is always zero. Give rows of "
                "each class, or leave the class out."
            )
        loader = self.get_params_for("iterator_train")
        size = loader.get("batch_size", self.batch_size)
        if loader.get("batch_sampler") is None and 0 < size < n_classes:
            raise ValueError(
                f"batch_size={size} is less than the number of classes, {n_classes}, so that the "
                "determinant of labels and predictions is always zero. Give a batch_size of "
                "several times the number of classes."
            )

    def prepare_training(self) -> None:
        """Train by cross-entropy, in the first call with these rows."""
        super().prepare_training()
        if HELD_OUT not in self.state_.entries:
            held_out = self.draw_held_out()
            self.take_weights(self.train_first(held_out, self.max_epochs))
            self.state_.entries |= {HELD_OUT: held_out, BEST: self._predict_held_out(held_out)}

    def plan_epoch(self, epoch: int) -> EpochPlan:
        """Leave out what is held out.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : EpochPlan
        """
        assert self.training_ is not None
        rows = np.delete(self.training_.rows, self.state_.entries[HELD_OUT])
        return self.state_.plan or EpochPlan(rows, is_coreset=False)

    def on_epoch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the weights, to go back to.

        Parameters
        ----------
        net : DMIClassifier
        *args, **kwargs
            As in skorch.
        """
        super().on_epoch_begin(net, *args, **kwargs)
        if self.training_ is not None:
            weights = unwrap(self.module_).state_dict()
            self.training_.kept[BEFORE] = {name: part.clone() for name, part in weights.items()}

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Take the epoch back, if the labels held out are clearly less often predicted.

        Parameters
        ----------
        net : DMIClassifier
        *args, **kwargs
            As in skorch.
        """
        assert self.training_ is not None
        entries = self.state_.entries
        hits, best = self._predict_held_out(entries[HELD_OUT]), entries[BEST]
        is_worse = is_clearly_less(hits, best)
        self.history.record("taken_back", is_worse)
        if is_worse:
            unwrap(self.module_).load_state_dict(self.training_.kept[BEFORE])
        elif hits.sum() > best.sum():
            entries[BEST] = hits
        super().on_epoch_end(net, *args, **kwargs)

    def _predict_held_out(self, held_out: np.ndarray) -> np.ndarray:
        if not len(held_out):
            return np.empty(0)
        return ask_rows(self, held_out, lambda p, codes: p.argmax(dim=1) == codes)

    def get_batch_loss(self, y_pred: Any, y_true: Tensor, batch: RowBatch | MixedBatch) -> Tensor:
        """Return the loss of the determinant.

        Parameters
        ----------
        y_pred, y_true, batch
            As in `NoisyLabelClassifier`.

        Returns
        -------
        loss : tensor of shape ()
            Zero, with a gradient of zero, for fewer rows than there are classes.
        """
        logits = get_logits(y_pred)
        if len(logits) < logits.shape[1]:
            return 0.0 * logits.sum()
        weight = batch.weight.to(logits.device)
        return limit_gradient(DMILoss()(logits, y_true, weight), logits, y_true, weight)

    def judge_rows(self) -> RowJudgement | None:
        """Return how probable the trained network holds the labels.

        Returns
        -------
        judgement : RowJudgement or None
        """
        return judge_by_predictions(self)


def is_clearly_less(hits: np.ndarray, best: np.ndarray) -> bool:
    """Return whether fewer labels are predicted, and by more than chance would have it.

    Parameters
    ----------
    hits, best : ndarrays of shape (n,), dtype float64
        One for each label that is predicted, now and when most were; else zero.

    Returns
    -------
    is_less : bool
        Whether McNemar's statistic is above one: whether more labels are lost than won, by more
        than one standard deviation of that difference if either were as probable.
    """
    n_lost, n_won = (best > hits).sum(), (hits > best).sum()
    return bool(n_lost - n_won > np.sqrt(n_lost + n_won))


def limit_gradient(loss: Tensor, logits: Tensor, y_true: Tensor, weight: Tensor) -> Tensor:
    """Return a loss whose gradient is no larger than that of the mean cross-entropy.

    Parameters
    ----------
    loss : tensor of shape ()
        Of the logits.
    logits : tensor of shape (n, n_classes)
    y_true : tensor of shape (n,), dtype int64
        Labels as columns.
    weight : tensor of shape (n,)
        What each row counts in cross-entropy.

    Returns
    -------
    limited : tensor of shape ()
        Of the same value. Its gradient with respect to the logits has the same direction, and at
        most the norm of that of cross-entropy.
    """
    (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
    p = logits.detach().softmax(dim=1)
    of_entropy = weight[:, None] * (p - nn.functional.one_hot(y_true, p.shape[1])) / len(p)
    norm = gradient.norm().clamp_min(torch.finfo(gradient.dtype).tiny)
    ratio = (of_entropy.norm() / norm).clamp(max=1.0)
    return loss.detach() + ratio * (loss - loss.detach())
