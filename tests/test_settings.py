"""The settings of the paper and of its code: parameters that exist, and work."""

import inspect

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from crust_sklearn import CRUSTClassifier, settings
from crust_sklearn.modules import MLP
from crust_sklearn.settings import PAPER, REFERENCE

X, Y = make_blobs(90, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)
COMMON = {"max_epochs": 7, "lr": 0.1, "verbose": 0, "random_state": 0}
every = pytest.mark.parametrize("given", [PAPER, REFERENCE], ids=["paper", "reference"])


@every
def test_every_key_is_a_parameter_of_its_own(given):
    signature = inspect.signature(CRUSTClassifier).parameters
    assert all(signature[name].kind is inspect.Parameter.KEYWORD_ONLY for name in given)
    # What a source leaves open is not in it: no skorch parameter, and no seed.
    assert set(given) == {
        "selector", "coreset_size", "warmup_epochs", "reselect_every", "gradient", "group_by",
        "coreset_weight", "mixup", "mixup_alpha",
    }  # fmt: skip
    params = CRUSTClassifier(MLP, **given).get_params()
    assert {name: params[name] for name in given} == given


@every
def test_fit_leaves_the_settings_alone(given):
    before = dict(given)
    net = CRUSTClassifier(MLP, **given, **COMMON).fit(X, Y)
    assert given == before
    assert net.history[:, "coreset_size"][:5] == [90] * 5
    assert net.score(X, Y) > 0.5
    if given is REFERENCE:
        assert np.bincount(Y[net.coreset_indices_]).tolist() == [15, 15, 15]
    else:
        assert len(net.coreset_indices_) == pytest.approx(45, abs=2)
    assert ((net.label_quality_ >= 0) & (net.label_quality_ <= 1)).all()


def test_weights_of_the_paper_are_sizes_of_clusters():
    net = CRUSTClassifier(MLP, **PAPER, **COMMON).fit(X, Y)
    sizes = np.bincount(net.coreset_assignment_)
    np.testing.assert_allclose(net.coreset_weights_, sizes / sizes.mean())
    assert np.ptp(sizes) > 0
    reference = CRUSTClassifier(MLP, **REFERENCE, **COMMON).fit(X, Y)
    np.testing.assert_array_equal(reference.coreset_weights_, 1.0)


def test_settings_can_be_overridden():
    net = CRUSTClassifier(MLP, **PAPER | {"coreset_size": 0.2, "warmup_epochs": 1}, **COMMON)
    assert net.fit(X, Y).history[-1, "coreset_size"] == pytest.approx(18, abs=2)
    assert net.history[:, "coreset_size"].index(net.history[1, "coreset_size"]) == 1


def test_there_are_no_others():
    public = {name for name in vars(settings) if name.isupper()}
    assert public == {"PAPER", "REFERENCE"}
