import numpy as np
import pytest
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score

from crust_sklearn.metrics import (
    corrected_accuracy_score,
    dmi_scorer,
    make_corrected_accuracy_scorer,
    trusted_accuracy_scorer,
)


def test_trusted_rows_are_routed_to_the_scorer(swallowed, rule):
    X, y, _ = swallowed
    true = np.array(["a", "b", "c"])[X[:, 0]]
    trusted = np.arange(150) % 5 == 4
    trusted[0] = True  # trusted, but wrong: a score on the wrong rows would not show it
    assert (y == true)[trusted].sum() == trusted.sum() - 1
    search = GridSearchCV(rule, {"column": [0, 1]}, scoring=trusted_accuracy_scorer)
    with config_context(enable_metadata_routing=True):
        search.fit(X, y, trusted=trusted)
        scores = cross_val_score(
            rule, X, y, scoring=trusted_accuracy_scorer, params={"trusted": trusted}
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


def test_weights_are_routed_on_request(blobs, random_transitions):
    X, y = blobs
    weights = np.random.RandomState(0).uniform(0, 1, 120)
    T = random_transitions(3, np.random.RandomState(0))
    plain = make_corrected_accuracy_scorer(T)
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
