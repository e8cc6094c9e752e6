"""What each part of CRUSTClassifier's default contributes: one change at a time.

    python benchmarks/ablation.py --tables DIR     # the folder that robustness.py takes, too
    python benchmarks/ablation.py --report         # the table, from the CSV file alone

Network, training and measures are those of robustness.py. Some changes are not settings: they reach
into the package.
"""

from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
from _command import run_on_tables
from _markdown import print_table
from _sets import TABLES
from robustness import KEY, MEASURES, get_accuracy, measure

from crust_sklearn import CRUSTClassifier
from crust_sklearn.label_noise import label_quality

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


# What `LabelQuality` balances are the weights of the trusted rows; all rows of these sets count 1.
BALANCE = "label_noise.label_quality.balance_classes"
MIN_RATIOS = "label_noise.label_quality.get_min_ratios"
TEMPERATURE = "label_noise.anchors.get_inverse_temperature"
MIN_NOISE = "label_noise.label_quality.MIN_NOISE"
TRUSTED_THEMSELVES = "nets.selection.has_smallest_norm"


def count_all_rows(weights, codes, n_classes, balance=label_quality.balance_classes):
    """Return weights of all rows, trusted or not, of the same sum in every class."""
    return balance(np.ones_like(weights), codes, n_classes)


def count_rows_alike(weights, codes, n_classes):
    """Return weights of the trusted rows, whatever their class."""
    return weights


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
    "the most central rows": ({"selector": "centrality"}, {}),
    "medoids with cluster weights": (
        {"selector": "facility-location", "coreset_weight": "cluster"},
        {},
    ),
    # Of each predicted class as many rows as are trusted there: these themselves are the default.
    "by predicted class": ({"group_by": "prediction"}, {TRUSTED_THEMSELVES: lambda _: False}),
    "mixup of the batch, Beta(0.2, 0.2)": ({"mixup": "batch", "mixup_alpha": 0.2}, {}),
    "warm-up of 5 epochs": ({"warmup_epochs": 5}, {}),
    "a selection in every epoch": ({"reselect_every": 1}, {}),
    "ridge regression on all rows": ({}, {BALANCE: count_all_rows}),
    "classes not balanced": ({}, {BALANCE: count_rows_alike}),
    "labels trusted from 0.5 of the best": ({}, {MIN_RATIOS: trust_from(0.5)}),
    "labels trusted from 0.85 of the best": ({}, {MIN_RATIOS: trust_from(0.85)}),
    "labels trusted if the best": ({}, {MIN_RATIOS: trust_from(1.0)}),
    "ratios of uncalibrated predictions": ({}, {TEMPERATURE: lambda *_: 1.0}),
    "also under 5 % of wrong labels": ({}, {MIN_NOISE: 0.0}),
}


def run(name, change, seed, tables):
    """Return what robustness.py measures."""
    settings, inside = CHANGES[change]

    def train(options, data, seed):
        clf = CRUSTClassifier(**options | settings, random_state=seed).fit(data.X, data.given)
        return clf, clf.coreset_indices_

    with ExitStack() as stack:
        for place, value in inside.items():
            stack.enter_context(patch(f"crust_sklearn.{place}", value))
        return measure(train, name, seed, tables)


def print_report(results):
    """Print the mean accuracy of every set, and the mean change over the sets."""
    names = [n for n in SETS if any(key[0] == n for key in results)]
    means = {
        change: [np.mean(list(get_accuracy(results, n, change).values())) for n in names]
        for change in CHANGES
        if any(key[1] == change for key in results)
    }
    rows = [
        (
            change,
            *(f"{accuracy:.1f}" for accuracy in found),
            f"{np.mean(found) - np.mean(means['default']):+.1f}",
        )
        for change, found in means.items()
    ]
    print()
    print_table(("change", *names, "mean change"), rows, is_aligned=False)


def main():
    print_report(
        run_on_tables(
            __doc__,
            "ablation.csv",
            run,
            KEY,
            MEASURES,
            CHANGES,
            choices=TABLES,
            sets=SETS,
            seeds=[0, 1],
        )
    )


if __name__ == "__main__":
    main()
