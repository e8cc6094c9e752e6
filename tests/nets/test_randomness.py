"""Every draw comes from a stream of the net's own; the process-global generators are left alone."""

import random
import threading

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, LoadInitState, TrainEndCheckpoint
from torch import nn

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.modules import MLP, SmallCNN
from crust_sklearn.nets.seeding import ModuleDraws, OwnDraws, derive_seed
from crust_sklearn.settings import PAPER

X, Y = load_digits(return_X_y=True)
X, Y = (X[:300] / 16).astype(np.float32), Y[:300]


SIZES = {"module__in_features": 64, "module__num_classes": 10}


class Dropout(nn.Module):
    def __init__(self, in_features=64, num_classes=10):
        super().__init__()
        self.hidden, self.fc = nn.Linear(in_features, 32), nn.Linear(32, num_classes)

    def forward(self, x):
        return self.fc(nn.functional.dropout(self.hidden(x).relu(), 0.5, self.training))


class RowOrder(Callback):
    """Notes the numbers of the rows of every batch."""

    def on_train_begin(self, net, **kwargs):
        self.orders_ = []

    def on_epoch_begin(self, net, **kwargs):
        self.orders_.append([])

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            self.orders_[-1] += net.training_.batch.rows.tolist()


def make(module=MLP, cls=CRUSTClassifier, **params):
    defaults = {"max_epochs": 4, "lr": 0.1, "verbose": 0}
    return cls(module, **defaults | {"random_state": 0} | params)


def get_weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


def get_global_states():
    return (
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        random.getstate(),
    )


@pytest.mark.parametrize("settings", [{}, PAPER | {"warmup_epochs": 1}], ids=["default", "paper"])
@pytest.mark.parametrize("module", [MLP, Dropout])
def test_global_generators_are_neither_seeded_nor_drawn_from(module, settings):
    before = get_global_states()
    net = make(module, **settings).fit(X, Y)
    net.partial_fit(X, Y)
    net.predict(X)
    assert get_global_states() == before


@pytest.mark.parametrize("module", [MLP, Dropout])
def test_global_seed_does_not_matter(module):
    weights = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        weights.append(get_weights(make(module).fit(X, Y)))
    assert torch.equal(*weights)


def test_without_random_state_torchs_seed_decides_on_all():
    torch.manual_seed(5)
    first = get_weights(make(random_state=None).fit(X, Y))
    second = get_weights(make(random_state=None).fit(X, Y))
    torch.manual_seed(5)
    again = get_weights(make(random_state=None).fit(X, Y))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("module", [MLP, Dropout])
