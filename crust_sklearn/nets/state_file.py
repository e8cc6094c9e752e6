"""The file that holds a net whole: what training needs to go on as if it had not stopped."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .._aside import written_aside
from ..labels import LabelCodec
from .callback_states import check_states, get_states
from .evaluation import unwrap
from .plain import from_plain, to_plain
from .state import TrainingState
from .unwritten import is_path

FORMAT, VERSION = "crust_sklearn net", 1
# Beside history.json lies history.state.pt.
SUFFIX = ".state.pt"
# What stands for the history of the coresets, which is part of the state.
COPIED = "of the state"
# What is said of a tensor that gets its shape by the first batch.
OPEN = "of any shape"


def get_state_path(f_history: str | os.PathLike[str]) -> Path:
    """Return where the whole net is saved beside a history.

    Parameters
    ----------
    f_history : str or path

    Returns
    -------
    path : Path

    Examples
    --------
    >>> from crust_sklearn.nets.state_file import get_state_path
    >>> get_state_path("train_end_history.json").name
    'train_end_history.state.pt'
    """
    return Path(os.fspath(f_history)).with_suffix(SUFFIX)


def find_state(checkpoint: Any) -> Path | None:
    """Return the state file of a checkpoint, or None where there is none.

    Parameters
    ----------
    checkpoint : skorch.callbacks.Checkpoint

    Returns
    -------
    path : Path or None

    Raises
    ------
    ValueError
        If its `f_state` tells of the history, which is in the file.
    """
    f_state = getattr(checkpoint, "f_state", None)
    if is_path(f_state):
        if "{" in str(f_state):
            raise ValueError(
                f"f_state={f_state!r} of the Checkpoint cannot be filled in before the file is "
                "read. Give a name without braces."
            )
        return Path(checkpoint.dirname) / f"{checkpoint.fn_prefix}{f_state}"
    if not is_path(checkpoint.f_history_):
        return None
    path = get_state_path(checkpoint.f_history_)
    return path if path.exists() else None


def get_parts(net: Any) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """Return modules and criteria by name, and the optimizers.

    Parameters
    ----------
    net : NoisyLabelClassifier

    Returns
    -------
    modules : dict of str to torch.nn.Module
    optimizers : dict of str to torch.optim.Optimizer
    """
    found = {name: unwrap(getattr(net, f"{name}_")) for name in net._modules + net._criteria}
    modules = {name: part for name, part in found.items() if isinstance(part, nn.Module)}
    optimizers = {name: getattr(net, f"{name}_") for name in net._optimizers}
    # A net that was trimmed for prediction has none; Accelerate's have another inside.
    return modules, {
        name: getattr(part, "optimizer", part)
        for name, part in optimizers.items()
        if part is not None
    }


# -- writing ----------------------------------------------------------------------------------


def collect(net: Any) -> dict[str, Any]:
    """Return everything that a net has learnt, without its parameters and the data.

    Parameters
    ----------
    net : NoisyLabelClassifier
        Initialized.

    Returns
    -------
    content : dict
        For ``torch.save``; its tensors share memory with the net's.

    Raises
    ------
    TypeError
        If a module's or an optimizer's state, or the history, can only be pickled.
    """
    modules, optimizers = get_parts(net)
    state, codec = vars(net).get("state_"), net.codec_
    content = {
        "format": FORMAT,
        "version": VERSION,
        "estimator": type(net).__name__,
        "classes": None if codec is None else codec.classes,
        "modules": {name: module.state_dict() for name, module in modules.items()},
        "frozen": _get_frozen(modules),
        "optimizers": {
            name: {"kind": type(part).__name__, "state": part.state_dict()}
            for name, part in optimizers.items()
        },
        "history": net.history,
        "seed": vars(net).get("seed_"),
        "calls": net.calls_,
        "state": None if state is None else state.state_dict(),
    }
    return {name: _pack(name, part) for name, part in content.items()} | {
        "published": _collect_published(net),
        "callbacks": get_states(net.callbacks_),
    }


def _pack(name: str, part: Any) -> Any:
    try:
        return to_plain(part)
    except TypeError as error:
        raise TypeError(
            f"The net cannot be saved without a pickle: of its {name}, {error}."
        ) from error


def _get_frozen(modules: dict[str, nn.Module]) -> list[list[str]]:
    return [
        [name, key]
        for name, module in modules.items()
        for key, parameter in module.named_parameters()
        if not parameter.requires_grad
    ]


def _collect_published(net: Any) -> dict[str, Any]:
    """Return the fitted attributes, but what only a pickle could hold."""
    found: dict[str, Any] = {}
    history = getattr(vars(net).get("state_"), "coreset_history", None)
    for name, value in net.get_saved_attributes().items():
        try:
            is_copied = history is not None and value is history
            found[name] = COPIED if is_copied else to_plain(value)
        except TypeError:
            continue
    return found


def write(content: dict[str, Any], target: Any) -> None:
    """Write the content of a state file, aside where it has a path.

    Parameters
    ----------
    content : dict
        Of `collect`.
    target : str, path or file-like
    """
    if not is_path(target):
        torch.save(content, target)
        return
    with written_aside(target) as aside, open(aside, "wb") as file:
        torch.save(content, file)


# -- reading ----------------------------------------------------------------------------------


def read_state(path: Any) -> dict[str, Any]:
    """Return what a state file holds; no pickle is executed.

    Parameters
    ----------
    path : str, path or file-like

    Returns
    -------
    content : dict

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is damaged, no state file, or one of another version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"its part {damaged} is damaged")
        if not is_path(path):
            path.seek(0)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # of zipfile, torch and pickle, each of its own
        raise refuse(path, f"It is damaged, or no state file: {_shorten(error)}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise refuse(path, "It holds something else.")
    if content.get("version") != VERSION:
        version = content.get("version")
        raise refuse(path, f"Its version is {version}, and this package reads {VERSION}.")
    return content


def refuse(path: Any, reason: str) -> ValueError:
    """Return the error of a file that a net does not go on with.

    Parameters
    ----------
    path : str, path or file-like
    reason : str
        A sentence.

    Returns
    -------
    error : ValueError
    """
    return ValueError(
        f"The net cannot go on with {path}: {reason} Nothing was changed. To begin anew, remove "
        "the file, or give the Checkpoint another dirname."
    )


def _shorten(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200].rstrip('. ')}"


