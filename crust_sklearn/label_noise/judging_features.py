"""What labels are judged by: features of a network, inputs, and what a kernel makes of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.kernel_approximation import RBFSampler
from sklearn.utils import gen_batches

from .held_out import PART_SIZE, is_tensor, predict_in_parts
from .own_rows import OwnRows

# More features than this are projected: the leave-one-out predictions take n d^2 + d^3 operations.
MAX_FEATURES = 512
# Random features of the kernel.
N_KERNEL = 256


def project_features(features: Any) -> Any:
    """Return random projections of features, always the same.

    Parameters
    ----------
    features : ndarray, torch.Tensor or Shards of shape (n_rows, n_features)

    Returns
    -------
    projected : ndarray or torch.Tensor of shape (n_rows, 512)
    """
    n_rows, n_features = features.shape
    draw = np.random.default_rng(0).standard_normal((n_features, MAX_FEATURES))
    if is_tensor(features):
        return features @ features.new_tensor(draw)
    # Half precision has no fast product.
    draw = draw.astype(np.promote_types(features.dtype, np.float32))
    projected = np.empty((n_rows, MAX_FEATURES), draw.dtype)
    for part in gen_batches(n_rows, max(1, PART_SIZE // n_features)):
        projected[part] = features[part] @ draw
    return projected


def narrow_features(features: Any) -> Any:
    """Return features as they are, or, if there are more than 512, projections of them.

    Parameters
    ----------
    features : ndarray, torch.Tensor, Shards or OwnRows of shape (n_rows, n_features)

    Returns
    -------
    narrowed : ndarray, torch.Tensor, Shards or OwnRows of shape (n_rows, min(n_features, 512))
    """
    rows = OwnRows.of(features)
    if rows.values.shape[1] <= MAX_FEATURES:
        return features
    return rows.replace(project_features(rows.values))


def join_features(blocks: Sequence[Any]) -> Any:
    """Return features of several sources side by side, each with the same weight per column.

    Parameters
    ----------
    blocks : sequence of ndarray or OwnRows of shape (n_rows, n_features)
        Finite.

    Returns
    -------
    features : ndarray or OwnRows of shape (n_rows, sum of n_features), dtype float32
        The columns of each block are centred, and divided by the root of the block's mean square.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import join_features
    >>> join_features(
    ...     [np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[0.0], [100.0]])]
    ... ).round(2)
    array([[-1.41,  0.  , -1.  ],
           [ 1.41,  0.  ,  1.  ]], dtype=float32)
    """
    rows, blocks = OwnRows.of(blocks[0]), [OwnRows.of(block).values for block in blocks]
    widths = [block.shape[1] for block in blocks]
    joined = np.empty((len(rows), sum(widths)), np.float32)
    for block, end in zip(blocks, np.cumsum(widths), strict=True):
        part = joined[:, end - block.shape[1] : end]
        # Scaled first, as squares of large numbers overflow.
        part[:] = block / (rows.get_max(np.abs(block).max(initial=0.0)) or 1.0)
        mean = rows.add(part.sum(axis=0, dtype=np.float64)) / rows.n_rows
        part -= mean.astype(np.float32)
        squares = rows.add(np.square(part).sum(dtype=np.float64))
        part /= np.sqrt(squares / (rows.n_rows * block.shape[1])) or 1.0
    return rows.replace(joined)


def make_kernel_features(inputs: Any) -> Any:
    """Return random Fourier features of inputs, for a Gaussian kernel [1]_.

    Parameters
    ----------
    inputs : ndarray or OwnRows of shape (n_rows, n_inputs)
        Finite. Columns of larger variance count for more.

    Returns
    -------
    features : ndarray or OwnRows of shape (n_rows, 256), dtype float32
        Their inner products are about ``exp(-|x - x'|^2 / v)``, where `v` is the sum of the inputs'
        variances: half of the mean squared distance of two rows.

    References
    ----------
    .. [1] Rahimi, Recht, "Random Features for Large-Scale Kernel Machines", NeurIPS 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import make_kernel_features
    >>> features = make_kernel_features(np.array([[0.0], [0.0], [3.0]]))
    >>> (features @ features.T)[0].round(1)
    array([1. , 1. , 0.1], dtype=float32)
    """
    # Of unit mean square per column, as numbers of any size are; so v is the number of columns.
    rows = OwnRows.of(join_features([inputs]))
    sampler = RBFSampler(gamma=1.0 / rows.values.shape[1], n_components=N_KERNEL, random_state=0)
    return rows.replace(sampler.fit_transform(rows.values).astype(np.float32, copy=False))


def choose_features(
    features: Any, more: Any, codes: np.ndarray, n_classes: int, sample_weight: np.ndarray
) -> Any:
    """Return which of two sets of features labels are judged by.

    It is the second one if it predicts the labels of rows left out better than the first, by more
    than a standard error of the difference [1]_. Wrong labels are in the errors of both alike.

    Parameters
    ----------
    features, more : ndarray, torch.Tensor or OwnRows of shape (n_rows, n_features)
        The simpler ones first.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    n_classes : int
    sample_weight : ndarray of shape (n_rows,)

    Returns
    -------
    chosen : ndarray, torch.Tensor or OwnRows of shape (n_rows, n_features)

    References
    ----------
    .. [1] Breiman, Friedman, Olshen, Stone, "Classification and Regression Trees", 1984, section
       3.4.3: the rule of one standard error, here of paired errors.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import choose_features
    >>> useless, codes = np.tile([[-1.0], [1.0]], (4, 1)), np.repeat([0, 1], 4)
    >>> useful = np.repeat([[-1.0], [1.0]], 4, axis=0)
    >>> choose_features(useless, useful, codes, 2, np.ones(8)) is useful
    True
    """
    rows = OwnRows.of(features)
    w = sample_weight[rows.numbers] / sample_weight.sum()
    gains = -_get_errors(more, codes, n_classes, sample_weight)
    gains += _get_errors(features, codes, n_classes, sample_weight)
    mean = rows.add(w @ gains)
    variance = rows.add(np.square(w * (gains - mean)).sum())
    return more if mean > np.sqrt(variance) else features


def _get_errors(
    features: Any, codes: np.ndarray, n_classes: int, sample_weight: np.ndarray
) -> np.ndarray:
    """Return the squared errors of the own rows' leave-one-out predictions."""
    features = narrow_features(features)
    rows = OwnRows.of(features)
    own, errors = codes[rows.numbers], np.empty(len(rows))
    for part, found in predict_in_parts(features, codes, n_classes, sample_weight):
        found[np.arange(len(found)), own[part]] -= 1.0
        errors[part] = np.square(found).sum(axis=1)
    return errors
