"""show_versions prints what pyproject.toml asks for, and does not need a torch that works."""

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import crust_sklearn
from crust_sklearn.versions import PACKAGES

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


@pytest.fixture
def printed(capsys):
    def run():
        crust_sklearn.show_versions()
        return capsys.readouterr().out

    return run


def find(name, text):
    """Return what stands behind this name, the first time."""
    return re.search(rf"^ *{re.escape(name)}: (.*)$", text, flags=re.MULTILINE)[1]


@pytest.mark.parametrize("name", ["crust-sklearn", "torch", "scikit-learn", "numba"])
def test_prints_the_installed_versions(printed, name):
    assert find(name, printed()) == version(name)


def test_prints_python_and_devices(printed):
    text = printed()
    assert find("python", text).startswith(".".join(map(str, sys.version_info[:3])))
    assert find("CUDA available", text) == str(torch.cuda.is_available())


def test_a_package_that_is_not_installed_is_none(printed, monkeypatch):
    monkeypatch.setattr("crust_sklearn.versions.PACKAGES", ("no-such-package",))
    assert find("no-such-package", printed()) == "None"


def test_a_torch_that_cannot_be_imported_is_told(printed, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "cannot be imported" in find("torch", printed().split("Devices:")[1])


def test_every_dependency_is_told():
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["sampling"], *extras["plots"], *extras["extra"]]
    wanted += extras["scale"]
    assert {re.match(r"[\w-]+", text)[0] for text in wanted} <= set(PACKAGES)
