import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from crust_sklearn.metrics import determinant_mutual_information

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("names", [[0, 1, 2], ["owl", "cat", "dog"], [10.0, -1.0, 3.0]])
def test_dmi_is_the_determinant_of_the_confusion_matrix(names, weighted):
    rng = np.random.RandomState(0)
    codes, guesses = rng.randint(0, 3, (2, 60))
    guesses = np.where(rng.rand(60) < 0.6, codes, guesses)
    weights = rng.uniform(0, 5, 60) if weighted else None
    y_true, y_pred = np.array(names)[codes], np.array(names)[guesses]
    joint = confusion_matrix(y_true, y_pred, sample_weight=weights, normalize="all")
    expected = abs(np.linalg.det(joint))
    assert expected > 1e-3
    score = determinant_mutual_information(y_true, y_pred, sample_weight=weights)
    np.testing.assert_allclose(score, expected)
    normalized = determinant_mutual_information(
        y_true.tolist(), pd.Series(y_pred), sample_weight=weights, normalize=True, floor=0.01
    )
    np.testing.assert_allclose(normalized, 3 * expected ** (1 / 3))


@given(st.integers(2, 5), SEEDS)
@settings(max_examples=40)
def test_noise_multiplies_dmi_by_the_determinant_of_its_matrix(every_case, n_classes, seed):
    rng = np.random.RandomState(seed)
    T = rng.dirichlet(np.ones(n_classes), n_classes)  # any noise, not only what leaves a majority
    true, predicted, noisy, weights = every_case(n_classes, T, rng)
    clean = determinant_mutual_information(true, predicted, sample_weight=weights)
    score = determinant_mutual_information(noisy, predicted, sample_weight=weights)
    expected = clean * abs(np.linalg.det(T))
    np.testing.assert_allclose(score, expected, rtol=1e-6, atol=1e-15)


@given(st.integers(2, 5), st.integers(5, 60), SEEDS)
@settings(max_examples=40)
def test_dmi_is_bounded_symmetric_and_blind_to_names(n_classes, n_rows, seed):
    rng = np.random.RandomState(seed)
    labels = np.arange(n_classes)
    y_true, y_pred = rng.randint(0, n_classes, (2, n_rows))

    def score(a, b):
        return determinant_mutual_information(a, b, labels=labels, normalize=True)

    value = score(y_true, y_pred)
    assert 0 <= value <= 1 + 1e-9
    np.testing.assert_allclose(score(y_pred, y_true), value, atol=1e-7)
    np.testing.assert_allclose(score(y_true, rng.permutation(labels)[y_pred]), value, atol=1e-7)
    balanced = np.tile(labels, 7)
    np.testing.assert_allclose(score(balanced, balanced), 1.0)


def test_probabilities_count_as_predictions_drawn_from_them():
    rng = np.random.RandomState(0)
    y_true, proba = rng.randint(0, 3, 50), rng.dirichlet([0.3] * 3, 50).astype(np.float32)
    drawn = determinant_mutual_information(
        np.repeat(y_true, 3), np.tile(np.arange(3), 50), sample_weight=proba.ravel()
    )
    np.testing.assert_allclose(determinant_mutual_information(y_true, proba), drawn, rtol=1e-5)
    tensors = torch.tensor(y_true), torch.tensor(proba)
    np.testing.assert_allclose(determinant_mutual_information(*tensors), drawn, rtol=1e-5)


def test_labels_name_the_columns_of_probabilities():
    y_true = ["b", "a", "b", "a"]
    proba = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.7, 0.3, 0], [0.2, 0.7, 0.1]])
    labels = ["b", "a", "c"]
    order = np.argsort(labels)
    kwargs = {"normalize": True, "floor": 1.0}
    score = determinant_mutual_information(y_true, proba, labels=labels, **kwargs)
    other = determinant_mutual_information(
        y_true, proba[:, order], labels=np.array(labels)[order], **kwargs
    )
    np.testing.assert_allclose(score, other)
    two = determinant_mutual_information(y_true[:3], proba[:3, :2], labels=["b", "a"])
    # [[1.6, 0.4], [0.2, 0.8]] / 3
    np.testing.assert_allclose(two, 1.2 / 9)


