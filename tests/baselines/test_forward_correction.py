"""Forward correction, against its equation, and on populations whose noise is known."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs
from torch import nn

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import ForwardCorrectionClassifier
from crust_sklearn.baselines.parts.transitions import compute_posterior
from crust_sklearn.modules import MLP

RNG = np.random.default_rng(0)
X, Y = make_blobs(300, centers=[[0, 0], [6, 0], [0, 6]], random_state=0)
X = X.astype(np.float32)
# Zeros among the entries.
T = np.array([[0.7, 0.3, 0.0], [0.0, 0.8, 0.2], [0.1, 0.1, 0.8]])
GIVEN = np.array([RNG.choice(3, p=T[label]) for label in Y])


class Softmax(MLP):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


def make(module=MLP, **params):
    defaults = {"max_epochs": 1, "lr": 0.0, "batch_size": 300, "verbose": 0, "random_state": 0}
    return ForwardCorrectionClassifier(module, **defaults | params)


def fit(module=MLP, **params):
    return make(module, transition_matrix=T, **params).fit(X, GIVEN)


@pytest.mark.parametrize(
    ("module", "criterion"), [(MLP, nn.CrossEntropyLoss), (Softmax, nn.NLLLoss)]
)
def test_loss_is_that_of_the_paper(module, criterion):
    net = fit(module, criterion=criterion)
    q = net.predict_proba(X).astype(float) @ T
    expected = -np.log(q[np.arange(300), GIVEN]).mean()
    assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-5)


def test_class_weights_and_smoothing_of_labels_are_the_criterions():
    weight = torch.tensor([1.0, 2.0, 3.0])
    net = fit(criterion__weight=weight, criterion__label_smoothing=0.1)
    q, w = net.predict_proba(X).astype(float) @ T, weight.numpy()
    own = -w[GIVEN] * np.log(q[np.arange(300), GIVEN])
    spread = -(np.log(q) * w).sum(axis=1) / 3
    expected = (0.9 * own + 0.1 * spread).sum() / w[GIVEN].sum()
    assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-5)


def test_gradients_are_finite_where_the_network_is_sure_of_the_wrong_class():
    net = make(transition_matrix=T, max_epochs=0).fit(X, GIVEN)
    net.initialize()
    net.get_transitions = lambda: T
    # Of class 0, which never has label 2; float32 has no e^-800.
    z = torch.tensor([[0.0, -800.0, -900.0]], requires_grad=True)
    loss = net.get_losses(z, torch.tensor([2]), torch.tensor([0])).sum()
    loss.backward()
    assert loss.item() == pytest.approx(800 - np.log(0.2), rel=1e-6)
    np.testing.assert_allclose(z.grad, [[1.0, -1.0, 0.0]], atol=1e-6)


def test_the_identity_is_plain_training():
    options = {"lr": 0.01, "max_epochs": 3, "batch_size": 64}
    ours = make(transition_matrix=np.eye(3), **options).fit(X, GIVEN)
    plain = NoisyLabelClassifier(MLP, **options, verbose=0, random_state=0).fit(X, GIVEN)
    np.testing.assert_allclose(ours.predict_proba(X), plain.predict_proba(X), atol=1e-5)


def test_with_the_true_matrix_it_finds_the_clean_posterior():
    # Four inputs, one-hot, so that the last layer is a free table; labels in exact shares.
    clean = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.0, 0.2, 0.8], [0.4, 0.2, 0.4]])
    shares = np.rint(100 * clean @ T).astype(int)
    x = np.repeat(np.repeat(np.eye(4), 3, axis=0), shares.ravel(), axis=0).astype(np.float32)
    y = np.repeat(np.tile(np.arange(3), 4), shares.ravel())
    net = make(
        nn.Linear,
        module__in_features=4,
        module__out_features=3,
        optimizer=torch.optim.LBFGS,
        optimizer__max_iter=300,
        optimizer__line_search_fn="strong_wolfe",
        lr=1.0,
        max_epochs=3,
        batch_size=-1,
        transition_matrix=T,
    ).fit(x, y)
    found = net.predict_proba(np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(found, clean, atol=0.02)
    # 0.4 of each class is labelled (0.32, 0.32, 0.36).
    assert np.bincount(y[x[:, 3] == 1]).argmax() == 2


def test_the_matrix_is_estimated_by_the_anchors_of_the_first_training():
    net = make(lr=0.01, max_epochs=30, batch_size=32, module__hidden_sizes=(16,)).fit(X, GIVEN)
    true = np.array([np.bincount(GIVEN[label == Y], minlength=3) for label in range(3)])
    true = true / true.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.transition_matrix_.sum(axis=1), 1.0)
    assert np.abs(net.transition_matrix_ - true).max() < 0.12
    assert len(net.stage_histories_["first"]) == 30
    is_wrong = GIVEN != Y
    assert net.score(X, Y) > 0.97
    assert (net.suggested_labels_[is_wrong] == Y[is_wrong]).mean() > 0.9
    assert (net.label_quality_[is_wrong] < 0.5).mean() > 0.9


def test_anchors_are_rows_that_have_a_weight():
    weights = np.where(GIVEN == Y, 1.0, 0.0)
    net = make(lr=0.01, max_epochs=12, batch_size=32).fit(X, GIVEN, sample_weight=weights)
    assert np.diag(net.transition_matrix_).min() > 0.95


def test_quality_is_the_posterior_of_the_given_label():
    net = fit()
    p = net.predict_proba(X).astype(float)
    for row in range(20):
        jointly = [p[row, j] * T[j, GIVEN[row]] for j in range(3)]
        expected = jointly[GIVEN[row]] / sum(jointly)
        assert net.label_quality_[row] == pytest.approx(expected, rel=1e-5)


def test_posterior_where_the_predicted_class_never_has_the_label():
    posterior = compute_posterior(np.array([[1.0, 0.0, 0.0]]), T, np.array([2]))
    np.testing.assert_allclose(posterior, [[0.0, 0.2, 0.8]])


def test_the_first_training_is_not_repeated_for_the_same_rows():
    net = make(lr=0.01).partial_fit(X, GIVEN)
    before, history = net.transition_matrix_, net.stage_histories_["first"]
    net = pickle.loads(pickle.dumps(net)).partial_fit(X, GIVEN)
    np.testing.assert_array_equal(net.transition_matrix_, before)
    assert net.stage_histories_["first"] == history
    net.partial_fit(X, Y)
    assert not np.array_equal(net.transition_matrix_, before)


def test_better_than_plain_training_where_one_class_is_taken_for_another():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    noisy = make_label_noise(y[:1000], "asymmetric", 0.35, random_state=0)
    options = {"max_epochs": 20, "lr": 0.001, "batch_size": 64}
    ours = make(**options).fit(x[:1000], noisy.y)
    plain = NoisyLabelClassifier(MLP, verbose=0, random_state=0, **options).fit(x[:1000], noisy.y)
    assert ours.score(x[1000:], y[1000:]) > plain.score(x[1000:], y[1000:]) + 0.03


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"transition_matrix": T[:2]}, "transition_matrix.shape"),
        ({"transition_matrix": T.T}, "transpose it"),
        ({"transition_matrix": np.full((3, 3), np.nan)}, "NaN"),
        ({"transition_matrix": [[1.0, 0.0], [1.0, 0.0]]}, "column 1"),
        ({"transition_matrix": np.eye(4)}, "for 4 classes, and there are 3"),
        ({"anchor_quantile": 0}, "anchor_quantile"),
        ({"anchor_quantile": "a"}, "anchor_quantile"),
        ({"first_epochs": 0}, "first_epochs"),
    ],
)
def test_bad_parameters_are_refused_before_any_training(params, sentence):
    net = make(**params)
    with pytest.raises((ValueError, TypeError), match=sentence):
        net.fit(X, GIVEN)
    assert not getattr(net, "history_", None)