def unpack(net: Any, content: dict[str, Any], path: Any) -> dict[str, Any]:
    """Check that the content of a file is about such a net, and return it unpacked.

    Parameters
    ----------
    net : NoisyLabelClassifier
        Initialized; it is not changed.
    content : dict
        Of `read_state`.
    path : str, path or file-like
        For the message.

    Returns
    -------
    unpacked : dict
        For `restore`.

    Raises
    ------
    ValueError
    """
    try:
        found = {
            name: from_plain(content[name])
            for name in ("modules", "frozen", "optimizers", "history", "seed", "calls")
            + ("classes", "published", "callbacks", "estimator", "state")
        }
        if found["state"] is not None:
            found["state"] = TrainingState().load_state_dict(found["state"])
        _check_kind(net, found)
        _check_parts(net, found)
        check_states(net.callbacks_, found["callbacks"])
    except ValueError as error:
        raise refuse(path, str(error)) from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise refuse(path, f"A part is missing, or not as it should be: {error!r}.") from error
    return found


def _check_kind(net: Any, found: dict[str, Any]) -> None:
    if found["estimator"] != type(net).__name__:
        raise ValueError(f"It is about a {found['estimator']}, not a {type(net).__name__}.")
    classes = found["classes"]
    if net.codec_ is not None and not np.array_equal(net.codec_.classes, classes):
        own, theirs = net.codec_.classes.tolist(), None if classes is None else classes.tolist()
        raise ValueError(f"It is about the classes {theirs}, and those of the net are {own}.")


def _check_parts(net: Any, found: dict[str, Any]) -> None:
    modules, optimizers = get_parts(net)
    for what, own in (("modules", modules), ("optimizers", optimizers)):
        if found[what].keys() != own.keys():
            raise ValueError(f"It has the {what} {[*found[what]]}, and the net has {[*own]}.")
    for name, module in modules.items():
        own, theirs = _describe(module.state_dict()), _describe(found["modules"][name])
        is_open = {key for key, what in own.items() if what == OPEN}
        other = {key for key, _ in own.items() ^ theirs.items()} - (is_open & theirs.keys())
        if other:
            key = min(other)
            raise ValueError(
                f"Of {name}_, {key} is {theirs.get(key, 'not there')} in it, and "
                f"{own.get(key, 'not there')} in the net."
            )
    for name, optimizer in optimizers.items():
        kind, state = found["optimizers"][name]["kind"], found["optimizers"][name]["state"]
        if kind != type(optimizer).__name__:
            own_kind = type(optimizer).__name__
            raise ValueError(f"Its {name} is {kind}, and that of the net {own_kind}.")
        sizes = [len(group["params"]) for group in state["param_groups"]]
        if sizes != [len(group["params"]) for group in optimizer.param_groups]:
            raise ValueError(f"The groups of its {name} have other numbers of parameters.")


def _describe(state: dict[str, Any]) -> dict[str, str]:
    """Return shape and type of each tensor of a module."""

    def describe(part: Any) -> str:
        if nn.parameter.is_lazy(part):
            return OPEN
        return f"{tuple(part.shape)} {part.dtype}" if torch.is_tensor(part) else "no tensor"

    return {key: describe(part) for key, part in state.items()}


def restore(net: Any, found: dict[str, Any]) -> None:
    """Give a net what a file holds.

    Parameters
    ----------
    net : NoisyLabelClassifier
    found : dict
        Of `unpack`.
    """
    modules, optimizers = get_parts(net)
    frozen = {tuple(pair) for pair in found["frozen"]}
    for name, module in modules.items():
        module.load_state_dict(found["modules"][name])
        for key, parameter in module.named_parameters():
            parameter.requires_grad_((name, key) not in frozen)
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(found["optimizers"][name]["state"])
    net.history = found["history"]
    if net.codec_ is None and found["classes"] is not None:
        net.codec_ = LabelCodec(found["classes"])
        net.classes_inferred_ = net.codec_.classes
    net.calls_ = tuple(tuple(call) for call in found["calls"])
    for name, value in (("seed_", found["seed"]), ("state_", found["state"])):
        net.__dict__.pop(name, None)
        if value is not None:
            net.__dict__[name] = value


def restore_published(net: Any, found: dict[str, Any]) -> None:
    """Give a net the fitted attributes that a file holds.

    Parameters
    ----------
    net : NoisyLabelClassifier
        After `restore`.
    found : dict
        Of `unpack`.
    """
    published = dict(found["published"])
    for name, value in published.items():
        if isinstance(value, str) and value == COPIED:
            published[name] = net.state_.coreset_history
    net.set_saved_attributes(published)
