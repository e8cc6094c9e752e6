"""NoisyLabelClassifier: the trunk of every method for wrong labels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..label_noise import LabelJudgement
from ..labels import check_several_classes
from . import checks
from .divergence import check_last_epoch
from .epoch_plan import EpochPlan
from .fitted_attributes import FittedAttributesMixin
from .processes import agreeing, check_same
from .processes_mixin import ProcessesMixin
from .restoring import restoring
from .resuming import ResumingMixin
from .row_loss_net import RowLossNet
from .seeding import OwnDraws
from .selection_dataset import check_selection_dataset, make_selection_dataset
from .state import TrainingState
from .step_count import StepCountMixin
from .training import Training


class NoisyLabelClassifier(
    ResumingMixin, StepCountMixin, ProcessesMixin, FittedAttributesMixin, RowLossNet
):
    """Base of classifiers that train a torch module on noisy labels: the loop, without a method.

    A :class:`skorch.NeuralNetClassifier` in which every training batch carries the numbers of its
    rows in the X given to fit. A method fills in what it needs of these steps: `plan_epoch` says
    which rows the coming epoch trains on, with what weights, mixtures and labels; `get_losses`
    gives one loss for each example; `get_added_loss` what comes on top for a batch, or
    `get_batch_loss` the whole of it; `prepare_training` does what comes before the first epoch, and
    `judge_rows` says what was found about the labels. As it is, it trains on all rows by the
    criterion.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        Returns logits, one column per class (see `criterion`), a tuple of which they are the first,
        or an object with an attribute `logits`. A class is built with the ``module__...``
        parameters; `num_classes`, `in_channels` and `in_features` are set from the data where its
        signature has them and they were not given.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches and all that a method draws, each from a stream of its own for each
        epoch; None draws the seed from torch's global generator. See the notes.
    criterion : torch criterion class or instance, default=torch.nn.CrossEntropyLoss
        As in skorch, ``NLLLoss`` is given the logarithm of what the module returns.
    optimizer : torch optimizer class, default=torch.optim.AdamW
    lr : float, default=0.001
        Goes with AdamW: give it along with another optimizer (0.05 or so with SGD).
    max_epochs : int, default=30
    batch_size : int, default=64
    iterator_train__shuffle : bool, default=True
        Whether the batches are drawn anew in each epoch. A sampler of yours takes its place.
    train_split : None or callable, default=None
        skorch's internal validation split. None trains on all rows: a split by noisy labels
        costs data and measures noise.
    classes : array-like or None, default=None
        The labels in the order of the module's columns. None: the sorted labels of y. Names of the
        columns may go with labels that are columns, 0..n_classes-1, as in skorch.
    selection_dataset : torch Dataset, callable or None, default=None
        The rows as they are judged, where training reads them otherwise, say augmented: a Dataset
        with one row for each row of X, in the same order; or, as skorch's `dataset`, a class or
        function that is called with X, the labels as columns, and the ``selection_dataset__...``
        parameters, and returns one. None: as training reads them. See the notes.
    **kwargs : dict
        All other parameters of :class:`skorch.NeuralNetClassifier`: `callbacks`, `device`, ...

    Attributes
    ----------
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The rows of the last plan that keep their label, ascending; not there as long as all rows
        are trained on.
    coreset_weights_ : ndarray of shape (n_coreset,), dtype float64
        Their weights in the loss, of mean one.
    relabelled_indices_ : ndarray of shape (n_relabelled,), dtype int64
        The rows of the last plan that it gives other labels, where it gives any.
    coreset_history_ : CoresetHistory
        The rows of each new plan that keep their label.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of features, where X is 2-d.
    history : skorch.history.History
        Besides skorch's columns, in every epoch `coreset_size`, the number of rows trained on with
        their label, and `selection_dur`, the seconds that `plan_epoch` took, which `dur` includes;
        of several processes also `selection_bytes`, what this one sent to others meanwhile.
    label_quality_, suggested_labels_, given_labels_, noise_rate_
        As of `CRUSTClassifier`, where the method judges rows (`judge_rows`).
    state_ : TrainingState
        What training has learnt beside the weights, as arrays by name.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter or the data is not valid; the net is then as it was.
    FloatingPointError
        If the training loss becomes NaN or infinite. The history is kept.
    OSError
        If a ``Checkpoint`` cannot be written.

    Notes
    -----
    The process-global generators of torch, numpy and Python are neither seeded nor drawn from
    (but for one number of torch's where `random_state` is None), with one exception. Layers that
    draw in their forward pass, as dropout does, know no other source than torch's: it is lent to
    them for the time of each forward pass, and left as it was. Fits in several threads then take
    turns in these passes; what else draws from torch in another thread meanwhile is not told
    apart. What a dataset draws in ``__getitem__`` is its own affair: with workers
    (``iterator_train__num_workers``) they are seeded from the stream of the batches.

    `selection_dataset` counts wherever rows are looked at outside of a training batch, and is read
    by `iterator_valid`. Its labels, if it has any, only tell whether it has the same rows: they
    have to be those given to fit, or those inside of X. Where X is a ``Subset`` or skorch's
    ``SliceDataset``, it may have the rows of the whole. Validation splits are read from X.

    Examples
    --------
    Bootstrapping (Reed et al., 2015), soft, is one step:

    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> class Bootstrapping(NoisyLabelClassifier):
    ...     def get_losses(self, y_pred, y_true, rows):
    ...         own = -(y_pred.softmax(dim=1) * y_pred.log_softmax(dim=1)).sum(dim=1)
    ...         return 0.95 * super().get_losses(y_pred, y_true, rows) + 0.05 * own
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = Bootstrapping(MLP, random_state=0, verbose=0).fit(X / 16, y)
    >>> clf.score(X / 16, y) > 0.9
    True
    """

    state_: TrainingState

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Say what the coming epoch trains on.

        Parameters
        ----------
        epoch : int
            From 0, over all calls since the net was initialized.

        Returns
        -------
        plan : EpochPlan or None
            None: all training rows, with their sample weights.
        """
        return None

    def prepare_training(self) -> None:
        """Do what comes before the first epoch of a call, such as training other networks.

        Nothing, as here. Modules, `training_` and `state_` are there; that the rows are others than
        those of the call before is told by what `state_` holds. An interrupt ends the call, and
        leaves the net as it was.
        """

    def judge_rows(self) -> LabelJudgement | None:
        """Return what was found about the labels of the training rows; None, as here, for nothing.

        Called for the fitted attributes: after each new plan, and in the end.

        Returns
        -------
        judgement : LabelJudgement or None
            In the order of ``training_.rows``.
        """
        return None

    @property
    def clean_probability_(self) -> np.ndarray:
        """`label_quality_`, by the name that papers have for it."""
        return self.label_quality_

    def check_training(self) -> None:
        """Refuse what cannot work before the first batch of a call; extend it by `super()`."""
        assert self.training_ is not None
        training = self.training_
        if checks.is_empty_classes(self.classes):
            raise ValueError("classes=[] names no class. Give one label per class, or None.")
        if self.codec_ is not None:
            check_several_classes(self.codec_.classes)
        if training.codes is None:
            return
        checks.check_items_agree(training.dataset, training.codes, training.collate_fn)
        checks.check_several_codes(training.codes, training.weights)
        checks.check_class_weights(getattr(self, "criterion_", None), len(self.classes_))
        checks.check_trainable(self)
        # What a user passes on to forward may be made for batches of another size.
        if not training.fit_params:
            few = np.arange(min(2, len(training.rows)))
            checks.check_module(self, *training.fetch(few))
            if self.selection_dataset is not None:
                checks.check_module(self, *training.fetch_judged(few), name="selection_dataset")

    def get_row_state(self, name: str, n_columns: int) -> Tensor:
        """Return numbers that a method keeps for each row of X, zeros at first.

        They are part of `state_`: a later call with the same rows goes on with them.

        Parameters
        ----------
        name : str
        n_columns : int

        Returns
        -------
        state : tensor of shape (n_samples, n_columns), dtype float32
            On the module's device, to be changed in place; a row for each row of X.
        """
        assert self.training_ is not None
        device = next(self.module_.parameters()).device
        kept = self.state_.entries.get(name)
        if kept is None:
            kept = torch.zeros(self.training_.n_rows, n_columns, device=device)
        self.state_.entries[name] = kept = torch.as_tensor(kept).to(device)
        self.training_.row_states.add(name)
        return kept

    # -- fit ------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Initialize the module, unless `warm_start`, and train it.

        With skorch's ``LoadInitState``, go on from the checkpoint up to the end of its call: unlike
        in skorch, `max_epochs` counts the epochs that it has.

        Parameters
        ----------
        X : array-like, tensor, dict of arrays, DataFrame, sparse matrix or torch Dataset
            The training rows, n_samples of them. The columns of a DataFrame are given to the
            module by name where its forward takes them, else as one array.
        y : array-like of shape (n_samples,), default=None
            Labels of any kind; None only where X is a Dataset that holds them. Where it
            holds labels and y is given, y counts.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in the loss and in the selection. Rows of weight zero never
            enter a coreset.
        **fit_params : dict
            Passed on to the module's forward and to `train_split`, as in skorch.

        Returns
        -------
        self : object
        """
        is_fresh = not (self.warm_start and self.initialized_)
        with self._calling(sample_weight, fit_params):
            self._prepare(X, y, None, reset=is_fresh)
            super().fit(X, y, **fit_params)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        **fit_params: Any,
    ) -> Any:
        """Train on, for `max_epochs` more epochs.

        Epochs are counted over all calls. With the same rows and labels as in the call before, all
        goes on as in one long fit.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels that will occur; needed in the first call if y lacks some.
        **fit_params : dict
            As in `fit`.

        Returns
        -------
        self : object
        """
        if fit_params.get("_routing_method") == "fit":
            return super().partial_fit(X, y, classes, **fit_params)
        with self._calling(sample_weight, fit_params):
            self._prepare(X, y, classes, reset=not self.initialized_)
            super().partial_fit(X, y, classes, **fit_params)
        return self

    @contextmanager
    def _calling(self, sample_weight: Any, fit_params: dict[str, Any]) -> Iterator[None]:
        """Hold what a call trains on; leave the net as it was if the call is refused."""
        training = Training(sample_weight, fit_params)
        try:
            with restoring(self, lambda: training.has_begun):
                self.training_ = training
                yield
                if training.interrupt is not None:
                    raise training.interrupt
        finally:
            self.__dict__.pop("training_", None)

    def _prepare(self, X: Any, y: Any, classes: Any, *, reset: bool) -> None:
        with agreeing(self):
            self.check_parameters()
            self.learn_data(X, y, classes, reset=reset)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid, before anything else; extend it by `super()`."""
        checks.check_loop(self)
        check_selection_dataset(self)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Return the datasets of the training and of the validation rows, or None for these.

        Parameters
        ----------
        X, y, **fit_params
            As in `fit`.

        Returns
        -------
        dataset_train, dataset_valid : torch Dataset
        """
        train, valid = super().get_split_datasets(X, y, **fit_params)
        if self.training_ is None or self.training_.dataset is not None:
            self.training_ = Training()
        self.training_.open(train, self.get_collate_fn("iterator_train"))
        if self.selection_dataset is not None:
            with agreeing(self):
                rows = make_selection_dataset(self, X)
            self.training_.judge_on(rows, self.get_collate_fn("iterator_valid"))
        self.enter_call(self.training_)
        checks.check_monitors(getattr(self, "callbacks_", ()), valid is not None)
        return train, valid

    # -- the epochs -----------------------------------------------------------------------

    def initialize(self) -> Any:
        """Initialize the module and all that goes with it; forget what training has found.

        Returns
        -------
        self : object
        """
        for name in ("seed_", "calls_", "replay_"):
            self.__dict__.pop(name, None)
        self._forget()
        # The module has a stream of its own inside of this one, which is for all other parts.
        with OwnDraws(self.get_seed("parts")):
            return super().initialize()

    def _forget(self) -> None:
        """Drop what was found about the rows of earlier calls."""
        self.unpublish()
        self.__dict__.pop("state_", None)

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        """Check, before the first epoch of a call, that it can work; then open a row of history.

        Parameters
        ----------
        net : NoisyLabelClassifier
        dataset_train, dataset_valid : torch Dataset, default=None
        **kwargs : dict
        """
        if (training := self.training_) is not None and training.is_checked:
            check_last_epoch(self.history)
        elif training is not None:
            self.begin_training(training)
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)

    def begin_training(self, training: Training) -> None:
        """Do what comes before the first epoch of a call."""
        self._find_state(len(self.history))
        with agreeing(self):
            self.check_training()
        try:
            self.prepare_training()
        except KeyboardInterrupt as interrupt:
            training.interrupt = interrupt  # for `_calling`, as skorch ends the training by it
            raise
        training.is_checked = True

    def _find_state(self, epoch: int) -> None:
        """Go on with the state of the call before if it was about the same rows and labels."""
        assert self.training_ is not None
        training = self.training_
        check_same(self, fingerprint := training.get_fingerprint())
        state = vars(self).get("state_")
        if state is None or state.fingerprint != fingerprint or state.epoch >= epoch:
            history = None if state is None else state.coreset_history.before(epoch)
            self._forget()
            self.state_ = TrainingState(fingerprint, history)
        if training.n_left is None:
            self.calls_ = (*self.calls_, (fingerprint, epoch, False))

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch; of training, over the rows of its plan.

        Parameters
        ----------
        iterator : iterable of batches or None
        training : bool
        prefix : str
        step_fn : callable
        **fit_params : dict
        """
        if training and self.training_ is not None:
            start, epoch = time.perf_counter(), len(self.history) - 1
            self.training_.fit_params = fit_params
            old = self.state_.plan
            with restoring(self, lambda: self.state_.plan is not old):
                plan = self.find_plan(epoch)
                if plan is not None:
                    iterator = self._get_planned_iterator(plan, epoch)
                elif old is not None:
                    self.state_.plan = None
                    self.publish()
            self.state_.epoch = epoch
            n_rows = len(self.training_.rows if plan is None else plan.given_rows)
            self.history.record("coreset_size", n_rows)
            self.history.record("selection_dur", time.perf_counter() - start)
            self.training_.generator.manual_seed(self.get_seed("batches", epoch))
            self.training_.watch(self.module_, self.get_seed).reseed(
                self.get_own_seed("module", epoch)
            )
            step_fn = self.make_step(step_fn)
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def _get_planned_iterator(self, plan: EpochPlan, epoch: int) -> Any:
        assert self.training_ is not None
        training, is_new = self.training_, plan is not self.state_.plan
        # Mixtures are drawn anew in every epoch.
        if is_new or plan.mixing is not None or training.planned_iterator is None:
            rng = np.random.default_rng(self.get_seed("mixtures", epoch))
            iterator = self.get_iterator(training.make_planned(plan, rng), training=True)
            training.planned_iterator, self.state_.plan = iterator, plan
        if is_new and plan.is_coreset:
            self.state_.coreset_history.add(epoch, plan.given_rows, training.n_rows)
            self.publish()
        return training.planned_iterator

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Publish what training has found.

        Parameters
        ----------
        net : NoisyLabelClassifier
        X, y : input data, default=None
        **kwargs : dict
        """
        super().on_train_end(net, X=X, y=y, **kwargs)
        training = self.training_
        is_resumed = training is not None and training.is_checked and training.n_left == 0
        if training is not None and (training.has_begun or is_resumed):
            training.is_over = True
            self.publish()

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("training_", None)
        return state

    def trim_for_prediction(self) -> None:
        """Remove what prediction does not need, as in skorch, and what training has kept."""
        super().trim_for_prediction()
        self.selection_dataset = None
        for name in ("state_", "coreset_history_"):
            self.__dict__.pop(name, None)
