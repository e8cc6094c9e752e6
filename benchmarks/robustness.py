"""Which way to train on wrong labels can be trusted: methods x data sets x seeds.

    python benchmarks/robustness.py --tables DIR                # the tabular sets
    python benchmarks/robustness.py --images DIR --csv benchmarks/results/robustness_images.csv
    python benchmarks/robustness.py --tables DIR2 --csv benchmarks/results/robustness_unseen.csv
    python benchmarks/robustness.py --report                    # the CSV's tables and figure

``--tables`` is a folder of .npz files with `X`, `y_clean`, `X_test`, `y_test` and, where the noise
is real, `y_given`; DIR2 is what unpack_keel.py wrote; ``--images`` one that holds
``cifar-10-batches-py`` and ``CIFAR-10_human.pt``. Every finished run is a row of the CSV file, and
is not run again: stop at any time, and go on with the same command. Runs go to ``--jobs`` processes
of one thread each.

All methods have the same network, optimizer, epochs, batch size and seed, and so the same rows and
the same wrong labels; `oracle` is given the correctly labelled rows alone. Each method has its one
published default, the same on all sets. The accuracy is that of the last epoch, on true labels.
"""

import sys
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from _command import make_runs_parser
from _markdown import print_table
from _methods import METHODS, make_common, train
from _places import BENCHMARKS, FIGURES, RESULTS
from _results import Results
from _sets import IMAGES, TABLES, UNSEEN, find_tables, get_kind, load

CSV = RESULTS / "robustness.csv"
FIGURE = FIGURES / "robustness.png"
KEY = ("set", "method", "seed")
MEASURES = ("test_accuracy", "clean_fraction", "clean_recall", "base_rate", "seconds")
KINDS = ("human", "injected", "weak", "clean")


def run(name, method, seed, tables, images):
    """Return what `measure` does of one of the methods."""
    return measure(partial(train, method), name, seed, tables, images)


def measure(train, name, seed, tables, images=None):
    """Train once, in one thread, and return what was measured.

    ``train(options, data, seed)`` returns a fitted classifier, and the rows that it kept.
    """
    torch.set_num_threads(1)
    seed = int(seed)
    warnings.filterwarnings("ignore")  # of cleanlab, about rare classes
    data = load(name, tables, images, seed)
    start = time.perf_counter()
    clf, kept = train(make_common(name), data, seed)
    seconds = time.perf_counter() - start
    right = data.is_right[kept]
    return {
        "test_accuracy": np.mean(clf.predict(data.X_test) == data.y_test),
        "clean_fraction": right.mean(),
        "clean_recall": right.sum() / data.is_right.sum(),
        "base_rate": data.is_right.mean(),
        "seconds": seconds,
    }


# -- the report -------------------------------------------------------------------------------


def get_accuracy(results, name, method):
    """Return the test accuracies by seed, in per cent."""
    return {
        int(key[2]): 100 * measured["test_accuracy"]
        for key, measured in results.items()
        if key[:2] == (name, method)
    }


def compare(results, name, method, other):
    """Return the mean difference of the test accuracies over the seeds that both have."""
    mine, theirs = get_accuracy(results, name, method), get_accuracy(results, name, other)
    seeds = mine.keys() & theirs.keys()
    return np.mean([mine[s] - theirs[s] for s in seeds]) if seeds else np.nan


def get_gap_closed(results, name, method):
    """Return the share of the gap from plain training to the oracle that a method closes."""
    return compare(results, name, method, "plain") / compare(results, name, "oracle", "plain")


def print_accuracies(results, names, methods):
    """Print the test accuracy of every set and method."""
    rows = []
    for name in names:
        cells = []
        for method in methods:
            found = list(get_accuracy(results, name, method).values())
            spread = f" ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
            cells.append(f"{np.mean(found):.1f}{spread}" if found else "")
        wrong = [1 - m["base_rate"] for key, m in results.items() if key[0] == name]
        rows.append((name, f"{100 * np.mean(wrong):.0f}%", *cells))
    print()
    print_table(("set", "wrong", *methods), rows, is_aligned=False)


def get_pooled_gap(results, names, method):
    """Return the same for some sets together: a set with a small gap counts little."""
    if not names:
        return np.nan
    gains = [compare(results, n, method, "plain") for n in names]
    return np.sum(gains) / np.sum([compare(results, n, "oracle", "plain") for n in names])


def show(value, form):
    """Return a number as text, and nothing for what was not run."""
    return "" if np.isnan(value) else format(value, form)


