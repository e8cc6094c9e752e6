"""LowRankDisplay: its errors against least squares, its gradients against autograd."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from torch import nn

from crust_sklearn import CRUSTClassifier
from crust_sklearn.inspection import LowRankDisplay
from crust_sklearn.label_noise import leave_one_out_predictions
from crust_sklearn.measures import low_rank_error
from crust_sklearn.modules import MLP
from crust_sklearn.nets.loss_gradients import loss_gradients
from crust_sklearn.strategies import STRATEGIES, Leverage, PivotedQR

RNG = np.random.default_rng(0)
# Singular values that fall off, so that the choice of rows matters.
G = RNG.standard_normal((60, 12)) * np.geomspace(1, 0.01, 12) @ RNG.standard_normal((12, 12))

N = 80
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)


def make(**params):
    defaults = {"max_epochs": 3, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(MLP, module__hidden_sizes=(5,), **defaults | params)


def relative_error(rows, chosen):
    """Return |A - A P| / |A| by least squares."""
    basis = rows[chosen].T
    left = rows.T - basis @ np.linalg.lstsq(basis, rows.T, rcond=None)[0]
    return np.linalg.norm(left) / np.linalg.norm(rows)


# -- from_data --------------------------------------------------------------------------------


def test_errors_are_those_of_the_projections():
    display = LowRankDisplay.from_data(
        G, strategies=["pivoted-qr", "greedy-css"], sizes=[1, 4, 7], n_repeats=2
    )
    for name, errors in display.errors.items():
        for size, found in zip([1, 4, 7], errors, strict=True):
            chosen = STRATEGIES[name]().select(G, size).indices
            np.testing.assert_allclose(found, relative_error(G, chosen), rtol=1e-9)
            np.testing.assert_allclose(
                found / display.best_error[display.sizes == size], low_rank_error(G, chosen)
            )


def test_best_errors_are_those_of_the_singular_values():
    values = np.linalg.svd(G, compute_uv=False)
    display = LowRankDisplay.from_data(G, strategies=["uniform"], sizes=[2, 5, 11])
    expected = [np.sqrt((values[k:] ** 2).sum() / (values**2).sum()) for k in (2, 5, 11)]
    np.testing.assert_allclose(display.best_error, expected)


def test_every_strategy_by_default_and_none_beats_the_best():
    display = LowRankDisplay.from_data(G, n_repeats=2, random_state=0)
    assert list(display.errors) == list(STRATEGIES)
    for errors in display.errors.values():
        assert errors.shape == (len(display.sizes), 2)
        assert (errors >= display.best_error[:, None] * (1 - 1e-9)).all()
        assert (errors <= 1 + 1e-9).all()


def test_repeats_differ_where_rows_are_drawn():
    display = LowRankDisplay.from_data(
        G, strategies=["uniform", "leverage", "centrality"], sizes=[3], n_repeats=4, random_state=0
    )
    assert len(np.unique(display.errors["uniform"])) == 4
    assert len(np.unique(display.errors["leverage"])) > 1
    assert len(np.unique(display.errors["centrality"])) == 1
    again = LowRankDisplay.from_data(
        G, strategies=["uniform"], sizes=[3], n_repeats=4, random_state=0
    )
    np.testing.assert_array_equal(again.errors["uniform"], display.errors["uniform"])
    other = LowRankDisplay.from_data(
        G, strategies=["uniform"], sizes=[3], n_repeats=4, random_state=1
    )
    assert (other.errors["uniform"] != display.errors["uniform"]).any()


def test_default_sizes_end_before_the_rank():
    def sizes(rows):
        return LowRankDisplay.from_data(rows, strategies=["uniform"], n_repeats=1).sizes.tolist()

    assert (sizes(G)[0], sizes(G)[-1]) == (1, 11)
    assert sizes(G[:, :4]) == [1, 2, 3]
    low = RNG.standard_normal((50, 5)) @ RNG.standard_normal((5, 30))
    assert sizes(low) == sizes(low.astype(np.float32)) == [1, 2, 3, 4]
    wide = sizes(RNG.standard_normal((300, 200)))
    assert len(wide) == 10 and wide[-1] == 199
    assert np.ptp(np.diff(np.log(wide[4:]))) < 0.2


class FirstRows:
    def select(self, X, n_select, *, sample_weight=None, random_state=None):
        return PivotedQR().select(X[:n_select], n_select)


def test_strategies_of_ones_own():
    display = LowRankDisplay.from_data(
        G, strategies=["leverage", Leverage(sampling="top"), FirstRows()], sizes=[2], n_repeats=1
    )
    assert list(display.errors) == ["leverage", "Leverage(sampling='top')", "FirstRows"]
    assert display.errors["FirstRows"][0, 0] == pytest.approx(relative_error(G, [0, 1]))


def test_lines_and_bands():
    figure, ax = plt.subplots()
    display = LowRankDisplay.from_data(
        G, strategies=["uniform", "pivoted-qr"], ax=ax, random_state=0, linewidth=3.5
    )
    assert display.ax_ is ax and display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    names = ["uniform", "pivoted-qr", "best subspace (SVD)"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == names
    assert list(display.lines_) == names
    for name in names[:2]:
        line = display.lines_[name]
        np.testing.assert_array_equal(line.get_xdata(), display.sizes)
        np.testing.assert_allclose(line.get_ydata(), display.errors[name].mean(axis=1))
        assert line.get_linewidth() == 3.5
    np.testing.assert_array_equal(display.lines_[names[2]].get_ydata(), display.best_error)
    (band,) = ax.collections
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(display.errors["uniform"].max())
    assert display.plot() is display and display.ax_ is not ax


@pytest.mark.parametrize(
    ("rows", "params", "error", "message"),
    [
        (G, {"sizes": [0]}, ValueError, "sizes must be from 1 to 11"),
        (G, {"sizes": [3, 12]}, ValueError, "sizes must be from 1 to 11"),
        (G, {"sizes": [0.5]}, TypeError, "sequence of integers"),
        (G, {"sizes": 3}, TypeError, "sequence of integers"),
        (G, {"sizes": []}, TypeError, "sequence of integers"),
        (G, {"n_repeats": 0}, ValueError, "n_repeats must be an integer at least 1"),
        (G, {"n_repeats": 1.5}, TypeError, "n_repeats"),
        (G, {"strategies": ["pivoted-rq"]}, ValueError, "Did you mean 'pivoted-qr'"),
        (G, {"strategies": ["uniform", "uniform"]}, ValueError, "'uniform' twice"),
        (G, {"strategies": "uniform"}, TypeError, "not a sequence of strategies"),
        (G, {"strategies": []}, TypeError, "not a sequence of strategies"),
        (G, {"strategies": [PivotedQR]}, TypeError, "neither a name nor a strategy"),
        (np.ones((5, 3)), {}, ValueError, "G has rank 1"),
        (np.zeros((5, 3)), {}, ValueError, "G has rank 0"),
        (np.full((5, 3), np.nan), {}, ValueError, "NaN"),
    ],
)
def test_bad_input(rows, params, error, message):
    with pytest.raises(error, match=message):
        LowRankDisplay.from_data(rows, **params)


# -- gradients of a classifier ----------------------------------------------------------------


def by_autograd(net, kind):
    """Return the gradient of each row's loss, one backward pass a row."""
    layer = [m for m in net.module_.modules() if isinstance(m, nn.Linear)][-1]
    net.module_.eval()
    tap = {}
    hook = layer.register_forward_hook(lambda m, inputs, out: tap.update(h=inputs[0], z=out))
    found = []
    for x, y in zip(torch.as_tensor(X), torch.as_tensor(Y), strict=True):
        loss = nn.functional.cross_entropy(net.module_(x[None]), y[None])
        at = {"logits": tap["z"], "features": tap["h"], "last-layer": layer.weight}[kind]
        found.append(torch.autograd.grad(loss, at)[0].flatten().numpy())
    hook.remove()
    return np.stack(found)


