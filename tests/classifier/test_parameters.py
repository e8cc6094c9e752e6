"""Parameters: what is refused, and how those of the selector and its strategy are set."""

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from sklearn.base import clone
from sklearn.datasets import make_blobs
from torch import nn

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE
from crust_sklearn.strategies import Centrality, FacilityLocation, Uniform

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = X.astype(np.float32)


def make(module=MLP, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    defaults = REFERENCE | {"max_epochs": 3, "warmup_epochs": 1, "lr": 0.1, "batch_size": 32}
    return CRUSTClassifier(module, **defaults | {"verbose": 0, "random_state": 0} | params)


def assert_same_fit(a, b):
    for name in ("coreset_indices_", "coreset_weights_", "coreset_assignment_", "classes_"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.history[:, "train_loss"] == b.history[:, "train_loss"]


# -- refused before any training --------------------------------------------------------------


def assert_refused(error, match, net=None, **params):
    net = make(**params) if net is None else net
    with pytest.raises(error, match=match):
        net.fit(X, Y)
    assert not getattr(net, "history_", None)


@pytest.mark.parametrize(
    ("size", "error"),
    [
        (0, ValueError),
        (0.0, ValueError),
        (-1, ValueError),
        (-0.5, ValueError),
        (np.nan, ValueError),
        (1.5, ValueError),
        (N + 1, ValueError),
        (True, TypeError),
        ("half", TypeError),
    ],
)
@pytest.mark.parametrize("of_selector", [False, True])
def test_coreset_size(size, error, of_selector):
    params = {"coreset_size": size}
    if of_selector:
        params = {"coreset_size": None, "selector__coreset_size": size}
    assert_refused(error, r"coreset_size=.* (Give|int|float)", **params)


def test_fewer_rows_than_classes():
    match = "coreset_size=2 is less than the 3 classes.*at least 3"
    assert_refused(ValueError, match, coreset_size=2)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"selector": "centralty"}, r"centralty.*'centrality'.*Did you mean 'centrality'"),
        ({"selector__strategy": "facility_location"}, "Did you mean 'facility-location'"),
        ({"gradient": "logit"}, r"gradient='logit'.*'features'.*Did you mean 'logits'"),
        ({"gradient": "leave_one_out"}, r"Did you mean 'leave-one-out'"),
        ({"gradient": "last_layer"}, r"Did you mean 'last-layer'"),
        ({"group_by": "labels"}, r"group_by='labels'.*None.*Did you mean 'label'"),
        ({"group_by": False}, r"group_by=False"),
        ({"coreset_weight": "clusters"}, r"coreset_weight.*Did you mean 'cluster'"),
        ({"mixup": "clas"}, r"mixup='clas'.*Did you mean 'class'"),
        ({"selector__metric": "euclid"}, "metric"),
    ],
)
def test_options(params, match):
    assert_refused(ValueError, match, **params)


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"warmup_epochs": -1}, ValueError, "warmup_epochs must be an integer at least 0"),
        ({"warmup_epochs": 1.5}, TypeError, "warmup_epochs must be an integer"),
        ({"reselect_every": 0}, ValueError, "reselect_every must be an integer at least 1"),
        ({"mixup_alpha": 0}, ValueError, "mixup_alpha must be a number greater than 0"),
        ({"mixup_alpha": np.nan}, ValueError, "mixup_alpha"),
        ({"mixup_alpha": (1.0, -1.0)}, ValueError, "mixup_alpha"),
        ({"mixup_alpha": (1.0,)}, TypeError, "mixup_alpha"),
        ({"mixup_alpha": "one"}, TypeError, "mixup_alpha"),
        ({"selector": Centrality()}, TypeError, "selector=.*strategy nor a CoresetSelector"),
        ({"selector": None}, TypeError, "selector=None"),
        ({"selector": CoresetSelector}, TypeError, "selector=.*nor a CoresetSelector"),
        ({"random_state": "x"}, ValueError, "'x' cannot be used to seed"),
        (
            {"gradient": "last-layer", "selector__metric": "cosine"},
            ValueError,
            "last-layer.*metric at 'euclidean'.*cosine",
        ),
    ],
)
def test_values(params, error, match):
    assert_refused(error, match, **params)


def test_unknown_keyword():
    assert_refused(ValueError, "unexpected argument.*coreset_sise", coreset_sise=0.5)
    with pytest.raises(ValueError, match="selector__strateg.*Did you mean 'selector__strategy'"):
        make().set_params(selector__strateg="uniform")
    with pytest.raises(ValueError, match="warmup"):
        make().set_params(warmup=2)


class NoLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 3))

    def forward(self, X):
        return X @ self.weight


@pytest.mark.parametrize("gradient", ["features", "last-layer"])
def test_no_linear_layer(gradient):
    match = "No nn.Linear.*gradient_layer.*gradient='logits'"
    assert_refused(ValueError, match, make(NoLinear, gradient=gradient))
    assert len(make(NoLinear, gradient="logits").fit(X, Y).coreset_indices_)


