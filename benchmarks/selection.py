"""How long a selection takes, and what it chooses.

    python benchmarks/selection.py                # a minute or two
    python benchmarks/selection.py --short        # half a minute
    python benchmarks/selection.py --data DIR     # the gradients of CIFAR-10 too

First, time: 50 000 rows of 64 numbers in 10 groups, half of them kept, the shape of CIFAR-10. The
rows are Gaussian clusters; with ``--data``, a folder that holds ``cifar-10-batches-py``, also the
gradients of a SmallCNN of 64 features that has seen CIFAR-10 with 50 % symmetric noise for two
epochs. The seconds are set against one epoch of the SmallCNN (of its usual width) over 50 000
images, measured on a part of them, in turn with the selections.

Second, quality: the k-medoids objective (paper, Eq. 6), and the share of correctly labelled rows,
on the gradients of an MLP after 5 epochs on scikit-learn's digits with 40 % symmetric noise.
"""

import time
from pathlib import Path

import numpy as np
import torch
from _command import make_parser
from _gradients import COMMON, get_gradients, make_clusters, train_on_cifar, train_on_digits
from _markdown import print_table
from skorch import NeuralNetClassifier

from crust_sklearn import CoresetSelector
from crust_sklearn.modules import SmallCNN
from crust_sklearn.strategies import FacilityLocation

N_ROWS, N_FEATURES, N_GROUPS = 50_000, 64, 10
STRATEGIES = {
    "facility-location": "facility-location",
    "facility-location, stochastic": FacilityLocation(optimizer="stochastic"),
    "centrality": "centrality",
    "uniform": "uniform",
}


def make_epoch(n_images):
    """Return a function that trains the SmallCNN for an epoch over a part of N_ROWS images.

    It returns the seconds that N_ROWS images would take.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_images, 3, 32, 32), dtype=np.float32)
    y = np.arange(n_images) % N_GROUPS
    net = NeuralNetClassifier(SmallCNN, max_epochs=1, batch_size=128, **COMMON)

    def train():
        return net.partial_fit(X, y).history[-1, "dur"] * N_ROWS / n_images

    return train


def time_selections(X, y, epoch, n_turns):
    """Return the seconds of each turn by strategy and number of jobs, and of the epochs."""
    seconds = {(name, jobs): [] for name in STRATEGIES for jobs in (1, 2)}
    epochs = []
    for turn in range(n_turns + 1):
        epochs.append(epoch())
        for (name, jobs), measured in seconds.items():
            part = slice(2000 if turn == 0 else None)  # the first turn compiles, no more
            selector = CoresetSelector(STRATEGIES[name], n_jobs=jobs, random_state=0)
            start = time.perf_counter()
            selector.fit(X[part], y[part])
            measured.append(time.perf_counter() - start)
    return {key: np.array(measured[1:]) for key, measured in seconds.items()}, np.array(epochs[1:])


def print_times(what, seconds, epochs):
    """Print the least seconds, which a busy machine disturbs least, and the share of an epoch."""
    print(
        f"\n{what}: {N_ROWS} rows, {N_FEATURES} features, {N_GROUPS} groups, half kept.\n"
        f"{torch.get_num_threads()} cores, {len(epochs)} turns; an epoch of SmallCNN over {N_ROWS} "
        f"images, scaled up from a part: {epochs.min():.1f} s\n"
    )
    rows = []
    for (name, jobs), measured in seconds.items():
        least, median = measured.min() / epochs.min(), np.median(measured / epochs)
        rows.append((name, jobs, f"{measured.min():.2f}", f"{least:.1%}", f"{median:.1%}"))
    header = ("strategy", "n_jobs", "least seconds", "share of an epoch: least", "median")
    print_table(header, rows)


def select_on_digits(seed):
    """Return for each strategy the objective and the clean fraction, plain and weighted."""
    net, X, noisy = train_on_digits(seed)
    gradients = get_gradients(net, X, noisy.y)
    found = {}
    for name, strategy in STRATEGIES.items():
        selector = CoresetSelector(strategy, random_state=seed).fit(gradients, noisy.y)
        right = ~noisy.is_wrong[selector.sample_indices_]
        weighted = np.average(right, weights=selector.sample_weight_)
        found[name] = selector.objective_, right.mean(), weighted
    return found


def print_quality(n_seeds):
    """Print means over seeds; the objective relative to that of a random half."""
    runs = [select_on_digits(seed) for seed in range(n_seeds)]
    print(
        f"\nDigits, 40 % symmetric noise, MLP after 5 epochs, half kept by given label, "
        f"{n_seeds} seeds\n"
    )
    rows = []
    for name in STRATEGIES:
        objective = np.mean([run[name][0] / run["uniform"][0] for run in runs])
        clean, weighted = (np.mean([run[name][i] for run in runs]) for i in (1, 2))
        rows.append((name, f"{objective:.2f}", f"{clean:.1%}", f"{weighted:.1%}"))
    header = ("strategy", "objective, uniform = 1", "clean rows", "clean by cluster weight")
    print_table(header, rows)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="one turn instead of five")
    parser.add_argument("--data", type=Path, help="folder that holds cifar-10-batches-py")
    args = parser.parse_args()
    n_turns = 1 if args.short else 5
    epoch = make_epoch(2_000 if args.short else 5_000)
    rows = make_clusters(N_ROWS, N_FEATURES, N_GROUPS)
    print_times("Gaussian clusters", *time_selections(*rows, epoch, n_turns))
    if args.data is not None:
        net, X, noisy = train_on_cifar(args.data, N_FEATURES)
        rows = get_gradients(net, X, noisy.y), noisy.y
        print_times("CIFAR-10 gradients", *time_selections(*rows, epoch, n_turns))
    print_quality(2 if args.short else 5)


if __name__ == "__main__":
    main()
