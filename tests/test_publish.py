"""The published site: a folder for each version (docs/publish.py)."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "publish.py"
URL = "https://host/path"


@pytest.fixture
def publish():
    spec = importlib.util.spec_from_file_location("publish", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.publish


def build(folder, version):
    (folder / "_static").mkdir(parents=True)
    (folder / "_static" / "documentation_options.js").write_text(f"VERSION: '{version}',")
    (folder / "index.html").write_text(version)
    return folder


def test_versions_lie_side_by_side_and_the_newest_is_led_to(publish, tmp_path):
    site = tmp_path / "site"
    for number, version in enumerate(("0.9.0", "0.10.0", "0.10.0rc1", "0.2.1")):
        publish(build(tmp_path / str(number), version), site, URL)
    listed = json.loads((site / "switcher.json").read_text())
    assert [entry["version"] for entry in listed] == ["0.10.0", "0.10.0rc1", "0.9.0", "0.2.1"]
    assert [entry["preferred"] for entry in listed] == [True, False, False, False]
    assert listed[2]["url"] == f"{URL}/0.9.0/"
    assert (site / "0.9.0" / "index.html").read_text() == "0.9.0"
    assert 'url=0.10.0/"' in (site / "index.html").read_text()


def test_a_version_is_replaced_whole(publish, tmp_path):
    site = tmp_path / "site"
    old = build(tmp_path / "old", "1.0")
    (old / "gone.html").touch()
    publish(old, site, URL)
    assert publish(build(tmp_path / "new", "1.0"), site, URL) == ["1.0"]
    assert not (site / "1.0" / "gone.html").exists()


def test_what_is_no_built_site_is_refused(publish, tmp_path):
    with pytest.raises(SystemExit, match="does not say its version"):
        publish(build(tmp_path / "built", "a/../b"), tmp_path / "site", URL)
    assert not (tmp_path / "site").exists()
