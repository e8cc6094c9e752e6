"""CIFAR-10 and CIFAR-100, with their own labels or those that people gave."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .._validation import check_choice, check_flag
from . import cifar_files
from .archives import fetch_folder
from .bunch import make_bunch
from .cifar_files import CifarFiles
from .download import describe_file, fetch_file
from .home import open_home
from .human_labels import read_human_labels

SUBSETS = ("train", "test")
_TRUE_KEYS = ("clean_label", "clean_coarse_label")

Folder = str | os.PathLike[str]


def fetch_cifar10(
    *,
    subset: str = "train",
    label_set: str = "clean",
    data_home: Folder | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
    timeout: float = 30.0,
) -> Any:
    """Load CIFAR-10, with its own labels or human ones; download it where it is missing.

    50 000 training images and 10 000 test images of 32 x 32 pixels, ten classes [1]_. The human
    labels are those of CIFAR-10N [2]_: three people looked at each training image.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        Test images have clean labels alone.
    label_set : {"clean", "aggregate", "random1", "random2", "random3", "worst"}, default="clean"
        The labels given.

        - ``"clean"``: the set's own.
        - ``"random1"``, ``"random2"``, ``"random3"``: of the first, second and third person; 17.2,
          18.1 and 17.6 % are wrong.
        - ``"aggregate"``: of the majority, at random where all three differ; 9.0 % are wrong.
        - ``"worst"``: a wrong one, where any of the three is; 40.2 % are wrong.

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
        - data : ndarray of uint8 of shape (n_samples, 3, 32, 32). Channels first, as torch wants
          them. Networks want small floats: ``data.astype("float32") / 255``, and then minus the
          mean and divided by the deviation of each channel of the training images.
        - target : ndarray of int64 of shape (n_samples,). The labels given.
        - target_true : ndarray of int64 of shape (n_samples,). The set's own labels.
        - target_names : list of str. The classes.
        - filenames : list of str. What the images are called in the set.
        - DESCR : str.
        - provenance : dict. Files with addresses, sizes and sums; licence; citation.

    Raises
    ------
    OSError
        If the download fails, see :func:`~crust_sklearn.datasets.download.fetch_file`, or is
        needed and not allowed.
    ValueError
        If an option is unknown; if human labels are asked for with the test images; if a file is
        not the published one, or human labels are not about these images, which is checked row by
        row.

    Notes
    -----
    The archive (170 MB) is opened only after its SHA-256 was found right, unpacked, and removed;
    afterwards the files are checked by their published MD5 in each call. Pickles are read by an
    allow-list: nothing in them is run.

    References
    ----------
    .. [1] A. Krizhevsky. "Learning Multiple Layers of Features from Tiny Images", technical report,
       2009.
    .. [2] J. Wei, Z. Zhu, H. Cheng, T. Liu, G. Niu, Y. Liu. "Learning with Noisy Labels Revisited:
       A Study Using Real-World Human Annotations", ICLR 2022.

    Examples
    --------
    >>> from crust_sklearn.datasets import fetch_cifar10
    >>> cifar = fetch_cifar10(label_set="worst")  # doctest: +SKIP
    >>> float((cifar.target != cifar.target_true).mean())  # doctest: +SKIP
    0.40208
    """
    options = {"n_retries": n_retries, "delay": delay, "timeout": timeout}
    return _fetch(
        cifar_files.CIFAR10,
        data_home,
        download_if_missing,
        options,
        subset=subset,
        label_set=label_set,
        return_X_y=return_X_y,
    )


def fetch_cifar100(
    *,
    subset: str = "train",
    label_set: str = "clean",
    coarse: bool = False,
    data_home: Folder | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
    timeout: float = 30.0,
) -> Any:
    """Load CIFAR-100, with its own labels or human ones; download it where it is missing.

    50 000 training images and 10 000 test images of 32 x 32 pixels, 100 classes in 20 superclasses
    [1]_. The human labels are those of CIFAR-100N [2]_: one person looked at each training image.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        Test images have clean labels alone.
    label_set : {"clean", "noisy"}, default="clean"
        The labels given: the set's own, or the human ones, of which 40.2 % are wrong.
    coarse : bool, default=False
        Whether labels are the 20 superclasses.
    data_home : str or path, default=None
        The folder of downloads; None for scikit-learn's.
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
        As of :func:`fetch_cifar10`.

    Raises
    ------
    OSError, ValueError
        As by :func:`fetch_cifar10`.

    References
    ----------
    .. [1] A. Krizhevsky. "Learning Multiple Layers of Features from Tiny Images", technical report,
       2009.
    .. [2] J. Wei, Z. Zhu, H. Cheng, T. Liu, G. Niu, Y. Liu. "Learning with Noisy Labels Revisited:
       A Study Using Real-World Human Annotations", ICLR 2022.

    Examples
    --------
    >>> from crust_sklearn.datasets import fetch_cifar100
    >>> X, y = fetch_cifar100(label_set="noisy", return_X_y=True)  # doctest: +SKIP
    >>> X.shape, X.dtype  # doctest: +SKIP
    ((50000, 3, 32, 32), dtype('uint8'))
    """
    options = {"n_retries": n_retries, "delay": delay, "timeout": timeout}
    return _fetch(
        cifar_files.CIFAR100,
        data_home,
        download_if_missing,
        options,
        subset=subset,
        label_set=label_set,
        return_X_y=return_X_y,
        coarse=coarse,
    )


def load_cifar10(
    folder: Folder, *, subset: str = "train", label_set: str = "clean", return_X_y: bool = False
) -> Any:
    """Read CIFAR-10 from a folder, with its own labels or human ones.

    Parameters
    ----------
    folder : str or path
        Holds ``cifar-10-batches-py``, the "python version" of CIFAR-10, unpacked, or is that
        folder. For human labels it holds ``CIFAR-10_human.pt``, too.
    subset, label_set, return_X_y
        As of :func:`fetch_cifar10`.

    Returns
    -------
    Bunch
        As of :func:`fetch_cifar10`. The provenance holds the sums of the files that were read; they
        are not compared with the published ones.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If an option is unknown; if human labels are asked for with the test images; if a file is
        damaged, or unsafe, or of another layout; if human labels are not about these images.

    Examples
    --------
    Batches of two images each, in place of the true ones:

    >>> import pickle, tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from crust_sklearn.datasets import load_cifar10
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("batches.meta", *(f"data_batch_{i}" for i in range(1, 6))):
    ...         batch = {"data": np.zeros((2, 3072), np.uint8), "labels": [6, 9]}
    ...         batch["label_names"] = [f"class {i}" for i in range(10)]
    ...         _ = Path(folder, name).write_bytes(pickle.dumps(batch, protocol=2))
    ...     X, y = load_cifar10(folder, return_X_y=True)
    >>> X.shape, y.tolist()
    ((10, 3, 32, 32), [6, 9, 6, 9, 6, 9, 6, 9, 6, 9])
    """
    return _load(
        cifar_files.CIFAR10, Path(folder), subset=subset, label_set=label_set, return_X_y=return_X_y
    )


def load_cifar100(
    folder: Folder,
    *,
    subset: str = "train",
    label_set: str = "clean",
    coarse: bool = False,
    return_X_y: bool = False,
) -> Any:
    """Read CIFAR-100 from a folder, with its own labels or human ones.

    Parameters
    ----------
    folder : str or path
        Holds ``cifar-100-python``, the "python version" of CIFAR-100, unpacked, or is that folder.
        For human labels it holds ``CIFAR-100_human.pt``, too.
    subset, label_set, coarse, return_X_y
        As of :func:`fetch_cifar100`.

    Returns
    -------
    Bunch
        As of :func:`load_cifar10`.

    Raises
    ------
    FileNotFoundError, ValueError
        As by :func:`load_cifar10`.

    Examples
    --------
    >>> from crust_sklearn.datasets import load_cifar100
    >>> cifar = load_cifar100("data", label_set="noisy")  # doctest: +SKIP
    """
    return _load(
        cifar_files.CIFAR100,
        Path(folder),
        subset=subset,
        label_set=label_set,
        return_X_y=return_X_y,
        coarse=coarse,
    )


def _fetch(
    files: CifarFiles,
    data_home: Folder | None,
    download_if_missing: bool,
    options: dict[str, Any],
    **wanted: Any,
) -> Any:
    """Return the set; `options` are of the download, `wanted` is passed on to `_load`."""
    _check_options(files, **wanted)
    remotes = [files.archive] if wanted["label_set"] == "clean" else [files.archive, files.human]
    names = [files.root, *(remote.name for remote in remotes[1:])]
    home = open_home(data_home, files.name, names, download_if_missing)
    files.check_sums(fetch_folder(files.archive, home, files.root, **options))
    for remote in remotes[1:]:
        path = home / remote.name
        if not download_if_missing and (fault := remote.find_fault(path)) is not None:
            raise OSError(f"{path} is damaged: {fault}; and download_if_missing is False.")
        fetch_file(remote, home, **options)
    return _load(files, home, [remote.get_provenance() for remote in remotes], **wanted)


def _load(
    files: CifarFiles,
    folder: Path,
    published: list[dict[str, Any]] | None = None,
    *,
    subset: str,
    label_set: str,
    return_X_y: bool,
    coarse: bool = False,
) -> Any:
    """Return the set; `published` are the files that it comes from, where they were checked."""
    _check_options(files, subset=subset, label_set=label_set, return_X_y=return_X_y, coarse=coarse)
    level = int(coarse)
    root = files.find_root(folder)
    paths = [root / name for name in (files.train if subset == "train" else (files.test,))]
    data, target_true, filenames = files.read(paths, level)
    target = target_true
    if label_set != "clean":
        path = files.find_human(folder)
        target = read_human_labels(
            path,
            files.label_sets[label_set][level],
            target_true,
            files.n_classes[level],
            true_key=_TRUE_KEYS[level],
        )
        paths.append(path)
    return make_bunch(
        data,
        target.copy(),
        target_true=target_true,
        target_names=files.read_names(root, level),
        descr=_describe(files, subset, label_set, target, target_true),
        provenance={
            "files": published or [describe_file(path) for path in (*paths, root / files.meta)],
            "licence": files.licence,
            "citation": files.citation,
        },
        return_X_y=return_X_y,
        filenames=filenames,
    )


def _check_options(
    files: CifarFiles, *, subset: str, label_set: str, return_X_y: bool, coarse: bool = False
) -> None:
    check_flag("return_X_y", return_X_y)
    check_flag("coarse", coarse)
    check_choice("subset", subset, SUBSETS)
    check_choice("label_set", label_set, ("clean", *files.label_sets))
    if subset == "test" and label_set != "clean":
        raise ValueError(
            f"label_set={label_set!r} is for the training images alone: nobody labelled the test "
            "images again. Give label_set='clean' with subset='test'."
        )


def _describe(
    files: CifarFiles, subset: str, label_set: str, target: np.ndarray, target_true: np.ndarray
) -> str:
    rate = (target != target_true).mean()
    return (
        f"{files.title}, {subset} images, label set {label_set!r}: {len(target)} images of 3 x 32 "
        f"x 32 pixels, {rate:.2%} of the labels wrong.\n\n{files.citation}\n\n{files.licence}"
    )
