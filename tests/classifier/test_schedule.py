"""When rows are chosen and labels are judged: after the warm-up, by the epochs of all calls."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch.callbacks import Checkpoint, LoadInitState

from crust_sklearn import CRUSTClassifier
from crust_sklearn.label_noise import LabelQuality
from crust_sklearn.modules import MLP
from crust_sklearn.settings import PAPER, REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)


def make(**params):
    defaults = REFERENCE | {"warmup_epochs": 2, "max_epochs": 4, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "module__hidden_sizes": (16,)}
    return CRUSTClassifier(MLP, **defaults | params)


def get_epochs(net):
    return net.coreset_history_.epochs.tolist()


def get_weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


@pytest.mark.parametrize(
    ("warmup_epochs", "reselect_every", "expected"),
    [(2, 1, range(2, 9)), (2, 3, [2, 5, 8]), (0, 4, [0, 4, 8]), (7, 3, [7])],
)
def test_selections_are_reselect_every_epochs_apart(warmup_epochs, reselect_every, expected):
    net = make(max_epochs=9, warmup_epochs=warmup_epochs, reselect_every=reselect_every).fit(X, Y)
    assert get_epochs(net) == list(expected)
    sizes = net.history[:, "coreset_size"]
    assert sizes[:warmup_epochs] == [N] * warmup_epochs
    assert sizes[warmup_epochs:] == [len(net.coreset_indices_)] * (9 - warmup_epochs)
    for at, epoch in enumerate(expected):
        assert sizes[epoch] == len(net.coreset_history_.get_indices(at))


def test_epochs_are_counted_over_partial_fit():
    net = make(max_epochs=1)
    for _ in range(4):
        net.partial_fit(X, Y)
    assert get_epochs(net) == [2, 3]
    assert [size == N for size in net.history[:, "coreset_size"]] == [True, True, False, False]


def test_epochs_are_counted_over_warm_starts():
    net = make(max_epochs=3, warm_start=True).fit(X, Y)
    assert get_epochs(net.fit(X, Y)) == [2, 3, 4, 5]
    assert len(net.history) == 6


def test_fit_again_starts_again():
    net = make(max_epochs=3).fit(X, Y)
    first = get_weights(net)
    assert get_epochs(net.fit(X, Y)) == [2]
    assert torch.equal(get_weights(net), first)


def test_checkpoint_is_resumed_at_its_epoch(tmp_path):
    def fit(max_epochs):
        checkpoint = Checkpoint(monitor=None, dirname=tmp_path)
        callbacks = [checkpoint, LoadInitState(checkpoint)]
        return make(max_epochs=max_epochs, callbacks=callbacks).fit(X, Y)

    assert get_epochs(fit(3)) == [2]
    net = fit(6)  # of which three are done
    assert get_epochs(net) == [2, 3, 4, 5]
    assert [size == N for size in net.history[:, "coreset_size"]] == [True] * 2 + [False] * 4
    assert len(net.coreset_indices_) == net.history[-1, "coreset_size"]


def test_other_rows_begin_with_a_selection():
    net = make(reselect_every=10).fit(X, Y)
    net.set_params(max_epochs=2).partial_fit(X[::2], Y[::2])
    # The history of the coresets is that of the rows trained on now.
    assert get_epochs(net)[-1] == 4
    assert net.history[4, "coreset_size"] == len(net.coreset_indices_) == N // 4


def test_parameters_take_effect_between_calls():
    net = make(warmup_epochs=0, max_epochs=1).partial_fit(X, Y)
    net.set_params(coreset_size=0.2, mixup=None, gradient="logits").partial_fit(X, Y)
    assert net.history[:, "coreset_size"] == [N // 2, N // 5]


@pytest.mark.parametrize("warmup_epochs", [3, 4])
def test_warmup_without_end_warns(warmup_epochs):
    net = make(warmup_epochs=warmup_epochs, max_epochs=3)
    with pytest.warns(UserWarning, match="warmup_epochs=.*no coreset will ever be used.*Raise"):
        net.fit(X, Y)
    assert len(net.history) == 3
    assert not hasattr(net, "coreset_indices_")


def test_warm_start_beyond_the_warmup_does_not_warn():
    net = make(warmup_epochs=4, warm_start=True)
    with pytest.warns(UserWarning, match="no coreset"):
        net.fit(X, Y)
    assert get_epochs(net.fit(X, Y)) == [4, 5, 6, 7]


# When labels are judged.


@pytest.fixture
def updates(monkeypatch):
    """The number of rows of each update of the label quality."""
    calls, update = [], LabelQuality.update

    def counting(self, features):
        calls.append(len(features))
        return update(self, features)

    monkeypatch.setattr(LabelQuality, "update", counting)
    return calls


@pytest.mark.parametrize(
    "params",
    [PAPER, REFERENCE, {"gradient": "logits", "coreset_size": 30}],
    ids=["paper", "reference", "logits"],
)
def test_labels_are_judged_once_where_selections_do_not_need_it(updates, params):
    net = make(**params | {"warmup_epochs": 2}, max_epochs=6).fit(X, Y)
    assert updates == [N]
    assert len(net.coreset_history_) == 4
    assert net.label_quality_.shape == (N,)
    assert "noise_rate" not in net.history[-1]
    quality = net.label_quality_
    net.partial_fit(X, Y)
    assert updates == [N]
    np.testing.assert_array_equal(net.label_quality_, quality)
    net.partial_fit(X[:60], Y[:60])
    assert updates == [N, 60]


@pytest.mark.parametrize(
    "params",
    [
        {"coreset_size": "auto"},
        {"gradient": "leave-one-out"},
        {"coreset_size": "auto", "gradient": "leave-one-out", "selector": "smallest-norm"},
    ],
    ids=["auto", "leave-one-out", "both"],
)
def test_labels_are_judged_at_every_selection_that_goes_by_them(updates, params):
    noisy = np.where(np.arange(N) % 4, Y, (Y + 1) % 3)
    net = make(**params, reselect_every=2, max_epochs=7).fit(X, noisy)
    assert updates == [N] * 3
    assert get_epochs(net) == [2, 4, 6]


def test_labels_are_judged_by_the_network_of_the_first_selection(updates):
    short, long = (make(**PAPER | {"warmup_epochs": 2}, max_epochs=m).fit(X, Y) for m in (3, 6))
    np.testing.assert_array_equal(long.label_quality_, short.label_quality_)


def test_no_label_is_judged_in_the_warmup(updates):
    net = make(warmup_epochs=9)
    with pytest.warns(UserWarning, match="no coreset"):
        net.fit(X, Y)
    assert not updates
    assert not hasattr(net, "label_quality_")
