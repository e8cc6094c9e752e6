"""LabelQuality: wrong labels are found, averages are right, no class runs empty."""

import pickle
from dataclasses import FrozenInstanceError, fields

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_info, threadpool_limits

from crust_sklearn.label_noise import (
    LabelQuality,
    label_quality,
    make_label_noise,
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


def balanced(codes, is_used):
    """Weights of the used rows, of sum one in each class."""
    weights = np.zeros(len(codes))
    for code in np.unique(codes[is_used]):
        rows = is_used & (codes == code)
        weights[rows] = 1 / rows.sum()
    return weights


@pytest.fixture
def predictions(monkeypatch):
    """A list of predictions to be given in turn; what they were asked by is kept."""
    given, asked = [], []

    def predict(features, one_hot, weights):
        asked.append((features, one_hot, weights))
        return given[len(asked) - 1].copy()

    monkeypatch.setattr(label_quality, "leave_one_out_predictions", predict)
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
    noisy[:20] = (noisy[:20] + 1) % 4
    quality = judge(H, noisy)
    assert set(np.argsort(quality.scores)[:20]) == set(range(20))
    assert quality.noise_rate == pytest.approx(0.05, abs=0.01)
    assert quality.is_trusted.all()


def test_a_rare_class_is_not_outvoted():
    # One fit for all rows alike would give most of what is rare to the frequent class.
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [380, 20])
    features = rng.standard_normal((400, 2))
    features[codes == 1] += 3.0
    noisy = codes.copy()
    noisy[:30:3] = 1
    quality = judge(features, noisy, 2, n_updates=3)
    assert np.mean(quality.suggested[codes == 1] == 1) > 0.9
    assert np.mean(quality.suggested[codes == 0] == 0) > 0.9


def test_all_labels_are_trusted_before_the_first_update():
    quality = LabelQuality.start(NOISY, 4)
    assert quality.is_trusted.all()
    assert quality.n_updates == quality.noise_rate == 0
    np.testing.assert_array_equal(quality.suggested, NOISY)


# -- the average ------------------------------------------------------------------------------


def test_the_average_over_the_updates(predictions):
    given_predictions, asked = predictions
    rng = np.random.default_rng(0)
    given_predictions += list(0.1 + 0.7 * rng.dirichlet(np.ones(3), (5, 30)))
    codes = np.arange(30) % 3
    quality = LabelQuality.start(codes, 3)
    for k in range(1, 6):
        quality = quality.update(np.zeros((30, 2)))
        last = given_predictions[k - 1]
        np.testing.assert_allclose(quality.average, sum(given_predictions[:k]) / k, atol=1e-12)
        np.testing.assert_allclose(quality.predictions, last, atol=1e-12)
        np.testing.assert_allclose(quality.residuals, last - np.eye(3)[codes], atol=1e-6)
        assert quality.residuals.dtype == np.float32
        assert quality.n_updates == k
        np.testing.assert_array_equal(asked[-1][1], np.eye(3)[codes])


def test_predictions_become_shares(predictions):
    predictions[0].append(np.array([[1.5, -0.5], [0.25, 0.75], [3.0, 1.0]]))
    quality = judge(np.zeros((3, 1)), np.array([0, 1, 0]), 2)
    share = 1e-4 / (1.5 + 1e-4)
    np.testing.assert_allclose(quality.average, [[1 - share, share], [0.25, 0.75], [0.75, 0.25]])
    np.testing.assert_allclose(quality.scores, [1 - share, 0.75, 0.75])


def test_trust_goes_by_the_last_predictions_and_quality_by_all(predictions):
    codes = np.array([0, 0, 0, 1, 1, 1])
    own = np.array([[0.9, 0.9, 0.1, 0.9, 0.9, 0.1], [0.9, 0.2, 0.6, 0.9, 0.9, 0.7]])
    predictions[0].extend(np.where(np.eye(2)[codes] > 0, o[:, None], 1 - o[:, None]) for o in own)
    quality = judge(np.zeros((6, 1)), codes, 2, n_updates=2)
    np.testing.assert_array_equal(quality.is_trusted, own[1] > 0.5)
    np.testing.assert_allclose(quality.scores, own.mean(axis=0))
    np.testing.assert_array_equal(quality.suggested != codes, [0, 0, 1, 0, 0, 1])
    assert quality.noise_rate == pytest.approx(1 / 6)


