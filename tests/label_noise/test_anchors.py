"""What becomes of labels where rows are surely predicted, and what that asks of a label."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from crust_sklearn.label_noise import find_anchors, get_min_ratios, get_sure_noise
from crust_sklearn.label_noise.anchors import get_transitions, limit_dropped


@st.composite
def predicted_labels(draw, max_rows=60):
    """Predictions, codes and weights, also with ties, classes never predicted, and weights of 0."""
    n_rows, n_classes = draw(st.integers(1, max_rows)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = draw(st.floats(0.1, 5.0)) * rng.standard_normal((n_rows, n_classes))
    if draw(st.booleans()):
        logits = np.round(logits)
    if draw(st.booleans()):
        logits[:, 0] -= 20.0
    # From labels that are hardly ever right to such as are hardly ever wrong.
    codes = logits.argmax(axis=1)
    is_any = rng.random(n_rows) < draw(st.sampled_from([0.02, 0.2, 1.0]))
    codes[is_any] = rng.integers(n_classes, size=is_any.sum())
    weights = rng.integers(0, 3, n_rows).astype(float)
    weights[rng.integers(n_rows)] = 1.0
    return softmax(logits, axis=1), codes, weights


def sort_by_sureness(predictions):
    """The rows predicted as each class, the surest first; of equal ones, the earlier."""
    rows = [[] for _ in range(predictions.shape[1])]
    for i, row in enumerate(predictions.tolist()):
        rows[row.index(max(row))].append(i)
    return [sorted(own, key=lambda i, p=p: (-predictions[i, p], i)) for p, own in enumerate(rows)]


def take_first(own, n_rows, predictions):
    """The first rows with what each counts: those as sure as the last one, to 1 %, count alike."""
    sure = [float(predictions[i].max()) for i in own]
    least = sure[:n_rows][-1] if own else 0.0
    near = 0.01 * least
    before = [i for i, s in zip(own, sure, strict=True) if s > least + near]
    equal = [i for i, s in zip(own, sure, strict=True) if least - near <= s <= least + near]
    share = (min(n_rows, len(own)) - len(before)) / max(len(equal), 1)
    return {i: 1.0 for i in before} | {i: share for i in equal}


def move_classes(predictions, codes, seed):
    """The classes in another order, and that order; ties for the best are broken before."""
    rng = np.random.default_rng(seed)
    predictions = predictions + 1e-6 * rng.random(predictions.shape)
    order = rng.permutation(predictions.shape[1])
    moved = np.empty_like(predictions)
    moved[:, order] = predictions
    return predictions, moved, order[codes], order


# -- anchors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [4, 3000])
def test_the_surest_are_anchors_however_many_classes(n_classes):
    """Of many classes, the best has a small probability, yet some rows are surer."""
    sure = np.geomspace(1.5, 3.0, 40) / n_classes
    predictions = np.tile((1 - sure[:, None]) / (n_classes - 1), n_classes)
    predictions[:, 1] = sure
    rows, shares = find_anchors(predictions)
    np.testing.assert_array_equal(rows, np.arange(39, 19, -1))
    np.testing.assert_array_equal(shares, 1.0)


@given(problem=predicted_labels())
@settings(max_examples=100)
def test_anchors_class_by_class(problem):
    predictions = problem[0]
    expected = {}
    for own in sort_by_sureness(predictions):
        expected |= take_first(own, max(10, len(own) // 2), predictions)
    rows, shares = find_anchors(predictions)
    assert rows.tolist() == list(expected)
    np.testing.assert_allclose(shares, list(expected.values()), atol=1e-9)


@pytest.mark.parametrize("n_rows, n_anchors", [(3, 3), (10, 10), (12, 10), (21, 10), (22, 11)])
def test_how_many_rows_are_anchors(n_rows, n_anchors):
    sure = np.linspace(0.6, 0.9, n_rows)
    rows, shares = find_anchors(np.column_stack([1 - sure, sure]))
    np.testing.assert_array_equal(rows, np.arange(n_rows)[::-1][:n_anchors])
    np.testing.assert_array_equal(shares, np.ones(n_anchors))


# -- transitions ------------------------------------------------------------------------------


@given(problem=predicted_labels())
@settings(max_examples=60)
def test_transitions_entry_by_entry(problem):
    predictions, codes, weights = problem
    found = get_transitions(predictions, codes, weights).toarray()
    mean = np.mean([w for w in weights if w > 0])
    for p, own in enumerate(sort_by_sureness(predictions)):
        of_class = take_first(own, max(10, len(own) // 2), predictions).items()
        for g in range(predictions.shape[1]):
            count = 0.5 + sum(s * weights[i] for i, s in of_class if codes[i] == g) / mean
            assert found[p, g] == pytest.approx(count if own else float(g == p), abs=1e-12)


@given(problem=predicted_labels(), power=st.integers(-40, 40))
@settings(max_examples=30)
def test_the_unit_of_the_weights_does_not_matter(problem, power):
    predictions, codes, weights = problem
    plain, scaled = (
        [get(predictions, codes, w) for get in (get_transitions, get_min_ratios, get_sure_noise)]
        for w in (weights, weights * 2.0**power)
    )
    for found, expected in zip(scaled[:2], plain[:2], strict=True):
        np.testing.assert_allclose(found.toarray(), expected.toarray(), rtol=1e-12)
    assert scaled[2] == pytest.approx(plain[2], rel=1e-12)


# -- ratios -----------------------------------------------------------------------------------


@given(problem=predicted_labels())
@settings(max_examples=100)
def test_ratios_entry_by_entry(problem):
    predictions, codes, weights = problem
    transitions = get_transitions(predictions, codes, weights).toarray()
    found = get_min_ratios(predictions, codes, weights).toarray()
    for p, row in enumerate(transitions.tolist()):
        for g, count in enumerate(row):
            expected = 1.0 if g == p else min(math.cbrt(count / row[p]), 0.85)
            assert found[p, g] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0.1, math.cbrt(1 / 9)), (0.2, math.cbrt(1 / 4)), (0.36, math.cbrt(9 / 16)), (0.4, 0.85)],
)
def test_ratios_follow_from_the_transitions(rate, expected):
    # A share of the first class is labelled 1, and no label of the second is wrong.
    predictions = np.repeat([[1 - rate, rate], [0.01, 0.99]], 20_000, axis=0)
    codes = np.repeat([0, 1, 1], [round(20_000 * (1 - rate)), round(20_000 * rate), 20_000])
    # Equally sure rows come in their order: the wrong labels are among the right ones.
    codes[:20_000] = np.random.default_rng(0).permutation(codes[:20_000])
    ratios = get_min_ratios(predictions, codes, np.ones(len(codes))).toarray()
    # Of half a row among 10 000 anchors.
    np.testing.assert_allclose(ratios, [[1.0, expected], [math.cbrt(5e-5), 1.0]], rtol=0.03)
    if expected in (0.5, 0.85):
        assert ratios[0, 1] == expected


@given(problem=predicted_labels(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_ratios_of_classes_in_another_order(problem, seed):
    predictions, moved, codes, order = move_classes(*problem[:2], seed)
    ratios = get_min_ratios(predictions, problem[1], problem[2]).toarray()
    other = get_min_ratios(moved, codes, problem[2]).toarray()
    np.testing.assert_allclose(other[np.ix_(order, order)], ratios, rtol=1e-12)


@given(problem=predicted_labels(), most=st.floats(0, 1))
@settings(max_examples=200)
def test_no_more_labels_than_allowed_do_not_get_what_is_asked(problem, most):
    predictions, codes, weights = (a[problem[2] > 0] for a in problem)
    ratios = get_min_ratios(predictions, codes, weights)
    limited = limit_dropped(ratios, predictions, codes, weights, most)
    own, best = predictions[np.arange(len(codes)), codes], predictions.max(axis=1)
    asked = ratios[predictions.argmax(axis=1), codes]
    before = own < asked * best
    after = own < limited[predictions.argmax(axis=1), codes] * best
    factor = limited.others[0] / ratios.others[0] if ratios.others[0] else limited.values[0]
    # All are lowered alike, and no further than they need be.
    np.testing.assert_allclose(limited.toarray(), factor * ratios.toarray(), rtol=1e-12)
    assert 0.0 < factor <= 1.0 and not (after & ~before).any()
    limit = most * weights.sum()
    if weights[before].sum() <= limit:
        assert factor == 1.0
    # Labels that get the same, nearly, are not to be told apart.
    got = own / (asked * best)
    factors = [f for f in np.linspace(0.0, 1.0, 400) if np.abs(got - f).min() > 2e-4]
    others = [weights[got < f].sum() for f in factors]
    assert abs(weights[after].sum() - limit) <= np.abs(np.array(others) - limit).min() + 1e-9


# -- noise where predictions are sure ---------------------------------------------------------


def slow_sure_noise(predictions, codes, weights):
    """Class by class, small ones as one: the best of all bins of the surest rows, times all."""
    total = wrong = 0.0
    groups = sort_by_sureness(predictions)
    few = [i for own in groups if len(own) < 30 for i in own]
    few.sort(key=lambda i: -predictions[i].max())
    for own in [*(own for own in groups if len(own) >= 30), few]:
        if len(own) < 30:
            continue
        best = (math.inf, 0, 0.0)
        for m in range(30, len(own) + 1):
            first = take_first(own, m, predictions).items()
            counted = sum(s * weights[i] for i, s in first)
            others = sum(s * weights[i] for i, s in first if codes[i] != predictions[i].argmax())
            share = others / counted if counted else 0.0
            squares = sum(s * weights[i] ** 2 for i, s in first)
            n_effective = max(1.0, counted**2 / squares if squares else 0.0)
            best = min(best, (share + math.sqrt(math.log(10) / (2 * n_effective)), m, share))
        size = sum(weights[i] for i in own)
        total, wrong = total + size, wrong + size * best[2]
    return wrong / total if total else 0.0


@given(problem=predicted_labels(max_rows=200))
@settings(max_examples=100)
def test_sure_noise_row_by_row(problem):
    assert get_sure_noise(*problem) == pytest.approx(slow_sure_noise(*problem), abs=1e-12)


@given(problem=predicted_labels(max_rows=200), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_sure_noise_of_classes_in_another_order(problem, seed):
    predictions, moved, codes, _ = move_classes(*problem[:2], seed)
    noise = get_sure_noise(predictions, problem[1], problem[2])
    assert get_sure_noise(moved, codes, problem[2]) == pytest.approx(noise, abs=1e-12)


@pytest.mark.parametrize(("n_rows", "expected"), [(29, 0.0), (30, 1.0)])
def test_a_class_of_few_predicted_rows_tells_nothing(n_rows, expected):
    predictions = np.tile([0.9, 0.1], (n_rows, 1))
    assert get_sure_noise(predictions, np.ones(n_rows, int), np.ones(n_rows)) == expected


def test_a_class_of_few_predicted_rows_does_not_change_what_others_tell():
    rng = np.random.default_rng(0)
    others, few = rng.uniform(0.6, 0.9, 100), rng.uniform(0.6, 1.0, 29)
    predictions = np.column_stack([np.r_[others, 1 - few], np.r_[1 - others, few]])
    codes = np.r_[rng.random(100) < 0.2, np.zeros(29)].astype(int)
    noise = get_sure_noise(predictions[:100], codes[:100], np.ones(100))
    assert noise > 0.1
    assert get_sure_noise(predictions, codes, np.ones(129)) == noise


def test_hard_rows_are_not_wrong_labels():
    # 60 rows are known, of the other 400 nothing is.
    sure = np.r_[np.linspace(0.99, 0.9, 60), np.linspace(0.6, 0.5, 400)]
    codes = np.r_[np.zeros(60, int), np.arange(400) % 2]
    assert get_sure_noise(np.column_stack([sure, 1 - sure]), codes, np.ones(460)) == 0.0


@pytest.mark.parametrize("rate", [0.0, 0.06, 0.2, 0.5])
def test_labels_that_are_wrong_everywhere_are_wrong_where_rows_are_sure(rate):
    rng = np.random.default_rng(0)
    sure, true = rng.uniform(0.4, 1.0, 6000), rng.integers(3, size=6000)
    predictions = np.where(np.eye(3)[true] > 0, sure[:, None], (1 - sure[:, None]) / 2)
    codes = np.where(rng.random(6000) < rate, (true + 1) % 3, true)
    # The best of many bins is on the lower side of the truth, by chance alone.
    assert rate - 0.05 < get_sure_noise(predictions, codes, np.ones(6000)) < rate + 0.02


@pytest.mark.parametrize(("n_wrong", "expected"), [(6, 0.03), (7, 0.0)])
def test_how_much_more_rows_are_worth(n_wrong, expected):
    # 1.073 / sqrt(m) is the bound without errors: .1073 of 100 rows, .0759 of 200.
    sure = np.repeat([0.9, 0.6], 100)
    codes = np.zeros(200, int)
    codes[100 : 100 + n_wrong] = 1
    noise = get_sure_noise(np.column_stack([sure, 1 - sure]), codes, np.ones(200))
    assert noise == pytest.approx(expected)


def test_rows_count_by_weight_in_the_noise():
    predictions, codes = np.tile([0.9, 0.1], (40, 1)), np.arange(40) % 2
    noise = get_sure_noise(predictions, codes, np.where(codes, 1.0, 3.0))
    assert noise == pytest.approx(0.25, abs=0.01)
    assert get_sure_noise(predictions, codes, np.where(codes, 0.0, 3.0)) == 0.0


def test_a_few_heavy_rows_are_a_few():
    # Two sure rows that agree count as much as all others, a quarter of which do not.
    sure, codes = np.linspace(0.9, 0.6, 240), (np.arange(240) % 4 == 3).astype(int)
    weights = np.where(np.arange(240) < 2, 119.0, 1.0)
    found = [
        get_sure_noise(np.column_stack([sure, 1 - sure]), codes, w) for w in (np.ones(240), weights)
    ]
    # The more of the others count, the less the bound is off: all of them do.
    assert found == pytest.approx([0.25, 0.125], abs=0.01)


def test_a_class_counts_by_its_size_however_few_of_its_rows_are_sure():
    # Of the 40 rows surest to be of the first class, 30 % are others; of the second class, none.
    sure = np.r_[np.full(40, 0.9), np.linspace(0.6, 0.5, 60), np.linspace(0.9, 0.6, 100)]
    predictions = np.column_stack([sure, 1 - sure])
    predictions[100:] = predictions[100:, ::-1]
    codes = np.repeat([0, 1], 100)
    codes[:40][np.arange(40) % 10 < 3] = 1
    codes[40:100] = 1  # hard, and all of them others
    assert get_sure_noise(predictions, codes, np.ones(200)) == pytest.approx(0.15, abs=0.01)
