import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import nn

from crust_sklearn.gradients import (
    GRADIENTS,
    GradientProxy,
    OuterProductDistance,
    check_losses,
    cross_entropy_gradient,
    find_last_linear,
    unreduced,
)

N, D, H, C = 9, 4, 5, 3


def data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(N, D, generator=generator), torch.arange(N) % C


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


class HalfSquare(nn.Module):
    """A criterion of the user's own that honours `reduction`."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, output, y):
        target = nn.functional.one_hot(y, output.shape[1]).to(output.dtype)
        loss = 0.5 * ((output - target) ** 2).sum(dim=1)
        return loss if self.reduction == "none" else getattr(loss, self.reduction)()


def softmax_net():
    return nn.Sequential(nn.Linear(D, H), nn.Tanh(), nn.Linear(H, C), nn.Softmax(dim=1))


def plain_net():
    return nn.Sequential(nn.Linear(D, H), nn.Tanh(), nn.Linear(H, C))


CLASS_WEIGHT = torch.tensor([0.2, 1.0, 3.0])
CRITERIA = {
    "cross-entropy": (plain_net, nn.CrossEntropyLoss()),
    "sum": (plain_net, nn.CrossEntropyLoss(reduction="sum")),
    "class weights": (plain_net, nn.CrossEntropyLoss(weight=CLASS_WEIGHT)),
    "smoothing": (plain_net, nn.CrossEntropyLoss(label_smoothing=0.3)),
    "both": (plain_net, nn.CrossEntropyLoss(weight=CLASS_WEIGHT, label_smoothing=0.3)),
    "ignored class": (plain_net, nn.CrossEntropyLoss(ignore_index=1)),
    "nll": (softmax_net, nn.NLLLoss()),
    "nll weights": (softmax_net, nn.NLLLoss(weight=CLASS_WEIGHT)),
    "margin": (plain_net, nn.MultiMarginLoss()),
    "own": (plain_net, HalfSquare()),
    "own after softmax": (softmax_net, HalfSquare()),
}


def losses_of(criterion):
    """One loss per example; skorch gives NLLLoss the logarithm of probabilities."""

    def get_losses(output, y):
        output = output[0] if isinstance(output, tuple) else output
        if isinstance(criterion, nn.NLLLoss):
            output = torch.log(output)
        with unreduced(criterion):
            return criterion(output, y)

    return get_losses


def by_autograd(module, criterion, X, y):
    """The definition: one backward pass per example; last weights, and the layer's two ends."""
    layer = [m for m in module.modules() if isinstance(m, nn.Linear)][-1]
    rows = {"logits": [], "features": [], "last_layer": []}
    for i in range(len(X)):
        ends = {}

        def keep(_, inputs, out, ends=ends):
            ends["h"], ends["z"] = inputs[0], out
            inputs[0].retain_grad()
            out.retain_grad()

        handle = layer.register_forward_hook(keep)
        x = X[i : i + 1].clone().requires_grad_()
        loss = losses_of(criterion)(module(x), y[i : i + 1]).sum()
        handle.remove()
        module.zero_grad()
        loss.backward()
        rows["logits"].append(ends["z"].grad[0])
        rows["features"].append(ends["h"].grad[0])
        rows["last_layer"].append(layer.weight.grad.clone())
    module.zero_grad(set_to_none=True)
    return {name: torch.stack(grads).detach() for name, grads in rows.items()}


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize(("build", "criterion"), CRITERIA.values(), ids=CRITERIA)
def test_proxies_are_the_gradients_by_autograd(build, criterion, gradient):
    (X, y), module = data(), seeded(build)
    expected = by_autograd(module, criterion, X, y)[gradient].numpy()
    proxy = GradientProxy(module, criterion, losses_of(criterion), gradient)
    rows, output, _ = proxy.compute(lambda: module(X), y)
    np.testing.assert_allclose(output.numpy(), module(X).detach().numpy(), rtol=1e-6)
    assert rows.dtype == torch.float32
    if gradient != "last_layer":
        assert proxy.metric is None
        np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-4, atol=1e-6)
    else:
        # The distances are those of the full gradients of the last weight matrix.
        full = expected.reshape(N, -1)
        distances = proxy.metric.pairwise(rows.numpy(), rows.numpy()[:4])
        np.testing.assert_allclose(distances, cdist(full, full[:4]), rtol=1e-3, atol=1e-3)
        left = rows.numpy()[:, : proxy.metric.n_left]
        right = rows.numpy()[:, proxy.metric.n_left :]
        outer = left[:, :, None] * right[:, None, :]
        np.testing.assert_allclose(outer, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["cross-entropy", "both", "nll weights", "ignored class"])
