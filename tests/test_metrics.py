import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)

from crust_sklearn.metrics import (
    corrected_accuracy_score,
    corrected_accuracy_scorer,
    determinant_mutual_information,
    dmi_scorer,
    estimate_transition_matrix,
    trusted_accuracy_score,
    trusted_accuracy_scorer,
)

SEEDS = st.integers(0, 2**32 - 1)
METHODS = pytest.mark.parametrize("method", ["confident-joint", "anchor"])


def random_transitions(n_classes, rng, keep=0.6):
    """A transition matrix with at least `keep` on the diagonal, so that it can be inverted."""
    return keep * np.eye(n_classes) + (1 - keep) * rng.dirichlet(np.ones(n_classes), n_classes)


def every_case(n_classes, T, rng):
    """All triples (true, predicted, given) with their exact probabilities under noise T."""
    shares = rng.dirichlet(np.ones(n_classes**2)).reshape(n_classes, n_classes)
    true, predicted, noisy = map(np.ravel, np.indices((n_classes,) * 3))
    return true, predicted, noisy, shares[true, predicted] * T[true, noisy]


# Determinant mutual information -------------------------------------------------------------------


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
@settings(max_examples=40, deadline=None)
def test_noise_multiplies_dmi_by_the_determinant_of_its_matrix(n_classes, seed):
    rng = np.random.RandomState(seed)
    T = rng.dirichlet(np.ones(n_classes), n_classes)  # any noise, not only what leaves a majority
    true, predicted, noisy, weights = every_case(n_classes, T, rng)
    clean = determinant_mutual_information(true, predicted, sample_weight=weights)
    score = determinant_mutual_information(noisy, predicted, sample_weight=weights)
    expected = clean * abs(np.linalg.det(T))
    np.testing.assert_allclose(score, expected, rtol=1e-6, atol=1e-15)


@given(st.integers(2, 5), st.integers(5, 60), SEEDS)
@settings(max_examples=40, deadline=None)
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
    for weights in (np.full(10, 1e-200), np.full(10, 1e308)):
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


# Transition matrix --------------------------------------------------------------------------------


def slow_confident_joint(y, proba):
    """Northcutt et al. 2021, Eq. 1 to 3, row by row."""
    n_classes = proba.shape[1]
    thresholds = [
        np.mean([p[j] for p, given_ in zip(proba, y, strict=True) if given_ == j])
        for j in range(n_classes)
    ]
    C = np.zeros((n_classes, n_classes))
    for p, i in zip(proba, y, strict=True):
        above = [j for j in range(n_classes) if p[j] >= thresholds[j]]
        if above:
            C[i, max(above, key=lambda j: p[j])] += 1
    for i in range(n_classes):
        C[i, i] = max(C[i, i], 1)
    return np.array([C[i] / C[i].sum() * (y == i).sum() for i in range(n_classes)])


@given(st.integers(2, 5), st.integers(0, 60), st.sampled_from([0.2, 1.0, 5.0]), SEEDS)
@settings(max_examples=60, deadline=None)
def test_confident_joint_row_by_row(n_classes, n_more, spread, seed):
    rng = np.random.RandomState(seed)
    y = np.r_[np.arange(n_classes), rng.randint(0, n_classes, n_more)]
    proba = rng.dirichlet(np.full(n_classes, spread), len(y))
    joint = slow_confident_joint(y, proba)
    T = estimate_transition_matrix(y, proba)
    np.testing.assert_allclose(T, (joint / joint.sum(axis=0)).T)
    np.testing.assert_allclose(T.sum(axis=1), 1)
    # what is calibrated: the given labels keep their numbers
    np.testing.assert_allclose(joint.sum(axis=0) @ T, np.bincount(y))


@METHODS
@given(st.integers(2, 40), st.integers(0, 9), SEEDS)
@settings(max_examples=30, deadline=None)
def test_exact_probabilities_give_the_exact_matrix(method, n_classes, n_wrong, seed):
    # n_wrong of 20 labels of each class i go to i + 1; no model can know more than T[true class]
    rng = np.random.RandomState(seed)
    T = np.eye(n_classes) * (20 - n_wrong) + np.roll(np.eye(n_classes), 1, axis=1) * n_wrong
    true, y = np.nonzero(T)
    counts = T[true, y].astype(int)
    true, y = np.repeat(true, counts), np.repeat(y, counts)
    order = rng.permutation(len(y))
    T /= 20
    estimate = estimate_transition_matrix(y[order], T[true[order]], method=method)
    np.testing.assert_allclose(estimate, T, atol=1e-12)


