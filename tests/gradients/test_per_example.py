"""One loss for each example: criteria that are shared stay as they are."""

import numpy as np
import pytest
import torch
from torch import nn

from crust_sklearn.gradients import check_losses, make_unreduced

LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 2, 1, 0])


class Wrapped:
    """As much of a criterion that went through torch.compile as is needed."""

    def __init__(self, criterion):
        self._orig_mod = criterion


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_copy_does_not_reduce_and_the_criterion_stays_as_it_was(reduction):
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    copy = make_unreduced(criterion)
    expected = nn.functional.cross_entropy(LOGITS, Y, reduction="none")
    assert torch.equal(copy(LOGITS, Y), expected)
    assert copy is not criterion
    assert criterion.reduction == reduction
    assert criterion(LOGITS, Y).shape == (() if reduction != "none" else (4,))


def test_parameters_and_buffers_are_shared_with_the_copy():
    class Scaled(nn.CrossEntropyLoss):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, logits, y):
            return super().forward(self.scale * logits, y)

    criterion = Scaled(weight=torch.tensor([1.0, 2.0, 3.0]))
    copy = make_unreduced(criterion)
    assert copy.scale is criterion.scale
    assert copy.weight is criterion.weight
    copy(LOGITS, Y).sum().backward()
    assert criterion.scale.grad is not None


def test_a_compiled_criterion_is_unwrapped():
    criterion = nn.CrossEntropyLoss()
    copy = make_unreduced(Wrapped(criterion))
    assert type(copy) is nn.CrossEntropyLoss
    assert (copy.reduction, criterion.reduction) == ("none", "mean")


@pytest.mark.parametrize("criterion", [lambda output, y: output, nn.Identity()])
def test_a_criterion_without_reduction_is_itself(criterion):
    assert make_unreduced(criterion) is criterion
    assert not hasattr(criterion, "reduction")


def test_losses_are_one_number_for_each_example():
    losses = torch.arange(6.0)
    assert check_losses(losses, 6, None) is losses
    np.testing.assert_allclose(check_losses(losses.reshape(3, 2), 3, None), [0.5, 2.5, 4.5])


@pytest.mark.parametrize("losses", [torch.tensor(15.0), torch.arange(6.0)], ids=["sum", "six"])
def test_losses_of_another_number_are_refused(losses):
    with pytest.raises(
        ValueError, match="criterion=MultiMarginLoss gives no loss per example.*`reduction`"
    ):
        check_losses(losses, 5, nn.MultiMarginLoss())
