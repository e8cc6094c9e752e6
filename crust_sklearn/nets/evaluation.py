"""A net's module as it is to be looked at: in eval mode, neither compiled nor wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.parallel import DistributedDataParallel


def unwrap(module: Any) -> Any:
    """Return a module without what ``torch.compile`` and accelerate have put around it.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    module : torch.nn.Module
    """
    if isinstance(module, DistributedDataParallel):
        return unwrap(module.module)
    inner = getattr(module, "_orig_mod", None)
    return module if inner is None else unwrap(inner)


@contextmanager
def unwrapped(net: Any) -> Iterator[None]:
    """Inside, a net's modules wait for no other process: each may run them as often as it needs.

    Gradients are averaged all the same, if modules have been run once in each process outside.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized.
    """
    modules = {f"{name}_": getattr(net, f"{name}_") for name in net._modules}
    try:
        for name, module in modules.items():
            if isinstance(module, DistributedDataParallel):
                vars(net)[name] = module.module
        yield
    finally:
        vars(net).update(modules)


@contextmanager
def evaluating(net: Any) -> Iterator[None]:
    """Put a net's modules in eval mode, and unwrap them; then back.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized.
    """
    names = [f"{name}_" for name in getattr(net, "_modules", None) or ["module"]]
    modules = {name: getattr(net, name) for name in names}
    training = {part: part.training for module in modules.values() for part in module.modules()}
    for name, module in modules.items():
        # Neither hooks nor function transforms reach into a compiled module, and a wrapper waits
        # for other processes.
        vars(net)[name] = unwrap(module)
    try:
        for module in modules.values():
            module.eval()
        yield
    finally:
        vars(net).update(modules)
        for part, was_training in training.items():
            part.training = was_training
