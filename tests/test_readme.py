"""The example in the README runs, and shows what it says; the page stays short."""

import re
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


def test_the_page_is_read_in_some_minutes():
    assert len(README.read_text().split()) <= 700
