"""The last linear layer of a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def get_logits(output: Any) -> Tensor:
    """Return the logits of what a module returns.

    Parameters
    ----------
    output : tensor, tuple or object with an attribute `logits`
        Of a tuple, the first entry is taken.

    Returns
    -------
    logits : tensor
    """
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits
    return output[0] if isinstance(output, tuple) else output


def find_last_linear(module: nn.Module, forward: Callable[[], Any]) -> nn.Module:
    """Return the linear layer that produced the module's output.

    Parameters
    ----------
    module : torch.nn.Module
    forward : callable
        Runs the module once and returns its output, or a tuple of which it is the first.

    Returns
    -------
    layer : torch.nn.Linear
        The only linear layer from which the output comes through other operations alone.

    Raises
    ------
    ValueError
        If there is no such layer or more than one; the message lists the linear layers.
    """
    outputs: list[tuple[nn.Linear, Tensor]] = []
    handles = [
        layer.register_forward_hook(lambda layer, _, out: outputs.append((layer, out)))
        for layer in module.modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        with torch.enable_grad():
            output = get_logits(forward())
    finally:
        for handle in handles:
            handle.remove()
    found = [layer for layer, out in outputs if out is output]
    if not found:
        makers = {out.grad_fn: layer for layer, out in outputs if out.grad_fn is not None}
        found = list({id(layer): layer for layer in _nearest(output.grad_fn, makers)}.values())
    if len(found) == 1:
        return found[0]
    names = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    raise ValueError(
        f"{'No' if not found else 'More than one'} nn.Linear was found to produce the output "
        f"of {type(module).__name__}, whose linear layers are {names}. Name the last one by "
        "gradient_layer, or set gradient='logits', which needs none for cross-entropy."
    )


def _nearest(start: Any, makers: dict[Any, nn.Linear]) -> list[nn.Linear]:
    """Walk the autograd graph from the output to the first linear layer on every path."""
    found, seen, todo = [], set(), [start]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in makers:
            found.append(makers[node])
        else:
            todo += [parent for parent, _ in node.next_functions]
    return found


def get_linear(module: nn.Module, name: str) -> nn.Module:
    """Return the linear layer of a name.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
        As in ``module.named_modules()``.

    Returns
    -------
    layer : torch.nn.Module
        With a weight of two dimensions.

    Raises
    ------
    ValueError
        If there is no such layer; the message lists the linear layers.
    """
    layers = dict(module.named_modules())
    weight = getattr(layers.get(name), "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        linear = [n for n, layer in layers.items() if isinstance(layer, nn.Linear)]
        raise ValueError(
            f"gradient_layer={name!r} does not name a linear layer of "
            f"{type(module).__name__}. Its linear layers are {linear}."
        )
    return layers[name]
