"""What each part of CRUSTClassifier's default contributes: one change at a time.

    python benchmarks/ablation.py --tables DIR     # the folder that robustness.py takes, too
    python benchmarks/ablation.py --report         # the table, from the CSV file alone

Network, training and measures are those of robustness.py. Some changes are not settings: they reach
into `crust_sklearn.label_quality`.
"""

import argparse
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import robustness
from _results import Results
from _sets import TABLES
from robustness import KEY, MEASURES, get_accuracy

from crust_sklearn import label_quality
from crust_sklearn.label_quality import LabelQuality

HERE = Path(__file__).resolve().parent
SETS = (
    "labelme",
    "wrench_semeval",
    "wrench_youtube",
    "optdigits asymmetric 40%",
    "segment clean",
    "segment symmetric 80%",
    "segment asymmetric 40%",
    "segment instance 40%",
)


def count_all_rows(quality):
    """Return weights of all rows, trusted or not, of the same sum in every class."""
    return quality.weights / np.bincount(quality.codes, quality.weights)[quality.codes]


def count_rows_alike(quality):
    """Return weights of the trusted rows, whatever their class."""
    return quality.weights * quality.is_trusted


def trust_from(ratio):
    """Return what asks the same of all labels: a share of the best label's prediction."""

    def get_min_ratios(predictions, codes, sample_weight):
        return np.full((predictions.shape[1],) * 2, ratio)

    return get_min_ratios


# What CRUSTClassifier is given, and what is changed inside.
CHANGES = {
    "default": ({}, {}),
    "the network's own gradient, p - y": ({"gradient": "logits"}, {}),
    "half of each class": ({"coreset_size": 0.5}, {}),
    "the most central rows": ({"selector": "centrality", "coreset_size": "auto"}, {}),
    "medoids with cluster weights": (
        {"selector": "facility-location", "coreset_size": "auto", "coreset_weight": "cluster"},
        {},
    ),
    "by predicted class": ({"group_by": "prediction"}, {}),
    "mixup of the batch, Beta(0.2, 0.2)": ({"mixup": "batch", "mixup_alpha": 0.2}, {}),
    "warm-up of 5 epochs": ({"warmup_epochs": 5}, {}),
    "a selection in every epoch": ({"reselect_every": 1}, {}),
    "ridge regression on all rows": ({}, {"_balanced_weights": count_all_rows}),
    "classes not balanced": ({}, {"_balanced_weights": count_rows_alike}),
    "labels trusted from 0.5 of the best": ({}, {"get_min_ratios": trust_from(0.5)}),
    "labels trusted from 0.85 of the best": ({}, {"get_min_ratios": trust_from(0.85)}),
    "labels trusted if the best": ({}, {"get_min_ratios": trust_from(1.0)}),
    "ratios of uncalibrated predictions": ({}, {"_get_sharpness": lambda *_: 1.0}),
    "also under 5 % of wrong labels": ({}, {"MIN_NOISE": 0.0}),
}


@contextmanager
def changed(inside):
    """Change methods of LabelQuality, or constants and functions of label_quality."""
    patches = [
        patch.object(LabelQuality if hasattr(LabelQuality, name) else label_quality, name, value)
        for name, value in inside.items()
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def run(name, change, seed, tables):
    """Return what robustness.py measures."""
    settings, inside = CHANGES[change]
    with patch.dict(robustness.CRUST, {change: settings}), changed(inside):
        return robustness.run(name, change, seed, tables, None)


def print_report(results):
    """Print the mean accuracy of every set, and the mean change over the sets."""
    names = [n for n in SETS if any(key[0] == n for key in results)]
    print(
        "\n| change | " + " | ".join(names) + " | mean change |\n|---|" + "--:|" * (len(names) + 1)
    )
    means = {
        change: [np.mean(list(get_accuracy(results, n, change).values())) for n in names]
        for change in CHANGES
        if any(key[1] == change for key in results)
    }
    for change, row in means.items():
        difference = np.mean(row) - np.mean(means["default"])
        print(f"| {change} | " + " | ".join(f"{a:.1f}" for a in row) + f" | {difference:+.1f} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, help="folder of the .npz files")
    parser.add_argument("--sets", nargs="+", choices=TABLES, default=SETS, metavar="SET")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", type=Path, default=HERE / "results" / "ablation.csv")
    parser.add_argument("--report", action="store_true", help="run nothing")
    args = parser.parse_args()
    results = Results(args.csv, KEY, MEASURES)
    if not args.report:
        if args.tables is None:
            parser.error("give --tables, or --report to read the CSV file alone")
        keys = ((n, c, str(s)) for s, n, c in product(args.seeds, args.sets, CHANGES))
        results.fill(keys, partial(run, tables=args.tables), args.jobs)
    print_report(results)


if __name__ == "__main__":
    main()
