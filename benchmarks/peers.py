"""Each strategy and its peers on the same rows in one run: time, memory, objective, error.

    python benchmarks/peers.py                    # an hour or so, most of it the peers'
    python benchmarks/peers.py --short            # half a minute
    python benchmarks/peers.py --only greedy      # one section of the four below
    python benchmarks/peers.py --data DIR         # on gradients of CIFAR-10 too

`make bench` makes the environment of ``benchmarks/requirements.txt``; scikit-learn-extra, whose
wheel needs NumPy 1, is called in the environment of ``make test-numpy1``. A peer that is not there
is reported as not run. Competitors take turns. Ratios are to the first row of a table: of the least
seconds, which a busy machine disturbs least, and the median of the turns' own ratios.

The rows are gradients at the last layer's input (64 numbers; greedy, k-medoids) or of the last
layer's weights (640 numbers; low-rank, quality) of an MLP after 5 epochs on scikit-learn's digits
with 40 % symmetric noise; where more than 1 797 are wanted, of noisy copies of the digits too.
With ``--data``, a folder that holds ``cifar-10-batches-py``, also those of a SmallCNN on CIFAR-10
with 50 %. Gaussian clusters of the same shape beside them are generated.

- greedy: exact greedy facility location with its distances, in one group, half of the rows kept;
  the extra memory is what a fresh process needs at its peak above imports, kernels and rows.
- k-medoids: FasterPAM, over seeds. The package `kmedoids` gets the same float32 distances as ours.
- low-rank: the error of the span of the chosen rows, relative to the best subspace.
- quality: what all strategies choose, by every measure.
"""

import argparse
import time
import warnings
from contextlib import nullcontext, suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
from _measure import (
    HERE,
    NotRun,
    compare_times,
    peak_mib,
    print_table,
    resident_mib,
    run_fresh,
    take_turns,
)
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from crust_sklearn.measures import coverage, k_medoids_objective, low_rank_error
from crust_sklearn.strategies import (
    FacilityLocation,
    GreedyCSS,
    GreedyLowRank,
    KMedoids,
    Leverage,
    PivotedQR,
    Uniform,
)
from crust_sklearn.strategies._distances import distance_matrix

PACKAGES = (
    *("crust-sklearn", "apricot-select", "submodlib-py", "kmedoids", "skmatter"),
    *("numpy", "scikit-learn", "numba"),
)
PYTHON_NUMPY1 = HERE.parent / ".venv-numpy1" / "bin" / "python"
SECTIONS = ("greedy", "k-medoids", "low-rank", "quality")
OURS = "crust_sklearn"


def select(strategy, X, k, seed=0):
    """Return the choice of one of our strategies."""
    return strategy.select(X, k, random_state=seed).indices


def similarities(X, dtype=np.float64):
    """Return what facility location maximizes: the largest distance minus each distance."""
    distances = pairwise_distances(X.astype(dtype, copy=False))
    return np.subtract(distances.max(), distances, out=distances)


def apricot(X, k, seed=0, *, metric="precomputed", compile_once=True):
    """Return the choice of apricot's lazy greedy.

    It compiles its kernels anew in every fit; with `compile_once` it is spared that. Its metric
    "euclidean" means squared distances, "l2" plain ones.
    """
    from apricot import FacilityLocationSelection
    from apricot.functions import facilityLocation as module

    kept = mock.patch.multiple(module, **kept_kernels()) if compile_once else nullcontext()
    rows = similarities(X) if metric == "precomputed" else X.astype(np.float64)
    selector = FacilityLocationSelection(k, metric=metric, optimizer="lazy", random_state=seed)
    with kept:
        return selector.fit(rows).ranking.astype(np.int64)


@cache
def kept_kernels():
    """Return the functions that compile apricot's kernels, made to do it once."""
    from apricot.functions import facilityLocation as module

    names = ("calculate_gains", "calculate_gains_sieve")
    return {name: cache(getattr(module, name)) for name in names}


