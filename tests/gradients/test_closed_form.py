"""The closed form of the gradient at the logits, against autograd on each example alone."""

import pytest
import torch
from torch import nn

from crust_sklearn.gradients import cross_entropy_gradient

N, C = 9, 3
LOGITS = 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(N) % C
WEIGHT = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)

CROSS_ENTROPIES = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "class weights": {"weight": WEIGHT},
    "smoothing": {"label_smoothing": 0.3},
    "both": {"weight": WEIGHT, "label_smoothing": 0.3},
    "ignored class": {"ignore_index": 1},
    "ignored class and smoothing": {"ignore_index": 1, "label_smoothing": 0.3},
}


def by_autograd(get_loss):
    """Return the gradients at the logits, one backward pass per example."""
    rows = []
    for i in range(N):
        z = LOGITS[i : i + 1].clone().requires_grad_()
        get_loss(z, Y[i : i + 1]).backward()
        rows.append(z.grad[0])
    return torch.stack(rows)


@pytest.mark.parametrize("options", CROSS_ENTROPIES.values(), ids=CROSS_ENTROPIES)
def test_of_cross_entropy(options):
    alone = nn.CrossEntropyLoss(**options | {"reduction": "sum"})
    found = cross_entropy_gradient(nn.CrossEntropyLoss(**options), LOGITS, Y)
    torch.testing.assert_close(found, by_autograd(alone))


@pytest.mark.parametrize("options", [{}, {"weight": WEIGHT}, {"ignore_index": 2}], ids=str)
def test_of_the_likelihood_of_probabilities_of_which_skorch_takes_the_logarithm(options):
    alone = nn.NLLLoss(**options | {"reduction": "sum"})
    found = cross_entropy_gradient(nn.NLLLoss(**options), LOGITS.softmax(dim=1), Y)
    expected = by_autograd(lambda z, y: alone(z.softmax(dim=1).log(), y))
    torch.testing.assert_close(found, expected)


def test_of_a_compiled_criterion():
    class Wrapped(nn.Module):
        def __init__(self, criterion):
            super().__init__()
            self._orig_mod = criterion

    found = cross_entropy_gradient(Wrapped(nn.CrossEntropyLoss()), LOGITS, Y)
    assert torch.equal(found, cross_entropy_gradient(nn.CrossEntropyLoss(), LOGITS, Y))


class Sharper(nn.CrossEntropyLoss):
    def forward(self, output, y):
        return super().forward(2 * output, y)


@pytest.mark.parametrize("criterion", [Sharper(), nn.MultiMarginLoss(), None], ids=str)
def test_there_is_none_of_a_subclass_or_of_another_criterion(criterion):
    assert cross_entropy_gradient(criterion, LOGITS, Y) is None
