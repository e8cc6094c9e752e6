"""Images as PNG, without a library for them."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def encode_png(image: np.ndarray) -> bytes:
    """Return an image as the bytes of a PNG file.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), dtype uint8

    Returns
    -------
    data : bytes

    References
    ----------
    "Portable Network Graphics (PNG) Specification (Third Edition)", W3C, 2025.
    """
    height, width = image.shape[:2]
    color_type = 0 if image.ndim == 2 else 2
    # Every line begins with the number of its filter: 0, none.
    lines = np.zeros((height, 1 + width * image[0, :1].size), np.uint8)
    lines[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """Return an image of at most `max_side` pixels a side, by means of square blocks.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
    max_side : int

    Returns
    -------
    image : ndarray of shape (h, w) or (h, w, 3)
        What does not fill a block at the right and lower edge is left out, and so is what is not
        finite; a block of nothing else is NaN.
    """
    size = -(-max(image.shape[:2]) // max_side)
    height, width = (max(1, side // size) for side in image.shape[:2])
    size_y, size_x = (min(size, side) for side in image.shape[:2])
    blocks = image[: height * size_y, : width * size_x]
    blocks = blocks.reshape(height, size_y, width, size_x, *image.shape[2:])
    is_known = np.isfinite(blocks)
    if is_known.all():
        return blocks.mean((1, 3))
    with np.errstate(invalid="ignore"):
        return np.where(is_known, blocks, 0).sum((1, 3)) / is_known.sum((1, 3))
