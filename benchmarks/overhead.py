"""What an epoch of CRUST costs beside an epoch of plain skorch, and where its time goes.

    python benchmarks/overhead.py            # some minutes
    python benchmarks/overhead.py --short    # less than a minute

SmallCNN on random images of CIFAR-10's shape, half of the rows in the coreset, a selection in
every epoch. Plain and CRUST epochs take turns, so that a busy machine slows both; seconds are the
`dur` of skorch's history, which includes the selection. Every figure is a ratio to the plain epoch
of the same turn, and the median over the turns is printed.
"""

import argparse
import time

import numpy as np
import torch
from skorch import NeuralNetClassifier

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import SmallCNN
from crust_sklearn.strategies import make_strategy

PAPER = {
    "group_by": "prediction",
    "coreset_weight": "cluster",
    "mixup": "cluster",
    "mixup_alpha": 1.0,
}
REFERENCE = {
    "group_by": "label",
    "coreset_weight": "uniform",
    "mixup": "class",
    "mixup_alpha": (1.0, 0.1),
}
# The name in the table, the strategy, and what else CRUSTClassifier is given.
METHODS = {
    "paper": ("facility-location", PAPER),
    "reference": ("centrality", REFERENCE),
    "reference, no mixup": ("centrality", REFERENCE | {"mixup": None}),
}
SELECT_SECONDS = []


class Timed:
    """A strategy that notes the seconds of each call: the selection proper, group by group."""

    def __init__(self, strategy):
        self.strategy = strategy

    def select(self, X, n_select, *, sample_weight, random_state):
        start = time.perf_counter()
        chosen = self.strategy.select(
            X, n_select, sample_weight=sample_weight, random_state=random_state
        )
        SELECT_SECONDS.append(time.perf_counter() - start)
        return chosen


def make_nets():
    """Return plain skorch and the CRUST methods, untrained; each call trains one more epoch."""
    common = {
        "module__num_classes": 10,
        "criterion": torch.nn.CrossEntropyLoss,
        "lr": 0.01,
        "batch_size": 128,
        "max_epochs": 1,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    nets = {"plain": NeuralNetClassifier(SmallCNN, **common)}
    for name, (strategy, options) in METHODS.items():
        selector = CoresetSelector(Timed(make_strategy(strategy)), coreset_size=0.5)
        nets[name] = CRUSTClassifier(
            SmallCNN, selector=selector, warmup_epochs=1, random_state=0, **options, **common
        )
    return nets


def train_one_epoch(net, X, y):
    """Return the seconds of one more epoch: whole, of the gradients, of the selection."""
    SELECT_SECONDS.clear()
    net.partial_fit(X, y)
    row = net.history[-1]
    selected = sum(SELECT_SECONDS)
    return {
        "whole epoch": row["dur"],
        "gradients": row.get("selection_dur", 0.0) - selected,
        "selection": selected,
        "training": row["dur"] - row.get("selection_dur", 0.0),
    }


def measure(n_images, n_turns):
    """Return for each CRUST method an array of ratios, one row per turn."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_images, 3, 32, 32), dtype=np.float32)
    y = np.arange(n_images) % 10
    nets = make_nets()
    for turn in range(2):  # the warm-up epoch, and the first selection, which compiles
        for name, net in nets.items():
            train_one_epoch(net, X, y)
            print(f"getting ready, {turn + 1} of 2: {name}", flush=True)
    ratios = {name: [] for name in METHODS}
    for turn in range(n_turns):
        seconds = {name: train_one_epoch(net, X, y) for name, net in nets.items()}
        plain = seconds["plain"]["whole epoch"]
        for name, of_turn in ratios.items():
            of_turn.append({part: s / plain for part, s in seconds[name].items()})
        said = ", ".join(f"{name} {r[-1]['whole epoch']:.2f}" for name, r in ratios.items())
        print(f"turn {turn + 1} of {n_turns}: plain 1, {said}", flush=True)
    return ratios


def print_table(ratios):
    """Print the medians."""
    parts = ("whole epoch", "gradients", "selection", "training")
    print(f"\n| {'one epoch, plain = 1':20} | " + " | ".join(f"{p:>11}" for p in parts) + " |")
    print(f"|{'-' * 22}|" + f"{'-' * 12}:|" * len(parts))
    for name, turns in ratios.items():
        medians = (np.median([turn[part] for turn in turns]) for part in parts)
        print(f"| {name:20} | " + " | ".join(f"{m:11.2f}" for m in medians) + " |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="2 000 images and 3 turns")
    parser.add_argument("--images", type=int, help="number of images (default: 10000)")
    parser.add_argument("--turns", type=int, help="number of turns (default: 7)")
    args = parser.parse_args()
    n_images = args.images or (2_000 if args.short else 10_000)
    n_turns = args.turns or (3 if args.short else 7)
    print(f"SmallCNN, {n_images} images of 3x32x32, coreset_size=0.5, batches of 128, ", end="")
    print(f"{torch.get_num_threads()} threads")
    print_table(measure(n_images, n_turns))


if __name__ == "__main__":
    main()
