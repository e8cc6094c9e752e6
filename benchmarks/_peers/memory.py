"""The memory that a competitor takes, in a process of its own."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _processes import NotRun, peak_mib, resident_mib, run_fresh


def get_extra_mib(function, names, X, k):
    """Return the extra memory of each competitor, as text.

    `function` is "module:name" of what calls `weigh` for one of the names.
    """
    found = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, X)
        for name in names:
            options = {"name": name, "path": str(path), "k": k}
            try:
                found[name] = f"{run_fresh(function, options)['extra_mib']:.0f}"
            except NotRun as error:
                found[name] = f"({error})"
    return found


def weigh(competitor, path, k):
    """Choose; return the memory above imports, kernels and rows."""
    X = np.load(path)
    part = X[: min(len(X), 300)]
    competitor(part, min(k, len(part) // 2))  # imports and compiles
    before = resident_mib()
    competitor(X, k)
    return {"extra_mib": peak_mib() - before}
