"""Leave-one-out predictions against refitting without each row."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.utils import gen_batches
from torch.overrides import TorchFunctionMode

from crust_sklearn.label_noise import held_out, leave_one_out_predictions
from crust_sklearn.label_noise.held_out import RIDGES


def refit(H, codes, n_classes, weights, ridge):
    """The predictions of scikit-learn's Ridge for the rows left out, one fit for each."""
    weights, Y = weights / weights.sum(), np.eye(n_classes)[codes]
    centered = H - weights @ H
    scale = np.linalg.eigvalsh((centered * weights[:, None]).T @ centered).mean() or 1.0
    found = []
    for i in range(len(H)):
        rest = weights.copy()
        rest[i] = 0.0
        model = Ridge(alpha=ridge * scale, solver="cholesky").fit(centered, Y, sample_weight=rest)
        found.append(model.predict(centered[i : i + 1])[0])
    return np.array(found)


def make_rows(n_rows=40, n_features=5, n_classes=3, seed=0):
    """Whole numbers around a mean of each class: every dtype has them."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(n_classes, size=n_rows)
    means = 3.0 * rng.standard_normal((n_classes, n_features))
    H = np.clip(np.rint(means[codes] + 4.0 * rng.standard_normal((n_rows, n_features))), -20, 20)
    return H, codes, rng.uniform(0.5, 2.0, n_rows)


def get_error(predictions, codes, weights):
    residuals = predictions.astype(np.float64)
    residuals[np.arange(len(codes)), codes] -= 1.0
    return np.average((residuals**2).sum(axis=1), weights=weights)


# -- what is predicted --------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(6, 20),
    n_features=st.integers(1, 8),
    ridge=st.sampled_from(RIDGES),
    with_zeros=st.booleans(),
)
@settings(max_examples=40)
def test_each_row_is_predicted_by_the_others(seed, n_rows, n_features, ridge, with_zeros):
    rng = np.random.default_rng(seed)
    H = rng.standard_normal((n_rows, n_features)) + 5.0
    codes = rng.integers(3, size=n_rows)
    weights = rng.uniform(0.5, 2.0, n_rows)
    if with_zeros:
        weights[:2] = 0.0
    found = leave_one_out_predictions(H, codes, 3, weights, (ridge,))
    assert found.dtype == np.float32
    # Rounding counts in the ratio to what the leverage leaves, which may be as little as the ridge.
    close = 1e-5 + 2e-6 / ridge
    expected = refit(H, codes, 3, weights, ridge)
    np.testing.assert_allclose(found, expected, rtol=close, atol=close)


def test_the_residual_is_the_mean_shift_of_a_single_row():
    # She and Owen (2011): the fit to all rows, in which one may have an unpenalized shift.
    rng = np.random.default_rng(0)
    n_rows, ridge = 15, 0.1
    H, codes = rng.standard_normal((n_rows, 4)), rng.integers(3, size=n_rows)
    Y, weights = np.eye(3)[codes], rng.uniform(0.5, 2.0, n_rows)
    weights /= weights.sum()
    centered = H - weights @ H
    penalty = ridge * np.linalg.eigvalsh((centered * weights[:, None]).T @ centered).mean()
    shifts = []
    for row in range(n_rows):
        design = np.column_stack([H, np.ones(n_rows), np.arange(n_rows) == row])
        gram = design.T @ (weights[:, None] * design)
        gram[:4, :4] += penalty * np.eye(4)
        shifts.append(np.linalg.solve(gram, design.T @ (weights[:, None] * Y))[-1])
    found = Y - leave_one_out_predictions(H, codes, 3, weights, (ridge,))
    np.testing.assert_allclose(found, shifts, atol=1e-5)


@pytest.mark.parametrize("n_features", [2, 200])
def test_a_wrong_label_is_not_memorized(n_features):
    # Also where the features could fit any labels: more of them than rows.
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1], 40)
    H = rng.standard_normal((80, n_features))
    H[:, 0] += 8.0 * true
    codes = true.copy()
    codes[[3, 60]] ^= 1
    found = leave_one_out_predictions(H, codes, 2, np.ones(80)).argmax(axis=1)
    assert found[3] == 0
    assert found[60] == 1
    assert np.mean(found == true) > 0.9


# -- which ridge ----------------------------------------------------------------------------------


def test_the_ridge_with_the_least_held_out_error_is_taken():
    rng = np.random.default_rng(0)
    H, codes = rng.standard_normal((50, 10)), rng.integers(2, size=50)
    centered = H - H.mean(axis=0)
    scale = np.linalg.eigvalsh(centered.T @ centered).mean()
    alphas = [ridge * scale for ridge in RIDGES]
    chosen = RidgeCV(alphas=alphas).fit(H, np.eye(2)[codes]).alpha_
    ridge = RIDGES[int(np.argmin(np.abs(np.array(alphas) - chosen)))]
    np.testing.assert_allclose(
        leave_one_out_predictions(H, codes, 2, np.ones(50)),
        leave_one_out_predictions(H, codes, 2, np.ones(50), (ridge,)),
    )


def test_errors_count_by_the_weights():
    rng = np.random.default_rng(7)
    H, codes = rng.standard_normal((60, 20)), rng.integers(2, size=60)
    H[:, 0] += 2.0 * codes
    weights = rng.choice([0.1, 10.0], 60)
    every = [leave_one_out_predictions(H, codes, 2, weights, (ridge,)) for ridge in RIDGES]
    weighted, plain = (
        [get_error(predictions, codes, w) for predictions in every] for w in (weights, np.ones(60))
    )
    assert np.argmin(weighted) != np.argmin(plain)
    found = leave_one_out_predictions(H, codes, 2, weights)
    np.testing.assert_allclose(found, every[np.argmin(weighted)])


@pytest.mark.parametrize("seed", range(5))
def test_a_part_of_the_rows_chooses_a_ridge_that_is_as_good(seed, monkeypatch):
    # Classes of very different size that count the same, and few features that tell them apart.
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(4), [1000, 600, 350, 50]))
    H = rng.standard_normal((2000, 60))
    H[:, :4] += 2.0 * np.eye(4)[codes]
    weights = 1 / np.bincount(codes)[codes]
    every = [leave_one_out_predictions(H, codes, 4, weights, (ridge,)) for ridge in RIDGES]
    errors = [get_error(predictions, codes, weights) for predictions in every]
    assert max(errors) > 1.05 * min(errors)
    monkeypatch.setattr(held_out, "MAX_TRIED", 500)
    found = leave_one_out_predictions(H, codes, 4, weights)
    assert get_error(found, codes, weights) < 1.005 * min(errors)


def test_rows_of_weight_zero_have_no_say_in_the_ridge(monkeypatch):
    monkeypatch.setattr(held_out, "MAX_TRIED", 50)
    H, codes, weights = make_rows(200, 20)
    alone = leave_one_out_predictions(H, codes, 3, weights)
    rng = np.random.default_rng(1)
    with_others = leave_one_out_predictions(
        np.concatenate([H[::-1], rng.permutation(H)])[::-1],
        np.concatenate([codes[::-1], rng.permutation(codes)])[::-1],
        3,
        np.concatenate([weights[::-1], np.zeros(200)])[::-1],
    )
    np.testing.assert_allclose(with_others[200:], alone, atol=1e-5)


# -- features of any kind -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8"])
def test_features_of_any_dtype(dtype):
    H, codes, weights = make_rows()
    found = leave_one_out_predictions(H.astype(dtype), codes, 3, weights, (0.1,))
    np.testing.assert_allclose(found, refit(H, codes, 3, weights, 0.1), atol=1e-5)


def test_features_in_a_file_or_in_any_order(tmp_path):
    H, codes, weights = make_rows()
    expected = leave_one_out_predictions(H, codes, 3, weights)
    mapped = np.memmap(tmp_path / "H", dtype="f4", mode="w+", shape=H.shape)
    mapped[:] = H
    mapped.flush()
    for features in (np.memmap(tmp_path / "H", dtype="f4", mode="r", shape=H.shape), H[::-1][::-1]):
        features.flags.writeable = False
        found = leave_one_out_predictions(features, codes, 3, weights)
        assert type(found) is np.ndarray
        np.testing.assert_allclose(found, expected, atol=1e-5)
    found = leave_one_out_predictions(np.asfortranarray(H), codes, 3, weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("dtype", "offset"), [("f4", 2.0**18), ("f8", 2.0**40)])
def test_a_large_offset_changes_nothing(dtype, offset):
    H, codes, weights = make_rows()
    moved = (H + offset).astype(dtype)
    np.testing.assert_allclose(
        leave_one_out_predictions(moved, codes, 3, weights),
        leave_one_out_predictions(H, codes, 3, weights),
        atol=1e-4,
    )


@pytest.mark.parametrize("size", [1e-20, 1e20])
def test_the_unit_changes_nothing(size):
    H, codes, weights = make_rows()
    np.testing.assert_allclose(
        leave_one_out_predictions((size * H).astype(np.float32), codes, 3, weights),
        leave_one_out_predictions(H, codes, 3, weights),
        atol=1e-5,
    )


@pytest.mark.parametrize("ridge", RIDGES)
def test_constant_and_collinear_columns(ridge):
    H, codes, weights = make_rows()
    H = np.column_stack([np.full(40, 7.3), H, H[:, 0] + H[:, 1], np.zeros(40)])
    found = leave_one_out_predictions(H, codes, 3, weights, (ridge,))
    np.testing.assert_allclose(found, refit(H, codes, 3, weights, ridge), atol=1e-5)


@pytest.mark.parametrize("value", [10.0, 1e4])
def test_a_row_that_alone_spans_a_direction(value):
    H, codes, weights = make_rows()
    H = np.column_stack([H, np.where(np.arange(40) == 7, value, 0.0)])
    for ridge in (1e-3, 1.0):
        found = leave_one_out_predictions(H, codes, 3, weights, (ridge,))
        np.testing.assert_allclose(found, refit(H, codes, 3, weights, ridge), atol=2e-5 / ridge)


@pytest.mark.parametrize("ridge", RIDGES)
def test_a_row_that_alone_has_weight_predicts_all(ridge):
    H, codes, _ = make_rows()
    found = leave_one_out_predictions(H, codes, 3, np.eye(40)[7], (ridge,))
    np.testing.assert_allclose(found, np.eye(3)[codes[[7] * 40]], atol=1e-6)


NOISE = np.random.default_rng(0).integers(3, size=(6, 2)).astype(np.float32)


@pytest.mark.parametrize(
    "H", [np.zeros((6, 2)), np.full((6, 1), 1e30), 3.0 + NOISE * np.spacing(np.float32(1.0))]
)
def test_features_that_say_nothing(H):
    codes = np.array([0, 0, 0, 0, 1, 1])
    found = leave_one_out_predictions(H, codes, 2, np.ones(6))
    Y = np.eye(2)[codes]
    np.testing.assert_allclose(found, (Y.sum(axis=0) - Y) / 5, atol=1e-6)


def test_features_that_are_no_numbers_predict_none():
    H, codes, weights = make_rows()
    H[3, 1] = np.nan
    assert np.isnan(leave_one_out_predictions(H, codes, 3, weights)).all()


# -- memory, and where the work is done -----------------------------------------------------------


def test_rows_are_worked_on_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    H, codes = rng.standard_normal((50, 4)), rng.integers(3, size=50)
    whole = leave_one_out_predictions(H, codes, 3, np.ones(50))
    monkeypatch.setattr(held_out, "gen_batches", lambda n, size: gen_batches(n, 7))
    found = leave_one_out_predictions(H, codes, 3, np.ones(50))
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_beside_the_predictions_little_memory_is_taken(monkeypatch):
    monkeypatch.setattr(held_out, "PART_SIZE", 2**16)
    H, codes, weights = make_rows(20_000, 8, 200)
    H = H.astype(np.float32)
    tracemalloc.start()
    try:
        found = leave_one_out_predictions(H, codes, 200, weights)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * found.nbytes


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("n_features", [5, 60])
def test_a_tensor_gives_what_an_array_gives(dtype, n_features):
    H, codes, weights = make_rows(n_features=n_features)
    weights[:5] = 0.0
    found = leave_one_out_predictions(torch.tensor(H, dtype=dtype), codes, 3, weights)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    expected = leave_one_out_predictions(H, codes, 3, weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_features_of_a_tensor_stay_on_its_device(monkeypatch):
    class Watch(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            called.append((func.__name__, tuple(getattr(args[0], "shape", ()))))
            return func(*args, **(kwargs or {}))

    called = []
    H, codes, weights = make_rows(200, 20)
    with Watch():
        leave_one_out_predictions(torch.tensor(H), codes, 3, weights)
    taken = {shape for name, shape in called if name == "numpy"}
    assert (200, 3) in taken
    assert (200, 20) not in taken
