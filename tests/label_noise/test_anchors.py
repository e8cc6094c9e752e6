"""What is asked of a label, read off the rows that are surely predicted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from crust_sklearn.label_noise import find_anchors, get_min_ratios
from crust_sklearn.label_noise.anchors import get_anchor_noise, get_inverse_temperature


@st.composite
def predicted_labels(draw):
    """Predictions, codes and weights, also with ties, classes never predicted, and weights of 0."""
    n_rows, n_classes = draw(st.integers(1, 60)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = draw(st.floats(0.1, 5.0)) * rng.standard_normal((n_rows, n_classes))
    if draw(st.booleans()):
        logits = np.round(logits)
    if draw(st.booleans()):
        logits[:, 0] -= 20.0
    weights = rng.integers(0, 3, n_rows).astype(float)
    weights[rng.integers(n_rows)] = 1.0
    return softmax(logits, axis=1), rng.integers(n_classes, size=n_rows), weights


# -- anchors ----------------------------------------------------------------------------------


def slow_anchors(predictions):
    """Class by class: the surer half, but ten if there are so many; of equal ones, the earlier."""
    rows = []
    for p in range(predictions.shape[1]):
        own = [i for i, row in enumerate(predictions.tolist()) if row.index(max(row)) == p]
        own.sort(key=lambda i: (-predictions[i, p], i))
        rows += own[: max(10, len(own) // 2)]
    return rows


@given(problem=predicted_labels())
@settings(max_examples=100, deadline=None)
def test_anchors_class_by_class(problem):
    predictions = problem[0]
    np.testing.assert_array_equal(find_anchors(predictions), slow_anchors(predictions))


@pytest.mark.parametrize("n_rows, n_anchors", [(3, 3), (10, 10), (12, 10), (21, 10), (22, 11)])
def test_how_many_rows_are_anchors(n_rows, n_anchors):
    sure = np.linspace(0.6, 0.9, n_rows)
    found = find_anchors(np.column_stack([1 - sure, sure]))
    np.testing.assert_array_equal(found, np.arange(n_rows)[::-1][:n_anchors])


@given(problem=predicted_labels())
@settings(max_examples=60, deadline=None)
def test_noise_of_the_anchors_row_by_row(problem):
    predictions, codes, weights = problem
    anchors = slow_anchors(predictions)
    wrong = sum(weights[i] for i in anchors if predictions[i].argmax() != codes[i])
    whole = sum(weights[i] for i in anchors)
    expected = wrong / whole if whole else 0.0
    assert get_anchor_noise(predictions, codes, weights) == pytest.approx(expected)


# -- ratios -----------------------------------------------------------------------------------


@given(problem=predicted_labels())
@settings(max_examples=100, deadline=None)
def test_ratios_entry_by_entry(problem):
    predictions, codes, weights = problem
    n_classes = predictions.shape[1]
    anchors = slow_anchors(predictions)
    power = 0.25 / max(1.0, get_inverse_temperature(predictions, codes, weights))
    found = get_min_ratios(predictions, codes, weights)
    for p in range(n_classes):
        of_class = [i for i in anchors if predictions[i].argmax() == p]
        for g in range(n_classes):
            wrong, right = (
                sum(weights[i] for i in of_class if codes[i] == code) + 0.5 for code in (g, p)
            )
            expected = min((wrong / right) ** power, 0.85) if of_class else 0.0
            assert found[p, g] == pytest.approx(1.0 if g == p else expected, abs=1e-12)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_ratios_follow_from_the_transitions(rate):
    # Predictions that are the true probabilities of the given labels are calibrated.
    rng = np.random.default_rng(0)
    transition = np.array([[1.0, 0, 0], [rate, 1 - rate, 0], [rate / 4, rate / 4, 1 - rate / 2]])
    true = np.repeat(range(3), 20_000)
    codes = (rng.random((len(true), 1)) > transition[true].cumsum(axis=1)[:, :2]).sum(axis=1)
    predictions = np.maximum(transition[true], 1e-4)
    predictions /= predictions.sum(axis=1, keepdims=True)
    ratios = get_min_ratios(predictions, codes, np.ones(len(codes)))
    shares = transition / transition.diagonal()[:, None]
    is_seen = (shares > 0) & (shares < 1)
    np.testing.assert_allclose(
        ratios[is_seen], np.minimum(shares[is_seen] ** 0.25, 0.85), rtol=0.03
    )
    assert ratios[shares == 0].max() < 0.2
    np.testing.assert_array_equal(ratios.diagonal(), 1.0)


def test_unsure_predictions_ask_for_more():
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=3000)
    right = rng.random(3000) < 0.9
    best = np.where(right, codes, (codes + 1) % 3)
    sure, unsure = (np.where(np.eye(3)[best] > 0, p, (1 - p) / 2) for p in (0.9, 0.5))
    weights = np.ones(3000)
    difference = get_min_ratios(unsure, codes, weights) - get_min_ratios(sure, codes, weights)
    assert (difference[~np.eye(3, dtype=bool)] > 0.05).all()


@given(problem=predicted_labels(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_classes_in_another_order_are_the_same_classes(problem, seed):
    predictions, codes, weights = problem
    # A tie for the best is broken by the order of the classes.
    predictions = predictions + 1e-6 * np.random.default_rng(seed).random(predictions.shape)
    order = np.random.default_rng(seed).permutation(predictions.shape[1])
    moved = np.empty_like(predictions)
    moved[:, order] = predictions
    ratios, other = (
        get_min_ratios(p, c, weights) for p, c in ((predictions, codes), (moved, order[codes]))
    )
    np.testing.assert_allclose(other[np.ix_(order, order)], ratios, atol=1e-4)


# -- calibration ------------------------------------------------------------------------------


@pytest.mark.parametrize("power, expected", [(1.0, 1.0), (0.5, 2.0), (0.25, 4.0), (3.0, 0.5)])
def test_the_power_that_makes_the_labels_likeliest(power, expected):
    # Labels drawn from the probabilities, of which a power is given. From 0.5 to 4.
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(3), 20_000)
    codes = (rng.random((20_000, 1)) > proba.cumsum(axis=1)[:, :2]).sum(axis=1)
    found = get_inverse_temperature(np.maximum(proba, 1e-9) ** power, codes, np.ones(20_000))
    assert found == pytest.approx(expected, rel=0.05)
