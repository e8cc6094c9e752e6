"""Forward correction, against its equation; with the true matrix it finds the clean posterior."""

import numpy as np
import pytest
import torch
from torch import nn

from crust_sklearn.losses import ForwardCorrectedLoss

RNG = np.random.default_rng(0)
Z = 2 * torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(20) % 4
# Zeros, and a class that is never labelled right.
T = np.array([[0.7, 0.3, 0, 0], [0, 0.6, 0.4, 0], [0.5, 0, 0, 0.5], [0.05, 0.05, 0.1, 0.8]])


@pytest.mark.parametrize("matrix", [T, RNG.dirichlet(np.ones(4), size=4)])
def test_is_the_papers_equation(matrix):
    expected = -np.log(Z.softmax(1).numpy() @ matrix)[np.arange(20), Y]
    found = ForwardCorrectedLoss(torch.as_tensor(matrix), reduction="none")(Z, Y)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_identity_is_cross_entropy():
    found = ForwardCorrectedLoss(np.eye(4))(Z, Y)
    torch.testing.assert_close(found, nn.functional.cross_entropy(Z, Y))


def test_a_label_that_the_predicted_class_never_has():
    # Class 0 never has label 2; class 1 has, and its probability, e^-800, is none of float32's.
    z = torch.tensor([[0.0, -800.0, -900.0, -1000.0]], requires_grad=True)
    loss = ForwardCorrectedLoss(T)(z, torch.tensor([2]))
    loss.backward()
    assert loss.item() == pytest.approx(800 - np.log(0.4), rel=1e-6)
    np.testing.assert_allclose(z.grad, [[1.0, -1.0, 0.0, 0.0]], atol=1e-6)


def fit(losses, weights):
    """Return the probabilities of a free table of logits that minimize the weighted losses."""
    n_inputs, n_classes = weights.shape
    z = torch.zeros(n_inputs, n_classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [z], max_iter=500, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    labels = torch.arange(n_classes).repeat(n_inputs)

    def closure():
        optimizer.zero_grad()
        loss = (losses(z.repeat_interleave(n_classes, dim=0), labels) * weights.flatten()).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return z.detach().softmax(dim=1).numpy()


def test_with_the_true_matrix_it_finds_the_clean_posterior():
    clean, share = RNG.dirichlet(np.ones(4), size=6), RNG.dirichlet(np.ones(6))
    noisy = clean @ T
    weights = torch.as_tensor(share[:, None] * noisy)
    found = fit(ForwardCorrectedLoss(torch.as_tensor(T), reduction="none"), weights)
    np.testing.assert_allclose(found, clean, atol=1e-4)
    plain = fit(nn.CrossEntropyLoss(reduction="none"), weights)
    np.testing.assert_allclose(plain, noisy, atol=1e-4)
    assert (plain.argmax(axis=1) != clean.argmax(axis=1)).any()


def test_a_label_that_is_never_given():
    with pytest.raises(ValueError, match="transition_matrix.*column 1.*infinite"):
        ForwardCorrectedLoss([[1.0, 0.0], [1.0, 0.0]])
