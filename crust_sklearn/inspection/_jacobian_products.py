"""Products with the Jacobian of a network's logits, a few vectors at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import get_len
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp, vmap
from torch.utils.data import default_collate

from ..data import fetch_rows
from ..gradients import get_logits
from ..nets.evaluation import evaluating

# How many vectors share a pass: more of them fill small layers better, and take more memory.
_N_TOGETHER = 4


class JacobianProducts:
    """The products J v and J^T u of a sample of rows; J itself is never formed.

    J has a row for each example and class, and a column for each trainable parameter. Use it
    inside `differentiating`.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized.
    X, y
        As in the net's `fit`; y may be None.
    batch_size : int
        Rows of one forward or backward pass.

    Attributes
    ----------
    n_rows, n_classes, n_parameters : int
        The size of J is (n_rows * n_classes, n_parameters).
    logits : tensor of shape (n_rows, n_classes)
    labels : list
        What the dataset gives as y, batch by batch.
    """

    def __init__(self, net: Any, X: Any, y: Any, batch_size: int):
        dataset = net.get_dataset(X, y)
        self.n_rows = get_len(dataset)
        collate_fn = net.get_params_for("iterator_valid").get("collate_fn") or default_collate
        starts = range(0, self.n_rows, batch_size)
        rows = [np.arange(i, min(i + batch_size, self.n_rows)) for i in starts]
        batches = [fetch_rows(dataset, r, collate_fn) for r in rows]
        self.inputs, self.labels = [x for x, _ in batches], [y for _, y in batches]
        self.lengths = [len(r) for r in rows]
        self.inference = _Inference(net)
        named = list(self.inference.named_parameters())
        self.parameters = {name: p.detach() for name, p in named if p.requires_grad}
        if not self.parameters:
            raise ValueError(
                f"module={type(net.module_).__name__} has no trainable parameter, and so no "
                "Jacobian. Set requires_grad=True for those to look at."
            )
        self.n_parameters = sum(p.numel() for p in self.parameters.values())
        with torch.no_grad():
            self.logits = torch.cat([self._run(self.parameters, x) for x in self.inputs])
        self.n_classes = self.logits.shape[1]

    def _run(self, parameters: dict[str, Tensor], x: Any) -> Tensor:
        # A module that counts its calls, say, counts in a copy.
        buffers = {name: b.clone() for name, b in self.inference.named_buffers()}
        return functional_call(self.inference, {**buffers, **parameters}, (x,))

    def pull(self, outputs: Tensor) -> dict[str, Tensor]:
        """Return J^T u for several u.

        Parameters
        ----------
        outputs : tensor of shape (n_vectors, n_rows, n_classes)

        Returns
        -------
        directions : dict of str to tensor of shape (n_vectors, *shape of the parameter)
        """
        total: dict[str, Tensor] = {}
        for x, part in zip(self.inputs, outputs.split(self.lengths, dim=1), strict=True):
            pull_one = vjp(lambda p, x=x: self._run(p, x), self.parameters)[1]
            (found,) = vmap(pull_one)(part)
            total = {name: total[name] + d for name, d in found.items()} if total else found
        return total

    def push(self, directions: dict[str, Tensor]) -> Tensor:
        """Return J v for several v, of shape (n_vectors, n_rows, n_classes).

        Parameters
        ----------
        directions : dict of str to tensor of shape (n_vectors, *shape of the parameter)
        """

        def push_one(direction: dict[str, Tensor], x: Any) -> Tensor:
            return jvp(lambda p: self._run(p, x), (self.parameters,), (direction,))[1]

        parts = [
            vmap(lambda direction, x=x: push_one(direction, x))(directions) for x in self.inputs
        ]
        return torch.cat(parts, dim=1)

    def gram(self, vectors: np.ndarray) -> np.ndarray:
        """Return J J^T times each column.

        Parameters
        ----------
        vectors : ndarray of shape (n_rows * n_classes, n_vectors)

        Returns
        -------
        products : ndarray of shape (n_rows * n_classes, n_vectors), dtype float64

        Raises
        ------
        FloatingPointError
            If a product is not finite.
        """
        outputs = torch.as_tensor(vectors.T).to(self.logits)
        outputs = outputs.reshape(-1, self.n_rows, self.n_classes)
        parts = [self.push(self.pull(part)) for part in outputs.split(_N_TOGETHER)]
        found = torch.cat(parts).flatten(1).T.double().cpu().numpy()
        if not np.isfinite(found).all():
            raise FloatingPointError(
                "The Jacobian is not finite: look for NaN or infinity in X and in the weights of "
                "module_. Training may have diverged."
            )
        return found


class _Inference(nn.Module):
    """From a batch to logits as the net does it, with parameters that can be exchanged."""

    def __init__(self, net: Any):
        super().__init__()
        self.module = net.module_
        self.net = net
        criterion = getattr(net, "criterion_", None)
        self.has_probabilities = type(getattr(criterion, "_orig_mod", criterion)) is nn.NLLLoss

    def forward(self, x: Any) -> Tensor:
        output = get_logits(self.net.infer(x))
        if output.ndim != 2:
            raise ValueError(
                f"The output of module={type(self.module).__name__} has shape "
                f"{tuple(output.shape)}: it needs one row per example and one column per class."
            )
        if self.has_probabilities:  # what skorch gives to NLLLoss
            output = torch.log(output + torch.finfo(output.dtype).eps)
        return output


def check_net(net: Any) -> None:
    """Raise if this is not an initialized skorch net."""
    if not isinstance(net, NeuralNet):
        raise TypeError(
            f"net={type(net).__name__} is not a skorch net, as a fitted CRUSTClassifier is. Wrap a "
            "torch module: NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss).initialize()."
        )
    net.check_is_fitted(["module_"])


@contextmanager
def differentiating(net: Any) -> Iterator[None]:
    """As `evaluating`; torch's generators, too, are as before after it."""
    check_net(net)
    devices = [p.device for p in net.module_.parameters() if p.device.type == "cuda"]
    with (
        evaluating(net),
        torch.random.fork_rng(devices=set(devices)),
        warnings.catch_warnings(),
    ):
        # torch's own call, at the first use of forward mode.
        message = ".torch.jit.script. is deprecated"
        warnings.filterwarnings("ignore", message, DeprecationWarning)
        yield
