"""How many rows each class gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris

from crust_sklearn import CoresetSelector
from crust_sklearn.selector import share_budget
from crust_sklearn.strategies import (
    STRATEGIES,
)

NAMES = sorted(STRATEGIES)
every_strategy = pytest.mark.parametrize("strategy", NAMES)


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(SIZES, st.floats(0.001, 1.0))
def test_float_budget_is_the_share_of_each_class(sizes, fraction):
    for size, budget in zip(sizes, share_budget(sizes, fraction), strict=True):
        assert 1 <= budget <= size
        assert abs(budget - fraction * size) <= 0.5 + 1e-6 or budget == 1


@pytest.mark.parametrize(
    ("fraction", "size", "budget"),
    [(0.5, 5, 3), (0.29, 100, 29), (0.35, 10, 4), (0.15, 10, 2), (0.3, 1, 1), (1.0, 7, 7)],
)
def test_float_budget_rounds_halves_up(fraction, size, budget):
    assert share_budget([size], fraction) == [budget]


@given(SIZES, st.data())
@settings(max_examples=300)
def test_int_budget_adds_up_and_is_proportional(sizes, data):
    total = data.draw(st.integers(len(sizes), sum(sizes)))
    budgets = np.array(share_budget(sizes, total))
    sizes = np.array(sizes)
    assert budgets.sum() == total
    assert (budgets >= 1).all()
    assert (budgets <= sizes).all()
    # What a minority of one costs is paid in proportion by the classes that have more.
    large = budgets > 1
    assert (budgets[large] <= np.ceil(total * sizes[large] / sizes.sum())).all()
    quota = total * sizes / sizes.sum()
    if (quota >= 1).all():
        assert (np.abs(budgets - quota) < 1).all()


@given(SIZES, st.data())
@settings(max_examples=100)
def test_int_budget_is_largest_remainder(sizes, data):
    total = data.draw(st.integers(len(sizes), sum(sizes)))
    exact = [divmod(total * size, sum(sizes)) for size in sizes]
    expected = [whole for whole, _ in exact]
    ranked = sorted(range(len(sizes)), key=lambda i: (-exact[i][1], i))
    for i in ranked[: total - sum(expected)]:
        expected[i] += 1
    if min(expected) >= 1:
        assert share_budget(sizes, total) == expected


@pytest.mark.parametrize(
    ("sizes", "total", "budgets"),
    [
        ([6, 3, 1], 4, [2, 1, 1]),
        ([1000, 500] + [1] * 10, 20, [7, 3] + [1] * 10),
        ([5, 5, 5], 4, [2, 1, 1]),
        ([1, 1, 98], 3, [1, 1, 1]),
        ([4, 4], 100, [4, 4]),
        ([10**9, 10**9], 10**9, [5 * 10**8, 5 * 10**8]),
    ],
)
def test_int_budget_by_hand(sizes, total, budgets):
    assert share_budget(sizes, total) == budgets


def test_int_budget_smaller_than_the_number_of_classes():
    message = "coreset_size=2 is less than the 3 classes.*Give at least 3"
    with pytest.raises(ValueError, match=message):
        share_budget([5, 5, 5], 2)
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        CoresetSelector(coreset_size=2).fit(X, y)
    assert len(CoresetSelector(coreset_size=2, stratify=False).fit(X, y).sample_indices_) == 2
