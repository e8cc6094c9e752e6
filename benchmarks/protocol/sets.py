"""The data sets, each one entry of SETS."""

from dataclasses import dataclass

import numpy as np

from . import fetched_sets, large_sets, made_sets
from .noise import Noise, get_noisy_labels
from .sources import Cifar10, FewRows, KeelTable, NpzFile

KINDS = ("human", "weak", "injected", "imbalanced", "clean")
NOISES = {
    f"{kind} {100 * rate:.0f}%": Noise(kind, rate)
    for kind, rates in {
        "symmetric": (0.2, 0.3, 0.4, 0.5, 0.8),
        "uniform": (0.2, 0.5, 0.8),
        "asymmetric": (0.2, 0.3, 0.4),
        "instance": (0.4,),
    }.items()
    for rate in rates
}


@dataclass(frozen=True)
class Set:
    """Rows of a source, with their true labels, the labels given there, or with injected noise.

    `kind` is what the set says something about, one of KINDS. `recipe`: the one that it is trained
    by; None: all those for tables, or for images.
    """

    name: str
    kind: str
    source: object
    noise: Noise | None = None
    recipe: str | None = None

    @property
    def knows_truth(self):
        """Whether the true labels of all training rows are known."""
        return getattr(self.source, "knows_truth", True)

    def load(self, places, seed):
        """Return the set; the seed draws the noise, and which images."""
        table = self.source.read(places, seed)
        if self.noise is not None:
            given = get_noisy_labels(places.noise, self.name, self.noise, table.X, table.true, seed)
        else:
            given = (table.true if self.kind == "clean" else table.given).copy()
        return Data(table.X, given, table.true, table.X_test, table.y_test)


@dataclass
class Data:
    """Training rows with their given and their true labels, and test rows with true ones.

    Where the true labels of training rows are not known, `true` and `is_right` are None.
    """

    X: np.ndarray
    given: np.ndarray
    true: np.ndarray | None
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def is_right(self):
        return None if self.true is None else self.given == self.true

    @property
    def n_classes(self):
        known = [labels for labels in (self.given, self.true, self.y_test) if labels is not None]
        return int(max(labels.max() for labels in known)) + 1


def with_noise(source, *noises, kind="injected", recipe=None):
    """Return a set for each of the noises, by name; "clean" is none."""
    return [
        Set(f"{source.name} clean", "clean", source, recipe=recipe)
        if noise == "clean"
        else Set(f"{source.name} {noise}", kind, source, NOISES[noise], recipe)
        for noise in noises
    ]


STANDARD = ("symmetric 20%", "symmetric 50%", "symmetric 80%", "asymmetric 40%", "instance 40%")
TWO_CLASSES = ("clean", "asymmetric 40%", "instance 40%")  # half of them wrong tell nothing
CIFAR10, FROZEN = Cifar10(), NpzFile("cifar10_frozen")

