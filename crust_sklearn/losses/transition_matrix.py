"""Transition matrices as parameters of criteria: what they must be, and the tensors of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

# float32 matrices, and estimates that were printed and typed in again, stay inside.
_SUM_TOLERANCE = 1e-4


def check_transition_matrix(transition_matrix: Any) -> np.ndarray:
    """Return a row-stochastic matrix of shape (n_classes, n_classes) as float64, or raise.

    Parameters
    ----------
    transition_matrix : array-like or tensor

    Raises
    ------
    ValueError
        If it is not a square matrix of probabilities whose rows sum to one.
    """
    if torch.is_tensor(transition_matrix):
        transition_matrix = transition_matrix.detach().cpu().double().numpy()
    try:
        matrix = np.array(transition_matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"transition_matrix must hold numbers, in rows of equal length: {error}"
        ) from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(
            f"transition_matrix.shape == {matrix.shape}, expected (n_classes, n_classes): a row "
            "for each true class, a column for each given one."
        )
    if not np.isfinite(matrix).all():
        raise ValueError(
            "transition_matrix contains NaN or infinity. Give for each true class (row) the "
            "probabilities of the given ones (columns)."
        )
    sums = matrix.sum(axis=1)
    is_off = np.abs(sums - 1) > _SUM_TOLERANCE
    if is_off.any():
        by_column = (np.abs(matrix.sum(axis=0) - 1) <= _SUM_TOLERANCE).all()
        hint = " Its columns do: transpose it." if by_column else ""
        raise ValueError(
            f"The rows of transition_matrix must sum to 1; row {is_off.argmax()} sums to "
            f"{sums[is_off.argmax()]:.6g}.{hint}"
        )
    if (matrix < 0).any() or (matrix > 1).any():
        raise ValueError(
            f"transition_matrix must have entries from 0 to 1; they go from {matrix.min():.6g} to "
            f"{matrix.max():.6g}. Give for each true class (row) the probabilities of the given "
            "ones (columns)."
        )
    return matrix


def check_labels_occur(matrix: np.ndarray) -> None:
    """Refuse a label that no true class is given."""
    never = np.flatnonzero(matrix.max(axis=0) == 0)
    if len(never):
        raise ValueError(
            f"By transition_matrix no class is ever given the label of column {never[0]}, and the "
            "loss of a row with it would be infinite. Give it a positive probability, as "
            "0.99 * T + 0.01 * np.eye(len(T)) does, or leave the class out."
        )


def make_buffer(matrix: np.ndarray, given: Any) -> Tensor:
    """Return a matrix as a tensor: of the dtype and on the device of `given`, if it has any.

    Anything but a tensor of floats gives torch's default dtype: not every device has float64,
    which NumPy's arrays are of.
    """
    if torch.is_tensor(given) and given.is_floating_point():
        return torch.as_tensor(matrix, dtype=given.dtype, device=given.device)
    return torch.as_tensor(matrix, dtype=torch.get_default_dtype())


def check_columns(logits: Tensor, n_classes: int) -> None:
    """Refuse logits of another number of columns than the matrix has classes."""
    if logits.ndim != 2 or logits.shape[1] != n_classes:
        raise ValueError(
            f"transition_matrix is for {n_classes} classes, and the logits have shape "
            f"{tuple(logits.shape)}: they need one column for each. Give a matrix with a row and "
            "a column for each class, or set the module's number of outputs."
        )
