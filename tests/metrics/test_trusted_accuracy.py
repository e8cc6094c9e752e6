import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from crust_sklearn.metrics import trusted_accuracy_score

SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(1, 30), SEEDS)
@settings(max_examples=40)
def test_trusted_accuracy_is_the_accuracy_on_the_trusted_rows(n_rows, seed):
    rng = np.random.RandomState(seed)
    y_true, y_pred = rng.randint(0, 3, (2, n_rows))
    trusted, weights = rng.rand(n_rows) < 0.5, rng.uniform(0.1, 1, n_rows)
    trusted[rng.randint(n_rows)] = True
    expected = accuracy_score(y_true[trusted], y_pred[trusted])
    assert trusted_accuracy_score(y_true, y_pred, trusted=trusted) == pytest.approx(expected)
    score = trusted_accuracy_score(
        y_true, y_pred, trusted=pd.Series(trusted, dtype="boolean"), sample_weight=weights
    )
    np.testing.assert_allclose(
        score,
        accuracy_score(y_true[trusted], y_pred[trusted], sample_weight=weights[trusted]),
    )
    as_objects = trusted_accuracy_score(y_true, y_pred, trusted=trusted.astype(object))
    assert as_objects == pytest.approx(expected)


@pytest.mark.parametrize(
    ("trusted", "error", "message"),
    [
        ([False, False], ValueError, "trusted is False for every one of the 2 rows"),
        ([True], ValueError, r"trusted.shape == \(1,\), expected \(2,\)"),
        ([0, 1], TypeError, "Turn row numbers into a mask"),
        ([True, None], TypeError, "trusted must hold bools"),
        (None, TypeError, "trusted must hold bools"),
    ],
)
def test_bad_masks(trusted, error, message):
    with pytest.raises(error, match=message):
        trusted_accuracy_score([0, 1], [0, 1], trusted=trusted)


def test_trusted_rows_of_weight_zero():
    with pytest.raises(ValueError, match="or their sample_weight is 0"):
        trusted_accuracy_score([0, 1], [0, 1], trusted=[True, False], sample_weight=[0, 1])
