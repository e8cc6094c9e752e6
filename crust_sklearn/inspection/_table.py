"""Rows that are not images, drawn as a table."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

# More columns of X are not legible.
MAX_FEATURES = 6
MAX_LETTERS = 40


def get_feature_cells(
    features: np.ndarray, feature_names: list[str] | None
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the cells of the first columns of X, as text.

    Rows that are arrays themselves have no cells.
    """
    if features.ndim > 2:
        return [], [[] for _ in features]
    if features.ndim == 1:  # raw items
        return ["X"], [[_to_text(item)] for item in features]
    n_features = features.shape[1]
    names = feature_names or [f"x{i}" for i in range(n_features)]
    header, cells = names[:MAX_FEATURES], features[:, :MAX_FEATURES]
    if n_features <= MAX_FEATURES:
        return header, [[_to_text(value) for value in row] for row in cells]
    return [*header, "..."], [[*map(_to_text, row), "..."] for row in cells]


def _to_text(value: Any) -> str:
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{float(value):.3g}"
    text = str(value)
    return text if len(text) <= MAX_LETTERS else text[: MAX_LETTERS - 3] + "..."


def draw_table(
    plt: Any,
    ax: Any,
    header: list[str],
    cells: list[list[str]],
    *,
    title: str,
    colors: list[str],
    **kwargs: Any,
) -> tuple[Any, Any]:
    """Draw a table, each row of it in its color; return `ax` and the table."""
    widths = np.array([3 + max(map(len, column)) for column in zip(header, *cells, strict=True)])
    if ax is None:
        size = max(4.5, 0.09 * widths.sum()), 0.25 * (len(cells) + 1) + 0.5
        _, ax = plt.subplots(figsize=size, layout="constrained")
    ax.set_axis_off()
    ax.set_title(title)
    options = {"bbox": [0, 0, 1, 1], "cellLoc": "right", "edges": "horizontal"}
    options["colWidths"] = widths / widths.sum()
    table = ax.table(cellText=cells, colLabels=header, **options | kwargs)
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (row, _), cell in table.get_celld().items():
        cell.set_edgecolor("lightgray")
        weight, color = ("bold", "black") if row == 0 else ("normal", colors[row - 1])
        cell.get_text().set(fontweight=weight, color=color)
    return ax, table
