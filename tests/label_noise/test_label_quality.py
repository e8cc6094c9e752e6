"""LabelQuality: wrong labels are found, by two passes and an average; no class runs empty."""

import pickle
from dataclasses import FrozenInstanceError, fields

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_info, threadpool_limits

from crust_sklearn.label_noise import (
    LabelQuality,
    get_label_posterior,
    get_min_ratios,
    get_sure_noise,
    join_features,
    label_quality,
    make_label_noise,
    threads,
)
from crust_sklearn.label_noise.label_quality import predict_labels

N = 400
H, TRUE = make_blobs(N, n_features=10, centers=4, cluster_std=1.5, random_state=0)
NOISY = make_label_noise(TRUE, "symmetric", 0.4, random_state=0).y


def judge(features, codes, n_classes=4, sample_weight=None, n_updates=1):
    quality = LabelQuality.start(codes, n_classes, sample_weight)
    for _ in range(n_updates):
        quality = quality.update(features)
    return quality


@pytest.mark.parametrize("n_features", [10, 600])  # 600: projected
def test_a_tensor_gives_what_an_array_gives(n_features):
    features = np.random.default_rng(0).normal(size=(N, n_features)).astype(np.float32)
    features[:, :10] += H
    found, expected = (judge(f, NOISY, n_updates=2) for f in (torch.tensor(features), features))
    np.testing.assert_allclose(found.predictions, expected.predictions, atol=1e-4)
    assert isinstance(found.predictions, np.ndarray)


def refit(features, codes, weights, ridge):
    """The predictions of scikit-learn's Ridge for the rows left out, one fit for each."""
    weights = weights / weights.sum()
    centered = features - weights @ features
    scale = np.linalg.eigvalsh((centered * weights[:, None]).T @ centered).mean()
    found = []
    for row in range(len(codes)):
        rest = weights * (np.arange(len(codes)) != row)
        model = Ridge(alpha=ridge * scale).fit(features, np.eye(4)[codes], sample_weight=rest)
        found.append(model.predict(features[row : row + 1])[0])
    return np.array(found)


def with_own(codes, own):
    """Predictions of two classes by what the given labels get."""
    return np.where(np.eye(2)[codes] > 0, np.asarray(own)[:, None], 1 - np.asarray(own)[:, None])


@pytest.fixture
def predictions(monkeypatch):
    """A list of predictions to be given in turn, two of them to the first selection if it finds
    wrong labels; what they were asked by is kept."""
    given, asked = [], []

    def predict(features, codes, n_classes, weights):
        asked.append((features, codes, weights))
        return [(slice(None), np.array(given[len(asked) - 1], dtype=np.float32))]

    monkeypatch.setattr(label_quality, "predict_in_parts", predict)
    # There are no features: what disagrees would do so from more rows.
    monkeypatch.setattr(label_quality, "get_shown_noise", lambda *args: 1.0)
    return given, asked


# -- what it finds ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_updates", [1, 4])
def test_wrong_labels_are_found(n_updates):
    quality, is_wrong = judge(H, NOISY, n_updates=n_updates), NOISY != TRUE
    assert roc_auc_score(is_wrong, -quality.scores) > 0.98
    assert np.mean(quality.suggested == TRUE) > 0.97
    assert quality.noise_rate == pytest.approx(is_wrong.mean(), abs=0.03)
    assert np.mean(is_wrong[quality.is_trusted]) < 0.02
    assert np.mean(quality.is_trusted[~is_wrong]) > 0.97


def test_of_clean_labels_all_are_trusted():
    quality = judge(H, TRUE)
    assert quality.is_trusted.all()
    assert quality.noise_rate < 0.02
    assert (quality.scores > 0.5).mean() > 0.98


def test_few_wrong_labels_are_scored_but_stay():
    noisy = TRUE.copy()
    noisy[:16] = (noisy[:16] + 1) % 4
    quality = judge(H, noisy)
    assert set(np.argsort(quality.scores)[:16]) == set(range(16))
    assert quality.noise_rate == pytest.approx(0.04, abs=0.01)
    assert quality.is_trusted.all()


def test_a_rare_class_keeps_its_labels():
    # The ridge gives the frequent class most of every row's prediction.
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [990, 10])
    features = rng.standard_normal((1000, 2))
    features[codes == 1] += 2.5
    quality = judge(features, codes, 2)
    assert np.sum(quality.predictions.argmax(axis=1) != codes) >= 5
    assert quality.is_trusted.all()
    assert np.mean(quality.suggested != codes) <= 0.005
    assert quality.noise_rate < 0.01


