"""A net's module as it is to be looked at: in eval mode, not compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def evaluating(net: Any) -> Iterator[None]:
    """Put a net's module in eval mode, and take it out of ``torch.compile``; all as before after.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized.
    """
    module = net.module_
    # Neither hooks nor function transforms reach into a compiled module.
    plain = getattr(module, "_orig_mod", module)
    training = {part: part.training for part in module.modules()}
    vars(net)["module_"] = plain
    try:
        module.eval()
        yield
    finally:
        vars(net)["module_"] = module
        for part, was_training in training.items():
            part.training = was_training
