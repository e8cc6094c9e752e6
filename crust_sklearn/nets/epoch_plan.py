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

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.nets import EpochPlan
    >>> EpochPlan(np.array([3, 1])).rows
    array([3, 1])
    """

    rows: np.ndarray
    weights: np.ndarray | None = None
    mixing: Mixing | None = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the plan as arrays by name.

        Returns
        -------
        state : dict of str to ndarray
        """
        state = {"rows": self.rows, "weights": self.weights}
        if self.mixing is not None:
            state |= {"alpha": np.asarray(self.mixing.alpha), "pools": self.mixing.pools}
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
        return cls(state["rows"], state.get("weights"), mixing)
