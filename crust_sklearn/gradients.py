"""Per-example gradient proxies of a torch module: what CRUST selects by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

GRADIENTS = ("logits", "features", "last_layer")


class Proxies(NamedTuple):
    """What one pass over a batch tells of its rows.

    Attributes
    ----------
    rows : tensor of shape (n_examples, n_proxy), dtype float32
        The gradient proxies.
    output : tensor of shape (n_examples, n_classes)
        The module's output.
    features : tensor of shape (n_examples, n_features), dtype float32
        The input of the last linear layer; the output, where there is no such layer.
    """

    rows: Tensor
    output: Tensor
    features: Tensor


class OuterProductDistance:
    """Distance between outer products a_i h_i^T, without forming them.

    ``|a_i h_i^T - a_j h_j^T|^2 = |a_i|^2 |h_i|^2 + |a_j|^2 |h_j|^2 - 2 (a_i.a_j)(h_i.h_j)``

    Parameters
    ----------
    n_left : int
        How many leading columns of a row are a; the others are h.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.gradients import OuterProductDistance
    >>> rows = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])  # a has 1 column, h has 2
    >>> OuterProductDistance(1).pairwise(rows, rows).round(3)
    array([[0.   , 3.606],
           [3.606, 0.   ]])
    """

    def __init__(self, n_left: int):
        self.n_left = n_left

    def pairwise(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the distances between the rows of X and those of Y.

        Parameters
        ----------
        X : ndarray of shape (n_X, n_features)
        Y : ndarray of shape (n_Y, n_features)

        Returns
        -------
        distances : ndarray of shape (n_X, n_Y), dtype float64
        """
        n = self.n_left
        a, b = X[:, :n].astype(np.float64), Y[:, :n].astype(np.float64)
        h, g = X[:, n:].astype(np.float64), Y[:, n:].astype(np.float64)
        squared = (a @ b.T) * (h @ g.T)
        squared *= -2.0
        squared += ((a**2).sum(axis=1) * (h**2).sum(axis=1))[:, None]
        squared += (b**2).sum(axis=1) * (g**2).sum(axis=1)
        return np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)


@contextmanager
def unreduced(criterion: Any) -> Iterator[None]:
    """Make the criterion return one loss per example.

    Parameters
    ----------
    criterion : torch module or callable
        Its attribute `reduction`, if any, is "none" inside the block.
    """
    criterion = getattr(criterion, "_orig_mod", criterion)
    reduction = getattr(criterion, "reduction", None)
    if reduction is not None:
        criterion.reduction = "none"
    try:
        yield
    finally:
        if reduction is not None:
            criterion.reduction = reduction


def check_losses(loss: Tensor, n_examples: int, criterion: Any) -> Tensor:
    """Return the losses of shape (n_examples,), or raise if there is not one per example."""
    if loss.ndim == 0 or len(loss) != n_examples:
        raise ValueError(
            f"criterion={type(criterion).__name__} gives no loss per example: its output for "
            f"{n_examples} examples has shape {tuple(loss.shape)}. Give it an attribute "
            "`reduction` that its forward honours, as torch's own criteria do: with "
            "reduction='none' the output needs one entry per example."
        )
    return loss if loss.ndim == 1 else loss.flatten(1).mean(dim=1)


def cross_entropy_gradient(criterion: nn.Module, output: Tensor, y: Tensor) -> Tensor | None:
    """Return the gradient of each example's loss at the logits in closed form, p - y.

    Parameters
    ----------
    criterion : torch module
        ``CrossEntropyLoss`` of logits, with its class weights and label smoothing, or
        ``NLLLoss`` of probabilities, skorch's convention for it.
    output : tensor of shape (n_examples, n_classes)
    y : tensor of shape (n_examples,), dtype int64

    Returns
    -------
    gradient : tensor of shape (n_examples, n_classes), or None for any other criterion
    """
    criterion = getattr(criterion, "_orig_mod", criterion)
    if type(criterion) is nn.CrossEntropyLoss:
        probability, smoothing = output.softmax(dim=1), criterion.label_smoothing
    elif type(criterion) is nn.NLLLoss:
        probability, smoothing = output, 0.0
    else:
        return None
    n_classes = output.shape[1]
    target = nn.functional.one_hot(y, n_classes) * (1.0 - smoothing) + smoothing / n_classes
    if criterion.weight is not None:
        target = target * criterion.weight
    gradient = probability * target.sum(dim=1, keepdim=True) - target
    return gradient * (y != criterion.ignore_index).unsqueeze(1)