def test_the_anchor_is_the_row_at_the_quantile():
    y = np.repeat([0, 1], 101)
    p = np.r_[np.random.RandomState(0).permutation(101) / 100, np.zeros(101)]
    proba = np.c_[p, 1 - p]
    for quantile, expected in ((1, 1.0), (0.97, 0.97), (0.5, 0.5), (0.001, 0.0)):
        T = estimate_transition_matrix(y, proba, method="anchor", quantile=quantile)
        np.testing.assert_allclose(T, [[expected, 1 - expected], [0, 1]])


def test_rounded_probabilities_give_rows_that_sum_to_one():
    proba = np.array([[0.9, 0.1005], [0.2, 0.7995]])
    T = estimate_transition_matrix([0, 1], proba, method="anchor")
    np.testing.assert_allclose(T.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(T, proba, atol=1e-3)


@METHODS
def test_transition_matrix_of_labels_in_any_order_and_type(method):
    rng = np.random.RandomState(0)
    codes, proba = rng.randint(0, 3, 80), rng.dirichlet([0.5] * 3, 80)
    T = estimate_transition_matrix(codes, proba, method=method)
    order = [2, 0, 1]
    permuted = estimate_transition_matrix(codes, proba[:, order], method=method, labels=order)
    np.testing.assert_allclose(permuted, T[np.ix_(order, order)])
    names = pd.Series(["ant", "bee", "cow"])[codes]
    tensor = torch.tensor(proba)
    np.testing.assert_allclose(estimate_transition_matrix(names, tensor, method=method), T)


@METHODS
def test_a_class_without_rows_is_left_alone(method):
    y = np.array([0, 0, 2, 2])
    proba = np.array([[0.8, 0.1, 0.1], [0.7, 0.1, 0.2], [0.1, 0.1, 0.8], [0.1, 0.0, 0.9]])
    T = estimate_transition_matrix(y, proba, method=method, labels=[0, 1, 2])
    np.testing.assert_allclose(T[1], [0, 1, 0])
    np.testing.assert_allclose(T.sum(axis=1), 1)
    if method == "confident-joint":
        np.testing.assert_allclose(T, np.eye(3))


def test_an_estimate_from_the_scored_model_flatters():
    # Why the scorer takes a matrix, and does not estimate one from the model it scores.
    y = np.array([0] * 60 + [1] * 40)
    T = estimate_transition_matrix(y, np.tile([0.6, 0.4], (100, 1)))
    score = corrected_accuracy_score(y, np.zeros(100), transition_matrix=T, labels=[0, 1])
    assert score == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (([0, 1], np.eye(2)), {"method": "anchors"}, "Did you mean 'anchor'"),
        (([0, 1], np.eye(2)), {"quantile": 0.0}, "quantile must be a number greater than 0"),
        (([0, 1], np.eye(2)), {"quantile": 1.1}, "at most 1"),
        (([0, 1, 1], np.eye(2)), {}, r"proba.shape == \(2, 2\), expected \(3, 2\)"),
        (([0, 1], [0.5, 0.5]), {}, r"proba.shape == \(2,\)"),
        (([0, 0], np.eye(2)), {}, "proba has 2 columns.*parameter labels"),
        (([0, 1], [[4.0, -1.0], [0.0, 1.0]]), {}, "logits need a softmax"),
        (([0, 3], np.eye(2)), {"labels": [0, 1]}, r"y holds labels .* \[3\]"),
        (([0, 1], [["a", "b"]]), {}, "proba must hold numbers"),
        (([0, 1], np.eye(2)), {"quantile": "all"}, "quantile must be a number"),
        (([], np.empty((0, 2))), {}, "y holds no rows"),
    ],
)
def test_bad_input_of_the_estimate(args, kwargs, message):
    with pytest.raises((ValueError, TypeError), match=message):
        estimate_transition_matrix(*args, **kwargs)


# Corrected accuracy -------------------------------------------------------------------------------


