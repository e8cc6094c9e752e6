import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch import NeuralNetClassifier
from torch import nn
from torch.func import functional_call, jacrev
from torch.utils.data import TensorDataset

from crust_sklearn import CRUSTClassifier
from crust_sklearn.inspection._jacobian_products import JacobianProducts, differentiating
from crust_sklearn.inspection.jacobian import (
    JacobianSpectrum,
    information_space,
    jacobian_spectrum,
    residual_alignment,
)
from crust_sklearn.modules import MLP, SmallCNN

N, C = 24, 3


def make_net(module, **options):
    options = {"criterion": nn.CrossEntropyLoss, "train_split": None, "verbose": 0} | options
    return NeuralNetClassifier(module, **options).initialize()


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def make_case(name, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    if name == "mlp":
        module = seeded(lambda: MLP(6, C, hidden_sizes=(8, 7)))
        X = torch.randn(N, 6, generator=generator)
    else:
        module = seeded(lambda: SmallCNN(C, in_channels=2, width=2))
        X = torch.randn(N, 2, 8, 8, generator=generator)
        module.train()
        module(X)  # running statistics that differ from those of a batch
    return make_net(module.to(dtype)), X.to(dtype)


def dense_jacobian(net, X):
    """All of J, in float64, with a row for each example and class."""
    module = copy.deepcopy(net.module_).double().eval()
    parameters = {n: p.detach() for n, p in module.named_parameters() if p.requires_grad}
    parts = jacrev(lambda p: functional_call(module, p, (X.double(),)))(parameters)
    return torch.cat([part.flatten(2) for part in parts.values()], dim=2).flatten(0, 1).numpy()


# Against a dense SVD ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_values_and_vectors_are_those_of_a_dense_svd(name, dtype):
    net, X = make_case(name, dtype)
    found = jacobian_spectrum(net, X, n_components=10, n_products=50, random_state=0)
    U, values, _ = np.linalg.svd(dense_jacobian(net, X), full_matrices=False)
    rtol = 1e-4 if dtype is torch.float32 else 1e-8
    np.testing.assert_allclose(found.singular_values, values[:10], rtol=rtol)
    vectors = found.vectors.reshape(N * C, 10)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(10), atol=1e-10)
    # The subspaces up to a gap in the spectrum are the same; single vectors may not be.
    for size in (1, 3):
        assert values[size - 1] > 1.05 * values[size]
        cosines = np.linalg.svd(U[:, :size].T @ vectors[:, :size], compute_uv=False)
        np.testing.assert_allclose(cosines, 1.0, atol=1e-4)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_as_many_products_as_rows_of_the_jacobian_are_exact(name):
    net, X = make_case(name, torch.float64)
    found = jacobian_spectrum(net, X, n_components=1000, random_state=0)
    J = dense_jacobian(net, X)
    assert found.vectors.shape == (N, C, min(J.shape))
    rank = min(J.shape)
    values = np.linalg.svd(J, compute_uv=False)
    np.testing.assert_allclose(found.singular_values, values[:rank], atol=1e-7 * values[0])


def test_a_jacobian_of_lower_rank_than_asked_for():
    net = make_net(seeded(lambda: nn.Linear(4, C)).double())
    X = torch.randn(N, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    X = torch.cat([X, X], dim=1)  # rank 3 with the bias, for each of the classes
    found = jacobian_spectrum(net, X, n_components=15, random_state=0)
    assert found.singular_values.shape == (15,)
    design = np.hstack([X.numpy(), np.ones((N, 1))])
    expected = np.repeat(np.linalg.svd(design, compute_uv=False)[:3], C)
    np.testing.assert_allclose(found.singular_values[:9], expected, rtol=1e-10)
    np.testing.assert_allclose(found.singular_values[9:], 0, atol=1e-6)
    vectors = found.vectors.reshape(N * C, 15)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(15), atol=1e-10)


