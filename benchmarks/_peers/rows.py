"""The rows that the sections choose from. Only here is torch needed."""

from functools import partial

import numpy as np
from _gradients import get_gradients, make_clusters, train_on_cifar, train_on_digits

# The MLP's hidden layers: 64 numbers per gradient at its last layer's input.
HIDDEN = (256, 64)
# Of many rows so many are judged, because the cover takes all distances.
N_JUDGED = 3_000


def make_all_rows(sections, short, folder):
    """Return what to choose from, by name: rows of 64 numbers, rows of 640, and for `judge`.

    `folder` is that of CIFAR-10's images, or None.
    """
    few, long, judged = {}, {}, {}
    n, n_low = (1_000, 2_000) if short else (5_000, 50_000)
    if {"greedy", "k-medoids"} & set(sections):
        net, X, noisy = train_on_digits(0, n, hidden_sizes=HIDDEN)
        few["digits' gradients"] = get_gradients(net, X, noisy.y)
        if not short:
            few["Gaussian clusters"] = make_clusters(n, 64)[0]
    if "low-rank" in sections:
        net, X, noisy = train_on_digits(0, n_low, hidden_sizes=HIDDEN)
        long["digits' gradients"] = get_gradients(net, X, noisy.y, "last-layer")
    if "quality" in sections:
        judged["digits"] = digits_of
    if folder is not None:
        net, X, noisy = train_on_cifar(folder)
        of_class = noisy.y == 0
        few["CIFAR-10's gradients of a class"] = get_gradients(net, X[of_class], noisy.y[of_class])
        if {"low-rank", "quality"} & set(sections):
            rows = get_gradients(net, X, noisy.y, "last-layer")
            long["CIFAR-10's gradients"] = rows
            judged[f"{N_JUDGED} rows of CIFAR-10"] = partial(some_of, rows, noisy)
    return few, long, judged


def digits_of(seed):
    """Return gradients for the weights of the last layer, given labels, and which are wrong."""
    net, X, noisy = train_on_digits(seed, hidden_sizes=HIDDEN)
    return get_gradients(net, X, noisy.y, "last-layer"), noisy.y, noisy.is_wrong


def some_of(rows, noisy, seed):
    """Return some of the rows, given labels, and which are wrong."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:N_JUDGED]
    return rows[chosen], noisy.y[chosen], noisy.is_wrong[chosen]
