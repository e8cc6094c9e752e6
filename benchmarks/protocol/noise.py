"""Wrong labels of a run: drawn once by a seed, and read from their manifest from then on."""

import hashlib
import os
import tempfile
from typing import NamedTuple

import numpy as np
from numpy.random import RandomState

from crust_sklearn import make_label_noise


class Noise(NamedTuple):
    """What `make_label_noise` is asked for."""

    kind: str
    rate: float
    transition: str | None = None

    def draw(self, X, true, seed):
        """Return labels of which some are wrong."""
        options = {} if self.transition is None else {"transition": self.transition}
        noisy = make_label_noise(
            true, self.kind, self.rate, X=X, random_state=RandomState(seed), **options
        )
        return noisy.y


def get_noisy_labels(folder, name, noise, X, true, seed):
    """Return the labels that the manifest of a set and seed says; draw them if there is none."""
    path = folder / f"{name.replace(' ', '_').replace('/', '-').replace('%', '')}_{seed}.npz"
    if not path.exists():
        write_manifest(path, noise, true, noise.draw(X, true, seed), seed)
    return read_manifest(path, true)


def write_manifest(path, noise, true, given, seed):
    """Write the seed, which rows are wrong, what they were and what they became."""
    rows = np.flatnonzero(given != true)
    label = np.min_scalar_type(max(true.max(), given.max()))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process may write the same at the same time: each writes its own, and moves it.
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        np.savez_compressed(
            file,
            seed=seed,
            kind=noise.kind,
            rate=noise.rate,
            rows=rows.astype(np.min_scalar_type(len(true))),
            was=true[rows].astype(label),
            became=given[rows].astype(label),
            sha256=compute_sha256(true),
        )
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def read_manifest(path, true):
    """Return the true labels with those of the manifest in their place."""
    with np.load(path) as manifest:
        rows, became = manifest["rows"], manifest["became"]
        if manifest["sha256"] != compute_sha256(true) or (true[rows] != manifest["was"]).any():
            raise ValueError(
                f"{path} was written for other true labels: the data differ. Read the files that "
                "it was written for, or give another folder by --noise."
            )
    given = true.copy()
    given[rows] = became
    return given


def compute_sha256(labels):
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()
