"""Values as the text of a table's cells, which a spreadsheet must not take for formulas."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

# What pandas reads as missing, if it is not told otherwise.
MISSING = (
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
# What is not told from an empty cell, or is changed by spreadsheets, after the apostrophes that
# `quote` puts before it.
UNSAFE = re.compile(rf"'*([\t\r\n]|({'|'.join(map(re.escape, MISSING))})?\Z)")
# Where a formula would begin, if any of the separators ended a cell.
BEGIN = r"(?:^|[,;\t\r\n])[ \"']*"
FORMULA = re.compile(rf"{BEGIN}(?=[=+\-@])")
QUOTED_FORMULA = re.compile(rf"({BEGIN})'(?=[=+\-@])")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


def to_texts(values: Any) -> list[str]:
    """Return values as text: labels, or names of rows.

    Parameters
    ----------
    values : array-like of shape (n_values,)

    Returns
    -------
    texts : list of str
    """
    values = np.asarray(values)
    if values.dtype.kind == "M":  # whose nanoseconds would become integers
        values = values.astype("datetime64[us]")
    return [str(value) for value in values.tolist()]


def quote(text: str) -> str:
    """Return a text as one that no spreadsheet evaluates: with an apostrophe before a formula.

    Also before one that would begin behind a separator in the text; a number below zero is none.
    Texts that pandas would read as missing have an apostrophe before them, too. Of an empty text
    the apostrophe is left, as in a spreadsheet.

    Examples
    --------
    >>> from crust_sklearn.review.cells import quote, unquote
    >>> quote("=1+1"), quote("-3"), quote("NA"), unquote(quote("=1+1"))
    ("'=1+1", '-3', "'NA", '=1+1')
    >>> quote("x;=1+1")
    "x;'=1+1"
    """
    if to_number(text) is None:
        text = FORMULA.sub(r"\g<0>'", text)
    return f"'{text}" if UNSAFE.match(text) else text


def unquote(text: str) -> str:
    """Return the text that `quote` was given."""
    if text.startswith("'") and UNSAFE.match(text):
        text = text[1:]
    return QUOTED_FORMULA.sub(r"\1", text)


def to_number(text: str) -> Decimal | None:
    """Return the number that a text is, with a point or a comma for its decimals; or None.

    ``"1,000"`` is none: it may be a thousand, or one.
    """
    if THOUSANDS.fullmatch(text.strip()) or "_" in text:
        return None
    try:
        number = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def get_meaning(text: str) -> Decimal | str:
    """Return what is left of a text when a spreadsheet has saved it: of numbers, their value.

    ``"007"``, ``"7"`` and ``"7.0"`` mean the same, and so do ``"True"`` and ``"TRUE"``; so do texts
    that differ in the space around them, in their line ends, or in how an accent is composed.
    """
    number = to_number(text)
    if number is not None:
        return number
    if text.strip().casefold() in {"true", "false"}:
        return text.strip().casefold()
    return unicodedata.normalize("NFC", "\n".join(text.splitlines()).strip())
