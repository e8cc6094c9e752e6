"""Lookup: find a label, or a row, by the text that a person or a spreadsheet has made of it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import numpy as np

from .cells import get_meaning, to_number, to_texts, unquote


class Lookup:
    """Find values by their text.

    First by the text as it is, and only where there is none, by what it means: a spreadsheet
    makes ``7`` of ``007`` and of ``7.0``.

    Parameters
    ----------
    values : array-like of shape (n_values,)

    Examples
    --------
    >>> from crust_sklearn.review.lookup import Lookup
    >>> lookup = Lookup(["007", "ham, eggs", "=1+1"])
    >>> lookup.find("7"), lookup.find("'=1+1"), lookup.find("spam")
    ([0], [2], [])
    """

    def __init__(self, values: Any):
        self.texts = to_texts(values)
        self._by_text: dict[str, list[int]] = defaultdict(list)
        for position, text in enumerate(self.texts):
            self._by_text[text].append(position)
        self._by_meaning: dict[Decimal | str, list[int]] | None = None

    def find(self, text: str) -> list[int]:
        """Return the positions of the values that a text stands for: none, one, or several."""
        for candidate in (unquote(text), text):
            if found := self._by_text.get(candidate):
                return found
        return self._find_meant(text)

    def _find_meant(self, text: str) -> list[int]:
        if self._by_meaning is None:
            self._by_meaning = defaultdict(list)
            for position, of_value in enumerate(self.texts):
                self._by_meaning[get_meaning(of_value)].append(position)
        return self._by_meaning.get(get_meaning(unquote(text)), [])

    def is_ambiguous(self, text: str) -> bool:
        """Return whether a spreadsheet may have made the text of another value as well."""
        return len(self._find_meant(text)) > 1

    def describe(self) -> str:
        """Return the first of the values, for messages."""
        return ", ".join(map(repr, self.texts[:8])) + (", ..." if len(self.texts) > 8 else "")


class PositionLookup:
    """Find rows that have no other name than their position.

    Parameters
    ----------
    n_rows : int
    """

    def __init__(self, n_rows: int):
        self.n_rows = n_rows

    def find(self, text: str) -> list[int]:
        """Return the position that a text stands for, alone in a list, or an empty list."""
        number = to_number(text)
        # Compared first: an integer of a million digits takes minutes to make.
        is_row = number is not None and 0 <= number < self.n_rows and number == int(number)
        return [int(number)] if is_row and number is not None else []

    def is_ambiguous(self, text: str) -> bool:
        """Return False: a position is one, however it is written."""
        return False

    def describe(self) -> str:
        """Return the range of the positions, for messages."""
        return f"0 to {self.n_rows - 1}"


def make_row_lookup(names: Any) -> Lookup | PositionLookup:
    """Return how rows of these names are found; by position where they are called so."""
    names = np.asarray(names)
    if names.dtype.kind in "iu" and np.array_equal(names, np.arange(len(names))):
        return PositionLookup(len(names))
    return Lookup(names)
