"""Tiny ImageNet: 200 classes of ImageNet, in images of 64 x 64 pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .._validation import check_choice, check_flag
from .archives import fetch_folder
from .bunch import make_bunch
from .download import RemoteFile, describe_file
from .extras import import_extra
from .home import open_home

ROOT = "tiny-imagenet-200"
SIDE = 64
# Only an MD5 is published.
ARCHIVE = RemoteFile(
    "tiny-imagenet-200.zip",
    "https://cs231n.stanford.edu/tiny-imagenet-200.zip",
    248_100_043,
    md5="90528d7ca1a48142e341f4ef8d21d0de",
)
LICENCE = "ImageNet's terms of access: for research and education, without selling."
CITATION = (
    'Y. Le, X. Yang. "Tiny ImageNet Visual Recognition Challenge", CS 231N, Stanford, 2015. '
    'ImageNet: O. Russakovsky et al. "ImageNet Large Scale Visual Recognition Challenge", '
    "International Journal of Computer Vision 115, 2015."
)

Folder = str | os.PathLike[str]


def fetch_tiny_imagenet(
    *,
    subset: str = "train",
    data_home: Folder | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
    timeout: float = 30.0,
) -> Any:
    """Load Tiny ImageNet; download it where it is missing.

    100 000 training images and 10 000 test images of 64 x 64 pixels, 200 classes [1]_. Its labels
    are clean: wrong ones are made by :func:`~crust_sklearn.make_label_noise`. The test images are
    the set's validation images, as in all papers: the labels of its own test images are not
    published.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        Which images.
    data_home : str or path, default=None
        The folder of downloads; None for scikit-learn's, see
        :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        If False, raise an OSError where the files are not there.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    n_retries : int, default=3
        How often a request is made again that brought nothing new.
    delay : float, default=1.0
        Seconds before the first of these; doubled before each further one.
    timeout : float, default=30.0
        Seconds of silence after which a connection counts as cut.

    Returns
    -------
    Bunch
        - data : ndarray of uint8 of shape (n_samples, 3, 64, 64). Channels first; grey images have
          three equal channels. The training images take 1.2 GB.
        - target, target_true : ndarray of int64 of shape (n_samples,). Classes are numbered in the
          order of their WordNet ids.
        - target_names : list of str. The words for the classes.
        - wordnet_ids : list of str. Their ids.
        - filenames : list of str. Paths in the set.
        - DESCR : str.
        - provenance : dict. Files with addresses, sizes and sums; licence; citation.

    Raises
    ------
    OSError
        If the download fails, see :func:`~crust_sklearn.datasets.download.fetch_file`, or is
        needed and not allowed.
    ValueError
        If an option is unknown, or a file of the set is damaged.
    ImportError
        If pillow is not installed, which the extra ``datasets`` brings.

    Notes
    -----
    The archive (248 MB) is checked by its MD5, the only sum that is published: it tells damage, and
    no forgery by the publisher. The page of the set has an address of plain http; the same address
    by https is used here, and no other. Where that does not work, put the archive, from wherever it
    is, into ``tiny_imagenet`` in `data_home`: it is checked there, and taken.

    Images are decoded in each call: half a minute for those of the training set.

    References
    ----------
    .. [1] Y. Le, X. Yang. "Tiny ImageNet Visual Recognition Challenge", CS 231N, Stanford, 2015.

    Examples
    --------
    >>> from crust_sklearn.datasets import fetch_tiny_imagenet
    >>> X, y = fetch_tiny_imagenet(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (10000, 3, 64, 64)
    """
    _check_options(subset, return_X_y)
    home = open_home(data_home, "tiny_imagenet", [ROOT], download_if_missing)
    options = {"n_retries": n_retries, "delay": delay, "timeout": timeout}
    root = fetch_folder(ARCHIVE, home, ROOT, **options)
    return _load(root, subset, return_X_y, [ARCHIVE.get_provenance()])


def load_tiny_imagenet(folder: Folder, *, subset: str = "train", return_X_y: bool = False) -> Any:
    """Read Tiny ImageNet from a folder.

    Parameters
    ----------
    folder : str or path
        ``tiny-imagenet-200``, unpacked, or the folder that holds it.
    subset : {"train", "test"}, default="train"
        Which images; those of the test are the set's validation images.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        As of :func:`fetch_tiny_imagenet`. The provenance holds the sums of the lists that were
        read, not those of the images.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If an option is unknown, or a file is damaged or of another layout.
    ImportError
        If pillow is not installed, which the extra ``datasets`` brings.

    Examples
    --------
    >>> from crust_sklearn.datasets import load_tiny_imagenet
    >>> tiny = load_tiny_imagenet("data", subset="test")  # doctest: +SKIP
    >>> tiny.wordnet_ids[:2]  # doctest: +SKIP
    ['n01443537', 'n01629819']
    """
    _check_options(subset, return_X_y)
    folder = Path(folder)
    for root in (folder / ROOT, folder):
        if (root / "wnids.txt").exists():
            return _load(root, subset, return_X_y)
    raise FileNotFoundError(
        f"{folder} has no {ROOT}/wnids.txt. Give the folder that {ARCHIVE.name} was unpacked in, "
        f"from {ARCHIVE.url}."
    )


def _check_options(subset: str, return_X_y: bool) -> None:
    check_choice("subset", subset, ("train", "test"))
    check_flag("return_X_y", return_X_y)


def _load(
    root: Path, subset: str, return_X_y: bool, published: list[dict[str, Any]] | None = None
) -> Any:
    lists = ["wnids.txt", "words.txt"] + (["val/val_annotations.txt"] if subset == "test" else [])
    ids = sorted(_read_lines(root / lists[0]))  # in the file they are not
    words = dict(line.split("\t", 1) for line in _read_lines(root / lists[1]))
    pairs = _list_train(root, ids) if subset == "train" else _list_test(root, ids)
    names, target = [name for name, _ in pairs], np.array([code for _, code in pairs], np.int64)
    return make_bunch(
        _read_images([root / name for name in names]),
        target,
        target_true=target.copy(),
        target_names=[words.get(wordnet_id, wordnet_id) for wordnet_id in ids],
        descr=(
            f"Tiny ImageNet, {subset} images: {len(target)} images of 3 x {SIDE} x {SIDE} pixels, "
            f"{len(ids)} classes in the order of their WordNet ids.\n\n{CITATION}\n\n{LICENCE}"
        ),
        provenance={
            "files": published or [describe_file(root / name) for name in lists],
            "licence": LICENCE,
            "citation": CITATION,
        },
        return_X_y=return_X_y,
        wordnet_ids=ids,
        filenames=names,
    )


def _read_lines(path: Path) -> list[str]:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. It is part of {ARCHIVE.name}.")
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _list_train(root: Path, ids: list[str]) -> list[tuple[str, int]]:
    pairs = []
    for code, wordnet_id in enumerate(ids):
        folder = Path("train", wordnet_id, "images")
        if not (root / folder).is_dir():
            raise FileNotFoundError(f"{root / folder} is missing. It is part of {ARCHIVE.name}.")
        # By number: a listing comes in any order.
        found = sorted(os.listdir(root / folder), key=_get_number)
        pairs += [((folder / name).as_posix(), code) for name in found]
    return pairs


def _list_test(root: Path, ids: list[str]) -> list[tuple[str, int]]:
    codes = {wordnet_id: code for code, wordnet_id in enumerate(ids)}
    path = root / "val" / "val_annotations.txt"
    pairs = []
    for line in _read_lines(path):
        name, wordnet_id = (line.split("\t") + [""])[:2]
        if wordnet_id not in codes:
            raise ValueError(f"{path}: the line {line!r} has no class that is in wnids.txt.")
        pairs.append((f"val/images/{name}", codes[wordnet_id]))
    return pairs


def _get_number(name: str) -> tuple[int, str]:
    number = name.rpartition(".")[0].rpartition("_")[2]
    return (int(number) if number.isdecimal() else -1), name


def _read_images(paths: list[Path]) -> np.ndarray:
    pil = import_extra("PIL.Image", "pillow")
    images = np.empty((len(paths), 3, SIDE, SIDE), np.uint8)
    for i, path in enumerate(tqdm(paths, desc="Tiny ImageNet", unit="images", disable=None)):
        try:
            with pil.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ValueError(f"{path} cannot be decoded: {error}.") from error
        if pixels.shape != (SIDE, SIDE, 3):
            raise ValueError(f"{path} has {pixels.shape[:2]} pixels, not {(SIDE, SIDE)}.")
        images[i] = pixels.transpose(2, 0, 1)
    return images