def test_wrong_labels_of_a_rare_class_are_found():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [380, 20])
    features = rng.standard_normal((400, 2))
    features[codes == 1] += 3.0
    noisy = codes.copy()
    noisy[:30:3] = 1
    quality = judge(features, noisy, 2, n_updates=3)
    assert np.mean(quality.suggested[codes == 1] == 1) > 0.8
    assert np.mean(quality.suggested[codes == 0] == 0) > 0.98


def test_all_labels_are_trusted_before_the_first_update():
    quality = LabelQuality.start(NOISY, 4)
    assert quality.is_trusted.all()
    assert quality.n_updates == quality.noise_rate == 0
    assert not quality.is_clean
    np.testing.assert_array_equal(quality.suggested, NOISY)


# -- the first selection ----------------------------------------------------------------------

PLAIN = np.repeat([0, 1], 100)


@pytest.mark.parametrize(("n_wrong", "is_clean"), [(4, True), (5, False), (6, False)])
def test_from_how_many_wrong_labels_on_some_are_not_trusted(n_wrong, is_clean, predictions):
    # Of each class. The rows are as sure, and the wrong ones come first: the bins are the classes.
    codes = PLAIN.copy()
    codes[:n_wrong], codes[100 : 100 + n_wrong] = 1, 0
    shares = np.where(np.eye(2)[PLAIN] > 0, 0.9, 0.1)
    predictions[0].extend([shares, shares])
    quality = judge(np.zeros((200, 1)), codes, 2)
    assert quality.is_clean is is_clean
    assert (~quality.is_trusted).sum() == (0 if is_clean else 2 * n_wrong)
    assert len(predictions[1]) == (1 if is_clean else 2)


def stand_for_class(weights, is_taken, codes):
    """Return the weights of the rows that are taken, each class with as much as all of it."""
    held = weights * is_taken
    for code in np.unique(codes):
        own = codes == code
        held[own] *= weights[own].sum() / held[own].sum()
    return held


def test_both_passes_of_the_first_selection(predictions):
    rng = np.random.default_rng(0)
    codes = np.where(rng.random(200) < 0.2, 1 - PLAIN, PLAIN)
    weights, features = rng.uniform(0.5, 1.5, 200), rng.standard_normal((200, 3))
    weights[::7] = 0.0
    first, second = (
        np.where(np.eye(2)[PLAIN] > 0, sure, 1 - sure)
        for sure in rng.uniform(0.45, 0.9, (2, 200, 1))
    )
    predictions[0].extend([first, second])
    quality = judge(features, codes, 2, weights)
    counts = weights > 0
    sure = first.astype(np.float32)[counts], codes[counts], weights[counts]
    assert get_sure_noise(*sure) > 0.06
    ratios = get_min_ratios(*sure).toarray()
    np.testing.assert_array_equal(quality.min_ratios.toarray(), ratios)
    # All rows, and then those whose label gets enough of the first predictions.
    is_enough = [
        row[g] >= ratios[row.argmax(), g] * row.max() for row, g in zip(first, codes, strict=True)
    ]
    assert 20 < np.sum(is_enough) < 180
    for (of_fit, given_codes, of_rows), expected in zip(
        predictions[1], (weights, stand_for_class(weights, is_enough, codes)), strict=True
    ):
        np.testing.assert_array_equal(of_fit, features)
        np.testing.assert_array_equal(given_codes, codes)
        np.testing.assert_allclose(of_rows, expected)
    # What counts is what the second says.
    np.testing.assert_allclose(quality.predictions, second, atol=1e-6)
    trusted = [
        row[g] >= ratios[row.argmax(), g] * row.max() for row, g in zip(second, codes, strict=True)
    ]
    np.testing.assert_array_equal(quality.is_trusted, trusted)


def test_where_the_first_selection_finds_no_noise_all_are_trusted_for_good(predictions):
    right = np.where(np.eye(2)[PLAIN] > 0, 0.9, 0.1)
    predictions[0].extend([right, 1 - right, 1 - right, 1 - right])
    quality = LabelQuality.start(PLAIN, 2)
    for n_updates in range(1, 5):
        quality = quality.update(np.zeros((200, 1)))
        assert quality.is_trusted.all() and quality.is_plausible.all() and quality.is_clean
        assert not quality.min_ratios.toarray().any()
        np.testing.assert_array_equal(predictions[1][-1][2], np.ones(200))
        assert len(predictions[1]) == n_updates  # one pass each
    # What contradicts nearly all labels says nothing of them.
    assert quality.noise_rate < 0.01


