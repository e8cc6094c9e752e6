"""Files that a net could not write."""

from __future__ import annotations

import os
from typing import Any


def is_path(target: Any) -> bool:
    """Return whether a target is the path of a file, and not a file-like object."""
    return isinstance(target, str | os.PathLike)


def explain_unwritten(targets: list[Any], error: Exception) -> OSError:
    """Return an error that says which files could not be written, and what to do.

    Parameters
    ----------
    targets : list of path or file-like
    error : Exception
        What went wrong.

    Returns
    -------
    explained : OSError
    """
    # Where the disk is full, torch tells of its own file's state, and of the cause behind it.
    cause: BaseException = error
    while not isinstance(cause, OSError) and (cause.__context__ or cause.__cause__):
        cause = cause.__context__ or cause.__cause__  # type: ignore[assignment]
    reason = str(cause if isinstance(cause, OSError) else error).rstrip(".")
    names = ", ".join(str(target) for target in targets)
    return OSError(
        f"{names} could not be written: {reason}. The net "
        "is as training has left it, and the file as it was before, if there was one. Make room, "
        "or name a folder that can be written to (dirname of a Checkpoint)."
    )