@pytest.mark.parametrize("kind", ["logits", "features", "last-layer"])
def test_gradients_are_those_of_autograd(kind):
    net = make(gradient=kind, selector="facility-location").fit(X, Y)
    before = net.module_.state_dict(), net.coreset_history_.epochs.tolist()
    found = loss_gradients(net, X, Y)
    np.testing.assert_allclose(found, by_autograd(net, kind), atol=1e-5)
    assert net.coreset_history_.epochs.tolist() == before[1]


def test_leave_one_out_gradients():
    net = make().fit(X, Y)
    before = {name: np.copy(array) for name, array in net.state_.state_dict().items()}
    one_hot = np.eye(3)[Y]
    expected = leave_one_out_predictions(get_features(net), Y, 3, np.ones(len(Y)))
    expected = np.maximum(expected, 1e-4)
    expected = expected / expected.sum(axis=1, keepdims=True) - one_hot
    np.testing.assert_allclose(loss_gradients(net, X, Y), expected, atol=1e-5)
    after = net.state_.state_dict()
    assert after.keys() == before.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


def get_features(net):
    layer = [m for m in net.module_.modules() if isinstance(m, nn.Linear)][-1]
    tap = {}
    hook = layer.register_forward_hook(lambda m, inputs, out: tap.update(h=inputs[0]))
    net.module_.eval()(torch.as_tensor(X))
    hook.remove()
    return tap["h"].detach().numpy()


def test_gradients_of_labels_of_any_kind_and_of_datasets():
    names = np.array(["ham", "spam", "zebra"])[Y]
    expected = loss_gradients(make().fit(X, Y), X[:50], Y[:50])
    np.testing.assert_allclose(
        loss_gradients(make().fit(X, names), X[:50], names[:50].tolist()), expected, atol=1e-6
    )
    data = torch.utils.data.TensorDataset(torch.as_tensor(X[:50]), torch.as_tensor(Y[:50]))
    np.testing.assert_allclose(loss_gradients(make().fit(X, Y), data), expected, atol=1e-6)
    with pytest.raises(ValueError, match="not among the classes"):
        loss_gradients(make().fit(X, Y), X, Y + 5)
    with pytest.raises(ValueError, match="y is None"):
        loss_gradients(make().fit(X, Y), X)


def test_from_estimator_is_from_data_of_the_gradients():
    net = make(gradient="last-layer", selector="facility-location").fit(X, Y)
    params = {"strategies": ["uniform", "greedy-css"], "random_state": 0, "n_repeats": 2}
    display = LowRankDisplay.from_estimator(net, X, Y, sizes=[1, 3, 5], **params)
    expected = LowRankDisplay.from_data(loss_gradients(net, X, Y), sizes=[1, 3, 5], **params)
    assert display.sizes.tolist() == [1, 3, 5]
    for name in params["strategies"]:
        np.testing.assert_allclose(display.errors[name], expected.errors[name], rtol=1e-6)


def test_rank_of_gradients_at_the_logits():
    display = LowRankDisplay.from_estimator(make().fit(X, Y), X, Y, strategies=["uniform"])
    assert display.sizes.tolist() == [1]


def test_not_initialized():
    with pytest.raises(NotFittedError):
        LowRankDisplay.from_estimator(make(), X, Y)
