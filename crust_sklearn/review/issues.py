"""The rows to be reviewed, as texts."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from .._validation import check_number
from ..label_issues import find_label_issues, get_judge
from ..labels import get_label_classes
from .cells import to_texts
from .lookup import PositionLookup, make_row_lookup


class Issues(NamedTuple):
    """Rows to be reviewed, the worst first.

    Attributes
    ----------
    positions : ndarray of shape (n_issues,), dtype int64
    names : list of str
        What all rows are called, whether reviewed or not.
    given, suggested : ndarray of shape (n_issues,)
        Labels.
    score : ndarray of shape (n_issues,), dtype float64
    judge : estimator
        Whose opinion this is.
    """

    positions: np.ndarray
    names: list[str]
    given: np.ndarray
    suggested: np.ndarray
    score: np.ndarray
    judge: Any


def list_issues(clf: Any, y: Any, index: Any, n_issues: int | None) -> Issues:
    """Return the rows whose labels are probably wrong, at most so many of them.

    Parameters
    ----------
    clf, y, index
        As of :func:`find_label_issues`.
    n_issues : int or None

    Returns
    -------
    issues : Issues

    Raises
    ------
    ValueError
        Also if two of the rows have the same name, or if a name or a label is no text of UTF-8.
    """
    if n_issues is not None:
        check_number("n_issues", n_issues, kind=Integral, low=1)
    judge = get_judge(clf)
    names = find_label_issues(judge, y, index=index, as_frame=False, all_rows=True).rows
    found = find_label_issues(judge, as_frame=False)
    rows, texts = found.rows[:n_issues], to_texts(names)
    lookup = make_row_lookup(names)
    if not isinstance(lookup, PositionLookup):
        for row in rows:
            if len(lookup.find(texts[row])) > 1:
                raise ValueError(
                    f"Several rows are called {texts[row]!r}: a decision could not be told to be "
                    "about one of them. Give names that differ by `index`."
                )
    check_texts("name", [texts[row] for row in rows])
    check_texts("label", to_texts(get_label_classes(judge)))
    given, suggested, score = (column[:n_issues] for column in found[1:])
    return Issues(rows, texts, given, suggested, score, judge)


def check_texts(what: str, texts: list[str]) -> None:
    """Refuse names or labels that a file in UTF-8 cannot hold: with half of a surrogate pair.

    Parameters
    ----------
    what : {"name", "label"}
        For the message.
    texts : list of str

    Raises
    ------
    ValueError
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            remedy = "Give other names by `index`." if what == "name" else "Fit with other labels."
            raise ValueError(
                f"The {what} {text!r} cannot be written in UTF-8: {error.reason}. {remedy}"
            ) from error
