"""Generalized cross-entropy: between cross-entropy and the mean absolute error."""

from __future__ import annotations

from torch import Tensor, nn

from .._validation import check_number
from ._reduction import check_reduction, reduce_losses


# By its base, skorch knows that outputs are logits: predict_proba takes their softmax.
class GeneralizedCrossEntropyLoss(nn.CrossEntropyLoss):
    """Generalized cross-entropy of logits, ``(1 - p_y^q) / q``.

    Parameters
    ----------
    q : float, default=0.7
        In (0, 1]. Towards 0 it is cross-entropy, which learns fast and memorizes; at 1 the mean
        absolute error (up to a factor), which is robust and learns slowly [1]_ (Eq. 6).
    reduction : {"mean", "sum", "none"}, default="mean"
        As in torch's own criteria.

    References
    ----------
    .. [1] Zhang, Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with
       Noisy Labels", NeurIPS 2018. The truncated loss of their section 3.3 is not included.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.losses import GeneralizedCrossEntropyLoss
    >>> criterion = GeneralizedCrossEntropyLoss(q=1.0)
    >>> round(criterion(torch.zeros(1, 4), torch.tensor([2])).item(), 3)
    0.75

    In a net: ``CRUSTClassifier(module, criterion=GeneralizedCrossEntropyLoss, criterion__q=0.5)``.
    """

    def __init__(self, q: float = 0.7, reduction: str = "mean"):
        super().__init__(reduction=check_reduction(reduction))
        self.q = check_number("q", q, low=0, high=1, open_low=True)

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
        return reduce_losses(-(self.q * log_p).expm1() / self.q, self.reduction)