# The sets that the tables of the user guide are made of.
TABLES = [
    Set("labelme", "human", NpzFile("labelme")),
    Set("wrench_semeval", "weak", NpzFile("wrench_semeval")),
    Set("wrench_youtube", "weak", NpzFile("wrench_youtube")),
    *with_noise(NpzFile("optdigits"), "clean", *STANDARD),
    *with_noise(NpzFile("segment"), "clean", *STANDARD),
    *with_noise(NpzFile("texture"), "clean", *STANDARD),
]
KEEL = [
    *with_noise(KeelTable("letter"), "clean", "symmetric 50%", "asymmetric 40%", "instance 40%"),
    *with_noise(KeelTable("penbased"), "clean", "symmetric 50%", "asymmetric 40%", "instance 40%"),
    *with_noise(KeelTable("satimage"), "clean", "symmetric 50%", "asymmetric 40%", "instance 40%"),
    *with_noise(KeelTable("spambase"), *TWO_CLASSES),
    *with_noise(KeelTable("twonorm"), *TWO_CLASSES),
    *with_noise(KeelTable("vowel"), "clean", "symmetric 50%", "asymmetric 40%", "instance 40%"),
]
FROZEN_SETS = [
    Set("cifar10_frozen human", "human", FROZEN),
    *with_noise(FROZEN, "symmetric 40%", "clean"),
]
# Of KEEL's small sets, those with 90 test rows and more: of fewer, one is more than a point.
SMALL = (
    *("australian", "bands", "bupa", "contraceptive", "crx", "led7digit", "mammographic"),
    *("monk-2", "pima", "saheart", "tic-tac-toe", "titanic", "wisconsin"),
)
CLEAN = [
    entry
    for name in ("german", "movement_libras", "banana", "chess", "wdbc", *SMALL)
    for entry in with_noise(KeelTable(name), "clean")
]
NOISY = [
    *with_noise(NpzFile("optdigits"), "symmetric 40%"),
    *with_noise(NpzFile("segment"), "asymmetric 30%"),
    *with_noise(KeelTable("german"), "asymmetric 20%"),
    *with_noise(KeelTable("movement_libras"), "symmetric 30%"),
    *with_noise(KeelTable("vowel"), "symmetric 30%"),
    *with_noise(KeelTable("satimage"), "asymmetric 30%"),
    *with_noise(KeelTable("spambase"), "asymmetric 30%"),
]
FIVE_SHARES, TWO_SHARES = (0.6, 0.25, 0.1, 0.04, 0.01), (0.7, 0.3)
IMBALANCED = [
    entry
    for source, noise in (
        # Letters that look alike.
        (KeelTable("letter", FIVE_SHARES, ("R", "B", "P", "E", "S")), "symmetric 20%"),
        (KeelTable("penbased", FIVE_SHARES), "symmetric 20%"),
        (KeelTable("banana", TWO_SHARES), "asymmetric 20%"),
        (KeelTable("twonorm", TWO_SHARES), "asymmetric 20%"),
    )
    for entry in with_noise(source, "clean", noise, kind="imbalanced")
]
# What nobody had looked at when the default got its kernel, and classes their whole weight.
FRESH = [
    entry
    for name in ("breast", "heart", "housevotes", "ionosphere", "sonar", "vehicle")
    for entry in with_noise(KeelTable(name), "clean", "symmetric 20%")
]
# Known tables, of which each class has but ten rows.
FEW_ROWS = [
    entry
    for source in (
        *(KeelTable(name) for name in ("letter", "movement_libras", "penbased", "satimage")),
        *(KeelTable("vowel"), NpzFile("optdigits"), NpzFile("segment"), NpzFile("texture")),
    )
    for entry in with_noise(FewRows(source, 10), "clean", "symmetric 20%")
]
IMAGES = [
    Set("cifar10 human", "human", CIFAR10),
    Set("cifar10 symmetric 50%", "injected", CIFAR10, NOISES["symmetric 50%"]),
    Set("cifar10 asymmetric 40%", "injected", CIFAR10, Noise("asymmetric", 0.4, "cifar10")),
    Set("cifar10 clean", "clean", CIFAR10),
]
# Where many methods are to be compared on images.
FEW = Cifar10("cifar10 5000", 5_000)
FEWER = Cifar10("cifar10 1000", 1_000)
FEW_IMAGES = [
    Set("cifar10 5000 human", "human", FEW),
    *with_noise(FEW, "symmetric 50%", "clean"),
    Set("cifar10 1000 human", "human", FEWER),
    *with_noise(FEWER, "symmetric 50%", "clean"),
]
# What the default's first look at the labels cannot see.
MADE = [
    *with_noise(made_sets.SPIRALS, "clean"),
    *with_noise(made_sets.PARITY, "clean", "symmetric 40%"),
    *with_noise(made_sets.MANY, "clean"),
    *with_noise(made_sets.WORDS, "clean"),
]
# As the papers train and test: all images, their recipe, and noise drawn among all classes.
FETCHED = [
    *(Set(name, "human", source, recipe="cifar") for name, source in fetched_sets.HUMAN.items()),
    *with_noise(
        *(fetched_sets.CIFAR100, "uniform 20%", "uniform 50%", "uniform 80%", "clean"),
        recipe="cifar",
    ),
    Set(
        "cifar100 asymmetric 40%",
        "injected",
        fetched_sets.CIFAR100,
        Noise("asymmetric", 0.4, "cifar100"),
        "cifar",
    ),
    *with_noise(
        *(fetched_sets.TINY_IMAGENET, "uniform 20%", "uniform 50%", "clean"), recipe="cifar"
    ),
]
LARGE = [
    Set("webvision-mini", "weak", large_sets.WEBVISION_MINI, recipe="webvision-mini"),
    Set("webvision-google", "weak", large_sets.WEBVISION_GOOGLE, recipe="webvision-google"),
    Set("clothing1m", "weak", large_sets.CLOTHING1M, recipe="clothing1m"),
    Set("food101n", "weak", large_sets.FOOD101N, recipe="food101n"),
    Set("animal10n", "human", large_sets.ANIMAL10N, recipe="animal10n"),
    *with_noise(large_sets.IMAGENET, "symmetric 40%", "clean", recipe="imagenet"),
]

SETS = {
    entry.name: entry
    for group in (
        TABLES,
        FROZEN_SETS,
        CLEAN,
        NOISY,
        IMBALANCED,
        FRESH,
        FEW_ROWS,
        KEEL,
        IMAGES,
        FEW_IMAGES,
        MADE,
        FETCHED,
        LARGE,
    )
    for entry in group
}


def is_table(entry):
    return not (entry.source.is_image or isinstance(entry.source, made_sets.Made | FewRows))


def select(condition):
    return tuple(name for name, entry in SETS.items() if condition(entry))


GROUPS = {
    # What a rule is tried on first.
    "development": (
        *("labelme", "wrench_semeval", "cifar10_frozen human", "cifar10_frozen symmetric 40%"),
        *("cifar10_frozen clean", "optdigits symmetric 40%", "segment asymmetric 30%"),
        *("vowel symmetric 30%", "vowel clean", "satimage asymmetric 30%", "satimage clean"),
        *("spambase asymmetric 30%", "spambase clean", "german asymmetric 20%", "german clean"),
        *("movement_libras symmetric 30%", "movement_libras clean"),
    ),
    "tables": tuple(entry.name for entry in TABLES),
    "keel": tuple(entry.name for entry in KEEL),
    # What the default's rule was not chosen by, and that was looked at once, when it was settled.
    "unseen": (
        *(entry.name for entry in IMBALANCED),
        *(f"{name} clean" for name in SMALL if name not in ("contraceptive", "led7digit", "pima")),
    ),
    "fresh": tuple(entry.name for entry in FRESH),
    "imbalanced": tuple(entry.name for entry in IMBALANCED),
    "clean": select(lambda s: s.kind == "clean" and is_table(s)),
    "noisy": select(lambda s: s.kind != "clean" and is_table(s)),
    "images": tuple(entry.name for entry in IMAGES),
    "few images": tuple(entry.name for entry in FEW_IMAGES),
    "few rows": tuple(entry.name for entry in FEW_ROWS),
    "made": tuple(entry.name for entry in MADE),
    "fetched": tuple(entry.name for entry in FETCHED),
    "large": tuple(entry.name for entry in LARGE),
    "imagenet": tuple(entry.name for entry in LARGE if entry.recipe == "imagenet"),
    "all": tuple(SETS),
}
