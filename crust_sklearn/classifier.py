"""CRUSTClassifier: the hooks into skorch."""

from __future__ import annotations

import math
import random
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_random_state
from skorch import NeuralNetClassifier
from skorch.dataset import get_len
from skorch.utils import is_dataset, to_device, to_tensor
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ._inputs import get_sizes, is_tensor
from ._validation import check_choice, check_coreset_size, check_number, check_sample_weight
from .coreset_dataset import (
    CoresetDataset,
    IndexedBatch,
    MixedBatch,
    WeightedBatch,
    innermost,
    keep_batch,
    mix,
    read_labels,
)
from .gradients import GRADIENTS, check_losses, unreduced
from .label_quality import LabelQuality
from .labelled_net import LabelledNet
from .labels import check_labels, check_several_classes
from .reselection import Reselection, has_batch_norm
from .selector import CoresetSelector, share_budget
from .strategies import make_strategy

DEFAULT_SELECTOR = "smallest-norm"
GROUPS = ("prediction", "label", None)
WEIGHTS = ("cluster", "uniform")
MIXUPS = ("cluster", "class", "batch", None)

# What the first selection sets.
SELECTED = (
    "selector_",
    "coreset_indices_",
    "coreset_weights_",
    "coreset_assignment_",
    "coreset_history_",
    "label_quality_",
    "suggested_labels_",
    "noise_rate_",
)

NEVER_FINITE = (
    "It was so from the first batch on: does the module return what the criterion expects, "
    "logits for CrossEntropyLoss, probabilities for NLLLoss? Is X finite, and scaled?"
)
NO_LONGER_FINITE = (
    "Lower lr, clip gradients (skorch.callbacks.GradientNormClipping), or scale X; in a torch "
    "Dataset, look for NaN. The epochs before are in `history`."
)


