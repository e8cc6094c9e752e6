"""ImageNet: the training and validation images of ILSVRC 2012."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from .._validation import check_choice, check_number
from .image_sets import Source, find_path, list_images, make_image_bunch, read_lines

SOURCE = Source(
    name="ImageNet (ILSVRC 2012)",
    about="Photographs of 1 000 classes of WordNet, labelled by hand.",
    where=(
        "ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz are "
        "given to those registered at https://image-net.org. Unpack the inner archives of "
        "classes, too."
    ),
    licence="https://image-net.org/download: for research",
    citation=(
        "Russakovsky, O., et al.: ImageNet Large Scale Visual Recognition Challenge. IJCV 115 "
        "(2015)"
    ),
)
WNID = re.compile(r"n\d{8}")
FLAT = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG", re.IGNORECASE)
DEVKIT = "ILSVRC2012_devkit_t12/data/meta.mat"
PUBLISHED = {"train": "1 281 167", "val": "50 000"}


def load_imagenet(
    folder: Any,
    *,
    part: str = "train",
    n_classes: int | None = None,
    leave_out: Iterable[str] = (),
    size: int | None = 256,
    transform: Callable[[Any], Any] | None = None,
    return_X_y: bool = False,
) -> Any:
    """Read ImageNet's training or validation images from their folder.

    Parameters
    ----------
    folder : path-like
        Holds ``train/`` and ``val/`` with a folder for each class, named by its WordNet id. The
        validation images may lie in ``val/`` as they are unpacked: the folder
        ``ILSVRC2012_devkit_t12/`` then says their classes.
    part : {"train", "val"}, default="train"
    n_classes : int or None, default=None
        Of so many classes, the first by their ids; None: of all. The first 50 are those of
        WebVision's mini set.
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
            Classes in the order of their WordNet ids, which is not that of the devkit's numbers.
        target_true : ndarray of shape (n_samples,), dtype int64
            `target`: the labels are taken to be right.
            :func:`~crust_sklearn.make_label_noise` makes wrong ones.
        target_names : list of str
            WordNet ids; names of classes are not unique.
        filenames : ndarray of str of shape (n_samples,)
            Sorted within each class.
        counts : dict
            How many images are ``listed``, ``doubled``, ``absent``, ``left_out`` and ``used``.
        DESCR : str
            What the set is, and how many images there should be.
        provenance : dict
            The lists that were read, with their sums; licence and citation.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no image in it, or neither folders of classes nor the devkit.
    ValueError
        If `part` is neither, or `n_classes` less than 1, or the devkit's lists do not fit the
        images.
    ImportError
        If Pillow is not installed.

    Notes
    -----
    Classes are numbered by all folders in ``train/`` and ``val/`` and all classes of the devkit
    together, so that both parts have the same numbers, also where one lacks a class.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from crust_sklearn.datasets import load_imagenet
    >>> tree = tempfile.TemporaryDirectory()
    >>> for wnid in ("n01443537", "n01440764"):
    ...     Path(tree.name, "train", wnid).mkdir(parents=True)
    ...     Image.new("L", (300, 256)).save(
    ...         Path(tree.name, "train", wnid, f"{wnid}_1.JPEG")
    ...     )
    >>> imagenet = load_imagenet(tree.name)
    >>> imagenet.target, imagenet.target_names
    (array([0, 1]), ['n01440764', 'n01443537'])
    >>> tree.cleanup()
    """
    check_choice("part", part, PUBLISHED)
    if n_classes is not None:
        check_number("n_classes", n_classes, kind=Integral, low=1)
    place = find_path(SOURCE, folder, (part,))
    root, lists = place.parent, []
    wnids = {name for which in PUBLISHED for name in _list_wnids(root / which)}
    if (root / DEVKIT).exists():
        wnids |= set(_read_wnids(root / DEVKIT).values())
    names: list[str] = []
    owners: list[str] = []
    for wnid in _list_wnids(place):
        found = list_images(place / wnid)
        names += [f"{part}/{wnid}/{name}" for name in found]
        owners += [wnid] * len(found)
    if not owners:
        if part == "train":
            raise FileNotFoundError(
                f"{SOURCE.name}: no images in folders of classes, as n01440764, are in {place}. "
                f"{SOURCE.where}"
            )
        meta = find_path(SOURCE, root, (DEVKIT,))
        truth = meta.parent / "ILSVRC2012_validation_ground_truth.txt"
        names, owners = _read_flat(place, meta, truth)
        lists = [meta, truth]
    order = sorted(wnids)[:n_classes]
    codes = {wnid: code for code, wnid in enumerate(order)}
    used = [i for i, wnid in enumerate(owners) if wnid in codes]
    target = np.array([codes[owners[i]] for i in used], dtype=np.int64)
    return make_image_bunch(
        SOURCE,
        [names[i] for i in used],
        target,
        folder=root,
        target_names=order,
        lists=lists,
        published=PUBLISHED[part],
        target_true=target,
        leave_out=leave_out,
        size=size,
        transform=transform,
        return_X_y=return_X_y,
    )


def _list_wnids(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if WNID.fullmatch(p.name) and p.is_dir())


def _read_wnids(meta: Path) -> dict[int, str]:
    """Return the WordNet id of each class by the devkit's number of it."""
    synsets = loadmat(meta, squeeze_me=True)["synsets"]
    leaves = synsets[synsets["num_children"] == 0]
    return {
        int(number): str(wnid)
        for number, wnid in zip(leaves["ILSVRC2012_ID"], leaves["WNID"], strict=True)
    }


def _read_flat(place: Path, meta: Path, truth: Path) -> tuple[list[str], list[str]]:
    """Return the names of validation images that lie in one folder, and their WordNet ids."""
    wnids = _read_wnids(meta)
    numbers = [int(line) for line in read_lines(find_path(SOURCE, truth.parent, (truth.name,)))]
    unknown = sorted(set(numbers) - set(wnids))
    if unknown:
        raise ValueError(f"{truth} has the classes {unknown[:3]}, which are not in {meta}.")
    names, owners = [], []
    for name in list_images(place):
        if (match := FLAT.fullmatch(name)) is None:
            continue
        at = int(match[1])
        if not 1 <= at <= len(numbers):
            raise ValueError(f"{truth} has {len(numbers)} lines: none for {name}.")
        names.append(f"val/{name}")
        owners.append(wnids[numbers[at - 1]])
    return names, owners