class GradientProxy:
    """Compute the gradient proxies of batches, in the mode that the module is in.

    Every proxy bounds the distance of the full gradients up to a constant (paper,
    section 3; Katharopoulos and Fleuret, ICML 2018).

    Parameters
    ----------
    module : torch.nn.Module
    criterion : torch module
    get_losses : callable
        ``get_losses(output, y)`` returns one loss per example.
    gradient : {"logits", "features", "last_layer"}
        "logits": at the output of the last linear layer, p - y for cross-entropy.
        "features": at the input of the last linear layer, W^T (p - y).
        "last_layer": for the weights of the last linear layer, (p - y) h^T; a row holds both
        factors, and `metric` is the distance of their products.
    gradient_layer : str or None, default=None
        The name of the last linear layer in ``module.named_modules()``. None: the one that
        is found to produce the module's output.

    Attributes
    ----------
    metric : OuterProductDistance or None
        The distance that the rows are made for; None for "euclidean". Known after `compute`.

    Raises
    ------
    ValueError
        If there is no such layer, or if it cannot be told which one it is.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.gradients import GradientProxy
    >>> module, criterion = torch.nn.Linear(4, 3), torch.nn.CrossEntropyLoss()
    >>> losses = torch.nn.CrossEntropyLoss(reduction="none")
    >>> proxy = GradientProxy(module, criterion, losses, "features")
    >>> X, y = torch.ones(2, 4), torch.tensor([0, 2])
    >>> proxy.compute(lambda: module(X), y).rows.shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        module: nn.Module,
        criterion: Any,
        get_losses: Callable[[Any, Tensor], Tensor],
        gradient: str,
        gradient_layer: str | None = None,
    ):
        self.module = module
        self.criterion = criterion
        self.get_losses = get_losses
        self.gradient = gradient
        self.layer = None if gradient_layer is None else _named_layer(module, gradient_layer)
        # At the logits of a layer that the user names, these may not be the output.
        self.may_be_closed = gradient == "logits" and gradient_layer is None
        self.metric: OuterProductDistance | None = None

    @torch.no_grad()
    def compute(self, forward: Callable[[], Any], y: Tensor) -> Proxies:
        """Return the proxies, the module's output and its features for one batch.

        Parameters
        ----------
        forward : callable
            Runs the module on the batch and returns its output: logits, or a tuple of which
            they are the first entry.
        y : tensor of shape (n_examples,), dtype int64

        Returns
        -------
        proxies : Proxies
        """
        layer = self.layer or self._find_layer(forward)
        if layer is None:
            return self._at_output(forward, y)
        return self._at_layer(layer, forward, y)

    def _find_layer(self, forward: Callable[[], Any]) -> nn.Module | None:
        try:
            self.layer = find_last_linear(self.module, forward)
        except ValueError:
            if self.gradient != "logits":
                raise
        return self.layer

    def _get_closed_form(self, whole: Any, y: Tensor) -> Tensor | None:
        if not self.may_be_closed:
            return None
        return cross_entropy_gradient(self.criterion, _first(whole).detach().float(), y)

    def _at_output(self, forward: Callable[[], Any], y: Tensor) -> Proxies:
        whole = forward()
        if (closed := self._get_closed_form(whole, y)) is not None:
            return _make_proxies(closed, _first(whole), _first(whole))
        output = _first(whole).detach().requires_grad_()
        with torch.enable_grad():
            losses = self.get_losses(
                (output, *whole[1:]) if isinstance(whole, tuple) else output, y
            )
        return _make_proxies(_gradient(losses, output).flatten(1), output, output)

    def _at_layer(self, layer: nn.Module, forward: Callable[[], Any], y: Tensor) -> Proxies:
        tap: dict[str, Tensor] = {}

        def cut(_: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
            # What comes before the layer needs no graph; what comes after does.
            tap["h"], tap["z"] = inputs[0].detach(), out.detach().requires_grad_()
            torch.set_grad_enabled(True)
            return tap["z"]

        handle = layer.register_forward_hook(cut)
        try:
            whole = forward()
        finally:
            handle.remove()
        if "z" not in tap or tap["z"].ndim != 2:
            raise ValueError(
                f"The layer {layer} does not have one output row per example, so it has no "
                "gradient to select by. Name the last linear layer by gradient_layer."
            )
        output, features = _first(whole).detach(), tap["h"].float()
        if (closed := self._get_closed_form(whole, y)) is not None:
            return _make_proxies(closed, output, features)
        with torch.enable_grad():
            losses = self.get_losses(whole, y)
        at_logits = _gradient(losses, tap["z"])
        if self.gradient == "logits":
            return _make_proxies(at_logits, output, features)
        if self.gradient == "features":
            weight = cast(Tensor, layer.weight).detach().float()
            return _make_proxies(at_logits @ weight, output, features)
        self.metric = OuterProductDistance(at_logits.shape[1])
        return _make_proxies(torch.cat([at_logits, features], dim=1), output, features)


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
            output = _first(forward())
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


def _named_layer(module: nn.Module, name: str) -> nn.Module:
    layers = dict(module.named_modules())
    weight = getattr(layers.get(name), "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        linear = [n for n, layer in layers.items() if isinstance(layer, nn.Linear)]
        raise ValueError(
            f"gradient_layer={name!r} does not name a linear layer of "
            f"{type(module).__name__}. Its linear layers are {linear}."
        )
    return layers[name]


def _make_proxies(rows: Tensor, output: Tensor, features: Tensor) -> Proxies:
    return Proxies(rows, output.detach(), features.detach().float().flatten(1))


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _gradient(losses: Tensor, at: Tensor) -> Tensor:
    # Each loss depends on its own row alone, so that the sum's gradient holds them all.
    return torch.autograd.grad(losses, at, torch.ones_like(losses))[0].float()
