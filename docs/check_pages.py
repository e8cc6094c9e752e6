"""Check that the pages of the built site are fit for a reader: small, and with code that fits.

Usage: python docs/check_pages.py docs/_build/html

A page has at most 300 kB, and a line of code at most 88 characters: so many fit beside both
sidebars on a laptop.
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

MAX_BYTES = 300_000
MAX_CHARACTERS = 88


class Code(HTMLParser):
    """The text of all blocks of code of a page; what code has printed is none."""

    def __init__(self, text: str):
        super().__init__()
        self.lines: list[str] = []
        self._block: list[str] | None = None
        self._skipped = 0  # depth inside an element with what was printed
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        if tag == "div" and (self._skipped or "sphx-glr-script-out" in classes):
            self._skipped += 1
        if tag == "pre" and not self._skipped:
            self._block = []
        if tag == "span" and self._block is not None and "go" in classes:
            self._block.append("\0")  # a line of output in a session

    def handle_endtag(self, tag: str) -> None:
        if tag == "div" and self._skipped:
            self._skipped -= 1
        if tag == "pre" and self._block is not None:
            self.lines += [line for line in "".join(self._block).splitlines() if "\0" not in line]
            self._block = None

    def handle_data(self, data: str) -> None:
        if self._block is not None:
            self._block.append(data)


def find_faults(root: Path) -> Iterator[str]:
    """Yield one sentence for each page that is too large, and each line of code too long."""
    for path in sorted(root.rglob("*.html")):
        if root / "_static" in path.parents:  # the theme's templates, not pages
            continue
        name, text = path.relative_to(root), path.read_text(encoding="utf-8")
        if (size := len(text.encode())) > MAX_BYTES:
            yield f"{name}: {size} bytes, more than {MAX_BYTES}"
        for line in Code(text).lines:
            if len(line) > MAX_CHARACTERS:
                yield f"{name}: {len(line)} characters, more than {MAX_CHARACTERS}: {line.strip()}"


def main() -> int:
    root = Path(sys.argv[1])
    if not (root / "index.html").is_file():
        print(f"{root}: no site here; build it first", file=sys.stderr)
        return 1
    faults = list(find_faults(root))
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
