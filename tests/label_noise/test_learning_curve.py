"""How many labels disagree with predictions, however many rows these are made from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_wine, make_blobs
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from crust_sklearn.label_noise import (
    LabelQuality,
    TopPredictions,
    learning_curve,
    leave_one_out_predictions,
    make_label_noise,
)
from crust_sklearn.label_noise.anchors import find_sure_noise
from crust_sklearn.label_noise.held_out import find_errors
from crust_sklearn.label_noise.label_quality import is_enough, predict_labels
from crust_sklearn.label_noise.learning_curve import get_lasting_errors

DIGITS, TRUE = load_digits(return_X_y=True)
DIGITS = DIGITS / 16


def get_both(X, codes, n_classes=10, weights=None):
    """The errors of predictions from all rows, and those that would last."""
    weights = np.ones(len(X)) if weights is None else weights
    top = predict_labels(X, codes, n_classes, weights)
    errors = np.average(top.best != codes, weights=weights)
    return errors, get_lasting_errors(X, top, codes, weights)


def predict_with_errors(codes, n_classes, n_errors):
    """Predictions that disagree with so many of the labels."""
    best = codes.copy()
    best[:n_errors] = (best[:n_errors] + 1) % n_classes
    return TopPredictions.of(np.eye(n_classes)[best])


def draw_digits(n_rows, rate, seed):
    rows = np.random.default_rng(seed).permutation(len(TRUE))[:n_rows]
    if not rate:
        return DIGITS[rows], TRUE[rows]
    return DIGITS[rows], make_label_noise(TRUE[rows], "symmetric", rate, random_state=seed).y


# -- the estimate -----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4])
def test_it_is_nearer_to_the_share_of_wrong_labels_than_the_errors_of_few_rows_are(rate):
    found = np.array([get_both(*draw_digits(150, rate, seed)) for seed in range(8)])
    off = np.abs(found - rate).mean(axis=0)
    assert off[1] < off[0] / 2


def test_classes_that_overlap_stay_so():
    # The best predictor of all errs on 0.159 of the rows, those beyond one standard deviation.
    X, y = make_blobs(4000, centers=[[-1.0], [1.0]], random_state=0)
    errors, lasting = get_both(X, y, 2)
    assert errors == pytest.approx(0.159, abs=0.02)
    assert lasting == pytest.approx(0.159, abs=0.03)


def get_half_errors(X, codes):
    """What scikit-learn's ridge of one penalty disagrees with, from one half of the rows."""
    wrong = []
    for seed in range(20):
        for rows, others in KFold(2, shuffle=True, random_state=seed).split(X):
            centered = X[rows] - X[rows].mean(axis=0)
            # The package's penalties are multiples of the mean eigenvalue.
            scale = np.linalg.eigvalsh(centered.T @ centered).mean()
            model = Ridge(alpha=0.1 * scale).fit(X[rows], np.eye(10)[codes[rows]])
            wrong.append(np.mean(model.predict(X[others]).argmax(axis=1) != codes[others]))
    return np.mean(wrong)


def test_it_is_extrapolated_from_halves(monkeypatch):
    monkeypatch.setattr("crust_sklearn.label_noise.held_out.RIDGES", (0.1,))
    monkeypatch.setattr(learning_curve, "MAX_DRAWS", 20)
    X, codes = draw_digits(200, 0.2, 0)
    n_errors = round(200 * (get_half_errors(X, codes) - 0.04))
    top = predict_with_errors(codes, 10, n_errors)
    found = get_lasting_errors(X, top, codes, np.ones(200))
    # errors = a + b / n^0.7, of n rows and of n / 2.
    of_half = get_half_errors(X, codes)
    expected = n_errors / 200 - (of_half - n_errors / 200) / (2**0.7 - 1)
    assert found == pytest.approx(expected, abs=0.02)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(4, 60),
    n_classes=st.integers(2, 5),
    share=st.floats(0, 1),
    with_zeros=st.booleans(),
)
@settings(max_examples=60)
def test_it_is_between_zero_and_the_errors_of_now(seed, n_rows, n_classes, share, with_zeros):
    rng = np.random.default_rng(seed)
    X, codes = rng.standard_normal((n_rows, 3)), rng.integers(n_classes, size=n_rows)
    weights = rng.uniform(0.1, 2.0, n_rows)
    if with_zeros:
        weights[2::3] = 0.0
    top = predict_with_errors(codes, n_classes, int(share * n_rows))
    found = get_lasting_errors(X, top, codes, weights)
    errors = np.average(np.arange(n_rows) < int(share * n_rows), weights=weights)
    assert 0.0 <= found <= errors + 1e-12
    again = get_lasting_errors(X, top, codes, 8.0 * weights)
    assert found == pytest.approx(again, abs=1e-9)


def test_rows_of_weight_zero_do_not_matter():
    X, codes = draw_digits(240, 0.2, 0)
    weights = np.where(np.arange(240) % 4, 1.0, 0.0)
    rest, odd = weights > 0, codes.copy()
    odd[~rest] = (odd[~rest] + 1) % 10
    expected = get_both(X[rest], codes[rest])
    for labels in (codes, odd):
        assert get_both(X, labels, 10, weights) == pytest.approx(expected, abs=1e-9)


def test_order_of_rows_does_not_matter():
    X, codes = draw_digits(300, 0.3, 0)
    order = np.random.default_rng(1).permutation(300)
    weights = np.random.default_rng(2).uniform(0.5, 2.0, 300)
    found = [get_both(X[rows], codes[rows], 10, weights[rows]) for rows in (np.arange(300), order)]
    assert found[0] == pytest.approx(found[1], abs=1e-9)


