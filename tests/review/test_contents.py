"""What a page shows of rows: images, texts, features, out of any container."""

import io
from base64 import b64decode

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy import sparse
from torch.utils.data import TensorDataset

from crust_sklearn.review.contents import count_rows, describe_rows, get_columns

RNG = np.random.default_rng(0)
BYTES = RNG.integers(256, size=(4, 6, 5), dtype=np.uint8)
COLORED = RNG.integers(256, size=(4, 6, 5, 3), dtype=np.uint8)


def draw(content):
    head, data = content["image"].split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(b64decode(data))) as image:
        return np.asarray(image)


def show(X, rows=(2, 0), image_shape=None):
    return describe_rows(X, np.array(rows), image_shape)


class Pairs:
    """As a torch Dataset, of any items."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i], 0


@pytest.mark.parametrize(
    ("X", "image_shape"),
    [
        (BYTES, None),
        (BYTES[:, None], None),
        (BYTES[..., None], None),
        (BYTES.reshape(4, -1), (6, 5)),
        (BYTES / 255.0, None),
        (torch.tensor(BYTES), None),
        (torch.tensor(BYTES / 255.0, dtype=torch.float32), None),
        (TensorDataset(torch.tensor(BYTES), torch.zeros(4)), None),
        (Pairs([Image.fromarray(image) for image in BYTES]), None),
        (list(BYTES), None),
        (pd.DataFrame(BYTES.reshape(4, -1)), (6, 5)),
        (sparse.csr_array(BYTES.reshape(4, -1)), (6, 5)),
    ],
)
def test_gray_images(X, image_shape):
    assert count_rows(X) == 4
    found = show(X, image_shape=image_shape)
    assert sorted(found) == [0, 2]
    for row, sizes in found.items():
        for content in sizes:
            assert_array_equal(draw(content), BYTES[row])


@pytest.mark.parametrize(
    "X", [COLORED, np.moveaxis(COLORED, -1, 1), Pairs([Image.fromarray(i) for i in COLORED])]
)
def test_colored_images(X):
    assert_array_equal(draw(show(X)[2][0]), COLORED[2])


@pytest.mark.parametrize("as_text", [True, False])
def test_images_in_files(tmp_path, as_text):
    paths = []
    for i, image in enumerate(COLORED):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    found = show([str(path) if as_text else path for path in paths])
    assert_array_equal(draw(found[0][0]), COLORED[0])


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(ValueError, match="Row 0 of X is taken for the path of an image"):
        show([str(tmp_path / "none.png")] * 3)


def test_a_text_that_ends_as_an_image_is_no_path_among_texts(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(b"not shown")
    found = show(["hello", f"see {path}", str(path)], rows=(0, 1, 2))
    assert [list(found[row][0]) for row in range(3)] == [["text"]] * 3


def test_images_of_several_sizes_have_one_scale():
    X = Pairs([np.full((2, 2), -1.0), np.zeros((3, 4)), np.full((5, 2), 3.0)])
    found = show(X, rows=(0, 1, 2))
    assert [draw(found[row][0]).shape for row in range(3)] == [(2, 2), (3, 4), (5, 2)]
    assert [draw(found[row][0])[0, 0] for row in range(3)] == [0, 64, 255]


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_grey(hole):
    X = np.linspace(-1.0, 3.0, 32).reshape(2, 4, 4)
    X[0, 1, 2] = hole
    found = show(X, rows=(0, 1))
    expected = np.rint((X + 1) / 4 * 255)
    expected[0, 1, 2] = 128
    for row in (0, 1):
        assert_array_equal(draw(found[row][0]), expected[row])
    (empty,) = show(np.full((1, 3, 3), np.nan), rows=(0,)).values()
    assert_array_equal(draw(empty[0]), 128)


def test_a_pixel_that_is_not_finite_does_not_hide_its_block():
    image = np.full((640, 640), 0.25)
    image[0, 0], image[639, 639] = np.nan, 1.0
    image[320:328, 320:328] = np.nan
    large, small = show([image], rows=(0,))[0]
    assert draw(large)[0, 0] == 64
    assert (draw(large)[80:82, 80:82] == 128).all()
    assert draw(small).shape == (80, 80)


def test_large_images_are_reduced():
    image = np.linspace(0, 255, 640 * 320).reshape(640, 320).astype(np.uint8)
    large, small = show([image] * 3)[0]
    assert draw(large).shape == (160, 80)
    assert draw(small).shape == (80, 40)
    assert_allclose(draw(small).astype(float), image.reshape(80, 8, 40, 8).mean((1, 3)), atol=1.5)


def test_texts():
    found = show(["a <b>", "", "x" * 5000])
    assert found[0] == ({"text": "a <b>"},) * 2
    assert [len(content["text"]) for content in found[2]] == [4000, 600]
    assert show(pd.Series(["a", "b", "c"]))[2][0] == {"text": "c"}
    assert show(np.array(["a", "b", "c"]))[2][0] == {"text": "c"}
    assert show([b"a", b"b", b"c"])[2][0] == {"text": "c"}


@pytest.mark.parametrize("kind", [np.asarray, sparse.coo_array, torch.tensor, list])
def test_features(kind):
    X = [[1.0, 0.123456], [0.0, 2.0], [3.0, -1e9]]
    found = show(kind(X))
    assert found[0][0] == {"cells": ["1", "0.1235"]}
    assert found[2][1] == {"cells": ["3", "-1e+09"]}


def test_frames():
    X = pd.DataFrame({"size": [1, 2, 3], "<b>": ["x", None, "z"]})
    assert get_columns(X) == ["size", "<b>"]
    assert show(X)[2][0] == {"cells": ["3", "z"]}
    assert get_columns(np.zeros((2, 3))) == ["x0", "x1", "x2"]
    assert get_columns(["text"]) is None


def test_many_features():
    X = np.zeros((3, 1000))
    assert len(get_columns(X)) == len(show(X)[0][0]["cells"]) == 40


@pytest.mark.parametrize(
    ("X", "image_shape", "sentence"),
    [
        (np.zeros((3, 4)), (3, 3), "image_shape=.* has 9 entries"),
        (["a", "b", "c"], (1, 1), "row 0 of X holds no numbers"),
    ],
)
def test_refused_shapes(X, image_shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        show(X, image_shape=image_shape)


@pytest.mark.parametrize("X", [{"a": np.zeros(3)}, 3, iter([1, 2])])
def test_refused_containers(X):
    with pytest.raises(ValueError, match="it is not known how to show a row"):
        count_rows(X)


def test_paths_without_pillow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ImportError, match="need Pillow: pip install pillow"):
        show(["a.png"] * 3)
