"""Time and memory of judging labels by classes and by rows, and at the shapes of large sets.

    python benchmarks/many_classes.py                    # an hour or so
    python benchmarks/many_classes.py --short            # in a minute
    python benchmarks/many_classes.py --only allenoise   # some sections of those below

- classes: LabelAuditor on 100 000 rows of 64 features, from 10 to 100 000 classes.
- rows: LabelAuditor on 64 features and 10 classes, from 10 000 to 10 000 000 rows in a memory map.
- allenoise: 500 000 rows of 64 features and 5 692 classes, the shape of AlleNoise: LabelAuditor,
  and what CRUSTClassifier chooses by default from these features.
- imagenet: LabelAuditor on 1 281 167 rows of 512 features and 1 000 classes in a memory map.
- training: epochs of plain training and one selection by CRUSTClassifier, 20 000 rows of 64
  features and 10 000 classes: by default, and as in the paper by each of its gradients.

Each shape in a fresh process. Float32 features around a mean of each class, and labels of which a
fifth is drawn anew. The unit of time is two passes that read the features, or, in training, the
warm-up epoch. The memory is the largest resident size of the process in anonymous pages, beside
what it has when the features are there: of a memory map, the system may drop pages at any time.
The noise that is found stands beside the true one, and the share of right labels among those that
are suggested or kept. Where classes and rows are run, the figure goes to
docs/_static/label_growth.png (with --short: nowhere, or to --figure).
"""

import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _command import make_parser
from _markdown import print_table
from _places import FIGURES
from _processes import NotRun, run_fresh

from crust_sklearn import CoresetSelector, LabelAuditor

FIGURE = FIGURES / "label_growth.png"
# Rows, features, classes.
SHAPES = {
    "classes": [(100_000, 64, classes) for classes in (10, 100, 1_000, 10_000, 100_000)],
    "rows": [(rows, 64, 10) for rows in (10_000, 100_000, 1_000_000, 10_000_000)],
    "allenoise": [(500_000, 64, 5_692)],
    "imagenet": [(1_281_167, 512, 1_000)],
    "training": [(20_000, 64, 10_000)],
}
# By how much fewer rows and classes in a short run.
SHORT = {"classes": (20, 20), "rows": (100, 1), "allenoise": (50, 50), "imagenet": (100, 20)}
SHORT["training"] = (10, 10)
MAPPED = ("rows", "imagenet")
# Of the paper's settings, by which rows of a class are compared.
GRADIENTS = ("features", "logits", "last-layer")
PART = 2**16
TIMEOUT = 3 * 3600.0


def make_labels(n_rows, n_classes):
    """Return true labels of classes of equal size, and given ones, a fifth of them drawn anew."""
    rng = np.random.default_rng(0)
    true = rng.permutation(np.arange(n_rows) % n_classes)
    is_drawn = rng.random(n_rows) < 0.2
    return true, np.where(is_drawn, rng.integers(n_classes, size=n_rows), true)


def make_features(true, n_features, n_classes, path=None):
    """Return the features, in a memory map of this path if there is one."""
    rng, shape = np.random.default_rng(1), (len(true), n_features)
    means = rng.standard_normal((n_classes, n_features), dtype=np.float32)
    if path is None:
        X = np.empty(shape, np.float32)
    else:
        X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, len(true), PART):
        rows = slice(start, start + PART)
        X[rows] = means[true[rows]]
        X[rows] += rng.standard_normal((len(true[rows]), n_features), dtype=np.float32)
    if path is None:
        return X
    X.flush()
    return np.load(path, mmap_mode="r")


class Memory:
    """Watch how much anonymous memory the process holds; `added` is its growth in MiB."""

    def __enter__(self):
        self.before = self.most = get_anonymous()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, get_anonymous())

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    @property
    def added(self):
        return self.most - self.before


