"""Generalized cross-entropy, against its equation and its two ends."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from torch import nn

from crust_sklearn import NoisyLabelClassifier
from crust_sklearn.losses import GeneralizedCrossEntropyLoss
from crust_sklearn.modules import MLP

Z = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(20) % 5


@given(st.floats(0.01, 1.0))
def test_is_the_papers_equation(q):
    p = Z.softmax(1).numpy()[np.arange(20), Y.numpy()]
    found = GeneralizedCrossEntropyLoss(q, reduction="none")(Z, Y).numpy()
    np.testing.assert_allclose(found, (1 - p**q) / q, rtol=1e-9)


def test_tends_to_cross_entropy():
    found = GeneralizedCrossEntropyLoss(1e-7)(Z, Y)
    torch.testing.assert_close(found, nn.functional.cross_entropy(Z, Y), rtol=1e-6, atol=0)


def test_one_is_half_the_absolute_error():
    one_hot = nn.functional.one_hot(Y, 5)
    expected = (Z.softmax(1) - one_hot).abs().sum(1).mean() / 2
    torch.testing.assert_close(GeneralizedCrossEntropyLoss(1.0)(Z, Y), expected)


def test_reductions():
    losses = GeneralizedCrossEntropyLoss(reduction="none")(Z, Y)
    torch.testing.assert_close(GeneralizedCrossEntropyLoss(reduction="sum")(Z, Y), losses.sum())
    torch.testing.assert_close(GeneralizedCrossEntropyLoss()(Z, Y), losses.mean())


def test_gradients_are_those_of_finite_differences():
    z = Z.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: GeneralizedCrossEntropyLoss()(z, Y), z)


def test_gradient_is_finite_where_the_label_is_impossible():
    z = torch.tensor([[200.0, -200.0]], requires_grad=True)
    GeneralizedCrossEntropyLoss()(z, torch.tensor([1])).backward()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("params", [{"q": 0.0}, {"q": 1.5}, {"reduction": "median"}])
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        GeneralizedCrossEntropyLoss(**params)


def test_a_net_with_it_gives_probabilities():
    X, y = load_iris(return_X_y=True)
    options = {"module__hidden_sizes": (8,), "max_epochs": 2, "verbose": 0}
    net = NoisyLabelClassifier(MLP, criterion=GeneralizedCrossEntropyLoss, **options).fit(X, y)
    np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