def test_rows_of_weight_zero_do_not_tell_whether_there_is_noise(predictions):
    codes = PLAIN.copy()
    codes[:30] = 1
    right = np.where(np.eye(2)[PLAIN] > 0, 0.9, 0.1)
    predictions[0].append(right)
    assert judge(np.zeros((200, 1)), codes, 2, np.where(codes == PLAIN, 1.0, 0.0)).is_clean


# -- later selections, and the average --------------------------------------------------------


def test_the_average_over_the_selections(predictions):
    given_predictions, asked = predictions
    rng = np.random.default_rng(0)
    # None of so few rows tells of noise: the first selection makes one pass.
    given_predictions += list(0.1 + 0.7 * rng.dirichlet(np.ones(3), (5, 29)))
    codes = np.arange(29) % 3
    quality = LabelQuality.start(codes, 3)
    for k in range(1, 6):
        features = rng.standard_normal((29, 2))
        quality = quality.update(features)
        average = sum(given_predictions[:k]) / k
        np.testing.assert_allclose(quality.predictions, average, atol=1e-6)
        np.testing.assert_allclose(quality.residuals, average - np.eye(3)[codes], atol=1e-6)
        np.testing.assert_allclose(quality.own, average[np.arange(29), codes], atol=1e-6)
        assert quality.predictions.dtype == quality.residuals.dtype == np.float32
        assert quality.n_updates == k
        np.testing.assert_array_equal(asked[-1][0], features)
        np.testing.assert_array_equal(asked[-1][1], codes)


def test_predictions_become_shares(predictions):
    predictions[0].append(np.array([[1.5, -0.5], [0.25, 0.75], [3.0, 1.0]]))
    quality = judge(np.zeros((3, 1)), np.array([0, 1, 0]), 2)
    share = 1e-4 / (1.5 + 1e-4)
    expected = [[1 - share, share], [0.25, 0.75], [0.75, 0.25]]
    np.testing.assert_allclose(quality.predictions, expected, rtol=1e-5)


NOISE = np.arange(200) % 5 == 0
GIVEN = np.where(NOISE, 1 - PLAIN, PLAIN)


def test_trust_goes_by_the_average(predictions):
    """A row left out comes back when the average says so, and one that was trusted goes."""
    own = np.where(NOISE, 0.1, 0.9)
    back, gone = own.copy(), own.copy()
    back[0], gone[1] = 0.9, 0.01
    predictions[0].extend(with_own(GIVEN, o) for o in (own, own, back, back, gone, gone, gone))
    quality = LabelQuality.start(GIVEN, 2)
    trusted = []
    for n_updates in range(1, 7):
        quality = quality.update(np.zeros((200, 1)))
        trusted.append((bool(quality.is_trusted[0]), bool(quality.is_trusted[1])))
        np.testing.assert_array_equal(quality.is_trusted[2:], ~NOISE[2:])
        if n_updates == 2:
            # The third fit: without the rows that were not trusted after the first.
            np.testing.assert_allclose(
                predictions[1][2][2], stand_for_class(np.ones(200), ~NOISE, GIVEN)
            )
    # Row 0 gets .1, .5, .63; row 1 .9, .9, .9, .68, .54, .46. Of the other class: .5 suffices.
    assert quality.min_ratios[1, 0] == pytest.approx(np.cbrt(10.5 / 40.5))
    shares = np.array([[0.1, 0.9], [0.5, 0.9], [1.9 / 3, 0.9]])
    shares = np.r_[shares, [[2.0 / 4, 2.71 / 4], [2.1 / 5, 2.72 / 5], [2.2 / 6, 2.73 / 6]]]
    ratios = shares / np.maximum(1 - shares, 1e-9)
    expected = ratios >= [quality.min_ratios[0, 1], quality.min_ratios[1, 0]]
    np.testing.assert_array_equal(trusted, expected)
    assert (trusted[0], trusted[2]) == ((False, True), (True, True))


def test_quality_and_suggestions_are_the_posterior_of_the_average():
    weights = np.arange(N) % 3.0
    quality = judge(H, NOISY, sample_weight=weights, n_updates=3)
    expected = get_label_posterior(quality.predictions, NOISY, weights)
    np.testing.assert_array_equal(quality.scores, expected.right)
    np.testing.assert_array_equal(quality.suggested, expected.suggested)
    assert quality.noise_rate == pytest.approx(weights @ (1 - expected.right) / weights.sum())


