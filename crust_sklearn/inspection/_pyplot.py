"""Matplotlib, where it is installed."""

from __future__ import annotations

from typing import Any


def import_pyplot(caller: str) -> Any:
    """Return ``matplotlib.pyplot``, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib: pip install 'crust-sklearn[plots]'."
        ) from error
    return plt
