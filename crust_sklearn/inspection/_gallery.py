"""Rows of X side by side: as images, or in a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._images import draw_images
from ._table import draw_table, get_feature_cells


def draw_rows(
    plt: Any,
    ax: Any,
    *,
    images: np.ndarray | None,
    captions: list[str],
    header: list[str],
    cells: list[list[str]],
    features: np.ndarray | None,
    feature_names: list[str] | None,
    **kwargs: Any,
) -> tuple[Any, np.ndarray, Any]:
    """Draw rows as images under captions, or as a table of cells and the first columns of X.

    Parameters
    ----------
    plt : module
    ax : matplotlib Axes or None
        None: a new figure.
    images : ndarray of shape (n_rows, H, W) or (n_rows, H, W, 3), or None
        None: a table.
    captions : list of str
        One for each image.
    header, cells : list of str, list of list of str
        What a table says of each row.
    features : ndarray of shape (n_rows, ...) or None
        The rows of X, for the table.
    feature_names : list of str or None
    **kwargs : dict
        As of `draw_images` and `draw_table`.

    Returns
    -------
    ax : matplotlib Axes
    axes : ndarray of matplotlib Axes
        Those of the images.
    table : matplotlib Table or None
    """
    if images is not None:
        return *draw_images(plt, ax, images, captions, **kwargs), None
    if features is not None:
        names, more = get_feature_cells(features, feature_names)
        header, cells = [*header, *names], [a + b for a, b in zip(cells, more, strict=True)]
    ax, table = draw_table(plt, ax, header, cells, **kwargs)
    return ax, np.empty(0, dtype=object), table
