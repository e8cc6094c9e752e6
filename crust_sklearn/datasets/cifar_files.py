"""The files of CIFAR-10 and CIFAR-100: where they are, what they are called, what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .download import RemoteFile, compute_sum
from .safe_pickle import load_pickle

SHAPE = (3, 32, 32)

_CIFAR = "https://www.cs.toronto.edu/~kriz/"
_HUMAN = "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/data/"
_LICENCE = (
    "CIFAR is published without a licence, for research. The human labels of CIFAR-10N and "
    "CIFAR-100N: CC BY-NC 4.0."
)
_KRIZHEVSKY = (
    'A. Krizhevsky. "Learning Multiple Layers of Features from Tiny Images", technical report, '
    "2009."
)
_WEI = (
    'J. Wei, Z. Zhu, H. Cheng, T. Liu, G. Niu, Y. Liu. "Learning with Noisy Labels Revisited: A '
    'Study Using Real-World Human Annotations", ICLR 2022.'
)


@dataclass(frozen=True)
class CifarFiles:
    """One of the two sets.

    Parameters
    ----------
    title, name : str
        Of the set, and of its folder in `data_home`.
    root : str
        The folder that the archive unpacks to.
    archive, human : RemoteFile
        The images, and the human labels.
    train : tuple of str
        The batches of training images, in their order.
    test, meta : str
        The other files.
    md5 : dict
        The sums of the files in `root`.
    labels, names : tuple of str
        The keys of labels and class names in the batches; coarse ones are the second.
    n_classes : tuple of int
        Of these.
    label_sets : dict
        From the names of the label sets to the keys in `human`; coarse ones are the second.
    """

    title: str
    name: str
    root: str
    archive: RemoteFile
    human: RemoteFile
    train: tuple[str, ...]
    test: str
    meta: str
    md5: Mapping[str, str]
    labels: tuple[str, ...]
    names: tuple[str, ...]
    n_classes: tuple[int, ...]
    label_sets: Mapping[str, tuple[str, ...]]
    licence: str = field(default=_LICENCE)
    citation: str = field(default=f"{_KRIZHEVSKY} Human labels: {_WEI}")

    def find_root(self, folder: Path) -> Path:
        """Return the folder of the batches: the one given, or one in it."""
        for root in (folder / self.root, folder):
            if (root / self.meta).exists():
                return root
        raise FileNotFoundError(
            f"{folder} has no {self.root}/{self.meta}. Give the folder that {self.archive.name} "
            f"was unpacked in, from {self.archive.url}."
        )

    def find_human(self, folder: Path) -> Path:
        """Return the file of the human labels."""
        root = self.find_root(folder)
        name = Path(self.human.name)
        for place in dict.fromkeys((folder, root.parent, root)):
            for suffix in (".pt", ".npy"):
                if (path := place / name.with_suffix(suffix)).exists():
                    return path
        raise FileNotFoundError(
            f"{folder} has no {name}, which holds the human labels. It is published at "
            f"{self.human.url}."
        )

    def check_sums(self, root: Path) -> None:
        """Raise ValueError for a file that is missing or not the published one."""
        for name, right in self.md5.items():
            path = root / name
            if not path.exists() or compute_sum(path, "md5") != right:
                raise ValueError(
                    f"{path} is missing or damaged. Remove the folder {root}; it is loaded anew "
                    "by the next call."
                )

    def read(self, paths: list[Path], level: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Return images, labels and names of the images of some batches."""
        parts = [self._read_batch(path, level) for path in paths]
        images, labels, names = zip(*parts, strict=True)
        return np.concatenate(images), np.concatenate(labels), sum(names, [])

    def read_names(self, root: Path, level: int) -> list[str]:
        """Return the names of the classes, in the order of the labels."""
        path = root / self.meta
        names = _get(_decode(load_pickle(path)), self.names[level], path)
        if len(names) != self.n_classes[level]:
            raise ValueError(f"{path} names {len(names)} classes, not {self.n_classes[level]}.")
        return [_to_text(name) for name in names]

    def _read_batch(self, path: Path, level: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing. It is part of {self.archive.name}.")
        batch = _decode(load_pickle(path))
        images = np.asarray(_get(batch, "data", path))
        labels = np.asarray(_get(batch, self.labels[level], path))
        n_values, n_classes = int(np.prod(SHAPE)), self.n_classes[level]
        if images.dtype != np.uint8 or images.shape != (len(labels), n_values):
            raise ValueError(
                f"{path}: data is {images.dtype} of shape {images.shape}, expected uint8 of shape "
                f"({len(labels)}, {n_values}): a row per label."
            )
        if labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() < n_classes:
            raise ValueError(f"{path}: not all labels are integers from 0 to {n_classes - 1}.")
        names = [_to_text(name) for name in batch.get("filenames", [])]
        return images.reshape(-1, *SHAPE), labels.astype(np.int64), names


def _decode(content: Any) -> dict[str, Any]:
    """Return a dict with texts as keys, which those of Python 2 are not."""
    return {_to_text(k): v for k, v in content.items()} if isinstance(content, dict) else {}


def _get(content: dict[str, Any], key: str, path: Path) -> Any:
    if key not in content:
        raise ValueError(f"{path} has no {key!r}: it is not a file of this set.")
    return content[key]


def _to_text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


CIFAR10 = CifarFiles(
    title="CIFAR-10",
    name="cifar10",
    root="cifar-10-batches-py",
    archive=RemoteFile(
        "cifar-10-python.tar.gz",
        _CIFAR + "cifar-10-python.tar.gz",
        170_498_071,
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    human=RemoteFile(
        "CIFAR-10_human.pt",
        _HUMAN + "CIFAR-10_human.pt",
        2_401_007,
        "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310",
    ),
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test="test_batch",
    meta="batches.meta",
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    labels=("labels",),
    names=("label_names",),
    n_classes=(10,),
    label_sets={
        "aggregate": ("aggre_label",),
        "random1": ("random_label1",),
        "random2": ("random_label2",),
        "random3": ("random_label3",),
        "worst": ("worse_label",),  # so it is in the file
    },
)

CIFAR100 = CifarFiles(
    title="CIFAR-100",
    name="cifar100",
    root="cifar-100-python",
    archive=RemoteFile(
        "cifar-100-python.tar.gz",
        _CIFAR + "cifar-100-python.tar.gz",
        169_001_437,
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),
    human=RemoteFile(
        "CIFAR-100_human.pt",
        _HUMAN + "CIFAR-100_human.pt",
        1_000_959,
        "bd2d80409754d420292d622e15e25248ba21e37d27429efac49c8da723f44394",
    ),
    train=("train",),
    test="test",
    meta="meta",
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
    labels=("fine_labels", "coarse_labels"),
    names=("fine_label_names", "coarse_label_names"),
    n_classes=(100, 20),
    label_sets={"noisy": ("noisy_label", "noisy_coarse_label")},
)
