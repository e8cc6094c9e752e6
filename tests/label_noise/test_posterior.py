"""How probable it is that a label is right: Bayes' rule, and what it is given."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax

from crust_sklearn.label_noise import ClassPairs, calibration, get_label_posterior, posterior
from crust_sklearn.label_noise.anchors import get_transitions


@st.composite
def predicted_labels(draw, max_rows=80):
    """Predictions, codes and weights, also of classes without rows, and weights of zero."""
    n_rows, n_classes = draw(st.integers(2, max_rows)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    predictions = softmax(
        draw(st.floats(0.1, 5.0)) * rng.standard_normal((n_rows, n_classes)), axis=1
    )
    codes = rng.integers(draw(st.integers(1, n_classes)), size=n_rows)
    weights = rng.integers(0, 3, n_rows).astype(float)
    weights[rng.integers(n_rows)] = 1.0
    return predictions.astype(np.float32), codes, weights


def draw_labels(probabilities, seed=0):
    """One label for each row of probabilities."""
    draws = np.random.default_rng(seed).random((len(probabilities), 1))
    return (draws > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)


def make_predictions(n_rows, n_classes=3, seed=0):
    """Predictions that are sure for three of four rows, and may be anything for the others."""
    rng = np.random.default_rng(seed)
    predictions = rng.dirichlet(np.ones(n_classes), n_rows)
    is_sure = rng.random(n_rows) < 0.75
    best = rng.integers(n_classes, size=n_rows)
    predictions[is_sure] = 0.05 * predictions[is_sure] + 0.95 * np.eye(n_classes)[best[is_sure]]
    return predictions


@pytest.fixture
def minimized(monkeypatch):
    """The results of the minimizer, and what it was given; results put in before are returned."""
    found, given_losses, returned = [], [], []

    def run(loss, start, **options):
        given_losses.append(loss)
        result = (
            SimpleNamespace(x=returned.pop(0)) if returned else minimize(loss, start, **options)
        )
        found.append(result.x)
        return result

    monkeypatch.setattr(calibration, "minimize", run)
    return SimpleNamespace(found=found, losses=given_losses, returned=returned)


def to_pairs(matrix):
    """A matrix as numbers of pairs, all of them listed."""
    return ClassPairs(np.arange(matrix.size), matrix.ravel().copy(), np.zeros(len(matrix)))


TRANSITIONS = np.array([[0.8, 0.2, 0.0], [0.0, 0.9, 0.1], [0.3, 0.0, 0.7]])


# -- Bayes ------------------------------------------------------------------------------------


def slow_softmax(scale, biases, row):
    powers = [math.exp(scale * q + b) for q, b in zip(row, biases, strict=True)]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("batch", [2**20, 7])
def test_rows_by_bayes_one_by_one(batch, minimized, monkeypatch):
    monkeypatch.setattr(posterior, "FITTED_SIZE", batch * 3)
    predictions = make_predictions(60)
    codes = draw_labels(predictions @ TRANSITIONS, seed=1)
    weights = np.where(np.arange(60) % 5, 1.0, 0.0)
    first, second = np.array([4.0, 0.5, -0.3, 0.0]), np.array([6.0, -1.0, 0.2, 0.4])
    minimized.returned += [first, second]
    found = get_label_posterior(predictions, codes, weights)
    counts = weights > 0
    calibrated = np.array([slow_softmax(first[0], first[1:], row) for row in predictions[counts]])
    T = get_transitions(calibrated, codes[counts], weights[counts]).toarray()
    for i, row in enumerate(predictions):
        P = slow_softmax(second[0], second[1:], row)
        joint = [P[k] * T[k, codes[i]] / T[k].sum() for k in range(3)]
        right = joint[codes[i]] / sum(joint)
        assert found.right[i] == pytest.approx(right, abs=1e-9)
        joint[codes[i]] = -1.0
        assert found.suggested[i] == (codes[i] if right >= 0.5 else joint.index(max(joint)))
    assert 0 < np.sum(found.suggested != codes) < 60
    assert (found.right.dtype, found.suggested.dtype) == (np.float64, np.int64)


@given(problem=predicted_labels())
@settings(max_examples=60)
def test_what_holds_for_any_rows(problem):
    predictions, codes, weights = problem
    before = [array.copy() for array in problem]
    found = get_label_posterior(predictions, codes, weights)
    assert ((found.right >= 0) & (found.right <= 1)).all()
    np.testing.assert_array_equal(found.suggested != codes, found.right < 0.5)
    for array, copy in zip(problem, before, strict=True):
        np.testing.assert_array_equal(array, copy)


# -- calibration ------------------------------------------------------------------------------


def test_the_loss_is_that_of_forward_correction(minimized):
    predictions = make_predictions(40)
    codes = draw_labels(predictions @ TRANSITIONS)
    weights = np.arange(40) % 3.0
    get_label_posterior(predictions, codes, weights)
    counts = weights > 0
    first = minimized.found[0]
    calibrated = softmax(first[0] * predictions + first[1:], axis=1)[counts]
    T = get_transitions(calibrated, codes[counts], weights[counts]).toarray()
    T /= T.sum(axis=1, keepdims=True)
    at = np.array([2.5, 0.3, -0.7, 0.2])
    for loss, transitions in zip(minimized.losses, (np.eye(3), T), strict=True):
        expected = 0.0
        for row, code, weight in zip(predictions, codes, weights, strict=True):
            P = slow_softmax(at[0], at[1:], row)
            given_code = sum(P[k] * transitions[k, code] for k in range(3))
            expected -= weight / weights.sum() * math.log(given_code)
        value, slope = loss(at)
        assert value == pytest.approx(expected, abs=1e-4)
        for j, step in enumerate(0.02 * np.eye(4)):
            difference = (loss(at + step)[0] - loss(at - step)[0]) / 0.04
            assert slope[j] == pytest.approx(difference, abs=2e-4)


def test_the_penalty_of_the_biases(minimized):
    # The same bias for each class changes no probability: what is left is 1e-5 / 2 * 3 * 100**2.
    get_label_posterior(make_predictions(30), np.arange(30) % 3, np.ones(30))
    loss = minimized.losses[0]
    rise = loss(np.array([3.0, 100, 100, 100]))[0] - loss(np.array([3.0, 0, 0, 0]))[0]
    assert rise == pytest.approx(0.15, rel=1e-3)


@pytest.mark.parametrize("scale", [3.0, 8.0])
@pytest.mark.parametrize("is_noisy", [False, True])
def test_scale_and_biases_of_the_model_are_found_again(scale, is_noisy, minimized):
    rng = np.random.default_rng(0)
    predictions = rng.dirichlet(np.full(3, 0.3), 8000)
    biases = np.array([1.0, -1.5, 0.5])
    true = draw_labels(softmax(scale * predictions + biases, axis=1), seed=1)
    if is_noisy:
        # What the anchors tell is exact here, so that the fit alone is seen.
        transitions = TRANSITIONS
        codes = draw_labels(transitions[true], seed=2)
    else:
        transitions, codes = np.eye(3), true
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posterior, "get_transitions", lambda *_: to_pairs(transitions))
        right = get_label_posterior(predictions, codes, np.ones(8000)).right
    found = minimized.found[1]
    assert found[0] == pytest.approx(scale, rel=0.1)
    np.testing.assert_allclose(found[1:] - found[1:].mean(), biases - biases.mean(), atol=0.2)
    np.testing.assert_allclose(np.mean(1 - right), np.mean(codes != true), atol=0.015)


@pytest.mark.parametrize(
    "transitions", [np.eye(3), TRANSITIONS, np.full((3, 3), 0.2) + 0.4 * np.eye(3)]
)
def test_expected_share_of_wrong_labels_is_the_true_one(transitions):
    predictions = make_predictions(8000)
    true = draw_labels(softmax(12 * predictions, axis=1), seed=1)
    codes = draw_labels(transitions[true], seed=2)
    right = get_label_posterior(predictions, codes, np.ones(8000)).right
    is_right = codes == true
    assert np.mean(right) == pytest.approx(is_right.mean(), abs=0.015)
    # And that of rows which are held to be as right: probabilities are shares.
    for low in np.linspace(0, 0.8, 5):
        rows = (right >= low) & (right <= low + 0.2)
        if rows.sum() > 100:
            share, error = is_right[rows].mean(), 0.5 / np.sqrt(rows.sum())
            assert share == pytest.approx(right[rows].mean(), abs=0.03 + 3 * error)


def test_surely_predicted_clean_labels_are_right():
    codes = np.repeat([0, 1, 2], 200)
    predictions = np.where(np.eye(3)[codes] > 0, 0.9, 0.05)
    found = get_label_posterior(predictions, codes, np.ones(600))
    assert found.right.min() > 0.99
    np.testing.assert_array_equal(found.suggested, codes)


# -- priors -----------------------------------------------------------------------------------


def make_rare(n_wrong, seed=0):
    """A class of 1 %, whose rows are predicted with more of it than others, but never as it."""
    rng = np.random.default_rng(seed)
    codes = np.repeat([0, 1], [1980, 20])
    rare = np.where(codes, rng.uniform(0.2, 0.4, 2000), rng.uniform(0.0, 0.1, 2000))
    predictions = np.maximum(np.column_stack([1 - rare, rare]), 1e-4)
    given_codes = codes.copy()
    given_codes[:n_wrong] = 1
    return predictions, given_codes


def test_a_rare_class_without_wrong_labels_is_not_listed():
    predictions, codes = make_rare(0)
    found = get_label_posterior(predictions, codes, np.ones(2000))
    assert np.sum(predictions.argmax(axis=1) != codes) == 20  # what the best prediction would list
    np.testing.assert_array_equal(found.suggested, codes)
    assert found.right.min() > 0.9


def test_wrong_labels_of_a_rare_class_are_listed():
    is_listed = []
    for seed in range(20):
        predictions, codes = make_rare(10, seed)
        is_listed.append(get_label_posterior(predictions, codes, np.ones(2000)).right < 0.5)
    assert not np.any(np.array(is_listed)[:, 10:])
    # Of ten that are drawn, the one nearest to the rare class may look like its rows.
    assert np.mean(np.array(is_listed)[:, :10]) > 0.9


@pytest.mark.parametrize(("n_rows", "n_classes"), [(8192, 2), (12286, 3), (20476, 5)])
def test_classes_may_take_turns(n_rows, n_classes):
    """Of every second or third row, as many as the model is fitted to would be of one class."""
    true = np.arange(n_rows) % n_classes
    predictions = 0.8 * np.eye(n_classes)[true] + 0.2 / n_classes
    codes = np.where(np.random.default_rng(0).random(n_rows) < 0.2, (true + 1) % n_classes, true)
    found = get_label_posterior(predictions, codes, np.ones(n_rows))
    np.testing.assert_array_equal(found.right < 0.5, codes != true)
    assert 1 - found.right.mean() == pytest.approx(0.2, abs=0.02)


def test_a_class_without_rows_is_not_suggested():
    codes = np.arange(300) % 2
    predictions = np.column_stack([make_predictions(300, 2), np.full(300, 0.3)])
    predictions /= predictions.sum(axis=1, keepdims=True)
    found = get_label_posterior(predictions, codes, np.ones(300))
    assert np.isfinite(found.right).all()
    assert set(found.suggested) <= {0, 1}


# -- which rows count -------------------------------------------------------------------------


@given(problem=predicted_labels(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_rows_of_weight_zero_change_nothing_for_the_others(problem, seed):
    predictions, codes, weights = problem
    counts = weights > 0
    rng = np.random.default_rng(seed)
    other_predictions, other_codes = predictions.copy(), codes.copy()
    other_predictions[~counts] = rng.dirichlet(np.ones(predictions.shape[1]), np.sum(~counts))
    other_codes[~counts] = rng.integers(predictions.shape[1], size=np.sum(~counts))
    found = get_label_posterior(predictions, codes, weights)
    for same in (
        get_label_posterior(other_predictions, other_codes, weights).right[counts],
        get_label_posterior(predictions[counts], codes[counts], weights[counts]).right,
        get_label_posterior(predictions, codes, weights * 2.0**20).right[counts],
    ):
        np.testing.assert_allclose(same, found.right[counts], atol=1e-9)


def test_a_row_of_weight_zero_is_judged_as_its_twin():
    predictions, codes = make_predictions(200), np.arange(200) % 3
    twice = (np.r_[a, a] for a in (predictions, codes))
    found = get_label_posterior(*twice, np.repeat([1.0, 0.0], 200))
    np.testing.assert_array_equal(found.right[:200], found.right[200:])
    np.testing.assert_array_equal(found.suggested[:200], found.suggested[200:])


@pytest.mark.parametrize("seed", range(3))
def test_rows_and_classes_in_another_order(seed):
    predictions = make_predictions(900)
    codes, weights = draw_labels(predictions @ TRANSITIONS), 1.0 + np.arange(900) % 3
    plain = get_label_posterior(predictions, codes, weights)
    rng = np.random.default_rng(seed)
    rows, classes = rng.permutation(900), rng.permutation(3)
    moved = np.empty_like(predictions)
    moved[:, classes] = predictions
    found = get_label_posterior(moved[rows], classes[codes][rows], weights[rows])
    np.testing.assert_allclose(found.right, plain.right[rows], atol=0.02)
    is_clear = np.abs(plain.right[rows] - 0.5) > 0.02
    expected = classes[plain.suggested][rows]
    np.testing.assert_array_equal(found.suggested[is_clear], expected[is_clear])


@pytest.mark.parametrize("n_classes, n_fitted", [(2, 80), (4, 40), (5, 32), (30, 20)])
def test_not_more_rows_are_fitted_than_are_needed(n_classes, n_fitted, minimized, monkeypatch):
    for name, value in {"MIN_FITTED": 20, "MAX_FITTED": 80, "FITTED_SIZE": 160}.items():
        monkeypatch.setattr(posterior, name, value)
    seen, rng = [], np.random.default_rng(0)
    minimized.returned += [np.r_[1.0, np.zeros(n_classes)]] * 2
    monkeypatch.setattr(
        posterior,
        "get_transitions",
        lambda q, *_: seen.append(len(q)) or to_pairs(np.eye(n_classes)),
    )
    predictions, codes = rng.dirichlet(np.ones(n_classes), 300), rng.integers(n_classes, size=300)
    right = get_label_posterior(predictions, codes, np.arange(300) % 2.0).right
    assert seen == [n_fitted]
    assert right.shape == (300,)


def test_the_rows_that_are_fitted_stand_for_all(monkeypatch):
    predictions = make_predictions(20_000)
    codes = draw_labels(predictions @ TRANSITIONS)
    order = np.argsort(codes, kind="stable")
    some = get_label_posterior(predictions, codes, np.ones(20_000)).right
    by_class = get_label_posterior(predictions[order], codes[order], np.ones(20_000)).right
    for name in ("MIN_FITTED", "MAX_FITTED"):
        monkeypatch.setattr(posterior, name, 20_000)
    whole = get_label_posterior(predictions, codes, np.ones(20_000)).right
    for found in (some, by_class[np.argsort(order)]):
        assert np.abs(found - whole).mean() < 0.01
        assert found.mean() == pytest.approx(whole.mean(), abs=0.01)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_predictions_that_say_nothing_do_not_make_labels_wrong(n_classes):
    # Without its own row, a class is predicted less than the others.
    codes = np.arange(40 * n_classes) % n_classes
    predictions = np.full((len(codes), n_classes), 1.0)
    predictions[np.arange(len(codes)), codes] -= 0.05
    predictions /= predictions.sum(axis=1, keepdims=True)
    posterior = get_label_posterior(predictions, codes, np.ones(len(codes)))
    assert (posterior.right >= 0.5).all()