def test_of_many_rows_one_half_is_enough(monkeypatch):
    seen = []

    def watch(features, codes, n_classes, weights, asked):
        seen.append((weights, asked))
        return find_errors(features, codes, n_classes, weights, asked)

    monkeypatch.setattr(learning_curve, "find_errors", watch)
    X, y = make_blobs(20_000, centers=4, random_state=0)
    get_lasting_errors(X, predict_with_errors(y, 4, 100), y, np.ones(len(y)))
    ((weights, asked),) = seen
    assert weights.sum() == 10_000 and not weights[asked].any()
    assert 2048 < len(asked) <= 4096
    seen.clear()
    get_lasting_errors(X[:100], predict_with_errors(y[:100], 4, 10), y[:100], np.ones(100))
    assert len(seen) == 8
    # Each half for the other.
    for (weights, asked), (others, asked_then) in zip(seen[::2], seen[1::2], strict=True):
        np.testing.assert_array_equal(np.flatnonzero(weights), np.sort(asked_then))
        np.testing.assert_array_equal(np.flatnonzero(others), np.sort(asked))
        assert len(asked) == len(asked_then) == 50


@pytest.mark.parametrize("n_features", [64, 600])
def test_a_tensor_gives_what_an_array_gives(n_features):
    X, codes = draw_digits(300, 0.3, 0)
    X = np.hstack([X, np.zeros((300, n_features - 64))]).astype(np.float32)
    top = predict_with_errors(codes, 10, 150)
    found = [get_lasting_errors(H, top, codes, np.ones(300)) for H in (X, torch.tensor(X))]
    assert found[0] == pytest.approx(found[1], abs=0.01)


@pytest.mark.parametrize("part_size", [2**21, 200])
def test_errors_are_those_of_a_fit_without_the_rows(part_size, monkeypatch):
    monkeypatch.setattr("crust_sklearn.label_noise.held_out.PART_SIZE", part_size)
    X, codes = draw_digits(200, 0.2, 1)
    asked = np.random.default_rng(0).permutation(200)[:70]
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 200)
    weights[asked] = 0.0
    found = find_errors(X, codes, 10, weights, asked)
    fitted = leave_one_out_predictions(X, codes, 10, weights)
    np.testing.assert_array_equal(found, fitted[asked].argmax(axis=1) != codes[asked])


# -- what it limits ---------------------------------------------------------------------------


def count_left_out(X, codes, n_classes, limit=None):
    with pytest.MonkeyPatch.context() as patch:
        if limit is not None:
            patch.setattr(
                "crust_sklearn.label_noise.label_quality.get_lasting_errors", lambda *args: limit
            )
        quality = LabelQuality.start(codes, n_classes).update(X)
        return np.sum(~quality.is_trusted)


def test_fewer_right_labels_of_few_rows_are_taken_for_wrong():
    """Of eleven classes with ten rows each a third are predicted wrongly, and all are right."""
    rng = np.random.default_rng(2)
    codes = np.arange(110) % 11
    features = rng.standard_normal((11, 60))[codes] + 2.5 * rng.standard_normal((110, 60))
    errors, lasting = get_both(features, codes, 11)
    assert errors > 0.3 > 0.1 > lasting
    n_without_limit = count_left_out(features, codes, 11, limit=1.0)
    assert n_without_limit >= 10 > 2 * count_left_out(features, codes, 11)


@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_of_enough_rows_as_many_labels_are_left_out(rate):
    X, codes = draw_digits(1500, rate, 0)
    assert count_left_out(X, codes, 10) >= 0.98 * count_left_out(X, codes, 10, limit=1.0)


def test_at_least_as_many_labels_are_left_out_as_are_surely_wrong():
    X, codes = draw_digits(1500, 0.4, 0)
    top = predict_labels(X, codes, 10, np.ones(1500))
    noise, margin = find_sure_noise(top, codes, np.ones(1500))
    least = noise - margin
    assert 0.1 < least < 0.4
    assert count_left_out(X, codes, 10, limit=0.0) >= 0.95 * least * 1500


@pytest.mark.parametrize("seed", range(4))
def test_the_numbers_of_the_classes_do_not_matter(seed):
    X, codes = draw_digits(150, 0.2, seed)
    renamed = np.random.default_rng(seed).permutation(10)[codes]
    trusted = [LabelQuality.start(c, 10).update(X).is_trusted for c in (codes, renamed)]
    np.testing.assert_array_equal(*trusted)


@pytest.mark.parametrize("seed", [9, 26])
def test_equal_rows_stay_together(seed):
    rng = np.random.default_rng(seed)
    true = np.tile(np.repeat(np.arange(4), 15), 5)
    X = np.tile(rng.standard_normal((4, 6))[true[:60]] + rng.standard_normal((60, 6)), (5, 1))
    codes = np.where(rng.random(300) < 0.3, rng.integers(4, size=300), true)
    is_trusted = LabelQuality.start(codes, 4).update(X).is_trusted
    rows = np.arange(300) % 60
    for pair in set(zip(rows, codes, strict=True)):
        own = is_trusted[(rows == pair[0]) & (codes == pair[1])]
        assert own.all() or not own.any()


@pytest.mark.parametrize("seed", range(4))
def test_some_labels_are_left_out_whatever_the_chance_of_few_rows(seed):
    X, y = load_wine(return_X_y=True)
    rows = np.random.default_rng(seed).permutation(178)[:40]
    codes = make_label_noise(y[rows], rate=0.2, random_state=seed).y
    features = X[rows] / X.std(axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "crust_sklearn.label_noise.label_quality.get_lasting_errors", lambda *args: 0.0
        )
        quality = LabelQuality.start(codes, 3).update(features)
    first = predict_labels(features, codes, 3, np.ones(40))
    assert np.sum(~is_enough(first, codes, quality.min_ratios)) >= 2  # 5 %
