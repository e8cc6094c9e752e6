"""The benchmarks are scripts beside each other: their folder is where their imports are found."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
if BENCHMARKS.exists():
    sys.path.insert(0, str(BENCHMARKS))
else:  # a source distribution
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def tables(tmp_path):
    """Return a folder with a stand-in for labelme: three Gaussian classes, a fifth wrong."""
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    X = rng.normal(size=(150, 5)) + 3 * np.eye(5)[y]
    given = y.copy()
    given[:20] = (y[:20] + 1) % 3
    arrays = {"X": X[:100], "y_clean": y[:100], "y_given": given[:100]}
    folder = tmp_path / "tables"
    folder.mkdir()
    np.savez(folder / "labelme.npz", **arrays, X_test=X[100:], y_test=y[100:])
    arrays.pop("y_given")
    np.savez(folder / "segment.npz", **arrays, X_test=X[100:], y_test=y[100:])
    return folder