def test_few_products_never_exceed_the_true_values():
    net, X = make_case("mlp", torch.float64)
    values = np.linalg.svd(dense_jacobian(net, X), compute_uv=False)
    errors = []
    for n_products in (20, 25, 40):
        found = jacobian_spectrum(
            net, X, n_components=20, n_products=n_products, random_state=0
        ).singular_values
        assert (found <= values[:20] * (1 + 1e-9)).all()
        errors.append((values[:20] - found).max())
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_products_are_those_of_the_dense_jacobian(name):
    net, X = make_case(name, torch.float64)
    J = dense_jacobian(net, X)
    rng = np.random.RandomState(0)
    u = torch.as_tensor(rng.standard_normal((2, N, C)))
    with differentiating(net):
        jacobian = JacobianProducts(net, X, None, batch_size=7)
        v = {
            name: torch.as_tensor(rng.standard_normal((2, *p.shape)))
            for name, p in jacobian.parameters.items()
        }
        pulled, pushed = jacobian.pull(u), jacobian.push(v)
    flat = np.concatenate([d.flatten(1).numpy() for d in v.values()], axis=1)
    np.testing.assert_allclose(pushed.flatten(1), flat @ J.T, rtol=1e-9, atol=1e-9)
    back = np.concatenate([d.flatten(1).numpy() for d in pulled.values()], axis=1)
    np.testing.assert_allclose(back, u.flatten(1).numpy() @ J, rtol=1e-9, atol=1e-9)
    assert jacobian.n_parameters == J.shape[1]
    # <J v, u> = <v, J^T u>
    np.testing.assert_allclose((pushed * u).sum(), (flat * back).sum(), rtol=1e-9)


def test_frozen_and_unused_parameters():
    class Partly(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.spare = nn.Linear(6, 5), nn.Linear(5, C), nn.Linear(2, 2)
            self.body.requires_grad_(False)

        def forward(self, X):
            return self.head(torch.tanh(self.body(X))), X  # the logits are the first

    _, X = make_case("mlp", torch.float64)
    net = make_net(seeded(Partly).double())
    found = jacobian_spectrum(net, X, n_components=6, n_products=N * C, random_state=0)
    features = torch.tanh(net.module_.body(X)).detach().numpy()
    values = np.linalg.svd(np.hstack([features, np.ones((N, 1))]), compute_uv=False)
    # J is that of a linear model, the same for each class.
    np.testing.assert_allclose(found.singular_values, np.repeat(values, C)[:6], rtol=1e-6)
    assert not net.module_.body.weight.requires_grad
    net.module_.requires_grad_(False)
    with pytest.raises(ValueError, match="Partly has no trainable parameter.*requires_grad"):
        jacobian_spectrum(net, X)


def test_logits_may_come_in_an_object():
    class Wrapped(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, X):
            return SimpleNamespace(logits=self.module(X))

    net, X = make_case("mlp", torch.float64)
    expected = jacobian_spectrum(net, X, n_components=3, random_state=0)
    found = jacobian_spectrum(make_net(Wrapped(net.module_)), X, n_components=3, random_state=0)
    np.testing.assert_allclose(found.singular_values, expected.singular_values)


def test_probabilities_for_nll_loss_are_taken_as_their_logarithms():
    logits, X = make_case("mlp", torch.float64)
    module = nn.Sequential(logits.module_, nn.Softmax(dim=1))
    net = make_net(module, criterion=nn.NLLLoss)
    found = jacobian_spectrum(net, X, n_components=5, n_products=72, random_state=0)
    whole = nn.Sequential(logits.module_, nn.LogSoftmax(dim=1))
    expected = np.linalg.svd(dense_jacobian(SimpleNamespace(module_=whole), X), compute_uv=False)
    np.testing.assert_allclose(found.singular_values, expected[:5], rtol=1e-8)


# What X may be, and what is left behind -----------------------------------------------------------


class ByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, C), nn.Linear(4, C)

    def forward(self, left, right=None):
        if right is None:
            left, right = left[:, :2], left[:, 2:]
        return self.a(left) + torch.tanh(self.b(right))


