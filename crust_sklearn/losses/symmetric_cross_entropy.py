"""Symmetric cross-entropy: cross-entropy, and the same with its two arguments exchanged."""

from __future__ import annotations

import math

from torch import Tensor, nn

from .._validation import check_number
from ._reduction import check_reduction, reduce_losses


# By its base, skorch knows that outputs are logits: predict_proba takes their softmax.
class SymmetricCrossEntropyLoss(nn.CrossEntropyLoss):
    r"""Cross-entropy and reverse cross-entropy of logits, weighted.

    With p the softmax of the logits, q the one-hot label y, and A the value that log 0 is given,

    .. math::

        \alpha \Bigl(-\sum_k q_k \log p_k\Bigr) + \beta \Bigl(-\sum_k p_k \log q_k\Bigr)
        = -\alpha \log p_y - \beta A (1 - p_y).

    The first term learns fast and memorizes, the second is robust and learns slowly: over all
    labels it sums to a constant, so that labels that are wrong uniformly at random do not move its
    minimum [1]_.

    Parameters
    ----------
    alpha : float, default=0.1
        The weight of cross-entropy, at least 0. The paper's for CIFAR-10; it has 6 for CIFAR-100.
    beta : float, default=1.0
        The weight of reverse cross-entropy, at least 0. The paper's for CIFAR-10; it has 0.1 for
        CIFAR-100.
    log_zero : float, default=-4.0
        A, what stands for the logarithm of zero; negative and finite. The paper's. It only scales
        the second term.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in torch's own criteria.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of range, or no number.

    Notes
    -----
    The authors' code clips the label to at least 1e-4, whose natural logarithm is -9.2: there
    ``log_zero`` is -9.2, and not the paper's -4. It also clips p to at least 1e-7, so that the
    cross-entropy of a row with less has no gradient; here it has one.

    The cost is that of cross-entropy.

    References
    ----------
    .. [1] Wang, Ma, Chen, Luo, Yi, Bailey, "Symmetric Cross Entropy for Robust Learning with Noisy
       Labels", ICCV 2019, section 3.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.losses import SymmetricCrossEntropyLoss
    >>> criterion = SymmetricCrossEntropyLoss(alpha=0.0, beta=1.0)
    >>> criterion(torch.zeros(1, 4), torch.tensor([2])).item()  # 4 (1 - 1/4)
    3.0

    In a net: ``NeuralNetClassifier(module, criterion=SymmetricCrossEntropyLoss,
    criterion__alpha=6.0, criterion__beta=0.1)``.
    """

    def __init__(
        self,
        alpha: float = 0.1,
        beta: float = 1.0,
        log_zero: float = -4.0,
        reduction: str = "mean",
    ):
        super().__init__(reduction=check_reduction(reduction))
        self.alpha = check_number("alpha", alpha, low=0)
        self.beta = check_number("beta", beta, low=0)
        self.log_zero = _check_log_zero(log_zero)

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
        log_p = input.log_softmax(dim=1).gather(1, target[:, None]).squeeze(1)
        losses = self.beta * self.log_zero * log_p.expm1() - self.alpha * log_p
        return reduce_losses(losses, self.reduction)


def _check_log_zero(log_zero: float) -> float:
    check_number("log_zero", log_zero, low=-math.inf)
    if not -math.inf < log_zero < 0:
        raise ValueError(
            f"log_zero must be negative and finite; got {log_zero!r}. It stands for the logarithm "
            "of zero: give -4, say."
        )
    return log_zero
