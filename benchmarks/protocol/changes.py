"""Variants of CRUSTClassifier's default, one change at a time; some reach into the package.

Each is a line of CHANGES: its name, what CRUSTClassifier is given, and what is replaced inside.
"""

import numpy as np

from crust_sklearn.label_noise import label_quality

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


CHANGES = {
    "the network's own gradient, p - y": ({"gradient": "logits"},),
    "half of each class": ({"coreset_size": 0.5},),
    "the most central rows": ({"selector": "centrality"},),
    "medoids with cluster weights": (
        {"selector": "facility-location", "coreset_weight": "cluster"},
    ),
    # Of each predicted class as many rows as are trusted there: these themselves are the default.
    "by predicted class": ({"group_by": "prediction"}, {TRUSTED_THEMSELVES: lambda _: False}),
    "mixup of the batch, Beta(0.2, 0.2)": ({"mixup": "batch", "mixup_alpha": 0.2},),
    "warm-up of 5 epochs": ({"warmup_epochs": 5},),
    "a selection in every epoch": ({"reselect_every": 1},),
    "ridge regression on all rows": ({}, {BALANCE: count_all_rows}),
    "classes not balanced": ({}, {BALANCE: count_rows_alike}),
    "labels trusted from 0.5 of the best": ({}, {MIN_RATIOS: trust_from(0.5)}),
    "labels trusted from 0.85 of the best": ({}, {MIN_RATIOS: trust_from(0.85)}),
    "labels trusted if the best": ({}, {MIN_RATIOS: trust_from(1.0)}),
    "ratios of uncalibrated predictions": ({}, {TEMPERATURE: lambda *_: 1.0}),
    "also under 5 % of wrong labels": ({}, {MIN_NOISE: 0.0}),
}
