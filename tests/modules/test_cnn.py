import pickle

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from crust_sklearn.modules import SmallCNN


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32), (2, 11)])
def test_output_has_one_column_per_class(channels, size):
    net = SmallCNN(num_classes=4, in_channels=channels)
    assert net(torch.randn(3, channels, size, size)).shape == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # 9 (3w + 2w^2 + 4w^2 + 8w^2 + 16w^2) weights, 2 (w + 2w + 2w + 4w + 4w) of batch norm,
        # 4w * 10 + 10 of the last layer
        ({}, 9 * (3 * 32 + 30 * 32**2) + 26 * 32 + 40 * 32 + 10),
        ({"width": 8}, 9 * (3 * 8 + 30 * 8**2) + 26 * 8 + 40 * 8 + 10),
    ],
)
def test_number_of_parameters(arguments, expected):
    assert sum(p.numel() for p in SmallCNN(**arguments).parameters()) == expected


def test_last_layer_is_linear_on_the_mean_over_the_image():
    net = SmallCNN(num_classes=3, width=4).eval()
    X = torch.randn(2, 3, 32, 32)
    features = net.features(X)
    assert features.shape == (2, 16, 4, 4)
    assert isinstance(net.fc, nn.Linear)
    torch.testing.assert_close(net(X), net.fc(features.mean(dim=(2, 3))))


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8, torch.int32])
def test_casts_images_to_the_dtype_of_the_weights(dtype):
    net = SmallCNN(in_channels=1, width=4).eval()
    X = torch.randint(255, (2, 1, 8, 8))
    assert torch.equal(net(X.to(dtype)), net(X.float()))


def test_parameters_are_contiguous():
    """Otherwise safetensors refuses to save them."""
    assert all(p.is_contiguous() for p in SmallCNN().parameters())


def test_pickles():
    net = SmallCNN(in_channels=1, width=4).eval()
    X = torch.randn(2, 1, 8, 8)
    assert torch.equal(pickle.loads(pickle.dumps(net))(X), net(X))


def test_learns_digits():
    X, y = load_digits(return_X_y=True)
    X = torch.tensor(X / 16).reshape(-1, 1, 8, 8)
    y = torch.tensor(y)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = SmallCNN(in_channels=1)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.002)
        for _ in range(4):
            for rows in torch.randperm(1200).split(64):
                optimizer.zero_grad()
                F.cross_entropy(net(X[rows]), y[rows]).backward()
                optimizer.step()
    accuracy = (net.eval()(X[1200:]).argmax(1) == y[1200:]).double().mean()
    assert accuracy > 0.9


@pytest.mark.parametrize("shape", [(2, 64), (2, 8, 8)])
def test_refuses_input_that_is_no_batch_of_images(shape):
    with pytest.raises(ValueError, match=r"Expected images of shape .*Reshape X first"):
        SmallCNN(in_channels=1)(torch.zeros(shape))


@pytest.mark.parametrize("name", ["num_classes", "in_channels", "width"])
def test_refuses_counts_that_are_not_positive_integers(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer at least 1; got 0"):
        SmallCNN(**{name: 0})
