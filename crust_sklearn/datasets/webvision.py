"""WebVision 1.0: images that web searches found for the classes of ImageNet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

URL = "https://data.vision.ee.ethz.ch/cvl/webvision/"
SOURCE = Source(
    name="WebVision 1.0",
    about=(
        "Images that searches in Google and Flickr found by queries made of the names of "
        "ImageNet's 1 000 classes. The label is the query's class; the true ones are not known. "
        "Validation images were labelled by hand."
    ),
    where=(
        f"The archives google_resized_256.tar, flickr_resized_256.tar, val_images_256.tar and "
        f"info.tar are at {URL}."
    ),
    licence="for research; the images are their authors'",
    citation=(
        "Li, W., Wang, L., Li, W., Agustsson, E., Van Gool, L.: WebVision Database: Visual "
        "Learning and Understanding from Web Data. arXiv:1708.02862 (2017)"
    ),
    urls={
        name: f"{URL}info.tar"
        for name in (
            *("train_filelist_google.txt", "train_filelist_flickr.txt"),
            *("train_filelist_all.txt", "val_filelist.txt", "synsets.txt"),
        )
    },
)
N_MINI = 50
LISTS = {"mini": "google", "google": "google", "flickr": "flickr", "all": "all"}
PUBLISHED = {
    ("mini", "train"): "65 944, of which some copies lack files (61 234 in one)",
    ("mini", "val"): "2 500",
    ("all", "train"): "2 439 574",
}


def load_webvision(
    folder: Any,
    *,
    subset: str = "mini",
    part: str = "train",
    leave_out: Iterable[str] = (),
    size: int | None = 256,
    transform: Callable[[Any], Any] | None = None,
    return_X_y: bool = False,
) -> Any:
    r"""Read WebVision 1.0, or the subset that most papers use, from its folder.

    Parameters
    ----------
    folder : path-like
        Holds ``info/``, ``google/``, ``flickr/`` and ``val_images_256/``, as the archives unpack.
    subset : {"mini", "google", "flickr", "all"}, default="mini"
        "mini": Google's images of the first 50 classes.
    part : {"train", "val"}, default="train"
        The validation images are those of the subset's classes.
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
            The class of the query, 0..n_classes-1: ImageNet's classes in the order of their WordNet
            ids.
        target_true : None, or ndarray of shape (n_samples,), dtype int64
            `target`, for the validation images.
        target_names : list of str
            Of ``info/synsets.txt``; without that file, the numbers of the classes.
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
        If `subset` or `part` is none of these, or a line cannot be read.
    ImportError
        If Pillow is not installed.

    Warns
    -----
    UserWarning
        If some images are not there. They are left out.

    Notes
    -----
    Papers report two test sets for the mini set: WebVision's own validation images, and ImageNet's
    of the same classes, ``load_imagenet(folder, part="val", n_classes=50)``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from crust_sklearn.datasets import load_webvision
    >>> tree = tempfile.TemporaryDirectory()
    >>> folder = Path(tree.name)
    >>> for name in ("info", "google/q0001"):
    ...     (folder / name).mkdir(parents=True)
    >>> lines = "google/q0001/a.jpg 49\ngoogle/q0001/b.jpg 50\n"
    >>> _ = (folder / "info/train_filelist_google.txt").write_text(lines)
    >>> for name in ("a", "b"):
    ...     Image.new("RGB", (300, 256)).save(folder / f"google/q0001/{name}.jpg")
    >>> webvision = load_webvision(folder)
    >>> webvision.filenames, webvision.target
    (array(['google/q0001/a.jpg'], dtype='<U18'), array([49]))
    >>> X, y = webvision.data[0]
    >>> X.shape
    torch.Size([3, 256, 256])
    >>> tree.cleanup()
    """
    check_choice("subset", subset, LISTS)
    check_choice("part", part, ("train", "val"))
    what = f"train_filelist_{LISTS[subset]}" if part == "train" else "val_filelist"
    path = find_path(SOURCE, folder, (f"info/{what}.txt", f"{what}.txt"))
    root = path.parent.parent if path.parent.name == "info" else path.parent
    names, target = read_labelled_names(path)
    lists = [path]
    if part == "val":
        images = find_path(SOURCE, root, ("val_images_256", "val_images"))
        names = [f"{images.name}/{name.rpartition('/')[2]}" for name in names]
    if subset == "mini":
        is_mini = target < N_MINI
        names, target = np.asarray(names, dtype=np.str_)[is_mini].tolist(), target[is_mini]
    target_names = [str(label) for label in range(1000)]
    synsets = path.parent / "synsets.txt"
    if synsets.exists():
        target_names, lists = read_lines(synsets), [*lists, synsets]
    return make_image_bunch(
        SOURCE,
        names,
        target,
        folder=root,
        target_names=target_names[:N_MINI] if subset == "mini" else target_names,
        lists=lists,
        published=PUBLISHED.get((subset, part), "50 000 for validation, 2 439 574 in all others"),
        target_true=target if part == "val" else None,
        leave_out=leave_out,
        size=size,
        transform=transform,
        return_X_y=return_X_y,
    )
