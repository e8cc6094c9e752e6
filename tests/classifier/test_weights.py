"""What rows count: sample weights in the warm-up, in the selection and in the loss."""

import numpy as np
import pytest
from numpy.random import RandomState
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=3.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(Y, "symmetric", 0.2, random_state=0).y


def make(**params):
    defaults = REFERENCE | {"max_epochs": 4, "warmup_epochs": 2, "lr": 0.1, "batch_size": 32}
    defaults |= {"verbose": 0, "random_state": 0, "iterator_train__shuffle": True}
    return CRUSTClassifier(MLP, **defaults | {"module__hidden_sizes": (16,)} | params)


@pytest.mark.parametrize("selector", ["facility-location", "centrality", "uniform"])
@pytest.mark.parametrize("gradient", ["leave-one-out", "features"])
@pytest.mark.parametrize("size", ["auto", 0.5])
def test_rows_of_weight_zero_are_left_out(selector, gradient, size):
    sample_weight = RandomState(0).randint(3, size=N)
    zero = np.flatnonzero(sample_weight == 0)
    assert len(zero) > 20
    net = make(selector=selector, gradient=gradient, coreset_size=size)
    net.fit(X, Y, sample_weight=sample_weight)
    assert not np.isin(zero, net.coreset_indices_).any()
    np.testing.assert_array_equal(np.flatnonzero(net.coreset_assignment_ == -1), zero)
    assert net.coreset_weights_.mean() == pytest.approx(1)
    expected = sample_weight[net.coreset_indices_]
    np.testing.assert_allclose(net.coreset_weights_, expected / expected.mean())


def test_cluster_weights_count_sample_weights():
    sample_weight = RandomState(0).uniform(0.5, 2, size=N)
    net = make(coreset_weight="cluster").fit(X, Y, sample_weight=sample_weight)
    mass = np.bincount(net.coreset_assignment_, weights=sample_weight)
    np.testing.assert_allclose(net.coreset_weights_, mass / mass.mean())


def test_loss_of_the_warmup_is_weighted():
    class Predicts(Callback):
        def on_train_begin(self, net, **kwargs):
            self.probabilities = net.predict_proba(X)

    sample_weight = RandomState(0).randint(3, size=N)
    seen = Predicts()
    net = make(batch_size=N, max_epochs=3, callbacks=[seen])
    net.fit(X, Y, sample_weight=sample_weight)
    losses = -np.log(seen.probabilities[np.arange(N), Y])
    expected = np.average(losses, weights=sample_weight)
    assert net.history[0, "train_loss"] == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(losses.mean(), rel=1e-5)


def test_equal_weights_are_no_weights():
    plain, weighted = make().fit(X, Y), make().fit(X, Y, sample_weight=np.full(N, 3.0))
    np.testing.assert_array_equal(plain.coreset_indices_, weighted.coreset_indices_)
    np.testing.assert_allclose(
        plain.history[:, "train_loss"], weighted.history[:, "train_loss"], rtol=1e-5
    )


def test_weights_of_a_call_are_for_this_call():
    sample_weight = (np.arange(N) % 2).astype(float)
    net = make(warmup_epochs=0, max_epochs=1).partial_fit(X, Y, sample_weight=sample_weight)
    assert (net.coreset_indices_ % 2 == 1).all()
    net.partial_fit(X, Y)
    assert (net.coreset_assignment_ >= 0).all()


@pytest.mark.parametrize("coreset_weight", ["cluster", "uniform"])
def test_weight_is_a_number_of_copies(coreset_weight):
    copies = RandomState(0).randint(1, 4, size=N)
    params = {"coreset_size": 1.0, "mixup": None, "batch_size": -1, "warmup_epochs": 1}
    net = make(coreset_weight=coreset_weight, **params).fit(X, Y, sample_weight=copies)
    repeated = make(**params).fit(np.repeat(X, copies, axis=0), np.repeat(Y, copies))
    np.testing.assert_allclose(net.predict_proba(X), repeated.predict_proba(X), atol=1e-4)


def test_weights_of_rows_keep_to_them_with_a_validation_split():
    sample_weight = (np.arange(N) % 3 > 0).astype(float)
    net = make(train_split=ValidSplit(3)).fit(X, Y, sample_weight=sample_weight)
    assert (net.coreset_indices_ % 3 > 0).all()


def test_weights_that_are_zero_for_the_training_rows():
    train_split = ValidSplit(2)
    with_split = make(train_split=train_split).fit(X, Y)
    only_validation = (with_split.coreset_assignment_ == -1).astype(float)
    with pytest.raises(ValueError, match="zero for every training row.*validation split"):
        make(train_split=train_split).fit(X, Y, sample_weight=only_validation)


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (np.ones(N - 1), "sample_weight.*one weight per row"),
        (np.ones((N, 1)), "sample_weight.*one weight per row"),
        (np.where(np.arange(N) == 3, np.nan, 1), "sample_weight contains NaN"),
        (np.where(np.arange(N) == 3, np.inf, 1), "sample_weight contains NaN or inf"),
        (np.where(np.arange(N) == 3, -1.0, 1), "sample_weight contains negative"),
        (np.zeros(N), "sample_weight is zero for every row"),
        (["a"] * N, "sample_weight must hold numbers"),
    ],
)
def test_weights_that_are_none(weight, match):
    with pytest.raises(ValueError, match=match):
        make().fit(X, Y, sample_weight=weight)
