"""CachedImages: the images of a data set decoded once, in a file that is mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from .._validation import check_choice, check_flag, check_number
from .extras import import_extra
from .images import CHUNK, ImageDataset, ImageFiles, UnreadableImageError, read_image

# What pixels a file becomes. Another way to resize has to have another name.
RULE = "shorter side, bilinear, middle square, uint8 RGB"
IMAGES, STATES, ABOUT = "images.npy", "states.npy", "about.json"
MISSING, DONE, UNREADABLE = 0, 1, 2


class CachedImages(ImageDataset):
    """Images of one size in a memory map, as :func:`cache_images` writes it.

    A pickle holds the path, and every worker maps the file itself, so that no copy is made.

    Parameters
    ----------
    path : path-like
        The folder that :func:`cache_images` has made.
    targets : array-like of shape (n_samples,), dtype int
    rows : ndarray of shape (n_samples,), dtype int64, default=None
        Which images of the map are the items; None: all.
    transform : callable or None, default=None
        Is given a ``PIL.Image.Image``. None: a tensor of shape (3, size, size), float32 in
        [0, 1].

    Attributes
    ----------
    images : ndarray of shape (n_images, 3, size, size), dtype uint8
        The memory map, opened for reading.
    targets : ndarray of shape (n_samples,), dtype int64

    Raises
    ------
    ValueError
        If there are not as many labels as images.
    FileNotFoundError
        If there is no such folder.

    See Also
    --------
    cache_images : Makes the folder, and returns this.

    Notes
    -----
    An item costs the copy of an image, and four times its bytes as floats. Where that counts, give
    `images` itself as X: a batch is one indexing then, and the module makes floats of it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from crust_sklearn.datasets import CachedImages, ImageFiles, cache_images
    >>> tree = tempfile.TemporaryDirectory()
    >>> Image.new("RGB", (40, 30)).save(Path(tree.name, "a.png"))
    >>> files = ImageFiles(["a.png"], [1], folder=tree.name)
    >>> path = Path(tree.name, "cache")
    >>> _ = cache_images(files, path, size=16)
    >>> images = CachedImages(path, [7])  # the same images with another label
    >>> images[0][1]
    7
    >>> del images
    >>> tree.cleanup()
    """

    def __init__(
        self,
        path: Any,
        targets: Any,
        *,
        rows: np.ndarray | None = None,
        transform: Callable[[Any], Any] | None = None,
    ):
        super().__init__(targets, transform)
        self.path = Path(path).resolve()
        self.images = self._open()
        self.rows = np.arange(len(self.images)) if rows is None else np.asarray(rows)
        if len(self.rows) != len(self.targets):
            raise ValueError(
                f"There are {len(self.rows)} images and {len(self.targets)} targets. Give one "
                "label for each image."
            )

    def _open(self) -> np.ndarray:
        return np.load(self.path / IMAGES, mmap_mode="r")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "images"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.images = self._open()

    def get_pixels(self, i: int) -> np.ndarray:
        """Return a copy of an image, of shape (3, size, size), dtype uint8."""
        return np.array(self.images[self.rows[i]])


def cache_images(
    dataset: ImageFiles,
    path: Any,
    *,
    size: int | None = None,
    unreadable: str = "raise",
    n_jobs: int | None = None,
    verbose: bool = False,
) -> CachedImages:
    """Decode all images once, into a memory map; or open the one that is there.

    Parameters
    ----------
    dataset : ImageFiles
    path : path-like
        The folder to make, or that was made of the same files at the same size.
    size : int or None, default=None
        Height and width of the images, as of :class:`ImageFiles`. None: that of the dataset.
    unreadable : {"raise", "leave out"}, default="raise"
        What to do if files are not there or cannot be decoded: raise an error that names them,
        when all others are done; or leave them out.
    n_jobs : int or None, default=None
        Processes, as of joblib.
    verbose : bool, default=False
        Show progress.

    Returns
    -------
    images : CachedImages
        With the targets and the transform of the dataset. Its `rows` are the items of `dataset`
        that it has: all, or those that are readable.

    Raises
    ------
    ValueError
        If there is no size; if the folder holds images of other files, or of another size.
    UnreadableImageError
        If files are not there or cannot be decoded, by ``unreadable="raise"``.
    OSError
        If the disk is full. What is written is kept.
    ImportError
        If Pillow is not installed.

    Notes
    -----
    Images take ``3 * size ** 2`` bytes each: 13 GB for the 65 944 of mini-WebVision at 256. They
    are written to ``PATH.part``, with a list of those that are done; called again after a cut, also
    by a kill, it goes on with the others. The folder gets its name when all are done. Of two
    processes that make the same, one waits for the other.

    Whether the files are the same is told by their names and order, not by what is in them; where
    they lie does not count, nor do the labels.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from crust_sklearn.datasets import ImageFiles, cache_images
    >>> tree = tempfile.TemporaryDirectory()
    >>> Image.new("RGB", (40, 30), "white").save(Path(tree.name, "a.png"))
    >>> files = ImageFiles(["a.png"], [1], folder=tree.name)
    >>> cached = cache_images(files, Path(tree.name, "cache"), size=16)
    >>> cached.images.shape, cached.images.dtype
    ((1, 3, 16, 16), dtype('uint8'))
    >>> X, y = cached[0]
    >>> X.shape, float(X.mean()), y
    (torch.Size([3, 16, 16]), 1.0, 1)
    >>> del cached
    >>> tree.cleanup()
    """
    check_choice("unreadable", unreadable, ("raise", "leave out"))
    check_flag("verbose", verbose)
    size = dataset.size if size is None else check_number("size", size, kind=Integral, low=1)
    if size is None:
        raise ValueError(
            "size=None, and the dataset has none: images in a map have one size. Give it."
        )
    path = Path(path).resolve()
    about = _describe(dataset, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    filelock = import_extra("filelock", "filelock")
    with filelock.FileLock(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            part = path.with_name(f"{path.name}.part")
            _prepare(part, about)
            _decode(dataset, part, size, n_jobs, verbose)
            states = np.load(part / STATES)
            if unreadable == "leave out" or (states == DONE).all():
                os.replace(part, path)
            else:
                _raise_unreadable(dataset.filenames[states == UNREADABLE], path)
        _check(path, about)
    states = np.load(path / STATES)
    if unreadable == "raise" and not (states == DONE).all():
        _raise_unreadable(dataset.filenames[states == UNREADABLE], path)
    rows = np.flatnonzero(states == DONE)
    return CachedImages(path, dataset.targets[rows], rows=rows, transform=dataset.transform)


def _describe(dataset: ImageFiles, size: int) -> dict[str, Any]:
    names = "\n".join(dataset.filenames.tolist()).encode()
    return {
        "images": len(dataset),
        "size": int(size),
        "rule": RULE,
        "filenames_sha256": hashlib.sha256(names).hexdigest(),
    }


def _check(folder: Path, about: dict[str, Any]) -> None:
    try:
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} is not a folder that cache_images has made ({error}). Give another path."
        ) from error
    different = [name for name in about if found.get(name) != about[name]]
    if different:
        raise ValueError(
            f"{folder} holds other images: {found.get('images')} of size {found.get('size')}, "
            f"asked for are {about['images']} of size {about['size']}, and these differ: "
            f"{', '.join(different)}. Delete the folder, or give another path."
        )


def _prepare(part: Path, about: dict[str, Any]) -> None:
    """Make the files to be filled, unless a call before has made them."""
    if (part / ABOUT).exists():
        _check(part, about)
        return
    part.mkdir(exist_ok=True)
    shape = (about["images"], 3, about["size"], about["size"])
    for name, shape_of in ((IMAGES, shape), (STATES, shape[:1])):
        # Zeros that take no space before they are written.
        np.lib.format.open_memmap(part / name, "w+", np.uint8, shape_of)
    # Last: where it is, the others are whole.
    aside = part / f"{ABOUT}.part"
    aside.write_text(json.dumps(about), encoding="utf-8")
    os.replace(aside, part / ABOUT)


def _decode(dataset: ImageFiles, part: Path, size: int, n_jobs: int | None, verbose: bool) -> None:
    """Decode what is missing, a chunk of it at a time in each process."""
    todo = np.flatnonzero(np.load(part / STATES) != DONE)
    chunks = [todo[first : first + CHUNK] for first in range(0, len(todo), CHUNK)]
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_write)(dataset.folder, dataset.filenames[rows], rows, part, size)
        for rows in chunks
    )
    with tqdm(total=len(todo), unit="image", disable=not verbose) as bar:
        for n_rows in done:
            bar.update(n_rows)


def _write(folder: Path, names: np.ndarray, rows: np.ndarray, part: Path, size: int) -> int:
    """Decode some images into their places, and then note that they are done."""
    n_bytes = 3 * size**2
    states = np.full(len(rows), DONE, dtype=np.uint8)
    # Not through a map: there, a full disk is the end of the process, not an error.
    with open(part / IMAGES, "r+b") as file:
        start = _find_start(part / IMAGES)
        for i, (name, row) in enumerate(zip(names.tolist(), rows.tolist(), strict=True)):
            try:
                image = read_image(folder / name, size)
            except UnreadableImageError:
                states[i] = UNREADABLE
                continue
            file.seek(start + row * n_bytes)
            file.write(np.asarray(image).transpose(2, 0, 1).tobytes())
        file.flush()
        os.fsync(file.fileno())
    with open(part / STATES, "r+b") as file:
        start = _find_start(part / STATES)
        for row, state in zip(rows.tolist(), states.tolist(), strict=True):
            file.seek(start + row)
            file.write(bytes([state]))
    return len(rows)


def _find_start(path: Path) -> int:
    """Return where the numbers of a .npy file begin."""
    return int(np.load(path, mmap_mode="r").offset)


def _raise_unreadable(names: np.ndarray, path: Path) -> None:
    raise UnreadableImageError(
        f"{len(names)} files cannot be read as images: {', '.join(names[:5])}"
        f"{', ...' if len(names) > 5 else ''}. Call cache_images for {path} again with "
        "unreadable='leave out', which uses the others."
    )
