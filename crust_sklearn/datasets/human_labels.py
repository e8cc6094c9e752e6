"""The human labels of CIFAR-10N and CIFAR-100N, in the order of the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .safe_pickle import load_label_file


def read_human_labels(
    path: Path, key: str, target_true: np.ndarray, n_classes: int, *, true_key: str = "clean_label"
) -> np.ndarray:
    """Return one set of labels of a file, after checking that it is about these images.

    Parameters
    ----------
    path : Path
        ``CIFAR-10_human.pt`` or one like it, also as ``.npy``.
    key : str
        The labels wanted.
    target_true : ndarray of shape (n_samples,)
        The images' own labels: those of the file must be the same, row by row.
    n_classes : int
    true_key : str, default="clean_label"
        What the file calls them.

    Returns
    -------
    labels : ndarray of int64 of shape (n_samples,)

    Raises
    ------
    ValueError
        If the file is unsafe or damaged, has no such labels, or is about other images or another
        order of them.
    """
    content = load_label_file(path)
    labels, own = (_get_labels(content, name, path, n_classes) for name in (key, true_key))
    if not len(labels) == len(own) == len(target_true):
        raise ValueError(
            f"{path} has {len(labels)} labels, and there are {len(target_true)} images."
        )
    rows = np.flatnonzero(own != target_true)
    if len(rows):
        row = rows[0]
        raise ValueError(
            f"{path} is not in the order of these images: {true_key} differs from the images' own "
            f"labels in {len(rows)} of {len(own)} rows, first in row {row} ({own[row]} and "
            f"{target_true[row]}). The files named ..._ordered are for TensorFlow's order; take "
            "the one that the labels are published with for torch."
        )
    return labels


def _get_labels(content: dict[str, Any], key: str, path: Path, n_classes: int) -> np.ndarray:
    if key not in content:
        raise ValueError(f"{path} has no labels {key!r}, but {sorted(map(str, content))}.")
    labels = np.asarray(content[key])
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: {key!r} is not one integer per image.")
    if len(labels) and not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(
            f"{path}: {key!r} holds {labels.min()} to {labels.max()}, expected 0 to "
            f"{n_classes - 1}."
        )
    return labels.astype(np.int64)
