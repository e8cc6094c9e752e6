"""Methods that choose within each batch, and tell in the end which rows they chose."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from .state import TrainingState
from .training import Training

USED = "used"


class BatchChoiceMixin:
    """Let a net note the rows that it takes of each batch: the epoch's coreset."""

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
        if training is not None and USED in training.kept:
            rows = np.flatnonzero(training.kept[USED])
            self.state_.coreset_history.add(self.state_.epoch, rows, training.n_rows)
            self.history.record("coreset_size", len(rows))  # type: ignore[attr-defined]
        super().on_epoch_end(net, *args, **kwargs)  # type: ignore[misc]

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the rows used in the last epoch among it.

        Returns
        -------
        attributes : dict of str to object
        """
        attributes, history = super().get_fitted_attributes(), self.state_.coreset_history  # type: ignore[misc]
        if self.state_.plan is None and len(history):
            rows = history.get_indices(len(history) - 1)
            attributes |= {"coreset_indices_": rows, "coreset_weights_": np.ones(len(rows))}
        return attributes