def test_whatever_fits_will_do():
    _, X = make_case("mlp")
    net = make_net(seeded(ByName))
    expected = jacobian_spectrum(net, X, n_components=3, random_state=0).singular_values
    by_name = {"left": X[:, :2].numpy(), "right": X[:, 2:].numpy()}
    dataset = TensorDataset(X, torch.zeros(N, dtype=torch.int64))
    for same in (X.numpy(), by_name, dataset):
        found = jacobian_spectrum(net, same, n_components=3, random_state=0)
        np.testing.assert_allclose(found.singular_values, expected, rtol=1e-5)


def test_batches_do_not_matter():
    net, X = make_case("cnn")
    values = [
        jacobian_spectrum(net, X, n_components=3, batch_size=size, random_state=0).singular_values
        for size in (7, 100)
    ]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-4)


def test_a_seed_makes_it_reproducible():
    net, X = make_case("mlp")
    first, again, other = (
        jacobian_spectrum(net, X, n_components=5, n_products=6, random_state=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.vectors, again.vectors)
    np.testing.assert_array_equal(first.singular_values, again.singular_values)
    assert not np.array_equal(first.singular_values, other.singular_values)


class Counting(nn.Module):
    """Batch normalization, dropout, a count of calls, and a part in the other mode."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))
        self.head = nn.Linear(5, C)
        self.register_buffer("calls", torch.zeros(()))
        self.broken = False

    def forward(self, X):
        self.calls += 1
        out = self.head(self.body(X))
        if self.broken:
            raise RuntimeError("broken")
        return out


@pytest.mark.parametrize("broken", [False, True])
def test_net_and_generators_are_left_as_they_were(broken):
    _, X = make_case("mlp")
    net = make_net(seeded(Counting))
    net.module_.train()
    net.module_.body[1].eval()
    net.module_.broken = broken
    state = {name: value.clone() for name, value in net.module_.state_dict().items()}
    modes = [m.training for m in net.module_.modules()]
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    if broken:
        with pytest.raises(RuntimeError, match="broken"):
            jacobian_spectrum(net, X, n_components=3, random_state=0)
    else:
        spectrum = jacobian_spectrum(net, X, n_components=3, random_state=0)
        residual_alignment(net, X, np.arange(N) % C, spectrum)
    assert [m.training for m in net.module_.modules()] == modes
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert all(p.grad is None and p.requires_grad for p in net.module_.parameters())
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


# The knee -----------------------------------------------------------------------------------------


def spectrum_of(values):
    values = np.asarray(values, float)
    n = len(values)
    return JacobianSpectrum(values, np.eye(2 * n)[:, :n].reshape(n, 2, n))


def profile_log_likelihood(values, size):
    """Of two normal samples with one variance, term by term."""
    first, second = values[:size], values[size:]
    variance = (np.var(first) * len(first) + np.var(second) * len(second)) / len(values)

    def density(x, mean):
        return -0.5 * np.log(2 * np.pi * variance) - (x - mean) ** 2 / (2 * variance)

    return density(first, first.mean()).sum() + density(second, second.mean()).sum()


@pytest.mark.parametrize("seed", range(5))
def test_the_knee_has_the_largest_profile_likelihood(seed):
    values = np.sort(np.random.RandomState(seed).gamma(0.7, size=15))[::-1]
    likelihood = [profile_log_likelihood(values, size) for size in range(1, 15)]
    assert information_space(spectrum_of(values)).size == 1 + np.argmax(likelihood)


@pytest.mark.parametrize(
    ("values", "size"), [([10, 9, 8, 1, 0.9, 0.8], 3), ([5, 1, 0.9], 1), ([2.0], 1)]
)
def test_information_space(values, size):
    spectrum = spectrum_of(values)
    space = information_space(spectrum)
    assert space.size == size
    np.testing.assert_array_equal(space.basis, spectrum.vectors[:, :, :size])
    assert information_space(spectrum, size=len(values)).size == len(values)


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (4, ValueError), (1.5, TypeError)])
def test_information_space_of_an_invalid_size(size, error):
    with pytest.raises(error, match=r"size must be an integer at least 1 and at most 3"):
        information_space(spectrum_of([3, 2, 1]), size=size)


# Residuals ----------------------------------------------------------------------------------------


def make_alignment_case():
    net, X = make_case("mlp", torch.float64)
    y = np.arange(N) % C
    is_clean = np.arange(N) % 5 != 0
    y_true = np.where(is_clean, y, (y + 1) % C)
    return net, X, y, y_true, is_clean


def test_alignment_is_what_projections_say():
    net, X, y, y_true, is_clean = make_alignment_case()
    spectrum = jacobian_spectrum(net, X, n_components=7, n_products=72, random_state=0)
    found = residual_alignment(net, X, y, spectrum, size=4, y_true=y_true, batch_size=5)
    by_mask = residual_alignment(net, X, y, spectrum, size=4, is_clean=is_clean.tolist())
    for one, other in zip(found, by_mask, strict=True):
        np.testing.assert_allclose(one, other)
    U = np.linalg.svd(dense_jacobian(net, X), full_matrices=False)[0]
    with torch.no_grad():
        p = net.module_(X).softmax(dim=1).numpy()
    residual = np.eye(C)[y] - p
    sets = {"overall": np.ones(N, bool), "clean": is_clean, "wrong": ~is_clean}
    for name, chosen in sets.items():
        part = np.where(chosen[:, None], residual, 0).ravel()
        expected = [
            np.sum((U[:, :k] @ (U[:, :k].T @ part)) ** 2) / np.sum(part**2) for k in range(1, 8)
        ]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-6)
    projected = (U[:, :4] @ (U[:, :4].T @ residual.ravel())).reshape(N, C)
    energy = (residual**2).sum(axis=1)
    np.testing.assert_allclose(found.rows, (projected * residual).sum(axis=1) / energy, rtol=1e-5)
    np.testing.assert_allclose(np.average(found.rows, weights=energy), found.overall[3])


def test_a_step_in_the_information_space_lowers_the_losses_of_the_rows_that_agree():
    net, X, y, *_ = make_alignment_case()
    size = 3
    spectrum = jacobian_spectrum(net, X, n_components=size, n_products=72, random_state=0)
    rows = residual_alignment(net, X, y, spectrum, size=size).rows
    J = dense_jacobian(net, X)
    U = spectrum.vectors.reshape(-1, size)
    with torch.no_grad():
        logits = net.module_(X)
    residual = (nn.functional.one_hot(torch.as_tensor(y), C) - logits.softmax(dim=1)).flatten()
    # The step whose effect on the logits is the projected residual: J^+ U U^T r.
    step = np.linalg.pinv(J) @ (U @ (U.T @ residual.numpy()))
    module, at = copy.deepcopy(net.module_), 0
    for p in module.parameters():
        p.data += 1e-5 * torch.as_tensor(step[at : at + p.numel()]).reshape(p.shape)
        at += p.numel()
    loss = nn.CrossEntropyLoss(reduction="none")
    with torch.no_grad():
        change = (loss(module(X), torch.as_tensor(y)) - loss(logits, torch.as_tensor(y))).numpy()
    assert (rows < 0).any() and (rows > 0).any()
    clear = np.abs(rows) > 1e-3
    np.testing.assert_array_equal(np.sign(change[clear]), -np.sign(rows[clear]))


def test_without_true_labels_and_without_wrong_ones():
    net, X, y, *_ = make_alignment_case()
    spectrum = jacobian_spectrum(net, X, n_components=5, random_state=0)
    found = residual_alignment(net, X, y, spectrum)
    assert found.clean is None and found.wrong is None
    found = residual_alignment(net, X, y, spectrum, y_true=y)
    assert found.wrong is None
    np.testing.assert_allclose(found.clean, found.overall)
    assert found.size == information_space(spectrum).size


def test_a_residual_of_zero_has_no_share():
    module = nn.Linear(2, 2).double()
    module.weight.data = 1e4 * torch.eye(2, dtype=torch.float64)
    net, X = make_net(module), torch.eye(2, dtype=torch.float64)
    spectrum = jacobian_spectrum(net, X, n_components=2, random_state=0)
    found = residual_alignment(net, X, [0, 1], spectrum)
    assert np.isnan(found.overall).all() and np.isnan(found.rows).all()


def test_labels_of_any_kind_and_a_dataset():
    _, X = make_case("mlp")
    X = X.numpy()
    codes = np.arange(N) % C
    names = np.array(["cat", "dog", "owl"])[codes]
    clf = CRUSTClassifier(MLP, max_epochs=2, batch_size=8, verbose=0, random_state=0).fit(X, names)
    spectrum = jacobian_spectrum(clf, X, n_components=4, random_state=0)
    found = residual_alignment(clf, X, names.tolist(), spectrum, y_true=names)
    net = make_net(clf.module_)
    expected = residual_alignment(net, X, codes, spectrum).overall
    np.testing.assert_allclose(found.overall, expected, rtol=1e-5)
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(codes))
    np.testing.assert_allclose(
        residual_alignment(net, dataset, None, spectrum).overall, expected, rtol=1e-5
    )


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components must be an integer at least 1"),
        ({"n_components": 2.0}, TypeError, "n_components must be an integer at least 1"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer at least 1"),
        ({"n_products": 0}, ValueError, "n_products must be an integer at least 1"),
        ({"n_components": 5, "n_products": 4}, ValueError, "n_products=4 is less than n_comp"),
    ],
)
def test_invalid_options(options, error, message):
    net, X = make_case("mlp")
    with pytest.raises(error, match=message):
        jacobian_spectrum(net, X, **options)


def test_nets_that_cannot_be_looked_at():
    _, X = make_case("mlp")
    with pytest.raises(TypeError, match="net=Linear is not a skorch net.*NeuralNetClassifier"):
        jacobian_spectrum(nn.Linear(6, C), X)
    with pytest.raises(NotFittedError):
        jacobian_spectrum(NeuralNetClassifier(nn.Linear), X)
    with pytest.raises(
        ValueError, match=r"Sequential has shape \(24, 2, 3\).*one column per class"
    ):
        jacobian_spectrum(make_net(nn.Sequential(Unflatten(), nn.Linear(3, 3))), X)
    broken = make_net(nn.Linear(6, C))
    broken.module_.weight.data[0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="Jacobian is not finite.*weights"):
        jacobian_spectrum(broken, X)


class Unflatten(nn.Module):
    def forward(self, X):
        return X.reshape(-1, 2, 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"y_true": [0] * N, "is_clean": [True] * N}, ValueError, "y_true and is_clean say the"),
        ({"y_true": [0] * 3}, ValueError, r"y_true has the shape \(3,\), and 24 rows"),
        ({"is_clean": [True]}, ValueError, r"is_clean has the shape \(1,\), and 24 rows"),
        ({"is_clean": [1] * N}, TypeError, "is_clean must hold bools.* got int64"),
        ({"y": None, "y_true": [0] * N}, ValueError, "y_true is given without y"),
        ({"y": None}, ValueError, "y must hold the given label.*integers from 0 to 2"),
        ({"y": [0.5] * N}, ValueError, "y must hold the given label"),
        ({"y": [C] * N}, ValueError, "y must hold the given label"),
        ({"y": [-1] * N}, ValueError, "y must hold the given label"),
        ({"size": 9}, ValueError, "size must be"),
        ({"batch_size": 0}, ValueError, "batch_size must be"),
        ({"X": torch.zeros(5, 6), "y": [0] * 5}, ValueError, "24 rows and 3 classes.* 5 and 3"),
    ],
)
def test_invalid_labels(options, error, message):
    net, X = make_case("mlp")
    spectrum = jacobian_spectrum(net, X, n_components=3, random_state=0)
    arguments = {"X": X, "y": np.arange(N) % C, "spectrum": spectrum} | options
    with pytest.raises(error, match=message):
        residual_alignment(net, **arguments)
