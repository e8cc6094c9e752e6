"""export_review_csv: the labels that are probably wrong, as a table to decide in."""

from __future__ import annotations

import csv
import io
from os import PathLike
from pathlib import Path
from typing import Any

from .._aside import written_aside
from .cells import quote, to_texts
from .decisions import COLUMNS
from .issues import list_issues


def export_review_csv(
    clf: Any,
    path: str | PathLike[str],
    y: Any = None,
    *,
    index: Any = None,
    n_issues: int | None = None,
) -> None:
    """Write the labels that are probably wrong to a CSV file, for a person to decide on.

    Parameters
    ----------
    clf : CRUSTClassifier, LabelAuditor, or a Pipeline or search that holds one
        Fitted, as :func:`find_label_issues` needs it.
    path : str or PathLike
        Where to write; a file that is there is replaced.
    y : array-like of shape (n_samples,), default=None
        The labels that were given to fit, as of :func:`find_label_issues`.
    index : array-like or pandas Index of shape (n_samples,), default=None
        Names of the rows; None: the index of y, or positions.
    n_issues : int or None, default=None
        The largest number of rows to write, the worst first. None: all.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If nothing in `clf` has judged its training labels.
    ValueError
        If y is not what was given to fit, if y or `index` has another length, if rows have the
        same name, or if a name or a label cannot be written in UTF-8; a file that is there is
        then as it was.
    TypeError
        If `n_issues` is not an integer.
    OSError
        If the file cannot be written.

    See Also
    --------
    export_review_html : The same as a page that shows the rows.
    apply_review : Reads what was decided.

    Notes
    -----
    The columns are "row", "given_label", "suggested_label", "score" (`label_quality_`), and, to be
    filled in, "decision" ("keep", "change" or "drop") and "new_label". The file is in UTF-8 with a
    byte order mark, by which Excel knows it. What a spreadsheet would take for a formula, also
    where it takes a separator inside of a text for the end of a cell, has an apostrophe before it,
    and so have texts that pandas would read as missing, such as NA; :func:`apply_review` takes them
    away.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import LabelAuditor, export_review_csv
    >>> X, y = load_iris(return_X_y=True)
    >>> y[[7, 120]] = [2, 0]
    >>> path = Path(tempfile.mkdtemp()) / "review.csv"
    >>> export_review_csv(LabelAuditor().fit(X, y), path, n_issues=2)
    >>> print(path.read_text(encoding="utf-8-sig").strip())
    row,given_label,suggested_label,score,decision,new_label
    7,2,0,0.0002,,
    120,0,2,0.0004,,
    """
    issues = list_issues(clf, y, index, n_issues)
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    writer.writerows(
        [quote(issues.names[row]), quote(given), quote(suggested), f"{score:.4f}", "", ""]
        for row, given, suggested, score in zip(
            issues.positions,
            to_texts(issues.given),
            to_texts(issues.suggested),
            issues.score,
            strict=True,
        )
    )
    with written_aside(path) as aside:
        Path(aside).write_bytes(table.getvalue().encode("utf-8-sig"))
