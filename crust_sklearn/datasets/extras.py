"""Packages that only the data sets need."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_extra(module: str, package: str) -> Any:
    """Return a module of the extra ``datasets``.

    Parameters
    ----------
    module : str
        What is imported, e.g. ``"PIL.Image"``.
    package : str
        What is installed, e.g. ``"pillow"``.

    Raises
    ------
    ImportError
        If it is not installed; the message has the command.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This data set needs {package}, which is not installed ({error}). Install what data "
            "sets need: pip install 'crust-sklearn[datasets]'"
        ) from error
