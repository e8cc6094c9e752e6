"""Clothing1M: photographs of clothes, labelled by the texts of the shops that show them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .._validation import check_choice
from .image_sets import (
    Source,
    find_path,
    make_image_bunch,
    read_labelled_names,
    read_lines,
)

SOURCE = Source(
    name="Clothing1M",
    about=(
        "Photographs of clothes from shops of the web in 14 classes. The labels given were read "
        "from the texts around; some images were labelled by hand as well, and tell that about "
        "38.5 % of the labels given are wrong."
    ),
    where=(
        "The authors give the data on request: https://github.com/Cysu/noisy_label says how. "
        "Unpack images/0.tar to images/9.tar where they lie, and the archives of annotations."
    ),
    licence="on request, for research",
    citation=(
        "Xiao, T., Xia, T., Yang, Y., Huang, C., Wang, X.: Learning from Massive Noisy Labeled "
        "Data for Image Classification. CVPR 2015"
    ),
)
CLASSES = (
    *("T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker", "Jacket"),
    *("Downcoat", "Suit", "Shawl", "Dress", "Vest", "Underwear"),
)
# What labels a part has, and by which list; "both" is what has labels of both kinds.
PARTS = {
    "train": ("noisy", "noisy_train_key_list.txt", "1 000 000"),
    "clean_train": ("clean", "clean_train_key_list.txt", "47 570"),
    "val": ("clean", "clean_val_key_list.txt", "14 313"),
    "test": ("clean", "clean_test_key_list.txt", "10 526"),
    "both": ("noisy", None, "37 497"),
}


def load_clothing1m(
    folder: Any,
    *,
    part: str = "train",
    leave_out: Iterable[str] = (),
    size: int | None = 256,
    transform: Callable[[Any], Any] | None = None,
    return_X_y: bool = False,
) -> Any:
    r"""Read Clothing1M from its folder.

    Parameters
    ----------
    folder : path-like
        Holds ``images/`` and the lists, or these under ``annotations/``.
    part : {"train", "clean_train", "val", "test", "both"}, default="train"
        "train": the million images with labels by the shops' texts. "clean_train", "val", "test":
        images with labels by hand, which are their `target`. "both": images that have labels of
        both kinds: `target` is that by the texts, `target_true` that by hand.
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
            The labels given.
        target_true : ndarray of shape (n_samples,), dtype int64, or None
            The label by hand; -1 where there is none; None where there is none at all, as in
            "train".
        target_names : list of str
            The 14 classes.
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
        If `part` is none of these, or a line cannot be read, or no image of a list has a label.
    ImportError
        If Pillow is not installed.

    Warns
    -----
    UserWarning
        If some images, or labels of some, are not there: they are left out. If a file has two
        labels: the first counts.

    Notes
    -----
    The numbers of images are counted, not required: copies of the lists differ, as in which of
    "val" and "test" is the larger.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from crust_sklearn.datasets import load_clothing1m
    >>> tree = tempfile.TemporaryDirectory()
    >>> folder = Path(tree.name)
    >>> (folder / "images/0/00").mkdir(parents=True)
    >>> name = "images/0/00/1,2.jpg"
    >>> Image.new("RGB", (256, 300)).save(folder / name)
    >>> for kind, label in (("noisy", 3), ("clean", 4)):
    ...     _ = (folder / f"{kind}_label_kv.txt").write_text(f"{name} {label}\n")
    >>> clothing = load_clothing1m(folder, part="both")
    >>> [clothing.target_names[y] for y in (*clothing.target, *clothing.target_true)]
    ['Chiffon', 'Sweater']
    >>> tree.cleanup()
    """
    kind, list_name, published = PARTS[check_choice("part", part, PARTS)]
    path = _find_list(folder, f"{kind}_label_kv.txt")
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    labels, lists = _read_labels(path), [path]
    true: dict[str, int] = {}
    if kind == "noisy":
        is_needed = list_name is None
        if is_needed or (path.parent / "clean_label_kv.txt").exists():
            lists.append(_find_list(folder, "clean_label_kv.txt"))
            true = _read_labels(lists[-1])
    if list_name is None:
        listed = [key for key in labels if key in true]
    else:
        lists.append(_find_list(folder, list_name))
        listed = [_normalize(key) for key in read_lines(lists[-1])]
    keys = [key for key in listed if key in labels]
    if not keys:
        raise ValueError(
            f"{SOURCE.name}: no image of part={part!r} has a label in {path}. Are the lists of one "
            "release?"
        )
    if len(keys) < len(listed):
        warnings.warn(
            f"{SOURCE.name}: {len(listed) - len(keys)} of {len(listed)} images of part={part!r} "
            f"have no label in {path}. They are left out.",
            UserWarning,
            stacklevel=2,
        )
    target = np.array([labels[key] for key in keys])
    by_hand = np.array([true.get(key, -1) for key in keys]) if kind == "noisy" else target
    return make_image_bunch(
        SOURCE,
        keys,
        target,
        folder=root,
        target_names=CLASSES,
        lists=lists,
        published=published,
        target_true=by_hand if (by_hand >= 0).any() else None,
        leave_out=leave_out,
        size=size,
        transform=transform,
        return_X_y=return_X_y,
    )


def _find_list(folder: Any, name: str) -> Path:
    return find_path(SOURCE, folder, (name, f"annotations/{name}"))


def _normalize(key: str) -> str:
    """Return a key with the folder "images/", which some copies of the lists leave out."""
    return key if key.startswith("images/") else f"images/{key}"


def _read_labels(path: Path) -> dict[str, int]:
    names, found = read_labelled_names(path)
    labels: dict[str, int] = {}
    contradicted = []
    for name, label in zip(map(_normalize, names), found.tolist(), strict=True):
        if labels.setdefault(name, label) != label:
            contradicted.append(name)
    if contradicted:
        warnings.warn(
            f"{path} gives two labels to {len(contradicted)} images, as {contradicted[0]}. The "
            "first one counts.",
            UserWarning,
            stacklevel=3,
        )
    return labels
