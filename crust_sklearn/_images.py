"""Rows that are images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

CHANNELS = (1, 3)
# Of pixels that are not finite.
GREY = 0.5


def to_images(rows: np.ndarray, image_shape: Any = None) -> np.ndarray | None:
    """Return rows as images for display, or None if they are not images.

    Parameters
    ----------
    rows : ndarray of shape (n, ...)
        Images: (n, H, W), (n, C, H, W) or (n, H, W, C) with one or three channels; where both of
        the last two fit, channels come first, as in torch.
    image_shape : tuple of int, default=None
        The shape of one image, by which the entries of a row are arranged first.

    Returns
    -------
    images : ndarray of shape (n, H, W) or (n, H, W, 3), dtype float64, or None
        In [0, 1]. Bytes are divided by 255; other values are left if they are in [0, 1] already,
        else the smallest and the largest of all these rows become 0 and 1. What is not finite
        is 0.5.
    """
    images = arrange_images(rows, image_shape)
    return None if images is None else rescale_images(images)


def arrange_images(rows: np.ndarray, image_shape: Any = None) -> np.ndarray | None:
    """Return rows as images with channels last, their values as they are, or None.

    Parameters
    ----------
    rows, image_shape
        As of `to_images`.

    Returns
    -------
    images : ndarray of shape (n, H, W) or (n, H, W, 3), or None
    """
    if image_shape is not None:
        shape = tuple(image_shape)
        if math.prod(shape) != math.prod(rows.shape[1:]):
            raise ValueError(
                f"image_shape={image_shape!r} has {math.prod(shape)} entries, and a row of X has "
                f"{math.prod(rows.shape[1:])}."
            )
        rows = rows.reshape(len(rows), *shape)
    images = _channels_last(rows)
    if images is None or images.dtype.kind not in "biuf":
        if image_shape is not None:
            raise ValueError(
                f"image_shape={image_shape!r} does not make images. Give (H, W), (C, H, W) or "
                "(H, W, C) with one or three channels, for an X of numbers."
            )
        return None
    return images


def _channels_last(rows: np.ndarray) -> np.ndarray | None:
    if rows.ndim == 3:
        return rows
    if rows.ndim != 4:
        return None
    if rows.shape[1] in CHANNELS:
        rows = np.moveaxis(rows, 1, -1)
    elif rows.shape[3] not in CHANNELS:
        return None
    return rows[..., 0] if rows.shape[3] == 1 else rows


def rescale_images(images: np.ndarray) -> np.ndarray:
    """Return images with values in [0, 1], as float64; see `to_images`."""
    if images.dtype == np.uint8:
        return images / 255.0
    images = images.astype(np.float64)
    is_known = np.isfinite(images)
    known = images if is_known.all() else images[is_known]
    low, high = known.min(initial=0.0), known.max(initial=1.0)
    if low != 0.0 or high != 1.0:
        low, high = known.min(), known.max()
        known = (known - low) / ((high - low) or 1.0)
    if known.shape == images.shape:
        return known
    scaled = np.full(images.shape, GREY)
    scaled[is_known] = known
    return scaled
