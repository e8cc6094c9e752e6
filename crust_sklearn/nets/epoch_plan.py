"""EpochPlan: what the coming epoch trains on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Mixing


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """Which rows the coming epoch trains on, with what weights and mixtures.

    To go on with the last plan, `plan_epoch` returns that very instance, `state_.plan`.

    Attributes
    ----------
    rows : ndarray of shape (n_chosen,), dtype int64
        Their numbers in the X given to fit; training rows, each at most once.
    weights : ndarray of shape (n_chosen,) or None, default=None
        What each counts in the loss; scaled to mean one, so that the learning rate keeps its
        meaning. None: the `sample_weight` given to fit.
    mixing : Mixing or None, default=None
        How rows are mixed with others; its pools are of all rows of X.
    labels : ndarray of shape (n_chosen,), dtype int64, or None, default=None
        The labels to train on, as columns, in the place of the given ones; -1 for a row that keeps
        its own. None: all do.
    is_coreset : bool, default=True
        False: some rows are only held out for a while, and nothing is published of the plan.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.nets import EpochPlan
    >>> plan = EpochPlan(np.array([3, 1, 7]), labels=np.array([-1, -1, 0]))
    >>> plan.given_rows, plan.relabelled_rows
    (array([3, 1]), array([7]))
    """

    rows: np.ndarray
    weights: np.ndarray | None = None
    mixing: Mixing | None = None
    labels: np.ndarray | None = None
    is_coreset: bool = True

    @property
    def is_relabelled(self) -> np.ndarray:
        """Which of the rows are trained on with another label than their own."""
        return np.zeros(len(self.rows), bool) if self.labels is None else self.labels >= 0

    @property
    def given_rows(self) -> np.ndarray:
        """The rows that are trained on with their given label."""
        return np.asarray(self.rows)[~self.is_relabelled]

    @property
    def relabelled_rows(self) -> np.ndarray:
        """The rows that are trained on with another label."""
        return np.asarray(self.rows)[self.is_relabelled]

    def describe(self, weights: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return the fitted attributes that tell about the plan.

        Parameters
        ----------
        weights : ndarray of shape (n_chosen,) or None
            What each row counts in the loss.

        Returns
        -------
        attributes : dict of str to ndarray
            `coreset_indices_`, ascending, and `coreset_weights_`; where rows can have other labels
            than their own, `relabelled_indices_`. Nothing, if it is no coreset.
        """
        if not self.is_coreset:
            return {}
        order = np.argsort(self.rows)
        order = order[~self.is_relabelled[order]]
        found = {
            "coreset_indices_": np.asarray(self.rows, np.int64)[order],
            "coreset_weights_": np.ones(len(order)) if weights is None else weights[order],
        }
        if self.labels is not None:
            found["relabelled_indices_"] = np.sort(self.relabelled_rows).astype(np.int64)
        return found

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the plan as arrays by name.

        Returns
        -------
        state : dict of str to ndarray
        """
        state = {"rows": self.rows, "weights": self.weights, "labels": self.labels}
        if self.mixing is not None:
            state |= {"alpha": np.asarray(self.mixing.alpha), "pools": self.mixing.pools}
        if not self.is_coreset:
            state["is_coreset"] = np.asarray(False)
        return {name: np.asarray(array) for name, array in state.items() if array is not None}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> EpochPlan:
        """Return the plan that `state_dict` was called on.

        Parameters
        ----------
        state : mapping of str to ndarray

        Returns
        -------
        plan : EpochPlan
        """
        mixing = None
        if "alpha" in state:
            first, second = state["alpha"].tolist()
            mixing = Mixing((first, second), state.get("pools"))
        is_coreset = bool(state.get("is_coreset", True))
        return cls(state["rows"], state.get("weights"), mixing, state.get("labels"), is_coreset)
