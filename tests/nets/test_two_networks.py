"""Two networks at once: which is which, what they draw, and what is kept of them."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from crust_sklearn import NoisyLabelClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets.two_networks import TwoNetworkClassifier

X, Y = load_digits(return_X_y=True)
X, Y = (X[:200] / 16).astype(np.float32), Y[:200]


class Normed(MLP):
    """A network with a state beside its weights."""

    def __init__(self, in_features, num_classes, **kwargs):
        super().__init__(in_features, num_classes, hidden_sizes=(16,), **kwargs)
        self.norm = nn.BatchNorm1d(in_features)

    def forward(self, x):
        return super().forward(self.norm(x))


def make(cls=TwoNetworkClassifier, module=MLP, **params):
    defaults = {"max_epochs": 2, "lr": 0.01, "verbose": 0, "random_state": 0}
    if module is MLP:
        defaults["module__hidden_sizes"] = (16,)
    return cls(module, **defaults | params)


def get_weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0)


def get_outputs(module):
    module.eval()
    with torch.no_grad():
        return module(torch.as_tensor(X)).softmax(dim=1).numpy()


def test_the_networks_begin_differently_and_the_first_as_it_would_alone():
    net = make(max_epochs=0).fit(X, Y)
    alone = make(NoisyLabelClassifier, max_epochs=0).fit(X, Y)
    assert_same(get_weights(net.module_), get_weights(alone.module_))
    assert not torch.equal(net.module_.fc.weight, net.peer_.fc.weight)


def test_a_pair_of_plain_losses_is_plain_training_of_either():
    net, alone = make().fit(X, Y), make(NoisyLabelClassifier).fit(X, Y)
    for name, value in alone.module_.state_dict().items():
        torch.testing.assert_close(net.module_.state_dict()[name], value)
    assert (get_outputs(net.peer_).argmax(1) == Y).mean() > 0.5


def test_as_peer_swaps_and_puts_back():
    net = make(max_epochs=0).fit(X, Y)
    first, second = net.module_, net.peer_
    with pytest.raises(RuntimeError), net.as_peer():
        assert net.module_ is second
        assert net.peer_ is first
        raise RuntimeError
    assert net.module_ is first
    assert net.peer_ is second


@pytest.mark.parametrize("predict_by", ["first", "mean"])
def test_alone_is_what_one_network_says(predict_by):
    class Notes(TwoNetworkClassifier):
        def plan_epoch(self, epoch):
            def predict():
                self.module_.eval(), self.peer_.eval()
                with torch.no_grad():
                    return self.infer(torch.as_tensor(X)).softmax(dim=1).numpy()

            with self.alone():
                first = predict()
            with self.alone(peer=True):
                second = predict()
            expected = get_outputs(self.module_), get_outputs(self.peer_)
            np.testing.assert_allclose(first, expected[0], atol=1e-6)
            np.testing.assert_allclose(second, expected[1], atol=1e-6)
            both = expected[0] if predict_by == "first" else sum(expected) / 2
            np.testing.assert_allclose(predict(), both, atol=1e-6)
            self.n_checked_ = vars(self).get("n_checked_", 0) + 1

    assert make(Notes, predict_by=predict_by).fit(X, Y).n_checked_ == 2


def test_predictions_are_of_the_first_or_the_mean():
    net = make().fit(X, Y)
    first, second = get_outputs(net.module_), get_outputs(net.peer_)
    np.testing.assert_allclose(net.predict_proba(X), first, atol=1e-6)
    net.set_params(predict_by="mean")
    np.testing.assert_allclose(net.predict_proba(X), (first + second) / 2, atol=1e-6)


def test_mean_of_networks_that_exclude_a_class():
    class Sure(MLP):
        def forward(self, x):
            return 1000 * super().forward(x)

    net = make(module=Sure, predict_by="mean", max_epochs=0).fit(X, Y)
    proba = net.predict_proba(X)
    expected = (get_outputs(net.module_) + get_outputs(net.peer_)) / 2
    assert (expected == 0).any()
    np.testing.assert_allclose(proba, expected, atol=1e-6)


def test_dropout_draws_are_the_nets_own():
    before = torch.get_rng_state()
    nets = [make(module__dropout=0.5).fit(X, Y) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    for name in ("module_", "peer_"):
        assert_same(*(get_weights(getattr(net, name)) for net in nets))
    halves = make(module__dropout=0.5)
    halves.partial_fit(X, Y, epochs=1).partial_fit(X, Y, epochs=1)
    assert_same(get_weights(halves.peer_), get_weights(nets[0].peer_))


def test_networks_drop_different_units():
    class Draws(nn.Module):
        def __init__(self, in_features, num_classes):
            super().__init__()
            self.fc = nn.Linear(in_features, num_classes)
            self.seen = []

        def forward(self, x):
            if self.training:
                self.seen.append(nn.functional.dropout(torch.ones(50), 0.5))
            return self.fc(x)

    net = make(module=Draws, max_epochs=1).fit(X, Y)
    assert len(net.module_.seen) == len(net.peer_.seen) == 4
    for first, second in zip(net.module_.seen, net.peer_.seen, strict=True):
        assert not torch.equal(first, second)


def test_batch_norm_of_both_counts_training_batches_alone():
    net = make(module=Normed, predict_by="mean").fit(X, Y)
    n_batches = 2 * 4
    for module in (net.module_, net.peer_):
        assert module.norm.num_batches_tracked.item() == n_batches
    before = get_weights(net.peer_)
    net.predict_proba(X)
    assert_same(get_weights(net.peer_), before)


def test_parameters_of_both_are_saved(tmp_path):
    net = make(module=Normed, predict_by="mean").fit(X, Y)
    files = {"f_params": tmp_path / "first.pt", "f_peer": tmp_path / "second.pt"}
    net.save_params(**files)
    other = make(module=Normed, predict_by="mean", random_state=1, max_epochs=0).fit(X, Y)
    assert not np.array_equal(other.predict_proba(X), net.predict_proba(X))
    other.load_params(**files)
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))


def test_a_pickle_goes_on_alike():
    whole = make(max_epochs=4, predict_by="mean").fit(X, Y)
    net = make(max_epochs=4, predict_by="mean").partial_fit(X, Y, epochs=2)
    again = pickle.loads(pickle.dumps(net)).partial_fit(X, Y, epochs=2)
    for name in ("module_", "peer_"):
        assert_same(get_weights(getattr(again, name)), get_weights(getattr(whole, name)))


def test_both_are_on_the_device():
    net = make(device="cpu", max_epochs=1).fit(X, Y)
    assert {p.device.type for p in (*net.module_.parameters(), *net.peer_.parameters())} == {"cpu"}


def test_frozen_parameters_of_the_peer_are_left_alone():
    class Frozen(TwoNetworkClassifier):
        def initialize_module(self):
            super().initialize_module()
            for parameter in self.peer_.parameters():
                parameter.requires_grad_(False)
            return self

    net, start = make(Frozen).fit(X, Y), make(max_epochs=0).fit(X, Y)
    assert_same(get_weights(net.peer_), get_weights(start.peer_))


@pytest.mark.parametrize("module", [MLP(64, 10), nn.Linear(64, 10)])
def test_a_module_instance_is_refused(module):
    with pytest.raises(ValueError, match=f"module={type(module).__name__}.*two networks"):
        TwoNetworkClassifier(module, verbose=0).fit(X, Y)


def test_a_function_makes_both():
    net = make(module=lambda: MLP(64, 10, hidden_sizes=(8,)), max_epochs=1).fit(X, Y)
    assert not torch.equal(net.module_.fc.weight, net.peer_.fc.weight)


def test_predict_by_is_checked():
    with pytest.raises(ValueError, match="predict_by='men'.*Did you mean 'mean'"):
        make(predict_by="men").fit(X, Y)
