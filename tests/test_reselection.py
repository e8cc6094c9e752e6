import numpy as np
import pytest
import skorch.dataset
import torch
from sklearn.datasets import make_blobs
from torch import nn
from torch.utils.data import Subset

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.coreset_dataset import CoresetDataset
from crust_sklearn.modules import MLP
from crust_sklearn.reselection import Reselection, has_batch_norm
from crust_sklearn.settings import REFERENCE

N = 60
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)
DATASET = skorch.dataset.Dataset(X, Y)


# The most central half of each label, without a size of its own for the classifier.
HALF = REFERENCE | {"selector": CoresetSelector("centrality"), "coreset_size": None}


def make(module=MLP, **params):
    """Return a net that is ready to train."""
    defaults = HALF | {"warmup_epochs": 2, "batch_size": 16, "verbose": 0, "random_state": 0}
    if module is MLP:
        defaults["module__hidden_sizes"] = (8,)
    return CRUSTClassifier(module, max_epochs=0, **defaults | params).fit(X, Y)


def reselection(net, dataset=DATASET, sample_weight=None):
    made = Reselection(net, dataset, sample_weight)
    made.check()
    return made


def at_logits(net, rows=slice(None)):
    return net.predict_proba(X[rows]).astype(np.float64) - np.eye(3)[Y[rows]]


# -- gradients --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:You set iterator_valid__shuffle=True")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"batch_size": -1},
        {"batch_size": 7},
        {"iterator_valid__shuffle": True},
        {"iterator_valid__drop_last": True},
        {"iterator_valid__batch_size": 11},
        {"iterator_valid__sampler": [5, 4, 3]},
        {"module__dropout": 0.9},
    ],
    ids=str,
)
def test_gradients_are_those_of_the_rows_in_order(params):
    net = make(gradient="logits", **params)
    proxies, predicted, metric, features = reselection(net).compute_gradients()
    plain = make(module__dropout=params.get("module__dropout", 0.0))
    np.testing.assert_allclose(proxies, at_logits(plain), atol=1e-6)
    np.testing.assert_array_equal(predicted, plain.predict(X))
    assert metric is None


def test_gradients_of_a_subset_of_a_subset():
    outer, inner = np.random.RandomState(0).permutation(N)[:40], np.arange(40)[::-3]
    rows = outer[inner]
    net = make(gradient="logits", group_by=None)
    made = reselection(net, Subset(Subset(DATASET, outer), inner))
    proxies, *_ = made.compute_gradients()
    np.testing.assert_allclose(proxies, at_logits(net, rows), atol=1e-6)
    made.reselect(2)
    assert set(net.coreset_indices_) <= set(rows)
    assert len(net.coreset_indices_) == len(rows) / 2
    np.testing.assert_array_equal(np.flatnonzero(net.coreset_assignment_ >= 0), np.sort(rows))
    assert len(net.coreset_assignment_) == N


def test_gradients_that_are_not_finite():
    net = make()
    made = reselection(net)
    with torch.no_grad():
        net.module_.fc.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="gradients before epoch 0.*Lower lr.*`history`"):
        made.compute_gradients()


def test_a_selection_draws_from_no_global_generator():
    net = make(selector="uniform", module__dropout=0.5, iterator_train__shuffle=True)
    made = reselection(net)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    made.reselect(2)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_a_selection_takes_no_gradient_of_the_weights():
    net = make()
    before = {name: p.clone() for name, p in net.module_.state_dict().items()}
    reselection(net).reselect(2)
    assert all(p.grad is None and p.requires_grad for p in net.module_.parameters())
    for name, p in net.module_.state_dict().items():
        assert torch.equal(p, before[name])


def test_the_seed_of_a_selection_is_that_of_its_epoch():
    net = make(selector="uniform")
    made = reselection(net)
    chosen = []
    for epoch in (2, 3, 2):
        made.reselect(epoch)
        chosen.append(net.coreset_indices_.tolist())
    assert chosen[0] == chosen[2] != chosen[1]


@pytest.mark.parametrize("selector", ["uniform", CoresetSelector("uniform", random_state=5)])
def test_a_seed_of_the_selector_counts(selector):
    net = make(selector=selector)
    made = reselection(net)
    seeds = []
    for epoch in (2, 3):
        made.reselect(epoch)
        seeds.append(net.selector_.random_state)
    assert (seeds == [5, 5]) is (selector != "uniform")


# -- iterators --------------------------------------------------------------------------------


def test_the_iterator_of_each_epoch():
    net = make(reselect_every=2)
    made = reselection(net)
    given = object()
    iterators = [made.get_iterator(given, epoch) for epoch in range(6)]
    assert iterators[0] is iterators[1] is given
    assert iterators[2] is iterators[3]
    assert iterators[4] is iterators[5]
    assert iterators[2] is not iterators[4]
    assert all(isinstance(i.dataset, CoresetDataset) for i in iterators[2:])
    np.testing.assert_array_equal(iterators[5].dataset.rows, net.coreset_indices_)


def test_training_that_goes_on_between_two_selections_selects():
    made = reselection(make(reselect_every=10))
    iterator = made.get_iterator(object(), 5)
    assert isinstance(iterator.dataset, CoresetDataset)
    assert made.get_iterator(object(), 6) is iterator


def test_the_warmup_goes_over_all_rows_with_their_weights():
    sample_weight = np.arange(N) % 4
    made = reselection(make(), sample_weight=sample_weight)
    iterator = made.get_iterator(object(), 0)
    assert made.get_iterator(object(), 1) is iterator
    weights = np.concatenate([x.weight for x, _ in iterator])
    np.testing.assert_allclose(weights, sample_weight / sample_weight.mean())
    np.testing.assert_array_equal(np.concatenate([x.x for x, _ in iterator]), X)


@pytest.mark.parametrize("mixup", ["cluster", "class", "batch", None])
@pytest.mark.parametrize("coreset_weight", ["cluster", "uniform"])
def test_an_epoch_holds_each_chosen_row_once(mixup, coreset_weight):
    net = make(mixup=mixup, coreset_weight=coreset_weight, iterator_train__shuffle=True)
    iterator = reselection(net).get_iterator(object(), 2)
    is_plain = mixup is None and coreset_weight == "uniform"
    rows = torch.cat([x if is_plain else x.x for x, _ in iterator]).numpy()
    labels = torch.cat([y for _, y in iterator])
    assert len(rows) == len(labels) == len(net.coreset_indices_)
    expected = X[net.coreset_indices_]
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])


def test_an_interrupted_selection_leaves_the_coreset_before(monkeypatch):
    net = make()
    made = reselection(net)
    made.reselect(2)
    names = ("selector_", "coreset_indices_", "coreset_weights_", "coreset_assignment_")
    before = {name: getattr(net, name) for name in names}

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Reselection, "_make_iterator", interrupt)
    with pytest.raises(KeyboardInterrupt):
        made.reselect(3)
    assert all(getattr(net, name) is value for name, value in before.items())


@pytest.mark.parametrize(
    "module, expected",
    [
        (nn.BatchNorm1d(2), True),
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sequential(nn.BatchNorm2d(1))), True),
        (nn.SyncBatchNorm(2), True),
        (nn.Sequential(nn.LayerNorm(2), nn.GroupNorm(1, 2)), False),
        (MLP(2, 2), False),
    ],
)
def test_has_batch_norm(module, expected):
    assert has_batch_norm(module) is expected
