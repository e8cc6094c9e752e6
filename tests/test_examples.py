"""What can be told of the gallery without running it; `make docs` runs it."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
TOPICS = {
    "callbacks",
    "embeddings",
    "from_cleanlab",
    "from_skorch",
    "grid_search",
    "image_folder",
    "jacobian",
    "label_issues",
    "label_review",
    "many_processes",
    "other_methods",
    "own_method",
    "own_module",
    "own_strategy",
    "paper_reference_default",
    "pipelines",
    "quick_start",
    "strategies_2d",
    "tabular",
    "text",
}
REFERENCE = re.compile(r"sphx_glr_auto_examples_(\w+\.py)")

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def find_imports(tree, package):
    """Return (module, name) of every name that is imported from a package."""
    return [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == package
        for alias in node.names
    ]


def test_every_topic_has_its_example():
    assert {path.stem.removeprefix("plot_") for path in EXAMPLES} == TOPICS


@each_example
def test_the_docstring_is_a_title_and_an_introduction(path):
    tree = compile(path.read_text(), path.name, "exec", ast.PyCF_ONLY_AST)
    title, underline, blank, *introduction = ast.get_docstring(tree).splitlines()
    assert set(underline) == {"="} and len(underline) == len(title)
    assert not blank and introduction


@each_example
def test_prose_comes_in_cells_and_figures_are_shown(path):
    lines = path.read_text().splitlines()
    cells = [number for number, line in enumerate(lines) if line == "# %%"]
    assert len(cells) >= 3
    assert "plt.show()" in lines
    # A cell without prose or code would be an empty block of the page.
    assert all(lines[number + 1 : number + 2] not in ([], [""]) for number in cells)


@each_example
def test_only_public_names_are_imported(path):
    tree = ast.parse(path.read_text())
    imports = find_imports(tree, "crust_sklearn")
    assert imports
    for module, name in imports:
        assert not any(part.startswith("_") for part in (*module.split("."), name))
        found = import_module(module)
        assert hasattr(found, name), f"{module} has no {name}"
        assert name in getattr(found, "__all__", [name]), f"{name} is not public in {module}"


@each_example
def test_nothing_private_is_reached_into(path):
    # Filling in `_pick` is how a strategy is written; reading it, or anything like it, is not.
    private = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr)
    }
    assert not private


def test_pages_refer_to_examples_that_exist():
    pages = [*(ROOT / "docs").glob("*.rst"), *(ROOT / "docs" / "user_guide").glob("*.rst")]
    sources = [ROOT / "README.md", *pages, *EXAMPLES]
    named = {name for source in sources for name in REFERENCE.findall(source.read_text())}
    assert named
    assert named <= {path.name for path in EXAMPLES}
