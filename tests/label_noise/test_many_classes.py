"""Many classes: each row keeps the largest predictions, and never n x C numbers are there."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from crust_sklearn.label_noise import (
    ClassPairs,
    LabelQuality,
    TopPredictions,
    get_label_posterior,
    get_min_ratios,
    get_sure_noise,
    leave_one_out_predictions,
)
from crust_sklearn.label_noise.anchors import get_transitions
from crust_sklearn.label_noise.calibration import Calibration, calibrate
from crust_sklearn.label_noise.label_quality import predict_labels
from crust_sklearn.label_noise.top_predictions import MAX_KEPT


def make_rows(n_rows, n_classes, n_features=24, seed=0):
    """Features around a mean of each class, its code, and labels of which a fifth is drawn anew."""
    rng = np.random.default_rng(seed)
    true = np.arange(n_rows) % n_classes
    means = 1.5 * rng.standard_normal((n_classes, n_features))
    features = means[true] + rng.standard_normal((n_rows, n_features))
    codes = np.where(rng.random(n_rows) < 0.2, rng.integers(n_classes, size=n_rows), true)
    return features.astype(np.float32), codes, true


def make_predictions(n_rows, n_classes, seed):
    rng = np.random.default_rng(seed)
    values = softmax(4 * rng.standard_normal((n_rows, n_classes)), axis=1)
    return values.astype(np.float32), rng.integers(n_classes, size=n_rows)


def spread(top):
    """All predictions: what a row does not keep is the same for each of the others."""
    dense = np.repeat(top.rest[:, None], top.n_classes, axis=1)
    np.put_along_axis(dense, np.broadcast_to(top.classes, top.values.shape), top.values, axis=1)
    return dense


sizes = {
    "n_rows": st.integers(1, 20),
    "n_classes": st.integers(2, 12),
    "n_kept": st.integers(1, 12),
    "seed": st.integers(0, 2**32 - 1),
}


# -- what a row keeps -------------------------------------------------------------------------


@given(**sizes)
@settings(max_examples=60)
def test_the_largest_and_the_own_are_kept(n_rows, n_classes, n_kept, seed):
    predictions, codes = make_predictions(n_rows, n_classes, seed)
    top = TopPredictions.keep(predictions, codes, n_kept)
    n_kept = min(n_kept, n_classes)
    for i, row in enumerate(predictions):
        others = sorted((k for k in range(n_classes) if k != codes[i]), key=lambda k: -row[k])
        expected = sorted([codes[i], *others[: n_kept - 1]])
        own = top[i : i + 1]
        assert np.broadcast_to(own.classes, own.values.shape)[0].tolist() == expected
        np.testing.assert_array_equal(own.values[0], row[expected])
        left = [row[k] for k in range(n_classes) if k not in expected]
        assert own.rest[0] == pytest.approx(np.mean(left) if left else 0.0, abs=1e-6)
    np.testing.assert_array_equal(top.own(codes), predictions[np.arange(n_rows), codes])
    if n_kept > 1:
        np.testing.assert_array_equal(top.best, predictions.argmax(axis=1))
        np.testing.assert_array_equal(top.sure, predictions.max(axis=1))


@given(**sizes, n=st.integers(2, 4))
@settings(max_examples=60)
def test_the_mean_is_that_of_what_both_keep(n_rows, n_classes, n_kept, seed, n):
    predictions, codes = make_predictions(n_rows, n_classes, seed)
    more = make_predictions(n_rows, n_classes, seed + 1)[0]
    before, new = (TopPredictions.keep(p, codes, n_kept) for p in (predictions, more))
    expected = spread(before) * (n - 1) / n + spread(new) / n
    found = before.mean_with(new, n, codes)
    assert found.values.shape[1] == min(n_kept, n_classes)
    classes = np.broadcast_to(found.classes, found.values.shape)
    assert (np.diff(classes, axis=1) > 0).all()
    assert (classes == codes[:, None]).any(axis=1).all()
    at_classes = np.take_along_axis(expected, classes.astype(np.int64), axis=1)
    np.testing.assert_allclose(found.values, at_classes, atol=1e-6)
    # No other class has more than a kept one, but for the own.
    left_out = expected.copy()
    np.put_along_axis(left_out, classes.astype(np.int64), -1.0, axis=1)
    kept = np.where(classes == codes[:, None], np.inf, found.values)
    assert (left_out.max(axis=1) <= kept.min(axis=1) + 1e-6).all()


# -- pairs of classes -------------------------------------------------------------------------


@given(n_classes=st.integers(1, 6), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_pairs_are_a_matrix(n_classes, share, seed):
    rng = np.random.default_rng(seed)
    matrix = np.repeat(rng.random((n_classes, 1)), n_classes, axis=1)
    others, keys = matrix[:, 0].copy(), np.flatnonzero(rng.random(n_classes**2) < share)
    matrix.flat[keys] = 1.0 + rng.random(len(keys))
    pairs = ClassPairs(keys, matrix.flat[keys], others)
    np.testing.assert_array_equal(pairs.toarray(), matrix)
    first, second = rng.integers(n_classes, size=(2, 5, 3))
    np.testing.assert_array_equal(pairs[first, second], matrix[first, second])
    np.testing.assert_array_equal(pairs[first[:1], second[:, :1]], matrix[first[:1], second[:, :1]])
    np.testing.assert_array_equal(pairs.diagonal, np.diag(matrix))
    np.testing.assert_allclose(pairs.sum(), matrix.sum(axis=1))
    np.testing.assert_array_equal(pairs.max(), matrix.max(axis=1))
    vector = rng.standard_normal(n_classes)
    np.testing.assert_allclose(pairs @ vector, matrix @ vector, atol=1e-12)
    np.testing.assert_allclose(pairs.rmatmul(vector), matrix.T @ vector, atol=1e-12)


# -- beside all predictions -------------------------------------------------------------------

N, C = 3000, 200
FEATURES, CODES, TRUE = make_rows(N, C)


def test_predictions_of_many_classes_are_the_largest_of_all():
    found = predict_labels(FEATURES, CODES, C, np.ones(N))
    dense = np.maximum(leave_one_out_predictions(FEATURES, CODES, C, np.ones(N)), 1e-4)
    dense /= dense.sum(axis=1, keepdims=True)
    expected = TopPredictions.keep(dense, CODES, MAX_KEPT)
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    np.testing.assert_array_equal(found.best, dense.argmax(axis=1))
    # What goes by own and best alone is the same.
    same = dense, CODES, np.ones(N)
    assert get_sure_noise(found, *same[1:]) == get_sure_noise(*same)
    ratios = get_min_ratios(found, *same[1:]), get_min_ratios(*same)
    np.testing.assert_allclose(*(r.toarray() for r in ratios))


def test_the_posterior_of_what_is_kept_is_near_that_of_all():
    top = predict_labels(FEATURES, CODES, C, np.ones(N))
    dense = np.maximum(leave_one_out_predictions(FEATURES, CODES, C, np.ones(N)), 1e-4)
    dense /= dense.sum(axis=1, keepdims=True)
    found, expected = (get_label_posterior(q, CODES, np.ones(N)) for q in (top, dense))
    assert np.abs(found.right - expected.right).mean() < 0.02
    assert np.mean(found.suggested == expected.suggested) > 0.98
    assert np.mean(found.suggested == TRUE) > 0.95
    assert np.mean(1 - found.right) == pytest.approx(np.mean(CODES != TRUE), abs=0.03)


def test_two_selections_find_wrong_labels_of_many_classes():
    quality = LabelQuality.start(CODES, C).update(FEATURES)
    again = quality.update(FEATURES[:, ::-1].copy())
    # The second learns from those that the first trusts.
    assert again.n_updates == 2 and again.predictions.shape == (N, MAX_KEPT)
    for found in (quality, again):
        assert np.mean(found.suggested == TRUE) > 0.95
        is_wrong = CODES != TRUE
        assert np.mean(found.is_trusted[~is_wrong]) > 0.95
        assert np.mean(is_wrong[found.is_trusted]) < 0.06
    assert np.bincount(CODES[again.is_trusted], minlength=C).min() >= 1


def test_the_residuals_of_many_classes_are_sparse():
    quality = LabelQuality.start(CODES, C).update(FEATURES)
    expected = np.zeros((N, C), np.float32)
    np.put_along_axis(expected, quality.kept.astype(np.int64), quality.predictions, axis=1)
    expected -= np.eye(C, dtype=np.float32)[CODES]
    np.testing.assert_array_equal(quality.residuals.toarray(), expected)


# -- classes that are left out, in the calibration --------------------------------------------


def make_problem(n_rows=25, n_classes=9, n_kept=4, seed=0):
    predictions, codes = make_predictions(n_rows, n_classes, seed)
    top = TopPredictions.keep(predictions, codes, n_kept)
    rng = np.random.default_rng(seed)
    keys = np.unique(
        np.r_[np.arange(n_classes) * (n_classes + 1), rng.integers(n_classes**2, size=9)]
    )
    raw = ClassPairs(keys, 1.0 + rng.random(len(keys)), np.full(n_classes, 0.1))
    sums = raw.sum()
    transitions = ClassPairs(keys, raw.values / sums[raw.first], raw.others / sums)
    return top, codes, rng.uniform(0.5, 2.0, n_rows), transitions


def test_probabilities_count_the_classes_that_rows_do_not_keep():
    top, codes, _, transitions = make_problem()
    model = Calibration(3.0, np.random.default_rng(0).standard_normal(9))
    P = softmax(model.scale * spread(top) + model.biases, axis=1)
    shares, unit = model.get_shares(top)
    kept = top.classes.astype(np.int64)
    np.testing.assert_allclose(shares, np.take_along_axis(P, kept, axis=1), rtol=1e-5)
    joint, others = model.get_joint(top, codes, transitions)
    expected = P * transitions.toarray()[:, codes].T
    of_kept = np.take_along_axis(expected, kept, axis=1)
    np.testing.assert_allclose(joint, of_kept, rtol=1e-5)
    np.testing.assert_allclose(others, expected.sum(axis=1) - of_kept.sum(axis=1), rtol=1e-4)


def test_the_loss_and_its_slopes_count_them_too(monkeypatch):
    top, codes, weights, transitions = make_problem()
    losses = []

    def keep(loss, start, **options):
        losses.append(loss)
        return type("Result", (), {"x": start})

    monkeypatch.setattr("crust_sklearn.label_noise.calibration.minimize", keep)
    calibrate(top, codes, weights, transitions)
    at = np.r_[2.5, np.random.default_rng(1).standard_normal(9)]
    P = softmax(at[0] * spread(top).astype(np.float64) + at[1:], axis=1)
    likelihood = (P * transitions.toarray()[:, codes].T).sum(axis=1)
    expected = -np.average(np.log(likelihood), weights=weights) + 1e-5 / 2 * at[1:] @ at[1:]
    value, slope = losses[0](at)
    assert value == pytest.approx(expected, abs=1e-5)
    for j, step in enumerate(0.02 * np.eye(10)):
        difference = (losses[0](at + step)[0] - losses[0](at - step)[0]) / 0.04
        assert slope[j] == pytest.approx(difference, abs=2e-4)


# -- any rows, and memory ---------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(33, 60), n_updates=st.integers(1, 2))
@settings(max_examples=15)
def test_what_holds_for_any_rows_of_many_classes(seed, n_classes, n_updates):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((70, 4))
    codes = np.r_[np.arange(n_classes), rng.integers(n_classes, size=70 - n_classes)]
    weights = rng.integers(0, 3, 70).astype(float)
    weights[:n_classes] += 0.5  # each class has a row that counts; of some it is the only one
    quality = LabelQuality.start(codes, n_classes, weights)
    for _ in range(n_updates):
        quality = quality.update(features)
    assert (quality.predictions > 0).all()
    assert (quality.predictions.sum(axis=1) <= 1 + 1e-5).all()
    assert (quality.kept == codes[:, None]).sum(axis=1).tolist() == [1] * 70
    assert ((quality.scores >= 0) & (quality.scores <= 1)).all()
    np.testing.assert_array_equal(quality.scores < 0.5, quality.suggested != codes)
    is_kept = quality.is_trusted & (weights > 0)
    assert set(codes[is_kept]) == set(range(n_classes))


def test_of_classes_without_a_trusted_row_the_best_is_taken():
    quality = LabelQuality.start(CODES, C).update(FEATURES)
    own = np.random.default_rng(0).random(N).astype(np.float32) / 1000
    own[:400] = own[400:800] = 0.0005  # ties: the first
    predictions = quality.predictions.copy()
    predictions[np.arange(N), quality.top.find(CODES)] = own
    weights = np.where(np.arange(N) % 7, 1.0, 0.0)
    demanding = replace(
        quality, predictions=predictions, weights=weights, pairs=np.zeros(0, np.int64),
        pair_ratios=np.zeros(0), other_ratios=np.full(C, 1e6),
    )  # fmt: skip
    expected = np.zeros(N, bool)
    for code in range(C):
        rows = np.flatnonzero((code == CODES) & (weights > 0))
        expected[rows[own[rows].argmax()]] = True
    np.testing.assert_array_equal(demanding._find_trusted(), expected)


def test_memory_does_not_grow_with_rows_times_classes():
    # All predictions would take 100 MB, once.
    rng = np.random.default_rng(0)
    codes, features = rng.permutation(5000), rng.standard_normal((5000, 8), np.float32)
    tracemalloc.start()
    try:
        quality = LabelQuality.start(codes, 5000).update(features)
        transitions = get_transitions(quality.top, codes, np.ones(5000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(transitions.keys) <= 10_000
    assert peak < 60e6
