import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)

from crust_sklearn.metrics import (
    corrected_accuracy_score,
    determinant_mutual_information,
    dmi_scorer,
    make_corrected_accuracy_scorer,
    trusted_accuracy_scorer,
)


@pytest.mark.filterwarnings("error")
def test_honest_scorers_see_through_the_noise(swallowed, rule):
    X, y, T = swallowed
    cv = StratifiedKFold(5)
    grid = {"column": [0, 1]}
    scoring = {
        "accuracy": "accuracy",
        "dmi": dmi_scorer,
        "corrected": make_corrected_accuracy_scorer(T),
    }
    search = GridSearchCV(rule, grid, scoring=scoring, refit="dmi", cv=cv).fit(X, y)
    results = search.cv_results_
    assert results["mean_test_accuracy"][0] < results["mean_test_accuracy"][1]
    assert results["mean_test_dmi"][0] > results["mean_test_dmi"][1] > 0
    np.testing.assert_allclose(results["mean_test_corrected"], [1.0, 2 / 3])
    assert search.best_params_ == {"column": 0}
    assert dmi_scorer(search, X, y) == dmi_scorer(search.best_estimator_, X, y)


@pytest.mark.parametrize(
    "change", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), lambda s: s]
)
def test_scorers_score_as_their_functions_do(blobs, change, random_transitions):
    X, y = blobs
    T = random_transitions(3, np.random.RandomState(0))
    model = LogisticRegression().fit(X, y)
    y_pred, weights = model.predict(X), np.linspace(0, 1, 120)
    expected = determinant_mutual_information(y, y_pred, normalize=True)
    np.testing.assert_allclose(change(dmi_scorer)(model, X, y), expected)
    expected = corrected_accuracy_score(y, y_pred, transition_matrix=T, sample_weight=weights)
    scorer = change(make_corrected_accuracy_scorer(T, labels=["x", "y", "z"]))
    np.testing.assert_allclose(scorer(model, X, y, sample_weight=weights), expected)
    trusted = np.arange(120) % 2 == 0
    score = change(trusted_accuracy_scorer)(model, X, y, trusted=trusted)
    np.testing.assert_allclose(score, accuracy_score(y[trusted], y_pred[trusted]))


def test_searches_with_scorers_can_be_cloned_and_pickled(blobs):
    X, y = blobs
    for scorer in (dmi_scorer, make_corrected_accuracy_scorer(np.eye(3))):
        search = clone(GridSearchCV(LogisticRegression(), {"C": [1e-6, 1.0]}, scoring=scorer))
        search = pickle.loads(pickle.dumps(search.fit(X, y)))
        assert search.best_params_ == {"C": 1.0}
        np.testing.assert_allclose(search.score(X, y), scorer(search, X, y))
    assert repr(dmi_scorer) == "<scorer of determinant_mutual_information>"


@pytest.mark.parametrize("codes", [[0] * 5 + [1] * 5 + [2] * 5, [2] * 3 + [0] * 7 + [2] * 5])
def test_classes_absent_from_a_fold(blobs, codes, random_transitions):
    # The folds are classes, so that each lacks some in scoring, and in training the scored one;
    # or class y does not exist at all, although T has a row for it.
    X, y = blobs
    rows = np.r_[0:5, 40:45, 80:85]
    X, y = X[rows], np.array(["x", "y", "z"])[codes]
    cv = PredefinedSplit(np.repeat([0, 1, 2], 5))
    T = random_transitions(3, np.random.RandomState(0))
    scoring = {
        "dmi": dmi_scorer,
        "corrected": make_corrected_accuracy_scorer(T, labels=["x", "y", "z"]),
    }
    scores = cross_validate(LogisticRegression(), X, y, cv=cv, scoring=scoring, error_score="raise")
    assert np.isfinite(scores["test_dmi"]).all()
    assert (scores["test_dmi"] > 0).all()
    assert np.isfinite(scores["test_corrected"]).all()


def test_a_class_that_only_the_estimator_knows_counts(blobs, random_transitions):
    X, y = blobs
    model = LogisticRegression().fit(X, y)
    two = y != "z"
    T = random_transitions(3, np.random.RandomState(0))
    y_pred = model.predict(X[two])
    score = make_corrected_accuracy_scorer(T)(model, X[two], y[two])
    expected = corrected_accuracy_score(y[two], y_pred, transition_matrix=T, labels=["x", "y", "z"])
    assert score == expected
    expected = determinant_mutual_information(
        y[two], y_pred, labels=["x", "y", "z"], normalize=True, floor=1
    )
    assert dmi_scorer(model, X[two], y[two]) == expected


def test_ready_scorers_say_what_they_are():
    assert dmi_scorer.__doc__.startswith("Scorer of :func:`determinant_mutual_information`")
    changed = trusted_accuracy_scorer.set_score_request(sample_weight=True)
    for scorer in (trusted_accuracy_scorer, changed, copy.deepcopy(changed)):
        assert scorer.__doc__.startswith("Scorer of :func:`trusted_accuracy_score`")


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
