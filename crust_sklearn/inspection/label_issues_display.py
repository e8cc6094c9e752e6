"""LabelIssuesDisplay: the labels that are probably wrong, to look at."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from .._images import to_images
from .._validation import check_number
from ..label_issues import find_label_issues, get_judge
from ..labels import check_labels, get_label_classes, name_labels
from ._gallery import draw_rows
from ._pyplot import import_pyplot
from ._rows import check_input, get_feature_names, get_row_names, take_rows


class LabelIssuesDisplay:
    """The labels that are probably wrong, the worst first: images, or a table.

    Use `from_estimator` to make one. The parameters are kept as attributes.

    Parameters
    ----------
    rows : array-like of shape (n_shown,)
        The rows, by position or by name.
    given_label : array-like of shape (n_shown,)
        Their labels, as they are to be called.
    suggested_label : array-like of shape (n_shown,)
        The labels that the other rows suggest, as they are to be called.
    score : array-like of shape (n_shown,)
        Their `label_quality_`, ascending.
    n_found : int
        How many labels are probably wrong; not all of them may be shown.
    images : ndarray of shape (n_shown, H, W) or (n_shown, H, W, 3), default=None
        The rows as images, in [0, 1]. None: a table.
    features : ndarray of shape (n_shown, ...), default=None
        The rows of X, of which the table shows the first six columns.
    feature_names : list of str, default=None
        The names of these columns.

    Attributes
    ----------
    ax_ : matplotlib Axes
    axes_ : ndarray of matplotlib Axes
        Those of the images, inside of `ax_`; none for a table.
    table_ : matplotlib Table or None
    figure_ : matplotlib Figure

    See Also
    --------
    crust_sklearn.find_label_issues : The list itself.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import CRUSTClassifier, make_label_noise
    >>> from crust_sklearn.inspection import LabelIssuesDisplay
    >>> from crust_sklearn.modules import MLP
    >>> X, y_true = load_digits(return_X_y=True)
    >>> X, y = (
    ...     X[:500] / 16,
    ...     make_label_noise(y_true[:500], "symmetric", 0.2, random_state=0).y,
    ... )
    >>> clf = CRUSTClassifier(MLP, verbose=0, random_state=0).fit(X, y)
    >>> display = LabelIssuesDisplay.from_estimator(clf, X, n_issues=10, image_shape=(8, 8))
    >>> display.images.shape
    (10, 8, 8)
    """

    def __init__(
        self,
        *,
        rows: Any,
        given_label: Any,
        suggested_label: Any,
        score: Any,
        n_found: int,
        images: np.ndarray | None = None,
        features: np.ndarray | None = None,
        feature_names: list[str] | None = None,
    ):
        self.rows = rows
        self.given_label = given_label
        self.suggested_label = suggested_label
        self.score = score
        self.n_found = n_found
        self.images = images
        self.features = features
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        clf: Any,
        X: Any,
        y: Any = None,
        *,
        n_issues: int = 20,
        class_names: Any = None,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> LabelIssuesDisplay:
        """Plot the worst training labels of a fitted classifier.

        Parameters
        ----------
        clf : CRUSTClassifier, or a Pipeline or search that holds one
            Fitted, for longer than its warm-up.
        X : array-like, tensor, DataFrame, sparse matrix or torch Dataset of n_samples rows
            The rows given to fit, in the same order, or what shows them better: images before
            they were normalized, texts before they were encoded. Of the shape (n, H, W),
            (n, C, H, W) or (n, H, W, C), with one or three channels, they are taken for images.
            The index of a DataFrame, or of y, names the rows.
        y : array-like of shape (n_samples,), default=None
            The labels that were given to fit, which are compared with those that fit has seen.
            None: those that fit has seen.
        n_issues : int, default=20
            The largest number of labels to show.
        class_names : sequence of shape (n_classes,) or dict, default=None
            What the labels are called: in the order of `classes_`, or by label. None: as they are.
        image_shape : tuple of int, default=None
            The shape of an image, where X holds them as flat rows.
        ax : matplotlib Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : LabelIssuesDisplay

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If nothing in `clf` has judged its training labels: it was not fitted, or stopped before
            its first selection.
        ValueError
            If X or y has another length than the X given to fit, if y is not what was given to fit,
            if `class_names` lacks a class, if `image_shape` does not fit, or if it is not known how
            to show a row of X.
        TypeError
            If `n_issues` is not an integer.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        Bytes are shown as they are, and so are other values in [0, 1]. Else, as after
        normalization, the smallest and the largest value of all images that are shown become
        black and white.
        """
        import_pyplot(f"{cls.__name__}.from_estimator")
        check_number("n_issues", n_issues, kind=Integral, low=1)
        judge = get_judge(clf)
        n_rows = len(judge.given_labels_)
        found = find_label_issues(judge, None if y is None else check_labels(y), as_frame=False)
        check_input(X, n_rows)
        worst = found.rows[:n_issues]
        features = take_rows(X, worst) if len(worst) else None
        classes = get_label_classes(judge)
        return cls(
            rows=get_row_names(n_rows, X, y)[worst],
            given_label=name_labels(found.given_label[:n_issues], class_names, classes),
            suggested_label=name_labels(found.suggested_label[:n_issues], class_names, classes),
            score=found.score[:n_issues],
            n_found=len(found.rows),
            images=None if features is None else to_images(features, image_shape),
            features=features,
            feature_names=get_feature_names(X),
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> LabelIssuesDisplay:
        """Plot the display; where there is no label to show, it says so.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; images get Axes of their own inside of it. None: a new figure.
        **kwargs : dict
            Passed on to ``Axes.imshow`` for each image, or to ``Axes.table``.

        Returns
        -------
        self : LabelIssuesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot(f"{type(self).__name__}.plot")
        if len(self.rows):
            self.ax_, self.axes_, self.table_ = self._draw(plt, ax, kwargs)
        else:
            self.axes_, self.table_ = np.empty(0, dtype=object), None
            self.ax_ = plt.subplots(figsize=(5.0, 1.5))[1] if ax is None else ax
            self.ax_.set_axis_off()
            self.ax_.text(0.5, 0.5, "No label is probably wrong.", ha="center", va="center")
        self.figure_ = self.ax_.figure
        return self

    def _draw(self, plt: Any, ax: Any, kwargs: dict[str, Any]) -> tuple[Any, np.ndarray, Any]:
        columns = zip(self.rows, self.given_label, self.suggested_label, self.score, strict=True)
        cells = [[*map(str, names), f"{score:.2f}"] for *names, score in columns]
        captions = [
            f"{given} \N{RIGHTWARDS ARROW} {suggested}\nrow {row}: {score}"
            for row, given, suggested, score in cells
        ]
        return draw_rows(
            plt,
            ax,
            images=self.images,
            captions=captions,
            header=["row", "given", "suggested", "score"],
            cells=cells,
            features=self.features,
            feature_names=self.feature_names,
            title=f"{len(self.rows)} of {self.n_found} labels that are probably wrong",
            colors=["black"] * len(self.rows),
            **kwargs,
        )
