"""ANIMAL-10N: animals that are easily confused, labelled by people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .._validation import check_choice
from .bunch import make_bunch
from .image_sets import (
    Source,
    describe,
    find_left_out,
    find_path,
    list_images,
    make_image_bunch,
    make_provenance,
)
from .images import ImageArray

SOURCE = Source(
    name="ANIMAL-10N",
    about=(
        "Images of ten animals, five pairs of which look alike, labelled by students; about 8 % of "
        "the labels of training images are wrong. Those of test images are right."
    ),
    where="The authors give the data to who fills in their form: https://dm.kaist.ac.kr/datasets/animal-10n/",
    licence="for research",
    citation=(
        "Song, H., Kim, M., Lee, J.-G.: SELFIE: Refurbishing Unclean Samples for Robust Deep "
        "Learning. ICML 2019"
    ),
)
# In the order of the labels, as the authors write them.
CLASSES = (
    *("cat", "lynx", "wolf", "coyote", "cheetah", "jaguer", "chimpanzee", "orangutan"),
    *("hamster", "guinea pig"),
)
SIDE = 64
# The byte order of the numbers is told nowhere: it is the one whose labels are classes.
RECORDS = [
    np.dtype([("id", f"{order}i4"), ("label", f"{order}i4"), ("image", "u1", (3, SIDE, SIDE))])
    for order in "<>"
]
FIELDS = ("image", "label")
FOLDERS = {"train": "training", "test": "testing"}
PUBLISHED = {"train": "50 000", "test": "5 000"}


def load_animal10n(
    folder: Any,
    *,
    part: str = "train",
    leave_out: Iterable[str] = (),
    size: int | None = None,
    transform: Callable[[Any], Any] | None = None,
    return_X_y: bool = False,
) -> Any:
    """Read ANIMAL-10N from its folder, in either of the two forms that it is given in.

    Parameters
    ----------
    folder : path-like
        Holds ``training/`` and ``testing/`` with images, also below ``raw_image/``; or
        ``data_batch_1.bin``, ... and ``test_batch.bin``. Where both are, the images are read.
    part : {"train", "test"}, default="train"
    leave_out : iterable of str, default=()
        Names of files not to use, as in `filenames`; what :func:`find_unreadable` returns.
    size : int or None, default=None
        Height and width that images are resized to, before `transform`; None: as they are, 64 x 64.
        Not for the binary form.
    transform : callable or None, default=None
        As of :class:`ImageFiles`.
    return_X_y : bool, default=False
        Return ``(data, target)``.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch` or tuple
        data : ImageFiles or ImageArray
            The images, read when they are asked for; those of the binary form are held in memory:
            some 600 MB.
        target : ndarray of shape (n_samples,), dtype int64
            The labels given.
        target_true : None, or ndarray of shape (n_samples,), dtype int64
            `target`, for the test images.
        target_names : list of str
            The ten animals, with the authors' "jaguer".
        filenames : ndarray of str of shape (n_samples,)
            Sorted. In the binary form ``file#id``.
        counts : dict
            How many images are ``listed``, ``doubled``, ``absent``, ``left_out`` and ``used``.
        DESCR : str
            What the set is, and how many images there should be.
        provenance : dict
            The lists that were read, with their sums; licence and citation.

    Raises
    ------
    FileNotFoundError
        If there are neither images nor binary files.
    ValueError
        If `part` is neither, a name or a record has no label, or `size` is given for the binary
        form.
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from crust_sklearn.datasets import load_animal10n
    >>> tree = tempfile.TemporaryDirectory()
    >>> Path(tree.name, "training").mkdir()
    >>> for name in ("9_b.JPG", "0_a.jpg"):
    ...     Image.new("RGB", (64, 64)).save(Path(tree.name, "training", name), "JPEG")
    >>> animals = load_animal10n(tree.name)
    >>> [animals.target_names[y] for y in animals.target]
    ['cat', 'guinea pig']
    >>> tree.cleanup()
    """
    check_choice("part", part, FOLDERS)
    name = FOLDERS[part]
    binary = "data_batch_1.bin" if part == "train" else "test_batch.bin"
    below = ("", "raw_image/", "raw_image_ver/raw_image/", "raw_image_ver/")
    path = find_path(SOURCE, folder, (*(f"{root}{name}" for root in below), binary))
    if path.name == binary:
        if size is not None:
            raise ValueError(
                f"size={size!r}: images of the binary form have 64 x 64 pixels. Resize them in the "
                "transform."
            )
        return _load_records(path.parent, part, leave_out, transform, return_X_y)
    names = list_images(path)
    return make_image_bunch(
        SOURCE,
        [f"{name}/{image}" for image in names],
        target := np.array([_read_label(image) for image in names], dtype=np.int64),
        folder=path.parent,
        target_names=CLASSES,
        lists=[],
        published=PUBLISHED[part],
        target_true=target if part == "test" else None,
        leave_out=leave_out,
        size=size,
        transform=transform,
        return_X_y=return_X_y,
    )


def _read_label(name: str) -> int:
    label = name.partition("_")[0]
    if not label.isdecimal():
        raise ValueError(
            f"{SOURCE.name}: {name} does not begin with a label and '_', as 0_123.jpg does."
        )
    return int(label)


def _load_records(
    folder: Path, part: str, leave_out: Iterable[str], transform: Any, return_X_y: bool
) -> Any:
    pattern = re.compile(r"data_batch_(\d+)\.bin" if part == "train" else r"test_batch()\.bin")
    found = [(match[1], p) for p in folder.iterdir() if (match := pattern.fullmatch(p.name))]
    paths = [path for _, path in sorted(found, key=lambda item: int(item[0] or 0))]
    records = [_read_records(path) for path in paths]
    names = np.array(
        [f"{p.name}#{i}" for p, part in zip(paths, records, strict=True) for i in part["id"]]
    )
    kept = np.flatnonzero(~find_left_out(names, leave_out))
    images, target = (np.concatenate([part[field] for part in records])[kept] for field in FIELDS)
    target = target.astype(np.int64)
    counts = {
        "listed": len(names),
        "doubled": 0,
        "absent": 0,
        "left_out": len(names) - len(kept),
        "used": len(kept),
    }
    return make_bunch(
        ImageArray(images, target, transform=transform),
        target,
        target_true=target if part == "test" else None,
        target_names=list(CLASSES),
        descr=describe(SOURCE, counts, PUBLISHED[part]),
        provenance=make_provenance(SOURCE, paths),
        return_X_y=return_X_y,
        filenames=names[kept],
        counts=counts,
    )


def _read_records(path: Path) -> np.ndarray:
    """Return the records of a file, in the byte order by which all labels are classes."""
    n_bytes, n_record = path.stat().st_size, RECORDS[0].itemsize
    if n_bytes == 0 or n_bytes % n_record:
        raise ValueError(
            f"{path} has {n_bytes} bytes, which is not a number of records of {n_record}: an id, a "
            f"label and an image of 3 x {SIDE} x {SIDE}."
        )
    for record in RECORDS:
        records = np.fromfile(path, record)
        if ((records["label"] >= 0) & (records["label"] < len(CLASSES))).all():
            return records
    raise ValueError(
        f"{path}: in neither byte order are all labels in 0..{len(CLASSES) - 1}: it holds other "
        "data, or is damaged."
    )
