"""Images in files: what they become, what is said of broken ones, and training on them."""

import pickle
import sys
import warnings

import numpy as np
import pytest
import torch
from joblib import parallel_config
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from crust_sklearn import CRUSTClassifier
from crust_sklearn.datasets import (
    ImageArray,
    ImageFiles,
    UnreadableImageError,
    find_unreadable,
    images,
)
from crust_sklearn.modules import SmallCNN

RED = (255, 0, 0)


@pytest.fixture
def files(tmp_path):
    """Return six images of two classes: dark and light ones, with noise."""
    rng = np.random.default_rng(0)
    names = []
    for i in range(24):
        pixels = rng.integers(0, 100, (12, 10, 3)) + 150 * (i % 2)
        names.append(f"{i}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / names[-1])
    return ImageFiles(names, np.arange(24) % 2, folder=tmp_path, size=8)


def make_palette(transparency=None):
    image = Image.new("RGB", (6, 4), RED).convert("P")
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("grey.jpg", Image.new("L", (6, 4), 77), (77, 77, 77)),
        ("grey_and_alpha.png", Image.new("LA", (6, 4), (77, 3)), (77, 77, 77)),
        ("one_bit.png", Image.new("1", (6, 4), 1), (255, 255, 255)),
        ("palette.gif", make_palette(), RED),
        ("bytes_of_transparency.png", make_palette(bytes([9] * 256)), RED),
        ("alpha.png", Image.new("RGBA", (6, 4), (*RED, 0)), RED),
        # No ink but magenta and yellow; JPEG is not exact.
        ("cmyk.JPEG", Image.new("CMYK", (6, 4), (0, 255, 255, 0)), RED),
        ("upper.PNG", Image.new("RGB", (6, 4), RED), RED),
    ],
)
def test_image_of_any_mode_is_rgb_in_0_1(tmp_path, name, image, expected):
    image.save(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X, y = ImageFiles([name], [3], folder=tmp_path)[0]
    assert (X.shape, X.dtype, y) == ((3, 4, 6), torch.float32, 3)
    np.testing.assert_allclose(X[:, 2, 3] * 255, expected, atol=2)


def test_what_the_ending_says_does_not_count(tmp_path):
    # As in ImageNet, where a PNG file is named .JPEG.
    Image.new("RGB", (6, 4), RED).save(tmp_path / "a.JPEG", "PNG")
    assert ImageFiles(["a.JPEG"], [0], folder=tmp_path)[0][0][0].min() == 1


def test_orientation_of_exif_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert ImageFiles(["a.jpg"], [0], folder=tmp_path)[0][0].shape == (3, 4, 6)


@pytest.mark.parametrize("shape", [(4, 12), (12, 4)])
def test_size_is_that_of_the_middle_square_of_the_resized_image(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    X, _ = ImageFiles(["a.png"], [0], folder=tmp_path, size=2)[0]
    whole = Image.fromarray(pixels).resize((shape[1] // 2, shape[0] // 2), Image.BILINEAR)
    whole = np.asarray(whole).transpose(2, 0, 1)
    middle = whole[:, :, 2:4] if shape == (4, 12) else whole[:, 2:4]
    np.testing.assert_allclose(X * 255, middle, atol=1)


@pytest.mark.parametrize("shape", [(8, 8), (8, 13), (12, 8)])
def test_image_of_that_size_is_cut_and_not_resized(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    X, _ = ImageFiles(["a.png"], [0], folder=tmp_path, size=8)[0]
    top, left = (shape[0] - 8) // 2, (shape[1] - 8) // 2
    np.testing.assert_allclose(X[1] * 255, pixels[top : top + 8, left : left + 8])


def test_transform_is_given_the_image_of_that_size(files):
    files.transform = lambda image: (image.mode, image.size)
    assert files[0] == (("RGB", (8, 8)), 0)
    files.size = None
    assert files[1] == (("RGB", (10, 12)), 1)


def test_items_are_those_of_the_files(files):
    pixels = np.asarray(files.get_image(5))
    np.testing.assert_array_equal(files.get_pixels(5), pixels.transpose(2, 0, 1))
    np.testing.assert_allclose(files[np.int64(5)][0], pixels.transpose(2, 0, 1) / np.float32(255))
    with pytest.raises(IndexError):
        files[24]
    assert len(list(files)) == len(files) == 24


def test_workers_and_pickles_read_the_same(files):
    expected = torch.stack([X for X, _ in files])
    loader = DataLoader(files, batch_size=10, num_workers=1)
    found, labels = (torch.cat(part) for part in zip(*loader, strict=True))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    np.testing.assert_array_equal(labels, files.targets)
    again = pickle.loads(pickle.dumps(files))
    torch.testing.assert_close(again[7][0], expected[7], rtol=0, atol=0)


def test_array_gives_pixels_and_images():
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    array = ImageArray(images, [1, 0])
    np.testing.assert_allclose(array[1][0], images[1] / np.float32(255))
    array.transform = np.asarray
    np.testing.assert_array_equal(array[1][0], images[1].transpose(1, 2, 0))
    array.transform = None
    array[0][0][:] = 7  # an item is a copy
    assert images[0].max() == 59


@pytest.mark.parametrize("has_y", [False, True])
def test_classifier_trains_on_files(files, has_y):
    y = np.array(["dark", "light"])[files.targets] if has_y else None
    clf = CRUSTClassifier(
        SmallCNN, max_epochs=6, warmup_epochs=3, batch_size=8, random_state=0, verbose=0
    ).fit(files, y)
    expected = files.targets if y is None else y
    assert np.mean(clf.predict(files) == expected) == 1
    assert set(clf.coreset_indices_) <= set(range(24))


def test_classifier_trains_in_workers_as_without(files):
    def fit(n_workers):
        clf = CRUSTClassifier(
            SmallCNN, max_epochs=2, warmup_epochs=1, batch_size=8, random_state=0, verbose=0
        )
        clf.set_params(iterator_train__num_workers=n_workers)
        return clf.fit(files).predict_proba(files)

    np.testing.assert_array_equal(fit(0), fit(1))


def test_pixels_are_X_for_a_module_that_makes_floats_of_them(files):
    class ToFloat(nn.Sequential):
        def forward(self, X):
            return super().forward(X.float() / 255)

    X = np.stack([files.get_pixels(i) for i in range(len(files))])
    options = {"max_epochs": 2, "warmup_epochs": 1, "random_state": 0, "verbose": 0}
    torch.manual_seed(0)
    net = ToFloat(SmallCNN(num_classes=2))
    by_pixels = CRUSTClassifier(net, **options).fit(X, files.targets).predict_proba(X)
    torch.manual_seed(0)
    net = nn.Sequential(SmallCNN(num_classes=2))
    by_files = CRUSTClassifier(net, **options).fit(files).predict_proba(files)
    np.testing.assert_array_equal(by_pixels, by_files)


# Broken files -----------------------------------------------------------------------------------


def write_broken(folder):
    Image.new("RGB", (60, 60), RED).save(folder / "good.jpg")
    whole = (folder / "good.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>404</html>")
    Image.new("RGB", (60, 60), RED).save(folder / "damaged.png")
    damaged = bytearray((folder / "damaged.png").read_bytes())
    damaged[45:60] = b"\0" * 15
    (folder / "damaged.png").write_bytes(damaged)
    return ["cut.jpg", "empty.jpg", "page.jpg", "damaged.png", "absent.jpg"]


def test_error_names_the_file_and_the_remedy(tmp_path):
    for name in write_broken(tmp_path):
        with pytest.raises(UnreadableImageError, match="find_unreadable") as caught:
            ImageFiles([name], [0], folder=tmp_path)[0]
        assert str(tmp_path / name) in str(caught.value)
        assert isinstance(caught.value, OSError)


def test_error_of_a_worker_names_the_file(tmp_path):
    write_broken(tmp_path)
    dataset = ImageFiles(["good.jpg", "page.jpg"], [0, 1], folder=tmp_path)
    with pytest.raises(UnreadableImageError, match=r"page\.jpg cannot be read"):
        list(DataLoader(dataset, num_workers=1))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_unreadable_files_are_found(tmp_path, n_jobs, monkeypatch):
    broken = write_broken(tmp_path)
    names = ["good.jpg", *broken, "good.jpg"]
    monkeypatch.setattr(images, "CHUNK", 2)
    dataset = ImageFiles(names, np.zeros(len(names)), folder=tmp_path)
    with parallel_config("threading"):
        assert find_unreadable(dataset, n_jobs=n_jobs) == broken


def test_memory_error_is_not_taken_for_a_broken_file(tmp_path, monkeypatch):
    write_broken(tmp_path)

    def fail(self):
        raise MemoryError

    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", fail)
    with pytest.raises(MemoryError):
        find_unreadable(ImageFiles(["good.jpg"], [0], folder=tmp_path))


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"targets": [0]}, ValueError, "2 filenames and 1 targets"),
        ({"targets": [[0], [1]]}, ValueError, "one label for each image"),
        ({"size": 0}, ValueError, "size must be an integer at least 1"),
        ({"size": (8, 8)}, TypeError, "size must be an integer"),
        ({"transform": 3}, TypeError, "transform=3 cannot be called"),
    ],
)
def test_bad_parameter_is_named(options, error, sentence):
    with pytest.raises(error, match=sentence):
        ImageFiles(["a.png", "b.png"], **{"targets": [0, 1]} | options)


def test_array_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 images and 1 targets"):
        ImageArray(np.zeros((2, 3, 4, 4), np.uint8), [0])


def test_without_pillow_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pip install 'crust-sklearn\[datasets\]'"):
        ImageFiles(["a.png"], [0])
