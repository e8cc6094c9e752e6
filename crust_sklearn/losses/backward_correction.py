"""Backward correction: losses taken back through the noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from ._reduction import check_reduction, reduce_losses
from .transition_matrix import check_columns, check_transition_matrix, make_buffer

# A loss is multiplied by up to this; beyond, its noise drowns whatever a data set can tell.
_MAX_CONDITION = 1e6


# By its base, skorch knows that outputs are logits: predict_proba takes their softmax.
class BackwardCorrectedLoss(nn.CrossEntropyLoss):
    r"""A combination of cross-entropies that is that of the true label in expectation.

    With p the softmax of the logits, y the given label and T the probabilities
    :math:`T_{jk} = P(\text{given } k \mid \text{true } j)`,

    .. math::

        \ell(y) = \sum_k (T^{-1})_{yk} \, (-\log p_k), \qquad
        \sum_k T_{jk} \, \ell(k) = -\log p_j.

    By the second equation, the expected loss of labels that are wrong by T is that of right ones,
    for every p [1]_ (Theorem 1).

    Parameters
    ----------
    transition_matrix : array-like or tensor of shape (n_classes, n_classes)
        T: a row for each true class, a column for each given one, in the order of the logits'
        columns. Rows sum to one, within 1e-4; invertible. See
        :func:`~crust_sklearn.metrics.estimate_transition_matrix`.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in torch's own criteria.

    Attributes
    ----------
    transition_matrix : tensor of shape (n_classes, n_classes)
    inverse : tensor of shape (n_classes, n_classes)
        Buffers: they move with the criterion, and are part of its ``state_dict``. Of the dtype of
        the tensor given, or else torch's default dtype; forward brings them to that of the logits.

    Raises
    ------
    ValueError
        If `transition_matrix` does not hold probabilities, or its condition number exceeds 1e6. In
        forward, if the logits have another number of columns than it has.

    Notes
    -----
    A loss may be negative, without bound: a network that is trained to the end can gain by
    becoming surer and surer of everything. The noisier T, the larger the entries of its inverse,
    and the more the loss of a batch varies. In [1]_ forward correction mostly does better.

    Loss and gradient are finite also where p underflows. The authors' code clips p to [1e-7,
    1 - 1e-7]: probabilities at these ends have no gradient there, and the loss is bounded.

    The cost is that of cross-entropy; T is inverted once.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a
       Loss Correction Approach", CVPR 2017, Theorem 1.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.losses import BackwardCorrectedLoss
    >>> T = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    >>> losses = BackwardCorrectedLoss(T, reduction="none")
    >>> z = torch.tensor([[1.0, 0.0]])
    >>> expected = T @ losses(z.expand(2, 2), torch.tensor([0, 1]))
    >>> torch.allclose(expected, -z.log_softmax(dim=1)[0])
    True

    In a net: ``NeuralNetClassifier(module, criterion=BackwardCorrectedLoss,
    criterion__transition_matrix=T)``.
    """

    transition_matrix: Tensor
    inverse: Tensor

    def __init__(self, transition_matrix: Any, reduction: str = "mean"):
        super().__init__(reduction=check_reduction(reduction))
        matrix = check_transition_matrix(transition_matrix)
        _check_invertible(matrix)
        self.register_buffer("transition_matrix", make_buffer(matrix, transition_matrix))
        self.register_buffer("inverse", make_buffer(np.linalg.inv(matrix), transition_matrix))

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        input : tensor of shape (n_examples, n_classes)
            Logits.
        target : tensor of shape (n_examples,), dtype int64
            Labels as columns.

        Returns
        -------
        loss : tensor of shape (), or (n_examples,) without reduction
        """
        check_columns(input, len(self.inverse))
        weights = self.inverse.to(input.dtype)[target]
        return reduce_losses(-(weights * input.log_softmax(dim=1)).sum(dim=1), self.reduction)


def _check_invertible(matrix: np.ndarray) -> None:
    condition = np.linalg.cond(matrix)
    if not condition <= _MAX_CONDITION:
        raise ValueError(
            f"transition_matrix cannot be inverted: its condition number is {condition:.3g}, more "
            f"than {_MAX_CONDITION:.0e}, as the labels of some classes hardly differ. Use "
            "ForwardCorrectedLoss, which does not invert it, or bring the matrix nearer to the "
            "identity, as 0.9 * T + 0.1 * np.eye(len(T)) does."
        )
