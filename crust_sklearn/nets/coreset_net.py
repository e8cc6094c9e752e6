"""CoresetNet: a net that trains each epoch on a coreset, as its parameters say."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from time import perf_counter
from typing import Any

import numpy as np
import torch

from ..label_noise import LabelJudgement, LabelQuality, TrainingSummary
from ..selector import share_budget
from . import loading
from .checks import check_mixing, check_readable
from .dropped_rows import CONSISTENCY, PSEUDO_LABEL, DroppedRowsMixin, add_relabelled
from .epoch_plan import EpochPlan
from .judged_labels import (
    get_judging_epoch,
    has_vectors,
    place,
    start_judging,
    summarize_net,
)
from .noisy_label_classifier import NoisyLabelClassifier
from .open_warmup import (
    HELD_OUT,
    begin_warmup,
    count_epochs_left,
    end_warmup,
    find_first_judgement,
    is_look_due,
)
from .row_outputs import RowOutputs, compute_row_outputs
from .selection import make_mixing, report, select_rows
from .selector_parameter import SelectorParameterMixin

LEAVE_ONE_OUT = "leave-one-out"
FIRST = "first_selection"
# Epochs of so many batches, or fewer, have as many over a coreset: each step still teaches much.
# Where rows are vectors, a training of many steps learns by heart what is still wrong.
FEW_BATCHES = 8


class CoresetNet(SelectorParameterMixin, DroppedRowsMixin, NoisyLabelClassifier):
    """What `CRUSTClassifier` does in training; the parameters and their checks are its own."""

    warmup_epochs: int | str
    reselect_every: int
    gradient: str
    gradient_layer: str | None
    coreset_weight: str
    mixup: str | None
    mixup_alpha: float | tuple[float, float]

    def get_mixup_alpha(self) -> tuple[float, float]:
        """Return the two parameters of the Beta distribution of mixup.

        Returns
        -------
        alpha : tuple of two floats
        """
        alpha = self.mixup_alpha
        if isinstance(alpha, Real):
            return (float(alpha), float(alpha))
        if isinstance(alpha, tuple | list) and len(alpha) == 2:
            return (alpha[0], alpha[1])
        raise TypeError(f"mixup_alpha must be a number or a pair of numbers; got {alpha!r}.")

    @property
    def judges_labels(self) -> bool:
        """Whether selections go by what other rows say of labels."""
        return self.has_auto_size or self.gradient == LEAVE_ONE_OUT

    def get_warmup_epochs(self) -> int:
        """Return how many epochs train on all rows before the first selection.

        Returns
        -------
        n_epochs : int
            Of "auto" outside of a training, the most that it may be. Where the warm-up is open
            (`has_open_warmup`), 1: the first look.
        """
        if isinstance(self.warmup_epochs, Integral):
            return int(self.warmup_epochs)
        return 1 if self.has_open_warmup else get_judging_epoch(self)

    @property
    def has_open_warmup(self) -> bool:
        """Whether labels that are held out say when the warm-up is over.

        A coreset of a given size has steps that can be counted: its warm-up is given, too.
        """
        is_open = self.has_auto_size and self.warmup_epochs == "auto"
        return is_open and self.training_ is not None and not has_vectors(self.training_)

    # -- before training ------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Initialize the module, unless `warm_start`, and train it.

        Parameters
        ----------
        X, y, sample_weight, **fit_params
            As in :meth:`NoisyLabelClassifier.fit`.

        Returns
        -------
        self : object
        """
        self.check_parameters()
        goes_on = self.warm_start and self.initialized_
        epochs = self.max_epochs + (len(self.history) if goes_on else 0)
        least = int(self.warmup_epochs) if isinstance(self.warmup_epochs, Integral) else 1
        if 0 < epochs <= least:
            warnings.warn(
                f"warmup_epochs={self.warmup_epochs!r} is not less than the {epochs} epochs "
                "of training: no coreset will ever be used. Raise max_epochs, or lower "
                "warmup_epochs.",
                UserWarning,
                stacklevel=2,
            )
        return super().fit(X, y, sample_weight, **fit_params)

    def get_most_rows(self, epoch: int, class_sizes: list[int]) -> int:
        """Return how many rows an epoch trains on, at most.

        Parameters
        ----------
        epoch : int
        class_sizes : list of int
            The number of rows of each class.

        Returns
        -------
        n_rows : int
        """
        if epoch < self.get_warmup_epochs() or self.has_auto_size:
            return sum(class_sizes)
        sizes = class_sizes if self.group_by == "label" else [sum(class_sizes)]
        n_rows = sum(share_budget(sizes, self.make_selector().coreset_size))
        # Predicted classes are not known yet: each rounds up, by one at most.
        return n_rows + (len(class_sizes) if self.group_by == "prediction" else 0)

    def get_most_batches(self, n_rows: int) -> int | None:
        """Return how many batches the rows of an epoch are divided into, at most.

        Parameters
        ----------
        n_rows : int

        Returns
        -------
        n_batches : int or None
            As many as all rows make, where "auto" leaves some out, and, of vectors, where these
            are at most eight. None: as many as `batch_size` makes.
        """
        training = self.training_
        assert training is not None
        if not self.has_auto_size or n_rows == len(training.rows):
            return None
        n_batches = loading.count_batches(loading.get_step_options(self), len(training.rows))
        return n_batches if n_batches <= FEW_BATCHES or not has_vectors(training) else None

    def check_training(self) -> None:
        """Refuse what cannot work, before the first batch."""
        super().check_training()
        training = self.training_
        assert training is not None
        warmup = self.get_warmup_epochs()
        if training.count_all_epochs(self.max_epochs) <= warmup:
            return
        check_readable(training.codes)
        is_candidate = np.s_[:] if training.weights is None else training.weights > 0
        assert training.codes is not None
        codes = training.codes[is_candidate]
        self.make_selector().check_options(len(codes))
        n_rows = self.get_most_rows(warmup, np.unique(codes, return_counts=True)[1].tolist())
        loading.check_sampler(self.get_params_for("iterator_train"))
        loading.check_single_row(n_rows, self.module_)
        few = training.rows[: min(2, len(training.rows))]
        head = torch.utils.data.Subset(training.selection_dataset, range(len(few)))
        self.compute_outputs(head, few, **training.fit_params)
        x, y = training.fetch(np.arange(len(few)))
        if self.mixup is not None:
            check_mixing(self, x, y)
        if self.dropped == CONSISTENCY:
            self.check_views(x)

    # -- the method -----------------------------------------------------------------------

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Choose the rows of the coming epoch: all in the warm-up, a coreset after it.

        Parameters
        ----------
        epoch : int
            From 0, over all calls of `fit` and `partial_fit`.

        Returns
        -------
        plan : EpochPlan or None
        """
        plan, relabels = self.state_.plan, self.dropped == PSEUDO_LABEL
        if plan is not None and not plan.is_coreset and not self.has_open_warmup:
            # Parameters may be set anew between calls.
            end_warmup(self)
            self.state_.plan = plan = None
        # Nothing is held out for a judgement that does not follow.
        if plan is None and self.has_open_warmup and count_epochs_left(self, epoch) > 1:
            plan = begin_warmup(self, epoch)
        elif self.is_selection_due(epoch) and (plan is None or not self.keeps_all_rows):
            plan = self.select(epoch) or plan
        if self.judges_labels:
            self.history.record("noise_rate", self.state_.get_number("noise_rate"))
        if relabels:
            n_rows = 0 if plan is None else len(plan.relabelled_rows)
            self.history.record("relabelled_size", n_rows)
        return plan

    def is_selection_due(self, epoch: int) -> bool:
        """Return whether rows are to be chosen, or looked at, before an epoch.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        is_due : bool
        """
        plan = self.state_.plan
        if plan is not None and not plan.is_coreset and self.has_open_warmup:
            return is_look_due(self, epoch)
        first = self.state_.get_number(FIRST)
        since = epoch - (self.get_warmup_epochs() if first is None else int(first))
        is_due = since >= 0 and (plan is None or since % self.reselect_every == 0)
        # `dropped` may be set anew between calls.
        relabels = self.dropped == PSEUDO_LABEL
        return is_due or (plan is not None and (plan.labels is not None) != relabels)

    @property
    def keeps_all_rows(self) -> bool:
        """Whether the first selection has found the labels right: there is nothing to choose."""
        quality = self.state_.load("label_quality", LabelQuality)
        return self.has_auto_size and quality is not None and quality.is_clean

    def select(self, epoch: int) -> EpochPlan | None:
        """Choose a coreset by the current network.

        Parameters
        ----------
        epoch : int
            Seeds the strategies that draw at random.

        Returns
        -------
        plan : EpochPlan or None
            None: the network has more to learn before labels are judged by it.
        """
        start, training = perf_counter(), self.training_
        assert training is not None and training.codes is not None
        quality = self.state_.load("label_quality", LabelQuality)
        with self.averaged():
            outputs = self.compute_outputs(
                training.selection_dataset,
                training.rows,
                with_inputs=quality is None,
                **training.fit_params,
            )
        if quality is None and HELD_OUT in self.state_.entries:
            quality = find_first_judgement(self, epoch, outputs.features)
            if quality is None:
                return None
            self.state_.entries[FIRST] = np.asarray(epoch)
        else:
            quality = self.judge_labels(quality, outputs)
        selection = select_rows(
            self.make_selector(self.get_seed("coreset", epoch)),
            outputs,
            training.codes,
            training.weights,
            quality,
            group_by=self.group_by,
            coreset_weight=self.coreset_weight,
            has_auto_size=self.has_auto_size,
        )
        clusters = training.spread(selection.clusters, -1)
        self.state_.save("label_quality", quality)
        self.state_.entries["noise_rate"] = np.asarray(quality.noise_rate)
        self.state_.entries["clusters"] = clusters
        training.kept |= {"selector": selection.selector, "label_quality": quality}
        report(selection, perf_counter() - start, self.verbose)
        mixing = None
        if self.mixup is not None:
            mixing = make_mixing(self.mixup, self.get_mixup_alpha(), training, clusters)
        plan = EpochPlan(training.rows[selection.positions], selection.weights, mixing)
        return add_relabelled(plan, training, quality) if self.dropped == PSEUDO_LABEL else plan

    def judge_labels(self, quality: LabelQuality | None, outputs: RowOutputs) -> LabelQuality:
        """Return what the rows of a selection say of each other's labels.

        Parameters
        ----------
        quality : LabelQuality or None
            From the selection before; None at the first one.
        outputs : RowOutputs
            At the first selection, with inputs where these are vectors.

        Returns
        -------
        quality : LabelQuality
        """
        if quality is None:
            return start_judging(self, outputs)
        return quality.update(place(self, outputs.features)) if self.judges_labels else quality

    def compute_outputs(
        self,
        dataset: Any,
        numbers: np.ndarray,
        *,
        with_inputs: bool = False,
        **fit_params: Any,
    ) -> RowOutputs:
        """Return what the current network says of rows, as selections need it.

        Parameters
        ----------
        dataset : torch Dataset
        numbers : ndarray of shape (n_rows,)
            The rows' numbers in the X given to fit.
        with_inputs : bool, default=False
            Whether the inputs are among them, where they are vectors.
        **fit_params : dict
            Passed on to the module's forward.

        Returns
        -------
        outputs : RowOutputs
        """
        return compute_row_outputs(
            self,
            dataset,
            numbers=numbers,
            gradient=None if self.gradient == LEAVE_ONE_OUT else self.gradient,
            gradient_layer=self.gradient_layer,
            with_inputs=with_inputs,
            for_selection=True,
            **fit_params,
        )

    # -- what was found -------------------------------------------------------------------

    def judge_rows(self) -> LabelJudgement | None:
        """Return what the last selection found about the labels of the training rows.

        Returns
        -------
        judgement : LabelQuality or None
        """
        assert self.training_ is not None
        # The one that was saved has to find the probabilities once more.
        quality = self.training_.kept.get("label_quality")
        return quality or self.state_.load("label_quality", LabelQuality)

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes after each selection, and in the end.

        Returns
        -------
        attributes : dict of str to object
        """
        attributes, training = super().get_fitted_attributes(), self.training_
        assert training is not None
        # That of an earlier call stays as long as its coreset does.
        selector = training.kept.get("selector", vars(self).get("selector_"))
        attributes |= {} if selector is None else {"selector_": selector}
        if "clusters" in self.state_.entries:
            attributes["coreset_assignment_"] = self.state_.entries["clusters"]
        return attributes

    def get_saved_attributes(self) -> dict[str, Any]:
        """Return the fitted attributes that are saved, the selector as what it has found.

        Returns
        -------
        attributes : dict of str to object
        """
        saved = super().get_saved_attributes()
        if (selector := saved.get("selector_")) is not None:
            is_found = {
                name: name.endswith("_") or name == "random_state" for name in vars(selector)
            }
            saved["selector_"] = {k: v for k, v in vars(selector).items() if is_found[k]}
        return saved

    def set_saved_attributes(self, attributes: dict[str, Any]) -> None:
        """Publish attributes that were saved.

        Parameters
        ----------
        attributes : dict of str to object
        """
        if "selector_" in attributes:
            selector = self.make_selector()
            selector.__dict__.update(attributes["selector_"])
            attributes = attributes | {"selector_": selector}
        super().set_saved_attributes(attributes)

    def get_summary(self) -> TrainingSummary:
        """Return what training found about the labels: which are wrong, which rows it kept.

        Returns
        -------
        summary : TrainingSummary
            ``print`` it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If there was no selection yet.
        """
        return summarize_net(self)

    def trim_for_prediction(self) -> None:
        """Remove what prediction does not need, as in skorch: the last selector, and its data, too.

        The audit of the labels is kept.
        """
        super().trim_for_prediction()
        self.__dict__.pop("selector_", None)
