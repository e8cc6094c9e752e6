"""Backward correction, against its equation, and the identity that it is made for."""

import numpy as np
import pytest
import torch
from torch import nn

from crust_sklearn.losses import BackwardCorrectedLoss

RNG = np.random.default_rng(0)
Z = 2 * torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(20) % 4
MATRICES = pytest.mark.parametrize(
    "matrix",
    [
        0.6 * np.eye(4) + 0.1,
        0.7 * np.eye(4) + 0.3 * np.roll(np.eye(4), 1, axis=1),
        RNG.dirichlet(np.ones(4), size=4),
    ],
    ids=["symmetric", "cyclic", "any"],
)


@MATRICES
def test_is_the_papers_equation(matrix):
    losses = -np.log(Z.softmax(1).numpy())
    expected = (losses @ np.linalg.inv(matrix).T)[np.arange(20), Y]
    found = BackwardCorrectedLoss(torch.as_tensor(matrix), reduction="none")(Z, Y)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@MATRICES
def test_expected_over_the_noise_it_is_the_loss_of_the_true_label(matrix):
    criterion = BackwardCorrectedLoss(torch.as_tensor(matrix), reduction="none")
    by_given = torch.stack([criterion(Z, torch.full_like(Y, k)) for k in range(4)], dim=1)
    expected = by_given.numpy() @ matrix.T  # over the given label, for each true one
    np.testing.assert_allclose(expected, -Z.log_softmax(1).numpy(), rtol=1e-8)


def test_the_identity_is_cross_entropy():
    found = BackwardCorrectedLoss(np.eye(4))(Z, Y)
    torch.testing.assert_close(found, nn.functional.cross_entropy(Z, Y))


@pytest.mark.parametrize("matrix", [np.full((3, 3), 1 / 3), [[0.5, 0.5], [0.5 + 1e-7, 0.5 - 1e-7]]])
def test_a_matrix_that_cannot_be_inverted(matrix):
    with pytest.raises(ValueError, match="transition_matrix.*condition.*ForwardCorrectedLoss"):
        BackwardCorrectedLoss(matrix)


def test_the_remedy_that_the_message_names():
    matrix = np.full((3, 3), 1 / 3)
    BackwardCorrectedLoss(0.9 * matrix + 0.1 * np.eye(3))