def get_anonymous():
    """Return the anonymous part of the resident size, in MiB; by Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def read_twice(X):
    """Return the seconds of two passes over the features."""
    start = time.perf_counter()
    for _ in range(2):
        for row in range(0, len(X), PART):
            X[row : row + PART].sum()
    return time.perf_counter() - start


def audit(shape, is_mapped):
    """Judge labels by LabelAuditor."""
    n_rows, n_features, n_classes = shape
    true, given = make_labels(n_rows, n_classes)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy" if is_mapped else None
        X = make_features(true, n_features, n_classes, path)
        LabelAuditor().fit(X[:100], np.arange(100) % 2)  # loads what is loaded at the first call
        unit = read_twice(X)
        start, cpu = time.perf_counter(), time.process_time()
        with Memory() as memory:
            auditor = LabelAuditor().fit(X, given)
        found = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    right = np.mean(auditor.suggested_labels_ == true)
    return found | {
        "unit": unit, "added": memory.added, "noise": np.mean(true != given),
        "found": auditor.noise_rate_, "right": right,
    }  # fmt: skip


def choose(shape, is_mapped):
    """Choose rows as CRUSTClassifier does by default, and judge their labels."""
    from crust_sklearn.label_noise import LabelQuality  # here: they import torch
    from crust_sklearn.nets.row_outputs import RowOutputs
    from crust_sklearn.nets.selection import select_rows

    n_rows, n_features, n_classes = shape
    true, given = make_labels(n_rows, n_classes)
    X = make_features(true, n_features, n_classes)
    unit = read_twice(X)
    start, cpu = time.perf_counter(), time.process_time()
    with Memory() as memory:
        quality = LabelQuality.start(given, n_classes).update(X)
        quality = quality.update(X)  # a second selection, and the average with the first
        selection = select_rows(
            CoresetSelector("smallest-norm", coreset_size=1.0, random_state=0),
            RowOutputs(given, X),
            given,
            None,
            quality,
            group_by="label",
            coreset_weight="uniform",
            has_auto_size=True,
        )
        noise_rate, chosen = quality.noise_rate, selection.positions
    found = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    return found | {
        "unit": unit, "added": memory.added, "noise": np.mean(true != given),
        "found": noise_rate, "right": np.mean(true[chosen] == given[chosen]),
    }  # fmt: skip


def train(shape, is_mapped, gradient=None):
    """Train by CRUSTClassifier for its warm-up, and an epoch that begins with a selection.

    By the paper's settings, with a gradient of these; None: by default, after one epoch.
    """
    from crust_sklearn import CRUSTClassifier  # here: it imports torch
    from crust_sklearn.modules import MLP
    from crust_sklearn.settings import PAPER

    n_rows, n_features, n_classes = shape
    true, given = make_labels(n_rows, n_classes)
    X = make_features(true, n_features, n_classes)
    settings = {} if gradient is None else PAPER | {"gradient": gradient}
    n_epochs = settings.get("warmup_epochs", 1)
    net = CRUSTClassifier(MLP, **settings, max_epochs=n_epochs, verbose=0, random_state=0)
    with Memory() as of_module:
        net.partial_fit(X, given, classes=np.arange(n_classes))
    start, cpu = time.perf_counter(), time.process_time()
    with Memory() as memory:
        net.set_params(max_epochs=1).partial_fit(X, given)
    found = {"seconds": net.history[-1, "selection_dur"], "cpu": time.process_time() - cpu}
    chosen = net.coreset_indices_
    return found | {
        "unit": net.history[0, "dur"], "added": memory.added, "plain": of_module.added,
        "noise": np.mean(true != given), "found": getattr(net, "noise_rate_", np.nan),
        "right": np.mean(true[chosen] == given[chosen]), "epoch": time.perf_counter() - start,
    }  # fmt: skip


def list_calls(sections, short):
    """Return the shapes to run, with the functions that do it and what these are given."""
    for section in sections:
        for n_rows, n_features, n_classes in SHAPES[section]:
            rows, classes = SHORT[section] if short else (1, 1)
            shape = n_rows // rows, n_features, max(10, n_classes // classes)
            options = {"shape": shape, "is_mapped": section in MAPPED}
            if section == "training":
                yield section, "train", options
                for gradient in GRADIENTS:
                    yield section, "train", options | {"gradient": gradient}
                continue
            for call in ["audit", "choose"] if section == "allenoise" else ["audit"]:
                yield section, call, options


def draw(found, path):
    """Draw seconds and memory of LabelAuditor against classes, and against rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(10, 7), sharex="col", layout="constrained")
    for column, section in zip(panels.T, ("classes", "rows"), strict=True):
        n_rows, _, n_classes = next(iter(found[section]))
        is_by_class = section == "classes"
        title = f"{n_rows} rows" if is_by_class else f"{n_classes} classes"
        sizes = [shape[2 if is_by_class else 0] for shape in found[section]]
        measured = found[section].values()
        for panel, name in zip(column, ("seconds", "added"), strict=True):
            panel.loglog(sizes, [of_shape[name] for of_shape in measured], marker="o")
            panel.grid(alpha=0.3, which="both")
            panel.set_ylabel("seconds" if name == "seconds" else "MiB beside the features")
        column[0].set_title(f"{title}, 64 features")
        column[1].set_xlabel(section)
    figure.suptitle("LabelAuditor: time and memory, log-log")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--figure", type=Path, help="where the figure goes")
    parser.add_argument("--short", action="store_true", help="fewer rows and classes")
    parser.add_argument("--only", choices=SHAPES, nargs="+", help="sections")
    args = parser.parse_args()
    sections = [name for name in SHAPES if args.only is None or name in args.only]
    rows, measured = [], {}
    for section, call, options in list_calls(sections, args.short):
        shape, gradient = options["shape"], options.get("gradient", "")
        what = "{} x {}, {} classes".format(*shape) + (gradient and f", by {gradient}")
        try:
            found = run_fresh(f"many_classes:{call}", options, timeout=TIMEOUT)
        except NotRun as error:
            rows.append((section, call, what, f"not run: {error}", "", "", "", "", ""))
            continue
        measured.setdefault(section, {})[shape] = found
        numbers = (f"{found[name]:.1f}" for name in ("seconds", "cpu"))
        shares = (f"{found[name]:.3f}" for name in ("noise", "found", "right"))
        ratio = f"{found['seconds'] / found['unit']:.1f}"
        rows.append((section, call, what, *numbers, ratio, f"{found['added']:.0f}", *shares))
        print(*rows[-1], flush=True)
    header = ("", "", "rows x features", "seconds", "of the CPU", "ratio to the unit", "added MiB")
    print()
    print_table((*header, "noise", "found", "right labels"), rows, n_text=3)
    figure = args.figure or (None if args.short else FIGURE)
    if figure is not None and {"classes", "rows"} <= measured.keys():
        draw(measured, figure)
        print(f"\n{figure.name} drawn")


if __name__ == "__main__":
    main()
