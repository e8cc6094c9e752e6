"""Train on digits of which 40 % have a wrong label, with and without CRUST.

    python examples/demo_digits.py

prints one line per training run, then a table, and writes ``docs/_static/demo_digits.png``. Every
method has the same network, optimizer, epochs, batch size, seeds and wrong labels. All settings
were fixed before any test accuracy was looked at; epochs are as many as plain training needs to
learn the wrong labels by heart. Takes one or two minutes on two cores, without a GPU.
"""

import os
import time
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.modules import MLP
from crust_sklearn.settings import PAPER, REFERENCE

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "_static" / "demo_digits.png"
NOISE_RATE = 0.4
SEEDS = range(5)
COMMON = {
    "module__in_features": 64,
    "module__num_classes": 10,
    "criterion": torch.nn.CrossEntropyLoss,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "batch_size": 64,
    "max_epochs": 100,
    "iterator_train__shuffle": True,
    "train_split": None,
    "verbose": 0,
}
# None: plain skorch; else what CRUSTClassifier is given besides COMMON.
METHODS = {
    "plain skorch": None,
    "CRUST, as in the paper": PAPER,
    "CRUST, as in the reference code": REFERENCE,
    "CRUST, package default": {},
}
# Okabe and Ito's colours, told apart by the colour-blind too.
STYLES = {
    "plain skorch": ("#000000", "solid"),
    "CRUST, as in the paper": ("#D55E00", "solid"),
    "CRUST, as in the reference code": ("#0072B2", "solid"),
    "CRUST, package default": ("#009E73", "solid"),
}


class Watch(Callback):
    """Record after each epoch what only someone who knows the true labels can tell.

    skorch's clock for the epoch has stopped by then: `dur` does not include it.
    """

    def __init__(self, X_test, y_test, is_right):
        self.X_test = torch.as_tensor(X_test)
        self.y_test = y_test
        self.is_right = is_right

    def on_epoch_end(self, net, **kwargs):
        with torch.no_grad():
            predicted = net.module_.eval()(self.X_test).argmax(dim=1).numpy()
        net.history.record("test_accuracy", np.mean(predicted == self.y_test))
        rows = getattr(
            net, "coreset_indices_", slice(None)
        )  # before the first coreset: all
        net.history.record("clean", self.is_right[rows].mean())


def make_net(options, seed, watch):
    """Return the untrained net of a method."""
    if options is None:
        torch.manual_seed(seed)
        return NeuralNetClassifier(MLP, callbacks=[("watch", watch)], **COMMON)
    return CRUSTClassifier(
        MLP, random_state=seed, callbacks=[("watch", watch)], **COMMON, **options
    )


