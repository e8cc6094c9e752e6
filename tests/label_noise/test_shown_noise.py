"""How many labels predictions show to be wrong, by how well they agree with one another."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_wine, make_blobs

from crust_sklearn.label_noise import (
    LabelQuality,
    TopPredictions,
    leave_one_out_predictions,
    make_label_noise,
    shown_noise,
)
from crust_sklearn.label_noise.held_out import predict_some
from crust_sklearn.label_noise.label_quality import is_enough, predict_labels
from crust_sklearn.label_noise.shown_noise import get_shown_noise

DIGITS, TRUE = load_digits(return_X_y=True)
DIGITS = DIGITS / 16


def get_both(X, codes, n_classes=10, weights=None):
    """What predictions from all rows disagree with, and what they show to be wrong."""
    weights = np.ones(len(X)) if weights is None else weights
    top = predict_labels(X, codes, n_classes, weights)
    errors = np.average(top.best != codes, weights=weights)
    return errors, get_shown_noise(X, top, codes, weights)


def predict_with_errors(codes, n_classes, n_errors):
    """Predictions that disagree with so many of the labels, the first ones."""
    best = codes.copy()
    best[:n_errors] = (best[:n_errors] + 1) % n_classes
    return TopPredictions.of(np.eye(n_classes)[best])


def draw_digits(n_rows, rate, seed):
    rows = np.random.default_rng(seed).permutation(len(TRUE))[:n_rows]
    if not rate:
        return DIGITS[rows], TRUE[rows]
    return DIGITS[rows], make_label_noise(TRUE[rows], "symmetric", rate, random_state=seed).y


def patch_halves(patch, labels):
    """Let halves of the rows predict these labels, one array after the other."""
    given = iter(labels)

    def predict(features, codes, n_classes, weights, asked):
        return next(given)[asked]

    patch.setattr(shown_noise, "predict_some", predict)


# -- the estimate -----------------------------------------------------------------------------


def test_it_is_nearer_to_the_share_of_wrong_labels_than_the_errors_of_few_rows_are():
    off = []
    for rate in (0.0, 0.2, 0.4):
        found = np.array([get_both(*draw_digits(150, rate, seed)) for seed in range(8)])
        off.append(np.abs(found - rate).mean(axis=0))
    off = np.array(off)
    assert (off[:, 1] < 0.75 * off[:, 0]).all()
    assert off[:, 1].mean() < 0.55 * off[:, 0].mean()


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_enough_rows_show_how_many_labels_are_wrong(rate):
    errors, shown = get_both(*draw_digits(1500, rate, 0))
    assert errors > shown
    assert shown == pytest.approx(rate, abs=0.06)


def test_classes_that_overlap_stay_so():
    # The best predictor of all errs on 0.159 of the rows, those beyond one standard deviation.
    X, y = make_blobs(4000, centers=[[-1.0], [1.0]], random_state=0)
    errors, shown = get_both(X, y, 2)
    assert errors == pytest.approx(0.159, abs=0.02)
    assert shown == pytest.approx(0.159, abs=0.03)


def test_features_that_tell_nothing_show_nothing():
    """Of thirty classes of thirteen rows nine of ten labels are not predicted."""
    codes = np.arange(390) % 30
    features = np.random.default_rng(0).standard_normal((390, 45))
    errors, shown = get_both(features, codes, 30)
    assert errors > 0.9
    assert shown < 0.1


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("known", [0.3, 0.8])
def test_how_much_is_known_is_read_off_the_agreement_of_halves(n_classes, known, monkeypatch):
    n_rows, rng = 20_000, np.random.default_rng(0)
    true = rng.integers(n_classes, size=n_rows)
    halves = [
        np.where(rng.random(n_rows) < known, true, rng.integers(n_classes, size=n_rows))
        for _ in range(2)
    ]
    patch_halves(monkeypatch, halves)
    monkeypatch.setattr(shown_noise, "N_ASKED", n_rows)
    monkeypatch.setattr(shown_noise, "MAX_DRAWS", 1)
    monkeypatch.setattr(shown_noise, "MIN_SURE", n_rows)
    # With twice as many rows the odds to know a row's class are 2^1.2 as large.
    odds = 2**1.2 * known / (1 - known)
    accuracy = odds / (1 + odds) + 1 / (1 + odds) / n_classes
    # All predict rightly so often; labels agree with half of that.
    n_as_given = int(accuracy / 2 * n_rows)
    top = predict_with_errors(true, n_classes, n_rows - n_as_given)
    found = get_shown_noise(np.zeros((n_rows, 1)), top, true, np.ones(n_rows))
    assert found == pytest.approx(accuracy / 2, abs=0.02)


@pytest.mark.parametrize(("n_rows", "expected"), [(400, 0.5), (396, 0.0)])
def test_the_surest_rows_tell_if_there_are_a_hundred(n_rows, expected, monkeypatch):
    """Halves agree on the surest quarter of the rows, of which a half has other labels."""
    rng = np.random.default_rng(0)
    sure = np.linspace(0.9, 0.6, n_rows)
    top = TopPredictions.of(np.column_stack([sure, 1 - sure]))
    is_sure = np.arange(n_rows) < n_rows // 4
    codes = np.where(is_sure, np.arange(n_rows) % 2, 0)
    guesses = rng.permutation(n_rows) % 2
    halves = [np.where(is_sure, 0, g) for g in (guesses, 1 - guesses)] * 4
    patch_halves(monkeypatch, halves)
    found = get_shown_noise(np.zeros((n_rows, 1)), top, codes, np.ones(n_rows))
    # Of the surer half as many agree as if all were guessed.
    assert found == pytest.approx(expected, abs=0.01)


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
    found = get_shown_noise(X, top, codes, weights)
    errors = np.average(np.arange(n_rows) < int(share * n_rows), weights=weights)
    assert 0.0 <= found <= errors + 1e-12
    again = get_shown_noise(X, top, codes, 8.0 * weights)
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


def test_of_many_rows_one_pair_of_halves_is_enough(monkeypatch):
    seen = []

    def watch(features, codes, n_classes, weights, asked):
        seen.append((weights, asked))
        return predict_some(features, codes, n_classes, weights, asked)

    monkeypatch.setattr(shown_noise, "predict_some", watch)
    X, y = make_blobs(20_000, centers=4, random_state=0)
    get_shown_noise(X, predict_with_errors(y, 4, 100), y, np.ones(len(y)))
    (first, asked), (second, asked_then) = seen
    np.testing.assert_array_equal(first + second, np.ones(len(y)))
    assert first.sum() == second.sum() == 10_000
    np.testing.assert_array_equal(asked, asked_then)
    assert 2048 < len(asked) <= 4096
    seen.clear()
    get_shown_noise(X[:100], predict_with_errors(y[:100], 4, 10), y[:100], np.ones(100))
    assert len(seen) == 8
    for (first, asked), (second, _) in zip(seen[::2], seen[1::2], strict=True):
        np.testing.assert_array_equal(first + second, np.ones(100))
        np.testing.assert_array_equal(np.sort(asked), np.arange(100))


@pytest.mark.parametrize("n_features", [64, 600])
def test_a_tensor_gives_what_an_array_gives(n_features):
    X, codes = draw_digits(300, 0.3, 0)
    X = np.hstack([X, np.zeros((300, n_features - 64))]).astype(np.float32)
    top = predict_with_errors(codes, 10, 150)
    found = [get_shown_noise(H, top, codes, np.ones(300)) for H in (X, torch.tensor(X))]
    assert found[0] == pytest.approx(found[1], abs=0.01)


@pytest.mark.parametrize("part_size", [2**21, 200])
def test_some_rows_are_predicted_as_all_are(part_size, monkeypatch):
    monkeypatch.setattr("crust_sklearn.label_noise.held_out.PART_SIZE", part_size)
    X, codes = draw_digits(200, 0.2, 1)
    asked = np.random.default_rng(0).permutation(200)[:70]
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 200)
    weights[asked[:40]] = 0.0
    found = predict_some(X, codes, 10, weights, asked)
    fitted = leave_one_out_predictions(X, codes, 10, weights)
    np.testing.assert_array_equal(found, fitted[asked].argmax(axis=1))


# -- what it limits ---------------------------------------------------------------------------


def count_left_out(X, codes, n_classes, limit=None):
    with pytest.MonkeyPatch.context() as patch:
        if limit is not None:
            patch.setattr(
                "crust_sklearn.label_noise.label_quality.get_shown_noise", lambda *args: limit
            )
        quality = LabelQuality.start(codes, n_classes).update(X)
        return np.sum(~quality.is_trusted)


def test_fewer_right_labels_of_few_rows_are_taken_for_wrong():
    """Of eleven classes with ten rows each a third are predicted wrongly, and all are right."""
    rng = np.random.default_rng(2)
    codes = np.arange(110) % 11
    features = rng.standard_normal((11, 60))[codes] + 2.5 * rng.standard_normal((110, 60))
    errors, shown = get_both(features, codes, 11)
    assert errors > 0.3 > 0.1 > shown
    n_without_limit = count_left_out(features, codes, 11, limit=1.0)
    assert n_without_limit >= 10 > 2 * count_left_out(features, codes, 11)


@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_of_enough_rows_as_many_labels_are_left_out(rate):
    X, codes = draw_digits(1500, rate, 0)
    assert count_left_out(X, codes, 10) >= 0.98 * count_left_out(X, codes, 10, limit=1.0)


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
        patch.setattr("crust_sklearn.label_noise.label_quality.get_shown_noise", lambda *args: 0.0)
        quality = LabelQuality.start(codes, 3).update(features)
    first = predict_labels(features, codes, 3, np.ones(40))
    assert np.sum(~is_enough(first, codes, quality.min_ratios)) >= 2  # 5 %
