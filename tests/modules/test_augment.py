import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from crust_sklearn.modules import GaussianNoise, RandomCropFlip


def get_all_variants(image, padding, flip):
    """Return every crop, and its mirror image, that the module may make of one image."""
    height, width = image.shape[1:]
    padded = F.pad(image, (padding,) * 4)
    crops = [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    ]
    return crops + [crop.flip(2) for crop in crops] if flip else crops


def make_images(n_samples=300, channels=2, height=3, width=4):
    """Return copies of one image without symmetries and without zeros."""
    image = torch.arange(1.0, channels * height * width + 1).reshape(channels, height, width)
    return image.expand(n_samples, -1, -1, -1).clone()


@given(padding=st.integers(0, 3), flip=st.booleans(), height=st.integers(1, 5))
@settings(max_examples=20)
def test_every_result_is_a_crop_of_its_own_padded_image(padding, flip, height):
    X = torch.randn(4, 2, height, 3)
    out = RandomCropFlip(padding, flip)(X)
    assert out.shape == X.shape
    for image, result in zip(X, out, strict=True):
        assert any(torch.equal(result, v) for v in get_all_variants(image, padding, flip))


def test_every_crop_and_mirror_image_occurs():
    torch.manual_seed(0)
    X = make_images()
    seen = {tuple(image.flatten().tolist()) for image in RandomCropFlip(padding=1)(X)}
    expected = {tuple(v.flatten().tolist()) for v in get_all_variants(X[0], 1, flip=True)}
    assert len(expected) == 18
    assert seen == expected


def test_mirrors_about_half_of_the_images():
    torch.manual_seed(0)
    X = make_images(n_samples=2000)
    out = RandomCropFlip(padding=0)(X)
    mirrored = (out == X.flip(3)).all(dim=(1, 2, 3))
    assert torch.equal(out[~mirrored], X[~mirrored])
    assert mirrored.double().mean().item() == pytest.approx(0.5, abs=0.05)


def test_flip_off_mirrors_nothing():
    X = make_images()
    assert torch.equal(RandomCropFlip(padding=0, flip=False)(X), X)


def test_rests_in_eval_mode():
    X = make_images()
    assert torch.equal(RandomCropFlip().eval()(X), X)


def test_leaves_its_input_alone_and_keeps_the_dtype():
    X = make_images().to(torch.uint8)
    before = X.clone()
    out = RandomCropFlip()(X)
    assert out.dtype == torch.uint8
    assert not torch.equal(out, X)
    assert torch.equal(X, before)


def test_follows_the_seed_of_torch():
    X, augment = make_images(), RandomCropFlip()
    torch.manual_seed(3)
    first = augment(X)
    second = augment(X)
    torch.manual_seed(3)
    assert torch.equal(augment(X), first)
    assert not torch.equal(second, first)


def test_gradients_pass_through():
    X = make_images(n_samples=2).requires_grad_()
    RandomCropFlip(padding=0)(X).sum().backward()
    assert torch.equal(X.grad, torch.ones_like(X))


def test_shows_its_parameters_and_pickles():
    augment = pickle.loads(pickle.dumps(RandomCropFlip(padding=2, flip=False)))
    assert repr(augment) == "RandomCropFlip(padding=2, flip=False)"


@pytest.mark.parametrize("padding", [-1, 1.5, True])
def test_refuses_padding_that_is_not_a_count(padding):
    with pytest.raises((TypeError, ValueError), match="padding must be an integer at least 0"):
        RandomCropFlip(padding)


def test_refuses_flat_input():
    with pytest.raises(ValueError, match="Expected images of shape"):
        RandomCropFlip()(torch.zeros(2, 64))


def test_noise_is_normal_with_the_given_deviation():
    torch.manual_seed(0)
    X = torch.arange(4.0).expand(5000, 4)
    noise = (GaussianNoise(0.5)(X) - X).double()
    torch.testing.assert_close(noise.mean(dim=0), torch.zeros(4).double(), atol=0.03, rtol=0)
    torch.testing.assert_close(noise.T.cov(), 0.25 * torch.eye(4).double(), atol=0.015, rtol=0)
    # Of a normal distribution, 68.3 % lie within one deviation, 95.4 % within two.
    shares = [(noise.abs() < bound).double().mean().item() for bound in (0.5, 1.0)]
    assert shares == pytest.approx([0.683, 0.954], abs=0.01)


def test_noise_rests_in_eval_mode_and_leaves_its_input_alone():
    X = torch.arange(8.0).reshape(2, 4)
    before = X.clone()
    assert GaussianNoise().eval()(X) is X
    assert not torch.equal(GaussianNoise()(X), X)
    assert torch.equal(X, before)
    assert torch.equal(GaussianNoise(std=0)(X), X)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.float64, torch.float64), (torch.float16, torch.float16), (torch.int64, torch.float32)],
)
def test_noise_keeps_the_shape_and_makes_floats(dtype, expected):
    noisy = GaussianNoise()(torch.ones(3, 2, 4, dtype=dtype))
    assert noisy.shape == (3, 2, 4)
    assert noisy.dtype == expected


def test_noise_follows_the_seed_of_torch():
    X, augment = torch.zeros(3, 4), GaussianNoise()
    torch.manual_seed(3)
    first, second = augment(X), augment(X)
    torch.manual_seed(3)
    assert torch.equal(augment(X), first)
    assert not torch.equal(second, first)


def test_noise_shows_its_parameter_and_pickles():
    assert repr(pickle.loads(pickle.dumps(GaussianNoise(0.25)))) == "GaussianNoise(std=0.25)"


@pytest.mark.parametrize("std", [-1, "a", None, True])
def test_refuses_noise_of_no_deviation(std):
    with pytest.raises((TypeError, ValueError), match="std must be a number at least 0"):
        GaussianNoise(std)
