"""What training has learnt beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import torch

from ..coreset_history import CoresetHistory
from .epoch_plan import EpochPlan

Record = TypeVar("Record")


class TrainingState:
    """What training has learnt beside the weights, and what it is about: plain arrays by name.

    It goes on over calls of `partial_fit` with the same rows and labels. Pickles and copies hold
    it; it holds no dataset.

    Parameters
    ----------
    fingerprint : str, default=""
    coreset_history : CoresetHistory or None, default=None
        Of earlier calls.

    Attributes
    ----------
    fingerprint : str
        Of the rows and labels that it is about.
    epoch : int
        The last epoch that was begun, from 0 over all calls; -1 before the first.
    plan : EpochPlan or None
        The last plan; None before the first.
    coreset_history : CoresetHistory
        The rows of each new plan.
    entries : dict of str to ndarray or tensor
        What a method keeps, rows in the numbering of X.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.nets.state import TrainingState
    >>> state = TrainingState("some rows")
    >>> state.entries["targets"] = np.zeros((3, 2))
    >>> again = TrainingState().load_state_dict(state.state_dict())
    >>> again.fingerprint, again.entries["targets"].shape
    ('some rows', (3, 2))
    """

    def __init__(
        self, fingerprint: str = "", coreset_history: CoresetHistory | None = None
    ) -> None:
        self.fingerprint = fingerprint
        self.epoch = -1
        self.plan: EpochPlan | None = None
        self.coreset_history = coreset_history or CoresetHistory()
        self.entries: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<TrainingState after epoch {self.epoch}: {', '.join(self.entries) or 'empty'}>"

    def save(self, name: str, record: Any) -> None:
        """Keep a dataclass of arrays and numbers.

        Parameters
        ----------
        name : str
        record : dataclass instance
            Fields that are None are not kept.
        """
        self.drop(name)
        values = {field.name: getattr(record, field.name) for field in fields(record)}
        self.entries |= {f"{name}.{k}": np.asarray(v) for k, v in values.items() if v is not None}

    def load(self, name: str, kind: type[Record]) -> Record | None:
        """Return what was saved, or None if nothing was.

        Parameters
        ----------
        name : str
        kind : dataclass

        Returns
        -------
        record : instance of `kind` or None
        """
        prefix = f"{name}."
        found = {k[len(prefix) :]: v for k, v in self.entries.items() if k.startswith(prefix)}
        if not found:
            return None
        return kind(**{k: v if np.ndim(v) else v.item() for k, v in found.items()})

    def get_number(self, name: str) -> float | None:
        """Return an entry that is a number, or None if there is none.

        Parameters
        ----------
        name : str
        """
        return float(self.entries[name]) if name in self.entries else None

    def drop(self, name: str) -> None:
        """Forget what was saved under a name.

        Parameters
        ----------
        name : str
        """
        for key in [k for k in self.entries if k.partition(".")[0] == name]:
            del self.entries[key]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name, as :func:`numpy.savez` takes them.

        Returns
        -------
        state : dict of str to ndarray
        """
        state = {"fingerprint": np.array(self.fingerprint), "epoch": np.array(self.epoch)}
        history = self.coreset_history.state_dict()
        state |= {f"coreset_history.{name}": array for name, array in history.items()}
        if self.plan is not None:
            state |= {f"plan.{name}": array for name, array in self.plan.state_dict().items()}
        for name, value in self.entries.items():
            is_tensor = isinstance(value, torch.Tensor)
            state[f"entries.{name}"] = value.detach().cpu().clone().numpy() if is_tensor else value
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> TrainingState:
        """Take over what `state_dict` returned; the arrays are copied.

        Parameters
        ----------
        state : mapping of str to array

        Returns
        -------
        self : TrainingState
        """

        def take(room: str) -> dict[str, np.ndarray]:
            prefix = f"{room}."
            return {k[len(prefix) :]: np.array(v) for k, v in state.items() if k.startswith(prefix)}

        self.fingerprint, self.epoch = str(state["fingerprint"]), int(state["epoch"])
        self.coreset_history = CoresetHistory().load_state_dict(take("coreset_history"))
        plan = take("plan")
        self.plan = EpochPlan.from_state_dict(plan) if plan else None
        self.entries = take("entries")
        return self

    def __getstate__(self) -> dict[str, np.ndarray]:
        return self.state_dict()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.load_state_dict(state)
