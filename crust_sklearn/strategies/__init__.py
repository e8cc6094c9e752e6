"""How `n_select` of n rows are chosen: one class per strategy, registered by short name."""

from __future__ import annotations

from typing import Any

from .._validation import check_choice
from .base import BaseDistanceStrategy, BaseStrategy, Coreset
from .centrality import Centrality
from .facility_location import FacilityLocation
from .greedy_css import GreedyCSS
from .greedy_low_rank import GreedyLowRank
from .k_medoids import KMedoids
from .leverage import Leverage
from .pivoted_qr import PivotedQR
from .smallest_norm import SmallestNorm
from .uniform import Uniform

__all__ = [
    "STRATEGIES",
    "BaseDistanceStrategy",
    "BaseStrategy",
    "Centrality",
    "Coreset",
    "FacilityLocation",
    "GreedyCSS",
    "GreedyLowRank",
    "KMedoids",
    "Leverage",
    "PivotedQR",
    "SmallestNorm",
    "Uniform",
    "make_strategy",
]

STRATEGIES: dict[str, type[BaseStrategy]] = {
    "facility-location": FacilityLocation,
    "k-medoids": KMedoids,
    "centrality": Centrality,
    "greedy-css": GreedyCSS,
    "greedy-low-rank": GreedyLowRank,
    "pivoted-qr": PivotedQR,
    "leverage": Leverage,
    "smallest-norm": SmallestNorm,
    "uniform": Uniform,
}
"""The strategies by short name. Add a class of your own to use it by name."""


def make_strategy(strategy: Any) -> Any:
    """Return a strategy: an instance of the class with that short name, or the object itself.

    Parameters
    ----------
    strategy : str or object with a method ``select``
        A key of ``STRATEGIES``, or a strategy.

    Returns
    -------
    strategy : object with a method ``select``

    Raises
    ------
    ValueError
        If the name is unknown; the message names the valid ones and the nearest.
    TypeError
        If the object has no ``select``.

    Examples
    --------
    >>> from crust_sklearn.strategies import make_strategy
    >>> make_strategy("centrality")
    Centrality()
    """
    if isinstance(strategy, str):
        return STRATEGIES[check_choice("strategy", strategy, STRATEGIES)]()
    if isinstance(strategy, type) or not hasattr(strategy, "select"):
        raise TypeError(
            f"strategy={strategy!r} is neither a name nor a strategy. Give one of "
            f"{', '.join(map(repr, STRATEGIES))}, or an object with a method "
            "select(X, n_select, *, sample_weight, random_state)."
        )
    return strategy
