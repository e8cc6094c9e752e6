"""The last linear layer of a module: found, or named."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from crust_sklearn.gradients import find_last_linear, get_linear, get_logits

N, D, H, C = 9, 4, 5, 3
X = torch.randn(N, D, generator=torch.Generator().manual_seed(0))


def softmax_net():
    return nn.Sequential(nn.Linear(D, H), nn.Tanh(), nn.Linear(H, C), nn.Softmax(dim=1))


def plain_net():
    return nn.Sequential(nn.Linear(D, H), nn.Tanh(), nn.Linear(H, C))


class Tuple(nn.Module):
    def __init__(self, wrap=lambda last, side: (last, side)):
        super().__init__()
        self.last, self.side, self.wrap = nn.Linear(D, C), nn.Linear(D, 2), wrap

    def forward(self, X):
        return self.wrap(self.last(X), self.side(X))


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
        self.weight = nn.Parameter(torch.ones(D, C))

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
        (lambda: Tuple(lambda last, side: SimpleNamespace(logits=last, hidden=side)), "last"),
        (Skip, "head"),
    ],
)
def test_is_found(build, name):
    module = build().eval()
    with torch.no_grad():
        found = find_last_linear(module, lambda: module(X))
    assert found is dict(module.named_modules())[name]
    assert not any(part._forward_hooks for part in module.modules())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Residual, r"More than one nn.Linear .* Residual.*\['one', 'two'\].*gradient_layer"),
        (Bilinear, r"No nn.Linear .* Bilinear, whose linear layers are \[\].*gradient='logits'"),
    ],
)
def test_is_not_found(build, message):
    module = build()
    with pytest.raises(ValueError, match=message):
        find_last_linear(module, lambda: module(X))


def test_no_hook_is_left_where_the_module_fails():
    module = plain_net()
    with pytest.raises(RuntimeError):
        find_last_linear(module, lambda: module(X[:, :1]))
    assert not any(part._forward_hooks for part in module.modules())


def test_is_had_by_its_name():
    module = plain_net()
    assert get_linear(module, "0") is module[0]


@pytest.mark.parametrize("name", ["9", "1", "two"])
def test_a_wrong_name_lists_the_layers(name):
    with pytest.raises(ValueError, match=rf"gradient_layer='{name}' does not.*\['0', '2'\]"):
        get_linear(plain_net(), name)


@pytest.mark.parametrize(
    "wrap",
    [lambda z: z, lambda z: (z, None), lambda z: SimpleNamespace(logits=z, loss=None)],
    ids=["tensor", "tuple", "object"],
)
def test_logits_of_what_a_module_returns(wrap):
    logits = torch.ones(2, 3)
    assert get_logits(wrap(logits)) is logits
