"""ClusterDisplay: a chosen row, and the rows that it stands for."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._images import to_images
from .._validation import check_number
from ..labels import check_labels, name_labels
from ._gallery import draw_rows
from ._pyplot import import_pyplot
from ._rows import (
    check_input,
    check_n_rows,
    get_feature_names,
    get_row_names,
    take_rows,
)


class ClusterDisplay:
    """A medoid and the members of its cluster V_j: images, or a table.

    V_j are the rows that the medoid j is the nearest of all medoids to [1]_. Use `from_estimator`
    to make one. The parameters are kept as attributes.

    Parameters
    ----------
    rows : array-like of shape (n_shown,)
        The medoid, then the members, by position or by name.
    n_members : int
        How many rows the medoid stands for, itself included; not all of them may be shown.
    labels : array-like of shape (n_shown,), default=None
        Their labels, as they are to be called. A label that is not the medoid's is red.
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

    References
    ----------
    .. [1] Mirzasoleiman, Cao, Leskovec, "Coresets for Robust Training of Neural Networks
       against Noisy Labels", NeurIPS 2020, Section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import CoresetSelector
    >>> from crust_sklearn.inspection import ClusterDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> selector = CoresetSelector(coreset_size=50, stratify=False).fit(X)
    >>> display = ClusterDisplay.from_estimator(selector, X, y, image_shape=(8, 8))
    >>> bool(display.n_members == selector.sample_weight_.max())
    True
    """

    def __init__(
        self,
        *,
        rows: Any,
        n_members: int,
        labels: Any = None,
        images: np.ndarray | None = None,
        features: np.ndarray | None = None,
        feature_names: list[str] | None = None,
    ):
        self.rows = rows
        self.n_members = n_members
        self.labels = labels
        self.images = images
        self.features = features
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        medoid: int | None = None,
        n_members: int = 20,
        class_names: Any = None,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ClusterDisplay:
        """Plot a cluster of the last selection of a classifier, or of a selector.

        Parameters
        ----------
        estimator : CRUSTClassifier, CoresetSelector or CoresetSampler
            Fitted; a classifier for longer than its warm-up.
        X : array-like, tensor, DataFrame, sparse matrix or torch Dataset of n_samples rows
            The rows given to fit, in the same order, or what shows them better, as in
            :meth:`LabelIssuesDisplay.from_estimator`.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        medoid : int, default=None
            The position of the medoid in X, one of `coreset_indices_` (`sample_indices_` of a
            selector). None: that of the largest cluster.
        n_members : int, default=20
            The largest number of rows to show, the medoid included. The others are shown in the
            order of X.
        class_names : sequence of shape (n_classes,) or dict, default=None
            What the labels are called: in the order of `classes_` (the sorted labels for a
            selector), or by label. None: as they are.
        image_shape : tuple of int, default=None
            The shape of an image, where X holds them as flat rows.
        ax : matplotlib Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : ClusterDisplay

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `estimator` has no coreset.
        ValueError
            If `medoid` was not chosen, if no row has a medoid, if X or y has another length than
            the X given to fit, if `class_names` lacks a class, if `image_shape` does not fit, or
            if it is not known how to show a row of X.
        TypeError
            If `medoid` or `n_members` is not an integer.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        Nearness is that of gradients, for a classifier, and within the groups that rows were
        chosen from: members need not look alike. Every strategy assigns all rows to the chosen
        ones, but only those that minimize distances ("facility-location", "k-medoids") choose rows
        to stand for others. Values of images are brought to [0, 1] as in
        :meth:`LabelIssuesDisplay.from_estimator`.
        """
        import_pyplot(f"{cls.__name__}.from_estimator")
        check_number("n_members", n_members, kind=Integral, low=1)
        medoids, assignment = _get_clusters(estimator)
        check_input(X, len(assignment))
        members = _find_members(medoids, assignment, medoid)
        shown = members[:n_members]
        labels = None
        if y is not None:
            all_labels = check_labels(y)
            check_n_rows("y", all_labels, len(assignment))
            classes = getattr(estimator, "classes_", np.unique(all_labels))
            labels = name_labels(all_labels[shown], class_names, classes)
        features = take_rows(X, shown)
        return cls(
            rows=get_row_names(len(assignment), X, y)[shown],
            n_members=len(members),
            labels=labels,
            images=to_images(features, image_shape),
            features=features,
            feature_names=get_feature_names(X),
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> ClusterDisplay:
        """Plot the display: the medoid first, in blue.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; images get Axes of their own inside of it. None: a new figure.
        **kwargs : dict
            Passed on to ``Axes.imshow`` for each image, or to ``Axes.table``.

        Returns
        -------
        self : ClusterDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot(f"{type(self).__name__}.plot")
        header, cells = ["row"], [[str(row)] for row in self.rows]
        captions = [f"row {row}" for row in self.rows]
        if self.labels is not None:
            header.append("label")
            cells = [[*row, str(label)] for row, label in zip(cells, self.labels, strict=True)]
            captions = [f"{a}\n{b}" for a, b in zip(self.labels, captions, strict=True)]
        self.ax_, self.axes_, self.table_ = draw_rows(
            plt,
            ax,
            images=self.images,
            captions=captions,
            header=header,
            cells=cells,
            features=self.features,
            feature_names=self.feature_names,
            title=f"{len(self.rows)} of the {self.n_members} rows that row {self.rows[0]} "
            "stands for",
            colors=self._get_colors(),
            **kwargs,
        )
        self.figure_ = self.ax_.figure
        return self

    def _get_colors(self) -> list[str]:
        if self.labels is None:
            return ["tab:blue", *["black"] * (len(self.rows) - 1)]
        own, *others = self.labels
        return ["tab:blue", *["black" if label == own else "tab:red" for label in others]]


def _get_clusters(estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the chosen rows, and the position of each row's medoid among them."""
    check_is_fitted(
        estimator,
        ["coreset_assignment_", "assignment_"],
        all_or_any=any,
        msg="This %(name)s has no coreset yet: fit it; a classifier for more than warmup_epochs "
        "epochs.",
    )
    if hasattr(estimator, "coreset_assignment_"):
        medoids, assignment = estimator.coreset_indices_, estimator.coreset_assignment_
    else:
        medoids, assignment = estimator.sample_indices_, estimator.assignment_
    if (assignment < 0).all():
        raise ValueError(
            "The strategy assigned no row to a chosen one: there are no clusters. Use one that "
            "does, for instance selector='facility-location'."
        )
    return medoids, assignment


def _find_members(medoids: np.ndarray, assignment: np.ndarray, medoid: int | None) -> np.ndarray:
    """Return the rows of a cluster, the medoid first."""
    if medoid is None:
        position = int(np.bincount(assignment[assignment >= 0]).argmax())
    else:
        check_number("medoid", medoid, kind=Integral, low=0)
        found = np.flatnonzero(medoids == medoid)
        if not len(found):
            raise ValueError(
                f"medoid={medoid} is not a chosen row. Give one of coreset_indices_ "
                "(sample_indices_ of a selector), or None."
            )
        position = int(found[0])
    members = np.flatnonzero(assignment == position)
    return np.concatenate([medoids[[position]], members[members != medoids[position]]])