def submodlib(X, k, seed=0, *, dtype=np.float32):
    """Return the choice of submodlib's LazyGreedy, on a kernel of plain distances.

    Its own metric "euclidean" is a kernel that falls exponentially with the distance, another
    objective.
    """
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(
        n=len(X), mode="dense", sijs=similarities(X, dtype), separate_rep=False
    )
    # By default it would stop at a gain of 0, and draw a progress bar.
    found = function.maximize(
        budget=k,
        optimizer="LazyGreedy",
        stopIfZeroGain=False,
        stopIfNegativeGain=False,
        show_progress=False,
    )
    return np.array([row for row, _ in found])


def only_distances(X, k, seed=0):
    """Return nothing after computing our distance matrix."""
    distance_matrix(X)


def only_pairwise_distances(X, k, seed=0):
    """Return nothing after computing scikit-learn's distance matrix."""
    pairwise_distances(X)


COMPILES = "apricot, lazy"
GREEDY = {
    OURS: partial(select, FacilityLocation()),
    COMPILES: partial(apricot, compile_once=False),
    "apricot, lazy, kernels compiled once": apricot,
    "apricot, the same, metric='l2'": partial(apricot, metric="l2"),
    "apricot, the same, metric='euclidean'": partial(apricot, metric="euclidean"),
    "submodlib, LazyGreedy, float32 kernel": submodlib,
    "submodlib, LazyGreedy, float64 kernel": partial(submodlib, dtype=np.float64),
    "(our distance matrix alone)": only_distances,
    "(scikit-learn's distances alone)": only_pairwise_distances,
}


def fasterpam(X, k, seed=0, *, init="random", n_cpu=1):
    """Return the medoids of the package `kmedoids`, from the same distances as ours."""
    import kmedoids

    distances = distance_matrix(X)[0]
    if init == "greedy":
        # It shuffles the rows that it tries only if asked to; then it wants no seed.
        start = select(FacilityLocation(), X, k)
        return kmedoids.fasterpam(distances, start, n_cpu=n_cpu).medoids.astype(np.int64)
    found = kmedoids.fasterpam(distances, k, init=init, random_state=seed, n_cpu=n_cpu)
    return found.medoids.astype(np.int64)


K_MEDOIDS = {
    OURS: partial(select, KMedoids()),
    "crust_sklearn, from random": partial(select, KMedoids(init="random")),
    "(greedy alone)": partial(select, FacilityLocation()),
    "kmedoids, from our greedy's": partial(fasterpam, init="greedy"),
    "kmedoids, from random": fasterpam,
    "kmedoids, from random, all cores": partial(fasterpam, n_cpu=-1),
    "kmedoids, from BUILD": partial(fasterpam, init="build"),
}
# The rows of the table whose memory is measured, each in a process of its own.
WEIGHED = (
    OURS,
    "submodlib, LazyGreedy, float32 kernel",
    "apricot, lazy, kernels compiled once",
    "submodlib, LazyGreedy, float64 kernel",
    "(our distance matrix alone)",
)
# The MLP's hidden layers: 64 numbers per gradient at its last layer's input.
HIDDEN = (256, 64)
# Of many rows so many are judged, because the cover takes all distances.
N_JUDGED = 3_000
# Gradients are float32: what is smaller than this share of the largest singular value is rounding.
ROUNDING = 1e-6
# BUILD looks at n^2 distances for each medoid.
MOST_FOR_BUILD = 2e10
START_SECONDS = 60.0
EXTRA = ("pam", "alternate", "clara")


class StopCUR(Exception):
    """The time for it is over."""


def cur(X, k, seed=0, *, limit=600.0, recompute_every=1):
    """Return the rows that scikit-matter's CUR chooses within `limit` seconds.

    With `recompute_every=0`: the largest entries of the k leading singular vectors.
    """
    from skmatter.sample_selection import CUR

    class TimedCUR(CUR):
        def _update_post_selection(self, X, y, last_selected):
            super()._update_post_selection(X, y, last_selected)
            if time.perf_counter() > deadline:
                raise StopCUR

    deadline = time.perf_counter() + limit
    vectors = 1 if recompute_every else min(k, min(X.shape) - 1)
    selector = TimedCUR(n_to_select=k, k=vectors, recompute_every=recompute_every)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of zeros, once the rows are spanned
        with suppress(StopCUR):
            selector.fit(X)
    return np.asarray(selector.selected_idx_[: selector.n_selected_], dtype=np.int64)


