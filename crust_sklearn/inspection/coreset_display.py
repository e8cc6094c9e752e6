"""CoresetDisplay: what became of the coreset over the epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._pyplot import import_pyplot
from ._right_labels import find_right_labels


class CoresetDisplay:
    """The coresets of a training: their size, how clean they were, how much they changed.

    Use `from_estimator` to make one. The parameters are kept as attributes.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
        The epochs, from 1, as skorch prints them.
    coreset_size : array-like of shape (n_epochs,)
        The number of rows trained on.
    selection_epochs : array-like of shape (n_selections,)
        The first epoch that was trained on each selection.
    turnover : array-like of shape (n_selections,)
        How much each coreset differs from the one before, 0 to 1; NaN for the first.
    selection_dur : array-like of shape (n_selections,)
        The seconds that gradients and selection took.
    clean_fraction : array-like of shape (n_selections,), default=None
        The share of the chosen rows whose label is right.
    recall : array-like of shape (n_selections,), default=None
        The share of the rows whose label is right that was chosen.
    base_clean_fraction : float, default=None
        The share of all training rows whose label is right.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Size, cleanness if it is known, turnover, time.
    figure_ : matplotlib Figure

    See Also
    --------
    crust_sklearn.CRUSTClassifier : Its `coreset_history_` has the rows of each selection.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CRUSTClassifier, make_label_noise
    >>> from crust_sklearn.inspection import CoresetDisplay
    >>> from crust_sklearn.modules import MLP
    >>> X, y_true = load_iris(return_X_y=True)
    >>> y = make_label_noise(y_true, "symmetric", 0.3, random_state=0).y
    >>> clf = CRUSTClassifier(MLP, max_epochs=12, verbose=0, random_state=0).fit(X, y)
    >>> display = CoresetDisplay.from_estimator(clf, y=y, y_true=y_true)
    >>> display.selection_epochs
    array([ 2,  5,  8, 11])
    """

    def __init__(
        self,
        *,
        epochs: Any,
        coreset_size: Any,
        selection_epochs: Any,
        turnover: Any,
        selection_dur: Any,
        clean_fraction: Any = None,
        recall: Any = None,
        base_clean_fraction: float | None = None,
    ):
        self.epochs = epochs
        self.coreset_size = coreset_size
        self.selection_epochs = selection_epochs
        self.turnover = turnover
        self.selection_dur = selection_dur
        self.clean_fraction = clean_fraction
        self.recall = recall
        self.base_clean_fraction = base_clean_fraction

    @classmethod
    def from_estimator(
        cls,
        clf: Any,
        *,
        y: Any = None,
        y_true: Any = None,
        is_clean: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> CoresetDisplay:
        """Plot the coresets of a fitted classifier.

        How clean they were is shown if it is told which labels are right: by `y` and `y_true`, or
        by `is_clean`.

        Parameters
        ----------
        clf : CRUSTClassifier, or another NoisyLabelClassifier that chooses rows
            Fitted, for longer than its warm-up.
        y : array-like of shape (n_samples,), default=None
            The labels that were given to fit, in the same order.
        y_true : array-like of shape (n_samples,), default=None
            The true labels of the same rows.
        is_clean : array-like of bool of shape (n_samples,), default=None
            Which labels are right, in place of `y` and `y_true`.
        ax : array-like of matplotlib Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : CoresetDisplay

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `clf` has made no selection, or its selections were trimmed away.
        ValueError
            If all selections are of later epochs than `history` has, if a length is not that of the
            X given to fit, if only one of `y` and `y_true` is given, or `is_clean` besides, or if
            no label is right.
        TypeError
            If `is_clean` does not hold bools.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        Rows without `label_quality_`, those of a validation split, do not count, nor do selections
        from another number of rows, in earlier calls of `partial_fit`: these have no cleanness.

        Where `history` goes back to fewer epochs, as ``load_params(checkpoint=...)`` sets it, the
        selections of those that it lacks are not shown.
        """
        import_pyplot(f"{cls.__name__}.from_estimator")
        check_is_fitted(
            clf,
            ["coreset_history_"],
            msg="This %(name)s has no coreset_history_: fit it, for more than warmup_epochs "
            "epochs, and do not trim it for prediction. A method that chooses no rows has none.",
        )
        history = clf.history
        selections = clf.coreset_history_.before(len(history))
        if not len(selections):
            raise ValueError(
                f"There is no selection to show: history has {len(history)} epochs, and "
                "coreset_history_ has selections of later ones only. Load the history that goes "
                "with it, or fit again."
            )
        # The column of an epoch that was interrupted may be missing.
        durations = [
            history[int(epoch)].get("selection_dur", np.nan) for epoch in selections.epochs
        ]
        display = cls(
            epochs=np.arange(1, len(history) + 1),
            coreset_size=np.array([row.get("coreset_size", np.nan) for row in history]),
            selection_epochs=selections.epochs + 1,
            turnover=selections.turnover,
            selection_dur=np.array(durations),
        )
        n_rows = int(clf.coreset_history_.n_rows[-1])
        is_right = _find_right(y, y_true, is_clean, n_rows)
        if is_right is not None:
            quality = getattr(clf, "label_quality_", ())
            in_train = ~np.isnan(quality) if len(quality) == n_rows else np.ones(n_rows, bool)
            display._add_cleanness(selections, is_right, in_train)
        return display.plot(ax=ax, **kwargs)

    def _add_cleanness(self, selections: Any, is_right: np.ndarray, in_train: np.ndarray) -> None:
        shape = len(selections)
        self.clean_fraction, self.recall = np.full(shape, np.nan), np.full(shape, np.nan)
        self.base_clean_fraction = float(is_right[in_train].mean())
        n_right = (is_right & in_train).sum()
        for i in range(len(selections)):
            if selections.n_rows[i] == len(is_right):
                is_chosen = selections.get_mask(i)
                if is_chosen.any():
                    self.clean_fraction[i] = is_right[is_chosen].mean()
                self.recall[i] = (is_right & is_chosen).sum() / n_right

    def plot(self, ax: Any = None, **kwargs: Any) -> CoresetDisplay:
        """Plot the display.

        Parameters
        ----------
        ax : array-like of matplotlib Axes, default=None
            Four of them; three where it is not known which labels are right. None: a new figure.
        **kwargs : dict
            Passed on to ``Axes.plot`` for each line.

        Returns
        -------
        self : CoresetDisplay

        Raises
        ------
        ValueError
            If `ax` has another number of Axes.
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot(f"{type(self).__name__}.plot")
        panels = [self._plot_size, self._plot_turnover, self._plot_time]
        if self.clean_fraction is not None:
            panels.insert(1, self._plot_cleanness)
        if ax is None:
            shape, size = ((2, 2), (8.0, 5.5)) if len(panels) == 4 else ((1, 3), (10.5, 3.0))
            _, ax = plt.subplots(*shape, figsize=size, layout="constrained")
        self.axes_ = np.ravel(np.asarray(ax, dtype=object))
        if len(self.axes_) != len(panels):
            raise ValueError(
                f"ax has {len(self.axes_)} Axes, and there are {len(panels)} panels. Give one "
                f"for each, as plt.subplots(1, {len(panels)})[1], or None."
            )
        self.figure_ = self.axes_[0].figure
        for axes, plot_panel in zip(self.axes_, panels, strict=True):
            plot_panel(axes, kwargs)
            axes.set(xlabel="Epoch", xlim=(0, len(self.epochs) + 1))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
        return self

    def _plot_size(self, axes: Any, kwargs: dict[str, Any]) -> None:
        options = {"drawstyle": "steps-mid"} | kwargs
        axes.plot(self.epochs, self.coreset_size, **options)
        axes.set(title="Coreset size", ylabel="Rows trained on")
        axes.set_ylim(bottom=0)

    def _plot_cleanness(self, axes: Any, kwargs: dict[str, Any]) -> None:
        options = {"marker": "o", "markersize": 4} | kwargs
        axes.plot(
            self.selection_epochs,
            self.clean_fraction,
            **options | {"label": "clean fraction of the coreset"},
        )
        axes.plot(
            self.selection_epochs, self.recall, **options | {"label": "recall of the clean rows"}
        )
        if self.base_clean_fraction is not None:
            axes.axhline(
                self.base_clean_fraction, color="gray", ls="--", label="clean fraction of all rows"
            )
        axes.set(title="Clean rows, whose label is right", ylabel="Share", ylim=(0, 1.03))
        axes.legend(loc="best", fontsize="small")

    def _plot_turnover(self, axes: Any, kwargs: dict[str, Any]) -> None:
        options = {"marker": "o", "markersize": 4} | kwargs
        axes.plot(self.selection_epochs, self.turnover, **options)
        axes.set(title="Turnover since the last selection", ylabel="Jaccard distance")
        axes.set_ylim(bottom=0)

    def _plot_time(self, axes: Any, kwargs: dict[str, Any]) -> None:
        options = {"marker": "o", "markersize": 4} | kwargs
        axes.plot(self.selection_epochs, self.selection_dur, **options)
        axes.set(title="Time of gradients and selection", ylabel="Seconds")
        axes.set_ylim(bottom=0)


def _find_right(y: Any, y_true: Any, is_clean: Any, n_rows: int) -> np.ndarray | None:
    """Return which labels are right, None if it is not told."""
    if y is not None and y_true is None:
        raise ValueError("y is given without y_true: which labels are right takes both.")
    is_right = find_right_labels(y, y_true, is_clean, n_rows)
    if is_right is not None and not is_right.any():
        raise ValueError(
            "No label is right. Are y and y_true of the same kind and in the same order, or is "
            "is_clean turned around?"
        )
    return is_right
