"""How time and memory of the selections grow: exponents, a figure, and the large shapes.

    python benchmarks/growth.py                    # half an hour or so
    python benchmarks/growth.py --short            # less than half a minute
    python benchmarks/growth.py --only imagenet    # one section of those below

- growth: seconds of each strategy against the rows n, the chosen rows k, the features d and the
  number of groups; the slope of a straight line through the logarithms, and its last stretch alone.
  The figure goes to docs/_static/selection_growth.png (with --short: nowhere, or to --figure).
- imagenet: 1 000 groups of 1 281 rows; large: one group of 100 000; million: one of 1 000 000;
  ten-million: one of 10 000 000, read from a memory map (in a full run only if asked for). Half
  of the rows are kept. Each in a fresh process, which makes the rows, selects from a few of them
  first, so that the kernels are there, and tells its largest resident size. Beside it a process
  that only imports and makes the rows.
- first-call: the import and the first selection in a fresh process, without compiled kernels in
  the cache and with them.
- parts: the objective of a selection in parts, as above about 15 000 rows, forced at a size that
  can be done exactly by scikit-learn's working_memory.

Rows are generated, Gaussian, of 64 float32 features; for `parts` also gradients of an MLP on noisy
copies of scikit-learn's digits.
"""

import math
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _command import make_parser
from _markdown import print_table
from _places import FIGURES
from _processes import NotRun, run_fresh
from _turns import take_turns
from sklearn import config_context

from crust_sklearn import CoresetSelector
from crust_sklearn.measures import k_medoids_objective
from crust_sklearn.strategies import STRATEGIES, FacilityLocation, make_strategy

FIGURE = FIGURES / "selection_growth.png"
# Number of groups, rows in each.
SHAPES = {"imagenet": (1_000, 1_281), "large": (1, 100_000), "million": (1, 1_000_000)}
SHAPES["ten-million"] = (1, 10_000_000)
SHORT_SHAPES = {"imagenet": (20, 1_281), "large": (1, 20_000), "million": (1, 30_000)}
SHORT_SHAPES["ten-million"] = (1, 40_000)
# In memory maps, and only if asked for; in a short run, these too.
MAPPED = ("ten-million",)
LEFT_OUT = ("large", "million")
SECTIONS = ("growth", *SHAPES, "first-call", "parts")
# Those with kernels of their own.
COMPILED = ("facility-location", "k-medoids", "centrality")
TIMEOUT = 3 * 3600.0


def make_rows(n_rows, n_features=64, seed=0):
    return np.random.default_rng(seed).standard_normal((n_rows, n_features), dtype=np.float32)


def map_rows(n_rows, path, n_features=64, part=500_000):
    """Return rows in a memory map, made a part at a time."""
    shape = (n_rows, n_features)
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, n_rows, part):
        X[start : start + part] = make_rows(len(X[start : start + part]), n_features, seed=start)
    X.flush()
    return np.load(path, mmap_mode="r")


def strategy_of(name):
    """Return the strategy with that short name; "stochastic" is that of facility location."""
    return FacilityLocation(optimizer="stochastic") if name == "stochastic" else make_strategy(name)


