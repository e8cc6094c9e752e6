"""Decisions that a person has made about labels, read from a file, a frame or a list."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

# What can be decided, and the keys of the page, which are taken for it as well.
KEEP, CHANGE, DROP, UNDECIDED = "keep", "change", "drop", ""
WORDS = {word: word for word in (KEEP, CHANGE, DROP, UNDECIDED)}
WORDS |= {word[0]: word for word in (KEEP, CHANGE, DROP)}
COLUMNS = ("row", "given_label", "suggested_label", "score", "decision", "new_label")


class Decision(NamedTuple):
    """What one line of a review says.

    Attributes
    ----------
    place : str
        Where it says so, for messages.
    row : str
        The name of the row, or its number.
    decision : {"keep", "change", "drop", ""}
        Empty: undecided.
    new_label : str
        Of a change; empty otherwise.
    given_label : str or None
        None, where the review does not tell.
    """

    place: str
    row: str
    decision: str
    new_label: str
    given_label: str | None


def read_decisions(source: Any) -> list[Decision]:
    """Read what was decided.

    Parameters
    ----------
    source : str or PathLike, DataFrame, or list of dict
        The path of a CSV file, separated by commas, semicolons or tabs, or of a JSON file, a list
        of objects; or what they would hold. The index of a frame without a column "row" names the
        rows, unless it only counts them.

    Returns
    -------
    decisions : list of Decision
        Undecided rows as well.

    Raises
    ------
    ValueError
        If a file cannot be read as what its name says, lacks a column, or says something that
        cannot be decided. The message names the line.
    TypeError
        If the source is of another kind.
    OSError
        If there is no such file.
    """
    return [_interpret(place, cells) for place, cells in _iterate(source)]


def _iterate(source: Any) -> Iterable[tuple[str, dict[str, str]]]:
    """Return for every entry where it is, and its cells by column."""
    if isinstance(source, str | PathLike):
        path = Path(fspath(source))
        text = _read_text(path)
        if path.suffix.lower() != ".json":
            return _read_table(text, path.name)
        try:
            return _read_records(json.loads(text), path.name)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path.name} is not JSON: {error}.") from error
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        names = list(map(_to_name, source.columns))
        if "row" not in names and not _is_numbered(source.index):
            source, names = source.assign(row=source.index), [*names, "row"]
        _check_columns(names, "decisions")
        source = source.set_axis(names, axis=1)
        return _read_records(source.to_dict("records"), "decisions")
    return _read_records(source, "decisions")


def _read_text(path: Path) -> str:
    try:
        # As it is: a line end inside of a label is part of it.
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is not in UTF-8: {error}. Save it again as 'CSV UTF-8', which every "
            "spreadsheet offers."
        ) from error


def _read_table(text: str, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = list(map(_to_name, next(reader, [])))
        _check_columns(header, name)
        line = reader.line_num + 1
        for cells in reader:
            if any(cells[len(header) :]):
                raise ValueError(
                    f"{name}, line {line}, has {len(cells)} cells, and the header {len(header)}. "
                    'Put a cell with a separator in it into quotes: "ham, eggs".'
                )
            if any(cells):
                yield f"{name}, line {line}", dict(zip(header, cells, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}, is not CSV: {error}.") from error


def _read_records(records: Any, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    is_list = isinstance(records, Iterable) and not isinstance(records, str | bytes | Mapping)
    records = list(records) if is_list else [None]
    if not all(isinstance(record, Mapping) for record in records):
        raise TypeError(
            f"{name} must be a list of objects by column, such as "
            "[{'row': 7, 'decision': 'change', 'new_label': 2}]; or give the path of a review "
            "file, or a DataFrame."
        )
    for number, record in enumerate(records, start=1):
        names = list(map(_to_name, record))
        _check_columns(names, f"{name}, entry {number},")
        cells = dict(zip(names, map(_to_cell, record.values()), strict=True))
        yield f"{name}, entry {number}", cells


def _to_cell(value: Any) -> str:
    # NaN does not equal itself, and pandas' NA does not say.
    if value is None or str(value) in {"nan", "NaN", "NaT", "<NA>"} and not isinstance(value, str):
        return ""
    return str(value)


def _to_name(column: Any) -> str:
    return str(column).strip().lower()


def _is_numbered(index: Any) -> bool:
    """Return whether an index says where a row is in its frame, and not which row of y it is."""
    return hasattr(index, "step") and index.name is None and index.start == 0 and index.step == 1


def _check_columns(columns: list[str], name: str) -> None:
    for column in COLUMNS:
        if columns.count(column) > 1:
            raise ValueError(f"{name} has {columns.count(column)} columns {column!r}. Keep one.")
    missing = [column for column in ("decision", "new_label") if column not in columns]
    for column in columns:
        if near := get_close_matches(column, missing, n=1, cutoff=0.75):
            raise ValueError(
                f"{name} has a column {column!r}. Call it {near[0]!r}, or something else if it "
                "has no decisions."
            )
    if "row" not in columns or not {"decision", "new_label"} & set(columns):
        raise ValueError(
            f"{name} has the columns {columns}: it needs 'row', and 'decision' or 'new_label' or "
            "both. Keep the header of the review file."
        )


def _interpret(place: str, cells: dict[str, str]) -> Decision:
    row, new_label = cells.get("row", ""), cells.get("new_label", "")
    given = cells.get("given_label")
    said = cells.get("decision", "").strip()
    decision = WORDS.get(said.lower())
    if decision is None:
        raise ValueError(
            f"{place}: row {row!r} has the decision {said!r}. Choose one of 'keep', 'change' and "
            "'drop', or leave it empty."
        )
    if not row:
        if decision or new_label:
            raise ValueError(f"{place}: there is a decision, and no row that it is about.")
        return Decision(place, row, UNDECIDED, "", None)
    if decision == UNDECIDED and new_label:
        decision = CHANGE
    if decision == CHANGE and not new_label:
        if "suggested_label" not in cells:
            raise ValueError(
                f"{place}: row {row!r} is to be changed, and neither new_label nor "
                "suggested_label says to what. Fill in new_label."
            )
        new_label = cells["suggested_label"]
    return Decision(place, row, decision, new_label, given)
