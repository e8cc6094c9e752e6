"""ReviewDisplay: what a review has made of the labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..labels import check_labels, name_labels, unite_labels
from ._pyplot import import_pyplot
from ._rows import check_n_rows


class ReviewDisplay:
    """What a review has made of the labels: kept, changed to which, or dropped, class by class.

    Use `from_review` to make one. The parameters are kept as attributes.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes + 1), dtype int64
        How many rows that were decided have gone from the class of the row to that of the column:
        on the diagonal those that were kept. The last column has those that were dropped.
    n_before : ndarray of shape (n_classes,), dtype int64
        How many rows of each class there were.
    n_after : ndarray of shape (n_classes,), dtype int64
        How many there are, without those that were dropped.
    class_names : list of str
        What the classes are called.

    Attributes
    ----------
    ax_ : matplotlib Axes
    im_ : matplotlib AxesImage
    text_ : ndarray of shape (n_classes, n_classes + 1) of matplotlib Text or None
        The counts; None where there is nothing.
    figure_ : matplotlib Figure

    See Also
    --------
    crust_sklearn.apply_review : Reads what was decided.

    Examples
    --------
    >>> from crust_sklearn import apply_review
    >>> from crust_sklearn.inspection import ReviewDisplay
    >>> y = ["cat", "dog", "cat", "dog"]
    >>> reviewed = apply_review(
    ...     y, [{"row": 2, "new_label": "dog"}, {"row": 0, "decision": "drop"}]
    ... )
    >>> ReviewDisplay.from_review(y, reviewed).counts
    array([[0, 1, 1],
           [0, 0, 0]])
    """

    def __init__(
        self,
        *,
        counts: np.ndarray,
        n_before: np.ndarray,
        n_after: np.ndarray,
        class_names: list[str],
    ):
        self.counts = counts
        self.n_before = n_before
        self.n_after = n_after
        self.class_names = class_names

    @classmethod
    def from_review(
        cls, y: Any, reviewed: Any, *, class_names: Any = None, ax: Any = None, **kwargs: Any
    ) -> ReviewDisplay:
        """Plot what has become of labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The labels before the review.
        reviewed : ReviewedLabels
            What :func:`crust_sklearn.apply_review` has made of them.
        class_names : sequence of shape (n_classes,) or dict, default=None
            What the labels are called: in sorted order, those that are new in the review among
            them, or by label. None: as they are.
        ax : matplotlib Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : ReviewDisplay

        Raises
        ------
        ValueError
            If y has another length than what was reviewed, or labels that were changed by another
            hand, or if `class_names` lacks a class.
        ImportError
            If matplotlib is not installed.
        """
        import_pyplot(f"{cls.__name__}.from_review")
        before, after = check_labels(y), check_labels(reviewed.y)
        check_n_rows("y", before, len(after))
        is_changed = reviewed.decision == "change"
        if row := np.flatnonzero((before != after) & ~is_changed)[:1].tolist():
            raise ValueError(
                f"y are not the labels before the review: row {row[0]} differs, and was not "
                "changed by it. Give the labels that apply_review was given."
            )
        classes = unite_labels(before, after)
        n_classes = len(classes)
        old, new = np.searchsorted(classes, before), np.searchsorted(classes, after)
        column = np.where(reviewed.is_kept, new, n_classes)
        counts = np.zeros((n_classes, n_classes + 1), np.int64)
        is_decided = reviewed.decision != ""
        np.add.at(counts, (old[is_decided], column[is_decided]), 1)
        return cls(
            counts=counts,
            n_before=np.bincount(old, minlength=n_classes),
            n_after=np.bincount(new[reviewed.is_kept], minlength=n_classes),
            class_names=list(name_labels(classes, class_names, classes)),
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> ReviewDisplay:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        **kwargs : dict
            Passed on to ``Axes.imshow``, as ``cmap``.

        Returns
        -------
        self : ReviewDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot(f"{type(self).__name__}.plot")
        n_classes = len(self.class_names)
        if ax is None:
            size = max(4.5, 0.55 * n_classes + 2.5)
            _, ax = plt.subplots(figsize=(size + 0.6, size), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.im_ = ax.imshow(self.counts, **{"cmap": "Blues", "vmin": 0} | kwargs)
        self.text_ = np.full(self.counts.shape, None, dtype=object)
        low, high = self.im_.cmap(0.0), self.im_.cmap(1.0)
        for i, j in zip(*np.nonzero(self.counts), strict=True):
            is_dark = self.counts[i, j] > self.counts.max() / 2
            self.text_[i, j] = ax.text(
                j,
                i,
                f"{self.counts[i, j]}",
                ha="center",
                va="center",
                color=low if is_dark else high,
            )
        ax.axvline(n_classes - 0.5, color="gray", linewidth=1)
        before, after = (
            [f"{name} ({n})" for name, n in zip(self.class_names, numbers, strict=True)]
            for numbers in (self.n_before, self.n_after)
        )
        ax.set_yticks(range(n_classes), before)
        ax.set_xticks(range(n_classes + 1), [*after, "dropped"], rotation=45, ha="right")
        kept, dropped = np.trace(self.counts), self.counts[:, -1].sum()
        n_decided = self.counts.sum()
        n_changed = n_decided - kept - dropped
        ax.set(
            ylabel="label before (rows)",
            xlabel="label after (rows)",
            title=f"{n_decided} labels reviewed: {kept} kept, {n_changed} changed, "
            f"{dropped} dropped",
        )
        ax.title.set_fontsize("medium")
        return self
