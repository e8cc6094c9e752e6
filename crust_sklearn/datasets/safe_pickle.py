"""Pickles of arrays, read without running what else a pickle may ask for.

A pickle names the functions that build what is in it, and loading calls them: whoever may write the
file may run anything. The data sets' files need four names, and get no others. Nor do they get
NumPy's own arrays and dtypes to call or to fill: those take addresses and offsets as they come.
"""

from __future__ import annotations

import math
import os
import pickle
import re
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch


class _Forbidden(pickle.UnpicklingError):
    """A pickle asks for what is not allowed."""


# Numbers, texts, and objects, which are in lists.
_CODE = re.compile(r"[biufSU]\d{1,6}|b1|O8")


class _DType:
    """Stands for a dtype: a code, and an order of bytes."""

    def __init__(self, code: Any, *_: Any):
        code = code.decode("ascii") if type(code) is bytes else code
        if type(code) is not str or not _CODE.fullmatch(code):
            raise _Forbidden(f"numpy.dtype({code!r})")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        # Version, order, no parts (base and shape, names, fields), size.
        _, order, *parts, size = state[:6]
        order = order.decode("ascii") if type(order) is bytes else order
        if order not in ("<", ">", "|", "=") or any(part is not None for part in parts):
            raise _Forbidden("a dtype of parts")
        if size not in (-1, self.dtype.itemsize):
            raise _Forbidden("a dtype of another size")
        if order in "<>":
            self.dtype = self.dtype.newbyteorder("<" if order == "<" else ">")


class _Array(np.ndarray):
    """An array that is being built."""

    def __new__(cls, *_: Any) -> _Array:
        raise _Forbidden("numpy.ndarray(...)")

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        if type(dtype) is not _DType or type(shape) is not tuple:
            raise _Forbidden("an array of an unknown dtype or shape")
        if any(type(size) is not int or size < 0 for size in shape):
            raise _Forbidden("an array of an unknown shape")
        n_items = math.prod(shape)
        if dtype.dtype.hasobject:
            is_right = type(content) is list and len(content) == n_items
        else:
            is_right = type(content) is bytes and len(content) == n_items * dtype.dtype.itemsize
        if not is_right:
            raise _Forbidden("an array of another size")
        filled: Any = (1, shape, dtype.dtype, bool(is_fortran), content)
        super().__setstate__(filled)


def reconstruct(kind: Any, *_: Any) -> _Array:
    """Return an array to be filled."""
    if kind is not _Array:
        raise _Forbidden("an array of another class")
    return np.ndarray.__new__(_Array, (0,), "i1")


def encode(text: str, encoding: str) -> bytes:
    """Return bytes, which Python 3 keeps as text in the older protocols of pickles."""
    if type(text) is not str or type(encoding) is not str or encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding!r}")
    return text.encode(encoding)


# NumPy 2 moved its core: there are files with both names.
ALLOWED: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": reconstruct,
    "numpy._core.multiarray._reconstruct": reconstruct,
    "numpy.ndarray": _Array,
    "numpy.dtype": _DType,
    "_codecs.encode": encode,
}


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
        return _make_plain(_Unpickler(file, encoding="bytes").load())
    except _Forbidden as error:
        raise _make_error(path, f"asks for {error}") from error
    except Exception as error:  # damaged pickles raise nearly anything
        raise ValueError(f"{path} cannot be read: {type(error).__name__}: {error}.") from error


def _load_pt(path: Path) -> Any:
    allowed: list[Any] = [(value, name) for name, value in ALLOWED.items()]
    try:
        with torch.serialization.safe_globals(allowed):
            return _make_plain(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        reason = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
        raise _make_error(path, f"is no file of labels ({reason.splitlines()[0]})") from error
    except Exception as error:  # as in `_load`
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


def _make_plain(content: Any) -> Any:
    """Return what was loaded, with arrays in the place of those that were built."""
    if type(content) is _DType:
        return content.dtype
    if type(content) is _Array:
        plain = content.view(np.ndarray)
        if plain.dtype.hasobject:
            plain.ravel()[:] = [_make_plain(item) for item in plain.ravel().tolist()]
        return plain
    if type(content) is dict:
        return {key: _make_plain(value) for key, value in content.items()}
    if type(content) in (list, tuple):
        return type(content)(map(_make_plain, content))
    return content


def _to_text(key: Any) -> Any:
    return key.decode() if isinstance(key, bytes) else key


def _make_error(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} is refused: it {reason}, which arrays of images and labels do not need. Nothing "
        "of it was run. It is not the data set's own file: do not use it."
    )
