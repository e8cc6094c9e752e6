"""LabelIssuesDisplay: what is shown, in which form, under which names."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.inspection import LabelIssuesDisplay
from crust_sklearn.modules import MLP

N = 8
QUALITY = [0.9, 0.3, 0.5, np.nan, 0.1, 0.3, 0.49, 0.8]
WORST = [4, 1, 5, 6]
Y = np.array(["cat", "dog", "cat", "cat", "dog", "cat", "cat", "dog"])
SUGGESTED = np.array(["cat", "cat", "cat", "cat", "cat", "dog", "dog", "dog"])
RNG = np.random.default_rng(0)
IMAGES = RNG.random((N, 6, 5))


class Judged(BaseEstimator):
    """As much of a fitted classifier as is needed."""

    def __init__(self, quality=QUALITY, suggested=SUGGESTED):
        self.given_labels_ = Y
        self.label_quality_ = np.array(quality)
        self.suggested_labels_ = np.array(suggested)
        self.classes_ = np.array(["cat", "dog"])

    def fit(self, X, y):
        raise AssertionError("not to be fitted")


def show(X=IMAGES, y=Y, clf=None, **params):
    return LabelIssuesDisplay.from_estimator(clf or Judged(), X, y, **params)


def text_of(display):
    """Return the cells of the table, row by row."""
    cells = display.table_.get_celld()
    n_rows, n_columns = np.max(list(cells), axis=0) + 1
    return [[cells[i, j].get_text().get_text() for j in range(n_columns)] for i in range(n_rows)]


# -- of a fit ---------------------------------------------------------------------------------


def test_of_a_fitted_classifier():
    X, true = load_digits(return_X_y=True)
    X, true = X[:300].astype(np.float32) / 16, true[:300]
    y = make_label_noise(true, "symmetric", 0.2, random_state=0).y
    clf = CRUSTClassifier(MLP, max_epochs=8, lr=0.2, verbose=0, random_state=0).fit(X, y)
    issues = find_label_issues(clf, as_frame=False)
    display = show(X, y, clf, n_issues=12, image_shape=(8, 8))
    assert_array_equal(display.rows, issues.rows[:12])
    assert_array_equal(display.score, issues.score[:12])
    assert display.given_label.tolist() == [str(label) for label in y[display.rows]]
    assert display.suggested_label.tolist() == list(map(str, issues.suggested_label[:12]))
    assert display.n_found == len(issues.rows) > 12
    assert_array_equal(display.images, X[issues.rows[:12]].reshape(-1, 8, 8))


@pytest.mark.parametrize("X", [IMAGES, IMAGES.reshape(N, -1)], ids=["images", "table"])
def test_labels_need_not_be_given(X):
    display, expected = show(X, y=None), show(X)
    assert display.rows.tolist() == expected.rows.tolist() == WORST
    assert display.given_label.tolist() == ["dog", "dog", "cat", "cat"]


def test_of_a_pipeline():
    display = show(clf=make_pipeline("passthrough", Judged()), class_names=["Katze", "Hund"])
    assert display.rows.tolist() == WORST
    assert display.given_label.tolist() == ["Hund", "Hund", "Katze", "Katze"]


# -- images -----------------------------------------------------------------------------------


def test_gallery():
    display = show()
    assert_array_equal(display.rows, WORST)
    assert display.n_found == 4
    assert display.ax_.get_title().startswith("4 of 4 labels")
    captions = [axes.get_title() for axes in display.axes_]
    assert captions == [
        "dog → cat\nrow 4: 0.10",
        "dog → cat\nrow 1: 0.30",
        "cat → dog\nrow 5: 0.30",
        "cat → dog\nrow 6: 0.49",
    ]
    for axes, row in zip(display.axes_, WORST, strict=True):
        assert_array_equal(axes.images[0].get_array(), IMAGES[row])
    assert display.table_ is None


@pytest.mark.parametrize("n_issues", [1, 3, 4, 100])
def test_number_of_issues(n_issues):
    display = show(n_issues=n_issues)
    n_shown = min(n_issues, 4)
    assert_array_equal(display.rows, WORST[:n_shown])
    assert len(display.axes_) == n_shown
    assert display.ax_.get_title().startswith(f"{n_shown} of 4 labels")


COLOR = RNG.random((N, 6, 5, 3))
FORMS = {
    "gray": (IMAGES, {}, IMAGES),
    "one channel first": (IMAGES[:, None], {}, IMAGES),
    "one channel last": (IMAGES[..., None], {}, IMAGES),
    "color last": (COLOR, {}, COLOR),
    "color first": (np.moveaxis(COLOR, 3, 1), {}, COLOR),
    "tensor": (torch.as_tensor(np.moveaxis(COLOR, 3, 1)), {}, COLOR),
    "flat": (IMAGES.reshape(N, -1), {"image_shape": (6, 5)}, IMAGES),
    "flat, color last": (COLOR.reshape(N, -1), {"image_shape": (6, 5, 3)}, COLOR),
    "flat, color first": (
        np.moveaxis(COLOR, 3, 1).reshape(N, -1),
        {"image_shape": (3, 6, 5)},
        COLOR,
    ),
    "frame": (pd.DataFrame(IMAGES.reshape(N, -1)), {"image_shape": (6, 5)}, IMAGES),
    "sparse": (sparse.coo_array(IMAGES.reshape(N, -1)), {"image_shape": (6, 5)}, IMAGES),
    "list": (IMAGES.tolist(), {}, IMAGES),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_images(form):
    X, params, expected = FORMS[form]
    assert_allclose(show(X, **params).images, expected[WORST])


@pytest.mark.parametrize("labelled", [True, False])
def test_a_dataset_of_images(labelled):
    tensor = torch.as_tensor(IMAGES)
    parts = (tensor, torch.zeros(N)) if labelled else (tensor,)
    display = show(torch.utils.data.TensorDataset(*parts))
    assert_allclose(display.images.reshape(4, 6, 5), IMAGES[WORST])


def test_ambiguous_images_have_their_channels_first():
    X = RNG.random((N, 3, 4, 3))
    assert_array_equal(show(X).images, np.moveaxis(X[WORST], 1, 3))


def test_values_are_brought_to_the_unit_interval():
    whole = RNG.integers(0, 256, (N, 4, 4))
    assert_allclose(show(whole.astype(np.uint8)).images, whole[WORST] / 255)
    normalized = (IMAGES - 0.5) / 0.2
    shown = normalized[WORST]
    expected = (shown - shown.min()) / (shown.max() - shown.min())
    assert_allclose(show(normalized).images, expected)
    assert_allclose(show(16 * IMAGES).images.max(), 1)
    dim = IMAGES / 2
    assert_array_equal(show(dim).images, dim[WORST])
    assert_array_equal(show(np.full((N, 4, 4), 7.0)).images, 0)


@pytest.mark.parametrize(
    ("X", "shape", "message"),
    [
        (IMAGES.reshape(N, -1), (8, 8), r"image_shape=\(8, 8\) has 64 entries.* of X has 30"),
        (IMAGES.reshape(N, -1), (2, 3, 5), r"does not make images"),
        (IMAGES.reshape(N, -1), (30,), r"does not make images"),
        (np.full((N, 4), "a"), (2, 2), r"for an X of numbers"),
    ],
)
def test_bad_image_shape(X, shape, message):
    with pytest.raises(ValueError, match=message):
        show(X, image_shape=shape)


# -- tables -----------------------------------------------------------------------------------


def test_table():
    X = np.arange(N * 3).reshape(N, 3) / 7
    display = show(X)
    assert display.images is None and len(display.axes_) == 0
    header, first, *others = text_of(display)
    assert header == ["row", "given", "suggested", "score", "x0", "x1", "x2"]
    assert first == ["4", "dog", "cat", "0.10", "1.71", "1.86", "2"]
    assert [row[0] for row in others] == ["1", "5", "6"]
    assert display.ax_.get_title().startswith("4 of 4 labels")


def test_table_of_a_frame_with_many_columns():
    frame = pd.DataFrame(
        {"word": [f"w{i}" for i in range(N)], **{f"c{i}": range(N) for i in range(8)}},
        index=[f"r{i}" for i in range(N)],
    )
    header, first, *_ = text_of(show(frame))
    assert header[4:] == ["word", "c0", "c1", "c2", "c3", "c4", "..."]
    assert first == ["r4", "dog", "cat", "0.10", "w4", "4", "4", "4", "4", "4", "..."]


def test_table_of_texts():
    X = np.array([f"{i} " + "long " * 20 for i in range(N)], object)
    rows = text_of(show(X))
    assert rows[0][4:] == ["X"]
    assert rows[1][4].startswith("4 long long") and rows[1][4].endswith("...")
    assert len(rows[1][4]) == 40


def test_table_of_rows_that_cannot_be_written():
    header, *rows = text_of(show(RNG.random((N, 2, 2, 2, 2))))
    assert header == ["row", "given", "suggested", "score"]
    assert len(rows) == 4


# -- names ------------------------------------------------------------------------------------


def test_names_of_rows():
    index = [f"r{i}" for i in range(N)]
    names = [f"r{i}" for i in WORST]
    frame = pd.DataFrame(IMAGES.reshape(N, -1), index=index)
    assert show(frame).rows.tolist() == names
    assert show(IMAGES, pd.Series(Y, index=index)).rows.tolist() == names
    # That of X counts more.
    assert show(frame, pd.Series(Y)).rows.tolist() == names


@pytest.mark.parametrize("names", [["Katze", "Hund"], {"dog": "Hund", "cat": "Katze"}])
def test_names_of_classes(names):
    display = show(class_names=names)
    assert display.given_label.tolist() == ["Hund", "Hund", "Katze", "Katze"]
    assert display.suggested_label.tolist() == ["Katze", "Katze", "Hund", "Hund"]


def test_names_follow_classes_that_are_not_sorted():
    clf = Judged()
    clf.classes_ = np.array(["dog", "cat"])
    assert show(clf=clf, class_names=["Hund", "Katze"]).given_label[0] == "Hund"


# -- the rest ---------------------------------------------------------------------------------


@pytest.mark.parametrize("X", [IMAGES, IMAGES.reshape(N, -1)], ids=["images", "table"])
@pytest.mark.parametrize("given", [True, False])
def test_no_issues(X, given):
    ax = plt.subplots()[1] if given else None
    display = show(X, clf=Judged(np.full(N, 0.9), Y), ax=ax)
    assert [text.get_text() for text in display.ax_.texts] == ["No label is probably wrong."]
    assert len(display.rows) == len(display.axes_) == display.n_found == 0
    assert display.figure_ is display.ax_.figure
    assert ax is None or display.ax_ is ax


@pytest.mark.parametrize("X", [IMAGES, IMAGES.reshape(N, -1)], ids=["images", "table"])
def test_a_given_ax_is_used(X):
    figure, axes = plt.subplots(1, 2)
    display = show(X, ax=axes[1])
    assert display.ax_ is axes[1] and display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    assert display.plot() is display and display.figure_ is not figure
    figure.canvas.draw()


def test_options_reach_matplotlib():
    assert show(cmap="viridis").axes_[0].images[0].get_cmap().name == "viridis"
    X = IMAGES.reshape(N, -1)
    cell = show(X, cellLoc="left").table_[1, 0]
    assert cell.get_text().get_horizontalalignment() == "left"


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_issues": 0}, ValueError, "n_issues must be an integer at least 1"),
        ({"n_issues": 2.0}, TypeError, "n_issues must be an integer"),
        ({"X": IMAGES[1:]}, ValueError, "X has 7 entries, and 8 rows"),
        ({"y": Y[1:]}, ValueError, "y has 7 entries, and 8 rows"),
        ({"y": Y[::-1]}, ValueError, "of 8 rows differ, the first of them row 0"),
        ({"X": {"a": IMAGES}}, ValueError, "X is a dict"),
        ({"class_names": ["cat"]}, ValueError, "class_names has 1 entries.* 2 classes"),
        ({"class_names": {"cat": "Katze"}}, ValueError, r"class_names lacks the labels \['dog'\]"),
    ],
)
def test_bad_input(params, error, message):
    with pytest.raises(error, match=message):
        show(**params)


def test_not_judged_yet():
    clf = CRUSTClassifier(MLP, max_epochs=0, verbose=0)
    with pytest.raises(NotFittedError, match="warmup_epochs"):
        show(clf=clf)
