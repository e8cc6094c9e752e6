"""Pickles of arrays, read without running what else a pickle may ask for.

A pickle names the functions that build what is in it, and loading calls them: whoever may write the
file may run anything. The data sets' files need four names, and get no others.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

# What pickles of arrays call. NumPy 2 moved its core: there are files with both names.
_reconstruct: Any = np.empty(0).__reduce__()[0]


def encode(text: str, encoding: str) -> bytes:
    """Return bytes, which Python 3 keeps as text in the older protocols of pickles."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding!r}")
    return text.encode(encoding)


ALLOWED: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": encode,
}


class _Forbidden(pickle.UnpicklingError):
    """A pickle asks for what is not allowed."""


class _Unpickler(pickle.Unpickler):
    """Finds what is allowed."""

    def find_class(self, module: str, name: str) -> Any:
        if (full := f"{module}.{name}") not in ALLOWED:
            raise _Forbidden(full)
        return ALLOWED[full]


def load_pickle(path: str | os.PathLike[str]) -> Any:
    """Return what a pickle of arrays, numbers, texts, lists and dicts holds.

    The texts of Python 2 are bytes.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    ValueError
        If the pickle asks for anything else, of which nothing is run, or is damaged.

    Examples
    --------
    >>> import pickle, tempfile, os
    >>> from crust_sklearn.datasets.safe_pickle import load_pickle
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "batch")
    ...     with open(path, "wb") as file:
    ...         pickle.dump({"labels": [6, 9], "call": print}, file)
    ...     try:
    ...         load_pickle(path)
    ...     except ValueError as error:
    ...         print("asks for builtins.print" in str(error))
    True
    """
    with open(path, "rb") as file:
        return _load(file, Path(path))


def load_label_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the labels that a ``.pt`` or ``.npy`` file holds by their names.

    Parameters
    ----------
    path : str or path
        Written by ``torch.save`` or ``numpy.save``.

    Raises
    ------
    ValueError
        As by :func:`load_pickle`; also if the file is no dict.
    """
    path = Path(path)
    content = _load_npy(path) if path.suffix == ".npy" else _load_pt(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no dict of labels, but a {type(content).__name__}.")
    return {_to_text(key): value for key, value in content.items()}


def _load(file: IO[bytes], path: Path) -> Any:
    try:
        return _Unpickler(file, encoding="bytes").load()
    except _Forbidden as error:
        raise _make_error(path, f"asks for {error}") from error
    except Exception as error:  # damaged pickles raise nearly anything
        raise ValueError(f"{path} cannot be read: {type(error).__name__}: {error}.") from error


def _load_pt(path: Path) -> Any:
    if not hasattr(torch.serialization, "safe_globals"):
        raise ImportError(
            f"Labels of a .pt file are read safely by torch 2.6 and later; this is torch "
            f"{torch.__version__}. Install a later one: pip install --upgrade torch"
        )
    # int64 is all that labels are; its class is what torch compares a dtype with.
    allowed: list[Any] = [*((value, name) for name, value in ALLOWED.items()), np.dtypes.Int64DType]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
        raise _make_error(path, f"is no file of labels ({reason.splitlines()[0]})") from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error


def _load_npy(path: Path) -> Any:
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            shape, _, dtype = read(file)
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{path} cannot be read: {error}.") from error
        if not dtype.hasobject:
            return np.load(path, allow_pickle=False)
        content = _load(file, path)
        return content.item() if shape == () else content


def _to_text(key: Any) -> Any:
    return key.decode() if isinstance(key, bytes) else key


def _make_error(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} is refused: it {reason}, which arrays of images and labels do not need. Nothing "
        "of it was run. It is not the data set's own file: do not use it."
    )
