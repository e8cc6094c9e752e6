import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from crust_sklearn.modules import MLP


def test_computes_relu_layers_and_logits():
    net = MLP(4, 3, hidden_sizes=(5,))
    X = torch.randn(6, 4)
    hidden = F.relu(X @ net.hidden[0].weight.T + net.hidden[0].bias)
    torch.testing.assert_close(net(X), hidden @ net.fc.weight.T + net.fc.bias)


def test_default_layers():
    sizes = [
        (m.in_features, m.out_features) for m in MLP(20, 7).modules() if isinstance(m, nn.Linear)
    ]
    assert sizes == [(20, 256), (256, 128), (128, 7)]


def test_without_hidden_layers_it_is_linear():
    net = MLP(4, 3, hidden_sizes=())
    X = torch.randn(2, 4)
    torch.testing.assert_close(net(X), X @ net.fc.weight.T + net.fc.bias)


def test_flattens():
    net = MLP(64, 10)
    X = torch.randn(5, 1, 8, 8)
    assert torch.equal(net(X), net(X.reshape(5, 64)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8, torch.bool])
@pytest.mark.parametrize("weights", [torch.float32, torch.float64])
def test_casts_input_to_the_dtype_of_the_weights(dtype, weights):
    net = MLP(4, 2).to(weights)
    X = torch.randint(2, (3, 4))
    out = net(X.to(dtype))
    assert out.dtype == weights
    assert torch.equal(out, net(X.to(weights)))


def test_drops_units_in_train_mode_only():
    torch.manual_seed(0)
    net = MLP(4, 2, hidden_sizes=(1000,), dropout=0.3)
    net.hidden[0].bias.data.fill_(1)
    X = torch.zeros(1, 4)
    assert (net.hidden(X) == 0).float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert (net.eval().hidden(X) == 1).all()


def test_pickles():
    net = MLP(4, 2)
    X = torch.randn(3, 4)
    assert torch.equal(pickle.loads(pickle.dumps(net))(X), net(X))


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_refuses_dropout_outside_its_range(dropout):
    with pytest.raises(ValueError, match="dropout must be in"):
        MLP(4, 2, dropout=dropout)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("in_features", (0, 2)), ("num_classes", (4, 1.5)), ("hidden_sizes", (4, 2, (8, 0)))],
)
def test_refuses_sizes_that_are_not_positive_integers(name, arguments):
    with pytest.raises((TypeError, ValueError), match=f"{name} must be an integer at least 1"):
        MLP(*arguments)


def test_refuses_another_number_of_features():
    with pytest.raises(ValueError, match="X has 5 features per example.*in_features=4"):
        MLP(4, 2)(torch.zeros(3, 5))
