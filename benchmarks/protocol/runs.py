"""One run: a method trains on a set by a recipe, and is measured on test rows it has not seen."""

import time
import warnings
from functools import cache

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score

from .methods import METHODS, RATE, RIGHT_ROWS, Rows
from .recipes import RECIPES
from .sets import SETS

KEY = ("set", "method", "recipe", "seed")
MEASURES = (
    *("test_accuracy", "balanced_accuracy", "clean_fraction", "clean_recall"),
    *("base_rate", "seconds"),
)


def list_runs(sets, methods, recipes, seeds):
    """Return the keys of all runs: sets with the recipes that suit them, and methods that are told
    of the truth where it is known.
    """
    return [
        (name, method, recipe, str(seed))
        for seed in seeds
        for name in sets
        for recipe in recipes
        if suits(RECIPES[recipe], SETS[name])
        for method in methods
        if SETS[name].knows_truth or METHODS[method].told is None
    ]


def suits(recipe, entry):
    """Return whether a set is trained by a recipe."""
    if entry.recipe is not None:
        return recipe.name == entry.recipe
    return recipe.is_for_images == entry.source.is_image


def show(data, told, seed):
    """Return what a method is given of a set."""
    if told == RIGHT_ROWS:
        return Rows(data.X[data.is_right], data.given[data.is_right], data.n_classes, seed)
    rate = float(1 - data.is_right.mean()) if told == RATE else None
    return Rows(data.X, data.given, data.n_classes, seed, rate)


@cache
def warm_up():
    """Train a small net, so that no run's time is that of loading and compiling."""
    rows = Rows(np.eye(20, dtype=np.float32), np.arange(20) % 2, n_classes=2, seed=0)
    options = RECIPES["adam"].make_options() | {"max_epochs": 2}
    for method in ("plain", "default", "reference"):
        METHODS[method].fit(rows, options)


def run(name, method, recipe, seed, places):
    """Train once, in one thread, and return the measures; NaN for those of unknown truth."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # of cleanlab and of scores, about rare classes
    data = SETS[name].load(places, int(seed))
    method = METHODS[method]
    warm_up()
    rows, options = show(data, method.told, int(seed)), RECIPES[recipe].make_options()
    start = time.perf_counter()
    clf, kept = method.fit(rows, options)
    seconds = time.perf_counter() - start
    if method.told == RIGHT_ROWS:
        kept = np.flatnonzero(data.is_right)[kept]
    predicted = clf.predict(data.X_test)
    is_right = np.full(len(data.given), np.nan) if data.is_right is None else data.is_right
    right = is_right[kept]
    return {
        "test_accuracy": np.mean(predicted == data.y_test),
        "balanced_accuracy": balanced_accuracy_score(data.y_test, predicted),
        "clean_fraction": right.mean(),
        "clean_recall": right.sum() / is_right.sum(),
        "base_rate": is_right.mean(),
        "seconds": seconds,
    }
