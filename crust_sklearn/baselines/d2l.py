"""D2LClassifier: trust labels less, once the representation takes up dimensions for them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from .._validation import check_number
from ..intrinsic_dimensionality import local_intrinsic_dimensionality
from ..label_noise import RowJudgement
from ..nets import EpochPlan, NoisyLabelClassifier
from ..nets.evaluation import unwrap
from ..nets.judged_labels import judge_by_predictions
from ..nets.labelled_net import widen
from ..nets.row_outputs import compute_row_outputs

LIDS, TURN, BEFORE = "lids", "turning_epoch", "weights_before"


class D2LClassifier(NoisyLabelClassifier):
    """Dimensionality-driven learning (D2L): mix labels with predictions after a turning point.

    While a network learns what rows have in common, the local intrinsic dimensionality (LID) of its
    last hidden layer falls; it rises when the network bends around wrong labels. Before each epoch
    t, the LID is estimated on some rows. When it is more than two standard deviations above its
    mean over the last `window` estimates, the network goes back to the weights of the estimate
    before, and from then on the targets are [1]_

    ``alpha_t y + (1 - alpha_t) yhat,  alpha_t = exp(-(t / T) LID_t / min_{s <= t} LID_s)``

    with the given label y, the class yhat that the network predicts, and the T epochs in all.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    warmup_epochs : int, default=5
        The first estimates, whose fall and rise are not looked at; at least 0. No turning point is
        found before there are more than ``warmup_epochs + window`` estimates.
    window : int, default=5
        The number of estimates that a new one is compared with, at least 2; the paper's.
    n_neighbors : int, default=20
        The neighbours by which an LID is estimated, at least 2; the paper's.
    n_lid_samples : int, default=1280
        The rows on which it is estimated, drawn anew for each epoch; all, where there are fewer.
        The paper's.
    n_lid_batch : int, default=128
        The rows among which neighbours are sought, at least 3; the authors' code's.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    turning_epoch_ : int or None
        The number of epochs after which the network had the weights that it went back to; None as
        long as there is no turning point.
    history : skorch.history.History
        Besides other columns, in every epoch `lid`, the mean LID before it, and `alpha`, what the
        given labels count in it.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability of each given label by the trained network.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is predicted for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The mean probability of the given labels to be wrong.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter is not valid.

    Notes
    -----
    Costs a pass over `n_lid_samples` rows and their distances for each epoch, a few per cent of
    plain training where there are many rows, and a copy of the weights, which `state_` holds until
    the turning point, in pickles too.

    T is the number of epochs that there will have been when the call of `fit` or `partial_fit` is
    over: two calls weigh labels in another way than one. The LIDs go on over calls with the same
    rows.

    As in the authors' code, predictions are hard, those of the batch in train mode; estimates are
    made before an epoch, the first by the initial weights; deviations are those of the window, not
    corrected for its size; weights go back, the optimizer's moments do not. The code waits for 5
    (MNIST, SVHN), 10 (CIFAR-10) or 20 epochs (CIFAR-100) beside the window. It loads the weights
    that were saved after the last epoch, which are those that the network has: it does not go back
    in fact. As the paper says, this class does. Batches of an estimate are of the same size here;
    there, the last one may be smaller. An LID that cannot be estimated, of a layer that gives the
    same for all rows, say, is taken to be the one before, as there.

    References
    ----------
    .. [1] Ma, Wang, Houle, Zhou, Erfani, Xia, Wijewickrema, Bailey, "Dimensionality-Driven Learning
       with Noisy Labels", ICML 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import D2LClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> clf = D2LClassifier(MLP, max_epochs=12, random_state=0, verbose=0).fit(
    ...     X / 16, noisy.y
    ... )
    >>> clf.score(X / 16, y) > 0.9
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        warmup_epochs: int = 5,
        window: int = 5,
        n_neighbors: int = 20,
        n_lid_samples: int = 1280,
        n_lid_batch: int = 128,
        **kwargs: Any,
    ):
        self.warmup_epochs = warmup_epochs
        self.window = window
        self.n_neighbors = n_neighbors
        self.n_lid_samples = n_lid_samples
        self.n_lid_batch = n_lid_batch
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        check_number("warmup_epochs", self.warmup_epochs, kind=Integral, low=0)
        check_number("window", self.window, kind=Integral, low=2)
        check_number("n_neighbors", self.n_neighbors, kind=Integral, low=2)
        check_number("n_lid_samples", self.n_lid_samples, kind=Integral, low=3)
        check_number("n_lid_batch", self.n_lid_batch, kind=Integral, low=3)

    def prepare_training(self) -> None:
        """Find how many epochs there will have been in the end."""
        super().prepare_training()
        assert self.training_ is not None
        self.training_.kept["n_epochs"] = self.training_.count_all_epochs(self.max_epochs)

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Find what labels count in the coming epoch; it goes over all rows.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : None
        """
        assert self.training_ is not None
        entries, kept = self.state_.entries, self.training_.kept
        lids = [*entries.get(LIDS, ()), self.compute_lid(epoch)]
        if np.isnan(lids[-1]) and len(lids) > 1:
            lids[-1] = lids[-2]
        entries[LIDS] = np.asarray(lids)
        if TURN not in entries:
            if is_turning_point(lids, self.window, self.warmup_epochs):
                self.go_back()
                entries[TURN] = np.asarray(epoch - 1)
            else:
                self.keep_weights()
        has_turned = TURN in entries
        kept["alpha"] = get_label_share(lids, epoch / kept["n_epochs"]) if has_turned else 1.0
        self.history.record("lid", float(lids[-1]))
        self.history.record("alpha", kept["alpha"])
        return None

    def compute_lid(self, epoch: int) -> float:
        """Return the mean local intrinsic dimensionality of the last hidden layer.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        lid : float
            NaN where there is none.
        """
        training = self.training_
        assert training is not None
        positions = np.arange(len(training.rows))
        if training.weights is not None:
            positions = positions[training.weights > 0]
        rng = np.random.default_rng(self.get_seed("lid rows", epoch))
        positions = rng.permutation(positions)[: self.n_lid_samples]
        dataset = Subset(training.selection_dataset, positions)  # type: ignore[arg-type]  # an array: read once
        numbers = training.rows[positions]
        outputs = compute_row_outputs(self, dataset, numbers=numbers, **training.fit_params)
        n_batches = max(1, round(len(positions) / self.n_lid_batch))
        found = [
            local_intrinsic_dimensionality(batch, self.n_neighbors)
            for batch in np.array_split(outputs.features, n_batches)
            if len(batch) > 2
        ]
        lids = np.concatenate([*found, np.empty(0)])
        lids = lids[np.isfinite(lids)]
        return float(lids.mean()) if len(lids) else float("nan")

    def keep_weights(self) -> None:
        """Keep the weights, and all else that the module holds, for `go_back`."""
        weights = unwrap(self.module_).state_dict()
        copies = {f"{BEFORE}.{name}": widen(part).clone() for name, part in weights.items()}
        self.state_.entries |= copies

    def go_back(self) -> None:
        """Give the module what was kept last."""
        entries, prefix = self.state_.entries, f"{BEFORE}."
        kept = {
            name.removeprefix(prefix): torch.as_tensor(value)
            for name, value in entries.items()
            if name.startswith(prefix)
        }
        unwrap(self.module_).load_state_dict(kept)
        self.state_.drop(BEFORE)

    def get_losses(self, y_pred: Tensor, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return the criterion's losses by the targets of the epoch; in eval mode, by the labels.

        Parameters
        ----------
        y_pred, y_true, rows
            As in `NoisyLabelClassifier`.

        Returns
        -------
        losses : tensor of shape (batch_size,)
        """
        losses = super().get_losses(y_pred, y_true, rows)
        alpha = 1.0 if self.training_ is None else self.training_.kept.get("alpha", 1.0)
        if alpha == 1.0 or not self.module_.training:
            return losses
        own = super().get_losses(y_pred, y_pred.argmax(dim=1), rows)
        return alpha * losses + (1.0 - alpha) * own

    def judge_rows(self) -> RowJudgement | None:
        """Return how probable the trained network holds the labels.

        Returns
        -------
        judgement : RowJudgement or None
        """
        return judge_by_predictions(self)

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the turning point among it.

        Returns
        -------
        attributes : dict of str to object
        """
        turn = self.state_.get_number(TURN)
        own = {"turning_epoch_": None if turn is None else int(turn)}
        return super().get_fitted_attributes() | own


def is_turning_point(lids: Sequence[float], window: int, n_first: int) -> bool:
    """Return whether the last LID is far above those before it.

    ``LID_t - mean > 2 sigma``, of the `window` values before.

    Parameters
    ----------
    lids : sequence of float
        Of all epochs so far.
    window : int
    n_first : int
        As many values, and those of a window, are needed before the last.

    Returns
    -------
    is_turning : bool

    Examples
    --------
    >>> from crust_sklearn.baselines.d2l import is_turning_point
    >>> is_turning_point([3.0, 2.0, 1.0, 1.1, 2.0], window=2, n_first=0)
    True
    >>> is_turning_point([3.0, 2.0, 1.0, 1.1, 1.15], window=2, n_first=0)
    False
    """
    if len(lids) <= n_first + window:
        return False
    before = np.asarray(lids[-window - 1 : -1])
    return bool(lids[-1] - before.mean() > 2 * before.std())


def get_label_share(lids: Sequence[float], progress: float) -> float:
    """Return what the given labels count: ``exp(-(t / T) LID_t / min LID)``.

    Parameters
    ----------
    lids : sequence of float
        Of all epochs so far.
    progress : float
        The share of the epochs that are over, t / T.

    Returns
    -------
    alpha : float
        In (0, 1].

    Examples
    --------
    >>> from crust_sklearn.baselines.d2l import get_label_share
    >>> round(get_label_share([4.0, 2.0, 3.0], 0.5), 3)  # exp(-0.5 * 3 / 2)
    0.472
    """
    return float(np.exp(-progress * lids[-1] / np.nanmin(lids)))
