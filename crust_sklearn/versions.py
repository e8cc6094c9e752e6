"""What is installed, for a report of a fault."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

PACKAGES = (
    "crust-sklearn",
    "torch",
    "skorch",
    "scikit-learn",
    "numba",
    "numpy",
    "scipy",
    "joblib",
    "threadpoolctl",
    "tqdm",
    # Those of the extras.
    "imbalanced-learn",
    "matplotlib",
    "scikit-learn-extra",
    "distributed",
    # Those that it works with where they are there.
    "accelerate",
    "pandas",
    "cleanlab",
    "pip",
)


def show_versions() -> None:
    """Print what a report of a fault needs: versions, devices, libraries of threads.

    It prints nothing of your data and none of the environment variables, but the path of the
    Python interpreter. torch is imported, to ask it for its devices; if that fails, the reason is
    printed.

    Examples
    --------
    >>> from crust_sklearn import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    System:
           python: ...
       executable: ...
          machine: ...
    <BLANKLINE>
    Packages:
        crust-sklearn: ...
    """
    _print_section(
        "System",
        {
            "python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": platform.platform(),
        },
    )
    _print_section("Packages", {name: _get_version(name) for name in PACKAGES})
    _print_section("Devices", _get_devices())
    for library in threadpool_info():
        _print_section("Threads", library)


def _print_section(title: str, lines: dict[str, object]) -> None:
    width = 3 + max(map(len, lines))
    print(f"\n{title}:", *(f"{name:>{width}}: {value}" for name, value in lines.items()), sep="\n")


def _get_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _get_devices() -> dict[str, object]:
    try:
        import torch
    except Exception as error:  # a broken torch is what such reports are about
        return {"torch": f"cannot be imported: {type(error).__name__}: {error}"}
    cuda = torch.cuda.is_available()
    return {
        "torch is built for CUDA": torch.version.cuda,
        "CUDA available": cuda,
        "GPUs": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "MPS available": torch.backends.mps.is_available(),
        "torch's threads": torch.get_num_threads(),
    }