def test_fits_in_threads_are_those_of_fits_alone(module):
    alone = [get_weights(make(module, random_state=seed).fit(X, Y)) for seed in range(2)]
    nets = [make(module, random_state=seed) for seed in range(2)]
    threads = [threading.Thread(target=net.fit, args=(X, Y)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for net, expected in zip(nets, alone, strict=True):
        assert torch.equal(get_weights(net), expected)


def test_criterion_instance_that_threads_share_keeps_its_reduction():
    criterion = nn.CrossEntropyLoss()
    nets = [make(criterion=criterion, **PAPER | {"warmup_epochs": 1}) for _ in range(2)]
    threads = [threading.Thread(target=net.fit, args=(X, Y)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert criterion.reduction == "mean"
    assert torch.equal(get_weights(nets[0]), get_weights(nets[1]))


def test_grid_search_in_threads_is_repeatable():
    def search(n_jobs):
        with parallel_config("threading"):
            grid = GridSearchCV(make(), {"lr": [0.05, 0.1, 0.2]}, cv=2, n_jobs=n_jobs)
            return grid.fit(X, Y).cv_results_["mean_test_score"]

    np.testing.assert_array_equal(search(2), search(1))


def test_initialize_draws_weights_by_random_state():
    torch.manual_seed(1)
    first = make(**SIZES).initialize().partial_fit(X, Y)
    torch.manual_seed(2)
    second = make(**SIZES).initialize().partial_fit(X, Y)
    assert torch.equal(get_weights(first), get_weights(second))


def test_initialize_again_draws_anew_without_random_state():
    net = make(random_state=None, **SIZES)
    first = get_weights(net.initialize())
    assert not torch.equal(first, get_weights(net.initialize()))


def assert_all_orders_differ(orders):
    assert len({tuple(order) for order in orders}) == len(orders)


def test_warm_starts_go_on_with_other_batches():
    orders = RowOrder()
    net = make(max_epochs=3, warm_start=True, callbacks=[("order", orders)], selector="uniform")
    net.set_params(warmup_epochs=9)
    with pytest.warns(UserWarning, match="no coreset"):
        net.fit(X, Y)
    found = list(orders.orders_)
    with pytest.warns(UserWarning, match="no coreset"):
        net.fit(X, Y)
    assert len(found + orders.orders_) == 6
    assert_all_orders_differ(found + orders.orders_)


def test_load_init_state_goes_on_with_other_batches(tmp_path):
    end = TrainEndCheckpoint(dirname=str(tmp_path))
    first, second = RowOrder(), RowOrder()
    make(cls=NoisyLabelClassifier, callbacks=[end, first]).fit(X, Y)
    make(cls=NoisyLabelClassifier, callbacks=[LoadInitState(end), second]).fit(X, Y)
    assert_all_orders_differ(first.orders_ + second.orders_)


def test_partial_fits_are_the_epochs_of_one_fit():
    whole = make(max_epochs=6).fit(X, Y)
    parts = make(max_epochs=2)
    for _ in range(3):
        parts.partial_fit(X, Y)
    assert torch.equal(get_weights(whole), get_weights(parts))
    np.testing.assert_array_equal(whole.coreset_indices_, parts.coreset_indices_)
    np.testing.assert_array_equal(whole.label_quality_, parts.label_quality_)


def test_dropout_masks_differ_between_batches_and_epochs():
    net = make(Dropout, max_epochs=1, cls=NoisyLabelClassifier).fit(X, Y)
    draws = ModuleDraws(net.module_)
    draws.reseed(0)
    x = torch.as_tensor(X[:8])
    net.module_.train()
    first, second = (draws.run(lambda: net.module_(x), net.module_) for _ in range(2))
    assert not torch.equal(first, second)
    draws.reseed(0)
    assert torch.equal(first, draws.run(lambda: net.module_(x), net.module_))


def test_own_draws_give_the_weights_of_a_seeded_generator():
    with OwnDraws(3):
        found = torch.empty(5).uniform_()
        more = torch.randn(2)
    generator = torch.Generator().manual_seed(3)
    torch.testing.assert_close(found, torch.rand(5, generator=generator), rtol=0, atol=0)
    torch.testing.assert_close(more, torch.randn(2, generator=generator), rtol=0, atol=0)


def test_streams_of_purposes_and_epochs_differ():
    seeds = {derive_seed(0, p, e) for p in ("weights", "batches", "mixtures") for e in range(50)}
    assert len(seeds) == 150


def test_selection_leaves_the_module_in_the_mode_that_it_had():
    class Modes(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_.fc.eval()  # frozen by the user
            self.modes_ = []

        def on_batch_end(self, net, training=False, **kwargs):
            self.modes_.append(net.module_.training)

    modes = Modes()
    make(SmallCNN, callbacks=[modes], max_epochs=2).fit(X.reshape(-1, 1, 8, 8), Y)
    assert all(modes.modes_)


def test_a_module_that_draws_later_only_is_lent_the_generator_too():
    """The first epoch need not tell: a layer may be switched on in later ones."""

    class Late(Dropout):
        n_passes = 0

        def forward(self, x):
            type(self).n_passes += self.training
            return super().forward(x) if self.n_passes > 3 else self.fc(self.hidden(x).relu())

    before = get_global_states()
    make(Late, cls=NoisyLabelClassifier, batch_size=128).fit(X, Y)
    assert get_global_states() == before


def test_what_is_compiled_is_lent_the_generator_from_the_first_batch_on():
    """It cannot be watched, so that its first draw would come from torch's generator."""

    class Compiled(nn.Module):
        def __init__(self, module):
            super().__init__()
            self._orig_mod = module

        def forward(self, x):
            assert not torch.utils._python_dispatch._get_current_dispatch_mode_stack()
            return self._orig_mod(x)

    module = Compiled(Dropout()).train()
    draws, x = ModuleDraws(module), torch.as_tensor(X[:4])
    before = torch.get_rng_state()
    first, second = (draws.run(lambda: module(x), module) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first, second)


class OwnScale(nn.Module):
    """A criterion that draws its parameters."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.scale, self.reduction = nn.Parameter(torch.rand(10) + 0.5), reduction

    def forward(self, x, y):
        return nn.functional.cross_entropy(self.scale * x, y, reduction=self.reduction)


class TwoModules(NoisyLabelClassifier):
    def initialize_module(self):
        super().initialize_module()
        self.head_ = nn.Linear(10, 10)
        return self

    def infer(self, x, **fit_params):
        return self.head_(super().infer(x, **fit_params))


@pytest.mark.parametrize(
    ("cls", "params"), [(CRUSTClassifier, {"criterion": OwnScale}), (TwoModules, {})]
)
def test_all_parts_of_a_net_are_drawn_by_random_state(cls, params):
    before = get_global_states()
    first, second = (make(cls=cls, **params).fit(X, Y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert get_global_states() == before


def test_lazy_layers_are_drawn_by_random_state():
    params = {"module": lambda: nn.Sequential(nn.LazyLinear(10)), "lr": 0.0, "max_epochs": 1}
    first, second, again = (
        get_weights(make(cls=NoisyLabelClassifier, random_state=seed, **params).fit(X, Y))
        for seed in (0, 1, 0)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
