"""The solvers of scikit-learn-extra, in an environment of their own."""

import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _markdown import print_table
from _places import BENCHMARKS
from _processes import NotRun, run_fresh
from _turns import take_turns, warm_up
from scipy.spatial.distance import cdist

from crust_sklearn.measures import k_medoids_objective
from crust_sklearn.strategies import KMedoids

from .ours import select

PYTHON_NUMPY1 = BENCHMARKS.parent / ".venv-numpy1" / "bin" / "python"
START_SECONDS = 60.0
SOLVERS = ("pam", "alternate", "clara")


def select_extra(path, method, k, n_seeds):
    """Return times and objectives of ours and of scikit-learn-extra, where that is installed."""
    from sklearn_extra.cluster import CLARA
    from sklearn_extra.cluster import KMedoids as ExtraKMedoids

    X = np.load(path)

    def extra(X, k, seed):
        # 100 iterations, as ours.
        options = {"n_clusters": k, "init": "build", "max_iter": 100, "random_state": seed}
        if method == "clara":
            return CLARA(**options).fit(X)
        return ExtraKMedoids(method=method, **options).fit(X)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warm_up({"ours": partial(select, KMedoids()), "extra": extra}, X, 10)
        calls = {"ours": lambda seed: select(KMedoids(), X, k), "extra": partial(extra, X, k)}
        measured = take_turns(calls, n_seeds)
    # By the medoids themselves: CLARA's indices are of other rows, where it draws several samples.
    centres = [solver.cluster_centers_ for solver in measured["extra"].results]
    return {
        "ours": measured["ours"].seconds.tolist(),
        "extra": measured["extra"].seconds.tolist(),
        "our_objective": k_medoids_objective(X, measured["ours"].results[0]),
        "objective": [float(cdist(X, rows).min(axis=1).sum()) for rows in centres],
    }


def print_extra(what, X, solvers, sizes, n_seeds, limit):
    """Print the solvers of scikit-learn-extra against ours, at a size that they can do."""
    print(
        f"\nscikit-learn-extra in its own environment: {what}, {len(X)} x {X.shape[1]}, {n_seeds} "
        "seeds, distances included; ratios to our KMedoids in the same process\n"
    )
    rows = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, X)
        for k in sizes:
            for method in solvers:
                options = {"path": str(path), "method": method, "k": k, "n_seeds": n_seeds}
                rows.append((method, f"{k}", *extra_row(options, limit)))
    header = ("", "k", "least s", "ratio", "median", "objective - ours", "least", "largest")
    print_table(header, rows)


def extra_row(options, limit):
    if not PYTHON_NUMPY1.exists():
        return "not run: `make test-numpy1` makes its environment", *[""] * 5
    try:
        # The rest is for the start of the process and the compiler.
        found = run_fresh(
            "_peers.scikit_learn_extra:select_extra",
            options,
            python=PYTHON_NUMPY1,
            timeout=limit + START_SECONDS,
        )
    except NotRun as error:
        return f"not run: {error}", *[""] * 5
    ours, extra = np.array(found["ours"]), np.array(found["extra"])
    gap = np.array(found["objective"]) / found["our_objective"] - 1
    return (
        f"{extra.min():.3f}",
        f"{extra.min() / ours.min():.2f}",
        f"{np.median(extra / ours[: len(extra)]):.2f}",
        *(f"{value:+.3%}" for value in (gap.mean(), gap.min(), gap.max())),
    )
