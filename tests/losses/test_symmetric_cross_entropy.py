"""Symmetric cross-entropy, against its equation, and what makes its second term robust."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from crust_sklearn.losses import SymmetricCrossEntropyLoss

Z = 2 * torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(20) % 5


@given(st.floats(0, 10), st.floats(0, 10), st.floats(-10, -0.1))
def test_is_the_papers_equation(alpha, beta, log_zero):
    p, q = Z.softmax(1).numpy(), np.eye(5)[Y]
    log_q = np.where(q == 1, 0.0, log_zero)
    expected = alpha * -(q * np.log(p)).sum(1) + beta * -(p * log_q).sum(1)
    found = SymmetricCrossEntropyLoss(alpha, beta, log_zero, reduction="none")(Z, Y).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_the_defaults_are_those_of_cifar_10():
    p = Z.softmax(1).gather(1, Y[:, None]).squeeze(1)
    expected = (-0.1 * p.log() + 4 * (1 - p)).mean()
    torch.testing.assert_close(SymmetricCrossEntropyLoss()(Z, Y), expected)


def test_without_the_second_term_it_is_cross_entropy():
    found = SymmetricCrossEntropyLoss(alpha=1.0, beta=0.0)(Z, Y)
    torch.testing.assert_close(found, nn.functional.cross_entropy(Z, Y))


def test_the_second_term_sums_to_a_constant_over_the_labels():
    losses = SymmetricCrossEntropyLoss(alpha=0.0, log_zero=-3.0, reduction="none")
    total = sum(losses(Z, torch.full((20,), k)) for k in range(5))
    torch.testing.assert_close(total, torch.full_like(total, 3.0 * 4))


@pytest.mark.parametrize(
    "params",
    [{"alpha": -0.1}, {"beta": -1.0}, {"log_zero": 0.0}, {"log_zero": 4.0}, {"log_zero": -np.inf}],
)
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        SymmetricCrossEntropyLoss(**params)


@pytest.mark.parametrize("name", ["alpha", "beta", "log_zero"])
def test_parameters_that_are_no_numbers(name):
    with pytest.raises(TypeError, match=name):
        SymmetricCrossEntropyLoss(**{name: "0.1"})