def fps(X, k, seed=0):
    """Return the rows of scikit-matter's farthest point sampling."""
    from skmatter.sample_selection import FPS

    return np.asarray(FPS(n_to_select=k).fit(X).selected_idx_, dtype=np.int64)


def low_rank_choices(limit):
    return {
        "crust_sklearn, greedy-css": partial(select, GreedyCSS()),
        "crust_sklearn, greedy-low-rank": partial(select, GreedyLowRank()),
        "crust_sklearn, pivoted-qr": partial(select, PivotedQR()),
        "crust_sklearn, leverage": partial(select, Leverage()),
        "crust_sklearn, leverage, top": partial(select, Leverage(sampling="top")),
        "crust_sklearn, uniform": partial(select, Uniform()),
        "scikit-matter CUR": partial(cur, limit=limit),
        "scikit-matter CUR, recompute_every=0": partial(cur, recompute_every=0),
        "scikit-matter FPS": fps,
    }


def select_fresh(table, name, path, k):
    """Choose in a fresh process; return the memory above imports, kernels and rows."""
    competitor = {"greedy": GREEDY, "low-rank": low_rank_choices(limit=20.0)}[table][name]
    X = np.load(path)
    part = X[: min(len(X), 300)]
    competitor(part, min(k, len(part) // 2))  # imports and compiles
    before = resident_mib()
    competitor(X, k)
    return {"extra_mib": peak_mib() - before}


def extra_mib(table, names, X, k):
    """Return the extra memory of each competitor, as text."""
    found = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, X)
        for name in names:
            options = {"table": table, "name": name, "path": str(path), "k": k}
            try:
                found[name] = f"{run_fresh('peers:select_fresh', options)['extra_mib']:.0f}"
            except NotRun as error:
                found[name] = f"({error})"
    return found


def warm_up(competitors, X, k):
    """Import and compile everything on a few rows."""
    part = X[: min(len(X), 300)]
    take_turns(
        {n: partial(call, part, min(k, len(part) // 2)) for n, call in competitors.items()}, 1
    )


def print_greedy(what, X, n_turns, short):
    """Print the table of exact greedy facility location."""
    k = len(X) // 2
    left_out = COMPILES if short else ""
    competitors = {name: call for name, call in GREEDY.items() if name != left_out}
    warm_up(competitors, X, k)
    measured = take_turns({n: partial(call, X, k) for n, call in competitors.items()}, n_turns)
    times = compare_times(measured, OURS)
    memory = extra_mib("greedy", [n for n in WEIGHED[: 2 if short else None] if n in times], X, k)
    objectives = {
        name: k_medoids_objective(X, m.results[0])
        for name, m in measured.items()
        if m.results and m.results[0] is not None
    }
    print(
        f"\nExact greedy facility location: {what}, {len(X)} x {X.shape[1]}, {k} kept, {n_turns} "
        f"turns; our objective {objectives[OURS]:.6g}\n"
    )
    header = ("with distances", "least s", "ratio", "median", "objective - ours", "extra MiB")
    rows = []
    for name, (least, ratio, median) in times.items():
        difference = "" if name not in objectives else objectives[name] / objectives[OURS] - 1
        rows.append(
            (
                name,
                f"{least:.3f}",
                f"{ratio:.2f}",
                f"{median:.2f}",
                difference if difference == "" else f"{difference:+.1e}",
                memory.get(name, ""),
            )
        )
    print_table(header, rows)
    print_not_run(measured)


def print_not_run(measured):
    for name, m in measured.items():
        if m.not_run:
            print(f"not run: {name}: {m.not_run}")


def print_k_medoids(what, X, sizes, n_seeds):
    """Print objective and time of FasterPAM over sizes and seeds."""
    warm_up(K_MEDOIDS, X, 10)
    print(
        f"\nFasterPAM: {what}, {X.shape[1]} features, {n_seeds} seeds. The objective is relative "
        "to ours on the same rows:\nits mean over the seeds, its least, its largest.\n"
    )
    rows, not_run = [], {}
    for n in sizes:
        for k in (n // 2, n // 10, 10):
            calls = {
                name: lambda seed, call=call, n=n, k=k: call(X[:n], k, seed)
                for name, call in K_MEDOIDS.items()
                if not (name.endswith("BUILD") and n * n * k > MOST_FOR_BUILD)
            }
            measured = take_turns(calls, n_seeds)
            rows += [(name, f"{n}", f"{k}", *row) for name, *row in k_medoids_rows(X[:n], measured)]
            not_run |= {name: m for name, m in measured.items() if m.not_run}
    header = ("", "n", "k", "least s", "ratio", "median", "objective - ours", "least", "largest")
    print_table(header, rows)
    print_not_run(not_run)
    print(f"BUILD is left out where n^2 k is above {MOST_FOR_BUILD:.0e}.")


def k_medoids_rows(X, measured):
    for name, (least, ratio, median) in compare_times(measured, OURS).items():
        objective = [k_medoids_objective(X, indices) for indices in measured[name].results]
        ours = [k_medoids_objective(X, indices) for indices in measured[OURS].results]
        gap = np.array(objective) / np.array(ours[: len(objective)]) - 1
        yield (
            name,
            f"{least:.3f}",
            f"{ratio:.2f}",
            f"{median:.2f}",
            *(f"{value:+.3%}" for value in (gap.mean(), gap.min(), gap.max())),
        )


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
            "peers:select_extra", options, python=PYTHON_NUMPY1, timeout=limit + START_SECONDS
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


class LowRank:
    """The errors of `low_rank_error`, in both norms, for many selections from the same rows."""

    def __init__(self, A):
        self.A = A
        A = A.astype(np.float64)
        # |A - A P| = |R - R P|, and R is small.
        self.R = np.linalg.qr(A, mode="r")
        self.values = np.linalg.svd(self.R, compute_uv=False)

    def errors(self, indices):
        """Return the Frobenius and the spectral error relative to the best of the same rank."""
        k = len(np.unique(indices))
        rows = self.A[indices].astype(np.float64)
        _, values, basis = np.linalg.svd(rows, full_matrices=False)
        basis = basis[values > np.finfo(float).eps * max(rows.shape) * values[0]]
        rest = self.R - (self.R @ basis.T) @ basis
        best, exact = self.values[k:], ROUNDING * self.values[0]
        if not len(best) or best[0] <= exact:
            good = np.linalg.norm(rest, 2) <= exact
            return (1.0, 1.0) if good else (np.inf, np.inf)
        return np.linalg.norm(rest) / np.linalg.norm(best), np.linalg.norm(rest, 2) / best[0]


def print_low_rank(what, A, sizes, n_turns, limit, short):
    """Print time and error of the low-rank strategies and their peers."""
    measure = LowRank(A)
    choices = low_rank_choices(limit)
    ours = next(iter(choices))
    rank = int(np.sum(measure.values > ROUNDING * measure.values[0]))
    warm_up(choices, A, min(sizes))
    memory = extra_mib("low-rank", () if short else choices, A, min(sizes))
    for k in sizes:
        calls = {
            name: lambda seed, call=call, k=k: call(A, k, seed) for name, call in choices.items()
        }
        measured = take_turns(calls, n_turns)
        print(
            f"\nLow rank: {what}, {len(A)} x {A.shape[1]} of rank {rank}, {k} chosen, {n_turns} "
            f"turns. Errors relative to the best subspace of as many dimensions.\nOurs also assign "
            f"every row to its nearest chosen row. CUR is given {limit:.0f} s.\n"
            "inf: the best subspace is exact, the span of the choice is not.\n"
        )
        rows = []
        for name, (least, ratio, median) in compare_times(measured, ours).items():
            errors = [measure.errors(indices) for indices in measured[name].results]
            n_done = len(measured[name].results[0])
            label = name if n_done == k else f"{name}: {n_done} of {k} rows in the time"
            rows.append(
                (
                    label,
                    f"{least:.2f}",
                    f"{ratio:.2f}",
                    f"{median:.2f}",
                    *(f"{value:.3f}" for value in np.mean(errors, axis=0)),
                    memory.get(name, "") if k == min(sizes) else "",
                )
            )
            if n_done < k:
                rows.append(greedy_as_far(A, n_done, measure))
        header = ("", "least s", "ratio", "median", "Frobenius", "spectral", "extra MiB")
        print_table(header, rows)
        print_not_run(measured)


def greedy_as_far(A, k, measure):
    """Return the row of greedy-css with as many rows as CUR had time for."""
    start = time.perf_counter()
    chosen = select(GreedyCSS(), A, k)
    seconds = time.perf_counter() - start
    fro, spectral = measure.errors(chosen)
    name = f"crust_sklearn, greedy-css, {k} rows"
    return name, f"{seconds:.2f}", "", "", f"{fro:.3f}", f"{spectral:.3f}", ""


def quality_strategies():
    return {
        "facility-location": "facility-location",
        "facility-location, stochastic": FacilityLocation(optimizer="stochastic"),
        "k-medoids": "k-medoids",
        "centrality = the reference code's rule": "centrality",
        "greedy-css": "greedy-css",
        "greedy-low-rank": "greedy-low-rank",
        "pivoted-qr": "pivoted-qr",
        "leverage": "leverage",
        "leverage, top": Leverage(sampling="top"),
        "uniform": "uniform",
    }


def judge(G, y, is_wrong, size, seed):
    """Return for each strategy its measures on gradients, chosen by given label."""
    from crust_sklearn import CoresetSelector

    low_rank, found = LowRank(G), {}
    # The default of `coverage`, found once.
    radius = np.median(NearestNeighbors(n_neighbors=1).fit(G).kneighbors()[0])
    for name, strategy in quality_strategies().items():
        selector = CoresetSelector(strategy, coreset_size=size, random_state=seed).fit(G, y)
        chosen = selector.sample_indices_
        right = ~is_wrong[chosen]
        found[name] = np.array(
            [
                k_medoids_objective(G, chosen),
                coverage(G, chosen, radius=radius),
                *low_rank.errors(chosen),
                right.mean(),
                np.average(right, weights=selector.sample_weight_),
            ]
        )
    for name in found:
        if name != "uniform":
            found[name][0] /= found["uniform"][0]
    found["uniform"][0] = 1.0
    return found


def print_quality(what, make_rows, sizes, n_seeds):
    """Print the means over seeds of every measure of every strategy."""
    for size in sizes:
        runs = [judge(*make_rows(seed), size, seed) for seed in range(n_seeds)]
        print(
            f"\nWhat is chosen: {what}, last layer's gradients, {size:.0%} kept by given label, "
            f"{n_seeds} seeds.\nObjective relative to uniform's; covered: a chosen row within the "
            "median distance to the nearest row;\nerrors relative to the best subspace.\n"
        )
        header = ("", "objective", "covered", "Frobenius", "spectral", "clean", "clean by weight")
        rows = []
        for name in quality_strategies():
            mean = np.mean([run[name] for run in runs], axis=0)
            objective, covered, fro, spectral, clean, weighted = mean
            rows.append(
                (
                    name,
                    f"{objective:.3f}",
                    f"{covered:.1%}",
                    f"{fro:.3f}",
                    f"{spectral:.3f}",
                    f"{clean:.1%}",
                    f"{weighted:.1%}",
                )
            )
        print_table(header, rows)


def make_all_rows(args):
    """Return what to choose from, by name: rows of 64 numbers, rows of 640, and for `judge`."""
    # Here, because the processes that measure memory need no torch.
    from _gradients import get_gradients, make_clusters, train_on_cifar, train_on_digits

    short, long, judged = {}, {}, {}
    n, n_low = (1_000, 2_000) if args.short else (5_000, 50_000)
    if wanted(args, "greedy", "k-medoids"):
        net, X, noisy = train_on_digits(0, n, hidden_sizes=HIDDEN)
        short["digits' gradients"] = get_gradients(net, X, noisy.y)
        if not args.short:
            short["Gaussian clusters"] = make_clusters(n, 64)[0]
    if wanted(args, "low-rank"):
        net, X, noisy = train_on_digits(0, n_low, hidden_sizes=HIDDEN)
        long["digits' gradients"] = get_gradients(net, X, noisy.y, "last_layer")
    if wanted(args, "quality"):
        judged["digits"] = digits_of
    if args.data is not None:
        net, X, noisy = train_on_cifar(args.data)
        of_class = noisy.y == 0
        short["CIFAR-10's gradients of a class"] = get_gradients(
            net, X[of_class], noisy.y[of_class]
        )
        if wanted(args, "low-rank", "quality"):
            rows = get_gradients(net, X, noisy.y, "last_layer")
            long["CIFAR-10's gradients"] = rows
            judged[f"{N_JUDGED} rows of CIFAR-10"] = partial(some_of, rows, noisy)
    return short, long, judged


def wanted(args, *sections):
    return args.only is None or args.only in sections


def digits_of(seed):
    """Return gradients for the weights of the last layer, given labels, and which are wrong."""
    from _gradients import get_gradients, train_on_digits

    net, X, noisy = train_on_digits(seed, hidden_sizes=HIDDEN)
    return get_gradients(net, X, noisy.y, "last_layer"), noisy.y, noisy.is_wrong


def some_of(rows, noisy, seed):
    """Return some of the rows, given labels, and which are wrong."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:N_JUDGED]
    return rows[chosen], noisy.y[chosen], noisy.is_wrong[chosen]


def check_low_rank():
    """Make sure that `LowRank` is `low_rank_error`."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((60, 20)) * np.linspace(1, 0.1, 20)
    chosen = np.arange(7)
    own = [low_rank_error(A, chosen, norm=norm) for norm in ("fro", "spectral")]
    np.testing.assert_allclose(LowRank(A).errors(chosen), own, rtol=1e-9)


def print_versions():
    found = []
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    print(", ".join(found))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="few rows, few turns")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--data", type=Path, help="folder that holds cifar-10-batches-py")
    parser.add_argument("--turns", type=int, help="number of turns and seeds (default: 5)")
    parser.add_argument(
        "--limit", type=float, help="seconds for CUR and for a solver of scikit-learn-extra"
    )
    args = parser.parse_args()
    n_turns = args.turns or (2 if args.short else 5)
    limit = args.limit or (3.0 if args.short else 300.0)
    print_versions()
    short, long, judged = make_all_rows(args)
    for what, X in short.items():
        if wanted(args, "greedy"):
            print_greedy(what, X, n_turns, args.short)
        if wanted(args, "k-medoids"):
            sizes = (len(X) // 2,) if args.short else (1_000, 2_000, len(X))
            print_k_medoids(what, X, sizes, n_turns)
            solvers, sizes_extra = (EXTRA[:1], (10,)) if args.short else (EXTRA, (500, 100, 10))
            print_extra(what, X[: sizes[0]], solvers, sizes_extra, n_turns, limit)
    if wanted(args, "low-rank"):
        check_low_rank()
        for what, A in long.items():
            print_low_rank(
                what, A, (50,) if args.short else (100, 300, 1_000), n_turns, limit, args.short
            )
    if wanted(args, "quality"):
        for what, rows_of in judged.items():
            sizes = (0.05,) if args.short else (0.5, 0.05)
            print_quality(what, rows_of, sizes, 1 if args.short else n_turns)


if __name__ == "__main__":
    main()
