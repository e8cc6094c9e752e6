"""What an epoch of CRUST costs beside an epoch of plain skorch, and where its time goes.

    python benchmarks/overhead.py            # some minutes
    python benchmarks/overhead.py --short    # less than a minute

SmallCNN on random images of CIFAR-10's shape, half of the rows in the coreset, a selection in
every epoch (the default has one in every third: a third of its gradients and selection). Plain and
CRUST epochs take turns, so that a busy machine slows both; seconds are the `dur` of skorch's
history, which includes the selection. Every figure is a ratio to the plain epoch of the same turn,
and the median over the turns is printed; beside it the shortest epoch of all turns against the
shortest plain one, which a busy machine disturbs least.
"""

import time

import numpy as np
import torch
from _command import make_parser
from _markdown import print_table
from skorch import NeuralNetClassifier

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import SmallCNN
from crust_sklearn.settings import PAPER, REFERENCE
from crust_sklearn.strategies import make_strategy

# What CRUSTClassifier is given.
METHODS = {
    "paper": PAPER,
    "reference": REFERENCE,
    "reference, no mixup": REFERENCE | {"mixup": None},
    "default": {"selector": "smallest-norm", "coreset_size": 0.5},
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
        "optimizer": torch.optim.SGD,
        "lr": 0.01,
        "batch_size": 128,
        "max_epochs": 1,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    nets = {"plain": NeuralNetClassifier(SmallCNN, **common)}
    for name, options in METHODS.items():
        selector = CoresetSelector(Timed(make_strategy(options["selector"])))
        options = options | {"selector": selector, "warmup_epochs": 1, "reselect_every": 1}
        nets[name] = CRUSTClassifier(SmallCNN, random_state=0, **options, **common)
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
    """Return for each net the seconds of its epochs, a list with one dict per turn."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_images, 3, 32, 32), dtype=np.float32)
    y = np.arange(n_images) % 10
    nets = make_nets()
    for turn in range(2):  # the warm-up epoch, and the first selection, which compiles
        for name, net in nets.items():
            train_one_epoch(net, X, y)
            print(f"getting ready, {turn + 1} of 2: {name}", flush=True)
    seconds = {name: [] for name in nets}
    for turn in range(n_turns):
        for name, net in nets.items():
            seconds[name].append(train_one_epoch(net, X, y))
        whole = {name: turns[-1]["whole epoch"] for name, turns in seconds.items()}
        said = ", ".join(f"{name} {s / whole['plain']:.2f}" for name, s in whole.items())
        print(f"turn {turn + 1} of {n_turns}: {said}", flush=True)
    return seconds


def print_ratios(seconds):
    """Print the ratios to the plain epoch."""
    columns = ("gradients", "selection", "training", "whole epoch")
    plain = np.array([turn["whole epoch"] for turn in seconds["plain"]])
    rows = []
    for name in METHODS:
        by_part = {c: np.array([turn[c] for turn in seconds[name]]) for c in columns}
        ratios = [np.median(of_part / plain) for of_part in by_part.values()]
        ratios.append(by_part["whole epoch"].min() / plain.min())
        rows.append((name, *(f"{ratio:.2f}" for ratio in ratios)))
    print()
    print_table(("plain epoch = 1", *columns, "shortest epochs"), rows)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="2 000 images and 3 turns")
    parser.add_argument("--images", type=int, help="number of images (default: 6000)")
    parser.add_argument("--turns", type=int, help="number of turns (default: 7)")
    args = parser.parse_args()
    n_images = args.images or (2_000 if args.short else 6_000)
    n_turns = args.turns or (3 if args.short else 7)
    print(f"SmallCNN, {n_images} images of 3x32x32, coreset_size=0.5, batches of 128, ", end="")
    print(f"{torch.get_num_threads()} threads")
    print_ratios(measure(n_images, n_turns))


if __name__ == "__main__":
    main()
