import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from crust_sklearn.metrics import (
    corrected_accuracy_score,
    estimate_transition_matrix,
    make_corrected_accuracy_scorer,
)

SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(2, 5), SEEDS)
@settings(max_examples=40)
def test_corrected_accuracy_is_the_accuracy_on_true_labels(
    random_transitions, every_case, n_classes, seed
):
    rng = np.random.RandomState(seed)
    T = random_transitions(n_classes, rng)
    true, predicted, noisy, weights = every_case(n_classes, T, rng)
    expected = accuracy_score(true, predicted, sample_weight=weights)
    score = corrected_accuracy_score(
        noisy, predicted, transition_matrix=T, sample_weight=weights * 1e5
    )
    np.testing.assert_allclose(score, expected)
    order = rng.permutation(n_classes)
    same = corrected_accuracy_score(
        noisy,
        predicted,
        transition_matrix=T[np.ix_(order, order)],
        labels=order,
        sample_weight=weights,
    )
    np.testing.assert_allclose(same, expected)


def test_corrected_accuracy_without_noise_and_beyond_one():
    rng = np.random.RandomState(0)
    y_true, y_pred = np.array(["a", "b", "c"])[rng.randint(0, 3, (2, 30))]
    score = corrected_accuracy_score(y_true, y_pred, transition_matrix=np.eye(3))
    np.testing.assert_allclose(score, accuracy_score(y_true, y_pred))
    # 1 / (1 - 2 * 0.2) times (1 - 0.2): more rows are right than T allows
    T = [[0.8, 0.2], [0.2, 0.8]]
    np.testing.assert_allclose(corrected_accuracy_score([0, 1], [0, 1], transition_matrix=T), 4 / 3)


BAD_MATRICES = pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)) / 3, r"transition_matrix.shape == \(2, 3\)"),
        ([0.5, 0.5], r"transition_matrix.shape == \(2,\)"),
        (np.empty((0, 0)), r"transition_matrix.shape == \(0, 0\)"),
        ([[1.5, -0.5], [0.0, 1.0]], "must not have negative or NaN entries"),
        ([[np.nan, 0.5], [0.0, 1.0]], "must not have negative or NaN entries"),
        ([[1.0, 0.5], [0.0]], "transition_matrix must hold numbers"),
        ([[1.0, 0.5], [0.0, 0.5]], "Its columns do: transpose it"),
        ([[1.0, 0.5], [0.0, 1.0]], "must sum to 1, got .*1.5 1"),
        ([[0.5, 0.5], [0.5, 0.5]], "nearly singular .*use dmi_scorer"),
        ([[0.5001, 0.4999], [0.5, 0.5]], "nearly singular"),
    ],
)


@BAD_MATRICES
def test_bad_matrices(matrix, message):
    with pytest.raises(ValueError, match=message):
        corrected_accuracy_score([0, 1], [0, 1], transition_matrix=matrix)
    with pytest.raises(ValueError, match=message):
        make_corrected_accuracy_scorer(matrix)


def test_matrix_and_labels_of_different_size():
    with pytest.raises(ValueError, match="3 rows, expected one for each of the 2 classes"):
        corrected_accuracy_score([0, 1], [0, 1], transition_matrix=np.eye(3))
    with pytest.raises(ValueError, match="labels has 2 entries, expected 3"):
        make_corrected_accuracy_scorer(np.eye(3), labels=["a", "b"])
    with pytest.raises(ValueError, match="holds a label twice"):
        make_corrected_accuracy_scorer(np.eye(2), labels=["a", "a"])


def test_an_estimate_from_the_scored_model_flatters():
    # Why the scorer takes a matrix, and does not estimate one from the model it scores.
    y = np.array([0] * 60 + [1] * 40)
    T = estimate_transition_matrix(y, np.tile([0.6, 0.4], (100, 1)))
    score = corrected_accuracy_score(y, np.zeros(100), transition_matrix=T, labels=[0, 1])
    assert score == pytest.approx(1.0, abs=0.02)
