"""find_label_issues: which rows, in which order, under which names."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.audit import LabelIssues
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


class Judged(BaseEstimator):
    """As much of a fitted classifier as is needed."""

    def __init__(self, quality=(), suggested=()):
        self.label_quality_ = np.array(quality)
        self.suggested_labels_ = np.array(suggested)

    def fit(self, X, y):
        raise AssertionError("not to be fitted")


JUDGED = Judged([0.9, 0.3, 0.5, np.nan, 0.1, 0.3, 0.49999], [0, 1, 0, 0, 1, 0, 1])
GIVEN = [0, 0, 0, 0, 0, 1, 0]


def test_rows_below_one_half_the_worst_first():
    issues = find_label_issues(JUDGED, GIVEN, as_frame=False)
    assert isinstance(issues, LabelIssues)
    assert issues.rows.tolist() == [4, 1, 5, 6]
    assert issues.given_label.tolist() == [0, 0, 1, 0]
    assert issues.suggested_label.tolist() == [1, 1, 0, 1]
    assert issues.score.tolist() == [0.1, 0.3, 0.3, 0.49999]


def test_ties_in_the_order_of_the_rows():
    ties = Judged(np.tile([0.4, 0.2, 0.6], 50), np.ones(150, int))
    expected = [*range(1, 150, 3), *range(0, 150, 3)]
    assert find_label_issues(ties, np.zeros(150), as_frame=False).rows.tolist() == expected


def test_no_issues():
    clean = Judged([0.9, 0.5, np.nan], [0, 1, 0])
    issues = find_label_issues(clean, [0, 1, 0], as_frame=False)
    assert [len(column) for column in issues] == [0] * 4
    frame = find_label_issues(clean, [0, 1, 0])
    assert list(frame.columns) == ["given_label", "suggested_label", "score"]
    assert len(frame) == 0


def test_wrong_labels_of_a_fit_are_listed(clf):
    frame = find_label_issues(clf, Y)
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


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, lambda y: np.array(y, object)])
def test_kinds_of_labels(clf, kind):
    expected = find_label_issues(clf, Y)
    frame = find_label_issues(clf, kind(Y))
    assert frame.index.tolist() == expected.index.tolist()
    assert frame["given_label"].tolist() == expected["given_label"].tolist()
    assert find_label_issues(clf, kind(Y), as_frame=False).rows.tolist() == frame.index.tolist()


INDICES = {
    "strings": pd.Index([f"row {i}" for i in range(N)]),
    "dates": pd.date_range("2024-01-01", periods=N, freq="D"),
    "dates in a zone": pd.date_range("2024-01-01", periods=N, freq="h", tz="Europe/Berlin"),
    "shuffled": pd.Index(np.random.default_rng(0).permutation(N)),
}


@pytest.mark.parametrize("kind", INDICES)
@pytest.mark.parametrize("by_series", [True, False], ids=["series", "index"])
def test_names_of_the_rows(clf, kind, by_series):
    index, rows = INDICES[kind], find_label_issues(clf, Y, as_frame=False).rows
    if by_series:
        series, options = pd.Series(Y, index=index), {}
    else:  # counts more than the index of y
        series, options = pd.Series(Y, index=np.arange(N) + 1000), {"index": index}
    frame = find_label_issues(clf, series, **options)
    assert frame.index.tolist() == index[rows].tolist()
    assert (series.to_numpy()[rows] == frame["given_label"].to_numpy()).all()
    plain = find_label_issues(clf, series, **options, as_frame=False)
    assert list(plain.rows) == list(np.asarray(index)[rows])
    looked_up = pd.DataFrame(X, index=index).loc[frame.index].to_numpy()
    np.testing.assert_array_equal(looked_up, X[rows])


def test_names_may_repeat_and_come_as_a_list():
    frame = find_label_issues(JUDGED, GIVEN, index=list("aabbccc"))
    assert frame.index.tolist() == ["c", "a", "c", "c"]


def test_as_frame(clf, monkeypatch):
    for as_frame in (True, "auto"):
        assert isinstance(find_label_issues(clf, Y, as_frame=as_frame), pd.DataFrame)
    assert isinstance(find_label_issues(clf, Y, as_frame=False), LabelIssues)
    with pytest.raises(ValueError, match="as_frame='yes' is not valid"):
        find_label_issues(clf, Y, as_frame="yes")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert isinstance(find_label_issues(clf, Y), LabelIssues)
    with pytest.raises(ImportError, match="pip install pandas, or set as_frame=False"):
        find_label_issues(clf, Y, as_frame=True)


def test_not_fitted():
    with pytest.raises(NotFittedError, match="CRUSTClassifier.*for more than warmup_epochs"):
        find_label_issues(make(), Y)


@pytest.mark.parametrize("fitted_before", [False, True])
def test_stopped_before_the_first_selection(fitted_before):
    net = make(warmup_epochs=1)
    if fitted_before:
        net.fit(X, Y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="warmup_epochs=1")
        net.set_params(max_epochs=1).fit(X, Y)
    with pytest.raises(NotFittedError, match="for more than warmup_epochs"):
        find_label_issues(net, Y)
    assert not hasattr(net, "coreset_indices_")
    net.partial_fit(X, Y)
    assert len(find_label_issues(net, Y)) > 0


@pytest.mark.parametrize(
    "y, index, message",
    [
        (Y[:-1], None, f"y has {N - 1} entries, and {N} rows were given to fit. Give one"),
        (Y[:-1], np.arange(N), f"y has {N - 1} entries"),
        (np.append(Y, "ham"), np.arange(N), f"y has {N + 1} entries"),
        (Y, np.arange(3), "index has 3 entries"),
        (pd.Series(Y[:7]), None, "has 7 entries"),
        (np.where(np.arange(N) == 3, None, Y), None, "y contains NaN"),
    ],
)
def test_wrong_lengths(clf, y, index, message):
    with pytest.raises(ValueError, match=message):
        find_label_issues(clf, y, index=index)


def test_rows_of_a_validation_split_are_not_listed():
    net = make(train_split=ValidSplit(5)).fit(X, Y)
    listed = find_label_issues(net, Y).index.to_numpy()
    aside = np.isnan(net.label_quality_)
    assert aside.sum() == N // 5
    assert not aside[listed].any()
    assert is_mostly_wrong(listed)
    # Of these, nothing is known but the given label.
    np.testing.assert_array_equal(net.suggested_labels_[aside], Y[aside])


def test_rows_of_weight_zero_are_judged():
    weights = np.ones(N)
    weights[:50] = 0.0
    net = make().fit(X, Y, sample_weight=weights)
    listed = find_label_issues(net, Y).index.to_numpy()
    assert is_mostly_wrong(listed[listed < 50])
    assert len(listed[listed < 50]) >= 0.7 * np.sum(CODES[:50] != TRUE[:50])


def is_mostly_wrong(rows):
    return len(rows) > 0 and np.mean(CODES[rows] != TRUE[rows]) > 0.8
