"""What is said of the package in several files is the same in all of them."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import crust_sklearn

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_yaml(*parts):
    return yaml.safe_load(ROOT.joinpath(*parts).read_text(encoding="utf-8"))


def test_version_is_the_same_in_all_files():
    versions = {PROJECT["version"], read_yaml("CITATION.cff")["version"], crust_sklearn.__version__}
    assert versions == {PROJECT["version"]}
    assert f"version = {{{PROJECT['version']}}}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_python_of_the_classifiers_is_tested_by_the_workflow():
    found = [
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text)
        for text in PROJECT["classifiers"]
    ]
    claimed = {match[1] for match in found if match}
    jobs = read_yaml(".github", "workflows", "tests.yml")["jobs"]
    assert claimed <= set(jobs["newest"]["strategy"]["matrix"]["python"])
    assert f">={min(claimed)}" == PROJECT["requires-python"]


@pytest.mark.parametrize("name", ["tests", "docs", "release"])
def test_a_workflow_is_given_no_right_but_those_that_a_job_asks_for(name):
    assert read_yaml(".github", "workflows", f"{name}.yml")["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["tests", "docs", "release"])
def test_the_targets_that_a_workflow_calls_exist(name):
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    targets = set(re.findall(r"run: make ([a-z0-9-]+)", text))
    made = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert targets and targets <= made


def test_forms_about_faults_ask_for_versions():
    for path in ROOT.joinpath(".github", "ISSUE_TEMPLATE").glob("[12]-*.yml"):
        field = next(f for f in read_yaml(path)["body"] if f.get("id") == "versions")
        assert "crust_sklearn.show_versions()" in field["attributes"]["description"]
        assert field["validations"]["required"]
