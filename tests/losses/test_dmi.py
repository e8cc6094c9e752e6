"""The DMI loss, against the determinant, at singular matrices, and under label noise."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch import NeuralNetClassifier

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.losses import DMILoss
from crust_sklearn.metrics import determinant_mutual_information
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

RNG = np.random.default_rng(0)
N, C = 30, 4
Z = torch.as_tensor(2 * RNG.normal(size=(N, C)))
Y = torch.arange(N) % C
X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = X_IRIS.astype(np.float32)


def joint(z, y, weight=None):
    weight = np.ones(len(y)) if weight is None else weight
    return np.eye(z.shape[1])[y].T @ (weight[:, None] * z.softmax(1).numpy())


@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0])
def test_is_the_equation_of_the_authors_code(epsilon, scale):
    expected = -np.log(abs(np.linalg.det(joint(scale * Z, Y))) + epsilon)
    assert DMILoss(epsilon)(scale * Z, Y).item() == pytest.approx(expected, rel=1e-9)


def test_the_papers_own_differs_by_a_constant():
    score = determinant_mutual_information(Y.numpy(), Z.softmax(1).numpy())
    expected = -np.log(score) - C * np.log(N)
    assert DMILoss(1e-12)(Z, Y).item() == pytest.approx(expected, rel=1e-9)


def test_weights():
    weight = RNG.integers(0, 4, size=N)
    found = DMILoss()(Z, Y, torch.as_tensor(weight)).item()
    expected = -np.log(abs(np.linalg.det(joint(Z, Y, weight))) + 0.001)
    assert found == pytest.approx(expected, rel=1e-9)
    rows = torch.as_tensor(np.repeat(np.arange(N), weight))
    assert found == pytest.approx(DMILoss()(Z[rows], Y[rows]).item(), rel=1e-9)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 100.0])
def test_gradients_are_those_of_finite_differences(epsilon):
    z, weight = Z.clone().requires_grad_(), torch.as_tensor(RNG.random(N)).requires_grad_()
    assert torch.autograd.gradcheck(lambda z, w: DMILoss(epsilon)(z, Y, w), (z, weight))


def test_a_batch_that_lacks_a_class_teaches_nothing():
    z = Z.float().requires_grad_()
    loss = DMILoss()(z, Y % (C - 1))
    loss.backward()
    assert loss.item() == pytest.approx(-np.log(0.001))
    assert (z.grad == 0).all()


def test_equal_predictions():
    z = torch.zeros(N, C, requires_grad=True)
    loss = DMILoss()(z, Y)
    loss.backward()
    assert loss.item() == pytest.approx(-np.log(0.001), rel=1e-4)
    assert (z.grad == 0).all()


@pytest.mark.parametrize("n_classes", [2, 5, 20])
def test_equal_predictions_that_underflow(n_classes):
    rng = np.random.default_rng(0)
    for _ in range(50):
        row = 10 ** rng.uniform(-1, 3) * rng.normal(size=n_classes)
        z = torch.as_tensor(row, dtype=torch.float32).repeat(5 * n_classes, 1).requires_grad_()
        loss = DMILoss()(z, torch.as_tensor(rng.integers(0, n_classes, len(z))))
        loss.backward()
        assert loss.item() == pytest.approx(-np.log(0.001), rel=1e-3)
        assert z.grad.isfinite().all()


@pytest.mark.parametrize("scale", [30.0, 100.0, 1e4])
def test_a_class_that_is_never_predicted(scale):
    z = Z.float()
    z[:, 1] -= scale
    z.requires_grad_()
    loss = DMILoss()(z, Y)
    loss.backward()
    expected = -np.log(abs(np.linalg.det(joint(z.detach().double(), Y))) + 0.001)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert z.grad.isfinite().all()


def test_a_determinant_beyond_all_floats():
    n_classes = 200
    y = torch.arange(6 * n_classes) % n_classes
    z = (40.0 * torch.eye(n_classes)[y]).requires_grad_()
    loss = DMILoss()(z, y)
    loss.backward()
    assert loss.item() == pytest.approx(-n_classes * np.log(6), rel=1e-4)
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats(dtype):
    expected = DMILoss()(Z.to(dtype).double(), Y).item()
    assert DMILoss()(Z.to(dtype), Y).item() == pytest.approx(expected, rel=1e-4)


def test_the_names_of_the_predicted_classes_do_not_count():
    order = torch.as_tensor(RNG.permutation(C))
    torch.testing.assert_close(DMILoss()(Z[:, order], Y), DMILoss()(Z, Y))


@pytest.mark.parametrize("seed", range(3))
def test_noise_adds_the_same_constant_whatever_the_predictions(seed):
    rng = np.random.default_rng(seed)
    n_inputs = 7
    share, clean = rng.dirichlet(np.ones(n_inputs)), rng.dirichlet(np.ones(C), size=n_inputs)
    transition = 0.5 * np.eye(C) + 0.5 * rng.dirichlet(np.ones(C), size=C)
    labels = torch.arange(C).repeat(n_inputs)

    def population_loss(z, posterior):
        weight = torch.as_tensor(100 * share[:, None] * posterior).flatten()
        return DMILoss(1e-12)(z.repeat_interleave(C, dim=0), labels, weight).item()

    models = [torch.as_tensor(3 * rng.normal(size=(n_inputs, C))) for _ in range(8)]
    right = np.array([population_loss(z, clean) for z in models])
    wrong = np.array([population_loss(z, clean @ transition) for z in models])
    assert np.ptp(right) > 1
    shift = -np.log(abs(np.linalg.det(transition)))
    np.testing.assert_allclose(wrong - right, shift, atol=1e-5)


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{"epsilon": 0.0}, {"epsilon": -1.0}, {"reduction": "median"}])
def test_parameters_out_of_range(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        DMILoss(**params)


def test_no_loss_per_example():
    with pytest.raises(ValueError, match="no loss per example, reduction='none'"):
        DMILoss(reduction="none")
    assert DMILoss(reduction="sum")(Z, Y) == DMILoss()(Z, Y)


def test_weights_of_another_number():
    with pytest.raises(ValueError, match=r"weight.shape == \(3,\), expected \(30,\)"):
        DMILoss()(Z, Y, torch.ones(3))


OPTIONS = {"criterion": DMILoss, "max_epochs": 2, "verbose": 0, "module__hidden_sizes": (8,)}
SIZES = {"module__in_features": 4, "module__num_classes": 3}


def test_a_last_batch_that_is_too_small_and_its_remedy():
    options = OPTIONS | SIZES | {"batch_size": 37, "train_split": None}
    net = NeuralNetClassifier(MLP, **options)
    with pytest.raises(ValueError, match="classes, 3; got a batch of 2.*iterator_train__drop_last"):
        net.fit(X_IRIS, Y_IRIS)
    net = NeuralNetClassifier(MLP, iterator_train__drop_last=True, **options).fit(X_IRIS, Y_IRIS)
    assert len(net.history) == 2


@pytest.mark.parametrize("warmup_epochs", [0, 1])
def test_a_method_that_judges_rows_by_their_losses(warmup_epochs):
    net = CRUSTClassifier(MLP, **REFERENCE | {"warmup_epochs": warmup_epochs} | OPTIONS)
    with pytest.raises(ValueError, match="DMILoss has no loss per example"):
        net.fit(X_IRIS, Y_IRIS)
    assert not getattr(net, "history_", None)


def test_a_method_that_judges_rows_by_each_other():
    batch_size, frozen = {"batch_size": 150}, {"lr": 0.0, "random_state": 0}
    net = CRUSTClassifier(MLP, **OPTIONS, **batch_size, **frozen, coreset_size=0.5, warmup_epochs=1)
    net.fit(X_IRIS, Y_IRIS)
    rows = net.coreset_indices_
    logits = torch.as_tensor(net.forward(X_IRIS[rows])).double()
    expected = -np.log(abs(np.linalg.det(joint(logits, torch.as_tensor(Y_IRIS[rows])))) + 0.001)
    assert len(rows) == 75
    assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-3)


def test_sample_weights_in_a_net():
    net = NoisyLabelClassifier(MLP, **OPTIONS)
    with pytest.raises(ValueError, match="without sample weights"):
        net.fit(X_IRIS, Y_IRIS, sample_weight=np.arange(1, 151))


def test_it_goes_on_where_cross_entropy_ended():
    options = {"module__hidden_sizes": (8,), "verbose": 0, "random_state": 0, "batch_size": 75}
    net = NoisyLabelClassifier(MLP, lr=0.02, max_epochs=20, **options).fit(X_IRIS, Y_IRIS)
    before = net.score(X_IRIS, Y_IRIS)
    net.set_params(criterion=DMILoss, lr=0.002, max_epochs=20).partial_fit(X_IRIS, Y_IRIS)
    assert net.history[-1, "train_loss"] < net.history[20, "train_loss"] - 0.1
    assert net.score(X_IRIS, Y_IRIS) >= before - 0.02