def test_many_classes_do_not_underflow():
    y = np.repeat(np.arange(400), 2)
    assert determinant_mutual_information(y, y) == 0.0  # 400 ** -400
    np.testing.assert_allclose(determinant_mutual_information(y, y, normalize=True), 1.0)


def test_a_class_that_is_never_predicted():
    y_true = np.repeat(np.arange(50), 10)
    without_one = np.where(y_true == 0, 1, y_true)
    without_two = np.where(without_one == 2, 1, without_one)
    worse = np.where(np.arange(500) % 10 < 3, (y_true + 1) % 50, y_true)
    worse[worse == 0] = 1
    for y_pred in (without_one, without_two, worse, np.zeros(500)):
        for normalize in (False, True):
            assert determinant_mutual_information(y_true, y_pred, normalize=normalize) == 0.0
    scores = [
        determinant_mutual_information(y_true, y_pred, normalize=True, floor=1.0)
        for y_pred in (np.zeros(500), worse, without_two, without_one, y_true)
    ]
    assert scores == sorted(scores)
    assert len(set(scores)) == 5
    assert 0 < scores[0] < scores[-1] == pytest.approx(1.0)


def test_the_floor_counts_rows():
    y_true, y_pred = [0] * 5 + [1] * 5, [0] * 10
    # joint [[0.5, 0], [0.5, 0]]: singular values sqrt(0.5) and 0, which becomes 2 / 10
    score = determinant_mutual_information(y_true, y_pred, labels=[0, 1], floor=2)
    np.testing.assert_allclose(score, np.sqrt(0.5) * 0.2)
    for weights in (np.full(10, 1e-200), np.full(10, 1e307)):
        same = determinant_mutual_information(y_true, y_pred, sample_weight=weights, floor=2)
        np.testing.assert_allclose(same, score)
    twice = determinant_mutual_information(
        y_true * 2, y_pred * 2, sample_weight=[1] * 10 + [0] * 10, floor=2
    )
    np.testing.assert_allclose(twice, score)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (([0, 1], [0]), {}, "y_pred has 1 rows and y_true 2"),
        (([], []), {}, "y_true holds no rows"),
        (([0, np.nan], [0, 1]), {}, "y_true must hold one class label per row: .*NaN"),
        (([0, 1], [0.5, 1.2]), {}, "y_pred must hold one class label per row: Unknown label type"),
        (([0, 1], ["0", "1"]), {}, "Some labels are strings and some are numbers"),
        (([0, 1], [0, 1]), {"labels": ["0", "1"]}, "Some labels are strings"),
        (([0, 0], [0, 0]), {}, "one class only, .0.: nothing to be informed about"),
        (([0, 2], [0, 1]), {"labels": [0, 1]}, r"y_true holds labels .* \[2\]"),
        (([0, 1], [0, 2]), {"labels": [0, 1]}, r"y_pred holds labels .* \[2\]"),
        (([0, 1], [0, 1]), {"labels": [0, 0, 1]}, "holds a label twice"),
        (([0, 1], [0, 1]), {"labels": [[0, 1]]}, r"labels.shape == \(1, 2\)"),
        (([0, 1], [0, 1]), {"floor": -1.0}, "floor must be a number at least 0"),
        (([0, 1], [0, 1]), {"sample_weight": [1]}, r"sample_weight.shape == \(1,\)"),
        (([0, 1], np.eye(3)), {}, r"y_pred.shape == \(3, 3\), expected \(2, 2\)"),
        (([0, 1], np.eye(3)[:2]), {}, "y_pred has 3 columns.*parameter labels"),
        (([0, 1], [[3.0, -2.0], [0.5, 0.5]]), {}, "y_pred must hold probabilities"),
        (([0, 1], [[1.0, 1.0], [0.5, 0.5]]), {}, "y_pred must hold probabilities"),
        (([0, 1], [[np.nan, 1.0], [0.5, 0.5]]), {}, "y_pred must hold probabilities"),
    ],
)
def test_bad_input_of_dmi(args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        determinant_mutual_information(*args, **kwargs)
