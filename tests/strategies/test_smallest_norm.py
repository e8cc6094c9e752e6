import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies import STRATEGIES, SmallestNorm

ROWS = np.random.RandomState(0).standard_normal((30, 3))


@given(
    X=arrays(float, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=st.integers(-3, 3)),
    data=st.data(),
)
def test_no_row_left_out_is_shorter_nor_as_long_and_earlier(X, data):
    n_select = data.draw(st.integers(1, len(X)))
    squares = (X**2).sum(axis=1).tolist()  # of integers, and so exact
    expected = sorted(range(len(X)), key=lambda i: (squares[i], i))[:n_select]
    assert SmallestNorm().select(X, n_select).indices.tolist() == expected


def test_is_registered():
    assert STRATEGIES["smallest-norm"] is SmallestNorm
    chosen = CoresetSelector("smallest-norm", coreset_size=5, stratify=False).fit(ROWS)
    expected = np.argsort(np.linalg.norm(ROWS, axis=1))[:5]
    np.testing.assert_array_equal(chosen.sample_indices_, expected)


def test_within_each_class():
    y = np.arange(30) % 3
    chosen = CoresetSelector("smallest-norm", coreset_size=0.4).fit(ROWS, y).sample_indices_
    norms = np.linalg.norm(ROWS, axis=1)
    for label in range(3):
        members = np.flatnonzero(y == label)
        expected = members[np.argsort(norms[members])[:4]]
        np.testing.assert_array_equal(chosen[y[chosen] == label], expected)


def test_sample_weight_does_not_change_the_choice_but_the_weights():
    weights = np.arange(1.0, 31.0)
    plain, weighted = (SmallestNorm().select(ROWS, 6, sample_weight=w) for w in (None, weights))
    assert plain.indices.tolist() == weighted.indices.tolist()
    assert plain.assignment.tolist() == weighted.assignment.tolist()
    for position in range(6):
        cluster = plain.assignment == position
        assert plain.weights[position] == cluster.sum()
        assert weighted.weights[position] == weights[cluster].sum()


def test_moving_the_rows_changes_the_choice():
    # The norm is that of the gradient itself: there is an origin.
    far = SmallestNorm().select(ROWS + 100.0, 6).indices
    np.testing.assert_array_equal(far, np.argsort(np.linalg.norm(ROWS + 100.0, axis=1))[:6])
    assert set(far) != set(SmallestNorm().select(ROWS, 6).indices)


@pytest.mark.parametrize("metric", ["manhattan", lambda x, y: abs(x - y).sum()])
def test_other_metrics_decide_the_assignment_alone(metric):
    coreset = SmallestNorm(metric).select(ROWS, 6)
    np.testing.assert_array_equal(coreset.indices, SmallestNorm().select(ROWS, 6).indices)
    distances = np.abs(ROWS[:, None] - ROWS[coreset.indices]).sum(axis=2)
    np.testing.assert_array_equal(coreset.assignment, distances.argmin(axis=1))


@pytest.mark.parametrize("factor", [1e-320, 1e-170, 1e170, 1e300])
def test_squares_out_of_range(factor):
    expected = SmallestNorm().select(np.round(ROWS * 100), 6).indices
    with np.errstate(over="ignore"):  # so NumPy 1.26 calls quotients of subnormal numbers
        found = SmallestNorm().select(np.round(ROWS * 100) * factor, 6).indices
    np.testing.assert_array_equal(found, expected)
