"""Files that are written aside and renamed: a kill leaves the old file or the new one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# What the names of files end in that are still being written.
ASIDE = ".aside"


def is_path(target: Any) -> bool:
    """Return whether a target is the path of a file, and not a file-like object."""
    return isinstance(target, str | os.PathLike)


@contextmanager
def written_aside(target: str | os.PathLike[str]) -> Iterator[str]:
    """Write a file as a whole or not at all.

    Parameters
    ----------
    target : str or path

    Yields
    ------
    aside : str
        A path in the same folder, to be written to. When all of it is on the disk, it takes the
        target's place; after an error it is removed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from crust_sklearn.nets.aside import written_aside
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "numbers"
    ...     with written_aside(path) as aside:
    ...         _ = Path(aside).write_text("1 2 3")
    ...         before = path.exists()
    ...     before, path.read_text()
    (False, '1 2 3')
    """
    path = Path(os.fspath(target))
    # No two writers share a name, in threads of a search, say.
    aside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{ASIDE}")
    try:
        aside.touch()  # where that fails, the system says why
        yield str(aside)
        _sync(aside)
        os.replace(aside, path)
        # The name is on the disk when the folder is.
        with suppress(OSError):
            _sync(path.parent)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def remove_asides(folder: str | os.PathLike[str]) -> None:
    """Remove what writers that were killed have left in a folder.

    Parameters
    ----------
    folder : str or path
    """
    for path in Path(os.fspath(folder)).glob(f".*{ASIDE}"):
        with suppress(OSError):
            path.unlink()


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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