def run(options, seed):
    """Train one net on one split with one draw of noise; return its curves and the seconds."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=seed
    )
    noisy = make_label_noise(y, "symmetric", NOISE_RATE, random_state=seed)
    net = make_net(options, seed, Watch(X_test, y_test, ~noisy.is_wrong))
    net.fit(X, noisy.y)
    return {
        "test_accuracy": np.array(net.history[:, "test_accuracy"]),
        "clean": np.array(net.history[:, "clean"]),
        "seconds": sum(net.history[:, "dur"]),
        "given_labels_fitted": np.mean(net.predict(X) == noisy.y),
    }


def find_twin(name):
    """Return the earlier method that has the same settings, or None."""
    if METHODS[name] is None:
        return None

    def settings(options):
        return CRUSTClassifier(MLP, **options).get_params(deep=False)

    earlier = list(METHODS)[: list(METHODS).index(name)]
    crust = (o for o in earlier if METHODS[o] is not None)
    return next(
        (o for o in crust if settings(METHODS[o]) == settings(METHODS[name])), None
    )


def run_all():
    """Return the results of all methods, a list with one entry per seed for each."""
    results = {name: [] for name in METHODS if find_twin(name) is None}
    for seed in SEEDS:
        for name, done in results.items():
            done.append(run(METHODS[name], seed))
            print(
                f"seed {seed}  {name:32} test accuracy {done[-1]['test_accuracy'][-1]:6.1%}",
                flush=True,
            )
    return results


def print_table(results):
    """Print what was measured at the last epoch."""
    plain = results["plain skorch"]
    print(
        f"\nDigits, {NOISE_RATE:.0%} symmetric noise, MLP, {COMMON['max_epochs']} epochs, "
        f"{len(SEEDS)} seeds (split, noise, weights). Last epoch, test labels true.\n\n"
        f"| {'method':32}| test accuracy | clean rows in the coreset | time, plain = 1 |\n"
        f"|{'-' * 33}|--------------:|--------------------------:|----------------:|"
    )
    for name in METHODS:
        runs = results[find_twin(name) or name]
        accuracy = [run["test_accuracy"][-1] for run in runs]
        clean = np.mean([run["clean"][-1] for run in runs])
        ratio = np.median(
            [a["seconds"] / b["seconds"] for a, b in zip(runs, plain, strict=True)]
        )
        print(
            f"| {name:32}| {np.mean(accuracy):7.1%} ± {100 * np.std(accuracy, ddof=1):3.1f} "
            f"| {f'{clean:.1%}' + (' (all rows)' if runs is plain else ''):>25} | {ratio:15.2f} |"
        )
    for name in METHODS:
        if twin := find_twin(name):
            print(f"\n'{name}' has the same settings as '{twin}': not run twice.")
    fitted = np.mean([run["given_labels_fitted"] for run in plain])
    print(
        f"\nPlain training ends up with {fitted:.0%} of the given labels learnt by heart."
    )


def plot(results):
    """Write the figure: mean and, as a band, the standard deviation over seeds."""
    with matplotlib.rc_context({"font.size": 13, "axes.spines.top": False}):
        figure = Figure(figsize=(10.4, 4.4), dpi=120, layout="constrained")
        left, right = figure.subplots(1, 2)
    for name, runs in results.items():
        color, dash = STYLES[name]
        twins = [other for other in METHODS if find_twin(other) == name]
        label = name + (" (the default)" if "CRUST, package default" in twins else "")
        draw(left, runs, "test_accuracy", color=color, linestyle=dash, label=label)
        if METHODS[name] is not None:
            draw(right, runs, "clean", color=color, linestyle=dash)
    left.set_title("Test accuracy, true labels", loc="left", fontsize=14)
    left.legend(loc="lower left", frameon=False, fontsize=12, handlelength=2.4)
    right.set_title("Correctly labelled rows in the coreset", loc="left", fontsize=14)
    right.axhline(1 - NOISE_RATE, color="#666666", linewidth=1.5, linestyle=(0, (4, 2)))
    at = {
        "x": COMMON["max_epochs"],
        "y": 1 - NOISE_RATE - 0.008,
        "ha": "right",
        "va": "top",
    }
    right.text(s="of all rows", color="#444444", fontsize=12, **at)
    for axis in (left, right):
        axis.set_xlabel("Epoch")
        axis.set_xlim(1, COMMON["max_epochs"])
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.spines["right"].set_visible(False)
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, pil_kwargs={"optimize": True})
    print(f"\nFigure: {os.path.relpath(FIGURE)}")


def draw(axis, runs, what, **style):
    """Draw one curve with its band."""
    curves = np.array([run[what] for run in runs])
    epochs = 1 + np.arange(curves.shape[1])
    mean, std = curves.mean(axis=0), curves.std(axis=0, ddof=1)
    axis.plot(epochs, mean, linewidth=2.2, **style)
    axis.fill_between(
        epochs, mean - std, mean + std, color=style["color"], alpha=0.18, linewidth=0
    )


if __name__ == "__main__":
    start = time.perf_counter()
    torch.set_num_threads(
        1
    )  # as fast for so small a network, and steadier on a busy machine
    results = run_all()
    print_table(results)
    plot(results)
    print(f"{time.perf_counter() - start:.0f} s in all")
