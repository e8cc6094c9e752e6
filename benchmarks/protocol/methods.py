"""Ways to train on wrong labels, each one entry of METHODS.

A method is given `Rows`: inputs, given labels and a seed. Neither test rows nor true labels are
among them; what a method is told beside, `told` declares.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier
from crust_sklearn.baselines import SmallLossClassifier
from crust_sklearn.data.inputs import get_row_shape
from crust_sklearn.modules import RandomCropFlip
from crust_sklearn.settings import PAPER, REFERENCE

from .averaged_weights import AverageWeights
from .changes import CHANGES, CONSTANTS
from .others import OTHERS, leave_out, sgd

RATE, RIGHT_ROWS = "the share of wrong labels", "which rows are right"


@dataclass(frozen=True)
class Rows:
    """All that a method may know."""

    X: np.ndarray
    given: np.ndarray
    n_classes: int
    seed: int
    noise_rate: float | None = None


@dataclass(frozen=True)
class Method:
    """A name, and how to train: ``fit(rows, options)`` returns a fitted classifier, and which of
    the rows its last epochs used.

    `told` is None; RATE: `rows.noise_rate` is set; RIGHT_ROWS: `rows` are the correctly labelled
    ones alone. `package` must be installed.
    """

    name: str
    fit: Callable
    told: str | None = None
    package: str = "crust_sklearn"


def fit_net(net, rows):
    """Return the net fitted, and the rows that it kept."""
    net.fit(rows.X, rows.given)
    return net, getattr(net, "coreset_indices_", np.arange(len(rows.X)))


def crust(name, settings=None, inside=None):
    """Return CRUSTClassifier with other settings, and with objects of the package replaced.

    `inside` maps "module.object", below `crust_sklearn`, to what takes its place.
    """

    def fit(rows, options):
        with ExitStack() as stack:
            for place, value in (inside or {}).items():
                stack.enter_context(patch(f"crust_sklearn.{place}", value))
            clf = CRUSTClassifier(**options | (settings or {}), random_state=rows.seed)
            return fit_net(clf, rows)

    return Method(name, fit)


def make_plain(rows, options):
    """Return skorch's own classifier: it is told the sizes, and draws from the generators seeded.

    The classifiers of this package find the sizes by themselves.
    """
    torch.manual_seed(rows.seed)
    shape = get_row_shape(rows.X)
    size = "module__in_features" if len(shape) == 1 else "module__in_channels"
    sizes = {"module__num_classes": rows.n_classes, size: shape[0]}
    return NeuralNetClassifier(**options | sizes)


def fit_plain(rows, options):
    return fit_net(make_plain(rows, options), rows)


def fit_small_loss(rows, options):
    clf = SmallLossClassifier(
        **options,
        noise_rate=rows.noise_rate,
        warmup_epochs=5,
        reselect_every=3,
        random_state=rows.seed,
    )
    return fit_net(clf, rows)


def fit_averaged(rows, options):
    n_steps = options["max_epochs"] * -(-len(rows.X) // options["batch_size"])
    averaging = ("average", AverageWeights(n_steps))
    return fit_plain(rows, options | {"callbacks": [*options.get("callbacks", []), averaging]})


def fit_early_stopped(rows, options):
    """Train on nine tenths of the rows; go back to the epoch that predicts the others best."""
    stop = ("stop", EarlyStopping(patience=options["max_epochs"], load_best=True))
    split = ValidSplit(0.1, stratified=True, random_state=rows.seed)
    callbacks = [*options.get("callbacks", []), stop]
    return fit_plain(rows, options | {"train_split": split, "callbacks": callbacks})


def fit_constant(rows, options):
    """Train plainly by SGD of a constant rate, a common one of the papers of `AS_PAPER`."""
    return fit_plain(rows, leave_out(options, "optimizer", "callbacks") | sgd(0.1, 1e-4))


def make_other(other, name, *, as_paper):
    """Return a method of `OTHERS`, by its one default, or by the paper's settings."""

    def fit(rows, options):
        params = other.get_params(rows, options, as_paper=as_paper)
        return fit_net(other.cls(**params, random_state=rows.seed), rows)

    return Method(name, fit, told=RATE if as_paper and other.knows_rate else None)


def fit_cleanlab(rows, options):
    from cleanlab.classification import CleanLearning

    # Its own processes do not work inside those of this run.
    clf = CleanLearning(
        make_plain(rows, options), seed=rows.seed, find_label_issues_kwargs={"n_jobs": 1}
    )
    clf.fit(rows.X, rows.given)
    return clf, np.flatnonzero(~clf.get_label_issues()["is_label_issue"].to_numpy())


BY_DEFAULT = tuple(make_other(other, other.name, as_paper=False) for other in OTHERS)
AS_PAPER = tuple(make_other(other, f"{other.name}, paper's", as_paper=True) for other in OTHERS)
NAMED = {method.name: method for method in BY_DEFAULT}

PUBLISHED = (
    Method("plain", fit_plain),
    crust("default"),
    crust("paper", PAPER),
    crust("reference", REFERENCE),
    crust("centrality", REFERENCE | {"mixup": None}),
    Method("small loss, true rate", fit_small_loss, told=RATE),
    Method("averaged weights", fit_averaged),
    NAMED["generalized CE"],
    NAMED["ELR"],
    Method("cleanlab", fit_cleanlab, package="cleanlab"),
    Method("oracle", fit_plain, told=RIGHT_ROWS),
)
AVERAGE, RELABEL = {"average_weights": True}, {"dropped": "pseudo-label"}
# What the default can do beside: with averaged weights, and with the rows that it leaves out.
OPTIONS = (
    crust("average", AVERAGE),
    crust("average, ten times as long", AVERAGE, {"nets.weight_average.SHARE": 0.1}),
    crust("pseudo-label", RELABEL),
    crust("both", AVERAGE | RELABEL),
)
# Beside them on images, of which another view is made.
CONSISTENCY = crust("consistency", {"dropped": "consistency", "augment": RandomCropFlip(2)})
EARLY = Method("early stopping", fit_early_stopped)
STEADY = Method("plain, SGD 0.1", fit_constant)
# How long to wait until labels are judged.
WARM_UPS = tuple(crust(f"warm-up of {n} epochs", {"warmup_epochs": n}) for n in (4, 8, 11, 14, 17))
ABLATION = tuple(crust(name, *change) for name, change in CHANGES.items())

METHODS = {
    method.name: method
    for method in (
        *(*PUBLISHED, EARLY, STEADY, *BY_DEFAULT, *AS_PAPER),
        *(*OPTIONS, CONSISTENCY, *WARM_UPS, *ABLATION),
    )
}
CRUST = ("plain", "default", "paper", "reference")
GROUPS = {
    "published": tuple(method.name for method in PUBLISHED),
    "others": (*CRUST, EARLY.name, *NAMED, "oracle"),
    "as in the papers": tuple(method.name for method in AS_PAPER),
    "options": ("plain", "default", *(method.name for method in OPTIONS), "oracle"),
    "warm-ups": ("plain", "default", *(method.name for method in WARM_UPS), "oracle"),
    "ablation": ("default", *CHANGES),
    "constants": ("default", *CONSTANTS),
}
