"""What the readers of folders of images share: lists of files in, a Bunch out."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .bunch import make_bunch
from .images import ImageFiles

# By their endings in lower case; what begins with a dot is some system's own.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class Source(NamedTuple):
    """What is known of a data set, whoever has it.

    Attributes
    ----------
    name : str
    about : str
        What its labels are, a few sentences.
    where : str
        Where it is to be had.
    licence, citation : str
    urls : dict of str to str
        By the name of a file.
    """

    name: str
    about: str
    where: str
    licence: str
    citation: str
    urls: dict[str, str] = {}


def find_path(source: Source, folder: Any, candidates: Sequence[str]) -> Path:
    """Return the first of some paths below a folder that is there.

    Parameters
    ----------
    source : Source
    folder : path-like
    candidates : sequence of str

    Returns
    -------
    path : Path

    Raises
    ------
    FileNotFoundError
        If none is there: it says what was looked for, where, and where the data are to be had.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(
            f"There is no folder {root}, where {source.name} was looked for. {source.where}"
        )
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise FileNotFoundError(
        f"{source.name}: none of {', '.join(candidates)} is in {root}. Give the folder that one of "
        f"them lies in, with the archives unpacked. {source.where}"
    )


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not blank."""
    text = path.read_text(encoding="utf-8-sig")
    return [line.strip() for line in text.split("\n") if line.strip()]


def read_labelled_names(path: Path) -> tuple[list[str], np.ndarray]:
    """Return what lines of a name, a blank and a number say; the last blank counts.

    Parameters
    ----------
    path : Path

    Returns
    -------
    names : list of str of length n
    labels : ndarray of shape (n,), dtype int64

    Raises
    ------
    ValueError
        If a line is none of these: it names the file and the line.
    """
    names, labels = [], []
    for line in read_lines(path):
        name, _, label = line.rpartition(" ")
        if not name or not label.isdecimal():
            raise ValueError(
                f"{path}: the line {line!r} is not a file's name, a blank and a class."
            )
        names.append(name.strip())
        labels.append(int(label))
    return names, np.array(labels, dtype=np.int64)


def list_images(folder: Path) -> list[str]:
    """Return the names of the images in a folder, sorted."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.name.lower().endswith(IMAGE_ENDINGS)]
    return sorted(name for name in names if not name.startswith("."))


def make_image_bunch(
    source: Source,
    filenames: Sequence[str],
    target: Any,
    *,
    folder: Path,
    target_names: Sequence[str],
    lists: Sequence[Path],
    published: str,
    target_true: np.ndarray | None = None,
    leave_out: Iterable[str] = (),
    size: int | None,
    transform: Any,
    return_X_y: bool,
    **columns: np.ndarray,
) -> Any:
    """Return the Bunch of a set of image files.

    Parameters
    ----------
    source : Source
    filenames : sequence of str of length n_listed
        Relative to `folder`.
    target : array-like of shape (n_listed,)
    folder : Path
    target_names : sequence of str
    lists : sequence of Path
        The files that were read, for the provenance.
    published : str
        How many images there should be.
    target_true : ndarray of shape (n_listed,), default=None
    leave_out : iterable of str, default=()
        Names, as in `filenames`, of files not to use.
    size, transform
        As of `ImageFiles`.
    return_X_y : bool
    **columns : ndarray of shape (n_listed,)
        Further entries with a value for each image.

    Returns
    -------
    bunch : Bunch or tuple
        With `filenames` and `counts` beside what all have.

    Raises
    ------
    ValueError
        If a label has no class.
    FileNotFoundError
        If none of the files is there.

    Warns
    -----
    UserWarning
        If some are not there.
    """
    names, labels = np.asarray(filenames, dtype=np.str_), np.asarray(target, dtype=np.int64)
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(target_names):
        raise ValueError(
            f"{source.name}: labels from {labels.min()} to {labels.max()} are given to images, and "
            f"there are {len(target_names)} classes."
        )
    is_first = _find_first(names, labels)
    is_there = _find_present(names, folder)
    if not (is_first & is_there).any():
        tried = f", as {folder / names[0]}" if len(names) else ""
        raise FileNotFoundError(
            f"{source.name}: none of the {len(names)} images that its lists name is in {folder}"
            f"{tried}. Unpack the archives of images there. {source.where}"
        )
    absent = names[is_first & ~is_there]
    if len(absent):
        warnings.warn(
            f"{source.name}: {len(absent)} of {is_first.sum()} images are not in {folder}, among "
            f"them {', '.join(absent[:3])}. They are left out.",
            UserWarning,
            stacklevel=3,
        )
    is_left_out = find_left_out(names, leave_out)
    kept = np.flatnonzero(is_first & is_there & ~is_left_out)
    counts = {
        "listed": len(names),
        "doubled": int((~is_first).sum()),
        "absent": len(absent),
        "left_out": int((is_first & is_there & is_left_out).sum()),
        "used": len(kept),
    }
    return make_bunch(
        ImageFiles(names[kept], labels[kept], folder=folder, size=size, transform=transform),
        labels[kept],
        target_true=None if target_true is None else np.asarray(target_true)[kept],
        target_names=list(target_names),
        descr=describe(source, counts, published),
        provenance=make_provenance(source, lists),
        return_X_y=return_X_y,
        filenames=names[kept],
        counts=counts,
        **{name: np.asarray(column)[kept] for name, column in columns.items()},
    )


def find_left_out(names: np.ndarray, leave_out: Iterable[str]) -> np.ndarray:
    """Return for each name whether it is among those to leave out.

    Raises
    ------
    TypeError
        If `leave_out` is no list of names.
    """
    leave_out = leave_out if isinstance(leave_out, str | bytes) else list(leave_out)
    if isinstance(leave_out, str | bytes) or not all(isinstance(n, str) for n in leave_out):
        raise TypeError(
            f"leave_out={leave_out!r} is not a list of file names. Give what find_unreadable "
            "returns, or names as in the bunch's filenames."
        )
    return np.isin(names, np.array(leave_out, dtype=np.str_))


def describe(source: Source, counts: dict[str, int], published: str) -> str:
    """Return the text of `DESCR`."""
    here = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    return (
        f"{source.name}\n\n{source.about}\n\nImages here: {here}. Published: {published}.\n\n"
        f"{source.where}\n\n{source.citation}\n"
    )


def make_provenance(source: Source, lists: Iterable[Path]) -> dict[str, Any]:
    """Return where the files that were read come from, with their sums."""
    files = [
        {
            "name": path.name,
            "url": source.urls.get(path.name),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in lists
    ]
    return {"files": files, "licence": source.licence, "citation": source.citation}


def _find_first(names: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which rows are not a repetition of one above, with the same label."""
    seen: set[tuple[str, int]] = set()
    is_first = np.ones(len(names), dtype=bool)
    for i, row in enumerate(zip(names.tolist(), labels.tolist(), strict=True)):
        is_first[i] = row not in seen
        seen.add(row)
    return is_first


def _find_present(names: np.ndarray, folder: Path) -> np.ndarray:
    """Return which files are there, by one listing of each folder."""
    listings: dict[str, set[str]] = {}
    is_there = np.empty(len(names), dtype=bool)
    for i, name in enumerate(names.tolist()):
        parent, _, last = name.rpartition("/")
        if parent not in listings:
            place = folder / parent
            listings[parent] = set(os.listdir(place)) if place.is_dir() else set()
        is_there[i] = last in listings[parent]
    return is_there
