"""Values that can be loaded without a pickle: tensors, numbers, strings, and nests of them."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.history import History

# The keys of what stands for an array, and for a history.
ARRAY, DTYPE, SHAPE, HISTORY = "ndarray", "dtype", "shape", "history"


def to_plain(value: Any) -> Any:
    """Return a value made of tensors, numbers, strings, lists, tuples and dicts.

    Parameters
    ----------
    value : object
        Arrays and a `History` may be among it.

    Returns
    -------
    plain : object
        For `from_plain`; its tensors share memory with those of `value` where they can.

    Raises
    ------
    TypeError
        If something else is among it, which only a pickle could hold.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.nets.plain import from_plain, to_plain
    >>> to_plain({"rate": np.float64(0.5), "rows": np.array([2, 0])})
    {'rate': 0.5, 'rows': {'ndarray': tensor([2, 0])}}
    >>> from_plain(to_plain(np.array(["ham", "spam"])))
    array(['ham', 'spam'], dtype='<U4')
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor):
        return _pack_tensor(value)
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, np.ndarray):
        return _pack_array(value)
    if isinstance(value, History):
        return {HISTORY: json.dumps(value.to_list(), default=_to_json)}
    if isinstance(value, Mapping):
        return _pack_mapping(value)
    if type(value) in (list, tuple):
        return type(value)(map(to_plain, value))
    raise TypeError(f"a {type(value).__name__} is no tensor, array, number or string")


def from_plain(plain: Any) -> Any:
    """Return the value that `to_plain` was given; numpy's numbers are Python's.

    Parameters
    ----------
    plain : object

    Returns
    -------
    value : object
    """
    if isinstance(plain, dict):
        if ARRAY in plain:
            return _unpack_array(plain)
        if HISTORY in plain and len(plain) == 1:
            return History(json.loads(plain[HISTORY]))
        if isinstance(plain, OrderedDict):  # as it is, with the versions of a module's parts
            return plain
        return {key: from_plain(part) for key, part in plain.items()}
    if type(plain) in (list, tuple):
        return type(plain)(map(from_plain, plain))
    return plain


def _pack_tensor(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    # A part of a larger one would be saved with the whole of it.
    is_part = tensor.numel() * tensor.element_size() < tensor.untyped_storage().nbytes()
    return tensor.clone() if is_part else tensor


def _pack_array(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.kind in "biufc" and array.dtype.isnative:
        is_ready = array.flags.c_contiguous and array.flags.writeable
        return {ARRAY: torch.from_numpy(array if is_ready else np.array(array, order="C"))}
    return {ARRAY: to_plain(array.ravel().tolist()), DTYPE: array.dtype.str, SHAPE: array.shape}


def _unpack_array(plain: Mapping[str, Any]) -> np.ndarray:
    if isinstance(plain[ARRAY], torch.Tensor):
        return plain[ARRAY].numpy()
    array = np.empty(len(plain[ARRAY]), plain[DTYPE])
    array[:] = plain[ARRAY]
    return array.reshape(plain[SHAPE])


def _pack_mapping(value: Mapping[Any, Any]) -> dict[Any, Any]:
    packed = {to_plain(key): to_plain(part) for key, part in value.items()}
    if (versions := getattr(value, "_metadata", None)) is None:
        return packed
    ordered = OrderedDict(packed)  # the state of a module, whose parts may read their version
    ordered._metadata = versions  # type: ignore[attr-defined]
    return ordered


def _to_json(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray | torch.Tensor):
        return value.tolist()
    raise TypeError(
        f"history holds a {type(value).__name__}, which JSON does not know: record numbers, "
        "strings, or lists of them"
    )
