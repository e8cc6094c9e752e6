"""BestEpochClassifier: a training whose end is chosen by labels that are held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...nets import EpochPlan, NoisyLabelClassifier
from ...nets.evaluation import unwrap
from .held_out_rows import ask_rows

BEST, LEAST = "best_weights", "least_loss"


class BestEpochClassifier(NoisyLabelClassifier):
    """Training by the criterion from given weights, which ends with those of its best epoch.

    A stage of methods.

    Best is the epoch after which the given labels of the rows held out are most probable. These
    labels are as often wrong as others, and no network has learnt them by heart.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    weights : mapping of str to tensor
        A `state_dict` of such a module.
    held_out : ndarray of shape (n_held_out,), dtype int64
        Rows that are not trained on; fewer than all. None of them: the last epoch is the best.
    **kwargs : dict
        As in `NoisyLabelClassifier`.

    Attributes
    ----------
    history : skorch.history.History
        Besides other columns, in every epoch `held_out_loss`, the mean of minus the logarithm of
        these probabilities.
    """

    def __init__(
        self, module: Any, *, weights: Mapping[str, Tensor], held_out: np.ndarray, **kwargs: Any
    ):
        self.weights = weights
        self.held_out = held_out
        super().__init__(module, **kwargs)

    def prepare_training(self) -> None:
        """Load the weights."""
        super().prepare_training()
        unwrap(self.module_).load_state_dict(self.weights)

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
        rows = np.setdiff1d(self.training_.rows, self.held_out)
        return self.state_.plan or EpochPlan(rows, is_coreset=False)

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the weights, if none were better.

        Parameters
        ----------
        net : BestEpochClassifier
        *args, **kwargs
            As in skorch.
        """
        assert self.training_ is not None
        loss, kept = self.compute_held_out_loss(), self.training_.kept
        self.history.record("held_out_loss", loss)
        if not loss > kept.get(LEAST, np.inf):
            weights = unwrap(self.module_).state_dict()
            kept |= {LEAST: loss, BEST: {name: part.clone() for name, part in weights.items()}}
        super().on_epoch_end(net, *args, **kwargs)

    def on_train_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Go back to the weights that were best.

        Parameters
        ----------
        net : BestEpochClassifier
        *args, **kwargs
            As in skorch.
        """
        if self.training_ is not None and BEST in self.training_.kept:
            unwrap(self.module_).load_state_dict(self.training_.kept[BEST])
        super().on_train_end(net, *args, **kwargs)

    def compute_held_out_loss(self) -> float:
        """Return how improbable the given labels of the rows held out are.

        Returns
        -------
        loss : float
            The mean of minus the logarithm; 0 if there are no such rows.
        """
        assert self.training_ is not None
        positions = np.flatnonzero(np.isin(self.training_.rows, self.held_out))
        if not len(positions):
            return 0.0

        def read_loss(p: Tensor, codes: Tensor) -> Tensor:
            own = self.get_given_probabilities(p).gather(1, codes[:, None])[:, 0]
            return -own.clamp_min(torch.finfo(own.dtype).tiny).log()

        return float(ask_rows(self, positions, read_loss).mean())

    def get_given_probabilities(self, p: Tensor) -> Tensor:
        """Return what is predicted of given labels; here, the same as of true ones.

        Parameters
        ----------
        p : tensor of shape (n, n_classes)
            Of the true ones.

        Returns
        -------
        given : tensor of shape (n, n_classes)
        """
        return p
