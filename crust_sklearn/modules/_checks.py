"""Checks that the networks of this package share."""

from numbers import Integral

import torch

from .._validation import check_number


def check_count(name: str, value: int, minimum: int = 1) -> int:
    """Return `value` as an int, or raise if it is no integer of at least `minimum`."""
    return int(check_number(name, value, kind=Integral, low=minimum))


def check_images(X: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return a batch of images in the dtype of `weight`, or raise if it is not 4-d."""
    if X.ndim != 4:
        raise ValueError(
            "Expected images of shape (n_samples, channels, height, width), got a tensor of shape "
            f"{tuple(X.shape)}. Reshape X first, e.g. X.reshape(len(X), channels, height, width)."
        )
    return X.to(weight.dtype)
