"""Data sets with wrong labels: downloaded, or read from a folder, without running their pickles."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .animal10n import load_animal10n
    from .cifar import fetch_cifar10, fetch_cifar100, load_cifar10, load_cifar100
    from .clothing1m import load_clothing1m
    from .food101n import load_food101n
    from .image_cache import CachedImages, cache_images
    from .imagenet import load_imagenet
    from .images import ImageArray, ImageFiles, UnreadableImageError, find_unreadable
    from .tiny_imagenet import fetch_tiny_imagenet, load_tiny_imagenet
    from .webvision import load_webvision

_NAMES = {
    ".animal10n": ("load_animal10n",),
    ".cifar": ("fetch_cifar10", "fetch_cifar100", "load_cifar10", "load_cifar100"),
    ".clothing1m": ("load_clothing1m",),
    ".food101n": ("load_food101n",),
    ".image_cache": ("CachedImages", "cache_images"),
    ".imagenet": ("load_imagenet",),
    ".images": ("ImageArray", "ImageFiles", "UnreadableImageError", "find_unreadable"),
    ".tiny_imagenet": ("fetch_tiny_imagenet", "load_tiny_imagenet"),
    ".webvision": ("load_webvision",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "CachedImages",
    "ImageArray",
    "ImageFiles",
    "UnreadableImageError",
    "cache_images",
    "fetch_cifar10",
    "fetch_cifar100",
    "fetch_tiny_imagenet",
    "find_unreadable",
    "load_animal10n",
    "load_cifar10",
    "load_cifar100",
    "load_clothing1m",
    "load_food101n",
    "load_imagenet",
    "load_tiny_imagenet",
    "load_webvision",
]


def __getattr__(name: str) -> Any:
    # Lazily, so that a download does not cost the import of torch.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
