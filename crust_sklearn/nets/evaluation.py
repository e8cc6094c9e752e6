"""A net's module as it is to be looked at: in eval mode, not compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def evaluating(net: Any) -> Iterator[None]:
    """Put a net's modules in eval mode, and take them out of ``torch.compile``; then back.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized.
    """
    names = [f"{name}_" for name in getattr(net, "_modules", None) or ["module"]]
    modules = {name: getattr(net, name) for name in names}
    training = {part: part.training for module in modules.values() for part in module.modules()}
    for name, module in modules.items():
        # Neither hooks nor function transforms reach into a compiled module.
        vars(net)[name] = getattr(module, "_orig_mod", module)
    try:
        for module in modules.values():
            module.eval()
        yield
    finally:
        vars(net).update(modules)
        for part, was_training in training.items():
            part.training = was_training