def test_the_best_row_of_a_distrusted_class_is_kept(predictions):
    # A third class, of three rows that belong elsewhere.
    codes, own = np.r_[GIVEN, 2, 2, 2], np.array([0.01, 0.05, 0.03])
    shares = np.column_stack([with_own(GIVEN, np.where(NOISE, 0.1, 0.9)), np.zeros(200)])
    shares = np.r_[shares, np.column_stack([np.full(3, 0.9), 0.1 - own, own])]
    predictions[0].extend([shares, shares])
    quality = judge(np.zeros((203, 1)), codes, 3)
    np.testing.assert_array_equal(quality.is_trusted, np.r_[~NOISE, False, True, False])
    # Which does not make it plausible.
    np.testing.assert_array_equal(quality.is_plausible, np.r_[~NOISE, False, False, False])
    # The best one that counts.
    predictions[1].clear()
    weights = np.r_[np.ones(200), 1, 0, 1]
    weighted = judge(np.zeros((203, 1)), codes, 3, weights)
    np.testing.assert_array_equal(weighted.is_trusted[-3:], [False, False, True])


def test_the_predictions_are_those_of_refits_without_each_row():
    codes, weights = NOISY[:60], np.random.default_rng(0).uniform(0.5, 2.0, 60)
    predictions = predict_labels(H[:60], codes, 4, weights).values
    ridge = min(
        (1e-3, 1e-2, 1e-1, 1.0, 10.0),
        key=lambda r: weights @ ((refit(H[:60], codes, weights, r) - np.eye(4)[codes]) ** 2).sum(1),
    )
    shares = np.maximum(refit(H[:60], codes, weights, ridge), 1e-4)
    np.testing.assert_allclose(predictions, shares / shares.sum(axis=1, keepdims=True), atol=1e-5)


# -- any input --------------------------------------------------------------------------------


