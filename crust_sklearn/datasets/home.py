"""The folder that fetched sets are kept in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sklearn.datasets import get_data_home

from .._validation import check_flag


def open_home(data_home: Any, name: str, wanted: Iterable[str], download_if_missing: bool) -> Path:
    """Return a set's folder in scikit-learn's data home.

    Parameters
    ----------
    data_home : str, path or None
        None for scikit-learn's default.
    name : str
        Of the set's folder in it.
    wanted : iterable of str
        What has to be there, where nothing may be loaded.
    download_if_missing : bool

    Raises
    ------
    OSError
        If something is missing and may not be loaded.
    """
    check_flag("download_if_missing", download_if_missing)
    home = Path(get_data_home(data_home)) / name
    missing = [part for part in wanted if not (home / part).exists()]
    if missing and not download_if_missing:
        raise OSError(
            f"{home} has no {', '.join(missing)}, and download_if_missing is False. Set it to "
            "True, or give the data_home that has them."
        )
    return home
