"""The gradient of cross-entropy at the logits, in closed form."""

from __future__ import annotations

from torch import Tensor, nn


def cross_entropy_gradient(criterion: nn.Module, output: Tensor, y: Tensor) -> Tensor | None:
    """Return the gradient of each example's loss at the logits in closed form, p - y.

    Parameters
    ----------
    criterion : torch module
        ``CrossEntropyLoss`` of logits, with its class weights and label smoothing, or
        ``NLLLoss`` of probabilities, skorch's convention for it.
    output : tensor of shape (n_examples, n_classes)
    y : tensor of shape (n_examples,), dtype int64

    Returns
    -------
    gradient : tensor of shape (n_examples, n_classes), or None for any other criterion
    """
    criterion = getattr(criterion, "_orig_mod", criterion)
    if type(criterion) is nn.CrossEntropyLoss:
        probability, smoothing = output.softmax(dim=1), criterion.label_smoothing
    elif type(criterion) is nn.NLLLoss:
        probability, smoothing = output, 0.0
    else:
        return None
    n_classes = output.shape[1]
    target = nn.functional.one_hot(y, n_classes) * (1.0 - smoothing) + smoothing / n_classes
    if criterion.weight is not None:
        target = target * criterion.weight
    gradient = probability * target.sum(dim=1, keepdim=True) - target
    return gradient * (y != criterion.ignore_index).unsqueeze(1)
