"""The determinant of labels and predictions as a loss, of a batch as a whole."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .._validation import check_choice, check_number


# By its base, skorch knows that outputs are logits: predict_proba takes their softmax.
class DMILoss(nn.CrossEntropyLoss):
    r"""Minus the logarithm of the determinant of labels and predictions of a batch.

    With Y the one-hot labels and P the softmax of the logits of the n rows of a batch, w their
    weights, and C classes,

    .. math::

        -\log \bigl(|\det U| + \epsilon\bigr), \qquad U = Y^\top \mathrm{diag}(w) \, P.

    U / n is the joint distribution of given label and predicted class. Labels that are wrong with
    probabilities T multiply its determinant by :math:`|\det T|`, whatever the predictions: up to a
    constant, and to epsilon, the expected U has the loss that it has by right labels [1]_.

    Parameters
    ----------
    epsilon : float, default=0.001
        Positive. Keeps the loss finite where U is singular; the authors' code has this value. On
        the scale of the determinant of U, in rows to the power of C.
    reduction : {"mean", "sum"}, default="mean"
        Both are the same, a batch has one loss. "none" is refused, as no example has a loss of its
        own.

    Raises
    ------
    ValueError
        If a parameter is not valid. In forward, if the batch has fewer rows than there are
        classes, if `reduction` has been set to "none" (by a method that asks for one loss per
        example, or has weights or mixtures), or `weight` is not one number for each row.

    Notes
    -----
    U is not divided by n, as in the authors' code, and unlike in the paper, whose loss has no
    epsilon and is :math:`C \log n` larger. Divided, the determinant would be at most
    :math:`C^{-C}`, 1e-10 for ten classes, and an epsilon of 0.001 would hide it. The authors' code
    takes the determinant and then its logarithm; here it is the logarithm from the start, of U with
    its columns scaled to sum to one, so that value and gradient do not overflow where classes are
    many, or one is never predicted.

    Where U is singular, to within rounding, the loss is :math:`-\log \epsilon` and its gradient
    zero. So a batch in which a class is missing teaches nothing: take batches of several times as
    many rows as there are classes. Near singular matrices the gradient is finite, and large.

    The loss does not know which output means which class: exchanging two does not change it. And
    while predictions are much the same for all classes, the determinant is far below epsilon, and
    the gradient nearly zero. So train by cross-entropy first (CIFAR-10 in the authors' code: 120
    epochs), then by this loss with a small learning rate (there: SGD, 1e-6, batches of 256, none
    of them partial).

    A method that chooses rows by other means, as `CRUSTClassifier` does by default, trains by the
    determinant of the chosen ones.

    The cost on top of cross-entropy is that of two factorizations of U for each batch.

    References
    ----------
    .. [1] Xu, Cao, Kong, Wang, "L_DMI: A Novel Information-theoretic Loss Function for Training
       Deep Nets Robust to Label Noise", NeurIPS 2019, section 3.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.losses import DMILoss
    >>> y = torch.tensor([0, 0, 1, 1])
    >>> z = 100.0 * torch.nn.functional.one_hot(y)  # U = [[2, 0], [0, 2]]
    >>> round(DMILoss()(z, y).neg().exp().item(), 3)
    4.001

    In a net: ``NeuralNetClassifier(module, criterion=DMILoss, batch_size=256,
    iterator_train__drop_last=True)``.
    """

    def __init__(self, epsilon: float = 0.001, reduction: str = "mean"):
        super().__init__(reduction=_check_reduction(reduction))
        self.epsilon = check_number("epsilon", epsilon, low=0, open_low=True)

    def forward(self, input: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        input : tensor of shape (n_examples, n_classes)
            Logits.
        target : tensor of shape (n_examples,), dtype int64
            Labels as columns.
        weight : tensor of shape (n_examples,), default=None
            What each row counts, at least 0. None counts every row once; weights of mean one keep
            the scale of epsilon.

        Returns
        -------
        loss : tensor of shape ()
        """
        _check_reduction(self.reduction)
        _check_batch(input, weight)
        joint, log_scale = _count_jointly(input, target, weight)
        log_epsilon = joint.new_tensor(math.log(self.epsilon))
        is_singular = _is_singular(_get_pivots(joint.detach()))
        # The derivative there is not finite, and would be NaN times zero.
        regular = torch.where(is_singular, torch.eye(len(joint)).to(joint), joint)
        log_det = _get_pivots(regular).log().sum() + log_scale
        return -torch.where(is_singular, log_epsilon, torch.logaddexp(log_det, log_epsilon))


def _count_jointly(logits: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return U with scaled columns, and the logarithm of what that takes from the determinant.

    Of a class that is never predicted, the column of U itself may underflow, or its inverse
    overflow. Scaled, that column is a softmax over the rows of the batch.
    """
    # There are no factorizations of shorter floats.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    log_p = logits.log_softmax(dim=1)
    shares = log_p.softmax(dim=0)
    if weight is not None:
        shares = shares * weight.to(shares)[:, None]
    n_classes = logits.shape[1]
    # No product of matrices, which autocast would round to shorter floats.
    joint = shares.new_zeros(n_classes, n_classes).index_add(0, target, shares)
    return joint, log_p.logsumexp(dim=0).sum()


def _get_pivots(matrix: Tensor) -> Tensor:
    """Return the absolute values of which the determinant is the product, up to its sign."""
    # Not slogdet: its pivots are others than those that can be looked at.
    return torch.linalg.lu_factor_ex(matrix).LU.diagonal().abs()


def _is_singular(pivots: Tensor) -> Tensor:
    """Return whether a pivot is nothing but rounding, as a tensor: no wait for the device."""
    # Not `<=`: a pivot too small to divide by leaves NaN.
    return ~(pivots.min() > torch.finfo(pivots.dtype).eps * pivots.max())


def _check_reduction(reduction: str) -> str:
    if reduction == "none":
        raise ValueError(
            "DMILoss has no loss per example, reduction='none': its loss is one of the batch as a "
            "whole. Use it with nets that need no more, NeuralNetClassifier or "
            "NoisyLabelClassifier without sample weights and mixtures; give methods that weigh or "
            "mix rows, or choose them by losses or gradients, another criterion, such as "
            "CrossEntropyLoss."
        )
    return check_choice("reduction", reduction, ("mean", "sum"))


def _check_batch(logits: Tensor, weight: Tensor | None) -> None:
    n_rows, n_classes = logits.shape
    if n_rows < n_classes:
        raise ValueError(
            f"DMILoss needs batches of at least as many rows as there are classes, {n_classes}; "
            f"got a batch of {n_rows}, whose determinant is zero. Set a larger batch_size, several "
            "times the number of classes; if it is the last batch that is small, set "
            "iterator_train__drop_last=True (for a validation split: iterator_valid__drop_last)."
        )
    if weight is not None and weight.shape != (n_rows,):
        raise ValueError(
            f"weight.shape == {tuple(weight.shape)}, expected ({n_rows},): one weight per row."
        )
