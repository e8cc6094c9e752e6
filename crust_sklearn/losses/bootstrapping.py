"""Bootstrapping: labels mixed with what the network predicts."""

from __future__ import annotations

from torch import Tensor, nn

from .._validation import check_choice, check_number
from ._reduction import check_reduction, reduce_losses

# The paper's.
_BETAS = {"soft": 0.95, "hard": 0.8}


# By its base, skorch knows that outputs are logits: predict_proba takes their softmax.
class BootstrappingLoss(nn.CrossEntropyLoss):
    r"""Cross-entropy of logits against a mixture of the label and the prediction.

    With p the softmax of the logits and q the one-hot label,

    .. math::

        -\sum_k \bigl(\beta q_k + (1 - \beta) t_k\bigr) \log p_k,

    where t is the prediction: p itself (soft), or the one-hot class of largest p (hard) [1]_.

    Parameters
    ----------
    kind : {"soft", "hard"}, default="soft"
        Whether to mix in the predicted probabilities or the predicted class.
    beta : float or None, default=None
        How much of the label is kept, in [0, 1]; at 1 the loss is cross-entropy. None: 0.95 for
        "soft", 0.8 for "hard", the paper's.
    reduction : {"mean", "sum", "none"}, default="mean"
        As in torch's own criteria.

    Attributes
    ----------
    beta : float
        The one in use.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid.

    Notes
    -----
    The gradient of the soft form flows through its target, too, as in the paper: the second part
    is the entropy of p, weighted by 1 - beta, and minimizing it makes predictions sure. With a
    target that is held fixed, that part would have no gradient at all. The class of the hard form
    has none.

    Codes that accompany other papers clip p to at least 1e-7, so that rows with less have no
    gradient; here they have one.

    The cost is that of cross-entropy.

    References
    ----------
    .. [1] Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich, "Training Deep Neural Networks on Noisy
       Labels with Bootstrapping", ICLR 2015, workshop track, section 3.2.

    Examples
    --------
    A row that is predicted as class 0 and labelled as 1 costs less than by cross-entropy:

    >>> import torch
    >>> from crust_sklearn.losses import BootstrappingLoss
    >>> z, y = torch.tensor([[3.0, 0.0]]), torch.tensor([1])
    >>> [round(BootstrappingLoss("hard", beta=beta)(z, y).item(), 2) for beta in (1.0, 0.8)]
    [3.05, 2.45]

    In a net: ``CRUSTClassifier(module, criterion=BootstrappingLoss, criterion__kind="hard")``.
    """

    def __init__(self, kind: str = "soft", beta: float | None = None, reduction: str = "mean"):
        super().__init__(reduction=check_reduction(reduction))
        self.kind = check_choice("kind", kind, _BETAS)
        self.beta = _BETAS[kind] if beta is None else check_number("beta", beta, low=0, high=1)

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
        log_p = input.log_softmax(dim=1)
        given = log_p.gather(1, target[:, None]).squeeze(1)
        if self.kind == "soft":
            predicted = (log_p.exp() * log_p).sum(dim=1)
        else:
            predicted = log_p.max(dim=1).values
        return reduce_losses(-self.beta * given - (1 - self.beta) * predicted, self.reduction)
