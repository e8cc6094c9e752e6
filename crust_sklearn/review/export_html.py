"""export_review_html: the labels that are probably wrong, as a page to decide on."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .._aside import written_aside
from .._validation import check_number
from ..labels import LabelCodec, get_label_classes, name_labels
from .cells import quote, to_texts
from .contents import count_rows, describe_rows, get_columns
from .decisions import COLUMNS
from .issues import Issues, list_issues
from .neighbors import find_neighbors, get_features


def export_review_html(
    clf: Any,
    path: str | PathLike[str],
    X: Any,
    y: Any = None,
    *,
    index: Any = None,
    features: Any = None,
    n_neighbors: int = 5,
    n_issues: int | None = 500,
    class_names: Any = None,
    image_shape: tuple[int, ...] | None = None,
    title: str = "Label review",
) -> None:
    """Write a page on which a person decides about the labels that are probably wrong.

    It shows, one after the other, the rows with their given and their suggested labels, beside the
    nearest rows that have the suggested one. Each label is kept, changed or dropped with a key or a
    button, and the decisions are saved as the CSV file that :func:`apply_review` reads.

    Parameters
    ----------
    clf : CRUSTClassifier, LabelAuditor, or a Pipeline or search that holds one
        Fitted, as :func:`find_label_issues` needs it.
    path : str or PathLike
        Where to write the page; a file that is there is replaced.
    X : array-like, tensor, DataFrame, sparse matrix, torch Dataset, or list, of n_samples rows
        The rows given to fit, in the same order, or what shows them better: images before they
        were normalized, texts before they were encoded. Arrays of the shape (n, H, W),
        (n, C, H, W) or (n, H, W, C), with one or three channels, are taken for images, and so are
        the images of Pillow, and paths that end as those of images do. Other rows are shown as
        text, or as a table of the first 40 features.
    y : array-like of shape (n_samples,), default=None
        The labels that were given to fit, as of :func:`find_label_issues`.
    index : array-like or pandas Index of shape (n_samples,), default=None
        Names of the rows; None: the index of y, or positions.
    features : array-like, tensor or sparse matrix of shape (n_samples, n_features), default=None
        What rows are compared by, to find the nearest; best what the network made of them. None: X
        itself, if it is an array of numbers; with anything else, no other rows are shown.
    n_neighbors : int, default=5
        How many rows of the suggested label to show beside each. 0: none.
    n_issues : int or None, default=500
        The largest number of rows on the page, the worst first. None: all.
    class_names : sequence of shape (n_classes,) or dict, default=None
        What the labels are called on the page: in the order of `classes_`, or by label. None: as
        they are.
    image_shape : tuple of int, default=None
        The shape of an image, where X holds them as flat rows.
    title : str, default="Label review"
        The heading of the page.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If nothing in `clf` has judged its training labels.
    ValueError
        If X, y, `index` or `features` has another length than the X given to fit, if y is not what
        was given to fit, if rows have the same name, if a name or a label cannot be written in
        UTF-8, if `features` are not finite numbers, if `class_names` lacks a class, if
        `image_shape` does not fit, or if it is not known how to show a row of X.
    TypeError
        If `n_neighbors` or `n_issues` is not an integer.
    ImportError
        If X holds paths of images, and Pillow is not installed.
    OSError
        If the page cannot be written, or an image cannot be read.

    See Also
    --------
    export_review_csv : The same as a table for a spreadsheet.
    apply_review : Reads what was decided.

    Notes
    -----
    The page is one file. It loads nothing, sends nothing, and its content security policy forbids
    it to: no script runs but its own. It *contains* the rows that it shows, so it is as
    confidential as they are. Decisions are kept in the browser's local storage, where it allows
    that, until they are saved.

    Images are reduced to at most 160 pixels a side. Bytes are shown as they are, and so are other
    values in [0, 1]; else the smallest and the largest value of all images that are shown become
    black and white. Pixels that are not finite are grey.

    Neighbours are the nearest by the Euclidean distance of the rows that were given the suggested
    label and are not in doubt themselves.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import LabelAuditor, export_review_html, make_label_noise
    >>> X, y = load_digits(return_X_y=True)
    >>> y = make_label_noise(y, "symmetric", 0.1, random_state=0).y
    >>> page = Path(tempfile.mkdtemp()) / "review.html"
    >>> export_review_html(
    ...     LabelAuditor().fit(X, y), page, X, image_shape=(8, 8), n_issues=20
    ... )
    >>> page.read_text(encoding="utf-8").count(
    ...     "data:image/png"
    ... )  # they have neighbours in common
    116
    """
    check_number("n_neighbors", n_neighbors, kind=Integral, low=0)
    issues = list_issues(clf, y, index, n_issues)
    n_rows = count_rows(X)
    if n_rows != len(issues.names):
        raise ValueError(
            f"X has {n_rows} entries, and {len(issues.names)} rows were given to fit. Give one for "
            "each of them, in the same order."
        )
    neighbors = [np.empty(0, np.int64) for _ in issues.positions]
    compared = get_features(X, features, n_rows) if n_neighbors else None
    if compared is not None:
        neighbors = find_neighbors(
            compared,
            issues.judge.given_labels_,
            issues.judge.label_quality_ < 0.5,
            issues.positions,
            issues.suggested,
            n_neighbors,
        )
    shown = np.concatenate([issues.positions, *neighbors]).astype(np.int64)
    data = {
        "columns": COLUMNS,
        "labels": _describe_labels(issues, class_names),
        "features": get_columns(X) if image_shape is None else None,
        **_describe_issues(issues, neighbors, describe_rows(X, shown, image_shape)),
    }
    page = _make_page(title, data)
    with written_aside(path) as aside:
        # Texts that are only shown may hold what UTF-8 does not.
        Path(aside).write_bytes(page.encode("utf-8", "replace"))


def _describe_labels(issues: Issues, class_names: Any) -> list[dict[str, str]]:
    classes = get_label_classes(issues.judge)
    names = name_labels(classes, class_names, classes)
    return [
        {"cell": quote(text), "name": name}
        for text, name in zip(to_texts(classes), names, strict=True)
    ]


def _describe_issues(
    issues: Issues, neighbors: list[np.ndarray], contents: dict[int, Any]
) -> dict[str, Any]:
    """Return the issues as the script of the page reads them."""
    codec = LabelCodec(get_label_classes(issues.judge))
    columns = zip(
        issues.positions.tolist(),
        codec.encode(issues.given).tolist(),
        codec.encode(issues.suggested).tolist(),
        issues.score.tolist(),
        neighbors,
        strict=True,
    )
    described = [
        {
            "cell": quote(issues.names[row]),
            "name": issues.names[row],
            "given": given,
            "suggested": suggested,
            "score": f"{score:.4f}",
            "content": contents[row][0],
            "neighbors": nearby.tolist(),
        }
        for row, given, suggested, score, nearby in columns
    ]
    # A row that is near several is in the page once.
    others = {
        int(row): {"name": issues.names[row], "content": contents[row][1]}
        for nearby in neighbors
        for row in nearby
    }
    return {"issues": described, "others": others}


def _make_page(title: str, data: dict[str, Any]) -> str:
    """Return the page: the template with its parts, and a policy that lets only these work."""
    folder = files(__package__)
    template, style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")
    )
    text = json.dumps(data, ensure_ascii=False)
    # What would end the script element, or begin a comment in it.
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    parts = {
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "title": escape(title),
        "key": sha256((title + text).encode("utf-8", "replace")).hexdigest()[:16],
        "data": text,
    }
    # In one pass over the template: what is put in is not looked at again.
    pieces = template.split("@@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
