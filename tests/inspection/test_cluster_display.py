"""ClusterDisplay: a medoid, and the rows that the fitted attributes assign to it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from crust_sklearn import CoresetSampler, CoresetSelector, CRUSTClassifier
from crust_sklearn.inspection import ClusterDisplay
from crust_sklearn.modules import MLP
from crust_sklearn.settings import PAPER

X, Y = load_digits(return_X_y=True)
X, Y = X[:200].astype(np.float32) / 16, Y[:200]
N = len(X)


@pytest.fixture(scope="module")
def selector():
    return CoresetSelector(coreset_size=20, stratify=False).fit(X)


@pytest.fixture(scope="module")
def paper():
    settings = PAPER | {"coreset_size": 0.2, "warmup_epochs": 2}
    return CRUSTClassifier(MLP, max_epochs=4, verbose=0, random_state=0, **settings).fit(X, Y)


def expected_members(medoids, assignment, medoid):
    """Return the rows of a cluster, the medoid first."""
    position = list(medoids).index(medoid)
    others = [i for i, j in enumerate(assignment) if j == position and i != medoid]
    return [medoid, *others]


def test_every_cluster_of_a_selector(selector):
    seen = []
    for medoid in selector.sample_indices_:
        display = ClusterDisplay.from_estimator(selector, X, medoid=medoid, n_members=N)
        rows = display.rows.tolist()
        expected = expected_members(selector.sample_indices_, selector.assignment_, medoid)
        assert rows == expected
        assert display.n_members == len(rows)
        seen += rows
        plt.close(display.figure_)
    assert sorted(seen) == list(range(N))


def test_the_largest_cluster_by_default(selector):
    display = ClusterDisplay.from_estimator(selector, X, n_members=4)
    largest = selector.sample_weight_.argmax()
    assert display.n_members == selector.sample_weight_[largest]
    expected = expected_members(
        selector.sample_indices_, selector.assignment_, selector.sample_indices_[largest]
    )
    assert display.rows.tolist() == expected[:4]
    title = f"4 of the {display.n_members} rows that row {expected[0]} stands for"
    assert display.ax_.get_title() == title


def test_of_a_classifier(paper):
    display = ClusterDisplay.from_estimator(paper, X, Y, image_shape=(8, 8))
    counts = np.bincount(paper.coreset_assignment_)
    medoid = paper.coreset_indices_[counts.argmax()]
    expected = expected_members(paper.coreset_indices_, paper.coreset_assignment_, medoid)
    assert display.rows.tolist() == expected[:20]
    assert_array_equal(display.images, X[expected[:20]].reshape(-1, 8, 8))
    assert display.labels.tolist() == [str(label) for label in Y[expected[:20]]]
    captions = [axes.get_title() for axes in display.axes_]
    assert captions == [f"{Y[row]}\nrow {row}" for row in expected[:20]]


def test_of_a_sampler_and_of_the_default_classifier():
    sampler = CoresetSampler(coreset_size=0.1)
    sampler.fit_resample(X, Y)
    assert ClusterDisplay.from_estimator(sampler, X, Y).n_members == sampler.sample_weight_.max()
    clf = CRUSTClassifier(MLP, max_epochs=2, verbose=0, random_state=0).fit(X, Y)
    display = ClusterDisplay.from_estimator(clf, X, Y)
    assert display.rows[0] in clf.coreset_indices_


def test_colors_tell_other_labels(selector):
    labels = np.zeros(N, int)
    display = ClusterDisplay.from_estimator(selector, X, labels, image_shape=(8, 8))
    labels[display.rows[2]] = 1
    display = ClusterDisplay.from_estimator(selector, X, labels, image_shape=(8, 8))
    colors = [axes.title.get_color() for axes in display.axes_]
    assert colors[:4] == ["tab:blue", "black", "tab:red", "black"]
    plain = ClusterDisplay.from_estimator(selector, X, image_shape=(8, 8))
    assert [axes.title.get_color() for axes in plain.axes_[:3]] == ["tab:blue", "black", "black"]
    assert plain.axes_[0].get_title() == f"row {plain.rows[0]}"


def test_table_and_names(selector):
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"], index=[f"r{i}" for i in range(N)])
    names = [f"digit {i}" for i in range(10)]
    display = ClusterDisplay.from_estimator(selector, frame, Y, n_members=3, class_names=names)
    medoid = ClusterDisplay.from_estimator(selector, X).rows[0]
    assert display.rows[0] == f"r{medoid}"
    assert display.labels[0] == f"digit {Y[medoid]}"
    header = [display.table_[0, j].get_text().get_text() for j in range(5)]
    assert header == ["row", "label", "a", "b", "c"]
    first = [display.table_[1, j].get_text().get_text() for j in range(5)]
    assert first == [f"r{medoid}", f"digit {Y[medoid]}", *[f"{v:.3g}" for v in X[medoid, :3]]]
    assert len(display.axes_) == 0


@pytest.mark.parametrize("image_shape", [None, (8, 8)], ids=["table", "images"])
def test_a_given_ax_is_used(selector, image_shape):
    figure, axes = plt.subplots(1, 2)
    display = ClusterDisplay.from_estimator(selector, X, ax=axes[0], image_shape=image_shape)
    assert display.ax_ is axes[0] and display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    assert display.plot() is display and display.figure_ is not figure
    figure.canvas.draw()


class NoClusters(BaseEstimator):
    """As much of a fitted classifier as is needed, of a strategy that assigns no row."""

    def __init__(self):
        self.coreset_indices_ = np.array([0, 1])
        self.coreset_assignment_ = np.full(N, -1)

    def fit(self, X, y):
        raise AssertionError("not to be fitted")


def test_no_clusters():
    with pytest.raises(ValueError, match=r"no clusters.*selector='facility-location'"):
        ClusterDisplay.from_estimator(NoClusters(), X)


def test_no_coreset():
    with pytest.raises(NotFittedError, match="no coreset yet"):
        ClusterDisplay.from_estimator(CoresetSelector(), X)
    clf = CRUSTClassifier(MLP, max_epochs=0, verbose=0).fit(X, Y)
    with pytest.raises(NotFittedError, match="warmup_epochs"):
        ClusterDisplay.from_estimator(clf, X)


def test_a_row_that_was_not_chosen(selector):
    other = np.setdiff1d(np.arange(N), selector.sample_indices_)[0]
    with pytest.raises(ValueError, match=f"medoid={other} is not a chosen row"):
        ClusterDisplay.from_estimator(selector, X, medoid=other)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"medoid": 0.5}, TypeError, "medoid must be an integer"),
        ({"medoid": -1}, ValueError, "medoid must be an integer at least 0"),
        ({"n_members": 0}, ValueError, "n_members must be an integer at least 1"),
        ({"X": X[1:]}, ValueError, "X has 199 entries, and 200 rows"),
        ({"y": Y[1:]}, ValueError, "y has 199 entries, and 200 rows"),
        ({"y": Y, "class_names": ["zero"]}, ValueError, "class_names has 1 entries"),
        ({"image_shape": (8, 9)}, ValueError, "image_shape"),
    ],
)
def test_bad_input(selector, params, error, message):
    params = {"X": X, **params}
    with pytest.raises(error, match=message):
        ClusterDisplay.from_estimator(selector, **params)
