"""CRUSTClassifier: train each epoch on a coreset of the rows."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

from numpy.random import RandomState
from torch import nn

from ._validation import check_choice, check_coreset_size, check_flag, check_number
from .gradients import GRADIENTS
from .nets.coreset_net import LEAVE_ONE_OUT, CoresetNet
from .nets.dropped_rows import DROPPED
from .selector import CoresetSelector

DEFAULT_SELECTOR = "smallest-norm"
GROUPS = ("prediction", "label", None)
WEIGHTS = ("cluster", "uniform")
MIXUPS = ("cluster", "class", "batch", None)


class CRUSTClassifier(CoresetNet):
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
        Returns logits, one column per class (see `criterion`), a tuple of which they are the first,
        or an object with an attribute `logits`. A class is built with the ``module__...``
        parameters; `num_classes`, `in_channels` and `in_features` are set from the data where its
        signature has them and they were not given.
    selector : str or CoresetSelector, default="smallest-norm"
        How rows are chosen: the name of a strategy, or a selector, of which a clone is
        fitted. A name works on as many groups at once as torch uses threads.
        ``selector__...`` sets its parameters. `group_by` decides on its `stratify`.
    coreset_size : float, int, "auto" or None, default="auto"
        A float in (0, 1] is a fraction of each group, an int the total number of rows. "auto": the
        rows whose label agrees with the other rows (see the notes); with another selector or
        gradient than the default, as many of each group as there are such rows. None: the
        selector's own.
    warmup_epochs : int or "auto", default="auto"
        Epochs on all rows before the first selection. "auto": 1, where the inputs are vectors of
        floating-point numbers, or arrays of at most 512 of them, which judge labels beside the
        features. Else, as for larger images, or integers, which may be tokens, as many as the
        features get better by, as rows tell that are held out (see the notes), and two thirds of
        the epochs at most; with a `coreset_size` that is given, 4, or a third of the epochs of the
        call if that is less (and at least 1).
    reselect_every : int, default=3
        Epochs from one selection to the next.
    gradient : {"leave-one-out", "logits", "features", "last-layer"}, default="leave-one-out"
        What rows are compared by. "logits", "features" and "last-layer" are the gradient of the
        loss at the logits (p - y for cross-entropy), at the input of the last linear layer, or for
        the weights of the last linear layer. "leave-one-out" is q - y, the gradient at the logits
        where q is predicted without the row itself (see the notes). Taken in eval mode.
    gradient_layer : str or None, default=None
        Name of the last linear layer, as in ``module.named_modules()``. None: found by
        tracing which one produces the module's output. Where none does, "leave-one-out" and
        the label quality take the logits for features.
    group_by : {"prediction", "label"} or None, default="label"
        Rows are chosen within each predicted class, within each given label, or at once; the
        trusted rows themselves, of the default, are the same for each.
    coreset_weight : {"cluster", "uniform"}, default="uniform"
        The weight of a chosen row in the loss: the number of rows that it stands for, or the
        same for all; scaled to mean one, so that the learning rate keeps its meaning.
    mixup : {"cluster", "class", "batch"} or None, default=None
        From the first selection on, mix each row with a row of its cluster, with a row of the
        same given label from all rows, or with a row of its batch; inputs and labels alike.
    mixup_alpha : float or tuple of two floats, default=1.0
        A row's share in its mixture is Beta(alpha, alpha), or Beta(a, b), distributed.
    average_weights : bool, default=False
        Whether selections, and the net when a call of `fit` or `partial_fit` is over, have an
        exponential moving average of the weights [2]_: over about the last hundredth of the
        training's steps, and over 1000 of them at most (see the notes).
    dropped : {"ignore", "pseudo-label", "consistency"}, default="ignore"
        What becomes of the rows that a selection leaves out. "pseudo-label": those whose suggested
        label has a probability above 0.9 are trained on with that label. "consistency": they are
        trained on without labels, by two views of each (see the notes), for images, say; this
        averages the weights, too. Both need ``coreset_size="auto"`` with "leave-one-out".
    augment : callable or None, default=None
        For "consistency": makes another view of a batch of inputs, such as
        ``crust_sklearn.modules.RandomCropFlip()``. It may draw from torch's generators.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches, coresets and mixtures, each from a stream of its own for each epoch;
        None draws the seed from torch's global generator. See `NoisyLabelClassifier`.
    criterion : torch criterion class or instance, default=torch.nn.CrossEntropyLoss
        Needs one loss per example with ``reduction="none"``. As in skorch, ``NLLLoss`` is
        given the logarithm of what the module returns.
    train_split : None or callable, default=None
        skorch's internal validation split. None trains on all rows: a split by noisy labels
        costs data and measures noise.
    classes : array-like or None, default=None
        The labels in the order of the module's columns. None: the sorted labels of y. Names of the
        columns may go with labels that are columns, 0..n_classes-1, as in skorch.
    selection_dataset : torch Dataset, callable or None, default=None
        The rows as selections see them, where training reads them otherwise, say augmented: a
        Dataset with one row for each row of X, in the same order; or, as skorch's `dataset`, a
        class or function that is called with X, the labels as columns, and the
        ``selection_dataset__...`` parameters, and returns one. None: as training reads them. See
        `NoisyLabelClassifier`.
    **kwargs : dict
        All other parameters of :class:`skorch.NeuralNetClassifier`: `callbacks`, `device`,
        ``module__...``, ...; by default as in `NoisyLabelClassifier`, ``optimizer=AdamW, lr=0.001,
        max_epochs=30, batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    selector_ : CoresetSelector
        The selector of the last selection, fitted on the gradients of the training rows.
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The chosen rows of the X given to fit, ascending: those trained on with their given label.
    coreset_weights_ : ndarray of shape (n_coreset,), dtype float64
        Their weights in the loss, of mean one over all rows trained on.
    relabelled_indices_ : ndarray of shape (n_relabelled,), dtype int64
        With ``dropped="pseudo-label"``, the rows trained on with another label, ascending: that of
        `suggested_labels_` at the last selection.
    coreset_assignment_ : ndarray of shape (n_samples,), dtype int64
        For every row of X the position of its medoid in `coreset_indices_`; -1 if it has none: a
        row of the validation split, one of weight zero, and one that "auto" left out.
    coreset_history_ : CoresetHistory
        The rows that each selection chose; ``len()``, `epochs` and `get_indices` tell which.
        :class:`~crust_sklearn.inspection.CoresetDisplay` makes a figure of it.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability that each given label is right, by what the other rows say; below 0.5, it is
        probably wrong. NaN for the rows of a validation split. Found at every selection where
        "leave-one-out" or "auto" need it, by the average over the selections; by the first one
        elsewhere. :func:`~crust_sklearn.find_label_issues` makes a list of it.
    suggested_labels_ : ndarray of shape (n_samples,)
        The most probable other label where the given one is probably wrong; else the given one.
    given_labels_ : ndarray of shape (n_samples,)
        The labels given to fit.
    noise_rate_ : float
        An estimate of the share of wrong labels: by weight, the mean probability of the training
        labels to be wrong.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of features, where X is 2-d.
    history : skorch.history.History
        Besides skorch's columns, in every epoch `coreset_size`, the number of rows trained on with
        their label, and `selection_dur`, the seconds that gradients and selection took, which `dur`
        includes; `noise_rate`, where selections judge labels (None in the warm-up);
        `relabelled_size` with "pseudo-label".
    state_ : TrainingState
        What training has learnt beside the weights, as arrays by name.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter or the data is not valid; the net is then as it was.
    FloatingPointError
        If the training loss becomes NaN or infinite. The history is kept.

    Warns
    -----
    UserWarning
        If `warmup_epochs` leaves no epoch for a coreset.

    See Also
    --------
    NoisyLabelClassifier : The trunk, for a method of your own.
    CoresetSelector : The selection alone, as a transformer.

    Notes
    -----
    As in the paper: ``CRUSTClassifier(module, **PAPER)``; as the authors' published code does in
    effect: ``CRUSTClassifier(module, **REFERENCE)``, both from :mod:`crust_sklearn.settings`. The
    page "How CRUST works" says how they and the default differ.

    "leave-one-out" and "auto": with h_i the inputs of the last linear layer, a ridge regression of
    the labels on h is fitted to the rows that are trusted so far. What it predicts for a row
    without that row follows from its leverage score, in closed form. Of each class, the trusted
    rows weigh as much as all. The first selection, before much is memorized, takes the inputs
    beside h where they are vectors, and 256 random features of a Gaussian kernel on them [4]_ if
    these make the error of what is left out smaller by more than its standard error; if it finds
    fewer than 5 % of the labels wrong among the rows that it is surest of, "auto" keeps all rows
    for good. Else a label is trusted if it gets enough of what the best label gets: the cube root
    of what a wrong label gets, and at most 0.85; what a wrong label gets is read off the surer half
    of the rows, for each pair of labels. Later selections are averaged with it. `label_quality_` is
    the probability that the label is right, given the average. The rows of "auto" make as many
    batches as all rows would, smaller ones; where inputs are vectors, only if these are at most
    eight.

    The open warm-up: a tenth of the rows (but at least a hundred, and at most a third) is held out,
    and labels are judged after 1, 2, 3, 4, 6, 9, 13, ... epochs. Features are the better, the more
    the labels held out are predicted with, on average, less half of what those of the other rows
    are predicted with beyond that, which is memory. When a look is worse than the best by more than
    a standard error, or three in a row are not better, the first coreset is that of the best one;
    no rows are held out from then on. For the 5 %, disagreement counts as much more as it is rarer
    on rows that are trained on. How many epochs there are is `max_epochs` for `partial_fit`, too,
    or the epochs so far, if these are more.

    `reselect_every` counts epochs over all calls of `partial_fit` with the same rows, labels and
    weights; with others, the next epoch after the warm-up begins with a selection.

    `average_weights`: after t steps, the average keeps the share min(a, (1 + t) / (10 + t)) of
    itself at the next one, with a = 1 - 100 / n, from 0 to 0.999. n counts the steps, on all rows,
    of the epochs so far and of `max_epochs` more: where `partial_fit` trains in parts, a is smaller
    in the first ones, so that average and selections may differ a little from those of one fit.
    What the optimizer goes on with are the raw weights, which `state_` keeps with the average. The
    average starts from the first weights. Buffers, such as the statistics of BatchNorm, are not
    averaged. Validation scores during the training are those of the optimizer's weights.

    "consistency" [3]_: beside each batch goes one of rows left out, as large, if there are as many.
    What the averaged network says of them in eval mode, divided by its moving mean (0.99) and
    brought to a sum of one, is a label where it is 0.95 sure; the mean cross-entropy of the
    network's output for ``augment(x)`` against these is added to the loss, and so to `train_loss`,
    with a weight that rises from 0.2 to 1 over five selections. Statistics of BatchNorm are those
    of the batches alone.

    References
    ----------
    .. [1] Mirzasoleiman, Cao, Leskovec, "Coresets for Robust Training of Neural Networks
       against Noisy Labels", NeurIPS 2020.
    .. [2] Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal
       on Control and Optimization 30(4), 1992.
    .. [3] Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and
       Confidence", NeurIPS 2020; the teacher is that of Tarvainen, Valpola, "Mean Teachers Are
       Better Role Models", NeurIPS 2017, the alignment that of Berthelot et al., "ReMixMatch",
       ICLR 2020.
    .. [4] Rahimi, Recht, "Random Features for Large-Scale Kernel Machines", NeurIPS 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import CRUSTClassifier, make_label_noise
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy = make_label_noise(y, "symmetric", 0.3, random_state=0).y
    >>> clf = CRUSTClassifier(MLP, random_state=0, verbose=0).fit(X / 16, y_noisy)
    >>> clf.score(X / 16, y) > 0.9
    True
    >>> 0.25 < clf.noise_rate_ < 0.35
    True
    """

    prefixes_ = [*CoresetNet.prefixes_, "selector"]

    def __init__(
        self,
        module: Any,
        *,
        selector: str | CoresetSelector = DEFAULT_SELECTOR,
        coreset_size: float | int | str | None = "auto",
        warmup_epochs: int | str = "auto",
        reselect_every: int = 3,
        gradient: str = LEAVE_ONE_OUT,
        gradient_layer: str | None = None,
        group_by: str | None = "label",
        coreset_weight: str = "uniform",
        mixup: str | None = None,
        mixup_alpha: float | tuple[float, float] = 1.0,
        average_weights: bool = False,
        dropped: str = "ignore",
        augment: Callable[[Any], Any] | None = None,
        random_state: int | RandomState | None = None,
        criterion: Any = nn.CrossEntropyLoss,
        train_split: Any = None,
        classes: Any = None,
        selection_dataset: Any = None,
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
        self.average_weights = average_weights
        self.dropped = dropped
        self.augment = augment
        super().__init__(
            module,
            random_state=random_state,
            criterion=criterion,
            train_split=train_split,
            classes=classes,
            selection_dataset=selection_dataset,
            **kwargs,
        )

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        check_choice("gradient", self.gradient, (LEAVE_ONE_OUT, *GRADIENTS))
        check_choice("group_by", self.group_by, GROUPS)
        check_choice("coreset_weight", self.coreset_weight, WEIGHTS)
        check_choice("mixup", self.mixup, MIXUPS)
        check_choice("dropped", self.dropped, DROPPED)
        check_flag("average_weights", self.average_weights)
        if isinstance(self.warmup_epochs, str) or self.warmup_epochs is None:
            if self.warmup_epochs != "auto":
                raise ValueError(
                    f"warmup_epochs={self.warmup_epochs!r} is not valid. Give an integer of at "
                    "least 0, or 'auto'."
                )
        else:
            check_number("warmup_epochs", self.warmup_epochs, kind=Integral, low=0)
        check_number("reselect_every", self.reselect_every, kind=Integral, low=1)
        if self.coreset_size is not None:
            check_coreset_size(self.coreset_size, has_auto=True)
        for alpha in self.get_mixup_alpha():
            check_number("mixup_alpha", alpha, low=0, high=1e6, open_low=True)
        self.check_selector(self.gradient)
        self.check_dropped(self.has_auto_size and self.gradient == LEAVE_ONE_OUT)
