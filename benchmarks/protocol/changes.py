"""Variants of CRUSTClassifier's default, one change at a time; some reach into the package.

Each is a line of CHANGES: its name, what CRUSTClassifier is given, and what is replaced inside.
"""

import numpy as np

from crust_sklearn.label_noise import label_quality

ANCHORS, QUALITY = "label_noise.anchors", "label_noise.label_quality"
TRUSTED_THEMSELVES = "nets.selection.has_smallest_norm"


def balance_classes(
    features, codes, n_classes, weights, verbose=0, predict=label_quality.predict_labels
):
    """Return the predictions of a fit in which all classes have the same weight."""
    sums = np.bincount(codes, weights=weights, minlength=n_classes)
    weights = weights / np.where(sums > 0.0, sums, 1.0)[codes]
    return predict(features, codes, n_classes, weights)


def get_first(features, *others):
    """Return the features without those of the kernel."""
    return features


def forget_shares(weights, codes, is_taken):
    """Return weights with which a fit expects the classes as often as their trusted rows are."""
    return weights * is_taken


def fit_once(quality, features, update=label_quality.LabelQuality.update):
    """Return what a first selection finds by its first fit alone."""
    if quality.n_updates > 0:
        return update(quality, features)
    found = label_quality.predict_labels(
        features, quality.codes, quality.n_classes, quality.weights
    )
    second = update(quality, features)
    is_trusted = label_quality.is_enough(found, quality.codes, second.min_ratios)
    return label_quality.replace(
        second, predictions=found.values, kept=found.classes, is_trusted=is_trusted
    )


def forget(quality, features, update=label_quality.LabelQuality.update):
    """Return what the last selection finds alone, by what the first one asks of a label."""
    before = label_quality.replace(quality, predictions=np.zeros_like(quality.predictions))
    found = update(before, features)
    scaled = label_quality.replace(found, predictions=found.predictions * found.n_updates)
    is_trusted = label_quality.is_enough(scaled.top, quality.codes, found.min_ratios)
    return label_quality.replace(scaled, is_trusted=is_trusted)


FEWER_BATCHES = {"nets.coreset_net.CoresetNet.get_most_batches": lambda net, n_rows: None}
# As if predictions were always right.
NO_LIMIT = {f"{QUALITY}.get_shown_noise": lambda *args: 1.0}
NO_KERNEL = {"nets.judged_labels.choose_features": get_first}
NO_SHARES = {f"{QUALITY}.hold_shares": forget_shares}

# The default with one of its constants changed.
CONSTANTS = {
    "labels trusted from 0.5 of the best": (
        {},
        {f"{ANCHORS}.POWER": 0.0, f"{ANCHORS}.MAX_RATIO": 0.5},
    ),
    "labels trusted from 0.85 of the best": ({}, {f"{ANCHORS}.POWER": 0.0}),
    "labels trusted from up to the best": ({}, {f"{ANCHORS}.MAX_RATIO": 1.0}),
    "square root": ({}, {f"{ANCHORS}.POWER": 0.5}),
    "fourth root": ({}, {f"{ANCHORS}.POWER": 0.25}),
    "all rows are anchors": ({}, {f"{ANCHORS}.ANCHORS": 1.0}),
    "10 rows tell of a class": ({}, {f"{ANCHORS}.MIN_ROWS": 10}),
    "100 rows tell of a class": ({}, {f"{ANCHORS}.MIN_ROWS": 100}),
    "also where no label looks wrong": ({}, {f"{QUALITY}.MIN_NOISE": 0.0}),
    "from 3 % of wrong labels": ({}, {f"{QUALITY}.MIN_NOISE": 0.03}),
    "from 10 % of wrong labels": ({}, {f"{QUALITY}.MIN_NOISE": 0.1}),
    "no limit to what is left out": ({}, NO_LIMIT),
    "odds of knowing by the number of rows": ({}, {"label_noise.shown_noise.POWER": 1.0}),
    "odds of knowing by its power of 1.5": ({}, {"label_noise.shown_noise.POWER": 1.5}),
    "all rows alone tell of the limit": ({}, {"label_noise.shown_noise.MIN_SURE": 10**9}),
    "fewer rows are fewer batches": ({}, FEWER_BATCHES),
    "fewer rows are as many batches": ({}, {"nets.coreset_net.FEW_BATCHES": 10**9}),
}
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
    "without the inputs": ({}, {"nets.row_outputs.is_vectors": lambda _: False}),
    "without the kernel": ({}, NO_KERNEL),
    "classes by what is trusted of them": ({}, NO_SHARES),
    "neither kernel nor shares": ({}, NO_KERNEL | NO_SHARES),
    "classes balanced": ({}, {f"{QUALITY}.predict_labels": balance_classes}),
    "one fit at the first selection": ({}, {f"{QUALITY}.LabelQuality.update": fit_once}),
    "the last selection, no average": ({}, {f"{QUALITY}.LabelQuality.update": forget}),
    **CONSTANTS,
}
