"""Forward correction: predictions taken through the noise before they are compared with labels."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ._reduction import check_reduction, reduce_losses
from .transition_matrix import (
    check_columns,
    check_labels_occur,
    check_transition_matrix,
    make_buffer,
)


# By its base, skorch knows that outputs are logits: predict_proba takes their softmax.
class ForwardCorrectedLoss(nn.CrossEntropyLoss):
    r"""Cross-entropy of the given labels that the predicted classes would bring about.

    With p the softmax of the logits, y the given label and T the probabilities
    :math:`T_{jk} = P(\text{given } k \mid \text{true } j)`,

    .. math::

        -\log \, (T^\top p)_y = -\log \sum_j T_{jy} p_j.

    Labels that are wrong by T, if T is invertible, have the same minimizer p, over all functions,
    as right labels have by cross-entropy [1]_ (Theorem 2): p is the probability of the true class,
    and so is ``predict_proba``.

    Parameters
    ----------
    transition_matrix : array-like or tensor of shape (n_classes, n_classes)
        T: a row for each true class, a column for each given one, in the order of the logits'
        columns. Rows sum to one, within 1e-4. See
        :func:`~crust_sklearn.metrics.estimate_transition_matrix`.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in torch's own criteria.

    Attributes
    ----------
    transition_matrix : tensor of shape (n_classes, n_classes)
        A buffer: it moves with the criterion, and is part of its ``state_dict``. Of the dtype of
        the tensor given, or else torch's default dtype; forward brings it to that of the logits.

    Raises
    ------
    ValueError
        If `transition_matrix` does not hold probabilities, or has a column of zeros: the loss of a
        row with that label would be infinite. In forward, if the logits have another number of
        columns than it has.

    Notes
    -----
    The sum is taken of logarithms, so that loss and gradient are finite also where p underflows,
    or T has zeros. The authors' code takes the logarithm of the sum, of p clipped to [1e-7,
    1 - 1e-7]: probabilities at these ends have no gradient there.

    The cost is that of cross-entropy; the logarithm of T is taken for each batch.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a
       Loss Correction Approach", CVPR 2017, Theorem 2.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.losses import ForwardCorrectedLoss
    >>> criterion = ForwardCorrectedLoss([[0.75, 0.25], [0.0, 1.0]])
    >>> z = torch.tensor([[100.0, 0.0]])  # surely class 0, of which a quarter is labelled 1
    >>> round(criterion(z, torch.tensor([1])).exp().item(), 3)
    4.0

    In a net: ``NeuralNetClassifier(module, criterion=ForwardCorrectedLoss,
    criterion__transition_matrix=T)``.
    """

    transition_matrix: Tensor

    def __init__(self, transition_matrix: Any, reduction: str = "mean"):
        super().__init__(reduction=check_reduction(reduction))
        matrix = check_transition_matrix(transition_matrix)
        check_labels_occur(matrix)
        self.register_buffer("transition_matrix", make_buffer(matrix, transition_matrix))

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
        check_columns(input, len(self.transition_matrix))
        log_given = self.transition_matrix.to(input.dtype).log().T[target]
        losses = -(input.log_softmax(dim=1) + log_given).logsumexp(dim=1)
        return reduce_losses(losses, self.reduction)