def test_a_tie_within_rounding_is_one(predictions):
    half = np.nextafter(0.5, 0.0)
    predictions[0].append(np.array([[half, 0.5], [0.5, half], [0.5, 0.5], [0.5, 0.5]]))
    quality = judge(np.zeros((4, 1)), np.array([0, 0, 0, 1]), 2)
    np.testing.assert_array_equal(quality.suggested != quality.codes, quality.scores < 0.5)
    assert quality.noise_rate == 0.0


def test_who_is_trusted_and_takes_part(predictions):
    given_predictions, asked = predictions
    # So few rows are all anchors, and half of their labels wrong: the most is asked, 0.85.
    own = np.array([0.9, 0.5, 0.46, 0.45, 0.1, 0.8, 0.1, 0.9])
    codes = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    shares = np.where(np.eye(2)[codes] > 0, own[:, None], 1 - own[:, None])
    given_predictions += [shares, shares]
    quality = judge(np.zeros((8, 1)), codes, 2, n_updates=2)
    expected = np.array([True, True, True, False, False, True, False, True])
    np.testing.assert_array_equal(quality.is_trusted, expected)
    np.testing.assert_array_equal(quality.suggested, [0, 0, 1, 1, 1, 1, 0, 1])
    assert quality.noise_rate == pytest.approx(3 / 8)
    np.testing.assert_allclose(quality.scores, own)
    np.testing.assert_allclose(asked[0][2], balanced(codes, np.ones(8, bool)))
    np.testing.assert_allclose(asked[1][2], balanced(codes, expected))


def test_the_best_row_of_a_distrusted_class_is_kept(predictions):
    own = np.array([0.9, 0.9, 0.9, 0.1, 0.3, 0.2])
    codes = np.array([0, 0, 0, 1, 1, 1])
    predictions[0].append(np.where(np.eye(2)[codes] > 0, own[:, None], 1 - own[:, None]))
    quality = judge(np.zeros((6, 1)), codes, 2)
    np.testing.assert_array_equal(quality.is_trusted, [True] * 3 + [False, True, False])
    # The best one that counts.
    predictions[1].clear()
    weighted = judge(np.zeros((6, 1)), codes, 2, np.array([1.0, 1, 1, 1, 0, 1]))
    np.testing.assert_array_equal(weighted.is_trusted, [True] * 3 + [False, False, True])


def test_trust_is_given_back_when_no_sure_label_is_wrong(predictions):
    codes = np.repeat([0, 1], 12)
    own = np.full(24, 0.9)
    own[0] = 0.1
    noisy = np.where(np.eye(2)[codes] > 0, own[:, None], 1 - own[:, None])
    own[0] = 0.45
    unsure = np.where(np.eye(2)[codes] > 0, own[:, None], 1 - own[:, None])
    predictions[0].extend([noisy, noisy, unsure])
    quality = LabelQuality.start(codes, 2)
    untrusted = []
    for _ in range(3):
        quality = quality.update(np.zeros((24, 1)))
        untrusted.append(np.flatnonzero(~quality.is_trusted).tolist())
    assert untrusted == [[0], [0], []]
    assert quality.noise_rate == 0.0  # 0.45 is near enough to the best


def test_the_predictions_are_those_of_refits_without_each_row():
    codes, weights = NOISY[:60], np.random.default_rng(0).uniform(0.5, 2.0, 60)
    predictions = predict_labels(H[:60], codes, 4, weights)
    ridge = min(
        (1e-3, 1e-2, 1e-1, 1.0, 10.0),
        key=lambda r: weights @ ((refit(H[:60], codes, weights, r) - np.eye(4)[codes]) ** 2).sum(1),
    )
    shares = np.maximum(refit(H[:60], codes, weights, ridge), 1e-4)
    np.testing.assert_allclose(predictions, shares / shares.sum(axis=1, keepdims=True), atol=1e-8)


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
@settings(max_examples=150, deadline=None)
def test_what_holds_for_any_rows(problem, n_updates):
    features, codes, n_classes, weights = problem
    quality = judge(features, codes, n_classes, weights, n_updates)
    assert np.isfinite(quality.average).all()
    assert (quality.average > 0).all()
    np.testing.assert_allclose(quality.average.sum(axis=1), 1.0, atol=1e-12)
    assert ((quality.scores >= 0) & (quality.scores <= 1)).all()
    assert 0 <= quality.noise_rate <= 1
    np.testing.assert_array_equal(quality.scores < 0.5, quality.suggested != codes)
    counts = np.ones(len(codes), bool) if weights is None else weights > 0
    assert set(codes[counts]) == set(codes[counts & quality.is_trusted])
    is_best = quality.get_given(quality.predictions) == quality.predictions.max(axis=1)
    off = quality.min_ratios[~np.eye(n_classes, dtype=bool)]
    assert ((off >= 0) & (off <= 0.85)).all()
    low = np.average(~quality.is_trusted, weights=weights)
    assert low - 1e-12 <= quality.noise_rate <= np.average(~is_best, weights=weights) + 1e-12


