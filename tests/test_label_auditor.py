"""LabelAuditor: what is found by features alone, of labels of any kind, in any container."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from packaging.version import Version
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import (
    LabelAuditor,
    apply_review,
    export_review_csv,
    find_label_issues,
    label_auditor,
    make_label_noise,
)
from crust_sklearn.label_noise import LabelQuality, held_out, judging_features

N = 300
X, TRUE = make_blobs(N, n_features=5, centers=3, random_state=3)
NOISY = make_label_noise(TRUE, "symmetric", 0.2, random_state=0)
CODES = NOISY.y
WRONG = np.flatnonzero(CODES != TRUE)
FITTED = ("label_quality_", "suggested_labels_", "given_labels_")


# Until 1.7, scikit-learn asks this of estimators whose tags say that they take no sparse rows, too.
SPARSE = {"check_sample_weight_equivalence_on_sparse_data": "Features have to be dense."}


@parametrize_with_checks(
    [LabelAuditor()],
    expected_failed_checks=lambda _: (
        SPARSE if Version(sklearn.__version__) < Version("1.7") else {}
    ),
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("verbose", [0, 1])
def test_it_shows_the_rows_of_its_two_fits_if_asked(capsys, verbose):
    LabelAuditor(verbose=verbose).fit(X, CODES)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count(f"{N}/{N}") == 2 * verbose


def test_it_finds_the_wrong_labels_of_classes_far_apart():
    auditor = LabelAuditor().fit(X, CODES)
    issues = find_label_issues(auditor, as_frame=False)
    assert set(issues.rows) <= set(WRONG)
    assert len(issues.rows) > 0.95 * len(WRONG)
    np.testing.assert_array_equal(issues.given_label, CODES[issues.rows])
    np.testing.assert_array_equal(issues.suggested_label, TRUE[issues.rows])
    assert auditor.noise_rate_ == pytest.approx(len(WRONG) / N, abs=0.02)


def test_it_publishes_one_judgement_by_the_features():
    weights = np.random.RandomState(0).uniform(0.5, 2.0, N)
    auditor = LabelAuditor().fit(X, CODES, sample_weight=weights)
    quality = LabelQuality.start(CODES, 3, weights).update(X)
    np.testing.assert_array_equal(auditor.label_quality_, quality.scores)
    np.testing.assert_array_equal(auditor.suggested_labels_, quality.suggested)
    assert auditor.noise_rate_ == quality.noise_rate


@pytest.mark.parametrize(
    "names",
    [
        ["zebra", "ham", "spam"],
        [7, -1, 3],
        [2.0, 1.0, 5.0],
        np.array(["b", "a", "c"], object),
        pd.to_datetime(["2020-01-03", "2020-01-01", "2020-01-02"]).to_numpy(),
    ],
    ids=["words", "integers", "whole numbers", "objects", "dates"],
)
def test_labels_of_any_kind(names):
    names = np.asarray(names)
    auditor, codes = LabelAuditor().fit(X, names[CODES]), LabelAuditor().fit(X, CODES)
    np.testing.assert_array_equal(auditor.classes_, np.sort(names))
    np.testing.assert_array_equal(auditor.given_labels_, names[CODES])
    np.testing.assert_array_equal(auditor.suggested_labels_, names[codes.suggested_labels_])
    np.testing.assert_allclose(auditor.label_quality_, codes.label_quality_, atol=1e-3)
    assert auditor.given_labels_.dtype == auditor.suggested_labels_.dtype == names.dtype


def test_labels_that_are_true_or_false():
    rows = TRUE < 2
    auditor = LabelAuditor().fit(X[rows], CODES[rows] > 0)
    assert auditor.suggested_labels_.dtype == bool
    np.testing.assert_array_equal(auditor.suggested_labels_, TRUE[rows] > 0)


@pytest.mark.parametrize(
    "convert",
    [
        pd.DataFrame,
        np.asfortranarray,
        lambda X: X.tolist(),
        lambda X: pd.DataFrame(X).astype("Float64"),
    ],
    ids=["frame", "fortran", "list", "extension type"],
)
def test_rows_in_any_container(convert):
    same, plain = LabelAuditor().fit(convert(X), CODES), LabelAuditor().fit(X, CODES)
    # In which order numbers are added is not the same.
    np.testing.assert_allclose(same.label_quality_, plain.label_quality_, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_rows_of_other_numbers(dtype):
    rows = (100 * X).astype(dtype)
    auditor = LabelAuditor().fit(rows, CODES)
    expected = LabelAuditor().fit(rows.astype(np.float64), CODES)
    np.testing.assert_allclose(auditor.label_quality_, expected.label_quality_, atol=1e-3)
    assert auditor.label_quality_.dtype == np.float64


def test_a_frame_names_features_and_rows():
    index = pd.Index([f"row {i}" for i in range(N)], name="id")
    frame = pd.DataFrame(X, columns=list("abcde"), index=index)
    auditor = LabelAuditor().fit(frame, pd.Series(CODES, index))
    assert (list(auditor.feature_names_in_), auditor.n_features_in_) == (list("abcde"), 5)
    issues = find_label_issues(auditor, pd.Series(CODES, index))
    assert issues.index.name == "id"
    assert set(issues.index) == set(index[auditor.label_quality_ < 0.5])
    assert len(np.intersect1d(issues.index, index[WRONG])) > 0.9 * len(WRONG)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_memory_map_is_not_copied(tmp_path, monkeypatch, dtype):
    np.save(tmp_path / "X.npy", X.astype(dtype))
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    seen, update = [], LabelQuality.update

    def keep(self, features, verbose):
        seen.append(features)
        return update(self, features, verbose)

    monkeypatch.setattr(LabelQuality, "update", keep)
    LabelAuditor().fit(rows, CODES)
    assert [np.shares_memory(rows, features) for features in seen] == [True]


@pytest.mark.parametrize("n_features", [200, 600])  # 600: projected
def test_a_memory_map_in_half_precision_gives_what_its_numbers_give(tmp_path, n_features):
    rng = np.random.default_rng(0)
    true = np.arange(1000) % 5
    rows = rng.standard_normal((1000, n_features)) + 4 * np.eye(5, n_features)[true]
    codes = np.where(rng.random(1000) < 0.1, (true + 1) % 5, true)
    np.save(tmp_path / "X.npy", rows.astype(np.float16))
    found = LabelAuditor().fit(np.load(tmp_path / "X.npy", mmap_mode="r"), codes)
    plain = LabelAuditor().fit(rows.astype(np.float16).astype(np.float32), codes)
    np.testing.assert_allclose(found.label_quality_, plain.label_quality_, atol=2e-3)
    assert np.mean(found.suggested_labels_ == true) > 0.95


def test_a_memory_map_is_read_part_by_part(tmp_path, monkeypatch):
    for module in (held_out, judging_features, label_auditor):
        monkeypatch.setattr(module, "PART_SIZE", 2**14)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.standard_normal((20_000, 250), np.float32).astype(np.float16))
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(held_out, "MAX_TRIED", 100)
    tracemalloc.start()
    try:
        LabelAuditor().fit(rows, np.arange(20_000) % 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # In float32, they take 20 MB.
    assert peak < 8e6


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_rows_of_several_files_are_judged_as_one_array(tmp_path, dtype):
    rows, paths = (10 * X).astype(dtype), [tmp_path / f"{i}.npy" for i in range(3)]
    for path, part in zip(paths, np.split(rows, [7, 200]), strict=True):
        np.save(path, part)
    found, plain = LabelAuditor().fit(paths, CODES), LabelAuditor().fit(rows, CODES)
    for name in FITTED:
        np.testing.assert_allclose(getattr(found, name), getattr(plain, name), atol=1e-5)
    assert found.n_features_in_ == X.shape[1]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LabelAuditor().fit(paths[1:], CODES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused_in_half_precision_too(value):
    rows = X.astype(np.float16)
    rows[-1, 2] = value
    with pytest.raises(ValueError, match="Input X contains"):
        LabelAuditor().fit(rows, CODES)


# -- in a pipeline ----------------------------------------------------------------------------


def test_behind_a_scaler_units_do_not_matter():
    units = np.array([1e-3, 1.0, 1e4, 10.0, 1e-6])
    of_units, plain = (
        find_label_issues(make_pipeline(StandardScaler(), LabelAuditor()).fit(rows, CODES))
        for rows in (X * units, X)
    )
    pd.testing.assert_frame_equal(of_units.sort_index(), plain.sort_index(), atol=1e-3)


def test_behind_a_kernel_map_the_classes_need_not_be_linear():
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(400, 2))
    true = (np.hypot(*rows.T) > 1.2).astype(int)
    given = make_label_noise(true, "symmetric", 0.1, random_state=0).y
    is_wrong = given != true

    def count_found(auditor):
        quality = auditor.fit(rows, given)[-1].label_quality_
        return is_wrong[np.argsort(quality)[: is_wrong.sum()]].mean()

    mapped = make_pipeline(Nystroem(n_components=50, random_state=0), LabelAuditor())
    scaled = make_pipeline(StandardScaler(), LabelAuditor())
    assert count_found(mapped) > 0.7 > 0.4 > count_found(scaled)


# -- weights ----------------------------------------------------------------------------------


def test_a_row_of_weight_zero_is_judged_and_changes_no_other():
    weights = np.ones(N)
    weights[:20] = 0.0
    y = CODES.copy()
    y[:20] = (y[:20] + 1) % 3
    one, other = (LabelAuditor().fit(X, labels, sample_weight=weights) for labels in (CODES, y))
    np.testing.assert_allclose(one.label_quality_[20:], other.label_quality_[20:], atol=1e-3)
    np.testing.assert_array_equal(other.suggested_labels_[:20], TRUE[:20])
    assert one.noise_rate_ == pytest.approx(other.noise_rate_)


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
def test_the_unit_of_the_weights_does_not_matter(factor):
    weights = np.random.RandomState(0).uniform(0.5, 2.0, N)
    scaled = LabelAuditor().fit(X, CODES, sample_weight=factor * weights)
    plain = LabelAuditor().fit(X, CODES, sample_weight=weights)
    assert scaled.noise_rate_ == pytest.approx(plain.noise_rate_, abs=1e-3)
    np.testing.assert_array_equal(scaled.suggested_labels_, plain.suggested_labels_)


# -- what is refused --------------------------------------------------------------------------


def put(value, row=3):
    rows = X.astype(object)
    rows[row, 1] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "y", "weights", "message"),
    [
        (sparse.csr_array(X), CODES, None, "X is sparse.*TruncatedSVD"),
        (put(np.nan), CODES, None, "X contains NaN"),
        (put(np.inf), CODES, None, "X contains infinity"),
        (put("red"), CODES, None, "X holds text, first in column 1"),
        (X, CODES[:-1], None, "inconsistent numbers of samples"),
        (X, np.zeros(N), None, "one class only"),
        (X, CODES, (CODES == 1) * 1.0, "one class only"),
        (X, CODES, np.zeros(N), "zero for every row"),
        (X, CODES, -np.ones(N), "negative"),
        (X, X[:, 0], None, "continuous"),
        (X, np.where(CODES, "ham", None), None, "contains NaN.*Give every row a label"),
        (X, np.where(CODES, 1.0, np.nan), None, "y contains NaN"),
        (X, None, None, "y to be passed"),
        (X[:1], CODES[:1], None, "minimum of 2 is required"),
        (X[:, 0], CODES, None, "Expected 2D array"),
    ],
)
def test_refused(rows, y, weights, message):
    auditor = LabelAuditor()
    with pytest.raises(ValueError, match=message):
        auditor.fit(rows, y, sample_weight=weights)
    assert not hasattr(auditor, "label_quality_")


def test_not_fitted():
    for ask in (find_label_issues, LabelAuditor.get_summary):
        with pytest.raises(NotFittedError):
            ask(LabelAuditor())
    with pytest.raises(NotFittedError, match="Give a fitted LabelAuditor"):
        find_label_issues(make_pipeline(StandardScaler(), LabelAuditor()))


# -- the summary, and what stays --------------------------------------------------------------


def test_the_summary_counts_the_list():
    names = np.array(["ham", "spam", "zebra"])
    auditor = LabelAuditor().fit(X, names[CODES])
    issues = find_label_issues(auditor, as_frame=False)
    summary = auditor.get_summary()
    assert (summary.n_rows, summary.n_kept) == (N, N - len(issues.rows))
    assert sum(count for *_, count in summary.noise_pairs) == len(issues.rows)
    assert summary.kept_per_class == {
        str(name): (
            np.sum(names[CODES] == name) - np.sum(issues.given_label == name),
            np.sum(names[CODES] == name),
        )
        for name in names
    }
    assert summary.noise_rate == auditor.noise_rate_


def test_the_same_rows_are_judged_alike_twice():
    auditor = LabelAuditor()
    first = auditor.fit(X, CODES)
    again = clone(auditor).fit(X, CODES)
    for name in FITTED:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.4])
@pytest.mark.parametrize("order", ["by class", "by label", "drawn"])
def test_rows_that_are_the_same_but_for_their_labels(noise, order):
    """Among equal rows, those whose own label is left out are the surest if it is wrong."""
    true = np.repeat([0, 1], 500)
    noisy = make_label_noise(true, "symmetric", noise, random_state=0)
    keys = {"by class": true, "by label": noisy.y, "drawn": np.random.RandomState(0).rand(1000)}
    at = np.argsort(keys[order], kind="stable")
    auditor = LabelAuditor().fit(true[at, None].astype(float), noisy.y[at])
    np.testing.assert_array_equal(auditor.label_quality_ < 0.5, noisy.is_wrong[at])
    assert auditor.noise_rate_ == pytest.approx(noise, abs=0.01)


def test_booleans_of_pandas_stay_booleans_and_can_be_reviewed(tmp_path):
    y = pd.Series(CODES > 0, dtype="boolean")
    auditor = LabelAuditor().fit(X, y)
    assert auditor.classes_.tolist() == [False, True]
    export_review_csv(auditor, tmp_path / "review.csv", n_issues=3)
    assert apply_review(y, tmp_path / "review.csv").y.tolist() == y.tolist()
    with pytest.raises(ValueError, match="Give every row a label"):
        LabelAuditor().fit(X, y.where(y.index != 3))
