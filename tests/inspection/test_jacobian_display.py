import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from crust_sklearn.inspection.jacobian import (
    information_space,
    jacobian_spectrum,
    residual_alignment,
)
from crust_sklearn.inspection.jacobian_display import JacobianSpectrumDisplay
from crust_sklearn.modules import MLP

N, C, K = 20, 3, 6


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def case():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = NeuralNetClassifier(
            MLP(5, C, hidden_sizes=(7,)), criterion=nn.CrossEntropyLoss, verbose=0
        ).initialize()
        X = torch.randn(N, 5)
    y = np.arange(N) % C
    return net, X, y, np.where(np.arange(N) % 4 == 0, (y + 1) % C, y)


def make(case, *, y=None, **options):
    net, X, *_ = case
    options = {"n_components": K, "random_state": 0} | options
    return JacobianSpectrumDisplay.from_estimator(net, X, y, **options)


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_without_labels_it_shows_the_singular_values(case):
    net, X, *_ = case
    display = make(case)
    spectrum = jacobian_spectrum(net, X, n_components=K, random_state=0)
    assert display.alignment is None
    assert display.axes_.shape == (1,)
    assert display.figure_ is display.axes_[0].figure
    (ax,) = display.axes_
    values, knee = ax.get_lines()
    np.testing.assert_array_equal(values.get_xdata(), np.arange(1, K + 1))
    np.testing.assert_allclose(values.get_ydata(), spectrum.singular_values)
    size = information_space(spectrum).size
    assert display.size == size
    assert set(knee.get_xdata()) == {size + 0.5}
    assert f"{size} direction" in ax.get_title()
    assert ax.get_yscale() == "log"


def test_with_true_labels_it_shows_the_shares_of_clean_and_wrong_ones(case):
    net, X, y, y_true = case
    display = make(case, y=y, y_true=y_true, size=2)
    found = residual_alignment(net, X, y, display.spectrum, size=2, y_true=y_true)
    shown = lines(display.axes_[1])
    for name, shares in {"clean": found.clean, "wrong": found.wrong}.items():
        label = f"{name} labels: {shares[1]:.1%} in 2, {shares[-1]:.1%} in {K}"
        np.testing.assert_allclose(shown[label].get_ydata(), shares)
    label = f"no structure: {2 / (N * C):.1%} in 2, {K / (N * C):.1%} in {K}"
    np.testing.assert_allclose(shown[label].get_ydata(), np.arange(1, K + 1) / (N * C))
    by_mask = make(case, y=y, is_clean=y == y_true, size=2)
    assert lines(by_mask.axes_[1]).keys() == shown.keys()


def test_with_given_labels_alone_it_shows_the_share_of_all(case):
    net, X, y, _ = case
    display = make(case, y=y, size=K)
    found = residual_alignment(net, X, y, display.spectrum)
    label = f"all labels: {found.overall[-1]:.1%} in {K}"
    np.testing.assert_allclose(lines(display.axes_[1])[label].get_ydata(), found.overall)


def test_where_no_label_is_wrong_there_is_no_such_line(case):
    y = case[2]
    shown = lines(make(case, y=y, y_true=y).axes_[1])
    assert any(name.startswith("clean labels") for name in shown)
    assert not any(name.startswith(("wrong", "all")) for name in shown)


def test_plot_again_into_given_axes_with_given_style(case):
    display = make(case, y=case[2])
    figure, axes = plt.subplots(2)
    assert display.plot(ax=axes, color="k", marker="x") is display
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes)
    assert axes[0].get_lines()[0].get_color() == "k"
    assert axes[0].get_lines()[0].get_marker() == "x"
    _, ax = plt.subplots()
    assert list(make(case, ax=ax).axes_) == [ax]


def test_errors(case):
    y = case[2]
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="ax holds 1 axes, and the display has 2 panels"):
        make(case, y=y, ax=ax)
    for name in ("y_true", "is_clean"):
        with pytest.raises(ValueError, match="about the given labels: give y"):
            make(case, **{name: y})
    with pytest.raises(ValueError, match=f"size must be an integer at least 1 and at most {K}"):
        make(case, size=K + 1)


def test_the_constructor_only_assigns(case):
    display = make(case, y=case[2])
    again = JacobianSpectrumDisplay(
        spectrum=display.spectrum, size=display.size, alignment=display.alignment
    )
    assert not hasattr(again, "axes_")
    assert again.spectrum is display.spectrum
    assert lines(again.plot().axes_[1]).keys() == lines(display.axes_[1]).keys()
