"""Wrong labels made on purpose, to measure how a method copes with them."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_random_state

from .._validation import check_choice, check_number
from ..labels import check_labels, check_several_classes
from .flips import (
    Codes,
    draw_classes,
    flip_by_instance,
    flip_symmetric,
    flip_to_targets,
    flip_uniform,
)
from .probabilities import check_stochastic_matrix

_KINDS = ("symmetric", "uniform", "asymmetric", "instance")
_TRANSITIONS = ("next", "cifar10", "cifar100")

# truck -> automobile, bird -> airplane, deer -> horse, cat <-> dog
_CIFAR10_TARGETS = np.array([0, 1, 0, 5, 7, 3, 6, 7, 8, 1])

# The superclass of each class of CIFAR-100.
_CIFAR100_SUPERCLASSES = np.array(
    [
        *(4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11),
        *(6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5),
        *(5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17),
        *(10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13),
        *(16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13),
    ]
)

# Mixed with an integer seed: the bare one would draw the very rows that a stratified split of the
# same seed puts aside.
_STREAM = 0x6E6F6973


class NoisyLabels(NamedTuple):
    """Labels of which some are wrong, and which ones.

    Attributes
    ----------
    y : same type as the labels given, of shape (n_samples,)
        The labels with noise.
    is_wrong : ndarray of bool of shape (n_samples,)
        True where the label was changed.
    rate : float
        Share of the labels that was really changed.
    """

    y: Any
    is_wrong: NDArray[np.bool_]
    rate: float


def make_label_noise(
    y: Any,
    kind: str = "symmetric",
    rate: float | None = None,
    *,
    transition: str | Mapping[Any, Any] | ArrayLike | None = None,
    X: Any = None,
    random_state: int | np.random.RandomState | None = None,
) -> NoisyLabels:
    """Make some labels wrong.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels of any kind that scikit-learn's classifiers accept, e.g. strings, integers with
        gaps or bools, as list, array, pandas Series or torch tensor. Not modified.
    kind : {"symmetric", "uniform", "asymmetric", "instance"}, default="symmetric"
        Which labels get which wrong class.

        - ``"symmetric"``: any other class, all equally likely.
        - ``"uniform"``: any class, the own one included, all equally likely: what many papers call
          symmetric, DivideMix [2]_ among them. Of the labels drawn anew, one of `n_classes` is
          right again by chance.
        - ``"asymmetric"``: what `transition` says.
        - ``"instance"``: part-dependent noise [1]_: each row has its own probability of being
          changed, from a normal distribution around `rate` with standard deviation 0.1, cut off at
          0 and 1; the wrong class depends on `X` through a random linear map for each true class.

    rate : float, default=None
        Share of wrong labels, in [0, 1]. Needed unless `transition` is a matrix.

        Symmetric and asymmetric noise keep to it: ``round(rate * n)`` of the `n` rows that may
        change do, shared out to their classes in proportion. Instance-dependent noise keeps to it
        in expectation, and where `rate` is near 0 or 1 the cut-off draws the share inwards; 0 and 1
        themselves change no row and every row. For uniform noise it is the share of labels drawn
        anew: ``rate * (n_classes - 1) / n_classes`` are wrong, in expectation.
    transition : {"next", "cifar10", "cifar100"}, mapping or array-like of shape \
            (n_classes, n_classes), default=None
        For ``kind="asymmetric"`` only: where labels go. Classes are in sorted order.

        - ``"next"``, as None: the next class; the last one goes to the first.
        - ``"cifar10"``: truck to automobile, bird to airplane, deer to horse, cat to dog and dog to
          cat, for the ten classes of CIFAR-10, as integers or names. The other five stay, so that
          ``rate / 2`` of all labels are wrong where classes are of equal size.
        - ``"cifar100"``: the next class of the same superclass, the last of the five to the first,
          for the 100 classes of CIFAR-100, as integers or names.
        - mapping: from the classes that change to the ones they change to. The others stay.
        - matrix: row `i` holds the probabilities of the classes that class `i` may become, its own
          included. Each row of `y` is drawn on its own. The matrix implies the rate, so `rate` must
          be None.

        `rate` refers to the classes that change, the returned rate to all rows.
    X : array-like or tensor of shape (n_samples, ...), default=None
        Features, for ``kind="instance"`` only, ignored otherwise. Their scale matters: the larger
        the features, the more surely a row's wrong class follows from them.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise. None draws from numpy's global generator; nothing else touches it. An
        integer starts a stream of its own: the noise is independent of a split with the same seed.

    Returns
    -------
    NoisyLabels
        Named tuple of the labels `y` (of the type given; a Series keeps index, name and dtype, a
        tensor its dtype and device), the mask `is_wrong`, and the `rate` of wrong labels.

    Raises
    ------
    ValueError
        If an option is unknown, `rate` is redundant or not in [0, 1], `y` has fewer than two
        classes or is no 1-d array of classes, `X` is missing or has another length than `y`, or
        `transition` does not fit the classes or is no stochastic matrix.
    TypeError
        If `rate` is missing or no number.

    References
    ----------
    .. [1] X. Xia, T. Liu, B. Han, N. Wang, M. Gong, H. Liu, G. Niu, D. Tao, M. Sugiyama.
       "Part-dependent Label Noise: Towards Instance-dependent Label Noise", NeurIPS 2020,
       Algorithm 2.
    .. [2] J. Li, R. Socher, S. C. H. Hoi. "DivideMix: Learning with Noisy Labels as Semi-supervised
       Learning", ICLR 2020.

    Examples
    --------
    >>> from crust_sklearn.label_noise import make_label_noise
    >>> y = ["cat", "dog", "owl"] * 100
    >>> noisy = make_label_noise(y, "symmetric", 0.4, random_state=0)
    >>> noisy.rate
    0.4
    >>> int(noisy.is_wrong.sum()), set(noisy.y) == set(y)
    (120, True)

    Every second cat is called a dog:

    >>> called = {"cat": "dog"}
    >>> noisy = make_label_noise(y, "asymmetric", 0.5, transition=called, random_state=0)
    >>> noisy.y.count("cat"), noisy.y.count("dog"), noisy.y.count("owl")
    (50, 150, 100)

    "50 % symmetric noise" of the papers that draw among all ten classes is 45 % in truth:

    >>> noisy = make_label_noise(list(range(10)) * 1000, "uniform", 0.5, random_state=0)
    >>> round(noisy.rate, 2)
    0.45
    """
    check_choice("kind", kind, _KINDS)
    classes, codes = np.unique(check_labels(y), return_inverse=True)
    check_several_classes(classes)
    rng = _get_generator(random_state)
    if kind != "asymmetric" and transition is not None:
        raise ValueError(f"transition is for kind='asymmetric', not for kind={kind!r}.")

    if kind == "symmetric":
        noisy = flip_symmetric(codes, len(classes), _check_rate(rate), rng)
    elif kind == "uniform":
        noisy = flip_uniform(codes, len(classes), _check_rate(rate), rng)
    elif kind == "asymmetric":
        noisy = _flip_asymmetric(codes, classes, rate, transition, rng)
    else:
        features = _check_features(X, len(codes))
        noisy = flip_by_instance(codes, len(classes), _check_rate(rate), features, rng)

    is_wrong = noisy != codes
    return NoisyLabels(_decode(y, codes, noisy), is_wrong, float(is_wrong.mean()))


def _get_generator(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    rng = check_random_state(random_state)
    if isinstance(random_state, Integral):
        return np.random.RandomState([int(random_state), _STREAM])
    return rng


def _flip_asymmetric(
    codes: Codes,
    classes: NDArray[Any],
    rate: float | None,
    transition: str | Mapping[Any, Any] | ArrayLike | None,
    rng: np.random.RandomState,
) -> Codes:
    if transition is None or isinstance(transition, str | Mapping):
        return flip_to_targets(codes, _get_targets(transition, classes), _check_rate(rate), rng)
    if rate is not None:
        raise ValueError("rate must be None where transition is a matrix: the matrix implies it.")
    matrix = check_stochastic_matrix("transition", transition, len(classes))
    return draw_classes(matrix[codes], rng)


def _get_targets(transition: str | Mapping[Any, Any] | None, classes: NDArray[Any]) -> Codes:
    """Return for each class the one that it changes to; its own where it stays."""
    if isinstance(transition, Mapping):
        return _get_mapped_targets(transition, classes)
    transition = "next" if transition is None else transition
    check_choice("transition", transition, _TRANSITIONS)
    if transition == "next":
        return np.roll(np.arange(len(classes)), -1)
    targets = _CIFAR10_TARGETS if transition == "cifar10" else _get_cifar100_targets()
    if len(classes) != len(targets):
        raise ValueError(
            f"transition={transition!r} needs the {len(targets)} classes of CIFAR-{len(targets)}, "
            f"got {len(classes)} classes."
        )
    return targets


def _get_cifar100_targets() -> Codes:
    targets = np.empty(len(_CIFAR100_SUPERCLASSES), np.intp)
    for superclass in range(20):
        members = np.flatnonzero(superclass == _CIFAR100_SUPERCLASSES)
        targets[members] = np.roll(members, -1)
    return targets


def _get_mapped_targets(transition: Mapping[Any, Any], classes: NDArray[Any]) -> Codes:
    code_of = {name: code for code, name in enumerate(classes.tolist())}
    targets = np.arange(len(classes))
    for source, target in transition.items():
        for name in (source, target):
            if name not in code_of:
                raise ValueError(
                    f"transition names the class {name!r}, which y has not; it has {list(code_of)}."
                )
        targets[code_of[source]] = code_of[target]
    return targets


def _decode(y: Any, codes: Codes, noisy: Codes) -> Any:
    """Return `y` with the classes of `noisy`, by copying labels within `y`: its type is kept."""
    _, example_of_class = np.unique(codes, return_index=True)
    source = np.where(noisy == codes, np.arange(len(codes)), example_of_class[noisy])
    if hasattr(y, "detach"):
        return y.detach()[source]
    if hasattr(y, "iloc"):
        return y.take(source).set_axis(y.index)
    if isinstance(y, list | tuple):
        return type(y)(y[i] for i in source)
    return (y if hasattr(y, "take") else np.asarray(y)).take(source)


def _check_rate(rate: float | None) -> float:
    return float(check_number("rate", rate, low=0, high=1))


def _check_features(X: Any, n_rows: int) -> NDArray[Any]:
    """Return `X` as a finite 2-d array."""
    if X is None:
        raise ValueError("kind='instance' needs the features X.")
    X = X.detach().cpu().numpy() if hasattr(X, "detach") else X
    X = check_array(X, ensure_2d=False, allow_nd=True, input_name="X")
    if len(X) != n_rows:
        raise ValueError(f"X and y must have the same length, got {len(X)} and {n_rows}.")
    return X.reshape(n_rows, -1)
