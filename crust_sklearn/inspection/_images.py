"""Rows that are images, drawn side by side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

CHANNELS = (1, 3)


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
        else the smallest and the largest of all these rows become 0 and 1.
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
    return _rescale(images)


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


def _rescale(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images / 255.0
    images = images.astype(np.float64)
    low, high = images.min(initial=0.0), images.max(initial=1.0)
    if low == 0.0 and high == 1.0:
        return images
    low, high = images.min(), images.max()
    return (images - low) / ((high - low) or 1.0)


def draw_images(
    plt: Any,
    ax: Any,
    images: np.ndarray,
    captions: list[str],
    *,
    title: str,
    colors: list[str],
    **kwargs: Any,
) -> tuple[Any, np.ndarray]:
    """Draw images under captions of up to two lines, in colors; return `ax` and those inside."""
    n_columns = min(len(images), max(5, math.ceil(math.sqrt(len(images)))))
    n_rows = math.ceil(len(images) / n_columns)
    if ax is None:
        n_letters = max(len(line) for caption in captions for line in caption.split("\n"))
        width = max(5.0, n_columns * max(1.35, 0.08 * n_letters))
        _, ax = plt.subplots(figsize=(width, 1.7 * n_rows + 0.5), layout="constrained")
    ax.set_axis_off()
    ax.set_title(title)
    axes = np.empty(len(images), dtype=object)
    options = {"cmap": "gray", "vmin": 0.0, "vmax": 1.0, "interpolation": "nearest"} | kwargs
    for i, (image, caption, color) in enumerate(zip(images, captions, colors, strict=True)):
        row, column = divmod(i, n_columns)
        left, bottom = (column + 0.05) / n_columns, 1.0 - (row + 1.0) / n_rows
        axes[i] = ax.inset_axes([left, bottom, 0.9 / n_columns, 0.75 / n_rows])
        axes[i].imshow(image, **options)
        axes[i].set(xticks=[], yticks=[])
        axes[i].set_title(caption, fontsize="small", color=color, pad=3.0)
    return ax, axes
