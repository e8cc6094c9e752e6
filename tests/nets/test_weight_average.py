"""The average of the weights: against a recursion by hand over the weights of every step."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.nets import weight_average
from crust_sklearn.nets.weight_average import get_decay

N = 240
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y


class Net(nn.Module):
    def __init__(self, batch_norm=False, dropout=0.0):
        super().__init__()
        norm = nn.BatchNorm1d(8) if batch_norm else nn.Identity()
        self.body = nn.Sequential(nn.Linear(4, 8), norm, nn.ReLU(), nn.Dropout(dropout))
        self.fc = nn.Linear(8, 3)

    def forward(self, X):
        return self.fc(self.body(X))


class Weights(Callback):
    """Notes the parameters before the first and after every step, in float64."""

    def on_train_begin(self, net, **kwargs):
        self.seen = vars(self).get("seen", [])
        if not self.seen:
            self.seen.append(get_weights(net))

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.seen.append(get_weights(net))


class NotesSelections(CRUSTClassifier):
    """Notes the parameters that each selection sees."""

    def compute_outputs(self, *args, **kwargs):
        self.seen_ = [*vars(self).get("seen_", ()), (len(self.history), get_weights(self))]
        return super().compute_outputs(*args, **kwargs)


def get_weights(net):
    return np.concatenate([p.detach().double().numpy().ravel() for p in net.module_.parameters()])


def get_raw(net):
    entries = net.state_.entries
    names = [f"raw_weights.module.{name}" for name, _ in net.module_.named_parameters()]
    return np.concatenate([np.asarray(entries[name], np.float64).ravel() for name in names])


def make(cls=CRUSTClassifier, module=Net, **params):
    defaults = {"max_epochs": 4, "lr": 0.003, "batch_size": 4, "verbose": 0, "random_state": 0}
    return cls(module, **defaults | {"average_weights": True} | params)


def get_longest(n_epochs):
    """Return a_max of that many epochs, of 60 batches each."""
    return 1 - 100 / (60 * n_epochs)


def average_by_hand(seen, longest):
    """Return the averages after every step; `longest` is a_max of each."""
    averages = [seen[0]]
    for t, (theta, a_max) in enumerate(zip(seen[1:], longest, strict=True)):
        a = min(a_max, 0.999, (1 + t) / (10 + t))
        averages.append(a * averages[-1] + (1 - a) * theta)
    return averages


@pytest.mark.parametrize(
    ("n_done", "n_steps", "expected"),
    [
        (0, 10**6, 0.1),
        (1, 10**6, 2 / 11),
        (70, 1000, 71 / 80),
        (82, 1000, 0.9),
        (5000, 1000, 0.9),
        (10**6, 10**7, 0.999),
        (5, 100, 0.0),
        (5, 3, 0.0),
        (5, 0, 0.0),
    ],
)
def test_decay(n_done, n_steps, expected):
    assert get_decay(n_done, n_steps) == pytest.approx(expected)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_average_is_the_recursion_over_all_steps(batch_norm):
    weights = Weights()
    net = make(callbacks=[weights], module__batch_norm=batch_norm, module__dropout=0.2).fit(X, Y)
    expected = average_by_hand(weights.seen, [get_longest(4)] * (len(weights.seen) - 1))[-1]
    np.testing.assert_allclose(get_weights(net), expected, rtol=0, atol=1e-6)
    assert not np.allclose(expected, weights.seen[-1], atol=1e-3)
    np.testing.assert_array_equal(get_raw(net), weights.seen[-1])


def test_averaging_changes_no_step_before_the_first_selection():
    plain, averaged = (
        make(average_weights=value, callbacks=[Weights()], warmup_epochs=3).fit(X, Y)
        for value in (False, True)
    )
    first, second = plain.callbacks[0].seen, averaged.callbacks[0].seen
    for a, b in zip(first[:181], second[:181], strict=True):
        np.testing.assert_array_equal(a, b)
    rooms = {name.split(".")[0] for name in plain.state_.entries}
    assert not rooms & {"weight_average", "raw_weights"}


def test_statistics_of_batch_norm_are_those_of_the_raw_weights():
    class Buffers(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            self.mean = net.module_.body[1].running_mean.clone()

    net = make(module__batch_norm=True, callbacks=[Buffers()]).fit(X, Y)
    assert torch.equal(net.module_.body[1].running_mean, net.callbacks[0].mean)
    assert net.module_.body[1].num_batches_tracked == sum(net.history[:, "train_batch_count"])


def test_selections_see_the_average():
    weights = Weights()
    net = make(NotesSelections, callbacks=[weights], reselect_every=1).fit(X, Y)
    averages = average_by_hand(weights.seen, [get_longest(4)] * (len(weights.seen) - 1))
    sizes = np.cumsum(net.history[:, "train_batch_count"])
    # The first is of the check of the last layer, before training.
    assert [epoch for epoch, _ in net.seen_[1:]] == [2, 3, 4]
    for epoch, seen in net.seen_[1:]:
        np.testing.assert_allclose(seen, averages[sizes[epoch - 2]], rtol=0, atol=1e-6)


def test_calls_go_on_with_the_raw_weights_and_the_average():
    weights = Weights()
    net = make(callbacks=[weights], max_epochs=2, coreset_size=1.0)
    net.partial_fit(X, Y)
    half = len(weights.seen) - 1
    first = get_weights(net)
    net.partial_fit(X, Y)
    longest = [get_longest(2)] * half + [get_longest(4)] * (len(weights.seen) - 1 - half)
    averages = average_by_hand(weights.seen, longest)
    np.testing.assert_allclose(first, averages[half], rtol=0, atol=1e-6)
    np.testing.assert_allclose(get_weights(net), averages[-1], rtol=0, atol=1e-6)
    whole = make(max_epochs=4, coreset_size=1.0).fit(X, Y)
    np.testing.assert_array_equal(get_raw(net), get_raw(whole))


def keep(net):
    return net


def through_pickle(net):
    return pickle.loads(pickle.dumps(net))


@pytest.mark.parametrize("between", [keep, through_pickle, copy.deepcopy])
@pytest.mark.parametrize("dropped", ["ignore", "pseudo-label"])
def test_parts_are_the_whole_where_the_length_does_not_count(monkeypatch, between, dropped):
    monkeypatch.setattr(weight_average, "SHARE", 10**6)
    params = {"dropped": dropped, "module__batch_norm": True, "module__dropout": 0.2}
    whole = make(max_epochs=6, **params).fit(X, Y)
    parts = make(max_epochs=2, **params)
    for _ in range(3):
        parts = between(parts.partial_fit(X, Y))
    np.testing.assert_array_equal(whole.predict_proba(X), parts.predict_proba(X))
    np.testing.assert_array_equal(whole.coreset_indices_, parts.coreset_indices_)
    np.testing.assert_array_equal(get_raw(whole), get_raw(parts))


def test_other_rows_go_on_with_the_raw_weights_and_the_average():
    weights = Weights()
    net = make(callbacks=[weights], max_epochs=2, warmup_epochs=1).partial_fit(X, Y)
    half = len(weights.seen) - 1
    net.partial_fit(X[:120], Y[:120])
    # Four epochs of half the rows have the steps of two of all rows.
    averages = average_by_hand(weights.seen, [get_longest(2)] * (len(weights.seen) - 1))
    assert len(weights.seen) > half + 40
    np.testing.assert_allclose(get_weights(net), averages[-1], rtol=0, atol=1e-6)


def test_weights_that_were_loaded_in_between_are_kept():
    weights = Weights()
    net = make(callbacks=[weights], max_epochs=1, lr=1e-9).partial_fit(X, Y)
    with torch.no_grad():
        for parameter in net.module_.parameters():
            parameter.fill_(0.5)
    net.partial_fit(X, Y)
    np.testing.assert_allclose(get_weights(net), 0.5, atol=1e-5)
    np.testing.assert_allclose(get_raw(net), 0.5, atol=1e-5)


def test_a_refused_call_leaves_the_average_in_place():
    class Fails(CRUSTClassifier):
        def get_losses(self, y_pred, y_true, rows):
            if vars(self).get("fails_"):
                raise RuntimeError("no")
            return super().get_losses(y_pred, y_true, rows)

    steps = Weights()
    net = make(Fails, max_epochs=1, callbacks=[steps]).partial_fit(X, Y)
    before, raw = net.predict_proba(X), get_raw(net)
    net.fails_ = True
    with pytest.raises(RuntimeError, match="no"):
        net.partial_fit(X, Y)
    np.testing.assert_array_equal(net.predict_proba(X), before)
    np.testing.assert_array_equal(get_raw(net), raw)
    net.fails_ = False
    net.set_params(lr=1e-9).partial_fit(X, Y)
    np.testing.assert_allclose(steps.seen[-1], raw, rtol=0, atol=1e-4)


def test_an_interrupted_call_ends_with_the_average():
    class Interrupts(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if training and len(net.history) == 2:
                raise KeyboardInterrupt

    weights = Weights()
    net = make(callbacks=[weights, Interrupts()]).fit(X, Y)
    averages = average_by_hand(weights.seen, [get_longest(4)] * 61)
    np.testing.assert_allclose(get_weights(net), averages[-1], rtol=0, atol=1e-6)


def test_scores_in_training_are_those_of_the_raw_weights():
    class Predicts(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.last = get_weights(net)

    weights = Weights()
    net = make(callbacks=[weights, Predicts()], train_split=ValidSplit(4)).fit(X, Y)
    np.testing.assert_array_equal(net.callbacks[1].last, weights.seen[-1])


def test_parameters_of_16_bits_are_averaged_in_32():
    weights = Weights()
    net = make(module=Net().to(torch.bfloat16), callbacks=[weights], lr=0.05).fit(X, Y)
    kept = net.state_.entries["weight_average.module.fc.bias"]
    assert kept.dtype == torch.float32
    expected = average_by_hand(weights.seen, [get_longest(4)] * (len(weights.seen) - 1))[-1]
    np.testing.assert_allclose(kept.numpy(), expected[-3:], rtol=1e-4, atol=1e-5)
    assert net.module_.fc.bias.dtype == torch.bfloat16
    pickle.loads(pickle.dumps(net)).partial_fit(X, Y)


# Of torch, which looks for gradients of what its own compiler traces.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_compiled_modules():
    plain = make(max_epochs=2).fit(X, Y)
    compiled = make(max_epochs=2, compile=True, compile__backend="eager").fit(X, Y)
    np.testing.assert_allclose(compiled.predict_proba(X), plain.predict_proba(X), atol=1e-5)


def test_flag():
    with pytest.raises(TypeError, match="average_weights='yes' is neither True nor False"):
        make(average_weights="yes").fit(X, Y)