class CRUSTClassifier(LabelledNet):
    """Train a torch module on noisy labels, each epoch on a coreset of its rows.

    A :class:`skorch.NeuralNetClassifier` whose epochs, after a warm-up on all data, run over
    a weighted coreset of the training rows [1]_: the rows whose loss gradients span the
    dominant, clean part of the network's Jacobian, chosen anew from the gradients of the
    current network.

    By default, the coreset is made of the rows whose label agrees with what the other rows say:
    with the prediction of a last layer fitted to all rows but this one. The paper's algorithm and
    the rule of its published code are settings: see the notes.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        Returns logits, one column per class (see `criterion`). A class is built with the
        ``module__...`` parameters; `num_classes`, `in_channels` and `in_features` are set
        from the data where its signature has them and they were not given.
    selector : str or CoresetSelector, default="smallest-norm"
        How rows are chosen: the name of a strategy, or a selector, of which a clone is
        fitted. A name works on as many groups at once as torch uses threads.
        ``selector__...`` sets its parameters. `group_by` decides on its `stratify`.
    coreset_size : float, int, "auto" or None, default=None
        A float in (0, 1] is a fraction of each group, an int the total number of rows. "auto":
        of each group as many rows as have a label that agrees with the other rows (see the notes).
        None: "auto" for the default selector, the selector's own for others, 0.5 if given by name.
    warmup_epochs : int, default=1
        Epochs on all rows before the first selection.
    reselect_every : int, default=3
        Epochs from one selection to the next.
    gradient : {"leave_one_out", "logits", "features", "last_layer"}, default="leave_one_out"
        What rows are compared by. "logits", "features" and "last_layer" are the gradient of the
        loss at the logits (p - y for cross-entropy), at the input of the last linear layer, or for
        the weights of the last linear layer. "leave_one_out" is q - y, the gradient at the logits
        where q is predicted without the row itself (see the notes). Taken in eval mode.
    gradient_layer : str or None, default=None
        Name of the last linear layer, as in ``module.named_modules()``. None: found by
        tracing which one produces the module's output. Where none does, "leave_one_out" and
        the label quality take the logits for features.
    group_by : {"prediction", "label"} or None, default="label"
        Rows are chosen within each predicted class, within each given label, or at once.
    coreset_weight : {"cluster", "uniform"}, default="uniform"
        The weight of a chosen row in the loss: the number of rows that it stands for, or the
        same for all; scaled to mean one, so that the learning rate keeps its meaning.
    mixup : {"cluster", "class", "batch"} or None, default=None
        From the first selection on, mix each row with a row of its cluster, with a row of the
        same given label from all rows, or with a row of its batch; inputs and labels alike.
    mixup_alpha : float or tuple of two floats, default=1.0
        A row's share in its mixture is Beta(alpha, alpha), or Beta(a, b), distributed.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches and coresets, and leaves the global generators as they were.
        None uses the global generators, as skorch does.
    criterion : torch criterion class or instance, default=torch.nn.CrossEntropyLoss
        Needs one loss per example with ``reduction="none"``. As in skorch, ``NLLLoss`` is
        given the logarithm of what the module returns.
    train_split : None or callable, default=None
        skorch's internal validation split. None trains on all rows: a split by noisy labels
        costs data and measures noise.
    classes : array-like or None, default=None
        The labels in the order of the module's columns. None: the sorted labels of y.
    **kwargs : dict
        All other parameters of :class:`skorch.NeuralNetClassifier`: `optimizer`, `lr`,
        `max_epochs`, `batch_size`, `callbacks`, `device`, ``module__...``, ...

    Attributes
    ----------
    selector_ : CoresetSelector
        The selector of the last selection, fitted on the gradients of the training rows.
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The chosen rows of the X given to fit, ascending.
    coreset_weights_ : ndarray of shape (n_coreset,), dtype float64
        Their weights in the loss, of mean one.
    coreset_assignment_ : ndarray of shape (n_samples,), dtype int64
        For every row of X the position of its medoid in `coreset_indices_`; -1 if it has
        none: a row of the validation split, or of weight zero.
    coreset_history_ : CoresetHistory
        The rows that each selection chose; ``len()``, `epochs` and `get_indices` tell which.
        :class:`~crust_sklearn.inspection.CoresetDisplay` makes a figure of it.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        How well each given label agrees with the other rows, in [0, 1]: below 0.5, another label
        does better. NaN for the rows of a validation split.
        :func:`~crust_sklearn.find_label_issues` makes a list of it.
    suggested_labels_ : ndarray of shape (n_samples,)
        The label that agrees best with the other rows; the given one if none does better.
    noise_rate_ : float
        The share of the training labels that the last selection did not trust.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of features, where X is 2-d.
    history : skorch.history.History
        Besides skorch's columns, in every epoch `coreset_size`, the number of rows trained
        on, and `selection_dur`, the seconds that gradients and selection took, which `dur`
        includes.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter or the data is not valid.
    FloatingPointError
        If the training loss becomes NaN or infinite. The history is kept.

    Warns
    -----
    UserWarning
        If `warmup_epochs` leaves no epoch for a coreset.

    See Also
    --------
    CoresetSelector : The selection alone, as a transformer.

    Notes
    -----
    As in the paper: ``CRUSTClassifier(module, **PAPER)``; as the authors' published code does in
    effect: ``CRUSTClassifier(module, **REFERENCE)``, both from :mod:`crust_sklearn.settings`. The
    page "How CRUST works" says how they and the default differ.

    "leave_one_out" and "auto": with h_i the inputs of the last linear layer, a ridge regression of
    the labels on h is fitted to the rows that are trusted so far, each class with the same total
    weight. What it predicts for a row without that row follows from its leverage score, in closed
    form. A label is trusted if it gets enough of what the best label gets: the fourth root of what
    a wrong label gets, and at most 0.85. What a wrong label gets is read off the rows of which the
    first selection is sure, for each pair of labels. "auto" keeps all rows if fewer than 5 % of the
    labels are wrong by the last selection, among the surer half of the rows: leaving out the rows
    that are hard would cost more than it saves. `label_quality_` and `suggested_labels_` go by the
    average of these predictions over the selections.

    Safe to override besides skorch's own ``get_*`` methods: `get_selection_dataset`, where
    the dataset of the training rows augments.

    References
    ----------
    .. [1] Mirzasoleiman, Cao, Leskovec, "Coresets for Robust Training of Neural Networks
       against Noisy Labels", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import CRUSTClassifier, make_label_noise
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy = make_label_noise(y, "symmetric", 0.3, random_state=0).y
    >>> clf = CRUSTClassifier(
    ...     MLP, max_epochs=12, lr=0.2, iterator_train__shuffle=True, random_state=0, verbose=0
    ... )
    >>> clf.fit(X / 16, y_noisy).score(X / 16, y) > 0.8
    True
    >>> 0.25 < clf.noise_rate_ < 0.35
    True
    """

    prefixes_ = [*NeuralNetClassifier.prefixes_, "selector"]

    def __init__(
        self,
        module: Any,
        *,
        selector: str | CoresetSelector = DEFAULT_SELECTOR,
        coreset_size: float | int | str | None = None,
        warmup_epochs: int = 1,
        reselect_every: int = 3,
        gradient: str = "leave_one_out",
        gradient_layer: str | None = None,
        group_by: str | None = "label",
        coreset_weight: str = "uniform",
        mixup: str | None = None,
        mixup_alpha: float | tuple[float, float] = 1.0,
        random_state: int | RandomState | None = None,
        criterion: Any = nn.CrossEntropyLoss,
        train_split: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ):
        self.selector = selector
        self.coreset_size = coreset_size
        self.warmup_epochs = warmup_epochs
        self.reselect_every = reselect_every
        self.gradient = gradient
        self.gradient_layer = gradient_layer
        self.group_by = group_by
        self.coreset_weight = coreset_weight
        self.mixup = mixup
        self.mixup_alpha = mixup_alpha
        self.random_state = random_state
        super().__init__(
            module, criterion=criterion, train_split=train_split, classes=classes, **kwargs
        )
        self.reselection_: Reselection | None = None

    # -- parameters -----------------------------------------------------------------------

    def set_params(self, **kwargs: Any) -> CRUSTClassifier:
        """Set parameters; ``selector__name`` reaches into the selector.

        Parameters
        ----------
        **kwargs : dict

        Returns
        -------
        self : CRUSTClassifier

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        # skorch would try to re-initialize a torch component of that prefix.
        own = {k: kwargs.pop(k) for k in list(kwargs) if k.split("__")[0] == "selector"}
        valid = CoresetSelector().get_params(deep=False)
        for name in own:
            if name != "selector":
                check_choice("selector__", name.split("__")[1], valid)
        super().set_params(**kwargs)
        for name, value in own.items():
            setattr(self, name, value)
        return self

    def make_selector(self, seed: int | None = None) -> CoresetSelector:
        """Return the selector to fit: a clone, with this classifier's parameters on top.

        Parameters
        ----------
        seed : int or None, default=None
            Its `random_state`, where it has none of its own.

        Returns
        -------
        selector : CoresetSelector
        """
        if isinstance(self.selector, str):
            selector = CoresetSelector(self.selector, n_jobs=torch.get_num_threads())
        elif isinstance(self.selector, CoresetSelector):
            selector = clone(self.selector)
        else:
            raise TypeError(
                f"selector={self.selector!r} is neither the name of a strategy nor a "
                "CoresetSelector."
            )
        selector.set_params(**self.get_params_for("selector"))
        if self.has_auto_size:
            # Not by this; but an int would be filled up to, and could be more than the rows.
            selector.set_params(coreset_size=1.0)
        elif self.coreset_size is not None:
            selector.set_params(coreset_size=self.coreset_size)
        if selector.random_state is None:
            selector.set_params(random_state=seed)
        return selector.set_params(stratify=self.group_by is not None)

    @property
    def has_auto_size(self) -> bool:
        """Whether the number of rows of each group is read off the data."""
        if self.coreset_size is not None:
            return isinstance(self.coreset_size, str) and self.coreset_size == "auto"
        is_default = isinstance(self.selector, str) and self.selector == DEFAULT_SELECTOR
        return is_default and not hasattr(self, "selector__coreset_size")

    def _check_options(self) -> None:
        check_choice("gradient", self.gradient, (*GRADIENTS, "leave_one_out"))
        check_choice("group_by", self.group_by, GROUPS)
        check_choice("coreset_weight", self.coreset_weight, WEIGHTS)
        check_choice("mixup", self.mixup, MIXUPS)
        check_number("warmup_epochs", self.warmup_epochs, kind=Integral, low=0)
        check_number("reselect_every", self.reselect_every, kind=Integral, low=1)
        if self.coreset_size is not None:
            check_coreset_size(self.coreset_size, has_auto=True)
        for alpha in self.get_mixup_alpha():
            check_number("mixup_alpha", alpha, low=0, high=1e6, open_low=True)
        selector = self.make_selector()
        if self.gradient == "last_layer" and not (
            isinstance(selector.metric, str) and selector.metric == "euclidean"
        ):
            raise ValueError(
                "gradient='last_layer' compares gradients by their own product formula: leave "
                f"the selector's metric at 'euclidean'; got {selector.metric!r}."
            )
        strategy = make_strategy(selector.strategy)
        if self.gradient == "last_layer" and getattr(strategy, "is_linear", False):
            raise ValueError(
                "gradient='last_layer' holds the two factors of each gradient, and "
                f"{type(strategy).__name__} needs the gradient itself. Choose gradient='features' "
                "or 'logits', or a strategy that goes by distances."
            )

    def get_mixup_alpha(self) -> tuple[float, float]:
        """Return the two parameters of the Beta distribution of mixup.

        Returns
        -------
        alpha : tuple of two floats
        """
        alpha = self.mixup_alpha
        if isinstance(alpha, Real):
            return (alpha, alpha)
        if isinstance(alpha, tuple | list) and len(alpha) == 2:
            return (alpha[0], alpha[1])
        raise TypeError(f"mixup_alpha must be a number or a pair of numbers; got {alpha!r}.")

    # -- fit ------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, **fit_params: Any
    ) -> CRUSTClassifier:
        """Initialize the module, unless `warm_start`, and train it.

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
        self : CRUSTClassifier
        """
        seed = self._draw_seed()
        with _seeded(seed):
            fresh = not (self.warm_start and self.initialized_)
            self._prepare(X, y, None, sample_weight, reset=fresh)
            epochs = self.max_epochs + (0 if fresh else len(self.history))
            if 0 < epochs <= self.warmup_epochs:
                warnings.warn(
                    f"warmup_epochs={self.warmup_epochs} is not less than the {epochs} epochs "
                    "of training: no coreset will ever be used. Raise max_epochs, or lower "
                    "warmup_epochs.",
                    UserWarning,
                    stacklevel=2,
                )
            super().fit(X, y, sample_weight=sample_weight, **fit_params)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        **fit_params: Any,
    ) -> CRUSTClassifier:
        """Train on, for `max_epochs` more epochs.

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
        self : CRUSTClassifier
        """
        from_fit = fit_params.get("_routing_method") == "fit"
        seed = None
        if not from_fit:
            seed = self._draw_seed()
            if seed is not None:
                # Each call another stream: the same batches over and over teach less.
                seed = (seed + 7919 * len(self.history or ())) % 2**32
        with _seeded(seed):
            if not from_fit:
                self._prepare(X, y, classes, sample_weight, reset=not self.initialized_)
            self.sample_weight_given_ = sample_weight
            try:
                super().partial_fit(X, y, classes, **fit_params)
            finally:
                self.reselection_ = None
                del self.sample_weight_given_
        return self

    def _draw_seed(self) -> int | None:
        """Return the seed of this call, and keep the one that coresets are drawn by."""
        if self.random_state is None:
            self.coreset_seed_ = int(check_random_state(None).randint(2**31 - 1))
            return None
        if isinstance(self.random_state, Integral):
            seed = int(self.random_state)
        else:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.coreset_seed_ = seed
        return seed

    def _prepare(self, X: Any, y: Any, classes: Any, sample_weight: Any, *, reset: bool) -> None:
        """Check all that can be checked before training, and learn classes and shapes."""
        if y is None and not is_dataset(X) and self.iterator_train is DataLoader:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Give "
                "one label per row, or a torch Dataset that holds the labels as X."
            )
        labels = self._get_labels(X, y)
        self._check_options()
        X = self._get_input(X, reset=reset)
        n_rows = X.shape[0] if sparse.issparse(X) or is_tensor(X) else get_len(X)
        if labels is not None and len(labels) != n_rows:
            raise ValueError(
                f"X and y have inconsistent lengths: X has {n_rows} rows, y has {len(labels)}. "
                "Give one label per row."
            )
        check_sample_weight(sample_weight, n_rows)
        self.make_selector()._check_options(n_rows)
        codec = self._get_codec(labels, classes, reset=reset)
        if codec is not None and self.group_by is not None:
            size = self.make_selector().coreset_size
            if isinstance(size, Integral):
                share_budget(np.bincount(codec.encode(labels)).tolist(), size)
        self.codec_ = codec
        if codec is not None:
            self.classes_inferred_ = codec.classes
        if reset:
            for name in SELECTED:
                self.__dict__.pop(name, None)
            self.label_quality_average_: LabelQuality | None = None
            n_classes = None if codec is None else len(codec.classes)
            self.inferred_params_ = get_sizes(_row_shape(X), n_classes)

    # -- data -----------------------------------------------------------------------------

    def check_data(self, X: Any, y: Any = None) -> None:
        """Check the data where `fit` and `partial_fit` have not: before a direct `fit_loop`."""
        if not hasattr(self, "codec_"):
            self._prepare(X, y, None, None, reset=True)

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
        if y is not None:
            y = check_labels(y)
        elif (inside := self._get_labels(X, None)) is not None:
            # To codes; the split is called without y, as in skorch.
            X = self.get_dataset(X, inside)
        train, valid = super().get_split_datasets(X, y, **fit_params)
        is_foreign = valid is not None and innermost(valid) is not innermost(train)
        if is_foreign and hasattr(self, "codec_") and (labels := read_labels(valid)) is not None:
            valid = self.get_dataset(valid, labels)
        return train, valid

    def get_selection_dataset(self, dataset_train: Any) -> Any:
        """Return the dataset that gradients are taken on: the training rows, in order.

        Override it where `dataset_train` augments its rows: selection should see them plain.

        Parameters
        ----------
        dataset_train : torch Dataset

        Returns
        -------
        dataset : torch Dataset
            Of the same length and order.
        """
        return dataset_train

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the iterator over the batches of a dataset.

        Parameters
        ----------
        dataset : torch Dataset
        training : bool, default=False
            Whether to use `iterator_train` or `iterator_valid`.

        Returns
        -------
        iterator : iterable of batches
        """
        if not isinstance(dataset, CoresetDataset):
            return super().get_iterator(dataset, training=training)
        prefix = "iterator_train" if training else "iterator_valid"
        iterator_cls, kwargs = getattr(self, prefix), self.get_params_for(prefix)
        if isinstance(iterator_cls, type) and issubclass(iterator_cls, DataLoader):
            kwargs["collate_fn"] = keep_batch
        batch_size = kwargs.setdefault("batch_size", self.batch_size)
        if batch_size == -1:
            kwargs["batch_size"] = len(dataset)
        if training:
            self._check_loader(kwargs, len(dataset), dataset.n_rows)
        else:
            for name in ("sampler", "batch_sampler", "shuffle", "drop_last"):
                kwargs.pop(name, None)
        return iterator_cls(dataset, **kwargs)

    def _check_loader_early(self, codes: np.ndarray) -> None:
        """Check the loader of the coresets to be chosen from rows of these codes."""
        by_label = np.unique(codes, return_counts=True)[1].tolist()
        sizes = by_label if self.group_by == "label" else [len(codes)]
        n_rows = sum(share_budget(sizes, self.make_selector().coreset_size))
        if self.group_by == "prediction":
            # Not known yet: each predicted class rounds up, by one at most.
            n_rows += len(self.classes_)
        kwargs = {"batch_size": self.batch_size, **self.get_params_for("iterator_train")}
        self._check_loader(kwargs, n_rows, len(codes))

    def _check_loader(self, kwargs: dict[str, Any], n_rows: int, n_all: int) -> None:
        for name in ("sampler", "batch_sampler"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"iterator_train__{name} draws from all rows, and a coreset has other "
                    "ones: it cannot be used here. Use iterator_train__shuffle, or weigh rows "
                    "by sample_weight."
                )
        if kwargs.get("drop_last"):
            if n_rows < kwargs["batch_size"]:
                raise ValueError(
                    f"A coreset of {n_rows} rows is smaller than batch_size="
                    f"{kwargs['batch_size']} with iterator_train__drop_last=True: nothing "
                    "would be trained. Lower batch_size, raise coreset_size, or set "
                    "iterator_train__drop_last=False."
                )
        elif n_rows < n_all and has_batch_norm(self.module_):
            # A last batch of one row has no statistics.
            while n_rows > kwargs["batch_size"] and n_rows % kwargs["batch_size"] == 1:
                kwargs["batch_size"] += 1

    # -- training -------------------------------------------------------------------------

    def initialize_history(self) -> CRUSTClassifier:
        """Initialize the history of the epochs, and that of the coresets.

        Returns
        -------
        self : CRUSTClassifier
        """
        super().initialize_history()
        self.__dict__.pop("coreset_history_", None)
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, which see labels as they were given.

        Parameters
        ----------
        method_name : str
        **cb_kwargs : dict
        """
        if method_name == "on_epoch_begin":
            self._begin_epoch(cb_kwargs["dataset_train"])
        super().notify(method_name, **cb_kwargs)

    def _begin_epoch(self, dataset_train: Any) -> None:
        epoch = len(self.history)
        if self.reselection_ is None:
            if (codec := getattr(self, "codec_", None)) is not None:
                check_several_classes(codec.classes)
            weights = getattr(self, "sample_weight_given_", None)
            reselection = Reselection(self, dataset_train, weights)
            if epoch + self.max_epochs > self.warmup_epochs:
                reselection.check()
            self.reselection_ = reselection
        elif epoch and not math.isfinite(loss := self.history[-1].get("train_loss", 0.0)):
            raise FloatingPointError(f"{self._not_finite(loss)} {NEVER_FINITE}")

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch: of training, after the warm-up, over the coreset.

        Parameters
        ----------
        iterator : iterable of batches or None
        training : bool
        prefix : str
        step_fn : callable
        **fit_params : dict
        """
        if training and self.reselection_ is not None:
            start, epoch = time.perf_counter(), len(self.history) - 1
            iterator = self.reselection_.get_iterator(iterator, epoch, **fit_params)
            in_warmup = epoch < self.warmup_epochs
            n_rows = len(self.reselection_.rows if in_warmup else self.coreset_indices_)
            self.history.record("coreset_size", n_rows)
            self.history.record("selection_dur", time.perf_counter() - start)
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on a batch, mixed with its partners where it has some.

        Parameters
        ----------
        x : input data
            What the iterator gives as X.
        **fit_params : dict
            Passed on to the module's forward.

        Returns
        -------
        output : tensor or tuple of tensors
        """
        if isinstance(x, MixedBatch):
            share = to_device(x.share, self.device)
            x = mix(to_tensor(x.x, self.device), to_tensor(x.partner_x, self.device), share)
        elif isinstance(x, WeightedBatch | IndexedBatch):
            x = x.x
        return super().infer(x, **fit_params)

    @property
    def has_plain_loss(self) -> bool:
        """Whether the loss is what the criterion gives: no subclass overrides `get_loss`."""
        return type(self).get_loss is CRUSTClassifier.get_loss

    def get_losses(self, y_pred: Any, y_true: Any) -> Tensor:
        """Return one loss per example.

        Parameters
        ----------
        y_pred : tensor of shape (batch_size, n_classes)
        y_true : tensor of shape (batch_size,)

        Returns
        -------
        losses : tensor of shape (batch_size,)

        Raises
        ------
        ValueError
            If the criterion gives none.
        """
        with self._unreduced():
            return check_losses(
                self.get_loss(y_pred, y_true), len(y_true), getattr(self, "criterion_", None)
            )

    @contextmanager
    def _unreduced(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name in self._criteria:
                stack.enter_context(unreduced(getattr(self, f"{name}_")))
            yield

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the loss of a batch: over a coreset, the weighted loss of the mixture.

        Parameters
        ----------
        y_pred : tensor of shape (batch_size, n_classes)
        y_true : tensor of shape (batch_size,)
        X : input data, default=None
        training : bool, default=False

        Returns
        -------
        loss : tensor of shape ()
        """
        if not isinstance(X, WeightedBatch | MixedBatch):
            return super().get_loss(y_pred, y_true, X=X, training=training)
        loss, norm = self._get_weighed(y_pred, to_tensor(y_true, device=self.device))
        if isinstance(X, MixedBatch):
            share = to_device(X.share, loss.device)
            partner_y = to_tensor(X.partner_y, device=self.device)
            other, other_norm = self._get_weighed(y_pred, partner_y)
            loss = share * loss + (1 - share) * other
            norm = share * norm + (1 - share) * other_norm
        total = (to_device(X.weight, loss.device) * loss).sum()
        is_sum = getattr(self.criterion_, "reduction", "mean") == "sum"
        return total if is_sum else total / norm.sum()

    def _get_weighed(self, y_pred: Any, y_true: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses, and what each counts in their mean: its class weight, as in torch."""
        with self._unreduced():
            # skorch's own: a subclass adds what it adds to the batch, not to each example.
            losses = super().get_loss(y_pred, y_true)
        losses = check_losses(losses, len(y_true), getattr(self, "criterion_", None))
        class_weight = getattr(self.criterion_, "weight", None)
        return losses, torch.ones_like(losses) if class_weight is None else class_weight[y_true]

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Stop if the training loss is not finite.

        Parameters
        ----------
        net : CRUSTClassifier
        batch : tuple, default=None
        training : bool, default=False
        **kwargs : dict
        """
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        batches = self.history[-1]["batches"]
        if not training or math.isfinite(loss := batches[-1]["train_loss"]):
            return
        before = batches[:-1] or self.history[-2:-1]
        if not before:
            warnings.warn(f"{self._not_finite(loss)} {NEVER_FINITE}", stacklevel=2)
        elif math.isfinite(before[-1].get("train_loss", loss)):
            raise FloatingPointError(f"{self._not_finite(loss)} {NO_LONGER_FINITE}")

    def _not_finite(self, loss: float) -> str:
        return f"The training loss is {loss} in epoch {len(self.history)}."

    # -- prediction -----------------------------------------------------------------------

    def trim_for_prediction(self) -> None:
        """Remove what prediction does not need, as in skorch: the last selector, and its data, too.

        The audit of the labels is kept.
        """
        super().trim_for_prediction()
        self.label_quality_average_ = None
        for name in ("selector_", "coreset_history_"):
            self.__dict__.pop(name, None)


def _row_shape(X: Any) -> tuple[int, ...]:
    if not is_dataset(X):
        return getattr(X, "shape", (0,))[1:]
    item = X[0]
    return tuple(getattr(item[0] if isinstance(item, tuple | list) else item, "shape", ()))


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed the global generators inside the block, and restore them after it."""
    if seed is None:
        yield
        return
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            random.seed(seed)
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
