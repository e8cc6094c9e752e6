"""Per-example gradient proxies of a torch module: what CRUST selects by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from .._validation import check_choice
from .closed_form import cross_entropy_gradient
from .last_layer import find_last_linear, get_linear, get_logits
from .outer_product import OuterProductDistance

GRADIENTS = ("logits", "features", "last-layer")
Losses = Callable[[Any, Tensor], Tensor]


class Proxies(NamedTuple):
    """What one pass over a batch tells of its rows.

    Attributes
    ----------
    rows : tensor of shape (n_examples, n_proxy), dtype float32, or None
        The gradient proxies; None if none were asked for.
    output : tensor of shape (n_examples, n_classes)
        The module's output.
    features : tensor of shape (n_examples, n_features), dtype float32
        The input of the last linear layer; the output, where there is no such layer.
    """

    rows: Tensor | None
    output: Tensor
    features: Tensor


class GradientProxy:
    """Compute the gradient proxies of batches, in the mode that the module is in.

    Every proxy bounds the distance of the full gradients up to a constant (paper,
    section 3; Katharopoulos and Fleuret, ICML 2018).

    Parameters
    ----------
    module : torch.nn.Module
    criterion : torch module or None
        Of `get_losses`, where it alone makes them: for some, the gradient has a closed form.
    gradient : {"logits", "features", "last-layer"} or None
        None: none, but the module's output and features. "logits": at the output of the last
        linear layer, p - y for cross-entropy.
        "features": at the input of the last linear layer, W^T (p - y).
        "last-layer": for the weights of the last linear layer, (p - y) h^T; a row holds both
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
    >>> get_losses = torch.nn.CrossEntropyLoss(reduction="none")
    >>> proxy = GradientProxy(module, criterion, "features")
    >>> X, y = torch.ones(2, 4), torch.tensor([0, 2])
    >>> proxy.compute(lambda: module(X), y, get_losses).rows.shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        module: nn.Module,
        criterion: Any,
        gradient: str | None,
        gradient_layer: str | None = None,
    ):
        self.module = module
        self.criterion = criterion
        self.gradient = check_choice("gradient", gradient, (*GRADIENTS, None))
        self.layer = None if gradient_layer is None else get_linear(module, gradient_layer)
        # At the logits of a layer that the user names, these may not be the output.
        self.may_be_closed = gradient == "logits" and gradient_layer is None
        self.metric: OuterProductDistance | None = None

    @torch.no_grad()
    def compute(self, forward: Callable[[], Any], y: Tensor, get_losses: Losses) -> Proxies:
        """Return the proxies, the module's output and its features for one batch.

        Parameters
        ----------
        forward : callable
            Runs the module on the batch and returns its output: logits, or a tuple of which
            they are the first entry.
        y : tensor of shape (n_examples,), dtype int64
        get_losses : callable
            ``get_losses(output, y)`` returns one loss per example.

        Returns
        -------
        proxies : Proxies
        """
        layer = self.layer or self._find_layer(forward)
        if layer is None:
            return self._at_output(forward, y, get_losses)
        return self._at_layer(layer, forward, y, get_losses)

    def _find_layer(self, forward: Callable[[], Any]) -> nn.Module | None:
        try:
            self.layer = find_last_linear(self.module, forward)
        except ValueError:
            if self.gradient not in ("logits", None):
                raise
        return self.layer

    def _get_closed_form(self, whole: Any, y: Tensor) -> Tensor | None:
        if not self.may_be_closed:
            return None
        return cross_entropy_gradient(self.criterion, get_logits(whole).detach().float(), y)

    def _at_output(self, forward: Callable[[], Any], y: Tensor, get_losses: Losses) -> Proxies:
        whole = forward()
        if self.gradient is None:
            return _make_proxies(None, get_logits(whole), get_logits(whole))
        if (closed := self._get_closed_form(whole, y)) is not None:
            return _make_proxies(closed, get_logits(whole), get_logits(whole))
        output = get_logits(whole).detach().requires_grad_()
        with torch.enable_grad():
            losses = get_losses((output, *whole[1:]) if isinstance(whole, tuple) else output, y)
        return _make_proxies(_gradient(losses, output).flatten(1), output, output)

    def _at_layer(
        self, layer: nn.Module, forward: Callable[[], Any], y: Tensor, get_losses: Losses
    ) -> Proxies:
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
        output, features = get_logits(whole).detach(), tap["h"].float()
        if self.gradient is None:
            return _make_proxies(None, output, features)
        if (closed := self._get_closed_form(whole, y)) is not None:
            return _make_proxies(closed, output, features)
        with torch.enable_grad():
            losses = get_losses(whole, y)
        at_logits = _gradient(losses, tap["z"])
        if self.gradient == "logits":
            return _make_proxies(at_logits, output, features)
        if self.gradient == "features":
            weight = cast(Tensor, layer.weight).detach().float()
            return _make_proxies(at_logits @ weight, output, features)
        self.metric = OuterProductDistance(at_logits.shape[1])
        return _make_proxies(torch.cat([at_logits, features], dim=1), output, features)


def _make_proxies(rows: Tensor | None, output: Tensor, features: Tensor) -> Proxies:
    return Proxies(rows, output.detach(), features.detach().float().flatten(1))


def _gradient(losses: Tensor, at: Tensor) -> Tensor:
    # Each loss depends on its own row alone, so that the sum's gradient holds them all.
    return torch.autograd.grad(losses, at, torch.ones_like(losses))[0].float()
