"""Which training labels are probably wrong."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

from ._validation import check_choice
from .labels import check_labels

__all__ = ["JudgedLabels", "LabelIssues", "find_label_issues"]


class LabelIssues(NamedTuple):
    """Rows whose labels are probably wrong, the worst first.

    Attributes
    ----------
    rows : ndarray of shape (n_issues,)
        The rows: their positions in the X given to fit, or their names in an index.
    given_label : ndarray of shape (n_issues,)
        The labels that were given to fit.
    suggested_label : ndarray of shape (n_issues,)
        The labels that the other rows suggest.
    score : ndarray of shape (n_issues,), dtype float64
        Their `label_quality_`, ascending, below 0.5.
    """

    rows: np.ndarray
    given_label: np.ndarray
    suggested_label: np.ndarray
    score: np.ndarray


class JudgedLabels(NamedTuple):
    """All rows with what is thought of their labels, in the order of X.

    Attributes
    ----------
    rows : ndarray of shape (n_samples,)
        The rows: their positions in the X given to fit, or their names in an index.
    given_label : ndarray of shape (n_samples,)
        The labels that were given to fit.
    suggested_label : ndarray of shape (n_samples,)
        The most probable other label where the given one is probably wrong; else the given one.
    score : ndarray of shape (n_samples,), dtype float64
        Their `label_quality_`; NaN for rows that were not judged.
    is_issue : ndarray of shape (n_samples,), dtype bool
        Whether the label is probably wrong: the score is below 0.5.
    """

    rows: np.ndarray
    given_label: np.ndarray
    suggested_label: np.ndarray
    score: np.ndarray
    is_issue: np.ndarray


def find_label_issues(
    clf: Any,
    y: Any = None,
    *,
    index: Any = None,
    as_frame: bool | str = "auto",
    all_rows: bool = False,
) -> Any:
    """List the training rows whose labels are probably wrong, the worst first.

    Parameters
    ----------
    clf : CRUSTClassifier, LabelAuditor, or a Pipeline or search that holds one
        Fitted; a CRUSTClassifier for longer than its warm-up. Of a Pipeline, the last step is
        taken; of a search such as ``GridSearchCV``, the `best_estimator_`.
    y : array-like of shape (n_samples,), default=None
        The labels that were given to fit, in the same order: they are compared with those that fit
        has seen. The index of a pandas Series names the rows. None: those that fit has seen.
    index : array-like or pandas Index of shape (n_samples,), default=None
        Names of the rows, for instance ``X.index``; None: the index of y, or positions. A pandas
        object keeps its own name, or names.
    as_frame : bool or "auto", default="auto"
        Whether to return a DataFrame; "auto": where pandas is installed.
    all_rows : bool, default=False
        Whether to return all rows, in the order of X, in place of the list.

    Returns
    -------
    issues : pandas.DataFrame, LabelIssues or JudgedLabels
        The rows whose given label is probably wrong. A DataFrame has the columns
        "given_label", "suggested_label" and "score", and the rows' names as its index; without, it
        is a LabelIssues. With `all_rows`, there is a further column "is_issue", and without
        DataFrame it is a JudgedLabels.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If nothing in `clf` has judged its training labels: it is of another kind, was not fitted,
        or, a CRUSTClassifier, stopped before its first selection.
    ValueError
        If y is not what was given to fit, if y or `index` has another length, or if `as_frame` is
        unknown.
    ImportError
        If `as_frame` is True and pandas is not installed.

    Notes
    -----
    The score is `label_quality_` of the estimator. Rows of a validation split have none: they are
    not listed, and among all rows their score is NaN. Rows of weight zero have one, to which they
    do not contribute themselves.

    Rows are those that the estimator was given: behind a step that drops rows, as
    imbalanced-learn's pipelines have them, those that were left.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CRUSTClassifier, find_label_issues
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_iris(return_X_y=True)
    >>> y[[7, 120]] = [2, 0]
    >>> clf = CRUSTClassifier(MLP, verbose=0, random_state=0)
    >>> issues = find_label_issues(clf.fit(X.astype("float32"), y))
    >>> issues.loc[[7, 120], ["given_label", "suggested_label"]]
         given_label  suggested_label
    7              2                0
    120            0                2
    >>> len(find_label_issues(clf, all_rows=True))
    150
    """
    check_choice("as_frame", as_frame, (True, False, "auto"))
    judge = get_judge(clf)
    given, quality = judge.given_labels_, judge.label_quality_
    if y is not None:
        check_given_labels(y, given)
    names = get_names(index, y, len(given))
    is_issue = quality < 0.5
    rows = np.arange(len(given))
    if not all_rows:
        rows = np.argsort(quality, kind="stable")[: np.count_nonzero(is_issue)]
    names = names.take(rows)
    columns = np.asarray(names), given[rows], judge.suggested_labels_[rows], quality[rows]
    issues: LabelIssues | JudgedLabels = (
        JudgedLabels(*columns, is_issue) if all_rows else LabelIssues(*columns)
    )
    return issues if as_frame is False else _to_frame(issues, names, needed=as_frame is True)


def get_judge(estimator: Any) -> Any:
    """Return the fitted estimator in another that has judged its training labels.

    Parameters
    ----------
    estimator : estimator
        The one itself, or a Pipeline or search that holds it, also one in the other.

    Returns
    -------
    judge : estimator
        It has `label_quality_`, `given_labels_` and `suggested_labels_`.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If there is none.
    """
    found = estimator
    path = [type(found).__name__]
    while not hasattr(found, "label_quality_"):
        if hasattr(found, "best_estimator_"):
            found = found.best_estimator_
        elif getattr(found, "steps", None):
            found = found.steps[-1][1]
        else:
            raise NotFittedError(
                f"No training labels have been judged yet: {' > '.join(path)} has no "
                "label_quality_. Give a fitted LabelAuditor, or a CRUSTClassifier that was fitted "
                "for more than warmup_epochs epochs (its get_summary() says what is missing): "
                "alone, as the last step of a Pipeline, or in a search with refit=True."
            )
        path.append(type(found).__name__)
    return found


def check_given_labels(y: Any, given: np.ndarray) -> None:
    """Raise if y are not the labels that were given to fit.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
    given : ndarray of shape (n_samples,)
        What fit has seen.
    """
    labels = check_labels(y)
    _check_length("y", labels, len(given))
    differing = np.flatnonzero(labels != given)
    if len(differing):
        row = differing[0]
        raise ValueError(
            f"y is not what was given to fit: {len(differing)} of {len(given)} rows differ, the "
            f"first of them row {row}, whose label was {given[row : row + 1].tolist()[0]!r} and is "
            f"{labels[row : row + 1].tolist()[0]!r} in y. Leave y out, which takes the labels that "
            "fit has seen, or fit again with these."
        )


def get_names(index: Any, y: Any, n_rows: int) -> Any:
    """Return the rows' names: as they are if they are pandas', else as an array.

    Parameters
    ----------
    index : array-like or pandas Index of shape (n_rows,), or None
        The names; None: the index of y, or positions.
    y : array-like or Series of shape (n_rows,), or None
    n_rows : int

    Returns
    -------
    names : pandas Index, Series or ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If there are not as many names as rows.
    """
    if index is None:
        index = getattr(y, "index", None)
        if index is None or callable(index):  # a list has a method of this name
            return np.arange(n_rows)
    if not (hasattr(index, "names") or hasattr(index, "iloc")):
        index = np.asarray(index)
    if index.ndim != 1:
        raise ValueError(
            f"index has shape {index.shape}: give one name per row; where it has several, a "
            "pandas.MultiIndex of them."
        )
    _check_length("index", index, n_rows)
    return index


def _check_length(name: str, values: Any, n_rows: int) -> None:
    if len(values) != n_rows:
        raise ValueError(
            f"{name} has {len(values)} entries, and {n_rows} rows were given to fit. Give one for "
            "each of them, in the same order."
        )


def _to_frame(issues: LabelIssues | JudgedLabels, names: Any, *, needed: bool) -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        if not needed:
            return issues
        raise ImportError(
            "as_frame=True needs pandas: pip install pandas, or set as_frame=False."
        ) from error
    columns = {name: column for name, column in issues._asdict().items() if name != "rows"}
    return pd.DataFrame(columns, index=names)
