"""Bootstrapping, against its equations, and where its gradient flows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from crust_sklearn.losses import BootstrappingLoss

Z = 2 * torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(20) % 5
P, Q = Z.softmax(1).numpy(), np.eye(5)[Y]
TARGETS = {"soft": P, "hard": np.eye(5)[P.argmax(axis=1)]}


@pytest.mark.parametrize("kind", TARGETS)
@given(beta=st.floats(0, 1))
def test_is_the_papers_equation(kind, beta):
    expected = -((beta * Q + (1 - beta) * TARGETS[kind]) * np.log(P)).sum(axis=1)
    found = BootstrappingLoss(kind, beta, reduction="none")(Z, Y).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(("kind", "beta"), [("soft", 0.95), ("hard", 0.8)])
def test_beta_is_by_default_the_papers(kind, beta):
    assert BootstrappingLoss(kind).beta == beta
    torch.testing.assert_close(BootstrappingLoss(kind)(Z, Y), BootstrappingLoss(kind, beta)(Z, Y))


@pytest.mark.parametrize("kind", TARGETS)
def test_one_is_cross_entropy(kind):
    found = BootstrappingLoss(kind, 1.0)(Z, Y)
    torch.testing.assert_close(found, nn.functional.cross_entropy(Z, Y))


def gradient(kind, beta):
    z = Z.clone().requires_grad_()
    BootstrappingLoss(kind, beta, reduction="sum")(z, Y).backward()
    return z.grad.numpy()


def test_the_soft_form_is_differentiated_through_its_target():
    entropy = -(P * np.log(P)).sum(axis=1, keepdims=True)
    expected = 0.6 * (P - Q) + 0.4 * -P * (np.log(P) + entropy)
    np.testing.assert_allclose(gradient("soft", 0.6), expected, atol=1e-12)


def test_the_hard_form_is_cross_entropy_of_a_fixed_target():
    expected = P - (0.6 * Q + 0.4 * TARGETS["hard"])
    np.testing.assert_allclose(gradient("hard", 0.6), expected, atol=1e-12)


@pytest.mark.parametrize("params", [{"kind": "medium"}, {"beta": -0.1}, {"beta": 1.1}])
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        BootstrappingLoss(**params)
