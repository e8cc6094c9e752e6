"""Check that every figure of the pages comes from a committed result.

    python tools/check_figures.py

``docs/figures.toml`` names, for pieces of text, where each of their numbers stands in the tables of
``docs/user_guide/tables``, which `make tables` writes from ``benchmarks/results``, or in a CSV file
there::

    ["README.md"]
    "Labels of crowd workers | 36 %" = ["robustness > default > human"]
    "digits of which 40 % have wrong labels" = "given"

A source is "table > row > column", with "> 2" for the second number of a cell such as "95% / 84%",
and with "table#heading" where a file has several tables; where the first cells of rows are alike, a
row is "first, second". A minus before it turns the sign round ("15 points lost"), "a minus b" is a
difference. "given" is a number that was chosen, counted or follows from such, and "cited" one of a
paper or of another package; in the place of a list they are said of all numbers of the text. A
number of the text is right if it is the source's, rounded to the decimals that it shows.

On the pages that the file lists as ``complete``, a number that no piece of text covers is an error
too: outside of code, tables that are included, links, references and names such as CIFAR-10. Whole
numbers of things that are chosen, as "20 000 images", and single digits without a unit are no
figures. Of Python files the docstrings
and whole lines of comment are read, and only numbers with a unit, as "7 %", have to be covered.
"""

import ast
import csv
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLES = "docs/user_guide/tables", "benchmarks/results"
UNTRACED = "given", "cited"
NUMBER = re.compile(r"(?<![\w.,^-])[+-]?(?:\d+(?: \d{3})*(?:\.\d+)?|\.\d+)(?!\d|[\w-]*[A-Za-z])")
COUNTED = re.compile(
    r"(?:(?:,| x| to| and| or) [\d ]*\d)*(?: [a-z'-]+)?"  # "170 to 1 500 rows", "50 other rows"
    r" (?:x|rows|epochs|classes|images|features|gradients|groups|labels|numbers|seeds|sets|units)\b"
)
UNIT = re.compile(
    r"(?:(?:,| to| and| or) [\d.]*\d)*"
    r"(?: ?(?:%|±)| (?:points|seconds|s|minutes|hours|[kKMGT]i?B|times)\b)"
)
MARKDOWN = re.compile(
    r"^```.*?^```$"  # code
    r"|`[^`\n]*`|\]\([^)]*\)|<[^>\n]*>"  # code in a line, links, tags
    r"|Python \d[\d.]*",
    flags=re.DOTALL | re.MULTILINE,
)
RST = re.compile(
    # Directives without text, with what is indented below them; anchors; other directives' lines.
    r"^( *)\.\. (?:autosummary|code-block|csv-table|image|include|math|meta|toctree)::[^\n]*\n"
    r"(?:(?:\1 +[^\n]*)?\n)*"
    r"|^ *\.\. _[^\n]*|^ *\.\. [\w-]+::|^ *:[\w-]+:(?= )[^\n]*$"
    r"|^ *>>> .*?(?:\n *\n|\Z)"  # doctests, which are run
    r"|^ *\d+\. "  # items of a list
    r"|``.*?``|:[\w:+-]+:`[^`]*`|`[^`]*`_*|https?://\S+"  # code in a line, references, links
    r"|Python \d[\d.]*",
    flags=re.DOTALL | re.MULTILINE,
)


def read_text(text: str, pattern: re.Pattern[str] = MARKDOWN) -> str:
    """Return a text on one line: no code, no links, no stars of bold type."""
    text = pattern.sub(" ", text).replace("\N{MINUS SIGN}", "-").replace("**", "")
    return " ".join(text.split())


def read_prose(source: str) -> str:
    """Return the docstrings and the whole lines of comment of a Python file."""
    documented = ast.Module, ast.ClassDef, ast.FunctionDef
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, documented))
    docstrings = [ast.get_docstring(node) or "" for node in nodes]
    comments = re.findall(r"^ *# ?(.*)$", source, flags=re.MULTILINE)
    return "\n\n".join([*docstrings, "\n".join(comments)])


def read_number(text: str) -> float:
    return float(text.replace(" ", ""))


