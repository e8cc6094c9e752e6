"""MentorNetClassifier: rows are weighted by a curriculum of their losses, fixed or learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._validation import check_choice, check_number
from ..data import MixedBatch, RowBatch
from ..gradients import get_logits
from ..label_noise import RowJudgement
from ..nets import NoisyLabelClassifier, processes
from ..nets.batch_choice import BatchChoiceMixin
from ..nets.checks import check_readable, check_row_losses
from ..nets.judged_labels import get_judging_epoch, judge_by_predictions, judge_predicted
from ..nets.stages import StagesMixin
from .parts.loss_record import LossRecorder, get_percent
from .parts.mentor import Mentor, train_mentor
from .parts.moving_percentile import MovingPercentileMixin
from .parts.noise_meter import NoiseMeter
from .parts.trusted_rows import TrustedRowsMixin, check_trusted, corrupt_trusted

PREDEFINED, SELF_PACED, LEARNED = "predefined", "self-paced", "learned"
AUTO = "auto"
# Of the entries of the state: what the mentor said last of each row, and whom it learnt from.
QUALITY, MENTOR, TRUSTED, CORRUPTED = "quality", "mentor", "trusted", "corrupted"


class MentorNetClassifier(
    TrustedRowsMixin, MovingPercentileMixin, BatchChoiceMixin, StagesMixin, NoisyLabelClassifier
):
    """MentorNet: weight the rows of each batch by a curriculum of their losses.

    The loss of a batch of n rows is ``1/n sum_i v_i l_i``, with weights v_i in [0, 1] that are
    found from the losses l_i, and that no gradient goes through [1]_. What is large is told by
    lambda_1, a moving percentile of the losses of the batches: ``lambda_1 = 0.9 lambda_1 + 0.1
    percentile(l)``. In the first epochs all rows count. Then

    - "predefined" [1]_ (Eq. 5): ``v = min(max(0, 1 - (l - lambda_1) / lambda_2), 1)``;
    - "self-paced" [2]_: ``v = 1`` where ``l <= lambda_1``, else 0; the same with ``lambda_2 = 0``;
    - "learned": a small network, the mentor, tells v from the loss, its difference to lambda_1, and
      the percentage of the epochs that are over. It learns from `trusted` rows.

    To learn the mentor, a share of the trusted rows is given wrong labels on purpose. A network is
    trained on all rows with these labels, and what the mentor is to see of the trusted ones is
    recorded in each epoch. The mentor is trained to tell from it which labels are right, by binary
    cross-entropy. Then the net itself is trained, on all rows with the labels that were given.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    curriculum : {"predefined", "self-paced", "learned"}, default="predefined"
        How rows are weighted. "learned" needs `trusted` in `fit`.
    percentile : float, default=0.75
        Which share of the losses of a batch is not large, in [0, 1]; the paper's. About the share
        of right labels, or a little more.
    burn_in : float, default=0.2
        The share of `max_epochs` in which all rows count, in [0, 1].
    lambda2 : float, default=1.0
        Of "predefined": how far above lambda_1 a loss counts nothing, at least 0, in units of the
        criterion. With cross-entropy, 1 is a label whose probability is e times as small as that
        of a label at lambda_1.
    corrupted : float or "auto", default="auto"
        Of "learned": the share of the trusted rows that are given wrong labels, in (0, 1): the
        share of wrong labels among the other rows, known or guessed. "auto": what label quality
        finds of these after a training of one epoch (for images and the like, of four, or a
        third of the epochs). At least one row is, and one is not.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The rows of a weight v above 0.5 in the last epoch, ascending; by any curriculum.
    coreset_history_ : CoresetHistory
        The same of every epoch.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        With "learned", what the mentor said last of each row, also while all rows count, and 1 for
        the trusted ones; else the probability of each given label by the trained network.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is predicted for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The mean probability of the given labels to be wrong, by `label_quality_`.
    corrupted_indices_ : ndarray of shape (n_corrupted,), dtype int64
        With "learned": the trusted rows that were given wrong labels to learn the mentor.
    stage_histories_ : dict of str to History
        With "learned": of the training with these labels ("corrupted"), and of that by which their
        share was found ("noise rate").
    state_ : TrainingState
        ``state_.entries["loss_percentile"]`` is lambda_1; the mentor's weights are among the
        entries, too.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter or `trusted` is not valid, missing, or given to a
        curriculum that does not learn.

    Notes
    -----
    A given curriculum costs next to nothing beside plain training; a learned one, another training
    of `max_epochs`, the first epochs for "auto", and 400 steps of a tiny network.

    Epochs are counted over all calls, and percentages are of `max_epochs`: what comes after is
    trained on as the last percent.

    `percentile` matters: with far more wrong labels than ``1 - percentile``, lambda_1 lies among
    their losses, and a given curriculum may be worse than plain training. A learned one suffers
    less. The mentor learns from a training in which all rows count: where wrong labels are weighted
    down, their losses, and with them lambda_1, become larger than those it has learnt from.

    The authors' code lets a network learn the predefined curriculum, too; here its formula is used
    as it is, with one ``lambda_2``, where they change from 0 to 1 at 90 % of the epochs. It
    begins ``lambda_1`` at zero, not at the percentile of the first batch, and its script keeps 0.5
    of the moving average where the function it calls says 0.9. It drops rows at random (half of
    them in the first 17 % of the epochs, 5 % in later ones), which is left out here, and holds the
    percentage that a learned mentor sees at the end of the burn-in (18 %). Its learned mentors come
    from true and noisy labels of another training. The paper also gives the label to the mentor,
    which the code leaves out as well, and learns the mentor anew while the net is trained
    (Algorithm 1).

    References
    ----------
    .. [1] Jiang, Zhou, Leung, Li, Fei-Fei, "MentorNet: Learning Data-Driven Curriculum for Very
       Deep Neural Networks on Corrupted Labels", ICML 2018.
    .. [2] Kumar, Packer, Koller, "Self-Paced Learning for Latent Variable Models", NeurIPS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import MentorNetClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = X[:600] / 16, y[:600]
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> options = {"max_epochs": 10, "random_state": 0, "verbose": 0}
    >>> clf = MentorNetClassifier(MLP, percentile=0.7, **options).fit(X, noisy.y)
    >>> bool(noisy.is_wrong[clf.coreset_indices_].mean() < 0.1)
    True

    The labels of every tenth row have been looked at:

    >>> trusted = np.arange(600) % 10 == 0
    >>> given = np.where(trusted, y, noisy.y)
    >>> clf = MentorNetClassifier(MLP, curriculum="learned", corrupted=0.3, **options)
    >>> clf = clf.fit(X, given, trusted=trusted)
    >>> is_wrong = given != y
    >>> bool(
    ...     clf.label_quality_[is_wrong].mean() < clf.label_quality_[~is_wrong].mean() - 0.5
    ... )
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        curriculum: str = PREDEFINED,
        percentile: float = 0.75,
        burn_in: float = 0.2,
        lambda2: float = 1.0,
        corrupted: float | str = AUTO,
        **kwargs: Any,
    ):
        self.curriculum = curriculum
        self.percentile = percentile
        self.burn_in = burn_in
        self.lambda2 = lambda2
        self.corrupted = corrupted
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid, and `trusted` where it is missing or too much."""
        super().check_parameters()
        check_choice("curriculum", self.curriculum, (PREDEFINED, SELF_PACED, LEARNED))
        check_number("percentile", self.percentile, low=0, high=1)
        check_number("burn_in", self.burn_in, low=0, high=1)
        check_number("lambda2", self.lambda2, low=0)
        if isinstance(self.corrupted, str):
            check_choice("corrupted", self.corrupted, (AUTO,))
        else:
            check_number("corrupted", self.corrupted, low=0, high=1 - 1e-9, open_low=True)
        self._check_need_of_trusted()

    def _check_need_of_trusted(self) -> None:
        is_given = self.trusted_ is not None
        if self.curriculum == LEARNED and not is_given:
            raise ValueError(
                "curriculum='learned' learns from rows whose labels are known to be right. Give "
                "them to fit and partial_fit, trusted=mask, or choose curriculum='predefined'."
            )
        if self.curriculum != LEARNED and is_given:
            raise ValueError(
                f"trusted is given, and curriculum={self.curriculum!r} learns nothing from it. "
                "Choose curriculum='learned', or leave trusted out."
            )

    # -- the mentor -----------------------------------------------------------------------

    def check_training(self) -> None:
        """Refuse trusted rows that are none, before the first batch of a call."""
        super().check_training()
        assert self.training_ is not None
        self._check_need_of_trusted()
        if self.curriculum == LEARNED:
            check_readable(self.training_.codes)
            self.training_.kept[TRUSTED] = check_trusted(self.trusted_, self.training_)

    def prepare_training(self) -> None:
        """Learn the mentor, where there is none that has learnt from these trusted rows."""
        super().prepare_training()
        if self.curriculum != LEARNED:
            return
        assert self.training_ is not None
        entries, is_trusted = self.state_.entries, self.training_.kept[TRUSTED]
        if TRUSTED not in entries or not np.array_equal(entries[TRUSTED], is_trusted):
            self._learn_mentor(is_trusted)

    def _learn_mentor(self, is_trusted: np.ndarray) -> None:
        training, entries = self.training_, self.state_.entries
        assert training is not None and training.codes is not None
        rate = self._measure_noise(is_trusted) if self.corrupted == AUTO else float(self.corrupted)
        seed = self.get_seed("corrupted labels")
        codes = corrupt_trusted(training.codes, is_trusted, rate, seed)
        is_right = codes == training.codes
        stage = self.train_stage(
            CORRUPTED, LossRecorder, codes=codes, watched=is_trusted, percentile=self.percentile
        )
        mentor = train_mentor(
            np.concatenate(stage.features_),
            is_right[np.concatenate(stage.rows_)],
            self.get_seed(MENTOR),
        )
        self.state_.drop(MENTOR)
        weights = processes.share(self, mentor.state_dict())
        entries |= {f"{MENTOR}.{name}": value for name, value in weights.items()}
        entries[TRUSTED], entries[CORRUPTED] = is_trusted, training.rows[~is_right]

    def _measure_noise(self, is_trusted: np.ndarray) -> float:
        """Return the share of wrong labels among the rows that are not trusted."""
        n_epochs = get_judging_epoch(self)
        quality = self.train_stage("noise rate", NoiseMeter, max_epochs=n_epochs).label_quality_
        is_judged = np.ones_like(is_trusted) if is_trusted.all() else ~is_trusted
        return float(1.0 - quality[is_judged].mean())

    def get_mentor(self) -> Mentor:
        """Return the mentor, with the weights that the state holds.

        Returns
        -------
        mentor : Mentor
            On the module's device, in eval mode.
        """
        prefix = f"{MENTOR}."
        weights = {
            name[len(prefix) :]: torch.as_tensor(value)
            for name, value in self.state_.entries.items()
            if name.startswith(prefix)
        }
        mentor = Mentor()
        mentor.load_state_dict(weights)
        device = next(self.module_.parameters()).device
        return mentor.requires_grad_(False).eval().to(device)

    # -- a batch --------------------------------------------------------------------------

    def get_batch_loss(self, y_pred: Any, y_true: Tensor, batch: RowBatch | MixedBatch) -> Tensor:
        """Return the mean of the losses of a training batch, times their weights.

        Parameters
        ----------
        y_pred, y_true, batch
            As in `NoisyLabelClassifier`.

        Returns
        -------
        loss : tensor of shape ()
        """
        logits = get_logits(y_pred)
        rows, weight = batch.rows.to(logits.device), batch.weight.to(logits.device)
        losses = check_row_losses(self.get_losses(logits, y_true, rows), len(y_true))
        v = self.weigh_rows(losses.detach().float(), weight, rows)
        if self.state_.epoch < self.burn_in * self.max_epochs:
            v = torch.ones_like(v)
        self.mark_used(rows[(v > 0.5) & (weight > 0)])
        loss = self.reduce_losses(v * losses, y_true, weight)
        added = self.get_added_loss(y_pred, batch.rows)
        return loss if added is None else loss + added

    def weigh_rows(self, losses: Tensor, weight: Tensor, rows: Tensor) -> Tensor:
        """Return what the curriculum says of the rows of a training batch.

        Parameters
        ----------
        losses : tensor of shape (n,), dtype float32
            In training mode.
        weight : tensor of shape (n,)
            Sample weights: rows of weight zero have no say in the percentile.
        rows : tensor of shape (n,), dtype int64
            The examples' numbers in the X given to fit.

        Returns
        -------
        v : tensor of shape (n,), dtype float32
            In [0, 1].
        """
        differences = losses - self.move_percentile(losses, weight)
        if self.curriculum != LEARNED:
            slope = self.lambda2 if self.curriculum == PREDEFINED else 0.0
            return weigh_by_loss(differences, slope)
        assert self.training_ is not None
        if MENTOR not in self.training_.kept:
            self.training_.kept[MENTOR] = self.get_mentor()
        percent = get_percent(self.state_.epoch, self.max_epochs)
        v = self.training_.kept[MENTOR].weigh(losses, differences, percent)
        said = torch.stack([v, torch.ones_like(v)], dim=1)
        self.get_row_state(QUALITY, 2)[rows] = said
        return v

    # -- what was found -------------------------------------------------------------------

    def judge_rows(self) -> RowJudgement | None:
        """Return what the mentor said of the labels, or the trained network.

        Returns
        -------
        judgement : RowJudgement or None
        """
        training = self.training_
        assert training is not None
        if self.curriculum != LEARNED:
            return judge_by_predictions(self)
        if not training.is_over or training.codes is None:
            return None
        said = self.get_row_state(QUALITY, 2).double().cpu().numpy()[training.rows]
        # Of rows that no batch has held, the mentor has said nothing.
        quality = np.where(said[:, 1] > 0, said[:, 0], np.nan)
        return judge_predicted(self, np.where(training.kept[TRUSTED], 1.0, quality))

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the rows that were given wrong labels among it.

        Returns
        -------
        attributes : dict of str to object
        """
        attributes = super().get_fitted_attributes()
        rows = self.state_.entries.get(CORRUPTED)
        return attributes if rows is None else attributes | {"corrupted_indices_": rows}


def weigh_by_loss(differences: Tensor, lambda2: float) -> Tensor:
    """Return the weights of the predefined curriculum.

    Parameters
    ----------
    differences : tensor of shape (n,)
        Of the losses to lambda_1.
    lambda2 : float
        At least 0.

    Returns
    -------
    v : tensor of shape (n,)
        In [0, 1].
    """
    if lambda2 == 0:
        return (differences <= 0).to(differences.dtype)
    return (1 - differences / lambda2).clamp(0, 1)
