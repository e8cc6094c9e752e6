"""How batches are loaded: what a DataLoader is told, and what it is refused."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..data.inputs import takes_names


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


def fit_batches(kwargs: dict[str, Any], n_rows: int, module: nn.Module) -> dict[str, Any]:
    """Return the options of a loader so that no row is lost and no batch is a single row.

    Parameters
    ----------
    kwargs : dict
        Of the DataLoader.
    n_rows : int
        What the loader is to go over.
    module : torch.nn.Module
        Where it normalizes over the batch, a batch of one row has no statistics.
    """
    kwargs = dict(kwargs)
    if kwargs.get("batch_sampler") is not None:
        return kwargs
    if kwargs.get("drop_last"):
        # Fewer rows than a batch, as a coreset may have, are one short batch.
        kwargs["drop_last"] = n_rows >= kwargs["batch_size"]
    elif has_batch_norm(module):
        while n_rows > kwargs["batch_size"] > 1 and n_rows % kwargs["batch_size"] == 1:
            kwargs["batch_size"] += 1
    return kwargs


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
