"""Check that every link inside the built site leads to a file, and to an anchor in it.

Usage: python docs/check_links.py docs/_build/html
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, each with its line, and the anchors that links can lead to."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[tuple[str, int]] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if not value:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src", "action", "data", "poster"):
                self.links.append((value, self.getpos()[0]))
            elif name == "srcset":
                images = (image.split()[0] for image in value.split(","))
                self.links += [(image, self.getpos()[0]) for image in images]


def find_broken(root: Path) -> Iterator[str]:
    """Yield one sentence for each link in the pages under `root` that leads nowhere."""
    root = root.resolve()
    # What lies in _static are the theme's templates, not pages.
    paths = (path for path in sorted(root.rglob("*.html")) if root / "_static" not in path.parents)
    pages = {path: Page(path) for path in paths}
    for path, page in pages.items():
        for link, line in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if target.is_dir():
                target /= "index.html"
            anchor = unquote(url.fragment).partition(":~:")[0]  # what follows searches for a text
            place = f"{path.relative_to(root)}:{line}"
            if not target.is_file():
                yield f"{place}: {link}: no such file"
            elif anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{place}: {link}: no such anchor"


def main() -> int:
    root = Path(sys.argv[1])
    if not (root / "index.html").is_file():
        print(f"{root}: no site here; build it first", file=sys.stderr)
        return 1
    broken = list(find_broken(root))
    print(*broken, sep="\n", end="\n" if broken else "", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
