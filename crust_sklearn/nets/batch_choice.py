"""Methods that choose within each batch, and tell in the end which rows they chose."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from . import processes
from .state import TrainingState
from .training import Training, scale_weights

USED = "used"


class BatchChoiceMixin:
    """Let a net note the rows that it takes of each batch: the epoch's coreset.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> from crust_sklearn.nets.batch_choice import BatchChoiceMixin
    >>> class FirstHalves(BatchChoiceMixin, NoisyLabelClassifier):
    ...     def get_batch_loss(self, y_pred, y_true, batch):
    ...         half = slice(len(y_true) // 2)
    ...         self.mark_used(batch.rows[half])
    ...         losses = self.get_losses(y_pred[half], y_true[half], batch.rows[half])
    ...         return self.reduce_losses(losses, y_true[half], batch.weight[half])
    >>> X, y = load_iris(return_X_y=True)
    >>> net = FirstHalves(MLP, batch_size=50, max_epochs=2, random_state=0, verbose=0).fit(
    ...     X, y
    ... )
    >>> net.coreset_history_.sizes
    array([75, 75])
    """

    training_: Training | None
    state_: TrainingState

    def mark_used(self, rows: Tensor) -> None:
        """Note rows that the loss of a training batch is about.

        Parameters
        ----------
        rows : tensor of shape (n_used,), dtype int64
            Their numbers in the X given to fit.
        """
        assert self.training_ is not None
        used = self.training_.kept.setdefault(USED, np.zeros(self.training_.n_rows, bool))
        used[rows.cpu().numpy()] = True

    def on_epoch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Forget the rows of the epoch before.

        Parameters
        ----------
        net : NoisyLabelClassifier
        *args, **kwargs
            As in skorch.
        """
        super().on_epoch_begin(net, *args, **kwargs)  # type: ignore[misc]
        if self.training_ is not None:
            self.training_.kept.pop(USED, None)

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Take the rows that were used for the coreset of the epoch.

        Parameters
        ----------
        net : NoisyLabelClassifier
        *args, **kwargs
            As in skorch.
        """
        training = self.training_
        if training is not None and any(processes.exchange(self, USED in training.kept)):
            used = training.kept.setdefault(USED, np.zeros(training.n_rows, bool))
            rows = np.unique(np.concatenate(processes.exchange(self, np.flatnonzero(used))))
            self.state_.coreset_history.add(self.state_.epoch, rows, training.n_rows)
            self.history.record("coreset_size", len(rows))  # type: ignore[attr-defined]
        super().on_epoch_end(net, *args, **kwargs)  # type: ignore[misc]

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the rows used in the last epoch among it.

        Returns
        -------
        attributes : dict of str to object
        """
        attributes = super().get_fitted_attributes()  # type: ignore[misc]
        plan = self.state_.plan
        is_used = (plan is None or not plan.is_coreset) and len(self.state_.coreset_history)
        return attributes | (self.describe_used() if is_used else {})

    def describe_used(self) -> dict[str, np.ndarray]:
        """Return the fitted attributes that tell about the rows used in the last epoch.

        Returns
        -------
        attributes : dict of str to ndarray
            `coreset_indices_`, ascending, and `coreset_weights_`, of mean one.
        """
        training = self.training_
        assert training is not None
        rows = self.state_.coreset_history.get_indices(-1)
        weights = np.ones(len(rows))
        if training.weights is not None and len(rows):
            weights = scale_weights(training.spread(training.weights, 0.0)[rows])
        return {"coreset_indices_": rows, "coreset_weights_": weights}
