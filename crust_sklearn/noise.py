"""Wrong labels made on purpose, to measure how a method copes with them."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from scipy.stats import truncnorm
from sklearn.utils import assert_all_finite, check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ._validation import check_choice, check_number

_KINDS = ("symmetric", "asymmetric", "instance")
_TRANSITIONS = ("next", "cifar10")

# truck -> automobile, bird -> airplane, deer -> horse, cat <-> dog
_CIFAR10_TARGETS = np.array([0, 1, 0, 5, 7, 3, 6, 7, 8, 1])

_INSTANCE_RATE_STD = 0.1

# Mixed with an integer seed: the bare one would draw the very rows that a stratified split of the
# same seed puts aside.
_STREAM = 0x6E6F6973

_Codes = NDArray[np.intp]


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
    kind : {"symmetric", "asymmetric", "instance"}, default="symmetric"
        Which labels get which wrong class.

        - ``"symmetric"``: any other class, all equally likely.
        - ``"asymmetric"``: what `transition` says.
        - ``"instance"``: part-dependent noise [1]_: each row has its own probability of being
          changed, from a normal distribution around `rate` with standard deviation 0.1, cut off at
          0 and 1; the wrong class depends on `X` through a random linear map for each true class.

    rate : float, default=None
        Share of wrong labels, in [0, 1]. Needed unless `transition` is a matrix.

        Symmetric and asymmetric noise keep to it: ``round(rate * n)`` of the `n` rows that may
        change do, shared out to their classes in proportion. Instance-dependent noise keeps to it
        in expectation, and where `rate` is near 0 or 1 the cut-off draws the share inwards; 0 and 1
        themselves change no row and every row.
    transition : {"next", "cifar10"}, mapping or array-like of shape (n_classes, n_classes), \
            default=None
        For ``kind="asymmetric"`` only: where labels go. Classes are in sorted order.

        - ``"next"``, as None: the next class; the last one goes to the first.
        - ``"cifar10"``: truck to automobile, bird to airplane, deer to horse, cat to dog and dog to
          cat, for the ten classes of CIFAR-10, as integers or names. The other five stay.
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

    Examples
    --------
    >>> from crust_sklearn.noise import make_label_noise
    >>> y = ["cat", "dog", "owl"] * 100
    >>> noisy = make_label_noise(y, "symmetric", 0.4, random_state=0)
    >>> noisy.rate
    0.4
    >>> int(noisy.is_wrong.sum()), set(noisy.y) == set(y)
    (120, True)

    Every second cat is called a dog:

    >>> noisy = make_label_noise(y, "asymmetric", 0.5, transition={"cat": "dog"}, random_state=0)
    >>> noisy.y.count("cat"), noisy.y.count("dog"), noisy.y.count("owl")
    (50, 150, 100)
    """
    check_choice("kind", kind, _KINDS)
    classes, codes = _encode(y)
    rng = _get_generator(random_state)
    if kind != "asymmetric" and transition is not None:
        raise ValueError(f"transition is for kind='asymmetric', not for kind={kind!r}.")

    if kind == "symmetric":
        noisy = _flip_symmetric(codes, len(classes), _check_rate(rate), rng)
    elif kind == "asymmetric":
        noisy = _flip_asymmetric(codes, classes, rate, transition, rng)
    else:
        features = _check_features(X, len(codes))
        noisy = _flip_by_instance(codes, len(classes), _check_rate(rate), features, rng)

    is_wrong = noisy != codes
    return NoisyLabels(_decode(y, codes, noisy), is_wrong, float(is_wrong.mean()))


