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

import argparse
import sys
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from _results import Results
from _sets import IMAGES, TABLES, UNSEEN, find_tables, get_kind, load
from _yardsticks import (
    AverageWeights,
    EarlyLearningRegularization,
    GeneralizedCrossEntropy,
    Indexed,
    SmallLoss,
)
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import MLP, SmallCNN
from crust_sklearn.settings import PAPER, REFERENCE

HERE = Path(__file__).resolve().parent
CSV = HERE / "results" / "robustness.csv"
FIGURE = HERE.parent / "docs" / "_static" / "robustness.png"
KEY = ("set", "method", "seed")
MEASURES = ("test_accuracy", "clean_fraction", "clean_recall", "base_rate", "seconds")

CENTRALITY = REFERENCE | {"mixup": None}


def make_small_loss(data):
    """Return the settings of small-loss selection that is told the true share of right labels."""
    size = float(data.is_right.mean())
    return {
        "selector": CoresetSelector(SmallLoss(), coreset_size=size),
        "gradient": "logits",
        "group_by": None,
        "coreset_weight": "uniform",
        "mixup": None,
        "warmup_epochs": 5,
    }


# What CRUSTClassifier is given, where a method is one of its settings.
CRUST = {
    "paper": PAPER,
    "reference": REFERENCE,
    "centrality": CENTRALITY,
    "small loss, true rate": make_small_loss,
    "default": {},
}
OTHERS = ("plain", "averaged weights", "generalized CE", "ELR", "cleanlab", "oracle")
METHODS = ("plain", "default", *(m for m in CRUST if m != "default"), *OTHERS[1:])


def make_common(name, seed):
    """Return the network and what every method has in common on a set."""
    is_image = name in IMAGES
    options = {
        "module": SmallCNN if is_image else MLP,  # MLP: 256 and 128 hidden units
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "lr": 0.05,
        "batch_size": 128 if is_image else 64,
        "max_epochs": 24 if is_image else 60,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    if is_image:
        options["optimizer__weight_decay"] = 5e-4
        schedule = LRScheduler(policy=CosineAnnealingLR, T_max=options["max_epochs"])
        options["callbacks"] = [("schedule", schedule)]
    return options


def add_sizes(options, data):
    """Return the options with the module's sizes, which CRUSTClassifier infers by itself."""
    options = options | {"module__num_classes": int(max(data.given.max(), data.true.max())) + 1}
    if data.X.ndim == 2:
        options["module__in_features"] = data.X.shape[1]
    else:
        options["module__in_channels"] = data.X.shape[1]
    return options


def train(method, options, data, seed):
    """Return the fitted classifier."""
    if method in CRUST:
        settings = CRUST[method]
        settings = settings(data) if callable(settings) else settings
        net = CRUSTClassifier(**options | settings, random_state=seed)
        return net.fit(data.X, data.given)
    torch.manual_seed(seed)
    options = add_sizes(options, data)
    X, y = data.X, data.given
    if method == "oracle":
        X, y = X[data.is_right], y[data.is_right]
    if method == "generalized CE":
        options["criterion"] = GeneralizedCrossEntropy
    if method == "averaged weights":
        n_steps = options["max_epochs"] * -(-len(X) // options["batch_size"])
        averaging = ("average", AverageWeights(n_steps))
        options["callbacks"] = [*options.get("callbacks", []), averaging]
    if method == "ELR":
        options["module__net"] = options.pop("module")
        net = EarlyLearningRegularization(Indexed, **options)
        return net.fit({"X": X, "index": np.arange(len(X))}, y)
    net = NeuralNetClassifier(**options)
    if method == "cleanlab":
        from cleanlab.classification import CleanLearning

        # Its own processes do not work inside those of this run.
        return CleanLearning(net, seed=seed, find_label_issues_kwargs={"n_jobs": 1}).fit(X, y)
    return net.fit(X, y)


def get_kept(method, net, data):
    """Return the training rows that the last epochs used."""
    if method == "oracle":
        return np.flatnonzero(data.is_right)
    if method == "cleanlab":
        return np.flatnonzero(~net.get_label_issues()["is_label_issue"].to_numpy())
    return getattr(net, "coreset_indices_", np.arange(len(data.X)))


def run(name, method, seed, tables, images):
    """Train once, in one thread, and return what was measured."""
    torch.set_num_threads(1)
    seed = int(seed)
    warnings.filterwarnings("ignore")  # of cleanlab, about rare classes
    data = load(name, tables, images, seed)
    start = time.perf_counter()
    net = train(method, make_common(name, seed), data, seed)
    seconds = time.perf_counter() - start
    right = data.is_right[get_kept(method, net, data)]
    X_test = {"X": data.X_test} if method == "ELR" else data.X_test
    return {
        "test_accuracy": np.mean(net.predict(X_test) == data.y_test),
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
    print("\n| set | wrong | " + " | ".join(methods) + " |\n|---|--:|" + "--:|" * len(methods))
    for name in names:
        cells = []
        for method in methods:
            found = list(get_accuracy(results, name, method).values())
            spread = f" ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
            cells.append(f"{np.mean(found):.1f}{spread}" if found else "")
        wrong = [1 - m["base_rate"] for key, m in results.items() if key[0] == name]
        print(f"| {name} | {100 * np.mean(wrong):.0f}% | " + " | ".join(cells) + " |")


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
    kinds = {kind: [n for n in names if get_kind(n) == kind] for kind in KINDS}
    noisy = kinds["human"] + kinds["injected"]
    print(
        "\n| method | gap closed: mean | pooled | human | injected | weak rules: gain "
        "| clean: gain | worst set: gain | clean fraction | recall | time |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    for method in methods:
        gaps = [
            np.mean([get_gap_closed(results, n, method) for n in noisy] or np.nan),
            *(get_pooled_gap(results, some, method) for some in (noisy, kinds["human"])),
            get_pooled_gap(results, kinds["injected"], method),
        ]
        gains = {n: compare(results, n, method, "plain") for n in names}
        weak, clean = (np.mean([gains[n] for n in kinds[k]] or np.nan) for k in ("weak", "clean"))
        worst = min((n for n in names if not np.isnan(gains[n])), key=lambda n: gains[n])
        runs = [m for key, m in results.items() if key[1] == method and key[0] in noisy]
        fraction, recall = (
            np.mean([m[what] for m in runs]) for what in ("clean_fraction", "clean_recall")
        )
        print(
            f"| {method} | {' | '.join(show(gap, '.0%') for gap in gaps)} "
            f"| {show(weak, '+.1f')} | {show(clean, '+.1f')} | {gains[worst]:+.1f} ({worst}) "
            f"| {fraction:.1%} | {recall:.1%} | {show(get_time(results, method), '.2f')} |"
        )


KINDS = ("human", "injected", "weak", "clean")


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
    print(path.relative_to(HERE.parent), file=sys.stderr)


# -- the command ------------------------------------------------------------------------------


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, help="folder of the .npz files")
    parser.add_argument("--images", type=Path, help="folder of the CIFAR-10 files")
    parser.add_argument("--sets", nargs="+", choices=TABLES + UNSEEN + IMAGES, metavar="SET")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", type=Path, default=CSV)
    parser.add_argument("--report", action="store_true", help="run nothing")
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
