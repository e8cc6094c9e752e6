"""apply_review: what a person has decided about labels, done to them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from ..label_issues import get_names
from ..labels import check_labels, check_rows, unite_labels
from .decisions import CHANGE, DROP, KEEP, UNDECIDED, Decision, read_decisions
from .lookup import Lookup, PositionLookup, make_row_lookup


class ReviewedLabels(NamedTuple):
    """Labels after a review.

    Attributes
    ----------
    y : same type as the y given, of shape (n_samples,)
        The labels, those that were changed in place of those given; of dropped rows as before.
    is_kept : ndarray of shape (n_samples,), dtype bool
        Which rows are to be trained on: those that were not dropped. It is a mask of the rows, and
        as good as a `sample_weight`.
    decision : ndarray of shape (n_samples,), dtype str
        What was decided about each row: "keep", "change", "drop", or "" for undecided.
    """

    y: Any
    is_kept: np.ndarray
    decision: np.ndarray


def apply_review(
    y: Any, decisions: Any, *, index: Any = None, classes: Any = None
) -> ReviewedLabels:
    """Change and drop labels as a person has decided.

    Parameters
    ----------
    y : array-like, Series, tensor or DataFrame, of shape (n_samples,) or (n_samples, 1)
        The labels that were reviewed: those given to fit. It is not changed itself.
    decisions : str or PathLike, DataFrame, or list of dict
        The path of the CSV file of :func:`export_review_csv`, filled in, or of the one that the
        page of :func:`export_review_html` has saved; or a table with the same columns: "row", and
        "decision" or "new_label" or both. Other columns and the order of the rows do not matter.
        A path that ends with ``.json`` holds a list of objects with these keys. The index of a
        DataFrame without a column "row" names the rows.
    index : array-like or pandas Index of shape (n_samples,), default=None
        Names of the rows, where the review calls them so; None: the index of y, or positions.
    classes : array-like of shape (n_classes,), default=None
        All labels that a new one may be. None: those of y.

    Returns
    -------
    reviewed : ReviewedLabels
        The labels, which rows to train on, and what was decided about each.

    Raises
    ------
    ValueError
        If a row is not in y, or several are called so; if a label is not among the classes; if
        a decision is none of "keep", "change", "drop" and empty; if two lines differ about a row;
        if the label of "given_label" is not that of y; if a file is not CSV or JSON in UTF-8, or
        lacks a column. The message names the line and the row.
    TypeError
        If `decisions` is of another kind.
    OSError
        If there is no such file.

    See Also
    --------
    export_review_html : A page to decide on.
    export_review_csv : A table to decide in.

    Notes
    -----
    A line with an empty "decision" leaves the label as it is, unless "new_label" is filled in,
    which makes it a change; a change without "new_label" is one to "suggested_label". The letters
    k, c and d are taken for the words. A change to the label that is given is a "keep".

    Labels and rows are found by their text. Where there is none of that text, the value counts:
    a spreadsheet saves ``007`` and ``7.0`` as ``7``, and ``True`` as ``TRUE``. The separator of a
    CSV file may be a comma, a semicolon or a tab. A column "given_label" is compared with y, so
    that decisions about other labels, or about the rows of another order, are refused.

    Examples
    --------
    >>> from crust_sklearn import apply_review
    >>> y = ["cat", "dog", "cat", "dog"]
    >>> reviewed = apply_review(
    ...     y, [{"row": 2, "new_label": "dog"}, {"row": 0, "decision": "drop"}]
    ... )
    >>> reviewed.y
    ['cat', 'dog', 'dog', 'dog']
    >>> reviewed.is_kept
    array([False,  True,  True,  True])
    """
    labels = check_labels(y)
    choices = np.unique(labels if classes is None else check_rows("classes", classes))
    dtype = unite_labels(labels, choices).dtype
    if np.array_equal(choices.astype(labels.dtype), choices):  # no need for a wider one
        dtype = labels.dtype
    new = labels.astype(dtype, copy=True)
    rows, of_label = make_row_lookup(get_names(index, y, len(labels))), Lookup(choices)
    decision = np.full(len(labels), UNDECIDED, dtype="<U6")
    decided: dict[int, Decision] = {}
    for entry in read_decisions(decisions):
        if not entry.row:
            continue
        row = _find_row(entry, rows)
        _check_given(entry, labels[row : row + 1])
        if entry.decision == UNDECIDED:
            continue
        found = _decide(entry, labels[row], choices, of_label)
        if row in decided and found != (decision[row], new[row]):
            raise ValueError(
                f"{entry.place}: row {entry.row!r} is to be {_tell(*found)}, and "
                f"{decided[row].place} says {_tell(decision[row], new[row])}. Remove one of them."
            )
        if row in decided and rows.is_ambiguous(entry.row):
            raise ValueError(
                f"{entry.place}: row {entry.row!r} is decided in {decided[row].place}, too, and "
                "several rows of y have names that a spreadsheet makes this one of. Write the "
                "names as they are, or give other ones by `index`."
            )
        decided[row] = entry
        decision[row], new[row] = found
    return ReviewedLabels(_like(y, new, decision == CHANGE), decision != DROP, decision)


def _find_row(entry: Decision, rows: Lookup | PositionLookup) -> int:
    found = rows.find(entry.row)
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"{entry.place}: {len(found)} rows of y are called {entry.row!r}. Give names that "
            "differ by `index`, and make the review with the same."
        )
    raise ValueError(
        f"{entry.place}: there is no row {entry.row!r} in y, whose rows are {rows.describe()}. "
        "Give the y that was reviewed, and its names by `index` if it has none."
    )


def _check_given(entry: Decision, label: np.ndarray) -> None:
    """Raise if the review is about another label than the one of y, an array of one."""
    if entry.given_label and not Lookup(label).find(entry.given_label):
        raise ValueError(
            f"{entry.place}: row {entry.row!r} was reviewed with the label {entry.given_label!r}, "
            f"and has {label.tolist()[0]!r} in y. Give the labels that were reviewed, in the same "
            "order, or names of the rows by `index`."
        )


def _decide(entry: Decision, label: Any, choices: np.ndarray, of_label: Lookup) -> tuple[str, Any]:
    """Return what becomes of a row with this label: the decision, and the label it has then."""
    if not entry.new_label and entry.decision != CHANGE:
        return entry.decision, label
    found = of_label.find(entry.new_label)
    if len(found) != 1:
        raise ValueError(
            f"{entry.place}: row {entry.row!r} has the new label {entry.new_label!r}, "
            + _explain(entry.new_label, found, of_label)
        )
    new = choices[found[0]]
    if entry.decision != CHANGE and new != label:
        raise ValueError(
            f"{entry.place}: row {entry.row!r} has the decision {entry.decision!r} and the new "
            f"label {entry.new_label!r}, which is another than its own. Decide on 'change', or "
            "leave new_label empty."
        )
    return (KEEP, label) if entry.decision == CHANGE and new == label else (entry.decision, new)


def _explain(text: str, found: list[int], of_label: Lookup) -> str:
    if found:
        texts = [of_label.texts[i] for i in found]
        return f"which may be any of {texts}. Write it as one of them."
    near = get_close_matches(text, of_label.texts, n=1)
    return (
        f"which is not among the classes: {of_label.describe()}. "
        + (f"Did you mean {near[0]!r}? " if near else "")
        + "A new class has to be named by `classes`, with all others."
    )


def _tell(decision: str, label: Any) -> str:
    words = {KEEP: "kept", DROP: "dropped", CHANGE: f"changed to {str(label)!r}"}
    return words[decision]


def _like(y: Any, new: np.ndarray, is_changed: np.ndarray) -> Any:
    """Return new labels as the type that y is of; what was not changed is as it was."""
    rows = np.flatnonzero(is_changed)
    if isinstance(y, list | tuple):
        labels = list(y)
        for row in rows:
            labels[row] = new[row : row + 1].tolist()[0]
        return type(y)(labels)
    if hasattr(y, "detach"):
        return _like_tensor(y, new, rows)
    if hasattr(y, "columns"):
        return _like_series(y.iloc[:, 0], new, rows).to_frame()
    if hasattr(y, "iloc"):
        return _like_series(y, new, rows)
    return new.reshape(np.shape(y))


def _like_tensor(y: Any, new: np.ndarray, rows: np.ndarray) -> Any:
    labels = y.detach().clone()
    if new.dtype != labels.new_empty(0).cpu().numpy().dtype:  # which could not hold the new ones
        labels = labels.double() if new.dtype.kind == "f" else labels.long()
    if len(rows):
        labels[rows.tolist()] = labels.new_tensor(new[rows].tolist()).reshape(-1, *y.shape[1:])
    return labels


def _like_series(y: Any, new: np.ndarray, rows: np.ndarray) -> Any:
    is_wider = new.dtype.kind != "b" and getattr(y.dtype, "kind", "O") == "b"
    if isinstance(y.dtype, np.dtype) or is_wider:
        return type(y)(new, index=y.index, name=y.name)
    if hasattr(y, "cat"):
        unknown = np.setdiff1d(new[rows], np.asarray(y.cat.categories))
        y = y.cat.add_categories(unknown.tolist())
    y = y.copy()
    y.iloc[rows] = new[rows]
    return y
