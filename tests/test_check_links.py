"""The checker of the links inside the built site (docs/check_links.py)."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "check_links.py"


@pytest.fixture
def find_broken():
    spec = importlib.util.spec_from_file_location("check_links", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.find_broken


@pytest.fixture
def site(tmp_path):
    """Return a function that makes a site of two pages, one with the body given."""

    def make(body: str) -> Path:
        (tmp_path / "sub dir").mkdir()
        (tmp_path / "figure.png").touch()
        (tmp_path / "sub dir" / "index.html").write_text("<h1 id='top'>There</h1>")
        (tmp_path / "index.html").write_text(f"<p id='here'>\n{body}</p>")
        return tmp_path

    return make


@pytest.mark.parametrize(
    "body",
    [
        "<a href='#here'>",
        "<a href='sub%20dir/index.html#top'>",
        "<a href='sub dir/#top'>",
        "<a href='sub dir/index.html?highlight=x#:~:text=There'>",
        "<a name='old'><a href='#old'>",
        "<img src='figure.png?v=1' srcset='figure.png, figure.png 2x'>",
        "<a href='https://elsewhere.invalid/nowhere.html#nothing'>",
        "<a href='mailto:someone@elsewhere.invalid'><img src='data:image/png;base64,AA=='>",
        "<a href='#'>",
    ],
)
def test_a_good_link_is_accepted(find_broken, site, body):
    assert list(find_broken(site(body))) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<a href='#nowhere'>", "index.html:2: #nowhere: no such anchor"),
        ("<a href='gone.html'>", "index.html:2: gone.html: no such file"),
        ("<a href='sub dir/index.html#here'>", "no such anchor"),
        ("<img src='gone.png'>", "no such file"),
        ("<img srcset='figure.png, gone.png 2x'>", "gone.png: no such file"),
    ],
)
def test_a_broken_link_is_found(find_broken, site, body, message):
    (broken,) = find_broken(site(body))
    assert broken.endswith(message)
