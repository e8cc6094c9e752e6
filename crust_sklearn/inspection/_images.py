"""Rows that are images, drawn side by side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


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
