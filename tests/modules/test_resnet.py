import copy
import inspect
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from crust_sklearn.modules import ResNet, ResNet20, ResNet32, ResNet44, ResNet56, ResNet110
from crust_sklearn.modules.resnet import _Block, _PadShortcut

# Table 6 of He et al. (2016), in millions.
PUBLISHED_SIZES = {
    ResNet20: 0.27,
    ResNet32: 0.46,
    ResNet44: 0.66,
    ResNet56: 0.85,
    ResNet110: 1.7,
}


def count_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def count_by_hand(depth, num_classes=10, in_channels=3):
    """Convolutions without bias, two parameters per channel of batch norm, one linear layer."""
    n = (depth - 2) // 6
    total = 9 * in_channels * 16 + 2 * 16
    before = 16
    for channels in (16, 32, 64):
        total += 9 * before * channels + (2 * n - 1) * 9 * channels**2 + 2 * n * 2 * channels
        before = channels
    return total + 64 * num_classes + num_classes


@pytest.mark.parametrize("network", PUBLISHED_SIZES)
def test_has_the_published_number_of_parameters(network):
    net = network()
    digits = 1 if network is ResNet110 else 2
    assert round(count_parameters(net) / 1e6, digits) == PUBLISHED_SIZES[network]
    assert count_parameters(net) == count_by_hand(net.depth)


def test_exact_number_of_parameters():
    assert count_parameters(ResNet20()) == 269_722
    assert count_parameters(ResNet32()) == 464_154
    assert count_parameters(ResNet(14, num_classes=7, in_channels=1)) == count_by_hand(14, 7, 1)


@pytest.mark.parametrize("network", PUBLISHED_SIZES)
def test_depth_counts_the_layers_with_weights(network):
    net = network()
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == net.depth == int(network.__name__.removeprefix("ResNet"))


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (8, 8), (7, 13)])
def test_output_has_one_column_per_class_at_any_image_size(size):
    net = ResNet(8, num_classes=6, in_channels=2)
    assert net(torch.randn(3, 2, *size)).shape == (3, 6)


def test_stages_double_channels_and_halve_the_image():
    net = ResNet(8)
    X = torch.randn(2, 16, 32, 32)
    shapes = []
    for stage in net.stages:
        X = stage(X)
        shapes.append(tuple(X.shape[1:]))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_shortcut_subsamples_and_pads_channels():
    X = torch.arange(2 * 3 * 3, dtype=torch.float32).reshape(1, 2, 3, 3)
    out = _PadShortcut(2, 4, stride=2)(X)
    zeros = [[0.0, 0.0], [0.0, 0.0]]
    expected = [[zeros, [[0.0, 2.0], [6.0, 8.0]], [[9.0, 11.0], [15.0, 17.0]], zeros]]
    assert out.tolist() == expected


def test_shortcuts_have_no_parameters_and_only_two_change_the_shape():
    net = ResNet20()
    blocks = [m for m in net.modules() if isinstance(m, _Block)]
    assert len(blocks) == 9
    assert all(count_parameters(block.shortcut) == 0 for block in blocks)
    padded = [i for i, b in enumerate(blocks) if isinstance(b.shortcut, _PadShortcut)]
    assert padded == [3, 6]


def test_block_carries_its_input_around_the_convolutions():
    block = _Block(2, 4, stride=2).eval()
    nn.init.zeros_(block.bn2.weight)
    X = torch.randn(2, 2, 6, 6)
    expected = F.relu(F.pad(X[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1)))
    torch.testing.assert_close(block(X), expected)


def test_convolutions_start_from_kaiming_normal():
    torch.manual_seed(0)
    weight = ResNet(8).stages[2][0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8, torch.int64, torch.bool])
def test_casts_images_to_the_dtype_of_the_weights(dtype):
    net = ResNet(8, in_channels=1).eval()
    X = torch.randint(2, (2, 1, 8, 8))
    torch.testing.assert_close(net(X.to(dtype)), net(X.float()))


def test_last_layer_is_linear():
    net = ResNet20(num_classes=3)
    assert list(net.children())[-1] is net.fc
    assert isinstance(net.fc, nn.Linear)
    assert (net.fc.in_features, net.fc.out_features) == (64, 3)


@pytest.mark.parametrize("network", PUBLISHED_SIZES)
def test_signature_says_which_sizes_a_network_takes(network):
    parameters = inspect.signature(network).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "num_classes": 10,
        "in_channels": 3,
    }


@pytest.mark.parametrize("network", PUBLISHED_SIZES)
def test_docs_are_about_this_network(network):
    summary, size, *sections = inspect.getdoc(network).split("\n\n")
    assert f"of {network.__name__.removeprefix('ResNet')} layers" in summary
    assert f"{PUBLISHED_SIZES[network]} million" in size
    names = [section.split("\n")[0] for section in sections]
    assert names == ["Parameters", "Attributes", "Raises", "See Also", "Examples"]
    assert f">>> {network.__name__}()" in sections[-1]


def test_a_subclass_has_its_own_docs():
    class Mine(ResNet20):
        """Mine."""

    assert Mine.__doc__ == "Mine."
    assert Mine(num_classes=3).fc.out_features == 3


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("network", [ResNet20, ResNet32])
def test_pickles_and_copies(network, duplicate):
    assert duplicate(network) is network
    net = network(num_classes=4).eval()
    X = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(duplicate(net)(X), net(X))


@pytest.mark.parametrize("depth", [2, 7, 18, 34, 0, -4])
def test_refuses_a_depth_that_fits_no_stages(depth):
    with pytest.raises(ValueError, match="depth must be"):
        ResNet(depth)


@pytest.mark.parametrize(
    "wrong", [{"num_classes": 0}, {"in_channels": -1}, {"num_classes": 2.5}, {"in_channels": True}]
)
def test_refuses_counts_that_are_not_positive_integers(wrong):
    with pytest.raises(
        (TypeError, ValueError), match=f"{next(iter(wrong))} must be an integer at least 1"
    ):
        ResNet20(**wrong)


def test_refuses_flat_input():
    with pytest.raises(ValueError, match=r"\(n_samples, channels, height, width\).*\(2, 3072\)"):
        ResNet20()(torch.zeros(2, 3072))