def _get_generator(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    rng = check_random_state(random_state)
    if isinstance(random_state, Integral):
        return np.random.RandomState([int(random_state), _STREAM])
    return rng


def _flip_symmetric(
    codes: _Codes, n_classes: int, rate: float, rng: np.random.RandomState
) -> _Codes:
    noisy = codes.copy()
    rows = _choose_rows(codes, rate, rng)
    # A shift by 1 to n_classes - 1 reaches every class but the own one.
    noisy[rows] = (codes[rows] + rng.randint(1, n_classes, size=len(rows))) % n_classes
    return noisy


def _flip_asymmetric(
    codes: _Codes,
    classes: NDArray[Any],
    rate: float | None,
    transition: str | Mapping[Any, Any] | ArrayLike | None,
    rng: np.random.RandomState,
) -> _Codes:
    if transition is None or isinstance(transition, str | Mapping):
        return _flip_to_targets(codes, _get_targets(transition, classes), _check_rate(rate), rng)
    if rate is not None:
        raise ValueError("rate must be None where transition is a matrix: the matrix implies it.")
    matrix = _check_matrix(transition, len(classes))
    return _draw_classes(matrix[codes], rng)


def _flip_to_targets(
    codes: _Codes, targets: _Codes, rate: float, rng: np.random.RandomState
) -> _Codes:
    noisy = codes.copy()
    may_change = np.flatnonzero(targets[codes] != codes)
    rows = may_change[_choose_rows(codes[may_change], rate, rng)]
    noisy[rows] = targets[codes[rows]]
    return noisy


def _flip_by_instance(
    codes: _Codes, n_classes: int, rate: float, X: NDArray[Any], rng: np.random.RandomState
) -> _Codes:
    flip_rates = _draw_flip_rates(len(codes), rate, rng)
    noisy = np.empty_like(codes)
    for own in range(n_classes):
        rows = np.flatnonzero(codes == own)
        projection = rng.standard_normal((X.shape[1], n_classes))
        scores = X[rows].astype(np.float64) @ projection
        scores[:, own] = -np.inf
        probabilities = flip_rates[rows, None] * softmax(scores, axis=1)
        probabilities[:, own] = 1 - flip_rates[rows]
        noisy[rows] = _draw_classes(probabilities, rng)
    return noisy


def _draw_flip_rates(n_rows: int, rate: float, rng: np.random.RandomState) -> NDArray[np.float64]:
    if rate in (0, 1):
        return np.full(n_rows, float(rate))
    low, high = -rate / _INSTANCE_RATE_STD, (1 - rate) / _INSTANCE_RATE_STD
    return truncnorm.rvs(
        low, high, loc=rate, scale=_INSTANCE_RATE_STD, size=n_rows, random_state=rng
    )


def _choose_rows(codes: _Codes, rate: float, rng: np.random.RandomState) -> _Codes:
    """Choose ``round(rate * n)`` rows at random, from each class its share by largest remainder."""
    counts = np.bincount(codes)
    quotas = rate * counts
    sizes = np.floor(quotas).astype(np.intp)
    n_missing = round(rate * len(codes)) - sizes.sum()
    by_remainder = np.argsort(sizes - quotas, kind="stable")
    sizes[by_remainder[:n_missing]] += 1
    chosen = [
        rng.choice(np.flatnonzero(codes == code), size, replace=False)
        for code, size in enumerate(sizes)
        if size
    ]
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.intp)


def _draw_classes(probabilities: NDArray[np.float64], rng: np.random.RandomState) -> _Codes:
    """Draw one class per row from that row's probabilities."""
    # The last threshold is left out: rounding must not lead beyond the last class.
    thresholds = probabilities.cumsum(axis=1)[:, :-1]
    return (rng.random_sample((len(probabilities), 1)) >= thresholds).sum(axis=1)


def _get_targets(transition: str | Mapping[Any, Any] | None, classes: NDArray[Any]) -> _Codes:
    """Return for each class the one that it changes to; its own where it stays."""
    if isinstance(transition, Mapping):
        return _get_mapped_targets(transition, classes)
    transition = "next" if transition is None else transition
    check_choice("transition", transition, _TRANSITIONS)
    if transition == "next":
        return np.roll(np.arange(len(classes)), -1)
    if len(classes) != len(_CIFAR10_TARGETS):
        raise ValueError(
            f"transition='cifar10' needs the 10 classes of CIFAR-10, got {len(classes)} classes."
        )
    return _CIFAR10_TARGETS


def _get_mapped_targets(transition: Mapping[Any, Any], classes: NDArray[Any]) -> _Codes:
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


def _encode(y: Any) -> tuple[NDArray[Any], _Codes]:
    """Return the classes in sorted order and for each label the position of its class."""
    values = y.detach().cpu().numpy() if hasattr(y, "detach") else y
    if np.ndim(values) != 1:
        raise ValueError(f"y must be 1-d, got an array of shape {np.shape(values)}.")
    values = column_or_1d(values)
    assert_all_finite(values, input_name="y")
    try:
        check_classification_targets(values)
    except TypeError as error:
        raise ValueError("y must hold classes of one kind, and no None.") from error
    classes, codes = np.unique(values, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must have at least two classes, got {len(classes)}.")
    return classes, codes


def _decode(y: Any, codes: _Codes, noisy: _Codes) -> Any:
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


def _check_matrix(matrix: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.shape != (n_classes, n_classes):
        raise ValueError(
            f"transition must have shape ({n_classes}, {n_classes}), a row and a column for each "
            f"class of y, got {matrix.shape}."
        )
    if not (matrix >= 0).all():
        raise ValueError("transition must not have negative or NaN entries.")
    sums = matrix.sum(axis=1)
    if not np.allclose(sums, 1):
        raise ValueError(f"The rows of transition must sum to 1, got {sums}.")
    return matrix


def _check_features(X: Any, n_rows: int) -> NDArray[Any]:
    """Return `X` as a finite 2-d array."""
    if X is None:
        raise ValueError("kind='instance' needs the features X.")
    X = X.detach().cpu().numpy() if hasattr(X, "detach") else X
    X = check_array(X, ensure_2d=False, allow_nd=True, input_name="X")
    if len(X) != n_rows:
        raise ValueError(f"X and y must have the same length, got {len(X)} and {n_rows}.")
    return X.reshape(n_rows, -1)
