"""What a page shows of a row: an image, a text, or its features."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from .._images import arrange_images, rescale_images
from .png import encode_png, shrink

IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
# Pixels a side, of a row and of a neighbour; a page of 500 rows stays below some ten megabytes.
SIDE, SMALL_SIDE = 160, 80
# More of them are not read.
MAX_FEATURES = 40
MAX_LETTERS, MAX_SMALL_LETTERS = 4000, 600


def count_rows(X: Any) -> int:
    """Return how many rows X has; raise if it is not known how to show one."""
    if isinstance(X, Mapping) or not hasattr(X, "__getitem__"):
        raise ValueError(
            f"X is a {type(X).__name__}, of which it is not known how to show a row. Give as X "
            "the array, list, DataFrame or Dataset that is to be shown, one row for each row given "
            "to fit."
        )
    return X.shape[0] if hasattr(X, "shape") else len(X)


def get_columns(X: Any) -> list[str] | None:
    """Return what the features of X are called; None for images and texts."""
    if hasattr(X, "columns"):
        names = [str(name) for name in X.columns]
    elif len(getattr(X, "shape", ())) == 2:
        names = [f"x{i}" for i in range(X.shape[1])]
    else:
        return None
    return names[:MAX_FEATURES]


def describe_rows(
    X: Any, rows: np.ndarray, image_shape: tuple[int, ...] | None
) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """Return what to show of some rows, large and small.

    Parameters
    ----------
    X : array-like, tensor, DataFrame, sparse matrix, torch Dataset, or list of texts or paths
    rows : ndarray of shape (n_shown,), dtype int64
    image_shape : tuple of int or None
        The shape of an image, where X holds them as flat rows.

    Returns
    -------
    contents : dict of int to pair of dict
        Of each row one of ``{"image": data URI}``, ``{"text": str}`` and
        ``{"cells": list of str}``.
    """
    taken = {int(row): _take(X, int(row)) for row in np.unique(rows)}
    # A text that ends like the name of an image is one, where others are texts.
    are_paths = all(_is_path(item) for item in taken.values())
    items = {row: _open(item, row, are_paths) for row, item in taken.items()}
    images = {}
    for row, item in items.items():
        if isinstance(item, np.ndarray) and item.dtype.kind in "biuf":
            image = arrange_images(item[None], image_shape)
            if image is not None and image.size:
                # Bytes are shown as they are; only then are they known to be bytes.
                unit = image / np.float32(255) if image.dtype == np.uint8 else image
                images[row] = shrink(unit[0], SIDE)
        elif image_shape is not None:
            raise ValueError(
                f"image_shape={image_shape!r} is given, and row {row} of X holds no numbers. Leave "
                "it out."
            )
    contents = {row: _describe(item) for row, item in items.items() if row not in images}
    if images:
        # All together, as the darkest and the lightest of them become black and white.
        flat = rescale_images(np.concatenate([image.ravel() for image in images.values()]))
        ends = np.cumsum([image.size for image in images.values()])
        parts = zip(images.items(), np.split(flat, ends[:-1]), strict=True)
        for (row, image), values in parts:
            pixels = values.reshape(image.shape)
            contents[row] = _to_uri(pixels), _to_uri(shrink(pixels, SMALL_SIDE))
    return contents


def _take(X: Any, row: int) -> Any:
    """Return one row; of a Dataset, without its label."""
    if hasattr(X, "iloc"):
        item = X.iloc[row]
        return item.to_numpy() if hasattr(item, "to_numpy") else item
    if sparse.issparse(X):
        return X.tocsr()[[row]].toarray()[0]
    item = X[row]
    is_dataset = not hasattr(X, "shape") and not isinstance(X, list | tuple)
    if is_dataset and isinstance(item, tuple | list):
        item = item[0]
    return item


def _is_path(item: Any) -> bool:
    is_name = isinstance(item, str) and Path(item).suffix.lower() in IMAGE_SUFFIXES
    return is_name or isinstance(item, PathLike)


def _open(item: Any, row: int, are_paths: bool) -> Any:
    """Return an item as an array, if it is one, or an image, or the path of one."""
    if isinstance(item, PathLike) or (are_paths and _is_path(item)):
        try:
            item = _open_image(item)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"Row {row} of X is taken for the path of an image, {str(item)[:200]!r}, which "
                f"cannot be read: {error}. Give images that can be read, or other things to show."
            ) from error
    if hasattr(item, "convert"):  # of Pillow
        return np.asarray(item if item.mode in {"L", "RGB"} else item.convert("RGB"))
    if hasattr(item, "detach"):
        item = item.detach().cpu()
        return (item.float() if item.is_floating_point() else item).numpy()
    if isinstance(item, list | tuple):
        return np.asarray(item, dtype=None if _holds_numbers(item) else object)
    return item


def _holds_numbers(items: Any) -> bool:
    return all(
        _holds_numbers(item) if isinstance(item, list | tuple) else isinstance(item, Real)
        for item in items
    )


def _open_image(path: Any) -> Any:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            f"X holds paths of images, such as {str(path)!r}, which need Pillow: pip install "
            "pillow; or give the images as arrays."
        ) from error
    with Image.open(path) as image:
        image.draft("RGB", (4 * SIDE, 4 * SIDE))  # a JPEG is read at a smaller scale
        return ImageOps.exif_transpose(image).convert("RGB")


def _to_uri(pixels: np.ndarray) -> dict[str, Any]:
    data = encode_png(np.rint(pixels * 255).clip(0, 255).astype(np.uint8))
    return {"image": "data:image/png;base64," + b64encode(data).decode()}


def _describe(item: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(item, np.ndarray) and item.ndim:
        cells = {"cells": [_to_cell(value) for value in item.ravel()[:MAX_FEATURES].tolist()]}
        return cells, cells
    text = item.decode(errors="replace") if isinstance(item, bytes) else str(item)
    return {"text": _cut(text, MAX_LETTERS)}, {"text": _cut(text, MAX_SMALL_LETTERS)}


def _to_cell(value: Any) -> str:
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{float(value):.4g}"
    return _cut(str(value), MAX_SMALL_LETTERS)


def _cut(text: str, n_letters: int) -> str:
    return text if len(text) <= n_letters else text[: n_letters - 3] + "..."
