"""The oldest versions that pyproject.toml allows, as constraints."""

import tomllib

import pytest
from oldest_versions import PYPROJECT, get_oldest_versions

PROJECT = {
    "name": "mine",
    "dependencies": ["numpy>=1.26", "torch >= 2.3, < 4"],
    "optional-dependencies": {
        "plots": ["matplotlib>=3.8"],
        "test": ["mine[plots]", "pytest>=8.3; python_version > '3'"],
        "other": ["sphinx>=8"],
    },
}


def test_every_lower_bound_becomes_a_pin():
    assert get_oldest_versions(PROJECT, []) == ["numpy==1.26", "torch==2.3"]


def test_an_extra_brings_the_extras_that_it_names():
    found = get_oldest_versions(PROJECT, ["test"])
    assert found == ["matplotlib==3.8", "numpy==1.26", "pytest==8.3", "torch==2.3"]


def test_extras_that_name_each_other_come_to_an_end():
    extras = {"a": ["mine[b]"], "b": ["mine[a]", "x>=1"]}
    assert get_oldest_versions(PROJECT | {"optional-dependencies": extras}, ["a"])[-1] == "x==1"


@pytest.mark.parametrize("text", ["numpy", "numpy<3", "numpy==1.26"])
def test_a_requirement_without_a_lower_bound_is_refused(text):
    with pytest.raises(ValueError, match=r"numpy>=1"):
        get_oldest_versions({"name": "mine", "dependencies": [text]}, [])


def test_the_projects_own_are_complete():
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    found = {line.partition("==")[0] for line in get_oldest_versions(project, ["test"])}
    assert {"torch", "skorch", "scikit-learn", "imbalanced-learn", "pytest"} <= found