class Tables:
    """The numbers in the tables, markdown or CSV, of some folders."""

    def __init__(self, *folders: Path):
        self.folders = folders

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
        for above, header, cells in self._read(name):
            starts = (", ".join(cells[:n]) for n in range(1, len(cells) + 1))
            if column in header and above.startswith(heading) and row in starts:
                # An empty last cell is stripped with the line's end.
                return [*cells, ""][header.index(column)]
        raise ValueError(f"{name}: no row {row!r} with a column {column!r} below {heading!r}")

    def _read(self, name: str) -> list[tuple[str, list[str], list[str]]]:
        """Return the rows of a file, each with the heading above its table and the header."""
        kinds = ("md", read_markdown), ("csv", read_csv)
        for folder in self.folders:
            for suffix, read in kinds:
                if (path := folder / f"{name}.{suffix}").is_file():
                    return read(path.read_text(encoding="utf-8"))
        raise ValueError(f"there is no table {name!r}")


def read_csv(text: str) -> list[tuple[str, list[str], list[str]]]:
    header, *rows = csv.reader(text.splitlines())
    return [("", header, row) for row in rows]


def read_markdown(text: str) -> list[tuple[str, list[str], list[str]]]:
    header: list[str] = []
    above, rows = "", []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if not line.startswith("|"):
            above, header = line or above, []
        elif not header:
            header = cells
        else:
            rows.append((above, header, cells))
    return rows


def is_count(number: str, before: str, after: str) -> bool:
    """Return if a number, by what stands beside it, is of things that are chosen; or a digit."""
    if not re.fullmatch(r"-?[\d ]+", number) or UNIT.match(after):
        return False
    return len(number.lstrip("-")) == 1 or before.endswith(" x ") or bool(COUNTED.match(after))


def find_figures(text: str, only_with_unit: bool) -> list[re.Match[str]]:
    """Return the numbers of a text that have to come from somewhere."""
    found = list(NUMBER.finditer(text))
    if only_with_unit:
        return [number for number in found if UNIT.match(text, number.end())]
    return [n for n in found if not is_count(n[0], text[: n.start()], text[n.end() :])]


def check_text(text: str, sources: list[str] | str, tables: Tables, is_code: bool) -> list[str]:
    """Return what is wrong with the numbers of one piece of text."""
    if sources in UNTRACED:
        return []
    numbers = [match[0] for match in find_figures(text, is_code)]
    if len(numbers) != len(sources):
        return [f"{text!r} has the numbers {numbers}, and {len(sources)} sources"]
    found = []
    for number, source in zip(numbers, sources, strict=True):
        if source in UNTRACED:
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


def check_page(
    page: str,
    texts: dict[str, list[str] | str],
    tables: Tables,
    complete: bool,
    suffix: str = ".md",
) -> list[str]:
    """Return what is wrong with a page: one sentence for each fault."""
    is_code, pattern = suffix == ".py", MARKDOWN if suffix == ".md" else RST
    rest, found = read_text(read_prose(page) if is_code else page, pattern), []
    for text, sources in texts.items():
        text = read_text(text, pattern)
        found += check_text(text, sources, tables, is_code)
        if text not in rest:
            found.append(f"{text!r} is not on the page (any more)")
        rest = rest.replace(text, " ~ ")
    if complete:
        for match in find_figures(rest, is_code):
            around = rest[max(0, match.start() - 30) : match.end() + 20]
            found.append(f"{match[0]} is traced to nothing: ... {around} ...")
    return found


def check_all(root: Path = ROOT) -> list[str]:
    """Return what is wrong with the pages that docs/figures.toml names."""
    manifest = tomllib.loads((root / "docs" / "figures.toml").read_text(encoding="utf-8"))
    globs = manifest.pop("complete")
    complete = {str(path.relative_to(root)) for glob in globs for path in root.glob(glob)}
    tables = Tables(*(root / folder for folder in TABLES))
    return [
        f"{name}: {fault}"
        for name in sorted({*complete, *manifest})
        for fault in check_page(
            (root / name).read_text(encoding="utf-8"),
            manifest.get(name, {}),
            tables,
            name in complete,
            Path(name).suffix,
        )
    ]


if __name__ == "__main__":
    sys.exit("\n".join(check_all()) or None)
