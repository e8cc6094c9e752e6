"""find_label_issues: which rows, in which order, under which names, of which estimators."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.label_issues import JudgedLabels, LabelIssues
from crust_sklearn.modules import MLP

N = 150
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)
CODES = make_label_noise(TRUE, "symmetric", 0.2, random_state=0).y
NAMES = np.array(["ham", "spam", "zebra"])
Y = NAMES[CODES]


def make(**params):
    defaults = {"max_epochs": 5, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(MLP, module__hidden_sizes=(16,), **defaults | params)


@pytest.fixture(scope="module")
def clf():
    return make().fit(X, Y)


class Judging(ClassifierMixin, BaseEstimator):
    """As much of a classifier as is needed: the only column of X says how good each label is."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.given_labels_ = np.asarray(y)
        self.label_quality_ = np.asarray(X, float)[:, 0] + self.shift
        second = self.classes_[(np.searchsorted(self.classes_, y) + 1) % len(self.classes_)]
        self.suggested_labels_ = np.where(self.label_quality_ < 0.5, second, self.given_labels_)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def judge(quality, given):
    return Judging().fit(np.reshape(quality, (-1, 1)), given)


QUALITY = [0.9, 0.3, 0.5, np.nan, 0.1, 0.3, 0.49999]
GIVEN = [0, 0, 0, 0, 0, 1, 0]
WORST = [4, 1, 5, 6]
JUDGED = judge(QUALITY, GIVEN)


# -- the list ---------------------------------------------------------------------------------


def test_rows_below_one_half_the_worst_first():
    issues = find_label_issues(JUDGED, as_frame=False)
    assert isinstance(issues, LabelIssues)
    assert issues.rows.tolist() == WORST
    assert issues.given_label.tolist() == [0, 0, 1, 0]
    assert issues.suggested_label.tolist() == [1, 1, 0, 1]
    assert issues.score.tolist() == [0.1, 0.3, 0.3, 0.49999]


def test_ties_in_the_order_of_the_rows():
    ties = judge(np.tile([0.4, 0.2, 0.6], 50), np.arange(150) % 2)
    expected = [*range(1, 150, 3), *range(0, 150, 3)]
    assert find_label_issues(ties, as_frame=False).rows.tolist() == expected


def test_no_issues():
    clean = judge([0.9, 0.5, np.nan], [0, 1, 0])
    issues = find_label_issues(clean, as_frame=False)
    assert [len(column) for column in issues] == [0] * 4
    frame = find_label_issues(clean)
    assert list(frame.columns) == ["given_label", "suggested_label", "score"]
    assert len(frame) == 0
    assert not find_label_issues(clean, all_rows=True)["is_issue"].any()


# -- all rows ---------------------------------------------------------------------------------


def test_all_rows_in_the_order_of_X():
    frame = find_label_issues(JUDGED, all_rows=True)
    assert list(frame.columns) == ["given_label", "suggested_label", "score", "is_issue"]
    assert frame.index.tolist() == list(range(7))
    assert frame["given_label"].tolist() == GIVEN
    assert frame["suggested_label"].tolist() == [0, 1, 0, 0, 1, 0, 1]
    np.testing.assert_array_equal(frame["score"], QUALITY)
    assert frame["is_issue"].dtype == bool
    assert np.flatnonzero(frame["is_issue"]).tolist() == sorted(WORST)


def test_all_rows_without_a_frame():
    index = pd.Index(list("abcdefg"))
    labels = find_label_issues(JUDGED, all_rows=True, as_frame=False, index=index)
    assert isinstance(labels, JudgedLabels)
    frame = find_label_issues(JUDGED, all_rows=True, index=index)
    assert labels.rows.tolist() == frame.index.tolist() == list("abcdefg")
    for name in frame.columns:
        np.testing.assert_array_equal(getattr(labels, name), frame[name])


def test_the_list_is_the_issues_of_all_rows():
    index = pd.Index(list("abcdefg"), name="id")
    issues = find_label_issues(JUDGED, index=index)
    frame = find_label_issues(JUDGED, index=index, all_rows=True)
    expected = frame[frame["is_issue"]].drop(columns="is_issue")
    pd.testing.assert_frame_equal(issues, expected.sort_values("score", kind="stable"))


# -- the labels given to fit ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, torch.tensor, np.float64])
def test_labels_as_they_were_given_change_nothing(kind):
    expected = find_label_issues(JUDGED)
    pd.testing.assert_frame_equal(find_label_issues(JUDGED, kind(GIVEN)), expected)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, lambda y: np.array(y, object)])
def test_labels_that_are_words(kind):
    words = judge(QUALITY, NAMES[GIVEN])
    issues = find_label_issues(words, kind(NAMES[GIVEN]), as_frame=False)
    assert issues.given_label.tolist() == ["ham", "ham", "spam", "ham"]
    assert issues.suggested_label.tolist() == ["spam", "spam", "ham", "spam"]


