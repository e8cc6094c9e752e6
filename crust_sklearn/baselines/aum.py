"""AUMClassifier: train without the rows whose labels a network goes against, epoch after epoch."""

from __future__ import annotations

import copy
import warnings
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from .._validation import check_number
from ..data.inputs import get_parameters
from ..gradients import make_unreduced
from ..label_noise import RowJudgement
from ..nets import EpochPlan, NoisyLabelClassifier
from ..nets.checks import check_readable
from ..nets.judged_labels import judge_predicted
from ..nets.stages import StagesMixin
from .parts.margin_net import MarginNet

AUM, THRESHOLD = "aum", "aum_threshold"
# Below these, a percentile of them is none.
FEWEST_SAMPLES = 2


class AUMClassifier(StagesMixin, NoisyLabelClassifier):
    """Area under the margin: rows below wrongly labelled ones are left out of the training.

    The margin of a row is ``z_y - max_{k != y} z_k``, how far the logit of its label is above the
    best other one; its mean over the epochs of a training is the area under the margin, AUM [1]_
    (equation 1). Rows with wrong labels have a low one: what is learnt of the others goes against
    them. How low is told by *threshold samples*: of n rows, n / (C + 1) at random are given a class
    of their own, beside the C classes, which is wrong for all of them. Rows with an AUM below the
    99th percentile of theirs are dropped. A second training with other threshold samples judges
    those of the first ([1]_, section 3.2), and the net is then trained on the rows that are kept.

    Parameters
    ----------
    module : torch.nn.Module class
        One that takes `num_classes`: the two first trainings have a class more. No instance.
    percentile : float, default=99
        Of the AUMs of the threshold samples, in [0, 100]: rows below it are dropped.
    aum_epochs : float or int, default=0.5
        The epochs of each of the two first trainings: a float in (0, 1] is a share of `max_epochs`,
        an int a number of epochs. Margins are averaged over all of them. As the paper has it, they
        end before the learning rate is first lowered, as afterwards labels are learnt by heart.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    aum_ : ndarray of shape (n_samples,), dtype float64
        The AUM of each row, from the training in which it was no threshold sample; of two such, the
        one in which it is farther above the threshold. NaN for rows of a validation split. See the
        notes for how the two trainings are brought to one threshold. Rows that no batch of either
        held (with ``drop_last``) have none, and are kept.
    aum_threshold_ : float
        Rows of a lower AUM are dropped: the mean of the thresholds of the two trainings.
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        The rows that are kept, ascending.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        ``1 / (1 + exp(-(aum_ - aum_threshold_) / s))``, with s the standard deviation of `aum_`:
        below 0.5 for the rows that are dropped, and for no others.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        The most probable other label by the trained network for the rows of quality below 0.5, else
        the given label; the given ones.
    noise_rate_ : float
        The share of rows that are dropped, by `sample_weight`.
    stage_histories_ : dict of str to History
        Of the two first trainings, "first margins" and "second margins".
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if `module` is an instance or takes no `num_classes`, if there are less
        than 2 (C + 1) rows with a weight, or if a parameter is not valid.

    Warns
    -----
    UserWarning
        If all rows of a class are below the threshold. They are all kept, with a quality of 0.5: a
        class that is small, or unlike itself, can be as hard to learn as the threshold samples.

    Notes
    -----
    Costs ``1 + 2 aum_epochs`` times plain training, twice with the default, and less as the last
    one goes over the rows that are kept.

    A row that is no threshold sample in either training is dropped if it is below the threshold in
    both, as in the authors' code; so for all rows the AUM counts that is farther above the
    threshold of its training. To be compared with one another, AUMs of the two are published with
    these thresholds moved to their mean.

    With few classes, threshold samples are many, a third of the rows for two, and where features
    are wide enough to tell rows apart, they are learnt as a class of their own: then the threshold
    is high, and most rows are dropped.

    The authors' code leaves the first epoch out of the mean, takes n / C threshold samples, and
    compares in half precision. It trains a ResNet-32 for 150 epochs with batches of 64, which are
    small on purpose, and a learning rate of 0.1 all the time, and then for 300 epochs with batches
    of 256, and a rate lowered after half of them. Here the two trainings have optimizer, batches
    and callbacks of the net; a schedule that lowers the rate after half of the epochs does so in
    the last one only.

    With ``NLLLoss``, for which modules return probabilities, margins are those of their logarithms.
    Class weights of the criterion are extended by their mean, for the class of the threshold
    samples. Rows of `sample_weight` zero are never threshold samples, and never kept.

    References
    ----------
    .. [1] Pleiss, Zhang, Elenberg, Weinberger, "Identifying Mislabeled Data using the Area Under
       the Margin Ranking", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import AUMClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> clf = AUMClassifier(MLP, max_epochs=10, random_state=0, verbose=0).fit(
    ...     X / 16, noisy.y
    ... )
    >>> bool(noisy.is_wrong[clf.coreset_indices_].mean() < 0.05)
    True
    >>> bool((clf.aum_[clf.coreset_indices_] >= clf.aum_threshold_).all())
    True
    """

    def __init__(
        self, module: Any, *, percentile: float = 99, aum_epochs: float = 0.5, **kwargs: Any
    ):
        self.percentile = percentile
        self.aum_epochs = aum_epochs
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        check_number("percentile", self.percentile, low=0, high=100)
        if isinstance(self.aum_epochs, Integral):
            check_number("aum_epochs", self.aum_epochs, kind=Integral, low=1)
        else:
            check_number("aum_epochs", self.aum_epochs, low=0, high=1, open_low=True)
        self._check_module_takes_classes()

    def _check_module_takes_classes(self) -> None:
        """Refuse a module that cannot be made with a class more."""
        is_instance = isinstance(self.module, nn.Module)
        name = type(self.module).__name__ if is_instance else _get_name(self.module)
        needs = (
            f"and {type(self).__name__} trains networks with a class more than there are labels, "
            "for its threshold samples."
        )
        if is_instance:
            raise ValueError(
                f"module={name}(...) is an instance, {needs} Give the class, module={name}, and "
                "its parameters as module__...; or a function that makes one and takes num_classes."
            )
        takes = {parameter.name for parameter in get_parameters(self.module)}
        if "num_classes" not in takes | set(self.get_params_for("module")):
            raise ValueError(
                f"module={name} does not take num_classes, {needs} Give its number of outputs "
                "that name, or wrap it in a function of num_classes that makes one."
            )

    def check_training(self) -> None:
        """Refuse too few rows."""
        super().check_training()
        assert self.training_ is not None
        check_readable(self.training_.codes)
        self._check_criterion_takes_classes()
        n_rows, n_classes = len(self._get_weighted()), len(self.classes_)
        if n_rows // (n_classes + 1) < FEWEST_SAMPLES:
            raise ValueError(
                f"{type(self).__name__} needs at least {FEWEST_SAMPLES * (n_classes + 1)} training "
                f"rows with a weight for {n_classes} classes, and there are {n_rows}: one in "
                f"{n_classes + 1} is a threshold sample, and {FEWEST_SAMPLES} of these are needed. "
                "Give more rows, or another method."
            )

    def _check_criterion_takes_classes(self) -> None:
        """Refuse a criterion that is made for as many classes as there are."""
        criterion, n_classes = self.criterion_, len(self.classes_)
        if extend_class_weights(criterion, criterion, n_classes):
            return
        like = next(self.module_.parameters()).new_full((2, n_classes + 1), 1 / (n_classes + 1))
        try:
            make_unreduced(criterion)(like, torch.tensor([0, n_classes], device=like.device))
        except Exception as error:
            raise ValueError(
                f"criterion={type(criterion).__name__} fails for a class more than there are "
                f"labels ({error}), and {type(self).__name__} trains networks with such a one, for "
                "its threshold samples. Give torch.nn.CrossEntropyLoss, or another criterion of "
                "any number of classes."
            ) from error

    def prepare_training(self) -> None:
        """Find the AUM of all training rows, by two trainings, unless it is known."""
        super().prepare_training()
        entries, training = self.state_.entries, self.training_
        assert training is not None and training.codes is not None
        if AUM in entries:
            return
        seed = self.get_seed("threshold samples")
        samples = draw_threshold_samples(self._get_weighted(), len(self.classes_), seed)
        aums = np.column_stack(
            [
                self._train_margins(f"{name} margins", chosen)
                for name, chosen in zip(("first", "second"), samples, strict=True)
            ]
        )
        aum, threshold = combine_runs(aums, samples, self.percentile)
        entries |= {AUM: training.spread(aum, np.nan), THRESHOLD: np.asarray(threshold)}
        is_lost = find_lost(aum < threshold, training.codes, training.weights, len(self.classes_))
        if is_lost.any():
            warnings.warn(
                f"All rows of the classes {self.classes_[is_lost].tolist()} have an AUM below the "
                f"threshold, {threshold:.3g}: they are kept, as a class cannot be learnt without "
                "rows. Train the first networks longer (aum_epochs), or lower the percentile.",
                stacklevel=2,
            )

    def _train_margins(self, name: str, samples: np.ndarray) -> np.ndarray:
        """Return the AUM of each training row by a network with a class for threshold samples."""
        training = self.training_
        assert training is not None and training.codes is not None
        n_classes = len(self.classes_)
        codes = training.codes.copy()
        codes[samples] = n_classes
        stage = self.train_stage(
            name,
            MarginNet,
            codes=codes,
            max_epochs=self._count_epochs(),
            module__num_classes=n_classes + 1,
            classes=np.arange(n_classes + 1),
            **extend_class_weights(self.criterion, self.criterion_, n_classes),
        )
        return stage.aum_

    def _count_epochs(self) -> int:
        # Not those of the call: two calls of partial_fit are to be one fit.
        if isinstance(self.aum_epochs, Integral):
            return int(self.aum_epochs)
        return max(1, round(self.aum_epochs * self.max_epochs))

    def _get_weighted(self) -> np.ndarray:
        """Return the positions of the training rows that count."""
        assert self.training_ is not None
        weights = self.training_.weights
        return np.arange(len(self.training_.rows)) if weights is None else np.flatnonzero(weights)

    def _find_dropped(self) -> np.ndarray:
        """Return which of the training rows have a label that is taken for wrong."""
        training, entries = self.training_, self.state_.entries
        assert training is not None and training.codes is not None
        is_below = entries[AUM][training.rows] < float(entries[THRESHOLD])
        is_lost = find_lost(is_below, training.codes, training.weights, len(self.classes_))
        return is_below & ~is_lost[training.codes]

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Leave out the rows below the threshold.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : EpochPlan
        """
        if self.state_.plan is not None:
            return self.state_.plan
        assert self.training_ is not None
        is_kept, weighted = ~self._find_dropped(), self._get_weighted()
        return EpochPlan(self.training_.rows[weighted[is_kept[weighted]]])

    def judge_rows(self) -> RowJudgement | None:
        """Return what the AUMs say of the labels, and the trained network of the dropped rows.

        Returns
        -------
        judgement : RowJudgement or None
            None before the end of a training.
        """
        training, entries = self.training_, self.state_.entries
        assert training is not None and training.codes is not None
        if not training.is_over:
            return None
        is_dropped = self._find_dropped()
        quality = rate(entries[AUM][training.rows], float(entries[THRESHOLD]), is_dropped)
        judgement = judge_predicted(self, quality)
        return judgement._replace(
            noise_rate=float(np.average(is_dropped, weights=training.weights))
        )

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the AUMs among it.

        Returns
        -------
        attributes : dict of str to object
        """
        entries = self.state_.entries
        own = {"aum_": entries[AUM].copy(), "aum_threshold_": float(entries[THRESHOLD])}
        return super().get_fitted_attributes() | own