def test_the_closed_form_takes_no_backward_pass(name):
    build, criterion = CRITERIA[name]
    (X, y), module = data(), seeded(build)

    def fail(output, y):
        raise AssertionError("not needed")

    rows, *_ = GradientProxy(module, criterion, fail, "logits").compute(lambda: module(X), y)
    expected = by_autograd(module, criterion, X, y)["logits"]
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)


def test_the_closed_form_is_not_taken_for_a_subclass():
    class Sharper(nn.CrossEntropyLoss):
        def forward(self, output, y):
            return super().forward(2 * output, y)

    (X, y), module = data(), seeded(plain_net)
    assert cross_entropy_gradient(Sharper(), module(X), y) is None
    proxy = GradientProxy(module, Sharper(), losses_of(Sharper()), "logits")
    rows, *_ = proxy.compute(lambda: module(X), y)
    expected = by_autograd(module, Sharper(), X, y)["logits"]
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outer_product_distance(dtype):
    rng = np.random.RandomState(0)
    X, Y = rng.standard_normal((6, 7)).astype(dtype), rng.standard_normal((4, 7)).astype(dtype)
    before = X.copy(), Y.copy()

    def outer(rows):
        return np.einsum("ia,ib->iab", rows[:, :3], rows[:, 3:]).reshape(len(rows), -1)

    distances = OuterProductDistance(3).pairwise(X, Y)
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, cdist(outer(X), outer(Y)), rtol=1e-5)
    np.testing.assert_allclose(np.diag(OuterProductDistance(3).pairwise(X, X)), 0, atol=1e-6)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


# The last linear layer ----------------------------------------------------------------------------


class Tuple(nn.Module):
    def __init__(self):
        super().__init__()
        self.last, self.side = nn.Linear(D, C), nn.Linear(D, 2)

    def forward(self, X):
        return self.last(X), self.side(X)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(D, C), nn.Linear(D, C)

    def forward(self, X):
        return self.one(X) + self.two(X)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(H, C)  # named first, used last
        self.inside = nn.ModuleDict({"a": nn.Linear(D, H), "b": nn.Linear(H, H)})

    def forward(self, X):
        h = self.inside["a"](X)
        return torch.log_softmax(self.head(h + torch.relu(self.inside["b"](h))), dim=-1)