def test_other_labels_than_those_given_to_fit():
    y = np.array(GIVEN)
    y[[2, 6]] = 1, 2
    message = (
        "2 of 7 rows differ, the first of them row 2, whose label was 0 and is 1 in y. Leave y"
    )
    with pytest.raises(ValueError, match=message):
        find_label_issues(JUDGED, y)


def test_codes_in_place_of_words():
    words = judge(QUALITY, NAMES[GIVEN])
    with pytest.raises(ValueError, match="7 of 7 rows differ.* row 0, .* was 'ham' and is 0"):
        find_label_issues(words, GIVEN)


@pytest.mark.parametrize(
    ("y", "index", "message"),
    [
        (GIVEN[:-1], None, "y has 6 entries, and 7 rows were given to fit. Give one"),
        (GIVEN[:-1], np.arange(7), "y has 6 entries"),
        ([*GIVEN, 0], np.arange(7), "y has 8 entries"),
        (GIVEN, np.arange(3), "index has 3 entries"),
        (None, np.arange(3), "index has 3 entries, and 7 rows were given to fit"),
        (None, pd.RangeIndex(8), "index has 8 entries"),
        (None, np.zeros((7, 2)), r"index has shape \(7, 2\): give one name per row"),
        (pd.Series(GIVEN[:3]), None, "has 3 entries"),
        ([0, 0, None, 0, 0, 1, 0], None, "y contains NaN"),
    ],
)
def test_wrong_lengths_and_kinds(y, index, message):
    with pytest.raises(ValueError, match=message):
        find_label_issues(JUDGED, y, index=index)


# -- names of the rows ------------------------------------------------------------------------

NAMED = {
    "strings": pd.Index([f"row {i}" for i in range(7)], name="id"),
    "dates": pd.date_range("2024-01-01", periods=7, freq="D", name="day"),
    "dates in a zone": pd.date_range("2024-01-01", periods=7, tz="Europe/Berlin", name="day"),
    "shuffled": pd.Index([6, 2, 4, 0, 1, 5, 3]),
    "several": pd.MultiIndex.from_product([["a"], range(7)], names=["site", "visit"]),
    "categories": pd.CategoricalIndex(list("abcdefg"), name="kind"),
}


@pytest.mark.parametrize("all_rows", [False, True], ids=["list", "all"])
@pytest.mark.parametrize("of", ["series", "frame", "index"])
@pytest.mark.parametrize("kind", NAMED)
def test_index_of_the_frame(kind, of, all_rows):
    index, rows = NAMED[kind], np.arange(7) if all_rows else WORST
    if of == "index":  # counts more than the index of y
        y, options = pd.Series(GIVEN, index=np.arange(7) + 1000), {"index": index}
    else:
        y, options = pd.Series(GIVEN, index=index, name="label"), {}
        y = y.to_frame() if of == "frame" else y
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A column-vector y was passed")
        found = find_label_issues(JUDGED, y, all_rows=all_rows, **options)
        plain = find_label_issues(JUDGED, y, all_rows=all_rows, as_frame=False, **options)
    assert found.index.equals(index[rows]) and type(found.index) is type(index)
    assert found.index.names == index.names
    assert list(plain.rows) == list(np.asarray(index)[rows])


def test_a_series_as_the_index_gives_its_name():
    frame = find_label_issues(JUDGED, index=pd.Series(list("abcdefg"), name="id"))
    assert frame.index.name == "id"
    assert frame.index.tolist() == ["e", "b", "f", "g"]


def test_names_may_repeat_and_come_as_a_list():
    frame = find_label_issues(JUDGED, index=list("aabbccc"))
    assert frame.index.tolist() == ["c", "a", "c", "c"]


def test_as_frame(monkeypatch):
    for as_frame in (True, "auto"):
        assert isinstance(find_label_issues(JUDGED, as_frame=as_frame), pd.DataFrame)
    with pytest.raises(ValueError, match="as_frame='yes' is not valid"):
        find_label_issues(JUDGED, as_frame="yes")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert isinstance(find_label_issues(JUDGED), LabelIssues)
    assert isinstance(find_label_issues(JUDGED, all_rows=True), JudgedLabels)
    with pytest.raises(ImportError, match="pip install pandas, or set as_frame=False"):
        find_label_issues(JUDGED, as_frame=True)


# -- pipelines and searches -------------------------------------------------------------------

COLUMN = np.linspace(0.05, 0.95, 20).reshape(-1, 1)
LABELS = np.arange(20) % 2


def search(estimator, **options):
    name = "judging__shift" if isinstance(estimator, Pipeline) else "shift"
    return GridSearchCV(estimator, {name: [0.1]}, cv=2, **options)