def growth_axes(short):
    """Return for each axis: its label, its values, and a function that makes the selection.

    The function takes a strategy and a value and returns a function without arguments.
    """
    f = 4 if short else 1  # everything so much smaller
    n_for_k, n_for_d, group = 4_000 // f, 2_000 // f, 500 // f
    rows = make_rows(8_000 // f)
    wide = make_rows(n_for_d, 1_024 // f)
    groups = [1, 4, 16, 64][: 3 if short else None]
    many, labels = make_rows(group * groups[-1]), np.repeat(np.arange(groups[-1]), group)
    half = group // 2

    def by_groups(strategy, g):
        selector = CoresetSelector(strategy, random_state=0)
        return lambda: selector.fit(many[: g * group], labels[: g * group])

    return {
        "n": (
            "rows n (k = n / 2, d = 64)",
            [n // f for n in (500, 1_000, 2_000, 4_000, 8_000)][f // 4 :],
            lambda s, n: partial(s.select, rows[:n], n // 2, random_state=0),
        ),
        "k": (
            f"chosen rows k (n = {n_for_k}, d = 64)",
            [n_for_k // part for part in (64, 32, 16, 8, 4, 2)],
            lambda s, k: partial(s.select, rows[:n_for_k], k, random_state=0),
        ),
        "d": (
            f"features d (n = {n_for_d}, k = n / 2)",
            [d // f for d in (64, 128, 256, 512, 1_024)],
            lambda s, d: partial(
                s.select, np.ascontiguousarray(wide[:, :d]), n_for_d // 2, random_state=0
            ),
        ),
        "groups": (f"groups of {group} rows (k = {half} of each, d = 64)", groups, by_groups),
    }


def measure_growth(axes, n_turns):
    """Return the least seconds by axis and strategy, an array over the axis' values."""
    calls = {}
    for axis, (_, values, make) in axes.items():
        for name in STRATEGIES:
            for value in values:
                call = make(make_strategy(name), value)
                calls[axis, name, value] = lambda turn, call=call: call() and None
    warm = make_rows(200)
    for name in STRATEGIES:
        make_strategy(name).select(warm, 100, random_state=0)
    measured = take_turns(calls, n_turns)
    failed = {key: m.not_run for key, m in measured.items() if m.not_run}
    if failed:
        raise RuntimeError(f"These failed: {failed}")
    return {
        axis: {
            name: np.array([measured[axis, name, value].seconds.min() for value in values])
            for name in STRATEGIES
        }
        for axis, (_, values, _) in axes.items()
    }


def exponents(values, seconds):
    """Return the slope of log seconds over log values: through all, and of the last two."""
    x, y = np.log(values), np.log(seconds)
    slopes = np.polyfit(x, y, 1)[0], (y[-1] - y[-2]) / (x[-1] - x[-2])
    return np.round(slopes, 2) + 0.0  # no -0.00


def print_growth(short, n_turns, figure):
    axes = growth_axes(short)
    measured = measure_growth(axes, n_turns)
    for axis, (label, values, _) in axes.items():
        print(f"\nGrowth with {label}: least milliseconds of {n_turns} turns\n")
        rows = []
        for name, seconds in measured[axis].items():
            slopes = (f"{slope:.2f}" for slope in exponents(values, seconds))
            rows.append((name, *(f"{1000 * s:.1f}" for s in seconds), *slopes))
        header = ("", *(f"{axis} = {value}" for value in values), "exponent", "of the last two")
        print_table(header, rows)
    if figure is not None:
        draw(axes, measured, figure)
        print(f"\n{figure.name} drawn")


def draw(axes, measured, path):
    """Draw a panel per axis, with the exponents in its legend."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(12, 8), sharey=True, layout="constrained")
    for panel, (axis, (label, values, _)) in zip(panels.flat, axes.items(), strict=True):
        for (name, seconds), marker in zip(measured[axis].items(), "osD^v<>xP*", strict=False):
            slope = exponents(values, seconds)[0]
            panel.loglog(
                values, seconds, marker=marker, label=f"{name}: {np.round(slope, 1) + 0.0:.1f}"
            )
        panel.set_xlabel(label)
        panel.set_ylabel("seconds")
        panel.set_xticks(values, [f"{value}" for value in values])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(
            title=f"growth with {axis}: exponent",
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
        )
    figure.suptitle("Time of a selection, log-log; exponents of straight lines through the points")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def select_once(n_groups, group_size, strategy, n_jobs, is_mapped, working_memory):
    """Make rows and choose half of each group; without a strategy make the rows only."""
    with TemporaryDirectory() as folder, config_context(working_memory=working_memory):
        n_rows = n_groups * group_size
        X = map_rows(n_rows, Path(folder) / "X.npy") if is_mapped else make_rows(n_rows)
        y = np.repeat(np.arange(n_groups), group_size)
        if strategy is None:
            return {}
        options = {"strategy": strategy_of(strategy), "n_jobs": n_jobs, "random_state": 0}
        CoresetSelector(**options).fit(X[:200], np.arange(200) % 2)
        start = time.perf_counter()
        selector = CoresetSelector(**options).fit(X, y)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "objective": selector.objective_}


def print_scale(shapes, strategies, n_jobs, working_memory):
    """Print time and peak memory of the large shapes."""
    print(
        f"\nLarge shapes, each in a fresh process: 64 float32 features, half of each group kept, "
        f"n_jobs={n_jobs}, {os.cpu_count()} cores, working_memory={working_memory} MiB\n"
    )
    rows = []
    for name, (n_groups, group_size) in shapes.items():
        shape = f"{n_groups} x {group_size} x 64"
        for strategy in (None, *strategies):
            options = {"n_groups": n_groups, "group_size": group_size}
            options |= {"strategy": strategy, "n_jobs": n_jobs}
            options |= {"is_mapped": name in MAPPED, "working_memory": working_memory}
            what = strategy or "(imports and rows alone)"
            try:
                found = run_fresh("growth:select_once", options, timeout=TIMEOUT)
            except NotRun as error:
                rows.append((f"{name}: {shape}", what, f"not run: {error}", "", ""))
                continue
            seconds, objective = (found.get(key) for key in ("seconds", "objective"))
            rows.append(
                (
                    f"{name}: {shape}",
                    what,
                    "" if seconds is None else f"{seconds:.1f}",
                    "" if objective is None else f"{objective:.6g}",
                    f"{found['peak_mib']:.0f}",
                )
            )
    print_table(
        ("groups x rows x features", "", "seconds", "objective", "peak MiB"), rows, n_text=2
    )


def first_call(strategy):
    """Return the seconds of the first two selections of this process."""
    X, seconds = make_rows(500), []
    for _ in range(2):
        start = time.perf_counter()
        CoresetSelector(strategy, random_state=0).fit(X)
        seconds.append(time.perf_counter() - start)
    return {"first": seconds[0], "second": seconds[1]}


def import_only():
    """Return the seconds of the import of the selector, in a process that does nothing else."""
    code = "import time; t = time.perf_counter(); from crust_sklearn import CoresetSelector"
    code += "; print(time.perf_counter() - t)"
    return float(subprocess.check_output([sys.executable, "-c", code], text=True))


def print_first_calls(strategies):
    print("\nThe first selection in a fresh process: 500 x 64, half kept, seconds\n")
    rows = []
    for name in strategies:
        with TemporaryDirectory() as folder:
            env = {"NUMBA_CACHE_DIR": folder}
            found = [run_fresh("growth:first_call", {"strategy": name}, env=env) for _ in range(2)]
        compiled, cached = found
        rows.append(
            (
                name,
                f"{compiled['first']:.2f}",
                f"{cached['first']:.2f}",
                f"{cached['second']:.3f}",
                f"{compiled['peak_mib']:.0f}",
                f"{cached['peak_mib']:.0f}",
            )
        )
    header = ("", "not cached", "cached", "second call", "peak MiB, not cached", "cached")
    print_table(header, rows)
    print(f"The import of the selector takes {import_only():.2f} s beside it.")


def print_parts(what, X, numbers, strategies):
    """Print objective and time of selections in parts, relative to the exact ones."""
    k = len(X) // 2
    print(
        f"\nIn parts against exact: {what}, {len(X)} x {X.shape[1]}, {k} kept, parts forced by "
        "working_memory\n"
    )
    rows = []
    for name in strategies:
        strategy = strategy_of(name)
        strategy.select(X[:200], 100, random_state=0)
        whole = time_in_parts(strategy, X, k, 1)
        for n_parts in numbers:
            part = time_in_parts(strategy, X, k, n_parts)
            rows.append(
                (
                    name,
                    f"{n_parts}",
                    f"{part['memory']} MiB",
                    f"{part['objective'] / whole['objective'] - 1:+.2%}",
                    f"{part['seconds'] / whole['seconds']:.2f}",
                    f"{len(np.intersect1d(part['chosen'], whole['chosen'])) / k:.1%}",
                )
            )
    header = ("", "parts", "memory", "objective - exact", "time / exact", "rows in common")
    print_table(header, rows)


def time_in_parts(strategy, X, k, n_parts):
    """Choose with just the working memory that makes so many parts necessary."""
    # Five bytes for each pair of rows, see BaseDistanceStrategy.
    memory = max(1, math.ceil((len(X) / n_parts) ** 2 * 5 / 2**20))
    with config_context(working_memory=memory if n_parts > 1 else 16_384):
        start = time.perf_counter()
        chosen = strategy.select(X, k, random_state=0).indices
        seconds = time.perf_counter() - start
    objective = k_medoids_objective(X, chosen)
    return {"memory": memory, "seconds": seconds, "objective": objective, "chosen": chosen}


def make_gradients(n_rows):
    from _gradients import get_gradients, train_on_digits  # here: they import torch

    net, X, noisy = train_on_digits(0, n_rows, hidden_sizes=(256, 64))
    return get_gradients(net, X, noisy.y)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="small sizes, few turns")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--turns", type=int, help="number of turns of growth (default: 5)")
    parser.add_argument(
        "--strategy",
        action="append",
        choices=[*STRATEGIES, "stochastic"],
        help='for the large shapes and parts; "stochastic" is that of facility location '
        "(default: facility-location; may be given several times)",
    )
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count(), help="for the large shapes")
    parser.add_argument(
        "--working-memory", type=int, default=1024, help="MiB for distances, in the large shapes"
    )
    parser.add_argument("--figure", type=Path, help="where the figure goes")
    args = parser.parse_args()
    strategies = args.strategy or ["facility-location"]
    left_out = () if args.only else MAPPED + (LEFT_OUT if args.short else ())
    wanted = [s for s in SECTIONS if args.only in (None, s) and s not in left_out]
    if "growth" in wanted:
        figure = args.figure or (None if args.short else FIGURE)
        print_growth(args.short, args.turns or (2 if args.short else 5), figure)
    shapes = SHORT_SHAPES if args.short else SHAPES
    shapes = {name: shape for name, shape in shapes.items() if name in wanted}
    if shapes:
        print_scale(shapes, strategies, args.n_jobs, args.working_memory)
    if "first-call" in wanted:
        print_first_calls(("facility-location",) if args.short else COMPILED)
    if "parts" in wanted:
        n_rows, numbers = (2_000, (2,)) if args.short else (8_000, (2, 4, 7))
        print_parts("Gaussian", make_rows(n_rows), numbers, strategies)
        if not args.short:
            print_parts("digits' gradients", make_gradients(n_rows), numbers, strategies)


if __name__ == "__main__":
    main()
