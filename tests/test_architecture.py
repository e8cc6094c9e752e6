"""The architecture of the package: who may import whom, and who may import torch; what is private.

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
MAX_LINES = 500

# A room is a file or a folder directly inside the package. It may import the rooms on its right.
# Rooms whose name starts with an underscore are small helpers: open to all, importing none of
# these.
ARROWS: dict[str, set[str]] = {
    "strategies": set(),
    "labels": set(),
    "coreset_estimator": {"strategies", "labels"},
    "selector": {"coreset_estimator", "strategies"},
    "sampler": {"coreset_estimator"},
    "coreset_classifier": {"labels", "selector"},
    "measures": {"strategies"},
    "intrinsic_dimensionality": set(),
    "label_noise": {"labels"},
    "metrics": {"labels", "label_noise"},
    "label_auditor": {"labels", "label_noise"},
    "label_issues": {"labels"},
    "review": {"labels", "label_issues"},
    "settings": set(),
    "versions": set(),
    "coreset_history": set(),
    "gradients": set(),
    "data": set(),
    "modules": set(),
    "losses": set(),
    "datasets": {"labels"},
    "nets": {
        "strategies",
        "labels",
        "selector",
        "label_noise",
        "coreset_history",
        "gradients",
        "data",
    },
    "classifier": {"selector", "gradients", "nets"},
    "baselines": {
        "intrinsic_dimensionality",
        "label_noise",
        "losses",
        "data",
        "gradients",
        "nets",
    },
    "inspection": {
        "strategies",
        "labels",
        "measures",
        "label_issues",
        "gradients",
        "data",
        "nets",
    },
}

TORCH = {"torch", "torchvision", "skorch", "accelerate"}
TORCH_ROOMS = {
    "nets",
    "classifier",
    "data",
    "gradients",
    "modules",
    "losses",
    "datasets",
    "baselines",
    "inspection",
    "versions",
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


WITHOUT_TORCH = [
    "crust_sklearn",
    "crust_sklearn.strategies",
    "crust_sklearn.coreset_estimator",
    "crust_sklearn.selector",
    "crust_sklearn.sampler",
    "crust_sklearn.coreset_classifier",
    "crust_sklearn.measures",
    "crust_sklearn.intrinsic_dimensionality",
    "crust_sklearn.metrics",
    "crust_sklearn.label_auditor",
    "crust_sklearn.label_issues",
    "crust_sklearn.review",
    "crust_sklearn.label_noise",
    "crust_sklearn.coreset_history",
    "crust_sklearn.labels",
    "crust_sklearn.settings",
]


def test_choosing_and_judging_rows_does_not_load_torch():
    code = (
        "import sys\n"
        "from importlib import import_module\n"
        f"for name in {WITHOUT_TORCH}:\n"
        "    import_module(name)\n"
        "    if {'torch', 'skorch'} & set(sys.modules):\n"
        "        sys.exit(f'{name} loads torch or skorch')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_room_without_torch_is_tried():
    tried = {name.rpartition(".")[2] for name in WITHOUT_TORCH[1:]}
    assert tried == set(ARROWS) - TORCH_ROOMS


# What is private to a file ----------------------------------------------------------------------


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name != "_"


def _definitions(tree: ast.Module) -> set[str]:
    """Return the private names that a file defines: functions, classes, and what it assigns to.

    Assignments count at the top of the file, in the body of a class, and to attributes of self.
    """
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.Module | ast.ClassDef):
            found |= {
                name.id
                for statement in node.body
                if isinstance(statement, ast.Assign | ast.AnnAssign)
                for name in ast.walk(statement)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            }
        is_stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if is_stored and ast.unparse(node.value) in {"self", "cls"}:
            found.add(node.attr)
    return {name for name in found if _is_private(name)}


def _accesses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of every private name that is got from an object, or imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "hasattr"}:
            yield node.lineno, str(getattr(node.args[1], "value", ""))


def private_accesses(root: Path) -> list[str]:
    """Return one sentence for every use of what is private to another file or folder.

    A private name is free in the files that define it; names that no file of the package defines
    are a third party's own hooks. A private module is free in its folder, and below it.
    """
    sources = {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.py"))
    }
    defined = {path: _definitions(tree) for path, tree in sources.items()}
    found = []
    for path, tree in sources.items():
        place = path.relative_to(root.parent).as_posix()
        for line, name in _accesses(tree):
            homes = [other for other in sources if name in defined[other]]
            if _is_private(name) and homes and path not in homes:
                home = homes[0].relative_to(root.parent).as_posix()
                found.append(f"{place}:{line}: {name} is private to {home}")
    for _, name, place in _imports(root):
        parts, folder = name.split("."), Path(place.rpartition(":")[0]).parent.parts
        for depth, part in enumerate(parts[1:], start=1):
            is_module = (root.parent / Path(*parts[: depth + 1])).with_suffix(".py").exists()
            if is_module and _is_private(part) and list(folder[:depth]) != parts[:depth]:
                found.append(f"{place}: {part} is private to {'/'.join(parts[:depth])}")
    return list(dict.fromkeys(found))


def too_long(root: Path, max_lines: int = MAX_LINES) -> list[str]:
    """Return one sentence for every file of more lines than that."""
    found = []
    for path in sorted(root.rglob("*.py")):
        n_lines = len(path.read_text(encoding="utf-8").splitlines())
        if n_lines > max_lines:
            found.append(f"{path.relative_to(root.parent).as_posix()}: {n_lines} lines")
    return found


def test_nothing_private_is_used_across_files():
    assert private_accesses(PACKAGE) == []


def test_no_file_is_too_long():
    assert too_long(PACKAGE) == []


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
            "nets/__init__": "import skorch\nfrom .training import x\n",
            "nets/training": "from ..gradients import x\nfrom ..data.batches import y\n",
            "data/__init__": "from .batches import y\n",
            "data/batches": "import torch\n",
            "classifier": "import skorch\nfrom . import gradients, nets\nfrom .selector import x\n",
        },
    )
    assert violations(root) == []


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"strategies": "import torch\n"}, "strategies may not import torch"),
        ({"selector": "from torch import nn\n"}, "selector may not import torch"),
        ({"sampler": "def f():\n    import skorch.utils\n"}, "sampler may not import skorch"),
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
        ({"gradients": "from .nets import x\n", "nets": ""}, "gradients may not import nets"),
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


def test_checker_of_private_names_accepts_a_good_tree(tmp_path):
    root = _tree(
        tmp_path,
        {
            "_validation": "def check(x):\n    return _inside(x)\ndef _inside(x): pass\n",
            "strategies/__init__": "",
            "strategies/_rows": "def count(): pass\n",
            "strategies/base": (
                "from ._rows import count\n"
                "from . import _rows\n"
                "class Base:\n"
                "    _hidden: int\n"
                "    def select(self):\n"
                "        return self._pick(), self._hidden, self.__class__.__name__\n"
                "    def _pick(self): pass\n"
            ),
            # An override defines the name, too; so does an assignment to self.
            "strategies/greedy": (
                "from .._validation import check\n"
                "from .base import Base\n"
                "class Greedy(Base):\n"
                "    def __init__(self):\n"
                "        self._hidden, self.rows = 1, 2\n"
                "    def _pick(self):\n"
                "        return super()._pick(), self._hidden\n"
            ),
            # No file of the package defines these.
            "nets": (
                "import torch\n"
                "def f(net):\n"
                "    return net._get_params_callbacks(), getattr(net, '_orig_mod', None), _\n"
            ),
        },
    )
    assert private_accesses(root) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("from .selector import _split\n", "classifier.py:1: _split is private to"),
        ("from . import selector\nx = selector._SIZE\n", "classifier.py:2: _SIZE is private to"),
        ("def f(s):\n    return s._gather()\n", "classifier.py:2: _gather is private to"),
        ("def f(s):\n    s._seed = 3\n", "classifier.py:2: _seed is private to"),
        ("class B(A):\n    def g(self):\n        self._gather()\n", "classifier.py:3: _gather is"),
        ("class B(A):\n    def g(self):\n        super()._gather()\n", "py:3: _gather is private"),
        ("def f(s):\n    return getattr(s, '_seed', 3)\n", "classifier.py:2: _seed is private to"),
        ("def f(s):\n    return s._Inner\n", "classifier.py:2: _Inner is private to"),
        ("def f(s):\n    _gather = s._gather\n", "classifier.py:2: _gather is private to"),
        ("from .strategies._rows import count\n", "classifier.py:1: _rows is private to"),
        ("from .strategies import _rows\n", "classifier.py:1: _rows is private to"),
        ("import crust_sklearn.strategies._rows\n", "classifier.py:1: _rows is private to"),
    ],
)
def test_checker_of_private_names_finds_an_access(tmp_path, text, sentence):
    selector = (
        "_SIZE = 3\n"
        "def _split(): pass\n"
        "class A:\n"
        "    class _Inner: pass\n"
        "    def __init__(self):\n"
        "        self._seed: int = 0\n"
        "    def _gather(self): pass\n"
    )
    rooms = {"strategies/__init__": "", "strategies/_rows": "def count(): pass\n"}
    root = _tree(tmp_path, rooms | {"selector": selector, "classifier": text})
    found = private_accesses(root)
    assert len(found) == 1
    assert sentence in found[0]


def test_checker_of_lengths(tmp_path):
    root = _tree(tmp_path, {"labels": "x = 1\n" * 4, "data/batches": "x = 1\n" * 3})
    assert too_long(root, 4) == []
    assert too_long(root, 3) == ["crust_sklearn/labels.py: 4 lines"]
