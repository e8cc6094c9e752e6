"""The checker of the built site's pages (docs/check_pages.py)."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "check_pages.py"
LONG = "x" * 89


@pytest.fixture
def find_faults():
    spec = importlib.util.spec_from_file_location("check_pages", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.find_faults


@pytest.mark.parametrize(
    "body",
    [
        f"<pre>{'x' * 88}\n<span>{'y' * 44}</span>{'z' * 44}\n</pre>",
        f"<p>{LONG}</p><code>{LONG}</code>",
        f"<pre>&gt;&gt;&gt; f()\n<span class='go'>{LONG}</span>\n</pre>",
        f"<div class='sphx-glr-script-out'><div><pre>{LONG}</pre></div></div><pre>x</pre>",
    ],
)
def test_what_fits_is_accepted(find_faults, tmp_path, body):
    (tmp_path / "index.html").write_text(body)
    assert list(find_faults(tmp_path)) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"<pre>short\n<span>{'y' * 44}</span>{'z' * 45}\n</pre>", "89 characters"),
        (f"<div class='sphx-glr-script-out'></div><pre>{LONG}</pre>", "89 characters"),
        ("x" * 300_001, "300001 bytes"),
    ],
)
def test_what_does_not_fit_is_found(find_faults, tmp_path, body, message):
    (tmp_path / "index.html").write_text(body)
    (fault,) = find_faults(tmp_path)
    assert message in fault


def test_the_theme_s_templates_are_no_pages(find_faults, tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "large.html").write_text("x" * 300_001)
    assert list(find_faults(tmp_path)) == []