@given(st.integers(2, 5), SEEDS)
@settings(max_examples=40, deadline=None)
def test_corrected_accuracy_is_the_accuracy_on_true_labels(n_classes, seed):
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
        corrected_accuracy_scorer(matrix)


def test_matrix_and_labels_of_different_size():
    with pytest.raises(ValueError, match="3 rows, expected one for each of the 2 classes"):
        corrected_accuracy_score([0, 1], [0, 1], transition_matrix=np.eye(3))
    with pytest.raises(ValueError, match="labels has 2 entries, expected 3"):
        corrected_accuracy_scorer(np.eye(3), labels=["a", "b"])
    with pytest.raises(ValueError, match="holds a label twice"):
        corrected_accuracy_scorer(np.eye(2), labels=["a", "a"])


# Trusted rows -------------------------------------------------------------------------------------


@given(st.integers(1, 30), SEEDS)
@settings(max_examples=40, deadline=None)
def test_trusted_accuracy_is_the_accuracy_on_the_trusted_rows(n_rows, seed):
    rng = np.random.RandomState(seed)
    y_true, y_pred = rng.randint(0, 3, (2, n_rows))
    trusted, weights = rng.rand(n_rows) < 0.5, rng.uniform(0.1, 1, n_rows)
    trusted[rng.randint(n_rows)] = True
    expected = accuracy_score(y_true[trusted], y_pred[trusted])
    assert trusted_accuracy_score(y_true, y_pred, trusted=trusted) == pytest.approx(expected)
    score = trusted_accuracy_score(
        y_true, y_pred, trusted=pd.Series(trusted, dtype="boolean"), sample_weight=weights
    )
    np.testing.assert_allclose(
        score,
        accuracy_score(y_true[trusted], y_pred[trusted], sample_weight=weights[trusted]),
    )
    as_objects = trusted_accuracy_score(y_true, y_pred, trusted=trusted.astype(object))
    assert as_objects == pytest.approx(expected)


@pytest.mark.parametrize(
    ("trusted", "error", "message"),
    [
        ([False, False], ValueError, "trusted is False for every one of the 2 rows"),
        ([True], ValueError, r"trusted.shape == \(1,\), expected \(2,\)"),
        ([0, 1], TypeError, "Turn row numbers into a mask"),
        ([True, None], TypeError, "trusted must hold bools"),
        (None, TypeError, "trusted must hold bools"),
    ],
)
def test_bad_masks(trusted, error, message):
    with pytest.raises(error, match=message):
        trusted_accuracy_score([0, 1], [0, 1], trusted=trusted)


def test_trusted_rows_of_weight_zero():
    with pytest.raises(ValueError, match="or their sample_weight is 0"):
        trusted_accuracy_score([0, 1], [0, 1], trusted=[True, False], sample_weight=[0, 1])


# Scorers ------------------------------------------------------------------------------------------


