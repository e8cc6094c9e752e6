"""Per-example gradient proxies of a torch module."""

from .closed_form import cross_entropy_gradient
from .last_layer import find_last_linear, get_linear, get_logits
from .outer_product import OuterProductDistance
from .per_example import check_losses, make_unreduced
from .proxies import GRADIENTS, GradientProxy, Proxies

__all__ = [
    "GRADIENTS",
    "GradientProxy",
    "OuterProductDistance",
    "Proxies",
    "check_losses",
    "cross_entropy_gradient",
    "find_last_linear",
    "get_linear",
    "get_logits",
    "make_unreduced",
]