def draw_threshold_samples(
    rows: np.ndarray, n_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return two disjoint sets of rows, each of one in ``n_classes + 1``.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), dtype int64
    n_classes : int
    seed : int

    Returns
    -------
    first, second : ndarrays of shape (n_rows // (n_classes + 1),), dtype int64
    """
    order = np.random.default_rng(seed).permutation(rows)
    n_samples = len(rows) // (n_classes + 1)
    return order[:n_samples], order[n_samples : 2 * n_samples]


def combine_runs(
    aums: np.ndarray, samples: tuple[np.ndarray, np.ndarray], percentile: float
) -> tuple[np.ndarray, float]:
    """Return one AUM for each row, and the threshold that it is to be compared with.

    Parameters
    ----------
    aums : ndarray of shape (n_rows, 2), dtype float64
        By either training; NaN for rows that it has not seen.
    samples : pair of ndarrays, dtype int64
        The threshold samples of either.
    percentile : float
        Of their AUMs.

    Returns
    -------
    aum : ndarray of shape (n_rows,), dtype float64
        By the training in which a row is no threshold sample, moved by the difference of its
        threshold from the mean one; of two such, the greater.
    threshold : float
        The mean of the two.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.baselines.aum import combine_runs
    >>> aums = np.array([[1.0, 4.0], [5.0, 3.0], [0.0, 6.0]])
    >>> combine_runs(aums, (np.array([0]), np.array([1])), percentile=99)
    (array([3., 6., 5.]), 2.0)
    """
    thresholds = np.array(
        [
            np.nanpercentile(aum[chosen], percentile)
            for aum, chosen in zip(aums.T, samples, strict=True)
        ]
    )
    above = aums - thresholds
    for column, chosen in enumerate(samples):
        above[chosen, column] = np.nan
    threshold = float(thresholds.mean())
    return threshold + np.fmax.reduce(above, axis=1), threshold


def find_lost(
    is_below: np.ndarray, codes: np.ndarray, weights: np.ndarray | None, n_classes: int
) -> np.ndarray:
    """Return which classes have rows with a weight, and all of them below the threshold.

    Parameters
    ----------
    is_below : ndarray of shape (n_rows,), dtype bool
    codes : ndarray of shape (n_rows,), dtype int64
    weights : ndarray of shape (n_rows,) or None
    n_classes : int

    Returns
    -------
    is_lost : ndarray of shape (n_classes,), dtype bool
    """
    counts = np.ones(len(codes), bool) if weights is None else weights > 0
    n_rows = np.bincount(codes[counts], minlength=n_classes)
    return (n_rows > 0) & (np.bincount(codes[counts & ~is_below], minlength=n_classes) == 0)


def rate(aum: np.ndarray, threshold: float, is_dropped: np.ndarray) -> np.ndarray:
    """Return AUMs as scores in [0, 1], below one half for the rows that are dropped alone.

    Parameters
    ----------
    aum : ndarray of shape (n_rows,), dtype float64
    threshold : float
    is_dropped : ndarray of shape (n_rows,), dtype bool

    Returns
    -------
    scores : ndarray of shape (n_rows,), dtype float64
        Those of rows that are kept against their AUM, or have none, are 0.5.
    """
    scores = expit((aum - threshold) / (np.nanstd(aum) or 1.0))
    just_below = np.nextafter(0.5, 0.0)
    return np.where(is_dropped, np.fmin(scores, just_below), np.fmax(scores, 0.5))


def extend_class_weights(criterion: Any, initialized: Any, n_classes: int) -> dict[str, Any]:
    """Return the parameters that give the class of the threshold samples a weight: the mean.

    Parameters
    ----------
    criterion : class or instance
        The parameter of the net.
    initialized : torch.nn.Module
        What it has become.
    n_classes : int

    Returns
    -------
    params : dict of str to object
        Empty, where the criterion does not weigh classes.
    """
    weight = getattr(initialized, "weight", None)
    if not torch.is_tensor(weight) or weight.shape != (n_classes,):
        return {}
    extended = torch.cat([weight, weight.mean()[None]]).detach()
    if not isinstance(criterion, nn.Module):
        return {"criterion__weight": extended}
    criterion = copy.deepcopy(criterion)
    criterion.weight = extended
    return {"criterion": criterion}


def _get_name(factory: Any) -> str:
    return getattr(factory, "__name__", type(factory).__name__)