@pytest.mark.parametrize("gradient", ["leave-one-out", "logits", "features", "last-layer"])
@pytest.mark.parametrize("layer", ["hidden.1", "head", ""])
def test_wrong_layer(layer, gradient):
    match = r"gradient_layer=.*does not name a linear layer of MLP.*'hidden.0', 'fc'"
    assert_refused(ValueError, match, gradient_layer=layer, gradient=gradient)


def test_layer_by_name_is_the_one_that_is_found():
    assert_same_fit(make(gradient_layer="fc").fit(X, Y), make().fit(X, Y))


def test_layer_by_name_counts():
    selected = [make(gradient_layer=name).fit(X, Y).coreset_indices_ for name in ("fc", "hidden.0")]
    assert not np.array_equal(*selected)


@pytest.mark.parametrize("bad", [{"gradient": "none"}, {"coreset_size": 2}], ids=["early", "late"])
def test_refused_fit_leaves_the_global_generators_alone(bad):
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    assert_refused(ValueError, "gradient|coreset_size", **bad)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


# -- get_params, set_params, clone ------------------------------------------------------------


def test_get_params_and_back():
    net = make(selector=CoresetSelector("uniform"), selector__n_jobs=1, coreset_size=30)
    params = net.get_params()
    assert params["selector__n_jobs"] == 1
    assert params["coreset_size"] == 30
    twin = CRUSTClassifier(MLP).set_params(**params)
    after = twin.get_params()
    assert after.keys() == params.keys()
    for name, value in params.items():
        if not isinstance(value, list | CoresetSelector) and "callbacks" not in name:
            assert after[name] is value or after[name] == value
    assert_same_fit(twin.fit(X, Y), net.fit(X, Y))


def test_every_parameter_of_the_contract_is_one_and_nothing_fitted_is():
    own = set(make().get_params(deep=False))
    assert own >= {
        "selector",
        "coreset_size",
        "warmup_epochs",
        "reselect_every",
        "gradient",
        "gradient_layer",
        "group_by",
        "coreset_weight",
        "mixup",
        "mixup_alpha",
        "random_state",
        "lr",
        "module__hidden_sizes",
    }
    assert set(make().fit(X, Y).get_params(deep=False)) == own


@pytest.mark.parametrize("state", ["new", "initialized", "fitted"])
def test_parameters_of_the_selector_are_set_at_any_time(state):
    net = make(selector="uniform", coreset_size=None, module__in_features=4, module__num_classes=3)
    net = {"new": net, "initialized": net.initialize(), "fitted": net.fit(X, Y)}[state]
    module = getattr(net, "module_", None)
    net.set_params(selector__strategy="facility-location", selector__coreset_size=0.25)
    assert getattr(net, "module_", None) is module
    assert net.get_params()["selector__coreset_size"] == 0.25
    net.fit(X, Y)
    assert net.selector_.strategy == "facility-location"
    assert len(net.coreset_indices_) == pytest.approx(N / 4, abs=2)
    expected = make(selector="facility-location", coreset_size=0.25).fit(X, Y)
    np.testing.assert_array_equal(net.coreset_indices_, expected.coreset_indices_)


def test_parameters_of_the_strategy():
    net = make(selector="facility-location", selector__strategy__metric="cityblock").fit(X, Y)
    assert isinstance(net.selector_.strategy, FacilityLocation)
    assert net.selector_.strategy.metric == "cityblock"
    other = make(selector="facility-location").fit(X, Y)
    assert not np.array_equal(net.coreset_indices_, other.coreset_indices_)


def test_size_of_the_classifier_counts():
    selector = CoresetSelector("uniform", coreset_size=0.25)
    own = make(selector=selector, coreset_size=None).fit(X, Y)
    assert len(own.coreset_indices_) == 30
    assert len(make(selector=selector, coreset_size=0.75).fit(X, Y).coreset_indices_) == 90
    net = make(selector=selector, coreset_size=0.75, selector__coreset_size=0.1).fit(X, Y)
    assert len(net.coreset_indices_) == 90
    assert selector.coreset_size == 0.25


def test_parameter_of_the_module_after_fit():
    net = make().fit(X, Y)
    net.set_params(module__hidden_sizes=(8,)).fit(X, Y)
    assert net.module_.fc.in_features == 8
    assert_same_fit(net, make(module__hidden_sizes=(8,)).fit(X, Y))


def test_clone_is_not_fitted_and_has_a_selector_of_its_own():
    net = make(selector=CoresetSelector(Uniform())).fit(X, Y)
    twin = clone(net)
    assert not hasattr(twin, "coreset_indices_") and not twin.initialized_
    assert not hasattr(net.selector, "sample_indices_")
    assert twin.selector is not net.selector
    assert twin.selector.strategy is not net.selector.strategy
    assert_same_fit(twin.fit(X, Y), net)


def test_random_state_instance_is_drawn_from():
    rng = RandomState(7)
    first, second = (make(random_state=rng).fit(X, Y).history[:, "train_loss"] for _ in "ab")
    again = make(random_state=RandomState(7)).fit(X, Y).history[:, "train_loss"]
    assert first == again
    assert first != second
