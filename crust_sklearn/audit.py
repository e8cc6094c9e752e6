"""Which training labels are probably wrong."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._validation import check_choice
from .labels import check_labels

__all__ = ["LabelIssues", "find_label_issues"]


class LabelIssues(NamedTuple):
    """Rows whose labels are probably wrong, the worst first.

    Attributes
    ----------
    rows : ndarray of shape (n_issues,)
        The rows: their positions in the X given to fit, or their names in an index.
    given_label : ndarray of shape (n_issues,)
        Their labels in y.
    suggested_label : ndarray of shape (n_issues,)
        The labels that the other rows suggest.
    score : ndarray of shape (n_issues,), dtype float64
        Their `label_quality_`, ascending, below 0.5.
    """

    rows: np.ndarray
    given_label: np.ndarray
    suggested_label: np.ndarray
    score: np.ndarray


def find_label_issues(clf: Any, y: Any, *, index: Any = None, as_frame: bool | str = "auto") -> Any:
    """List the training rows whose labels are probably wrong, the worst first.

    Parameters
    ----------
    clf : CRUSTClassifier
        Fitted, for longer than its warm-up.
    y : array-like of shape (n_samples,)
        The labels that were given to fit, in the same order. The index of a pandas Series names
        the rows.
    index : array-like of shape (n_samples,), default=None
        Names of the rows, for instance ``X.index``; None: the index of y, or positions.
    as_frame : bool or "auto", default="auto"
        Whether to return a DataFrame; "auto": where pandas is installed.

    Returns
    -------
    issues : pandas.DataFrame or LabelIssues
        The rows in which another label fits better than the given one; a DataFrame has the columns
        "given_label", "suggested_label" and "score", and the rows' names as its index.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If `clf` was not fitted, or stopped before its first selection.
    ValueError
        If y or `index` has another length than the X given to fit, or if `as_frame` is unknown.
    ImportError
        If `as_frame` is True and pandas is not installed.

    Notes
    -----
    The score is `CRUSTClassifier.label_quality_`. Rows of a validation split have none and are not
    listed. Rows of weight zero have one, to which they do not contribute themselves.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CRUSTClassifier, find_label_issues
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_iris(return_X_y=True)
    >>> y[[7, 120]] = [2, 0]
    >>> clf = CRUSTClassifier(MLP, max_epochs=10, lr=0.05, verbose=0, random_state=0)
    >>> issues = find_label_issues(clf.fit(X.astype("float32"), y), y)
    >>> issues.loc[[7, 120], ["given_label", "suggested_label"]]
         given_label  suggested_label
    7              2                0
    120            0                2
    """
    check_choice("as_frame", as_frame, (True, False, "auto"))
    check_is_fitted(
        clf,
        ["label_quality_", "suggested_labels_"],
        msg="This %(name)s has not judged its training labels yet: fit it, for more than "
        "warmup_epochs epochs.",
    )
    if index is None:
        index = getattr(y, "index", None)
        if index is None or callable(index):  # a list has a method of this name
            index = np.arange(len(clf.label_quality_))
    index, labels = np.asarray(index), check_labels(y)
    for name, values in (("y", labels), ("index", index)):
        if len(values) != len(clf.label_quality_):
            raise ValueError(
                f"{name} has {len(values)} entries, and {len(clf.label_quality_)} rows were given "
                "to fit. Give one for each of them, in the same order."
            )
    quality = clf.label_quality_
    worst = np.argsort(quality, kind="stable")[: np.count_nonzero(quality < 0.5)]
    issues = LabelIssues(index[worst], labels[worst], clf.suggested_labels_[worst], quality[worst])
    return issues if as_frame is False else _to_frame(issues, needed=as_frame is True)


def _to_frame(issues: LabelIssues, *, needed: bool) -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        if not needed:
            return issues
        raise ImportError(
            "as_frame=True needs pandas: pip install pandas, or set as_frame=False."
        ) from error
    columns = {name: column for name, column in issues._asdict().items() if name != "rows"}
    return pd.DataFrame(columns, index=issues.rows)
