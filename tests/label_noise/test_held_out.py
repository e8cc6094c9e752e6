"""Leave-one-out predictions against refitting without each row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.utils import gen_batches

from crust_sklearn.label_noise import held_out, leave_one_out_predictions
from crust_sklearn.label_noise.held_out import RIDGES


def refit(H, Y, weights, ridge):
    """The predictions of scikit-learn's Ridge for the rows left out, one fit for each."""
    weights = weights / weights.sum()
    centered = H - weights @ H
    scale = np.linalg.eigvalsh((centered * weights[:, None]).T @ centered).mean() or 1.0
    found = []
    for i in range(len(H)):
        rest = weights.copy()
        rest[i] = 0.0
        model = Ridge(alpha=ridge * scale, solver="cholesky").fit(H, Y, sample_weight=rest)
        found.append(model.predict(H[i : i + 1])[0])
    return np.array(found)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(6, 20),
    n_features=st.integers(1, 8),
    ridge=st.sampled_from(RIDGES),
    with_zeros=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_each_row_is_predicted_by_the_others(seed, n_rows, n_features, ridge, with_zeros):
    rng = np.random.default_rng(seed)
    H = rng.standard_normal((n_rows, n_features)) + 5.0
    Y = np.eye(3)[rng.integers(3, size=n_rows)]
    weights = rng.uniform(0.5, 2.0, n_rows)
    if with_zeros:
        weights[:2] = 0.0
    found = leave_one_out_predictions(H, Y, weights, (ridge,))
    np.testing.assert_allclose(found, refit(H, Y, weights, ridge), rtol=1e-6, atol=1e-8)


def test_the_residual_is_the_mean_shift_of_a_single_row():
    # She and Owen (2011): the fit to all rows, in which one may have an unpenalized shift.
    rng = np.random.default_rng(0)
    n_rows, ridge = 15, 0.1
    H, Y = rng.standard_normal((n_rows, 4)), np.eye(3)[rng.integers(3, size=n_rows)]
    weights = rng.uniform(0.5, 2.0, n_rows)
    weights /= weights.sum()
    centered = H - weights @ H
    penalty = ridge * np.linalg.eigvalsh((centered * weights[:, None]).T @ centered).mean()
    shifts = []
    for row in range(n_rows):
        design = np.column_stack([H, np.ones(n_rows), np.arange(n_rows) == row])
        gram = design.T @ (weights[:, None] * design)
        gram[:4, :4] += penalty * np.eye(4)
        shifts.append(np.linalg.solve(gram, design.T @ (weights[:, None] * Y))[-1])
    found = Y - leave_one_out_predictions(H, Y, weights, (ridge,))
    np.testing.assert_allclose(found, shifts, rtol=1e-8)


def test_rows_are_worked_on_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    H, Y = rng.standard_normal((50, 4)), np.eye(3)[rng.integers(3, size=50)]
    whole = leave_one_out_predictions(H, Y, np.ones(50))
    monkeypatch.setattr(held_out, "gen_batches", lambda n, size: gen_batches(n, 7))
    np.testing.assert_allclose(leave_one_out_predictions(H, Y, np.ones(50)), whole)


def test_the_ridge_with_the_least_held_out_error_is_taken():
    rng = np.random.default_rng(0)
    H, Y = rng.standard_normal((50, 10)), np.eye(2)[rng.integers(2, size=50)]
    centered = H - H.mean(axis=0)
    scale = np.linalg.eigvalsh(centered.T @ centered).mean()
    alphas = [ridge * scale for ridge in RIDGES]
    chosen = RidgeCV(alphas=alphas).fit(H, Y).alpha_
    ridge = RIDGES[int(np.argmin(np.abs(np.array(alphas) - chosen)))]
    np.testing.assert_allclose(
        leave_one_out_predictions(H, Y, np.ones(50)),
        leave_one_out_predictions(H, Y, np.ones(50), (ridge,)),
    )


@pytest.mark.parametrize("n_features", [2, 200])
def test_a_wrong_label_is_not_memorized(n_features):
    # Also where the features could fit any labels: more of them than rows.
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1], 40)
    H = rng.standard_normal((80, n_features))
    H[:, 0] += 8.0 * true
    given_labels = true.copy()
    given_labels[[3, 60]] ^= 1
    found = leave_one_out_predictions(H, np.eye(2)[given_labels], np.ones(80)).argmax(axis=1)
    assert found[3] == 0
    assert found[60] == 1
    assert np.mean(found == true) > 0.9


@pytest.mark.parametrize("H", [np.zeros((6, 2)), np.full((6, 1), 1e30)])
def test_features_that_say_nothing(H):
    Y = np.eye(2)[[0, 0, 0, 0, 1, 1]]
    found = leave_one_out_predictions(H, Y, np.ones(6))
    rest = (Y.sum(axis=0) - Y) / 5
    np.testing.assert_allclose(found, rest, atol=1e-6)
