"""Check that every figure of the pages comes from a committed result.

    python tools/check_figures.py

``docs/figures.toml`` names, for pieces of text, where each of their numbers stands in the tables of
``docs/user_guide/tables``, which `make tables` writes from ``benchmarks/results``::

    ["README.md"]
    "Labels of crowd workers | 36 %" = ["robustness > default > human"]

A source is "table > row > column", with "> 2" for the second number of a cell such as "95% / 84%",
and with "table#heading" where a file has several tables. A minus before it turns the sign round
("15 points lost"), "a minus b" is a difference, and "given" is a number that was chosen or counted,
not measured. A number of the text is right if it is the source's, rounded to the decimals that it
shows.

On the pages that the file lists as ``complete``, a number that no piece of text covers is an error
too: outside of code, links and names such as CIFAR-10.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "docs" / "user_guide" / "tables"
NUMBER = re.compile(r"(?<![\w.,^-])[+-]?\d+(?: \d{3})*(?:\.\d+)?(?![\w-]*[A-Za-z])")
NOT_TEXT = re.compile(
    r"^```.*?^```$"  # code
    r"|`[^`\n]*`|\]\([^)]*\)|<[^>\n]*>"  # code in a line, links, tags
    r"|Python \d[\d.]*",
    flags=re.DOTALL | re.MULTILINE,
)


def read_text(page: str) -> str:
    """Return the text of a page on one line: no code, no links, no stars of bold type."""
    text = NOT_TEXT.sub(" ", page).replace("\N{MINUS SIGN}", "-").replace("**", "")
    return " ".join(text.split())


def read_number(text: str) -> float:
    return float(text.replace(" ", ""))


class Tables:
    """The numbers in a folder of markdown tables."""

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, source: str) -> float:
        """Return the number that a source names."""
        if source.startswith("-"):
            return -self.get(source[1:])
        first, minus, second = source.partition(" minus ")
        if minus:
            return self.get(first) - self.get(second)
        table, row, column, *place = source.split(" > ")
        cell = self._get_cell(*table.partition("#")[::2], row, column)
        numbers = re.findall(r"[+-]?\d+(?:\.\d+)?", cell)
        place = int(place[0]) if place else 1
        if place > len(numbers):
            raise ValueError(f"{source!r}: the cell is {cell!r}")
        return float(numbers[place - 1])

    def _get_cell(self, name: str, heading: str, row: str, column: str) -> str:
        path = self.folder / f"{name}.md"
        if not path.is_file():
            raise ValueError(f"there is no table {path}")
        header, above = None, ""
        for line in path.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            if not line.startswith("|"):
                above, header = line or above, None
            elif header is None:
                header = cells
            elif cells[0] == row and column in header and above.startswith(heading):
                # An empty last cell is stripped with the line's end.
                return [*cells, ""][header.index(column)]
        raise ValueError(f"{name}: no row {row!r} with a column {column!r} below {heading!r}")


def check_text(text: str, sources: list[str], tables: Tables) -> list[str]:
    """Return what is wrong with the numbers of one piece of text."""
    numbers = NUMBER.findall(text)
    if len(numbers) != len(sources):
        return [f"{text!r} has the numbers {numbers}, and {len(sources)} sources"]
    found = []
    for number, source in zip(numbers, sources, strict=True):
        if source == "given":
            continue
        try:
            value = tables.get(source)
        except ValueError as error:
            found.append(f"{text!r}: {error}")
            continue
        half = 0.5 * 10.0 ** -len(number.partition(".")[2])
        if abs(read_number(number) - value) > half + 1e-9:
            found.append(f"{text!r}: {number} is {value:g} by {source!r}")
    return found


def check_page(page: str, texts: dict[str, list[str]], tables: Tables, complete: bool) -> list[str]:
    """Return what is wrong with a page: one sentence for each fault."""
    rest, found = read_text(page), []
    for text, sources in texts.items():
        text = read_text(text)
        found += check_text(text, sources, tables)
        if text not in rest:
            found.append(f"{text!r} is not on the page (any more)")
        rest = rest.replace(text, " ~ ")
    if complete:
        for match in NUMBER.finditer(rest):
            around = rest[max(0, match.start() - 30) : match.end() + 20]
            found.append(f"{match[0]} is traced to nothing: ... {around} ...")
    return found


def check_all(root: Path = ROOT) -> list[str]:
    """Return what is wrong with the pages that docs/figures.toml names."""
    manifest = tomllib.loads((root / "docs" / "figures.toml").read_text(encoding="utf-8"))
    complete = manifest.pop("complete")
    tables = Tables(root / "docs" / "user_guide" / "tables")
    return [
        f"{name}: {fault}"
        for name in dict.fromkeys([*complete, *manifest])
        for fault in check_page(
            (root / name).read_text(encoding="utf-8"),
            manifest.get(name, {}),
            tables,
            name in complete,
        )
    ]


if __name__ == "__main__":
    sys.exit("\n".join(check_all()) or None)
