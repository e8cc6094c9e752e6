"""The example in the README runs, and shows what it says; the page stays short."""

import re
import tomllib
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


def test_example_runs_and_its_results_are_the_ones_shown():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    names = {}
    exec(code, names)
    shown = re.findall(r"^(.+?)  # -> (\S+)$", code, flags=re.MULTILINE)
    assert len(shown) == 4
    for expression, value in shown:
        # Other versions of torch, or other numbers of threads, end with a slightly different net.
        assert eval(expression, names) == pytest.approx(float(value), abs=0.04), expression


def test_on_the_package_index_no_link_leads_to_a_file():
    project = tomllib.loads(README.with_name("pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = before = README.read_text()
    for each in hook["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert targets and all(target.startswith("https://") for target in targets)
    code = r"```.*?```"
    assert re.findall(code, text, flags=re.DOTALL) == re.findall(code, before, flags=re.DOTALL)
    assert "getting started, from a CSV file" in text
    assert "<sub>" not in text


def test_the_page_is_read_in_some_minutes():
    assert len(README.read_text().split()) <= 700