def print_summary(results, names, methods):
    """Print what a method gains over all sets of a kind, and where it does the most harm."""
    header = (
        *("method", "gap closed: mean", "pooled", "human", "injected", "weak rules: gain"),
        *("clean: gain", "worst set: gain", "clean fraction", "recall", "time"),
    )
    print()
    print_table(header, [summarize(results, names, m) for m in methods], is_aligned=False)


def summarize(results, names, method):
    """Return one row of the summary."""
    kinds = {kind: [n for n in names if get_kind(n) == kind] for kind in KINDS}
    noisy = kinds["human"] + kinds["injected"]
    gaps = [
        np.mean([get_gap_closed(results, n, method) for n in noisy] or np.nan),
        *(get_pooled_gap(results, n, method) for n in (noisy, kinds["human"], kinds["injected"])),
    ]
    gains = {n: compare(results, n, method, "plain") for n in names}
    weak, clean = (np.mean([gains[n] for n in kinds[k]] or np.nan) for k in ("weak", "clean"))
    worst = min((n for n in names if not np.isnan(gains[n])), key=lambda n: gains[n])
    runs = [m for key, m in results.items() if key[1] == method and key[0] in noisy]
    fraction, recall = (
        np.mean([m[what] for m in runs] or np.nan) for what in ("clean_fraction", "clean_recall")
    )
    return (
        method,
        *(show(gap, ".0%") for gap in gaps),
        show(weak, "+.1f"),
        show(clean, "+.1f"),
        f"{gains[worst]:+.1f} ({worst})",
        show(fraction, ".1%"),
        show(recall, ".1%"),
        show(get_time(results, method), ".2f"),
    )


def get_time(results, method):
    """Return the median ratio of the seconds to those of plain training, over sets and seeds."""
    ratios = [
        m["seconds"] / results[key[0], "plain", key[2]]["seconds"]
        for key, m in results.items()
        if key[1] == method and (key[0], "plain", key[2]) in results
    ]
    return np.median(ratios) if ratios else np.nan


def draw(results, names, methods, path):
    """Draw how far each method closes the gap, set by set."""
    import matplotlib.pyplot as plt

    names = [n for n in names if get_kind(n) != "clean"]
    shown = [m for m in methods if m not in ("plain", "oracle")]
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(names) + 1.6), layout="constrained")
    markers = "oDs^vPX<>*"
    for method, marker in zip(shown, markers, strict=False):
        gaps = [100 * get_gap_closed(results, n, method) for n in names]
        style = {"s": 80, "zorder": 3} if method == "default" else {"s": 28, "alpha": 0.7}
        axes.scatter(
            np.clip(gaps, -100, 100), range(len(names)), marker=marker, label=method, **style
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(100, color="black", linewidth=0.8, linestyle=":")
    axes.set(
        yticks=range(len(names)),
        yticklabels=names,
        xlabel="share of the gap from plain training (0) to the oracle (100) that is closed, in %",
        xlim=(-105, 105),
    )
    axes.invert_yaxis()
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(path, dpi=110)
    print(path.relative_to(BENCHMARKS.parent), file=sys.stderr)


# -- the command ------------------------------------------------------------------------------


def parse_args():
    parser = make_runs_parser(
        __doc__, CSV.name, choices=TABLES + UNSEEN + IMAGES, sets=None, seeds=[0, 1, 2]
    )
    parser.add_argument("--images", type=Path, help="folder of the CIFAR-10 files")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD")
    args = parser.parse_args()
    known = [*find_tables(args.tables)] if args.tables else []
    known += IMAGES if args.images else ()
    if not args.report and not known:
        parser.error("give --tables or --images, or --report to read the CSV file alone")
    args.sets = args.sets or known
    return args


def main():
    args = parse_args()
    results = Results(args.csv, KEY, MEASURES)
    if not args.report:
        keys = ((n, m, str(s)) for s, n, m in product(args.seeds, args.sets, args.methods))
        places = {"tables": args.tables, "images": args.images}
        results.fill(keys, partial(run, **places), args.jobs)
    names = [n for n in TABLES + UNSEEN + IMAGES if any(key[0] == n for key in results)]
    methods = [m for m in METHODS if any(key[1] == m for key in results)]
    print_summary(results, names, methods)
    print_accuracies(results, names, methods)
    if args.csv == CSV:
        draw(results, names, methods, FIGURE)


if __name__ == "__main__":
    main()