class Bilinear(nn.Module):
    """No linear layer at all."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(D, C))

    def forward(self, X):
        return X @ self.weight


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: nn.Linear(D, C), ""),
        (plain_net, "2"),
        (softmax_net, "2"),
        (lambda: nn.Sequential(plain_net(), nn.Dropout(), nn.Unflatten(1, (1, C))), "0.2"),
        (lambda: nn.Sequential(plain_net(), nn.ReLU(inplace=True)), "0.2"),
        (Tuple, "last"),
        (Skip, "head"),
    ],
)
def test_last_linear_is_found(build, name):
    module = seeded(build).eval()
    X, _ = data()
    with torch.no_grad():
        found = find_last_linear(module, lambda: module(X))
    assert found is dict(module.named_modules())[name]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Residual, r"More than one nn.Linear .* Residual.*\['one', 'two'\].*gradient_layer"),
        (Bilinear, r"No nn.Linear .* Bilinear, whose linear layers are \[\].*gradient='logits'"),
    ],
)
@pytest.mark.parametrize("gradient", ["features", "last_layer"])
def test_last_linear_is_not_found(build, message, gradient):
    module, (X, y) = seeded(build), data()
    criterion = nn.CrossEntropyLoss()
    proxy = GradientProxy(module, criterion, losses_of(criterion), gradient)
    with pytest.raises(ValueError, match=message):
        proxy.compute(lambda: module(X), y)


@pytest.mark.parametrize("build", [Residual, Bilinear])
@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss(), HalfSquare(), nn.MultiMarginLoss()])
def test_logits_need_no_linear_layer(build, criterion):
    module, (X, y) = seeded(build), data()
    proxy = GradientProxy(module, criterion, losses_of(criterion), "logits")
    rows, *_ = proxy.compute(lambda: module(X), y)
    output = module(X).detach().requires_grad_()
    losses_of(criterion)(output, y).sum().backward()
    np.testing.assert_allclose(rows, output.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_tuple_of_which_the_logits_are_the_first(gradient):
    (X, y), module, criterion = data(), seeded(Tuple), HalfSquare()
    rows, output, _ = GradientProxy(module, criterion, losses_of(criterion), gradient).compute(
        lambda: module(X), y
    )
    logits = module.last(X).detach()
    at_logits = logits - nn.functional.one_hot(y, C)  # of half the squared error
    expected = {
        "logits": at_logits,
        "features": at_logits @ module.last.weight.detach(),
        "last_layer": torch.cat([at_logits, X], dim=1),
    }
    np.testing.assert_allclose(rows, expected[gradient], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(output, logits)


def test_a_named_layer():
    (X, y), module, criterion = data(), seeded(Residual), nn.CrossEntropyLoss()
    proxy = GradientProxy(module, criterion, losses_of(criterion), "features", "two")
    rows, *_ = proxy.compute(lambda: module(X), y)
    p_minus_y = module(X).softmax(dim=1) - nn.functional.one_hot(y, C)
    expected = (p_minus_y @ module.two.weight).detach()
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)
    # "logits" at a named layer is the gradient at its output, whatever comes after.
    scaled = nn.Sequential(nn.Linear(D, C), nn.Hardtanh())
    proxy = GradientProxy(scaled, criterion, losses_of(criterion), "logits", "0")
    rows, *_ = proxy.compute(lambda: scaled(X), y)
    z = scaled[0](X).detach().requires_grad_()
    losses_of(criterion)(scaled[1](z), y).sum().backward()
    np.testing.assert_allclose(rows, z.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["9", "1", "two"])
def test_a_wrong_name_lists_the_layers(name):
    with pytest.raises(ValueError, match=rf"gradient_layer='{name}' does not.*\['0', '2'\]"):
        GradientProxy(plain_net(), nn.CrossEntropyLoss(), None, "features", name)


def test_a_layer_with_several_rows_per_example():
    module = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Linear(2, C), nn.Flatten(), nn.Linear(6, C))
    (X, y), criterion = data(), nn.CrossEntropyLoss()
    proxy = GradientProxy(module, criterion, losses_of(criterion), "features", "1")
    with pytest.raises(ValueError, match="one output row per example.*gradient_layer"):
        proxy.compute(lambda: module(X), y)


# What is left behind ------------------------------------------------------------------------------


class Fragile(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(D, H), nn.BatchNorm1d(H), nn.Dropout(0.5))
        self.head = nn.Linear(H, C)
        self.broken = False

    def forward(self, X):
        out = self.head(self.body(X))
        if self.broken:
            raise RuntimeError("broken")
        return out.softmax(dim=1)


def n_hooks(module):
    return sum(len(m._forward_hooks) for m in module.modules())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("layer", [None, "head"])
@pytest.mark.parametrize("criterion", [nn.NLLLoss(), HalfSquare()])
def test_module_is_left_as_it_was(training, gradient, layer, criterion):
    (X, y), module = data(), seeded(Fragile).train(training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    for broken in (False, True):
        module.broken = broken
        proxy = GradientProxy(module, criterion, losses_of(criterion), gradient, layer)
        if broken:
            with pytest.raises(RuntimeError, match="broken"):
                proxy.compute(lambda: module(X), y)
        else:
            proxy.compute(lambda: module(X), y)
        assert torch.is_grad_enabled()
        assert n_hooks(module) == 0
        assert [m.training for m in module.modules()] == [training] * 5 + [training]
        assert all(p.grad is None and p.requires_grad for p in module.parameters())
        assert X.grad is None
    if not training:
        for name, value in module.state_dict().items():
            assert torch.equal(value, before[name]), name


def test_rows_of_a_batch_do_not_depend_on_the_others():
    (X, y), module, criterion = data(), seeded(Fragile).eval(), nn.NLLLoss()
    proxy = GradientProxy(module, criterion, losses_of(criterion), "features")
    whole, *_ = proxy.compute(lambda: module(X), y)
    parts = [proxy.compute(lambda i=i: module(X[i : i + 2]), y[i : i + 2])[0] for i in (0, 2)]
    np.testing.assert_allclose(torch.cat(parts), whole[:4], rtol=1e-5, atol=1e-7)


# Criteria -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_unreduced_gives_the_reduction_back(reduction):
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    with pytest.raises(RuntimeError, match="inside"), unreduced(criterion):
        assert criterion(torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)).shape == (4,)
        raise RuntimeError("inside")
    assert criterion.reduction == reduction


def test_unreduced_of_a_criterion_without_reduction():
    def criterion(output, y):
        return output

    with unreduced(criterion):
        assert not hasattr(criterion, "reduction")
    assert not hasattr(criterion, "reduction")


def test_check_losses():
    losses = torch.arange(6.0)
    assert check_losses(losses, 6, None) is losses
    np.testing.assert_allclose(check_losses(losses.reshape(3, 2), 3, None), [0.5, 2.5, 4.5])
    for loss in (losses.sum(), losses):
        with pytest.raises(
            ValueError, match="criterion=HalfSquare gives no loss per example.*`red"
        ):
            check_losses(loss, 5, HalfSquare())