HOLDERS = {
    "pipeline": lambda: make_pipeline("passthrough", Judging(shift=0.1)),
    "search": lambda: search(Judging()),
    "search over a pipeline": lambda: search(make_pipeline("passthrough", Judging())),
    "pipeline with a search": lambda: make_pipeline("passthrough", search(Judging())),
    "pipeline in a pipeline": lambda: make_pipeline(make_pipeline(Judging(shift=0.1))),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_classifier_is_found_in(holder):
    expected = find_label_issues(Judging(shift=0.1).fit(COLUMN, LABELS))
    assert len(expected) == 8
    found = find_label_issues(HOLDERS[holder]().fit(COLUMN, LABELS), LABELS)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("estimator", "path"),
    [
        (Judging(), "Judging has"),
        (make_pipeline("passthrough", Judging()), "Pipeline > Judging has"),
        (search(Judging()), "GridSearchCV has"),
        (search(Judging(), refit=False).fit(COLUMN, LABELS), "GridSearchCV has"),
        (make_pipeline(search(Judging())), "Pipeline > GridSearchCV has"),
        (
            make_pipeline(StandardScaler(), LogisticRegression()).fit(COLUMN, LABELS),
            "Pipeline > LogisticRegression has",
        ),
    ],
)
def test_nothing_that_has_judged_labels(estimator, path):
    message = f"{path} no label_quality_. Give a fitted LabelAuditor"
    with pytest.raises(NotFittedError, match=message):
        find_label_issues(estimator)


# -- of a fit ---------------------------------------------------------------------------------


def test_wrong_labels_of_a_fit_are_listed(clf):
    frame = find_label_issues(clf)
    pd.testing.assert_frame_equal(find_label_issues(clf, Y), frame)
    is_wrong, listed = CODES != TRUE, frame.index.to_numpy()
    assert len(np.setdiff1d(np.flatnonzero(is_wrong), listed)) <= 3
    assert is_wrong[listed].mean() > 0.8
    assert (frame["score"].to_numpy() == clf.label_quality_[listed]).all()
    assert frame["score"].is_monotonic_increasing
    assert frame["score"].max() < 0.5 <= np.delete(clf.label_quality_, listed).min()
    assert (frame["given_label"].to_numpy() == Y[listed]).all()
    assert (frame["suggested_label"] != frame["given_label"]).all()
    right = frame["suggested_label"].to_numpy() == NAMES[TRUE[listed]]
    assert right[is_wrong[listed]].mean() > 0.9
    assert len(frame) / N == pytest.approx(clf.noise_rate_, abs=0.02)


def test_labels_of_other_rows_are_refused(clf):
    with pytest.raises(ValueError, match=f"of {N} rows differ"):
        find_label_issues(clf, NAMES[TRUE])
    with pytest.raises(ValueError, match=f"{N} of {N} rows differ"):
        find_label_issues(clf, CODES)


def test_of_a_pipeline_that_was_fitted(clf):
    pipeline = make_pipeline("passthrough", make()).fit(X, Y)
    pd.testing.assert_frame_equal(find_label_issues(pipeline), find_label_issues(clf))


def test_not_fitted():
    with pytest.raises(NotFittedError, match="CRUSTClassifier.*for more than warmup_epochs"):
        find_label_issues(make())


@pytest.mark.parametrize("fitted_before", [False, True])
def test_stopped_before_the_first_selection(fitted_before):
    net = make(warmup_epochs=1)
    if fitted_before:
        net.fit(X, Y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="warmup_epochs=1")
        net.set_params(max_epochs=1).fit(X, Y)
    with pytest.raises(NotFittedError, match="for more than warmup_epochs"):
        find_label_issues(net)
    assert not hasattr(net, "coreset_indices_")
    net.partial_fit(X, Y)
    assert len(find_label_issues(net)) > 0


def test_rows_of_a_validation_split_are_not_listed():
    net = make(train_split=ValidSplit(5)).fit(X, Y)
    listed = find_label_issues(net, Y).index.to_numpy()
    aside = np.isnan(net.label_quality_)
    assert aside.sum() == N // 5
    assert not aside[listed].any()
    assert is_mostly_wrong(listed)
    frame = find_label_issues(net, Y, all_rows=True)
    assert len(frame) == N
    assert not frame["is_issue"][aside].any()
    # Of these, nothing is known but the given label.
    np.testing.assert_array_equal(frame["suggested_label"][aside], Y[aside])


def test_rows_of_weight_zero_are_judged():
    weights = np.ones(N)
    weights[:50] = 0.0
    net = make().fit(X, Y, sample_weight=weights)
    listed = find_label_issues(net).index.to_numpy()
    assert is_mostly_wrong(listed[listed < 50])
    assert len(listed[listed < 50]) >= 0.7 * np.sum(CODES[:50] != TRUE[:50])


def is_mostly_wrong(rows):
    return len(rows) > 0 and np.mean(CODES[rows] != TRUE[rows]) > 0.8
