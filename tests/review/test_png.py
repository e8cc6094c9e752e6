"""PNG: Pillow reads what was drawn; images are reduced by means of blocks."""

import io

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from crust_sklearn.review.png import encode_png, shrink

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (7, 5, 3), (1, 9, 3)])
def test_pillow_reads_it(shape):
    image = RNG.integers(256, size=shape, dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(image))) as read:
        assert read.mode == ("L" if len(shape) == 2 else "RGB")
        assert_array_equal(np.asarray(read), image)


def test_small_images_stay():
    image = RNG.random((6, 4, 3))
    assert_array_equal(shrink(image, 6), image)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [((8, 4), 2, (4, 2)), ((9, 5), 2, (4, 2)), ((13, 1), 4, (3, 1)), ((6, 6, 3), 2, (3, 3, 3))],
)
def test_large_images_are_means_of_blocks(shape, size, expected):
    image = RNG.random(shape)
    found = shrink(image, -(-shape[0] // size))
    assert found.shape == expected
    for i, j in np.ndindex(expected[:2]):
        block = image[i * size : (i + 1) * size, j * size : (j + 1) * size]
        assert_allclose(found[i, j], block.mean((0, 1)))
