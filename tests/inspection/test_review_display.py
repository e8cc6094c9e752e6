"""ReviewDisplay: what a review has made of the labels, counted by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from crust_sklearn import apply_review
from crust_sklearn.inspection import ReviewDisplay

Y = np.array(["cat", "dog", "cat", "dog", "cat", "emu"])
DECISIONS = [
    {"row": 0, "decision": "keep"},
    {"row": 1, "new_label": "cat"},
    {"row": 2, "new_label": "dog"},
    {"row": 3, "new_label": "cat"},
    {"row": 5, "decision": "drop"},
]
REVIEWED = apply_review(Y, DECISIONS)


def test_counts():
    display = ReviewDisplay.from_review(Y, REVIEWED)
    assert_array_equal(display.counts, [[1, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]])
    assert_array_equal(display.n_before, [3, 2, 1])
    assert_array_equal(display.n_after, [4, 1, 0])


def test_what_is_drawn():
    display = ReviewDisplay.from_review(
        Y, REVIEWED, class_names={"cat": "A", "dog": "B", "emu": "C"}
    )
    ax = display.ax_
    assert ax.get_title() == "5 labels reviewed: 1 kept, 3 changed, 1 dropped"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["A (3)", "B (2)", "C (1)"]
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert labels == ["A (4)", "B (1)", "C (0)", "dropped"]
    drawn = [[text.get_text() if text else "" for text in row] for row in display.text_]
    assert drawn == [["1", "1", "", ""], ["2", "", "", ""], ["", "", "", "1"]]
    assert_array_equal(display.im_.get_array(), display.counts)


def test_given_axes_and_colors():
    _, ax = plt.subplots()
    display = ReviewDisplay.from_review(Y, REVIEWED, ax=ax, cmap="Greys")
    assert display.ax_ is ax
    assert display.im_.get_cmap().name == "Greys"


def test_nothing_decided_and_a_new_class():
    assert ReviewDisplay.from_review(Y, apply_review(Y, [])).counts.sum() == 0
    reviewed = apply_review(Y, [{"row": 0, "new_label": "bee"}], classes=["bee"])
    display = ReviewDisplay.from_review(Y, reviewed)
    assert display.class_names == ["bee", "cat", "dog", "emu"]
    assert display.counts[1, 0] == display.counts.sum() == 1


@pytest.mark.parametrize(
    ("y", "params", "sentence"),
    [
        (Y[:3], {}, "y has 3 entries"),
        (Y[::-1], {}, "row 0 differs, and was not changed"),
        (Y, {"class_names": ["a"]}, "class_names has 1 entries"),
    ],
)
def test_refused(y, params, sentence):
    with pytest.raises(ValueError, match=sentence):
        ReviewDisplay.from_review(y, REVIEWED, **params)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="from_review needs matplotlib"):
        ReviewDisplay.from_review(Y, REVIEWED)
