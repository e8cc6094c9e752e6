"""MixMatch: targets for rows with and without a label, and what mixtures of them are trained by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def sharpen(p: Tensor, temperature: float) -> Tensor:
    """Return ``p^(1/T) / sum p^(1/T)``.

    Parameters
    ----------
    p : tensor of shape (n, n_classes)
        Not negative, none all zero.
    temperature : float
        T, greater than 0.

    Returns
    -------
    sharpened : tensor of shape (n, n_classes)

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.baselines.parts.mixmatch import sharpen
    >>> sharpen(torch.tensor([[0.75, 0.25, 0.0]]), 0.5)
    tensor([[0.9000, 0.1000, 0.0000]])
    """
    return (p.log() / temperature).softmax(dim=1)


def refine(codes: Tensor, own: Tensor, clean: Tensor) -> Tensor:
    """Return ``w y + (1 - w) p``, given labels corrected by predictions.

    Parameters
    ----------
    codes : tensor of shape (n,), dtype int64
        The given labels.
    own : tensor of shape (n, n_classes)
        The predictions, p.
    clean : tensor of shape (n,)
        How probable the labels are, w.

    Returns
    -------
    refined : tensor of shape (n, n_classes)
    """
    w = clean.to(own.dtype)[:, None]
    return w * F.one_hot(codes, own.shape[1]) + (1 - w) * own


def average_views(p: Tensor, n_views: int) -> Tensor:
    """Return the mean of the predictions of each row's views.

    Parameters
    ----------
    p : tensor of shape (n_views * n, n_classes)
        The first views of all rows, then the second ones, and so on.
    n_views : int

    Returns
    -------
    mean : tensor of shape (n, n_classes)
    """
    return p.unflatten(0, (n_views, -1)).mean(dim=0)


def concatenate(batches: list[Any]) -> Any:
    """Return batches of inputs as one.

    Parameters
    ----------
    batches : list of tensors, or of dicts or lists of such
        Of the same form.

    Returns
    -------
    batch : in this form
    """
    first = batches[0]
    if isinstance(first, Mapping):
        return {key: concatenate([batch[key] for batch in batches]) for key in first}
    if isinstance(first, list | tuple):
        return [concatenate(list(parts)) for parts in zip(*batches, strict=True)]
    return torch.cat(batches)


def get_unlabelled_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of the probabilities, over rows and classes.

    Parameters
    ----------
    logits, targets : tensors of shape (n, n_classes)

    Returns
    -------
    loss : tensor of shape ()
        0 for no rows.
    """
    squares = (logits.softmax(dim=1) - targets).square()
    return squares.sum() / max(1, squares.numel())


def get_prior_penalty(logits: Tensor) -> Tensor:
    """Return the divergence of the mean prediction from equal shares of the classes.

    ``sum_c (1/C) log((1/C) / pbar_c)``.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)

    Returns
    -------
    penalty : tensor of shape ()
    """
    n, n_classes = logits.shape
    # In logarithms, so that a class that nobody predicts does not make it infinite.
    log_mean = logits.log_softmax(dim=1).logsumexp(dim=0) - math.log(n)
    return -log_mean.mean() - math.log(n_classes)


def get_negative_entropy(logits: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of ``sum_c p_c log p_c``, which is small where predictions are unsure.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
    weight : tensor of shape (n,)
        What each row counts.

    Returns
    -------
    penalty : tensor of shape ()
    """
    log_p = logits.log_softmax(dim=1)
    return (weight * (log_p.exp() * log_p).sum(dim=1)).mean()
