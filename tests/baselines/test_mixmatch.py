"""The parts of DivideMix, against NumPy and scikit-learn."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from crust_sklearn.baselines.parts.loss_mixture import get_clean_probability
from crust_sklearn.baselines.parts.mixmatch import (
    average_views,
    concatenate,
    get_negative_entropy,
    get_prior_penalty,
    get_unlabelled_loss,
    refine,
    sharpen,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 3)).astype(np.float32) * 2
P = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def get_losses(n_small=80, n_large=40):
    return np.r_[RNG.gamma(1.0, 0.2, n_small), RNG.normal(5.0, 1.0, n_large)]


# The mixture of losses ---------------------------------------------------------------------------


def test_probability_is_the_posterior_of_the_smaller_component():
    losses = get_losses()
    scaled = ((losses - losses.min()) / (losses.max() - losses.min())).reshape(-1, 1)
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=7).fit(scaled)
    expected = mixture.predict_proba(scaled)[:, mixture.means_.argmin()]
    found = get_clean_probability(losses, None, 7)
    np.testing.assert_allclose(found, expected)
    assert found[:80].min() > 0.9
    assert found[80:].max() < 0.1


def test_unit_of_the_losses_does_not_matter():
    losses = get_losses()
    np.testing.assert_allclose(
        get_clean_probability(1000 * losses + 3, None, 0),
        get_clean_probability(losses, None, 0),
        atol=1e-6,
    )


@pytest.mark.parametrize("losses", [[0.3], [0.1 + 0.2, 0.3, 0.3], [0.0] * 5])
def test_losses_that_do_not_differ_keep_all_labels(losses):
    assert get_clean_probability(np.array(losses), None, 0).tolist() == [1.0] * len(losses)


@pytest.mark.parametrize("losses", [[0.0, 1.0], [2.0, 2.0, 9.0], [1e-9, 0.0, 0.0], [1e6, 1.0, 1.0]])
def test_two_values_are_told_apart_without_a_warning(losses):
    losses = np.array(losses)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = get_clean_probability(losses, None, 0)
    np.testing.assert_allclose(found, losses == losses.min(), atol=1e-3)


def test_rows_left_out_have_no_say():
    losses, is_fitted = get_losses(), np.arange(120) % 4 > 0
    other = np.where(is_fitted, losses, 1e3)
    expected = get_clean_probability(losses[is_fitted], None, 0)
    for given in (losses, other):
        found = get_clean_probability(given, is_fitted, 0)
        np.testing.assert_allclose(found[is_fitted], expected)
        assert np.isfinite(found).all()


# Targets and losses ------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0])
def test_sharpened(temperature):
    power = P ** (1 / temperature)
    expected = power / power.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(sharpen(torch.as_tensor(P), temperature), expected, rtol=1e-4)


def test_what_is_certain_stays_certain():
    p = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    assert torch.equal(sharpen(p, 0.5), p)
    assert sharpen(p, 1e-3).isfinite().all()


def test_refined_labels():
    codes, w = np.array([0, 1, 2, 0, 1, 2]), np.array([0.0, 1.0, 0.25, 0.5, 0.9, 0.6])
    expected = w[:, None] * np.eye(3)[codes] + (1 - w[:, None]) * P
    found = refine(*map(torch.as_tensor, (codes, P, w)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_views_are_averaged_by_row():
    p = torch.as_tensor(P)
    expected = [(P[i] + P[i + 2] + P[i + 4]) / 3 for i in range(2)]
    np.testing.assert_allclose(average_views(p, 3), expected, rtol=1e-6)
    assert torch.equal(average_views(p, 1), p)


def test_batches_of_any_form_are_joined():
    a, b = torch.zeros(2, 3), torch.ones(1, 3)
    joined = concatenate([{"x": a, "more": [a, b]}, {"x": b, "more": [b, a]}])
    assert joined["x"][:, 0].tolist() == [0, 0, 1]
    assert [part[:, 0].tolist() for part in joined["more"]] == [[0, 0, 1], [1, 0, 0]]


def test_unlabelled_loss_is_the_mean_over_rows_and_classes():
    targets = np.roll(P, 1, axis=0)
    found = get_unlabelled_loss(torch.as_tensor(LOGITS), torch.as_tensor(targets))
    assert found.item() == pytest.approx(np.mean((P - targets) ** 2), rel=1e-5)
    assert get_unlabelled_loss(torch.zeros(0, 3), torch.zeros(0, 3)).item() == 0


def test_prior_penalty():
    mean = P.mean(axis=0)
    found = get_prior_penalty(torch.as_tensor(LOGITS))
    assert found.item() == pytest.approx(np.sum(np.log(1 / 3 / mean) / 3), rel=1e-5)
    assert get_prior_penalty(torch.zeros(4, 3)).item() == pytest.approx(0, abs=1e-6)
    sure = torch.tensor([[500.0, 0.0, 0.0]], requires_grad=True)
    penalty = get_prior_penalty(sure)
    penalty.backward()
    assert penalty.isfinite()
    assert sure.grad.isfinite().all()


def test_negative_entropy():
    weight = np.array([1, 2, 0, 1, 1, 1], np.float32)
    expected = np.mean(weight * np.sum(P * np.log(P), axis=1))
    found = get_negative_entropy(torch.as_tensor(LOGITS), torch.as_tensor(weight))
    assert found.item() == pytest.approx(expected, rel=1e-5)
