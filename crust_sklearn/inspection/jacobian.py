"""The network's Jacobian: its spectrum, its information space, and where residuals lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.random import RandomState
from sklearn.utils import check_random_state

from .._validation import check_number
from ._jacobian_products import JacobianProducts, differentiating
from ._right_labels import find_right_labels

# Few large blocks or many small ones cost the same number of products; in practice the best size
# lies far below the number of vectors sought, and above one (Chen et al., arXiv 2508.06486).
_N_BLOCKS = 10


class JacobianSpectrum(NamedTuple):
    """The leading singular values and left singular vectors of a Jacobian.

    Attributes
    ----------
    singular_values : ndarray of shape (n_components,), dtype float64
        Descending.
    vectors : ndarray of shape (n_rows, n_classes, n_components), dtype float64
        Orthonormal: ``vectors.reshape(-1, n_components)`` has orthonormal columns.
    """

    singular_values: np.ndarray
    vectors: np.ndarray


class InformationSpace(NamedTuple):
    """The leading left singular vectors of a Jacobian.

    Attributes
    ----------
    size : int
        Its dimension.
    basis : ndarray of shape (n_rows, n_classes, size), dtype float64
        Orthonormal, as `JacobianSpectrum.vectors`.
    """

    size: int
    basis: np.ndarray


class ResidualAlignment(NamedTuple):
    """How much of the residual's energy lies in the leading directions.

    Attributes
    ----------
    size : int
        The dimension of the information space: ``clean[size - 1]`` is the share in it.
    overall : ndarray of shape (n_components,), dtype float64
        The share of the energy of all residuals in the first 1, 2, ... directions. NaN if all
        residuals are zero.
    clean, wrong : ndarray of shape (n_components,), dtype float64, or None
        The same of the rows with right and with wrong labels; None where it is not known which
        they are, or where there is none.
    rows : ndarray of shape (n_rows,), dtype float64
        How far each row's residual agrees with that of the others: 1 if the information space
        holds it unchanged, below 0 if there it points the other way. NaN if the residual is zero.
    """

    size: int
    overall: np.ndarray
    clean: np.ndarray | None
    wrong: np.ndarray | None
    rows: np.ndarray


def jacobian_spectrum(
    net: Any,
    X: Any,
    *,
    n_components: int = 50,
    n_products: int | None = None,
    batch_size: int = 64,
    random_state: int | RandomState | None = None,
) -> JacobianSpectrum:
    """Compute the leading singular values and left singular vectors of a network's Jacobian.

    The Jacobian J of the logits of all rows of X, taken as one vector of n_rows * n_classes
    numbers, with respect to the trainable parameters. For cross-entropy, ``J^T (p - y)`` is the
    gradient of the summed loss, with p the predicted probabilities and y the labels, one-hot.

    Parameters
    ----------
    net : CRUSTClassifier or other skorch.NeuralNet
        Fitted or initialized. Its module returns logits, or probabilities if the criterion is
        ``NLLLoss``: then J is that of their logarithms.
    X : input data
        The rows, as in `predict`. Some hundreds will do: the time grows with their number, and
        they are kept in memory.
    n_components : int, default=50
        Number of singular values. At most n_rows * n_classes and the number of parameters: where
        that is less, there are no more.
    n_products : int or None, default=None
        Number of products with J J^T, which is what the time goes by: each takes a backward pass
        over X and one of forward mode differentiation. More of them make the last values more
        exact; n_rows * n_classes make all exact. None: ``4 * n_components``.
    batch_size : int, default=64
        Rows that go through the network at once, with four vectors each. Memory grows with it.
    random_state : int, RandomState instance or None, default=None
        Seed of the first vectors. None draws from numpy's global generator; nothing else
        touches it.

    Returns
    -------
    spectrum : JacobianSpectrum

    Raises
    ------
    TypeError
        If `net` is no skorch net, or if a number is not an integer.
    ValueError
        If `n_products` is below `n_components`, if no parameter is trainable, or if the module does
        not return one row of logits per example.
    sklearn.exceptions.NotFittedError
        If `net` is not initialized.
    FloatingPointError
        If the Jacobian is not finite.

    See Also
    --------
    information_space : Which of the directions count as large.
    JacobianSpectrumDisplay : The same as a figure.

    Notes
    -----
    The products are those of reverse and forward mode differentiation, four vectors at a time, so
    that J is not formed. The vectors span a randomized block Krylov space [1]_, which is
    orthonormalized throughout; of the same blocks, a randomized SVD by power iterations [2]_ uses
    the last one only. But for rounding, no value exceeds the true one; the last ones fall short the
    most.

    The module runs in eval mode, in its own precision, on its own device. Its parameters, buffers
    and mode, and torch's generators, are left as they were.

    References
    ----------
    .. [1] Musco and Musco, "Randomized Block Krylov Methods for Stronger and Faster Approximate
       Singular Value Decomposition", NeurIPS 2015.
    .. [2] Halko, Martinsson, Tropp, "Finding Structure with Randomness: Probabilistic Algorithms
       for Constructing Approximate Matrix Decompositions", SIAM Review 53(2), 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CRUSTClassifier
    >>> from crust_sklearn.inspection import jacobian_spectrum
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = CRUSTClassifier(MLP, module__hidden_sizes=(16,), verbose=0, random_state=0)
    >>> spectrum = jacobian_spectrum(clf.fit(X, y), X[::5], n_components=8, random_state=0)
    >>> spectrum.singular_values.shape, spectrum.vectors.shape
    ((8,), (30, 3, 8))
    """
    check_number("n_components", n_components, kind=Integral, low=1)
    check_number("batch_size", batch_size, kind=Integral, low=1)
    if n_products is None:
        n_products = 4 * n_components
    check_number("n_products", n_products, kind=Integral, low=1)
    if n_products < n_components:
        raise ValueError(
            f"n_products={n_products} is less than n_components={n_components}: give at least as "
            "many, better four times as many."
        )
    generator = check_random_state(random_state)
    with differentiating(net):
        jacobian = JacobianProducts(net, X, None, batch_size)
        shape = jacobian.n_rows, jacobian.n_classes
        n_components = min(n_components, math.prod(shape), jacobian.n_parameters)
        squares, vectors = _find_leading(
            jacobian.gram, math.prod(shape), n_components, n_products, generator
        )
    values = np.sqrt(np.maximum(squares, 0.0))
    return JacobianSpectrum(values, vectors.reshape(*shape, n_components))


def _find_leading(
    multiply: Callable[[np.ndarray], np.ndarray],
    size: int,
    n_vectors: int,
    n_products: int,
    random_state: RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading eigenvalues and eigenvectors of a symmetric matrix, by its products."""
    n_products = min(n_products, size)
    block_size = -(-n_products // _N_BLOCKS)
    basis, image = np.empty((size, 0)), np.empty((size, 0))
    products = random_state.standard_normal((size, block_size))
    while basis.shape[1] < n_products:
        rest = products - basis @ (basis.T @ products)
        new, lengths, _ = np.linalg.svd(rest, full_matrices=False)
        # Where products lie in the basis already, go on from new vectors.
        lost = lengths <= 1e-10 * np.linalg.norm(products if not image.size else image)
        new[:, lost] = random_state.standard_normal((size, np.count_nonzero(lost)))
        new = new[:, : n_products - basis.shape[1]]
        for _ in range(2):  # once leaves rounding errors of what is small after the projection
            new = np.linalg.qr(new - basis @ (basis.T @ new))[0]
        products = multiply(new)
        basis, image = np.hstack([basis, new]), np.hstack([image, products])
    small = basis.T @ image
    values, rotation = np.linalg.eigh((small + small.T) / 2)
    return values[: -n_vectors - 1 : -1], basis @ rotation[:, : -n_vectors - 1 : -1]


def information_space(spectrum: JacobianSpectrum, *, size: int | None = None) -> InformationSpace:
    """Return the directions of the large singular values of a Jacobian.

    Parameters
    ----------
    spectrum : JacobianSpectrum
        From `jacobian_spectrum`.
    size : int or None, default=None
        How many directions, at most the number of singular values. None: up to the knee (see the
        notes).

    Returns
    -------
    space : InformationSpace

    Raises
    ------
    ValueError
        If `size` is out of range.
    TypeError
        If `size` is not an integer.

    Notes
    -----
    The space was introduced with a cut-off that is chosen by hand [1]_. The knee is where the
    profile likelihood of the scree plot is largest [2]_: the values before and after it are taken
    as two normal samples with one variance, which makes it the split into large and small with the
    least squared distances from the two means. It always finds one, also where the values decay
    evenly, and it moves with the number of values given: look at the plot, and set `size` where it
    shows none.

    The first n_classes directions are often those that move the logits of one class for all rows
    alike. Where they end, the spectrum has its sharpest knee, and of the residual, which is
    different for every row, they hold little: look at what the directions after them hold, too.

    References
    ----------
    .. [1] Oymak, Fabian, Li, Soltanolkotabi, "Generalization Guarantees for Neural Networks via
       Harnessing the Low-rank Structure of the Jacobian", arXiv 1906.05392, 2019.
    .. [2] Zhu and Ghodsi, "Automatic dimensionality selection from the scree plot via the use of
       profile likelihood", Computational Statistics & Data Analysis 51(2), 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.inspection import information_space
    >>> from crust_sklearn.inspection.jacobian import JacobianSpectrum
    >>> values = np.array([9.0, 8.0, 8.0, 1.0, 0.7, 0.5])
    >>> information_space(JacobianSpectrum(values, np.eye(6).reshape(3, 2, 6))).size
    3
    """
    values = spectrum.singular_values
    if size is None:
        size = _find_knee(values)
    check_number("size", size, kind=Integral, low=1, high=len(values))
    return InformationSpace(int(size), spectrum.vectors[:, :, :size])


def _find_knee(values: np.ndarray) -> int:
    """Return how many of the descending values are large."""

    def scatter(part: np.ndarray) -> float:
        return float(((part - part.mean()) ** 2).sum())

    within = [scatter(values[:i]) + scatter(values[i:]) for i in range(1, len(values))]
    return 1 + int(np.argmin(within)) if within else 1


def residual_alignment(
    net: Any,
    X: Any,
    y: Any,
    spectrum: JacobianSpectrum,
    *,
    size: int | None = None,
    y_true: Any = None,
    is_clean: Any = None,
    batch_size: int = 64,
) -> ResidualAlignment:
    """Compute how much of the residual's energy lies in the information space.

    It checks the claim that CRUST rests on [1]_: residuals of clean labels lie mostly in the
    information space, those of wrong labels do not. The residual of a row is y - p: its given
    label, one-hot, less the predicted probabilities.

    Parameters
    ----------
    net : CRUSTClassifier or other skorch.NeuralNet
        As it was when `spectrum` was computed.
    X : input data
        The rows that `spectrum` was computed of, in the same order.
    y : array-like of shape (n_rows,)
        Their given labels; None only where X is a Dataset that holds them.
    spectrum : JacobianSpectrum
        From `jacobian_spectrum`.
    size : int or None, default=None
        Dimension of the information space, as in `information_space`.
    y_true : array-like of shape (n_rows,), default=None
        The true labels, where they are known.
    is_clean : array-like of bool of shape (n_rows,), default=None
        Which given labels are right: instead of `y_true`.
    batch_size : int, default=64
        Rows that go through the network at once.

    Returns
    -------
    alignment : ResidualAlignment

    Raises
    ------
    ValueError
        If lengths differ, if a label is unknown, if `y_true` is given without `y`, or if both
        `y_true` and `is_clean` are given.
    TypeError
        If `net` is no skorch net, or if `is_clean` does not hold bools.
    sklearn.exceptions.NotFittedError
        If `net` is not initialized.

    Notes
    -----
    With U the first k left singular vectors, and r the residuals of all rows as one vector: of a
    set S of rows, the share is ``|U^T r_S|^2 / |r_S|^2``, where r_S is r with zeros for the rows
    outside S. For a vector without any structure it is about k / (n_rows * n_classes). The more
    rows in S, the more structure there can be: compare sets of similar size.

    The value of a row i is ``<r_i, (U U^T r)_i> / |r_i|^2``. Weighted by ``|r_i|^2``, these values
    have the overall share as their mean. A gradient step that is confined to the information
    space lowers the row's loss where its value is positive.

    References
    ----------
    .. [1] Mirzasoleiman, Cao, Leskovec, "Coresets for Robust Training of Neural Networks
       against Noisy Labels", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import NoisyLabelClassifier, make_label_noise
    >>> from crust_sklearn.inspection import jacobian_spectrum, residual_alignment
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> y_noisy = make_label_noise(y, "symmetric", 0.4, random_state=0).y
    >>> net = NoisyLabelClassifier(MLP, max_epochs=2, verbose=0, random_state=0)
    >>> _ = net.fit(X / 16, y_noisy)
    >>> rows = slice(0, 200)
    >>> spectrum = jacobian_spectrum(net, X[rows] / 16, n_components=30, random_state=0)
    >>> found = residual_alignment(
    ...     net, X[rows] / 16, y_noisy[rows], spectrum, y_true=y[rows]
    ... )
    >>> bool(found.clean[-1] > found.wrong[-1])
    True
    """
    n_rows, n_classes, n_components = spectrum.vectors.shape
    size = information_space(spectrum, size=size).size
    check_number("batch_size", batch_size, kind=Integral, low=1)
    is_clean = find_right_labels(y, y_true, is_clean, n_rows)
    residual = _get_residual(net, X, y, batch_size)
    if residual.shape != (n_rows, n_classes):
        raise ValueError(
            f"spectrum is of {n_rows} rows and {n_classes} classes, and X and net make "
            f"{residual.shape[0]} and {residual.shape[1]}. Give the net and the X that it was "
            "computed of."
        )
    vectors = spectrum.vectors
    inside = vectors[:, :, :size] @ np.einsum("ncs,nc->s", vectors[:, :, :size], residual)
    rows = _divide((residual * inside).sum(axis=1), (residual**2).sum(axis=1))
    overall = _get_shares(vectors, residual)
    clean = wrong = None
    if is_clean is not None:
        clean = _get_shares(vectors[is_clean], residual[is_clean]) if is_clean.any() else None
        wrong = _get_shares(vectors[~is_clean], residual[~is_clean]) if not is_clean.all() else None
    return ResidualAlignment(size, overall, clean, wrong, rows)


def _get_shares(vectors: np.ndarray, residual: np.ndarray) -> np.ndarray:
    along = np.einsum("nck,nc->k", vectors, residual)
    return _divide(np.cumsum(along**2), (residual**2).sum())


def _divide(part: np.ndarray, whole: Any) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def _get_residual(net: Any, X: Any, y: Any, batch_size: int) -> np.ndarray:
    """Return y - p of every row, of shape (n_rows, n_classes) and dtype float64."""
    with differentiating(net):
        jacobian = JacobianProducts(net, X, y, batch_size)
    codes = np.concatenate([np.atleast_1d(np.asarray(part)) for part in jacobian.labels])
    n_rows, n_classes = jacobian.logits.shape
    is_code = codes.dtype.kind in "iu" and codes.shape == (n_rows,)
    if not is_code or codes.min() < 0 or codes.max() >= n_classes:
        raise ValueError(
            "y must hold the given label of each row, as in fit: with a plain skorch net, the "
            f"integers from 0 to {n_classes - 1}."
        )
    residual = -jacobian.logits.double().softmax(dim=1).cpu().numpy()
    residual[np.arange(n_rows), codes] += 1.0
    return residual