@st.composite
def problems(draw):
    n_rows, n_classes = draw(st.integers(2, 40)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    features = rng.standard_normal((n_rows, draw(st.integers(1, 6))))
    kind = draw(st.sampled_from(["any", "grid", "constant", "one column constant", "huge", "tiny"]))
    if kind == "grid":
        features = np.round(features)
    elif kind == "constant":
        features[:] = draw(st.sampled_from([0.0, 1.0, -3e7]))
    elif kind == "one column constant":
        features[:, 0] = 5.0
    elif kind in ("huge", "tiny"):
        features *= 1e30 if kind == "huge" else 1e-30
    codes = rng.integers(n_classes, size=n_rows)
    if draw(st.booleans()):
        # One row of the last class, and all others of few.
        codes = rng.integers(max(1, n_classes - 2), size=n_rows)
        codes[0] = n_classes - 1
    weights = None
    if draw(st.booleans()):
        weights = rng.integers(0, 3, n_rows).astype(float)
        weights[rng.integers(n_rows)] = 1.0
    return features.astype(draw(st.sampled_from(["float32", "float64"]))), codes, n_classes, weights


@given(problem=problems(), n_updates=st.integers(1, 3))
@settings(max_examples=100)
def test_what_holds_for_any_rows(problem, n_updates):
    features, codes, n_classes, weights = problem
    quality = judge(features, codes, n_classes, weights, n_updates)
    assert np.isfinite(quality.predictions).all()
    assert (quality.predictions > 0).all()
    np.testing.assert_allclose(quality.predictions.sum(axis=1), 1.0, atol=1e-5)
    assert ((quality.scores >= 0) & (quality.scores <= 1)).all()
    assert 0 <= quality.noise_rate <= 1
    np.testing.assert_array_equal(quality.scores < 0.5, quality.suggested != codes)
    counts = np.ones(len(codes), bool) if weights is None else weights > 0
    assert set(codes[counts]) == set(codes[counts & quality.is_trusted])
    off = quality.min_ratios.toarray()[~np.eye(n_classes, dtype=bool)]
    assert quality.is_clean or ((off >= 0) & (off <= 0.85)).all()
    assert quality.is_trusted.all() or not quality.is_clean
    assert not (quality.is_plausible & ~quality.is_trusted).any()
    # The best label is always enough.
    is_best = quality.own == quality.predictions.max(axis=1)
    assert quality.is_trusted[is_best].all()


@pytest.mark.parametrize("n_updates", [1, 3])
def test_order_of_rows_does_not_matter(n_updates):
    order = np.random.default_rng(1).permutation(N)
    plain = judge(H, NOISY, n_updates=n_updates)
    shuffled = judge(H[order], NOISY[order], n_updates=n_updates)
    np.testing.assert_allclose(shuffled.predictions, plain.predictions[order], atol=1e-4)
    np.testing.assert_array_equal(shuffled.is_trusted, plain.is_trusted[order])


def test_classes_in_another_order_are_the_same_classes():
    order = np.array([2, 0, 3, 1])
    plain, other = judge(H, NOISY), judge(H, order[NOISY])
    moved, ratios = other.min_ratios.toarray(), plain.min_ratios.toarray()
    np.testing.assert_allclose(moved[np.ix_(order, order)], ratios, atol=1e-4)
    np.testing.assert_array_equal(other.is_trusted, plain.is_trusted)


@pytest.mark.parametrize("n_updates", [1, 3])
def test_rows_of_weight_zero_change_nothing_for_the_others(n_updates):
    weights = np.ones(N)
    weights[:100] = 0.0
    moved, labels = H.copy(), NOISY.copy()
    moved[:100] = moved[:100][::-1]
    labels[:100] = labels[:100][::-1]
    whole = judge(H, NOISY, sample_weight=weights, n_updates=n_updates)
    other = judge(moved, labels, sample_weight=weights, n_updates=n_updates)
    alone = judge(H[100:], NOISY[100:], n_updates=n_updates)
    for quality in (whole, other):
        np.testing.assert_allclose(quality.predictions[100:], alone.predictions, atol=1e-4)
        np.testing.assert_array_equal(quality.is_trusted[100:], alone.is_trusted)
        assert quality.noise_rate == pytest.approx(alone.noise_rate, abs=1e-3)
    # But they are judged as well.
    assert np.mean(whole.suggested[:100] == TRUE[:100]) > 0.95


def test_the_unit_of_the_weights_does_not_matter():
    weights = np.random.default_rng(0).uniform(0.5, 1.5, N)
    plain = judge(H, NOISY, sample_weight=weights, n_updates=2)
    for factor in (2.0**-20, 2.0**20):
        scaled = judge(H, NOISY, sample_weight=factor * weights, n_updates=2)
        np.testing.assert_array_equal(scaled.is_trusted, plain.is_trusted)
        np.testing.assert_allclose(scaled.scores, plain.scores, atol=1e-4)


def test_rows_count_in_the_fit_as_they_are():
    # Not each class the same: twice the weight is twice the say.
    weights = np.where(NOISY == 0, 2.0, 1.0)
    doubled = np.repeat(np.arange(N), weights.astype(int))
    apart = predict_labels(H[doubled], NOISY[doubled], 4, np.ones(len(doubled))).values
    together = predict_labels(H, NOISY, 4, weights).values
    once = NOISY != 0  # the others have a twin that stays
    np.testing.assert_allclose(together[once], apart[NOISY[doubled] != 0], atol=2e-3)
    plain = predict_labels(H, NOISY, 4, np.ones(N)).values
    assert together[:, 0].mean() > plain[:, 0].mean() + 0.05


# -- it does not change -----------------------------------------------------------------------


def arrays(quality):
    return {f.name: np.array(getattr(quality, f.name)) for f in fields(quality)}


def test_an_instance_never_changes():
    quality = judge(H, NOISY, n_updates=2)
    before, is_plausible = arrays(quality), quality.is_plausible.copy()
    quality.update(H[::-1])
    assert quality.scores.shape == quality.suggested.shape == quality.residuals.shape[:1]
    for name, array in arrays(quality).items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(quality.is_plausible, is_plausible)
    with pytest.raises(FrozenInstanceError):
        quality.n_updates = 0


@pytest.mark.parametrize("n_updates", [0, 1, 3])
def test_arrays_that_must_not_be_written_to_are_not(n_updates):
    quality = judge(H, NOISY, sample_weight=np.arange(N) % 3.0, n_updates=n_updates)
    frozen = LabelQuality(**arrays(quality) | {"n_updates": n_updates})
    for field in fields(frozen):
        if field.name != "n_updates":
            getattr(frozen, field.name).setflags(write=False)
    features = H.copy()
    features.setflags(write=False)
    found, expected = frozen.update(features), quality.update(H)
    np.testing.assert_array_equal(found.predictions, expected.predictions)
    np.testing.assert_array_equal(found.is_trusted, expected.is_trusted)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_it_goes_on_from_a_memory_map_and_from_a_pickle(tmp_path):
    quality = judge(H, NOISY, n_updates=2)
    joblib.dump(quality, tmp_path / "quality")
    mapped = joblib.load(tmp_path / "quality", mmap_mode="r")
    assert not mapped.predictions.flags.writeable
    for again in (mapped, pickle.loads(pickle.dumps(quality))):
        expected, found = quality.update(H), again.update(H)
        for name, array in arrays(found).items():
            np.testing.assert_array_equal(array, getattr(expected, name))


# -- many features ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_features, n_used", [(512, 512), (513, 512), (700, 512)])
def test_many_features_are_projected(n_features, n_used, predictions):
    predictions[0].append(np.full((5, 2), 0.5))
    features = np.random.default_rng(0).standard_normal((5, n_features)).astype(np.float32)
    judge(features, np.array([0, 1, 0, 1, 0]), 2)
    used = predictions[1][0][0]
    assert used.shape == (5, n_used)
    assert used.dtype == np.float32
    if n_features == 512:
        np.testing.assert_array_equal(used, features)
    else:  # which roughly keeps distances
        whole, part = (np.linalg.norm(h[0] - h[1:], axis=1) for h in (features, used))
        assert np.ptp(part / whole) / np.mean(part / whole) < 0.25


def test_many_features_find_wrong_labels_too_and_every_time():
    rng = np.random.default_rng(0)
    wide = (H @ rng.standard_normal((10, 600))).astype(np.float32)
    first, second = judge(wide, NOISY), judge(wide, NOISY)
    np.testing.assert_array_equal(first.predictions, second.predictions)
    assert roc_auc_score(NOISY != TRUE, -first.scores) > 0.95


@pytest.mark.parametrize("is_small", [True, False])
def test_small_problems_take_one_thread_of_the_blas(is_small, monkeypatch):
    def count_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    seen = []
    predict = label_quality.predict_in_parts

    def watch(*args):
        for found in predict(*args):
            seen.extend(count_threads())
            yield found

    monkeypatch.setattr(label_quality, "predict_in_parts", watch)
    monkeypatch.setattr(threads, "MIN_THREADED", len(H) * H.shape[1] ** 2 + is_small)
    with threadpool_limits(2, user_api="blas"):
        before = count_threads()
        judge(H, NOISY)
        assert count_threads() == before
    # In both passes.
    assert seen == 2 * ([1] * len(before) if is_small else before)


def test_what_a_label_must_get_is_decided_by_the_first_selection():
    first = judge(H, NOISY)
    second = first.update(np.random.default_rng(0).standard_normal(H.shape))
    np.testing.assert_array_equal(second.min_ratios.toarray(), first.min_ratios.toarray())


# -- features of several sources --------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32 - 1),
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    powers=st.lists(st.sampled_from([-150, -12, 0, 3, 150, 300]), min_size=3, max_size=3),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=60)
def test_blocks_are_centred_and_of_mean_square_one(seed, widths, powers, dtype):
    rng = np.random.default_rng(seed)
    raw = [rng.standard_normal((20, width)) + rng.uniform(-3, 3, width) for width in widths]
    most = 30 if dtype == "float32" else 300
    blocks = [
        (block * 10.0 ** np.clip(power, -most, most)).astype(dtype)
        for block, power in zip(raw, powers, strict=False)
    ]
    joined = join_features(blocks)
    assert (joined.shape, joined.dtype) == ((20, sum(widths)), np.float32)
    for part, block in zip(np.split(joined, np.cumsum(widths)[:-1], axis=1), raw, strict=True):
        centred = block - block.mean(axis=0)
        expected = centred / np.sqrt((centred**2).mean())
        np.testing.assert_allclose(part, expected, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0, -3e30])
def test_a_constant_block_says_nothing(value):
    varying = np.arange(6.0).reshape(6, 1)
    joined = join_features([np.full((6, 2), value), varying])
    np.testing.assert_array_equal(joined[:, :2], 0.0)
    np.testing.assert_allclose(joined[:, 2:], join_features([varying]))


def test_blocks_are_left_as_they_are():
    blocks = [np.arange(6.0).reshape(3, 2), np.arange(3, dtype=np.float32)[:, None]]
    for block in blocks:
        block.setflags(write=False)
    join_features(blocks)
    np.testing.assert_array_equal(blocks[0], np.arange(6.0).reshape(3, 2))