class Rule(ClassifierMixin, BaseEstimator):
    """Predicts the class in one column of X, whatever it was trained on."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.array(["a", "b", "c"])[X[:, self.column]]


@pytest.fixture
def swallowed():
    """Three of five of class a are labelled c: X holds the true class, and the likeliest label."""
    T = np.array([[0.4, 0.0, 0.6], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    true = np.repeat([0, 1, 2], 50)
    noisy = true.copy()
    noisy[:50][np.arange(50) % 5 < 3] = 2
    X = np.c_[true, np.where(true == 0, 2, true)]
    return X, np.array(["a", "b", "c"])[noisy], T


@pytest.mark.filterwarnings("error")
def test_honest_scorers_see_through_the_noise(swallowed):
    X, y, T = swallowed
    cv = StratifiedKFold(5)
    grid = {"column": [0, 1]}
    scoring = {
        "accuracy": "accuracy",
        "dmi": dmi_scorer,
        "corrected": corrected_accuracy_scorer(T),
    }
    search = GridSearchCV(Rule(), grid, scoring=scoring, refit="dmi", cv=cv).fit(X, y)
    results = search.cv_results_
    assert results["mean_test_accuracy"][0] < results["mean_test_accuracy"][1]
    assert results["mean_test_dmi"][0] > results["mean_test_dmi"][1] > 0
    np.testing.assert_allclose(results["mean_test_corrected"], [1.0, 2 / 3])
    assert search.best_params_ == {"column": 0}
    assert dmi_scorer(search, X, y) == dmi_scorer(search.best_estimator_, X, y)


@pytest.fixture
def blobs():
    rng = np.random.RandomState(0)
    codes = np.repeat([0, 1, 2], 40)
    X = rng.standard_normal((120, 2)) + 2 * np.array([[0, 0], [0, 2], [2, 0]])[codes]
    return X, np.array(["x", "y", "z"])[codes]


@pytest.mark.parametrize(
    "change", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), lambda s: s]
)
def test_scorers_score_as_their_functions_do(blobs, change):
    X, y = blobs
    T = random_transitions(3, np.random.RandomState(0))
    model = LogisticRegression().fit(X, y)
    y_pred, weights = model.predict(X), np.linspace(0, 1, 120)
    expected = determinant_mutual_information(y, y_pred, normalize=True)
    np.testing.assert_allclose(change(dmi_scorer)(model, X, y), expected)
    expected = corrected_accuracy_score(y, y_pred, transition_matrix=T, sample_weight=weights)
    scorer = change(corrected_accuracy_scorer(T, labels=["x", "y", "z"]))
    np.testing.assert_allclose(scorer(model, X, y, sample_weight=weights), expected)
    trusted = np.arange(120) % 2 == 0
    score = change(trusted_accuracy_scorer)(model, X, y, trusted=trusted)
    np.testing.assert_allclose(score, accuracy_score(y[trusted], y_pred[trusted]))


def test_searches_with_scorers_can_be_cloned_and_pickled(blobs):
    X, y = blobs
    for scorer in (dmi_scorer, corrected_accuracy_scorer(np.eye(3))):
        search = clone(GridSearchCV(LogisticRegression(), {"C": [1e-6, 1.0]}, scoring=scorer))
        search = pickle.loads(pickle.dumps(search.fit(X, y)))
        assert search.best_params_ == {"C": 1.0}
        np.testing.assert_allclose(search.score(X, y), scorer(search, X, y))
    assert repr(dmi_scorer) == "<scorer of determinant_mutual_information>"


@pytest.mark.parametrize("codes", [[0] * 5 + [1] * 5 + [2] * 5, [2] * 3 + [0] * 7 + [2] * 5])
def test_classes_absent_from_a_fold(blobs, codes):
    # The folds are classes, so that each lacks some in scoring, and in training the scored one;
    # or class y does not exist at all, although T has a row for it.
    X, y = blobs
    rows = np.r_[0:5, 40:45, 80:85]
    X, y = X[rows], np.array(["x", "y", "z"])[codes]
    cv = PredefinedSplit(np.repeat([0, 1, 2], 5))
    T = random_transitions(3, np.random.RandomState(0))
    scoring = {
        "dmi": dmi_scorer,
        "corrected": corrected_accuracy_scorer(T, labels=["x", "y", "z"]),
    }
    scores = cross_validate(LogisticRegression(), X, y, cv=cv, scoring=scoring, error_score="raise")
    assert np.isfinite(scores["test_dmi"]).all()
    assert (scores["test_dmi"] > 0).all()
    assert np.isfinite(scores["test_corrected"]).all()


def test_a_class_that_only_the_estimator_knows_counts(blobs):
    X, y = blobs
    model = LogisticRegression().fit(X, y)
    two = y != "z"
    T = random_transitions(3, np.random.RandomState(0))
    y_pred = model.predict(X[two])
    score = corrected_accuracy_scorer(T)(model, X[two], y[two])
    expected = corrected_accuracy_score(y[two], y_pred, transition_matrix=T, labels=["x", "y", "z"])
    assert score == expected
    expected = determinant_mutual_information(
        y[two], y_pred, labels=["x", "y", "z"], normalize=True, floor=1
    )
    assert dmi_scorer(model, X[two], y[two]) == expected


def test_many_classes_raise_no_warning():
    X = np.repeat(np.eye(30), 6, axis=0)
    y = np.repeat(np.arange(30), 6)
    scores = cross_val_score(LogisticRegression(), X, y, scoring=dmi_scorer, cv=2)
    np.testing.assert_allclose(scores, 1.0)


def test_no_classifier():
    X, y = np.arange(6.0)[:, None], [0, 1, 0, 1, 0, 1]
    model = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="y_pred must hold one class label per row"):
        dmi_scorer(model, X, y)


# Metadata routing ---------------------------------------------------------------------------------


def test_trusted_rows_are_routed_to_the_scorer(swallowed):
    X, y, _ = swallowed
    true = np.array(["a", "b", "c"])[X[:, 0]]
    trusted = np.arange(150) % 5 == 4
    trusted[0] = True  # trusted, but wrong: a score on the wrong rows would not show it
    assert (y == true)[trusted].sum() == trusted.sum() - 1
    search = GridSearchCV(Rule(), {"column": [0, 1]}, scoring=trusted_accuracy_scorer)
    with config_context(enable_metadata_routing=True):
        search.fit(X, y, trusted=trusted)
        scores = cross_val_score(
            Rule(), X, y, scoring=trusted_accuracy_scorer, params={"trusted": trusted}
        )
    assert search.best_params_ == {"column": 0}
    predictions = {c: np.array(["a", "b", "c"])[X[:, c]] for c in (0, 1)}
    for column, y_pred in predictions.items():
        expected = [
            accuracy_score(y[test][trusted[test]], y_pred[test][trusted[test]])
            for _, test in StratifiedKFold(5).split(X, y)
        ]
        found = [search.cv_results_[f"split{k}_test_score"][column] for k in range(5)]
        np.testing.assert_allclose(found, expected)
        if column == 0:
            np.testing.assert_allclose(scores, expected)
            assert min(expected) < 1


def test_trusted_rows_that_do_not_arrive(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="enable_metadata_routing=True.*trusted=trusted"):
        cross_val_score(
            LogisticRegression(), X, y, scoring=trusted_accuracy_scorer, error_score="raise"
        )


def test_a_fold_without_trusted_rows(blobs):
    X, y = blobs
    kwargs = {"scoring": trusted_accuracy_scorer, "params": {"trusted": np.arange(120) == 7}}
    with config_context(enable_metadata_routing=True):
        with pytest.raises(ValueError, match="for every one of the 24 rows to score"):
            cross_val_score(LogisticRegression(), X, y, error_score="raise", **kwargs)
        with pytest.warns(UserWarning, match="use fewer folds or\nsplits|use fewer folds"):
            scores = cross_val_score(LogisticRegression(), X, y, **kwargs)
    assert np.isnan(scores).sum() == 4


def test_weights_are_routed_on_request(blobs):
    X, y = blobs
    weights = np.random.RandomState(0).uniform(0, 1, 120)
    T = random_transitions(3, np.random.RandomState(0))
    plain = corrected_accuracy_scorer(T)
    weighted, renamed = (plain.set_score_request(sample_weight=s) for s in (True, "importance"))
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=False)
        unweighted = cross_val_score(model, X, y, scoring=plain)
        by_name = cross_val_score(model, X, y, scoring=weighted, params={"sample_weight": weights})
        by_alias = cross_val_score(model, X, y, scoring=renamed, params={"importance": weights})
    expected = [
        corrected_accuracy_score(
            y[test],
            model.fit(X[train], y[train]).predict(X[test]),
            transition_matrix=T,
            sample_weight=weights[test],
        )
        for train, test in StratifiedKFold(5).split(X, y)
    ]
    np.testing.assert_allclose(by_name, expected)
    np.testing.assert_allclose(by_alias, expected)
    assert not np.allclose(unweighted, expected)


def test_requests_change_a_copy_and_are_checked():
    changed = dmi_scorer.set_score_request(sample_weight=True)
    assert changed.get_metadata_routing().score.requests == {"sample_weight": True}
    assert dmi_scorer.get_metadata_routing().score.requests == {}
    both = trusted_accuracy_scorer.set_score_request(sample_weight="w", trusted="clean")
    assert both.get_metadata_routing().score.requests == {
        "trusted": "clean",
        "sample_weight": "w",
    }
    kept = trusted_accuracy_scorer.set_score_request(sample_weight=True)
    assert kept.get_metadata_routing().score.requests == {"trusted": True, "sample_weight": True}
    with pytest.raises(ValueError, match="set_score_request='trusted' is not valid"):
        dmi_scorer.set_score_request(trusted=True)
    with pytest.raises(ValueError, match="alias"):
        dmi_scorer.set_score_request(sample_weight=3)
