"""CIFAR-10 from its own files, and the human labels of CIFAR-10N."""

import pickle
from functools import cache

import numpy as np
import torch


@cache
def read_images(folder):
    """Return training images and labels, test images and labels; images float32 in [0, 1].

    `folder` holds ``cifar-10-batches-py``, the "python version" of the CIFAR-10 site, unpacked.
    """

    def read(name):
        with open(folder / "cifar-10-batches-py" / name, "rb") as file:
            batch = pickle.load(file, encoding="bytes")
        images = np.asarray(batch[b"data"], np.float32).reshape(-1, 3, 32, 32) / 255
        return images, np.asarray(batch[b"labels"])

    parts = [read(f"data_batch_{i}") for i in range(1, 6)]
    X, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return X, y, *read("test_batch")


def read_human_labels(folder, y):
    """Return CIFAR-10N's human labels, which stand in the order of the training images."""
    labels = torch.load(folder / "CIFAR-10_human.pt", weights_only=False)
    if not np.array_equal(labels["clean_label"], y):
        raise ValueError("CIFAR-10_human.pt and the training batches differ in order.")
    return np.asarray(labels["random_label1"])
