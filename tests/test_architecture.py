"""The import arrows of the package: who may import whom, and who may import torch.

The arrows are read from the sources (also imports inside functions), so that a forbidden import
fails here whether or not it happens to work. What only type checkers see (``if TYPE_CHECKING:``)
is free.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "crust_sklearn"

# A room is a file or a folder directly inside the package. It may import the rooms on its right.
# Rooms whose name starts with an underscore are small helpers: open to all, importing none of
# these.
ARROWS: dict[str, set[str]] = {
    "strategies": set(),
    "labels": set(),
    "selector": {"strategies", "labels"},
    "sampler": {"strategies", "selector"},
    "meta": {"strategies", "selector"},
    "measures": {"strategies"},
    "metrics": {"labels"},
    "gradients": set(),
    "coreset_dataset": set(),
    "coreset_history": set(),
    "modules": set(),
    "noise": set(),
    "held_out": set(),
    "label_quality": {"held_out"},
    "settings": set(),
    "audit": {"labels"},
    "labelled_net": {"labels", "coreset_dataset"},
    "reselection": {"gradients", "coreset_dataset", "coreset_history", "label_quality"},
    "classifier": {
        "strategies",
        "selector",
        "gradients",
        "coreset_dataset",
        "label_quality",
        "labelled_net",
        "labels",
        "reselection",
    },
    "datasets": {"noise"},
    "baselines": {"strategies", "selector", "gradients", "coreset_dataset", "classifier"},
    "inspection": {
        "strategies",
        "selector",
        "labels",
        "measures",
        "audit",
        "gradients",
        "coreset_dataset",
        "reselection",
        "classifier",
    },
}

TORCH = {"torch", "torchvision", "skorch", "accelerate"}
TORCH_ROOMS = {
    "classifier",
    "labelled_net",
    "reselection",
    "gradients",
    "coreset_dataset",
    "modules",
    "datasets",
    "baselines",
    "inspection",
}


class _Imports(ast.NodeVisitor):
    """Collect (line, dotted name) of every import; relative ones are made absolute."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.parts = module.split(".")
        if not is_package:
            self.parts.pop()
        self.found: list[tuple[int, str]] = []

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [(node.lineno, alias.name) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.parts[: len(self.parts) - node.level + 1] if node.level else []
        base = base + (node.module.split(".") if node.module else [])
        # `from a import b`: b may be a module, so it is part of the name
        self.found += [(node.lineno, ".".join([*base, alias.name])) for alias in node.names]


def _imports(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (room, imported name, place) for every import; the room of the root itself is ""."""
    for path in sorted(root.rglob("*.py")):
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        if is_package:
            parts.pop()
        visitor = _Imports(".".join(parts), is_package)
        visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
        for line, name in visitor.found:
            place = f"{path.relative_to(root.parent).as_posix()}:{line}"
            yield (parts[1] if len(parts) > 1 else ""), name, place


def _rooms(root: Path) -> set[str]:
    files = {path.stem for path in root.glob("*.py")} - {"__init__"}
    return files | {path.parent.name for path in root.glob("*/__init__.py")}


def violations(
    root: Path,
    arrows: dict[str, set[str]] = ARROWS,
    torch_rooms: set[str] = TORCH_ROOMS,
) -> list[str]:
    """Return one sentence for every import in the package at `root` that breaks the rules."""
    rooms = _rooms(root)
    found = [
        f"{root.name}/{room}: not in the table of arrows, give it its place"
        for room in sorted(rooms)
        if not room.startswith("_") and room not in arrows
    ]
    for room, name, place in _imports(root):
        top, *rest = name.split(".")
        if top in TORCH and room not in torch_rooms:
            found.append(f"{place}: {room or '__init__'} may not import {top}")
        if top != root.name or room == "":
            continue  # the root names the public objects of all rooms
        target = rest[0] if rest else ""
        if target not in rooms:
            found.append(f"{place}: {room} imports from the package's root, which hides the arrow")
        elif target == room or target.startswith("_"):
            continue
        elif room.startswith("_") or target not in arrows.get(room, set()):
            found.append(f"{place}: {room} may not import {target}")
    return found


def test_imports_run_one_way():
    assert violations(PACKAGE) == []


def test_the_arrows_have_no_cycle():
    done: set[str] = set()
    while len(done) < len(ARROWS):
        ready = {room for room, below in ARROWS.items() if below <= done} - done
        assert ready, f"a cycle among {sorted(set(ARROWS) - done)}"
        done |= ready


@pytest.mark.parametrize(
    "module",
    [
        "crust_sklearn",
        "crust_sklearn.strategies",
        "crust_sklearn.selector",
        "crust_sklearn.sampler",
        "crust_sklearn.meta",
        "crust_sklearn.measures",
        "crust_sklearn.metrics",
        "crust_sklearn.audit",
        "crust_sklearn.coreset_history",
        "crust_sklearn.label_quality",
        "crust_sklearn.noise",
        "crust_sklearn.labels",
    ],
)
def test_selection_alone_does_not_load_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'skorch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or f"{module} loads torch or skorch"


# The checker itself, on made-up trees -----------------------------------------------------------


def _tree(folder: Path, files: dict[str, str]) -> Path:
    root = folder / "crust_sklearn"
    for name, text in {"__init__": "", **files}.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_checker_accepts_a_good_tree(tmp_path):
    typing_only = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    import torch\n"
        "    from .classifier import CRUSTClassifier\n"
    )
    root = _tree(
        tmp_path,
        {
            "__init__": "from .selector import CoresetSelector\n",
            "_validation": "import numpy\nfrom . import _sizes\n",
            "_sizes": "",
            "strategies/__init__": "from .greedy import select\n",
            "strategies/greedy": "import numpy as np\nfrom .._validation import check\n",
            "selector": "from crust_sklearn.strategies.greedy import select\n" + typing_only,
            "gradients": "import torch.nn as nn\n",
            "classifier": "import skorch\nfrom . import gradients\nfrom .selector import x\n",
        },
    )
    assert violations(root) == []


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"strategies": "import torch\n"}, "strategies may not import torch"),
        ({"selector": "from torch import nn\n"}, "selector may not import torch"),
        ({"meta": "def f():\n    import skorch.utils\n"}, "meta may not import skorch"),
        ({"__init__": "import torch\n"}, "__init__ may not import torch"),
        ({"_utils": "import torch\n"}, "_utils may not import torch"),
        (
            {"strategies": "from .selector import x\n", "selector": ""},
            "strategies may not import selector",
        ),
        (
            {"strategies": "import crust_sklearn.selector\n", "selector": ""},
            "strategies may not import selector",
        ),
        (
            {"selector": "from . import classifier\n", "classifier": ""},
            "selector may not import classifier",
        ),
        ({"gradients": "from .meta import x\n", "meta": ""}, "gradients may not import meta"),
        (
            {"_utils": "from .strategies import x\n", "strategies": ""},
            "_utils may not import strategies",
        ),
        (
            {"sampler": "from crust_sklearn import CoresetSelector\n"},
            "sampler imports from the package's root",
        ),
        ({"attic": ""}, "attic: not in the table of arrows"),
    ],
)
def test_checker_finds_a_forbidden_import(tmp_path, files, sentence):
    found = violations(_tree(tmp_path, files))
    assert len(found) == 1
    assert sentence in found[0]


def test_checker_names_file_and_line(tmp_path):
    root = _tree(tmp_path, {"selector": "import numpy\n\nimport torch\n"})
    assert violations(root) == ["crust_sklearn/selector.py:3: selector may not import torch"]
