import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import make_circles
from sklearn.metrics.pairwise import rbf_kernel

from crust_sklearn import CRUSTClassifier
from crust_sklearn.label_noise import (
    LabelQuality,
    choose_features,
    join_features,
    leave_one_out_predictions,
    make_kernel_features,
    make_label_noise,
)
from crust_sklearn.label_noise.label_quality import hold_shares
from crust_sklearn.modules import MLP

CIRCLES, RINGS = make_circles(400, factor=0.5, noise=0.05, random_state=0)
CIRCLES = CIRCLES.astype(np.float32)


def test_kernel_is_the_gaussian_one_by_the_variance_of_all_inputs():
    X = np.random.default_rng(0).normal(3.0, [1.0, 2.0, 0.5], (60, 3))
    found = make_kernel_features(X)
    expected = rbf_kernel(X, gamma=1.0 / X.var(axis=0).sum())
    # 256 random features: their products err by a sixteenth of the kernel's spread.
    assert np.abs(found @ found.T - expected).mean() < 0.05
    np.testing.assert_array_equal(found, make_kernel_features(X))


@pytest.mark.parametrize("factor", [1e-150, 1e150])
def test_kernel_of_inputs_of_any_size(factor):
    np.testing.assert_allclose(
        make_kernel_features(factor * CIRCLES.astype(np.float64)),
        make_kernel_features(CIRCLES),
        atol=1e-3,
    )


def test_kernel_of_constant_inputs():
    features = make_kernel_features(np.full((5, 2), 7.0))
    assert np.ptp(features, axis=0).max() == 0.0


def test_features_are_chosen_by_what_they_predict_of_wrong_labels_too():
    noisy = make_label_noise(RINGS, rate=0.3, random_state=0).y
    plain, kernel = join_features([CIRCLES]), make_kernel_features(CIRCLES)
    for order in ([plain, kernel], [kernel, plain]):
        assert choose_features(*order, noisy, 2, np.ones(400)) is kernel
    # Of more than are fitted as they are.
    wide = np.random.default_rng(0).standard_normal((400, 600)).astype(np.float32)
    assert choose_features(wide, kernel, noisy, 2, np.ones(400)) is kernel


@pytest.mark.parametrize("weights", [np.ones(150), 1.0 + np.arange(150) % 3])
def test_more_features_are_taken_if_they_gain_more_than_a_standard_error(weights):
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=150)
    base = np.eye(3)[codes] + rng.normal(size=(150, 3))
    found = []
    for scale in np.geomspace(0.2, 30, 12):
        more = np.hstack([base, np.eye(3)[codes] + scale * rng.normal(size=(150, 3))])
        errors = [
            np.square(leave_one_out_predictions(X, codes, 3, weights) - np.eye(3)[codes]).sum(1)
            for X in (base, more)
        ]
        gains, shares = errors[0] - errors[1], weights / weights.sum()
        mean = shares @ gains
        error = np.sqrt(np.sum((shares * (gains - mean)) ** 2))
        found.append(choose_features(base, more, codes, 3, weights) is more)
        assert found[-1] == (mean > error)
    assert found[0] and not found[-1]


def test_rows_of_weight_zero_do_not_choose():
    codes = np.repeat([0, 1, 0, 1], 10)
    useful = np.where(codes == 0, -1.0, 1.0)[:, None]
    weights, nothing = np.r_[np.zeros(20), np.ones(20)], np.zeros((40, 1))
    in_vain = np.r_[useful[:20], nothing[20:]]
    assert choose_features(nothing, useful, codes, 2, weights) is useful
    assert choose_features(nothing, in_vain, codes, 2, weights) is nothing


@given(
    codes=hnp.arrays(np.int64, 30, elements=st.integers(0, 3)),
    is_taken=hnp.arrays(bool, 30),
    weights=hnp.arrays(np.float64, 30, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0])),
)
def test_what_is_left_of_a_class_stands_for_all_of_it(codes, is_taken, weights):
    held = hold_shares(weights, codes, is_taken)
    assert not held[~is_taken].any()
    for code in range(4):
        of_class = codes == code
        if (weights * is_taken)[of_class].any():
            np.testing.assert_allclose(held[of_class].sum(), weights[of_class].sum())
            taken = of_class & is_taken & (weights > 0)
            assert np.ptp(held[taken] / weights[taken]) < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_selections_do_not_forget_the_smaller_of_two_classes_that_overlap(seed):
    rng, sizes = np.random.default_rng(seed), [400, 200]
    codes = np.repeat([0, 1], sizes)
    X = rng.normal(codes[:, None] * 0.6, 1.0, (600, 2)).astype(np.float32)
    quality = LabelQuality.start(codes, 2)
    for _ in range(12):
        quality = quality.update(X)
    kept = np.bincount(codes[quality.is_trusted], minlength=2) / sizes
    assert kept.min() > 0.6
    assert np.ptp(kept) < 0.25


def test_a_linear_network_does_not_take_for_wrong_what_it_cannot_learn():
    net = CRUSTClassifier(
        MLP, module__hidden_sizes=(), max_epochs=3, lr=0.01, random_state=0, verbose=0
    )
    net.fit(CIRCLES, RINGS)
    assert len(net.coreset_indices_) == len(RINGS)
    noisy = make_label_noise(RINGS, rate=0.2, random_state=0).y
    net.fit(CIRCLES, noisy)
    kept = net.coreset_indices_
    assert np.mean(noisy[kept] == RINGS[kept]) > 0.95
