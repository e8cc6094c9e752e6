"""How batches are loaded: what a DataLoader is told, and what it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import nn
from torch.utils.data import BatchSampler, RandomSampler, Sampler, SequentialSampler

from ..data.inputs import takes_names
from . import processes


def get_step_options(net: Any) -> dict[str, Any]:
    """Return what the loader of training is told, with the batch size of an optimizer's step.

    Parameters
    ----------
    net : NoisyLabelClassifier
        Of several processes, each has `batch_size` rows of a step.

    Returns
    -------
    kwargs : dict
    """
    kwargs = {"batch_size": net.batch_size} | net.get_params_for("iterator_train")
    if kwargs["batch_size"] != -1:
        kwargs["batch_size"] *= processes.count(net)
    return kwargs


def check_whole(kwargs: dict[str, Any], n_rows: int) -> None:
    """Refuse to train on nothing: a batch larger than all rows, where no partial one is kept."""
    if kwargs.get("drop_last") and n_rows < kwargs["batch_size"]:
        raise ValueError(
            f"The {n_rows} training rows are fewer than batch_size={kwargs['batch_size']} with "
            "iterator_train__drop_last=True: nothing would be trained. Lower batch_size, or set "
            "iterator_train__drop_last=False."
        )


def check_sampler(kwargs: dict[str, Any]) -> None:
    """Refuse samplers where rows are chosen by the method."""
    for name in ("sampler", "batch_sampler"):
        if kwargs.get(name) is not None:
            raise ValueError(
                f"iterator_train__{name} draws from all rows, and a coreset has other ones: it "
                "cannot be used here. Weigh rows by sample_weight instead."
            )


def fit_order(kwargs: dict[str, Any], loader: Any) -> dict[str, Any]:
    """Return the options of a loader without `shuffle` where something else decides on the order.

    Parameters
    ----------
    kwargs : dict
        Of the loader.
    loader : class
        One of a user's own may know no `shuffle`.
    """
    has_sampler = any(kwargs.get(name) is not None for name in ("sampler", "batch_sampler"))
    if has_sampler or not takes_names(loader, ["shuffle"]):
        return {name: value for name, value in kwargs.items() if name != "shuffle"}
    return kwargs


def fit_batches(
    kwargs: dict[str, Any],
    n_rows: int,
    module: nn.Module,
    n_processes: int = 1,
    most: int | None = None,
) -> dict[str, Any]:
    """Return the options of a loader so that no row is lost and no batch is a single row.

    With several processes, no part of a batch is empty, either.

    Parameters
    ----------
    kwargs : dict
        Of the DataLoader.
    n_rows : int
        What the loader is to go over.
    module : torch.nn.Module
        Where it normalizes over the batch, a batch of one row has no statistics.
    n_processes : int, default=1
        Into how many parts each batch is split.
    most : int or None, default=None
        How many batches the rows are divided into, at most; None: as many as the size makes.
    """
    kwargs = dict(kwargs)
    least = n_processes * (2 if has_batch_norm(module) else 1)
    if n_rows < least and n_processes > 1:
        raise ValueError(
            f"{n_rows} rows are too few for an epoch of {n_processes} processes: each needs one "
            "of every batch, and two with BatchNorm. Raise coreset_size, or take fewer processes."
        )
    if kwargs.get("batch_sampler") is not None:
        return kwargs
    if most is not None:
        kwargs["batch_size"] = min(kwargs["batch_size"], max(least, -(-n_rows // most)))
    if kwargs.get("drop_last"):
        # Fewer rows than a batch, as a coreset may have, are one short batch.
        kwargs["drop_last"] = n_rows >= kwargs["batch_size"]
    else:
        while n_rows > kwargs["batch_size"] > 1 and 0 < n_rows % kwargs["batch_size"] < least:
            kwargs["batch_size"] += 1
    return kwargs


class ProcessBatches(Sampler[list[int]]):
    """Batches that are split among processes: the parts of one follow each other.

    A loader that gives process `i` of `n` every n-th of them, from the i-th on, as accelerate does,
    gives each row once; accelerate's own parts are filled up by repeated rows.

    Parameters
    ----------
    batches : torch.utils.data.BatchSampler
        Of an optimizer's steps, each of at least `n_processes` rows.
    n_processes : int

    Examples
    --------
    >>> from torch.utils.data import BatchSampler, SequentialSampler
    >>> from crust_sklearn.nets.loading import ProcessBatches
    >>> list(ProcessBatches(BatchSampler(SequentialSampler(range(7)), 4, False), 2))
    [[0, 1], [2, 3], [4, 5], [6]]
    """

    def __init__(self, batches: BatchSampler, n_processes: int):
        self.batches = batches
        self.n_processes = n_processes

    def __len__(self) -> int:
        return self.n_processes * len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            yield from (part.tolist() for part in np.array_split(batch, self.n_processes))


def split_batches(kwargs: dict[str, Any], dataset: Any, n_processes: int) -> dict[str, Any]:
    """Return the options of a loader whose batches are split among processes.

    Parameters
    ----------
    kwargs : dict
        Of a loader of whole batches, with a generator.
    dataset : torch Dataset
    n_processes : int
    """
    names = ("shuffle", "batch_size", "drop_last")
    shuffle, size, drop_last = (kwargs.get(name, False) for name in names)
    # The order that a loader of one process draws.
    order = (
        RandomSampler(dataset, generator=kwargs["generator"])
        if shuffle
        else SequentialSampler(dataset)
    )
    batches = ProcessBatches(BatchSampler(order, size, drop_last), n_processes)
    kept = {name: value for name, value in kwargs.items() if name not in names}
    return kept | {"batch_sampler": batches}


def count_batches(kwargs: dict[str, Any], n_rows: int) -> int:
    """Return how many batches a loader makes of the rows of an epoch.

    Parameters
    ----------
    kwargs : dict
        Of the DataLoader.
    n_rows : int

    Returns
    -------
    n_batches : int
    """
    size = kwargs["batch_size"]
    if size == -1 or n_rows <= size:
        return 1
    return n_rows // size if kwargs.get("drop_last") else -(-n_rows // size)


def check_single_row(n_rows: int, module: nn.Module) -> None:
    """Refuse a coreset of one row where each feature is normalized over the batch."""
    if n_rows == 1 and has_batch_norm(module):
        raise ValueError(
            "A coreset of one row is a batch of one row, which a module with BatchNorm cannot "
            "normalize. Raise coreset_size, or take a module without it."
        )


def has_batch_norm(module: nn.Module) -> bool:
    """Return whether a module normalizes over the batch."""
    kind = nn.modules.batchnorm._BatchNorm
    return any(isinstance(part, kind) for part in module.modules())
