"""Food-101N: dishes as the web names them, for the classes of Food-101, which is the test set."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .._validation import check_choice
from .image_sets import Source, find_path, make_image_bunch, read_lines

SOURCE = Source(
    name="Food-101N",
    about=(
        "Images of 101 dishes by searches in the web; about 20 % of the labels are wrong. Of some "
        "it was verified by hand whether the label is right. The test set is that of Food-101."
    ),
    where=(
        "Food-101N_release.zip: https://kuanghuei.github.io/Food-101N/. Food-101, for "
        "part='test': http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz, of MD5 "
        "85eeb15f3717b99a5da872d97d918f87."
    ),
    licence="for research; the images are their authors'",
    citation=(
        "Lee, K.-H., He, X., Zhang, L., Yang, L.: CleanNet: Transfer Learning for Scalable Image "
        "Classifier Training with Label Noise. CVPR 2018. Food-101: Bossard, L., Guillaumin, M., "
        "Van Gool, L.: Food-101 - Mining Discriminative Components with Random Forests. ECCV 2014"
    ),
)
HEADERS = ("class_name", "class_name/key")
PUBLISHED = {
    "train": "310 009; 52 868 labels verified for training, 4 741 for validation",
    "verified_train": "52 868, of which one is listed twice",
    "verified_val": "4 741",
    "test": "25 250",
}


def load_food101n(
    folder: Any,
    *,
    part: str = "train",
    leave_out: Iterable[str] = (),
    size: int | None = 256,
    transform: Callable[[Any], Any] | None = None,
    return_X_y: bool = False,
) -> Any:
    r"""Read Food-101N, or its test set, which is Food-101's, from their folders.

    Parameters
    ----------
    folder : path-like
        Holds ``Food-101N_release/`` and, for the test set, ``food-101/``; or is the one that is
        asked for.
    part : {"train", "verified_train", "verified_val", "test"}, default="train"
        "train": all images. "verified_train", "verified_val": those of them whose labels were
        verified. "test": the test images of Food-101.
    leave_out : iterable of str, default=()
        Names of files not to use, as in `filenames`; what :func:`find_unreadable` returns.
    size : int or None, default=256
        Height and width that images are resized and cut to, before `transform`; None: as they are.
    transform : callable or None, default=None
        As of :class:`ImageFiles`.
    return_X_y : bool, default=False
        Return ``(data, target)``.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch` or tuple
        data : ImageFiles
            The images, read when they are asked for.
        target : ndarray of shape (n_samples,), dtype int64
            Classes in the order of their names.
        target_true : ndarray of shape (n_samples,), dtype int64, or None
            The label where it was verified to be right; -1 where it was not verified, and where it
            is wrong, as no one says what is right then. None if no label was verified.
        is_right : ndarray of shape (n_samples,), dtype int8
            Whether the label is right: 1 or 0, -1 where it was not verified. The share of wrong
            labels is ``(is_right == 0).sum() / (is_right >= 0).sum()``; all that `target_true`
            tells are right ones. All are 1 in "test".
        target_names : list of str
            The classes, in the order of their numbers.
        filenames : ndarray of str of shape (n_samples,)
            Paths below the folder.
        counts : dict
            How many images are ``listed``, ``doubled``, ``absent``, ``left_out`` and ``used``.
        DESCR : str
            What the set is, and how many images there should be.
        provenance : dict
            The lists that were read, with their sums; licence and citation.

    Raises
    ------
    FileNotFoundError
        If the lists, or all images, are not there.
    ValueError
        If `part` is none of these, or an image is of an unknown class.
    ImportError
        If Pillow is not installed.

    Warns
    -----
    UserWarning
        If some images are not there: they are left out. If a label that was verified is not among
        those of all images: the verification is not used.

    Notes
    -----
    One image can be in several classes, and so have several labels: each is a row. A label was
    verified for an image in a class.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from crust_sklearn.datasets import load_food101n
    >>> tree = tempfile.TemporaryDirectory()
    >>> folder = Path(tree.name)
    >>> for name in ("meta", "images/apple_pie", "images/waffles"):
    ...     (folder / name).mkdir(parents=True)
    >>> names = ["apple_pie/a.jpg", "waffles/b.jpg"]
    >>> for name in names:
    ...     Image.new("RGB", (300, 256)).save(folder / "images" / name)
    >>> lists = {
    ...     "classes.txt": ["class_name", "apple_pie", "waffles"],
    ...     "imagelist.tsv": ["class_name/key", *names],
    ...     "verified_train.tsv": ["class_name/key\tverification_label", names[1] + "\t0"],
    ... }
    >>> for name, lines in lists.items():
    ...     _ = (folder / "meta" / name).write_text("\n".join(lines))
    >>> food = load_food101n(folder)
    >>> food.target, food.is_right
    (array([0, 1]), array([-1,  0], dtype=int8))
    >>> tree.cleanup()
    """
    check_choice("part", part, PUBLISHED)
    options: dict[str, Any] = {
        "published": PUBLISHED[part],
        "leave_out": leave_out,
        "size": size,
        "transform": transform,
        "return_X_y": return_X_y,
    }
    if part == "test":
        return _load_test(folder, options)
    path = find_path(SOURCE, folder, ("Food-101N_release/meta/imagelist.tsv", "meta/imagelist.tsv"))
    meta = path.parent
    classes = _read_classes(meta / "classes.txt")
    names, lists = _read_table(path)[0], [path, meta / "classes.txt"]
    verified: dict[str, int] = {}
    for which in ("train", "val"):
        table = meta / f"verified_{which}.tsv"
        if part == f"verified_{which}" or (part == "train" and table.exists()):
            table = find_path(SOURCE, meta, (table.name,))
            keys, labels = _read_table(table)
            verified |= dict(zip(keys, map(int, labels), strict=True))
            lists.append(table)
    _warn_of_unknown(verified, names)
    if part != "train":
        names = [name for name in names if name in verified]
    target = _find_classes(names, classes, path)
    is_right = np.array([verified.get(name, -1) for name in names], dtype=np.int8)
    return make_image_bunch(
        SOURCE,
        [f"images/{name}" for name in names],
        target,
        folder=meta.parent,
        target_names=classes,
        lists=lists,
        target_true=np.where(is_right == 1, target, -1) if len(verified) else None,
        is_right=is_right,
        **options,
    )


def _load_test(folder: Any, options: dict[str, Any]) -> Any:
    places = ("food-101/meta/test.json", "meta/test.json", "../food-101/meta/test.json")
    path = find_path(SOURCE, folder, places)
    by_class = json.loads(path.read_text(encoding="utf-8"))
    classes = sorted(by_class)
    names = [name for label in classes for name in sorted(by_class[label])]
    target = _find_classes(names, classes, path)
    return make_image_bunch(
        SOURCE,
        [f"images/{name}.jpg" for name in names],
        target,
        folder=path.parent.parent,
        target_names=classes,
        lists=[path],
        target_true=target,
        is_right=np.ones(len(names), dtype=np.int8),
        **options,
    )


def _read_table(path: Path) -> tuple[list[str], list[str]]:
    """Return the first and the last column of a file, without the header."""
    rows = [line.split("\t") for line in read_lines(path) if line.split("\t")[0] not in HEADERS]
    return [row[0] for row in rows], [row[-1] for row in rows]


def _read_classes(path: Path) -> list[str]:
    return sorted(_read_table(find_path(SOURCE, path.parent, (path.name,)))[0])


def _find_classes(names: list[str], classes: list[str], path: Path) -> np.ndarray:
    """Return the class of each name by its folder."""
    codes = {name: code for code, name in enumerate(classes)}
    folders = [name.partition("/")[0] for name in names]
    unknown = sorted({name for name in folders if name not in codes})
    if unknown:
        raise ValueError(f"{path} names images of {unknown[:3]}, which are not among the classes.")
    return np.array([codes[name] for name in folders], dtype=np.int64)


def _warn_of_unknown(verified: dict[str, int], names: list[str]) -> None:
    unknown = sorted(set(verified) - set(names))
    if unknown:
        warnings.warn(
            f"{SOURCE.name}: {len(unknown)} labels were verified that are not in imagelist.tsv, as "
            f"{unknown[0]}. What was verified is not used there.",
            UserWarning,
            stacklevel=3,
        )
