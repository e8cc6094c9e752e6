"""GradientProxy, against the definition: one backward pass per example."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import nn

from crust_sklearn.gradients import GRADIENTS, GradientProxy, make_unreduced

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
    unreduced = make_unreduced(criterion)

    def get_losses(output, y):
        output = output[0] if isinstance(output, tuple) else output
        return unreduced(output.log() if isinstance(criterion, nn.NLLLoss) else output, y)

    return get_losses


def compute(module, criterion, gradient, layer=None, get_losses=None):
    """Return the proxies of all rows, and what made them."""
    X, y = data()
    proxy = GradientProxy(module, criterion, gradient, layer)
    return proxy.compute(lambda: module(X), y, get_losses or losses_of(criterion)), proxy


def by_autograd(module, criterion):
    """Return the gradients: at the last layer's two ends, and for its weights."""
    X, y = data()
    layer = [m for m in module.modules() if isinstance(m, nn.Linear)][-1]
    rows = {"logits": [], "features": [], "last-layer": []}
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
        rows["last-layer"].append(layer.weight.grad.clone())
    module.zero_grad(set_to_none=True)
    return {name: torch.stack(grads).detach() for name, grads in rows.items()}


def test_names_are_hyphenated():
    assert GRADIENTS == ("logits", "features", "last-layer")
    with pytest.raises(ValueError, match="gradient='last_layer' is not valid.*'last-layer'"):
        GradientProxy(plain_net(), nn.CrossEntropyLoss(), "last_layer")


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize(("build", "criterion"), CRITERIA.values(), ids=CRITERIA)
def test_are_the_gradients_by_autograd(build, criterion, gradient):
    module = seeded(build)
    expected = by_autograd(module, criterion)[gradient].numpy()
    (rows, output, features), proxy = compute(module, criterion, gradient)
    X, _ = data()
    np.testing.assert_allclose(output.numpy(), module(X).detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(features, module[:2](X).detach(), rtol=1e-6)
    assert rows.dtype == torch.float32
    if gradient != "last-layer":
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


def fail(output, y):
    raise AssertionError("not needed")


@pytest.mark.parametrize("name", ["cross-entropy", "both", "nll weights", "ignored class"])
def test_a_closed_form_takes_no_losses(name):
    build, criterion = CRITERIA[name]
    module = seeded(build)
    (rows, *_), _ = compute(module, criterion, "logits", get_losses=fail)
    expected = by_autograd(module, criterion)["logits"]
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)


def test_without_a_criterion_the_losses_decide_and_no_closed_form():
    module = seeded(plain_net)
    doubled = losses_of(nn.CrossEntropyLoss())
    (rows, *_), _ = compute(module, None, "logits", get_losses=lambda z, y: 2 * doubled(z, y))
    expected = 2 * by_autograd(module, nn.CrossEntropyLoss())["logits"]
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("build", [plain_net, softmax_net])
@pytest.mark.parametrize("layer", [None, "2", "0"])
def test_without_a_gradient_there_are_output_and_features_alone(build, layer):
    module, (X, _) = seeded(build), data()
    (rows, output, features), proxy = compute(module, None, None, layer, get_losses=fail)
    assert rows is None
    assert proxy.metric is None
    np.testing.assert_allclose(output, module(X).detach(), rtol=1e-6)
    np.testing.assert_allclose(features, X if layer == "0" else module[:2](X).detach(), rtol=1e-6)


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


class Bilinear(nn.Module):
    """No linear layer at all."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(D, C))

    def forward(self, X):
        return X @ self.weight


@pytest.mark.parametrize("build", [Residual, Bilinear])
@pytest.mark.parametrize("gradient", ["features", "last-layer"])
def test_of_the_last_layer_need_one(build, gradient):
    with pytest.raises(ValueError, match="nn.Linear was found to produce the output"):
        compute(seeded(build), nn.CrossEntropyLoss(), gradient)


@pytest.mark.parametrize("build", [Residual, Bilinear])
@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss(), HalfSquare(), nn.MultiMarginLoss()])
def test_at_the_logits_need_no_linear_layer(build, criterion):
    module, (X, y) = seeded(build), data()
    (rows, _, features), _ = compute(module, criterion, "logits")
    output = module(X).detach().requires_grad_()
    losses_of(criterion)(output, y).sum().backward()
    np.testing.assert_allclose(rows, output.grad, rtol=1e-4, atol=1e-6)
    # The logits stand in for features.
    np.testing.assert_allclose(features, output.detach())


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_of_a_tuple_of_which_the_logits_are_the_first(gradient):
    (X, y), module = data(), seeded(Tuple)
    (rows, output, _), _ = compute(module, HalfSquare(), gradient)
    logits = module.last(X).detach()
    at_logits = logits - nn.functional.one_hot(y, C)  # of half the squared error
    expected = {
        "logits": at_logits,
        "features": at_logits @ module.last.weight.detach(),
        "last-layer": torch.cat([at_logits, X], dim=1),
    }
    np.testing.assert_allclose(rows, expected[gradient], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(output, logits)


def test_of_a_named_layer():
    (X, y), module, criterion = data(), seeded(Residual), nn.CrossEntropyLoss()
    (rows, *_), _ = compute(module, criterion, "features", "two")
    p_minus_y = module(X).softmax(dim=1) - nn.functional.one_hot(y, C)
    expected = (p_minus_y @ module.two.weight).detach()
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)


def test_logits_of_a_named_layer_are_its_output_whatever_comes_after():
    (X, y), criterion = data(), nn.CrossEntropyLoss()
    clipped = seeded(lambda: nn.Sequential(nn.Linear(D, C), nn.Hardtanh()))
    (rows, *_), _ = compute(clipped, criterion, "logits", "0")
    z = clipped[0](X).detach().requires_grad_()
    losses_of(criterion)(clipped[1](z), y).sum().backward()
    np.testing.assert_allclose(rows, z.grad, rtol=1e-4, atol=1e-6)


def test_of_a_layer_with_several_rows_per_example():
    module = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Linear(2, C), nn.Flatten(), nn.Linear(6, C))
    with pytest.raises(ValueError, match="one output row per example.*gradient_layer"):
        compute(module, nn.CrossEntropyLoss(), "features", "1")


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
@pytest.mark.parametrize("gradient", [*GRADIENTS, None])
@pytest.mark.parametrize("layer", [None, "head"])
@pytest.mark.parametrize("criterion", [nn.NLLLoss(), HalfSquare()])
def test_the_module_is_left_as_it_was(training, gradient, layer, criterion):
    module = seeded(Fragile).train(training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    for broken in (False, True):
        module.broken = broken
        if broken:
            with pytest.raises(RuntimeError, match="broken"):
                compute(module, criterion, gradient, layer)
        else:
            compute(module, criterion, gradient, layer)
        assert torch.is_grad_enabled()
        assert n_hooks(module) == 0
        assert {part.training for part in module.modules()} == {training}
        assert all(p.grad is None and p.requires_grad for p in module.parameters())
    if not training:
        for name, value in module.state_dict().items():
            assert torch.equal(value, before[name]), name


def test_rows_of_a_batch_do_not_depend_on_the_others():
    (X, y), module, criterion = data(), seeded(Fragile).eval(), nn.NLLLoss()
    (whole, *_), proxy = compute(module, criterion, "features")
    parts = [
        proxy.compute(lambda i=i: module(X[i : i + 2]), y[i : i + 2], losses_of(criterion)).rows
        for i in (0, 2)
    ]
    np.testing.assert_allclose(torch.cat(parts), whole[:4], rtol=1e-5, atol=1e-7)
