"""CoresetDisplay: its numbers against those counted from the coresets, its panels, its errors."""

import ast
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

import crust_sklearn.inspection
from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier, make_label_noise
from crust_sklearn.coreset_history import CoresetHistory
from crust_sklearn.inspection import (
    ClusterDisplay,
    CoresetDisplay,
    LabelIssuesDisplay,
    LowRankDisplay,
)
from crust_sklearn.modules import MLP

N = 150
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y
IS_RIGHT = Y == TRUE
NAMES = np.array(["ham", "spam", "zebra"])


class Spy(Callback):
    """Keep the coreset of each epoch, as a set."""

    def initialize(self):
        self.seen = []
        return self

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(set(getattr(net, "coreset_indices_", ())))


def make(**params):
    defaults = {"max_epochs": 9, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(MLP, module__hidden_sizes=(8,), **defaults | params)


SPY = Spy()


@pytest.fixture(scope="module")
def clf():
    return make(callbacks=[("spy", SPY)]).fit(X, Y)


def test_numbers_are_those_of_the_coresets(clf):
    display = CoresetDisplay.from_estimator(clf, y=Y, y_true=TRUE)
    assert display.epochs.tolist() == list(range(1, 10))
    assert display.coreset_size.tolist() == [N] + [len(s) for s in SPY.seen[1:]]
    assert display.selection_epochs.tolist() == [2, 5, 8]
    chosen, right = [SPY.seen[i] for i in (1, 4, 7)], set(np.flatnonzero(IS_RIGHT))
    np.testing.assert_allclose(
        display.clean_fraction, [len(rows & right) / len(rows) for rows in chosen]
    )
    np.testing.assert_allclose(display.recall, [len(rows & right) / len(right) for rows in chosen])
    assert display.base_clean_fraction == pytest.approx(IS_RIGHT.mean())
    changed = [len(a ^ b) / len(a | b) for a, b in zip(chosen, chosen[1:], strict=False)]
    np.testing.assert_allclose(display.turnover, [np.nan, *changed])
    expected = [clf.history[i, "selection_dur"] for i in (1, 4, 7)]
    np.testing.assert_array_equal(display.selection_dur, expected)


@pytest.mark.parametrize(
    "labels",
    [
        {"is_clean": IS_RIGHT},
        {"is_clean": pd.Series(IS_RIGHT)},
        {"is_clean": IS_RIGHT.tolist()},
        {"y": NAMES[Y], "y_true": NAMES[TRUE].tolist()},
        {"y": pd.Series(Y), "y_true": TRUE},
    ],
    ids=["mask", "series", "list", "names", "codes"],
)
def test_ways_to_tell_which_labels_are_right(clf, labels):
    expected = CoresetDisplay.from_estimator(clf, y=Y, y_true=TRUE)
    display = CoresetDisplay.from_estimator(clf, **labels)
    np.testing.assert_array_equal(display.clean_fraction, expected.clean_fraction)
    np.testing.assert_array_equal(display.recall, expected.recall)


def test_lines_show_the_numbers(clf):
    display = CoresetDisplay.from_estimator(clf, y=Y, y_true=TRUE, linewidth=3.5)
    size, clean, turnover, time = display.axes_
    np.testing.assert_array_equal(size.lines[0].get_ydata(), display.coreset_size)
    np.testing.assert_array_equal(clean.lines[0].get_ydata(), display.clean_fraction)
    np.testing.assert_array_equal(clean.lines[1].get_ydata(), display.recall)
    np.testing.assert_array_equal(turnover.lines[0].get_ydata(), display.turnover)
    np.testing.assert_array_equal(time.lines[0].get_ydata(), display.selection_dur)
    np.testing.assert_array_equal(time.lines[0].get_xdata(), [2, 5, 8])
    assert all(axes.lines[0].get_linewidth() == 3.5 for axes in display.axes_)
    assert all(axes.get_xlabel() == "Epoch" and axes.get_ylabel() for axes in display.axes_)
    names = [text.get_text() for text in clean.get_legend().get_texts()]
    assert [name.split()[0] for name in names] == ["clean", "recall", "clean"]


def test_three_panels_without_labels(clf):
    display = CoresetDisplay.from_estimator(clf)
    assert display.clean_fraction is None and display.recall is None
    assert len(display.axes_) == 3
    assert display.figure_ is display.axes_[0].figure


def test_given_axes_are_used(clf):
    figure, axes = plt.subplots(2, 2)
    display = CoresetDisplay.from_estimator(clf, is_clean=IS_RIGHT, ax=axes)
    assert display.figure_ is figure
    assert display.axes_.tolist() == axes.ravel().tolist()
    assert len(plt.get_fignums()) == 1
    assert display.plot() is display
    assert display.figure_ is not figure
    with pytest.raises(ValueError, match=r"ax has 1 Axes, and there are 4 panels"):
        display.plot(axes[0, 0])


class TrainingRows(Callback):
    """Keep which rows are trained on."""

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        self.rows = np.asarray(dataset_train.indices)


def test_validation_rows_do_not_count():
    spy = TrainingRows()
    clf = make(train_split=ValidSplit(3, stratified=True), callbacks=[spy]).fit(X, Y)
    display = CoresetDisplay.from_estimator(clf, is_clean=IS_RIGHT)
    in_train = np.isin(np.arange(N), spy.rows)
    assert in_train.sum() == 100
    assert display.base_clean_fraction == pytest.approx(IS_RIGHT[in_train].mean())
    chosen = np.isin(np.arange(N), clf.coreset_indices_)
    expected = (IS_RIGHT & chosen).sum() / (IS_RIGHT & in_train).sum()
    assert display.recall[-1] == pytest.approx(expected)


def test_selections_from_other_data_have_no_cleanness():
    clf = make(max_epochs=2).partial_fit(X, Y).partial_fit(X[:70], Y[:70])
    display = CoresetDisplay.from_estimator(clf, is_clean=IS_RIGHT[:70])
    assert np.isnan(display.clean_fraction).tolist() == [True, False]
    assert np.isnan(display.recall).tolist() == [True, False]


class Interrupt(Callback):
    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 4:
            raise KeyboardInterrupt


def test_after_an_interrupt():
    clf = make(callbacks=[Interrupt()], reselect_every=1).fit(X, Y)
    display = CoresetDisplay.from_estimator(clf, is_clean=IS_RIGHT)
    assert display.selection_epochs.tolist() == [2, 3, 4]
    assert len(display.coreset_size) == 4


class Trained(BaseEstimator):
    """As much of a fitted net as is needed, with a history that may have lost epochs."""

    def __init__(self, n_epochs):
        self.history = [
            {"coreset_size": 10 + i, "selection_dur": float(i)} for i in range(n_epochs)
        ]
        self.coreset_history_ = CoresetHistory()
        for epoch, rows in ((1, [0, 1]), (4, [1, 2]), (7, [2, 3])):
            self.coreset_history_.add(epoch, rows, n_rows=5)

    def fit(self, X, y):
        raise AssertionError("not to be fitted")


@pytest.mark.parametrize(("n_epochs", "n_shown"), [(9, 3), (8, 3), (7, 2), (5, 2), (4, 1), (2, 1)])
def test_selections_beyond_the_history_are_not_shown(n_epochs, n_shown):
    is_clean = np.array([True, False, True, True, True])
    display = CoresetDisplay.from_estimator(Trained(n_epochs), is_clean=is_clean)
    assert display.epochs.tolist() == list(range(1, n_epochs + 1))
    assert display.coreset_size.tolist() == list(range(10, 10 + n_epochs))
    assert display.selection_epochs.tolist() == [2, 5, 8][:n_shown]
    assert display.selection_dur.tolist() == [1, 4, 7][:n_shown]
    np.testing.assert_allclose(display.turnover, [np.nan, 2 / 3, 2 / 3][:n_shown])
    np.testing.assert_allclose(display.clean_fraction, [0.5, 0.5, 1][:n_shown])
    np.testing.assert_allclose(display.recall, [0.25, 0.25, 0.5][:n_shown])
    assert display.base_clean_fraction == 0.8


@pytest.mark.parametrize("n_epochs", [0, 1])
def test_no_selection_within_the_history(n_epochs):
    with pytest.raises(ValueError, match=f"history has {n_epochs} epochs.*Load the history"):
        CoresetDisplay.from_estimator(Trained(n_epochs))


class FourthEpoch(Callback):
    """Save what a Checkpoint saves, at the end of the fourth epoch."""

    def __init__(self, folder):
        self.folder = folder

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 4:
            net.save_params(f_params=self.folder / "params.pt", f_history=self.folder / "history")


def test_after_loading_an_earlier_epoch(tmp_path):
    clf = make(callbacks=[FourthEpoch(tmp_path)]).fit(X, Y)
    clf.load_params(f_params=tmp_path / "params.pt", f_history=tmp_path / "history")
    display = CoresetDisplay.from_estimator(clf, is_clean=IS_RIGHT)
    assert display.epochs.tolist() == [1, 2, 3, 4]
    assert display.selection_epochs.tolist() == [2]


def test_nothing_to_show():
    with pytest.raises(NotFittedError, match="warmup_epochs"):
        CoresetDisplay.from_estimator(make())
    with pytest.raises(NotFittedError, match="warmup_epochs"):
        CoresetDisplay.from_estimator(make(max_epochs=0).fit(X, Y))
    with pytest.raises(NotFittedError, match="chooses no rows"):
        CoresetDisplay.from_estimator(NoisyLabelClassifier(MLP, max_epochs=1, verbose=0).fit(X, Y))
    clf = make(max_epochs=2).fit(X, Y)
    clf.trim_for_prediction()
    with pytest.raises(NotFittedError, match="trim"):
        CoresetDisplay.from_estimator(clf)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ({"y": Y}, ValueError, "y is given without y_true"),
        ({"y": Y, "is_clean": IS_RIGHT}, ValueError, "y is given without y_true"),
        ({"y_true": TRUE}, ValueError, "y_true is given without y"),
        ({"y": Y, "y_true": TRUE, "is_clean": IS_RIGHT}, ValueError, "give one of them"),
        ({"y": Y[:-1], "y_true": TRUE}, ValueError, r"y has the shape \(149,\), and 150 rows"),
        ({"y": Y, "y_true": TRUE[:-1]}, ValueError, r"y_true has the shape \(149,\)"),
        ({"is_clean": IS_RIGHT[1:]}, ValueError, r"is_clean has the shape \(149,\)"),
        ({"is_clean": IS_RIGHT.astype(int)}, TypeError, "is_clean must hold bools"),
        ({"is_clean": np.zeros(N, bool)}, ValueError, "No label is right"),
        ({"y": NAMES[Y], "y_true": TRUE}, ValueError, "No label is right"),
    ],
)
def test_bad_labels(clf, labels, error, message):
    with pytest.raises(error, match=message):
        CoresetDisplay.from_estimator(clf, **labels)


DISPLAYS = {
    ClusterDisplay: {"rows": [1], "n_members": 1},
    CoresetDisplay: {
        "epochs": [1],
        "coreset_size": [1],
        "selection_epochs": [1],
        "turnover": [0],
        "selection_dur": [0],
    },
    LabelIssuesDisplay: {
        "rows": [],
        "given_label": [],
        "suggested_label": [],
        "score": [],
        "n_found": 0,
    },
    LowRankDisplay: {"sizes": [1], "errors": {}, "best_error": [1]},
}


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda display: display.__name__)
def test_plotting_without_matplotlib(display, monkeypatch):
    made = display(**DISPLAYS[display])
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf"{display.__name__}\.plot needs matplotlib: pip"):
        made.plot()
    with pytest.raises(ImportError, match=rf"{display.__name__}\.from_estimator needs matplotlib"):
        display.from_estimator(None, *[None] * (display is not CoresetDisplay) * 2)


def test_importing_does_not_need_matplotlib():
    for path in Path(crust_sklearn.inspection.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "matplotlib" not in ast.unparse(node), path
