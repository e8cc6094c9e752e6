"""What the processes of a training by accelerate tell each other; nothing, where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from skorch.hf import AccelerateMixin
from torch import Tensor
from torch import distributed as dist

from .evaluation import unwrap


class Failure(NamedTuple):
    """What a process says instead of what is asked for.

    Attributes
    ----------
    message : str
    is_interrupt : bool
        Whether it is a KeyboardInterrupt, by which training is stopped.
    """

    message: str
    is_interrupt: bool


class OtherProcessError(RuntimeError):
    """Another process has failed."""


class OtherProcessInterrupt(KeyboardInterrupt):
    """Another process has been interrupted."""


def count(net: Any) -> int:
    """Return how many processes train a net: more than one with ``AccelerateMixin`` alone.

    Parameters
    ----------
    net : skorch.NeuralNet
        Another one trains alone, also in a process of a group.

    Returns
    -------
    n_processes : int

    Examples
    --------
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> from crust_sklearn.nets.processes import count
    >>> count(NoisyLabelClassifier(MLP))
    1
    """
    return int(getattr(getattr(net, "accelerator", None), "num_processes", 1))


def get_rank(net: Any) -> int:
    """Return the number of this process, from 0, the main one."""
    return 0 if count(net) == 1 else int(net.accelerator.process_index)


def share_kind(net: Any, kind: type) -> tuple[type, dict[str, Any]]:
    """Return a class of nets that the processes of another one train together.

    Parameters
    ----------
    net : skorch.NeuralNet
    kind : subclass of skorch.NeuralNet

    Returns
    -------
    shared : type
        `kind` itself, where there is one process.
    params : dict of str to object
        What `shared` is to be given beside the parameters of `kind`.

    Examples
    --------
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> from crust_sklearn.nets.processes import share_kind
    >>> kind, params = share_kind(NoisyLabelClassifier(MLP), NoisyLabelClassifier)
    >>> kind is NoisyLabelClassifier, params
    (True, {})
    """
    if count(net) == 1:
        return kind, {}
    return type(kind.__name__, (AccelerateMixin, kind), {}), {"accelerator": net.accelerator}


def exchange(net: Any, value: Any) -> list[Any]:
    """Return what each process gives, in their order.

    Parameters
    ----------
    net : skorch.NeuralNet
    value : object
        Small: it is pickled.

    Returns
    -------
    values : list of object

    Raises
    ------
    OtherProcessError, OtherProcessInterrupt
        If another one has failed inside of `agreeing`, instead of coming here.
    """
    if count(net) == 1:
        return [value]
    values: list[Any] = [None] * count(net)
    dist.all_gather_object(values, value)
    failures = {i: said for i, said in enumerate(values) if isinstance(said, Failure)}
    if failures and not isinstance(value, Failure):
        _raise_failures(failures)
    return values


def _raise_failures(failures: Mapping[int, Failure]) -> NoReturn:
    rank, failure = next(iter(failures.items()))
    message = f"Process {rank} has failed: {failure.message}"
    if all(failure.is_interrupt for failure in failures.values()):
        raise OtherProcessInterrupt(message)
    raise OtherProcessError(message)


@contextmanager
def agreeing(net: Any) -> Iterator[None]:
    """Raise in every process what one of them raises inside, so that none waits for it.

    Parameters
    ----------
    net : skorch.NeuralNet
    """
    try:
        yield
    except (OtherProcessError, OtherProcessInterrupt):
        raise
    except (Exception, KeyboardInterrupt) as error:
        is_interrupt = isinstance(error, KeyboardInterrupt)
        exchange(net, Failure(f"{type(error).__name__}: {error}", is_interrupt))
        raise
    exchange(net, None)


def share(net: Any, value: Any) -> Any:
    """Return what the main process gives.

    Parameters
    ----------
    net : skorch.NeuralNet
    value : object
        It is pickled. That of the other processes is not looked at.

    Returns
    -------
    value : object
    """
    if count(net) == 1:
        return value
    exchange(net, None)
    said = [value]
    dist.broadcast_object_list(said, src=0)
    return said[0]


def check_same(net: Any, fingerprint: str) -> None:
    """Refuse other rows or labels than the main process has.

    Parameters
    ----------
    net : skorch.NeuralNet
    fingerprint : str
        Of the rows and labels of this process.
    """
    said = exchange(net, fingerprint)
    if len(set(said)) > 1:
        other = next(rank for rank, what in enumerate(said) if what != said[0])
        raise ValueError(
            f"Process {other} was given other rows, labels or weights than process 0, or splits "
            "off other ones for validation. Give all of them the whole X and y (each trains on a "
            "part of every batch), and train_split a random_state."
        )


def share_buffers(net: Any) -> None:
    """Give the modules of every process the buffers of the main one: statistics of BatchNorm.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized.
    """
    if count(net) == 1:
        return
    exchange(net, None)
    for name in net._modules:
        for buffer in unwrap(getattr(net, f"{name}_")).buffers():
            dist.broadcast(buffer, src=0)


def find_common(net: Any, columns: Mapping[str, Tensor]) -> list[str]:
    """Return the columns that every process has, with rows of one shape and dtype.

    Parameters
    ----------
    net : skorch.NeuralNet
    columns : mapping of str to tensor of shape (n_own, ...)

    Returns
    -------
    names : list of str
        In the same order in all processes.
    """
    kinds = {name: (str(part.dtype), part.shape[1:]) for name, part in columns.items()}
    said = exchange(net, kinds)
    return [name for name in said[0] if all(said[0][name] == kinds.get(name) for kinds in said)]


def find_owners(net: Any, is_held: np.ndarray) -> np.ndarray:
    """Return which process every row belongs to: of several that hold it, the first.

    Parameters
    ----------
    net : skorch.NeuralNet
    is_held : ndarray of shape (n_rows,), dtype bool
        Whether this process holds each row.

    Returns
    -------
    owners : ndarray of shape (n_rows,), dtype int16
        The number of the process; -1, where none holds the row.
    """
    if count(net) == 1:
        return np.where(is_held, 0, -1).astype(np.int16)
    bits = torch.as_tensor(np.packbits(is_held))
    exchange(net, None)
    owners = np.full(len(is_held), -1, np.int16)
    found = gather(net, bits, [len(bits)] * count(net))
    for rank, part in reversed(list(enumerate(found))):
        owners[np.unpackbits(part.numpy(), count=len(is_held)).astype(bool)] = rank
    return owners


def gather_rows(net: Any, owners: np.ndarray, own: Tensor) -> Tensor:
    """Return a column of all rows, of which each process has those that belong to it.

    Parameters
    ----------
    net : skorch.NeuralNet
    owners : ndarray of shape (n_rows,), dtype int16
        As of `find_owners`.
    own : tensor of shape (n_own, ...)
        In ascending order of the rows' numbers.

    Returns
    -------
    column : tensor of shape (n_rows, ...)
        Not filled in where a row belongs to nobody.
    """
    if count(net) == 1:
        return own
    exchange(net, None)
    places = [np.flatnonzero(owners == rank) for rank in range(count(net))]
    column = own.new_empty((len(owners), *own.shape[1:]))
    for place, part in zip(places, gather(net, own, list(map(len, places))), strict=True):
        column[torch.as_tensor(place, device=own.device)] = part
    return column


def add_up(net: Any, values: Any) -> Any:
    """Return the sum of what the processes give, the same in all of them.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its `training_`, if there is one, counts the bytes.
    values : ndarray or number
        Of the same shape in all processes.

    Returns
    -------
    total : ndarray or number, dtype float64
    """
    n, device = count(net), net.accelerator.device
    exchange(net, None)
    total = torch.as_tensor(np.asarray(values, np.float64)).to(device, copy=True)
    dist.all_reduce(total)
    if (training := getattr(net, "training_", None)) is not None:
        # Round a ring: a part of each process, once to be added up, and once as a sum.
        training.n_bytes_sent += 2 * (n - 1) * total.numel() * total.element_size() // n
    return total.cpu().numpy()[()]


def gather(net: Any, part: Tensor, sizes: list[int] | None = None) -> list[Tensor]:
    """Return the tensors of all processes, which may differ in length.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its `training_`, if there is one, counts the bytes.
    part : tensor of shape (n_own, ...)
    sizes : list of int, default=None
        The length of each process's; None: they are asked for.

    Returns
    -------
    parts : list of tensors of shape (n, ...)
        On the device of `part`.
    """
    sizes = exchange(net, len(part)) if sizes is None else sizes
    home, most = part.device, max(sizes)
    padded = part.new_zeros((most, *part.shape[1:]), device=net.accelerator.device)
    padded[: len(part)] = part
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    if (training := getattr(net, "training_", None)) is not None:
        training.n_bytes_sent += (len(sizes) - 1) * padded.numel() * padded.element_size()
    return [found[:size].to(home) for found, size in zip(parts, sizes, strict=True)]


def join(net: Any, part: Tensor) -> Tensor:
    """Return the tensors of all processes, one below the other: of a batch, the whole of it.

    Parameters
    ----------
    net : skorch.NeuralNet
    part : tensor of shape (n_own, ...)

    Returns
    -------
    whole : tensor of shape (n, ...)

    Raises
    ------
    OtherProcessError, OtherProcessInterrupt
        As of `exchange`.
    """
    return part if count(net) == 1 else torch.cat(gather(net, part))


def get_share(net: Any, norm: Tensor) -> Tensor:
    """Return what the loss of a process counts among those of all, whose mean is trained by.

    Parameters
    ----------
    net : skorch.NeuralNet
    norm : tensor of shape ()
        What the loss of this process was divided by.

    Returns
    -------
    share : tensor of shape ()
        Of mean one over the processes.
    """
    total = norm.detach().clone()
    dist.all_reduce(total)
    return count(net) * norm / total.clamp_min(torch.finfo(total.dtype).tiny)


def forget_loaders(net: Any, is_over: Callable[[Any], bool]) -> None:
    """Let the accelerator forget loaders: it keeps all that it has prepared, and their data.

    Parameters
    ----------
    net : skorch.NeuralNet
    is_over : callable
        Returns whether a loader is not needed any more.
    """
    # There is no public way but `free_memory`, which forgets modules and optimizers as well.
    if loaders := get_loaders(net):
        loaders[:] = [loader for loader in loaders if not is_over(loader)]


def get_loaders(net: Any) -> list[Any]:
    """Return the loaders that the accelerator of a net keeps, if it has one."""
    return getattr(getattr(net, "accelerator", None), "_dataloaders", [])