@pytest.mark.parametrize("n_updates", [1, 3])
def test_order_of_rows_does_not_matter(n_updates):
    order = np.random.default_rng(1).permutation(N)
    plain = judge(H, NOISY, n_updates=n_updates)
    shuffled = judge(H[order], NOISY[order], n_updates=n_updates)
    np.testing.assert_allclose(shuffled.average, plain.average[order], atol=1e-9)
    np.testing.assert_array_equal(shuffled.is_trusted, plain.is_trusted[order])


def test_classes_in_another_order_are_the_same_classes():
    order = np.array([2, 0, 3, 1])
    plain, other = judge(H, NOISY), judge(H, order[NOISY])
    np.testing.assert_allclose(other.min_ratios[np.ix_(order, order)], plain.min_ratios, atol=1e-4)
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
        np.testing.assert_allclose(quality.average[100:], alone.average, atol=1e-9)
        np.testing.assert_array_equal(quality.is_trusted[100:], alone.is_trusted)
        assert quality.noise_rate == pytest.approx(alone.noise_rate)
    # But they are judged as well.
    assert np.mean(whole.suggested[:100] == TRUE[:100]) > 0.95


def test_classes_count_the_same_whatever_they_weigh():
    weights = np.ones(N)
    weights[NOISY == 0] = 2.0
    np.testing.assert_allclose(
        judge(H, NOISY, sample_weight=weights).average, judge(H, NOISY).average, atol=1e-9
    )


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


def test_what_a_class_keeps_does_not_make_it_plausible(predictions):
    own = np.array([0.9, 0.9, 0.9, 0.1, 0.3, 0.2])
    codes = np.array([0, 0, 0, 1, 1, 1])
    predictions[0].append(np.where(np.eye(2)[codes] > 0, own[:, None], 1 - own[:, None]))
    quality = judge(np.zeros((6, 1)), codes, 2)
    np.testing.assert_array_equal(quality.is_plausible, own > 0.5)
    assert quality.is_trusted[4]
    assert quality.noise_rate == 0.5


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
    np.testing.assert_array_equal(found.average, expected.average)
    np.testing.assert_array_equal(found.is_trusted, expected.is_trusted)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_it_goes_on_from_a_memory_map_and_from_a_pickle(tmp_path):
    quality = judge(H, NOISY, n_updates=2)
    joblib.dump(quality, tmp_path / "quality")
    mapped = joblib.load(tmp_path / "quality", mmap_mode="r")
    assert not mapped.average.flags.writeable
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
    np.testing.assert_array_equal(first.average, second.average)
    assert roc_auc_score(NOISY != TRUE, -first.scores) > 0.95


@pytest.mark.parametrize("is_small", [True, False])
def test_small_problems_take_one_thread_of_the_blas(is_small, monkeypatch):
    def count_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    seen = []
    predict = label_quality.leave_one_out_predictions

    def watch(*args):
        seen.extend(count_threads())
        return predict(*args)

    monkeypatch.setattr(label_quality, "leave_one_out_predictions", watch)
    monkeypatch.setattr(label_quality, "MIN_THREADED", len(H) * H.shape[1] ** 2 + is_small)
    with threadpool_limits(2, user_api="blas"):
        before = count_threads()
        judge(H, NOISY)
        assert count_threads() == before
    assert seen == ([1] * len(before) if is_small else before)


def test_what_a_label_must_get_is_decided_by_the_first_selection():
    first = judge(H, NOISY)
    second = first.update(np.random.default_rng(0).standard_normal(H.shape))
    np.testing.assert_array_equal(second.min_ratios, first.min_ratios)
