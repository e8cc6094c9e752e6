"""Rows whose labels are known to be right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...label_noise import make_label_noise
from ...nets.training import Training

REMEDY = (
    "Give a boolean mask with one entry for each row of X, True where the label is known to be "
    "right, or the numbers of these rows."
)


class TrustedRowsMixin:
    """Let `fit` and `partial_fit` take rows whose labels are known to be right.

    Attributes
    ----------
    trusted_ : array-like or None
        As given to a call, until it is over.
    """

    trusted_: Any = None

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        trusted: Any = None,
        **fit_params: Any,
    ) -> Any:
        """Initialize the module, unless `warm_start`, and train it.

        Parameters
        ----------
        X, y, sample_weight
            As in `NoisyLabelClassifier`.
        trusted : array-like of bool of shape (n_samples,), or of int of shape (n_trusted,), \
                default=None
            The rows whose labels are known to be right, as a mask or by their numbers. Searches
            and cross-validations, with metadata routing (``set_fit_request(trusted=True)``) or
            without, can only divide a mask; numbers would be passed on as they are, and name other
            rows.
        **fit_params : dict
            Passed on to the module's forward and to `train_split`, as in skorch.

        Returns
        -------
        self : object
        """
        with self._trusting(trusted):
            return super().fit(  # type: ignore[misc]
                X, y, sample_weight, **fit_params
            )

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        trusted: Any = None,
        **fit_params: Any,
    ) -> Any:
        """Train on, for `max_epochs` more epochs.

        With the same rows, labels and `trusted` as in the call before, what was learnt from these
        stays as it is.

        Parameters
        ----------
        X, y, classes, sample_weight
            As in `NoisyLabelClassifier`.
        trusted, **fit_params
            As in `fit`.

        Returns
        -------
        self : object
        """
        if fit_params.get("_routing_method") == "fit":  # within fit
            return super().partial_fit(  # type: ignore[misc]
                X, y, classes, sample_weight, **fit_params
            )
        with self._trusting(trusted):
            return super().partial_fit(  # type: ignore[misc]
                X, y, classes, sample_weight, **fit_params
            )

    @contextmanager
    def _trusting(self, trusted: Any) -> Iterator[None]:
        """Hold what a call says of its rows, until it is over."""
        self.trusted_ = trusted
        try:
            yield
        finally:
            self.__dict__.pop("trusted_", None)


def check_trusted(trusted: Any, training: Training) -> np.ndarray:
    """Return which training rows have a label that is known to be right.

    Parameters
    ----------
    trusted : array-like of bool of shape (n_rows,), or of int of shape (n_trusted,)
        A mask of the rows of X, or their numbers.
    training : Training

    Returns
    -------
    is_trusted : ndarray of shape (n_train,), dtype bool
        In the order of ``training.rows``; rows of weight zero are not among them.

    Raises
    ------
    ValueError
        If it is neither, or if the training rows among them are not of two classes at least.
    """
    assert training.codes is not None
    is_trusted = _read_mask(trusted, training.n_rows)[training.rows]
    if training.weights is not None:
        is_trusted &= training.weights > 0
    n_classes = len(np.unique(training.codes[is_trusted]))
    if n_classes < 2:
        raise ValueError(
            f"trusted names {np.count_nonzero(is_trusted)} training rows with a weight, of "
            f"{n_classes} classes: right and wrong labels can be told apart by rows of at least "
            "two classes. Trust more rows."
        )
    return is_trusted


def _read_mask(trusted: Any, n_rows: int) -> np.ndarray:
    if hasattr(trusted, "detach"):
        trusted = trusted.detach().cpu()
    given = np.asarray(trusted)
    if given.ndim != 1 or given.dtype.kind not in "biu":
        raise ValueError(f"trusted has shape {given.shape} and dtype {given.dtype}. {REMEDY}")
    if given.dtype.kind == "b":
        if len(given) != n_rows:
            raise ValueError(
                f"trusted is a mask of {len(given)} entries, and X has {n_rows} rows. {REMEDY}"
            )
        return given.copy()
    if len(given) and (given.min() < 0 or given.max() >= n_rows):
        raise ValueError(
            f"trusted names rows from {given.min()} to {given.max()}, and those of X are numbered "
            f"from 0 to {n_rows - 1}. {REMEDY}"
        )
    if len(np.unique(given)) < len(given):
        raise ValueError(
            "trusted names a row twice (is it a mask of zeros and ones? Make it one of bools). "
            f"{REMEDY}"
        )
    mask = np.zeros(n_rows, bool)
    mask[given] = True
    return mask


def corrupt_trusted(
    codes: np.ndarray, is_trusted: np.ndarray, rate: float, seed: int
) -> np.ndarray:
    """Return labels of which some of the trusted ones are made wrong, symmetrically.

    Parameters
    ----------
    codes : ndarray of shape (n_train,), dtype int64
    is_trusted : ndarray of shape (n_train,), dtype bool
        At least two rows.
    rate : float
        The share of the trusted rows that get wrong labels: at least one does, and one does not.
    seed : int

    Returns
    -------
    corrupted : ndarray of shape (n_train,), dtype int64
    """
    n_trusted = np.count_nonzero(is_trusted)
    rate = min(max(rate, 1 / n_trusted), 1 - 1 / n_trusted)
    corrupted = codes.copy()
    noisy = make_label_noise(codes[is_trusted], "symmetric", rate, random_state=seed)
    corrupted[is_trusted] = noisy.y
    return corrupted
