import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import WhitenedCNN
from crust_sklearn.modules.whitened_cnn import EPSILON


def draw_images(n_images=16, channels=3, size=12, seed=0):
    """Return images whose neighbouring pixels are alike, as those of photographs are."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_images, channels, size, size))
    return torch.tensor(steps.cumsum(axis=2).cumsum(axis=3) / size, dtype=torch.float32)


def get_patches(X, size=2):
    """Return all patches, by slices."""
    height, width = X.shape[2] - size + 1, X.shape[3] - size + 1
    return np.array(
        [
            X[i, :, top : top + size, left : left + size].numpy().ravel()
            for i in range(len(X))
            for top in range(height)
            for left in range(width)
        ],
        dtype=np.float64,
    )


@pytest.mark.parametrize(("channels", "size"), [(1, 9), (1, 28), (3, 32), (2, 11)])
@pytest.mark.parametrize("training", [True, False])
def test_output_has_one_column_per_class(channels, size, training):
    net = WhitenedCNN(num_classes=4, in_channels=channels, widths=(4, 6, 8)).train(training)
    assert net(torch.randn(3, channels, size, size)).shape == (3, 4)


def test_first_training_batch_is_whitened():
    net, X = WhitenedCNN(widths=(4,)), draw_images()
    net(X)
    whitened = net.whitening(X).permute(0, 2, 3, 1).flatten(0, 2).numpy().astype(np.float64)
    n_directions = whitened.shape[1] // 2
    np.testing.assert_array_equal(whitened[:, :n_directions], -whitened[:, n_directions:])
    patches = get_patches(X)
    moments = np.linalg.eigvalsh(patches.T @ patches / len(patches))
    found = whitened[:, :n_directions].T @ whitened[:, :n_directions] / len(whitened)
    expected = np.diag(moments / (moments + EPSILON * moments.mean()))
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_later_batches_leave_the_first_layer():
    net = WhitenedCNN(widths=(4,))
    net(draw_images())
    weight = net.whitening.weight.clone()
    net(draw_images(seed=1))
    assert torch.equal(net.whitening.weight, weight)
    assert not any(p is net.whitening.weight for p in net.parameters())


def test_eval_mode_does_not_set_the_first_layer():
    net = WhitenedCNN(widths=(4,)).eval()
    weight = net.whitening.weight.clone()
    net(draw_images())
    assert torch.equal(net.whitening.weight, weight)
    assert not net.whitening.is_fitted


def test_state_carries_the_first_layer_over():
    net, other, X = WhitenedCNN(widths=(4,)), WhitenedCNN(widths=(4,)), draw_images()
    net(X)
    other.load_state_dict(net.state_dict())
    other.train()(draw_images(seed=1))
    assert torch.equal(other.whitening.weight, net.whitening.weight)
    assert torch.equal(pickle.loads(pickle.dumps(net.eval()))(X), net(X))


def test_last_layer_is_linear_on_the_largest_of_each_map():
    net, X = WhitenedCNN(num_classes=3, widths=(4, 5)).eval(), draw_images()
    maps = net.features(net.whitening(X))
    assert maps.shape == (16, 5, 2, 2)
    assert isinstance(net.fc, nn.Linear)
    torch.testing.assert_close(net(X), net.fc(maps.amax(dim=(2, 3))))


def test_convolutions_begin_as_partial_identities():
    first, second = (
        layer
        for layer in WhitenedCNN(in_channels=1, widths=(12,)).features
        if isinstance(layer, nn.Conv2d)
    )
    for layer, n_passed in ((first, 8), (second, 12)):
        X = torch.randn(2, layer.in_channels, 6, 6)
        assert torch.equal(layer(X)[:, :n_passed], X[:, :n_passed])


def test_flips_are_averaged_in_eval_mode_alone():
    net, X = WhitenedCNN(num_classes=3, widths=(4, 5)), draw_images()
    net(X)  # sets the first layer
    net.eval()
    mean = (net(X) + net(X.flip(-1))) / 2
    assert not torch.allclose(mean, net(X))
    net.average_flips = True
    torch.testing.assert_close(net(X), mean)
    torch.testing.assert_close(net(X.flip(-1)), net(X))
    net.train()
    assert not torch.allclose(net(X), net(X.flip(-1)))


def test_mixed_precision_changes_digits_and_not_the_dtype():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = WhitenedCNN(widths=(8, 16))
    X = draw_images()
    net(X)  # sets the first layer
    exact = net.eval()(X)
    net.mixed_precision = True
    rough = net(X)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.1, atol=0.1)
    rough.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8])
def test_casts_images_to_the_dtype_of_the_weights(dtype):
    net = WhitenedCNN(in_channels=1, widths=(4,)).eval()
    X = torch.randint(255, (2, 1, 8, 8))
    assert torch.equal(net(X.to(dtype)), net(X.float()))


def test_one_image_sets_finite_weights():
    net = WhitenedCNN(widths=(4,))
    net(torch.zeros(1, 3, 9, 9))
    assert torch.isfinite(net.whitening.weight).all()


def test_learns_digits():
    X, y = load_digits(return_X_y=True)
    X = np.pad(X.reshape(-1, 1, 8, 8) / 16, ((0, 0), (0, 0), (1, 1), (1, 1))).astype(np.float32)
    clf = CRUSTClassifier(
        WhitenedCNN, module__widths=(16, 32), max_epochs=4, lr=0.005, random_state=0, verbose=0
    )
    assert clf.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) > 0.9
    assert clf.module_.whitening.is_fitted


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"widths": ()}, ValueError, "widths must have"),
        ({"widths": (8, 0)}, ValueError, "widths"),
        ({"widths": (8.0,)}, TypeError, "widths"),
        ({"in_channels": 0}, ValueError, "in_channels"),
        ({"num_classes": 0}, ValueError, "num_classes"),
    ],
)
def test_refuses_parameters(arguments, error, message):
    with pytest.raises(error, match=message):
        WhitenedCNN(**arguments)


def test_refuses_images_that_are_too_small():
    with pytest.raises(ValueError, match=r"at least 9x9 pixels for as many `widths`; got 8x8"):
        WhitenedCNN(in_channels=1)(torch.zeros(2, 1, 8, 8))


def test_refuses_input_that_is_no_batch_of_images():
    with pytest.raises(ValueError, match=r"Expected images of shape .*Reshape X first"):
        WhitenedCNN(in_channels=1)(torch.zeros(2, 64))
