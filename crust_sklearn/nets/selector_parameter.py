"""A CoresetSelector as a parameter of a net: by name or instance, with ``selector__...`` on top."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import clone

from .._validation import check_choice
from ..selector import CoresetSelector
from ..strategies import make_strategy


class SelectorParameterMixin:
    """Let a net hold a selector, of which clones are fitted, and never itself.

    The net has the parameters `selector`, `coreset_size` and `group_by`.
    """

    selector: Any
    coreset_size: float | int | str | None
    group_by: str | None

    def set_params(self, **kwargs: Any) -> Any:
        """Set parameters; ``selector__name`` reaches into the selector.

        Parameters
        ----------
        **kwargs : dict

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        # skorch would try to re-initialize a torch component of that prefix.
        own = {k: kwargs.pop(k) for k in list(kwargs) if k.split("__")[0] == "selector"}
        valid = [f"selector__{name}" for name in CoresetSelector().get_params(deep=False)]
        for name in own:
            if name != "selector":
                check_choice("parameter", "__".join(name.split("__")[:2]), valid)
        super().set_params(**kwargs)  # type: ignore[misc]
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
        given = self.get_params_for("selector")  # type: ignore[attr-defined]
        selector.set_params(**given)
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
        """Whether the number of rows is read off the data."""
        return isinstance(self.coreset_size, str) and self.coreset_size == "auto"

    def check_selector(self, gradient: str) -> None:
        """Refuse a selector that cannot go by these gradients.

        Parameters
        ----------
        gradient : str

        Raises
        ------
        ValueError, TypeError
        """
        selector = self.make_selector()
        strategy = make_strategy(selector.strategy)
        if selector.initial_subset is not None:
            raise ValueError(
                "selector has an initial_subset, and a network chooses from all rows of its "
                "training at every selection. Leave initial_subset at None."
            )
        if gradient != "last-layer":
            return
        if not (isinstance(selector.metric, str) and selector.metric == "euclidean"):
            raise ValueError(
                "gradient='last-layer' compares gradients by their own product formula: leave "
                f"the selector's metric at 'euclidean'; got {selector.metric!r}."
            )
        if getattr(strategy, "is_linear", False):
            raise ValueError(
                "gradient='last-layer' holds the two factors of each gradient, and "
                f"{type(strategy).__name__} needs the gradient itself. Choose gradient='features' "
                "or 'logits', or a strategy that goes by distances."
            )
