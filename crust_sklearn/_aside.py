"""Files that are written aside and renamed: a kill leaves the old file or the new one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What the names of files end in that are still being written.
ASIDE = ".aside"


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
    >>> from crust_sklearn._aside import written_aside
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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
