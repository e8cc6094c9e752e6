"""The summary of a training: counts against counting by hand, and few readable lines."""

from collections import Counter
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crust_sklearn.label_noise import summarize


def summarize_codes(given_codes, suggested, is_kept, n_classes, noise_rate=0.1):
    arrays = (np.asarray(a) for a in (given_codes, suggested, is_kept))
    return summarize(*arrays, np.arange(n_classes), noise_rate)


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1),
    names=st.sampled_from([["d", "a", "bb", "c"], [7, -1, 3, 100], [True, False, 2, 3]]),
)
def test_counts_row_by_row(rows, names):
    classes = np.array(names)
    labels, suggested, is_kept = (np.array(column) for column in zip(*rows, strict=True))
    summary = summarize(classes[labels], classes[suggested], is_kept, classes, 0.25)
    name = classes.tolist()
    pairs = Counter((name[g], name[s]) for g, s, _ in rows if g != s)
    assert {(g, s): count for g, s, count in summary.noise_pairs} == pairs
    counts = [count for *_, count in summary.noise_pairs]
    assert counts == sorted(counts, reverse=True)
    assert summary.kept_per_class == {
        name[c]: (sum(k for g, _, k in rows if g == c), sum(g == c for g, *_ in rows))
        for c in range(4)
    }
    assert (summary.noise_rate, summary.n_rows) == (0.25, len(rows))
    assert summary.n_kept == sum(k for *_, k in rows)


def test_a_class_that_is_seldom_suggested_for_its_own_labels_is_not_learnt():
    # Of class 0 half are suggested for themselves, of class 1 fewer; class 2 has no rows.
    labels, suggested = [0] * 4 + [1] * 5, [0, 0, 1, 1, 1, 1, 0, 0, 0]
    (warning,) = summarize_codes(labels, suggested, [True] * 9, 3).warnings
    assert warning.startswith("class 1: it has not been learnt")
    assert "2 of its 5 rows" in warning
    assert "warmup_epochs, max_epochs" in warning


@pytest.mark.parametrize("n_kept, n_warnings", [(0, 1), (1, 1), (2, 0)])
def test_a_class_of_which_one_row_is_kept(n_kept, n_warnings):
    labels = np.repeat([0, 1], 6)
    is_kept = np.r_[np.ones(6, bool), np.arange(6) < n_kept]
    warnings = summarize_codes(labels, labels, is_kept, 3).warnings
    assert len(warnings) == n_warnings
    for warning in warnings:
        assert warning.startswith(f"class 1: only {n_kept} of its 6 rows was kept")
        assert "coreset_size" in warning


def test_nothing_wrong_is_two_lines():
    labels = np.repeat([0, 1], 6)
    summary = summarize_codes(labels, labels, np.ones(12, bool), 2, 0.0)
    assert summary.noise_pairs == summary.warnings == []
    assert str(summary).splitlines() == [
        "0.0% of 12 labels seem wrong; 12 rows are kept.",
        "Rows kept per class, the least share first: 0: 6 of 6, 1: 6 of 6.",
    ]


def test_only_the_most_frequent_pairs_and_the_least_kept_classes_are_printed():
    # Class c keeps 50 - c of its 100 rows; c of them are suggested for the next class.
    labels = np.repeat(np.arange(40), 100)
    within = np.tile(np.arange(100), 40)
    suggested = np.where(within < labels, (labels + 1) % 40, labels)
    text = str(summarize_codes(labels, suggested, within < 50 - labels, 40))
    for c in range(30, 40):
        assert f"{c} -> {(c + 1) % 40}: {c}" in text
        assert f"{c}: {50 - c} of 100" in text
    assert "29 -> 30" not in text
    assert "29: 21 of 100" not in text
    assert "and 29 more." in text  # pairs: 39 in all
    assert "and 30 more." in text  # classes: 40 in all
    assert text.index("39 -> 0") < text.index("30 -> 31")


def test_few_lines_also_of_a_network_that_learnt_nothing():
    labels = np.repeat(np.arange(100), 30)
    suggested = np.random.default_rng(0).integers(100, size=3000)
    summary = summarize_codes(labels, suggested, labels == suggested, 100)
    lines = str(summary).splitlines()
    assert len(summary.warnings) > 100
    assert f"And {len(summary.warnings) - 3} more warnings." == lines[-1]
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 100


def test_it_is_plain_and_frozen():
    labels = np.repeat(["a", "b"], 2)
    summary = summarize(labels, labels[::-1], np.ones(4, bool), np.array(["a", "b"]), np.float32(1))
    assert summary.noise_pairs == [("a", "b", 2), ("b", "a", 2)]
    values = [*summary.kept_per_class, *summary.kept_per_class["a"], *summary.noise_pairs[0]]
    assert {type(value) for value in [*values, summary.noise_rate]} == {str, int, float}
    with pytest.raises(FrozenInstanceError):
        summary.n_rows = 3


def test_labels_must_be_among_the_classes():
    with pytest.raises(ValueError, match=r"not among the classes: \[5\]"):
        summarize_codes([0, 1], [0, 5], [True, True], 2)
