"""ImageFiles and ImageArray: images of a data set, decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from torch import Tensor
from torch.utils.data import Dataset

from .._validation import check_number
from .extras import import_extra

# Files that a process looks through at a time.
CHUNK = 256


class UnreadableImageError(OSError):
    """A file that is not there, or cannot be decoded as an image."""


class ImageDataset(Dataset):
    """Images with labels: pairs of what `transform` makes of an image, and an int.

    Parameters
    ----------
    targets : array-like of shape (n_samples,), dtype int
    transform : callable or None, default=None
        Is given a ``PIL.Image.Image`` in RGB. None: a tensor of shape (3, height, width),
        float32 in [0, 1].
    """

    def __init__(self, targets: Any, transform: Callable[[Any], Any] | None = None):
        self.targets = np.asarray(targets, dtype=np.int64)
        if self.targets.ndim != 1:
            raise ValueError(
                f"targets has the shape {self.targets.shape}. Give one label for each image."
            )
        if transform is not None and not callable(transform):
            raise TypeError(
                f"transform={transform!r} cannot be called. Give a function of a PIL image, or "
                "None."
            )
        self.transform = transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        target = int(self.targets[i])
        if self.transform is None:
            return to_float(torch.from_numpy(self.get_pixels(i))), target
        return self.transform(self.get_image(i)), target

    def get_image(self, i: int) -> Any:
        """Return an image in RGB, as a ``PIL.Image.Image``."""
        pixels = self.get_pixels(i).transpose(1, 2, 0)
        return import_extra("PIL.Image", "pillow").fromarray(np.ascontiguousarray(pixels))

    def get_pixels(self, i: int) -> np.ndarray:
        """Return an image as an array of shape (3, height, width), dtype uint8."""
        return np.ascontiguousarray(np.asarray(self.get_image(i)).transpose(2, 0, 1))


class ImageFiles(ImageDataset):
    """Images in files, decoded one by one when they are asked for.

    What :func:`load_webvision` and its like return. It is a torch ``Dataset`` with `targets`, and
    so what ``fit(dataset)`` of the package's classifiers takes; workers of a ``DataLoader`` read
    in parallel (``iterator_train__num_workers``, ``iterator_valid__num_workers``).

    Parameters
    ----------
    filenames : array-like of str of shape (n_samples,)
        Relative to `folder`.
    targets : array-like of shape (n_samples,), dtype int
        The given labels.
    folder : path-like, default="."
    size : int or None, default=None
        Height and width of the images: they are resized, bilinearly, until the shorter side is that
        long, and the square in the middle is cut out. None: images as they are.
    transform : callable or None, default=None
        Is given a ``PIL.Image.Image`` in RGB, of `size`; transforms of torchvision are such.
        None: a tensor of shape (3, height, width), float32 in [0, 1].

    Raises
    ------
    ValueError
        If there are not as many labels as files, or `size` is less than 1.
    TypeError
        If `transform` cannot be called, or `size` is not an integer.
    ImportError
        If Pillow is not installed.
    UnreadableImageError
        By an item: if its file is not there, or cannot be decoded. It is an ``OSError``, and names
        the file. :func:`find_unreadable` finds all such before training.

    See Also
    --------
    cache_images : Decode all images once, and read them from a memory map.

    Notes
    -----
    Grey images, palettes, CMYK and transparency become RGB as Pillow converts them; transparency is
    dropped. The orientation in EXIF is not applied, as it is not in the papers' readers.

    Put random augmentation into the module (:class:`~crust_sklearn.modules.RandomCropFlip`) rather
    than into `transform` where a coreset is chosen: modules rest in eval mode, where gradients are
    computed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from crust_sklearn.datasets import ImageFiles
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (40, 30), 255).save(Path(folder, "grey.png"))
    ...     images = ImageFiles(["grey.png"], [3], folder=folder, size=16)
    ...     X, y = images[0]
    >>> X.shape, X.dtype, y
    (torch.Size([3, 16, 16]), torch.float32, 3)
    """

    def __init__(
        self,
        filenames: Any,
        targets: Any,
        *,
        folder: Any = ".",
        size: int | None = None,
        transform: Callable[[Any], Any] | None = None,
    ):
        super().__init__(targets, transform)
        # An array, not a list: workers share its memory, as no references to items are counted.
        self.filenames = np.asarray(filenames, dtype=np.str_)
        if len(self.filenames) != len(self.targets):
            raise ValueError(
                f"There are {len(self.filenames)} filenames and {len(self.targets)} targets. Give "
                "one label for each file."
            )
        self.folder = Path(folder)
        self.size = None if size is None else check_number("size", size, kind=Integral, low=1)
        import_extra("PIL.Image", "pillow")

    def get_image(self, i: int) -> Any:
        """Return an image in RGB, as a ``PIL.Image.Image``.

        Parameters
        ----------
        i : int

        Returns
        -------
        image : PIL.Image.Image

        Raises
        ------
        UnreadableImageError
            If the file is not there, or cannot be decoded.
        """
        return read_image(self.folder / str(self.filenames[i]), self.size)


class ImageArray(ImageDataset):
    """Images in an array.

    Parameters
    ----------
    images : ndarray of shape (n_samples, 3, height, width), dtype uint8
    targets : array-like of shape (n_samples,), dtype int
    transform : callable or None, default=None
        Is given a ``PIL.Image.Image``. None: a tensor of shape (3, height, width), float32 in
        [0, 1].

    Raises
    ------
    ValueError
        If there are not as many labels as images.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.datasets import ImageArray
    >>> images = ImageArray(np.full((2, 3, 8, 8), 255, np.uint8), [0, 1])
    >>> X, y = images[1]
    >>> X.shape, float(X.max()), y
    (torch.Size([3, 8, 8]), 1.0, 1)
    """

    def __init__(
        self, images: np.ndarray, targets: Any, *, transform: Callable[[Any], Any] | None = None
    ):
        super().__init__(targets, transform)
        self.images = images
        if len(images) != len(self.targets):
            raise ValueError(
                f"There are {len(images)} images and {len(self.targets)} targets. Give one label "
                "for each image."
            )

    def get_pixels(self, i: int) -> np.ndarray:
        """Return a copy of an image, of shape (3, height, width), dtype uint8."""
        return np.array(self.images[i])


def find_unreadable(dataset: ImageFiles, *, n_jobs: int | None = None) -> list[str]:
    """Decode all images of a data set, and return the names of the files where that fails.

    Large sets from the web have such files; give their names as `leave_out` to the function that
    reads the set. :func:`cache_images` finds them by itself.

    Parameters
    ----------
    dataset : ImageFiles
    n_jobs : int or None, default=None
        Processes, as of joblib.

    Returns
    -------
    filenames : list of str
        As in `dataset.filenames`.

    Notes
    -----
    Costs as much as an epoch of reading.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from crust_sklearn.datasets import ImageFiles, find_unreadable
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "page.jpg").write_text("<html>404</html>")
    ...     find_unreadable(ImageFiles(["page.jpg", "gone.jpg"], [0, 1], folder=folder))
    16
    ['page.jpg', 'gone.jpg']
    """
    names = dataset.filenames
    chunks = [names[first : first + CHUNK] for first in range(0, len(names), CHUNK)]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_find_unreadable)(chunk, dataset.folder) for chunk in chunks
    )
    return [name for part in found for name in part]


def _find_unreadable(names: Iterable[str], folder: Path) -> list[str]:
    found = []
    for name in map(str, names):
        try:
            read_image(folder / name)
        except UnreadableImageError:
            found.append(name)
    return found


def read_image(path: Path, size: int | None = None) -> Any:
    """Return the image in a file, in RGB, as a square of a size, or as it is.

    Parameters
    ----------
    path : Path
    size : int or None, default=None

    Returns
    -------
    image : PIL.Image.Image

    Raises
    ------
    UnreadableImageError
        If the file is not there, or cannot be decoded.
    """
    pillow = import_extra("PIL.Image", "pillow")
    try:
        with pillow.open(path) as image:
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")  # else, Pillow warns
            image = image.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise of many kinds
        raise UnreadableImageError(
            f"{path} cannot be read as an image: {error}. Leave such files out: find_unreadable "
            "lists them, and the readers of data sets take their names as leave_out."
        ) from error
    if size is None or image.size == (size, size):
        return image
    if min(image.size) == size:
        # As large sets come: cut by whole pixels, without the cost of resampling.
        left, top = (image.width - size) // 2, (image.height - size) // 2
        return image.crop((left, top, left + size, top + size))
    fit = import_extra("PIL.ImageOps", "pillow").fit
    return fit(image, (size, size), pillow.Resampling.BILINEAR)


def to_float(pixels: Tensor) -> Tensor:
    """Return float32 in [0, 1] of uint8."""
    return pixels.to(torch.float32).div_(255)
