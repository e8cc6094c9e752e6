"""JacobianSpectrumDisplay: how low the rank of the Jacobian is, and where residuals lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState

from ._pyplot import import_pyplot
from .jacobian import (
    JacobianSpectrum,
    ResidualAlignment,
    information_space,
    jacobian_spectrum,
    residual_alignment,
)


class JacobianSpectrumDisplay:
    """The singular values of a network's Jacobian, and the share of the residual they explain.

    Use `from_estimator` to make one. The parameters are kept as attributes.

    Parameters
    ----------
    spectrum : JacobianSpectrum
        From :func:`jacobian_spectrum`.
    size : int
        The dimension of the information space.
    alignment : ResidualAlignment or None, default=None
        From :func:`residual_alignment`. None: the singular values only.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, of shape (1,) or (2,)
        The panel of the singular values, and that of the residual where there are labels.
    figure_ : matplotlib Figure

    See Also
    --------
    jacobian_spectrum, information_space, residual_alignment : What is shown, as numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CRUSTClassifier
    >>> from crust_sklearn.inspection import JacobianSpectrumDisplay
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = CRUSTClassifier(MLP, module__hidden_sizes=(16,), verbose=0, random_state=0)
    >>> display = JacobianSpectrumDisplay.from_estimator(
    ...     clf.fit(X, y), X[::5], y[::5], n_components=10, random_state=0
    ... )
    >>> display.axes_.shape
    (2,)
    """

    def __init__(
        self,
        *,
        spectrum: JacobianSpectrum,
        size: int,
        alignment: ResidualAlignment | None = None,
    ):
        self.spectrum = spectrum
        self.size = size
        self.alignment = alignment

    @classmethod
    def from_estimator(
        cls,
        net: Any,
        X: Any,
        y: Any = None,
        *,
        y_true: Any = None,
        is_clean: Any = None,
        size: int | None = None,
        n_components: int = 50,
        n_products: int | None = None,
        batch_size: int = 64,
        random_state: int | RandomState | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> JacobianSpectrumDisplay:
        """Compute the spectrum of a fitted net's Jacobian, and plot it.

        Parameters
        ----------
        net : CRUSTClassifier or other skorch.NeuralNet
            Fitted or initialized.
        X : input data
            The rows to look at: some hundreds will do.
        y : array-like of shape (n_rows,), default=None
            Their given labels. With them, the display has its second panel.
        y_true : array-like of shape (n_rows,), default=None
            The true labels: the second panel then tells clean from wrong labels.
        is_clean : array-like of bool of shape (n_rows,), default=None
            Which given labels are right: instead of `y_true`.
        size : int or None, default=None
            The dimension of the information space. None: up to the knee, see
            :func:`information_space`.
        n_components, n_products, batch_size, random_state
            As in :func:`jacobian_spectrum`.
        ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : JacobianSpectrumDisplay

        Raises
        ------
        ValueError
            As in :func:`jacobian_spectrum`, :func:`residual_alignment` and `plot`; or if `y_true`
            or `is_clean` are given without y.
        TypeError, FloatingPointError, sklearn.exceptions.NotFittedError
            As in :func:`jacobian_spectrum`.
        ImportError
            If matplotlib is not installed.
        """
        import_pyplot(f"{cls.__name__}.from_estimator")
        if y is None and not (y_true is None and is_clean is None):
            raise ValueError("y_true and is_clean are about the given labels: give y as well.")
        spectrum = jacobian_spectrum(
            net,
            X,
            n_components=n_components,
            n_products=n_products,
            batch_size=batch_size,
            random_state=random_state,
        )
        size = information_space(spectrum, size=size).size
        alignment = None
        if y is not None:
            alignment = residual_alignment(
                net,
                X,
                y,
                spectrum,
                size=size,
                y_true=y_true,
                is_clean=is_clean,
                batch_size=batch_size,
            )
        return cls(spectrum=spectrum, size=size, alignment=alignment).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> JacobianSpectrumDisplay:
        """Plot the display.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of two, default=None
            Two where there is an alignment, else one. None: a new figure.
        **kwargs : dict
            Passed on to ``Axes.plot`` for the singular values.

        Returns
        -------
        self : JacobianSpectrumDisplay

        Raises
        ------
        ValueError
            If `ax` is not as many axes as there are panels.
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot(f"{type(self).__name__}.plot")
        n_panels = 1 if self.alignment is None else 2
        if ax is None:
            _, ax = plt.subplots(
                1, n_panels, figsize=(5.0 * n_panels, 3.8), layout="constrained", squeeze=False
            )
        self.axes_ = np.ravel(np.asarray(ax, dtype=object))
        if len(self.axes_) != n_panels:
            raise ValueError(
                f"ax holds {len(self.axes_)} axes, and the display has {n_panels} panels: one for "
                "the singular values, and one for the residual where there are labels."
            )
        self.figure_ = self.axes_[0].figure
        self._plot_values(self.axes_[0], kwargs)
        if self.alignment is not None:
            self._plot_shares(self.axes_[1], self.alignment)
        for panel in self.axes_:
            panel.axvline(self.size + 0.5, color="0.4", linestyle=":", linewidth=1.2)
            panel.set_xlim(0, len(self.spectrum.singular_values) + 1)
            panel.grid(alpha=0.3)
        return self

    def _plot_values(self, ax: Any, options: dict[str, Any]) -> None:
        from matplotlib.ticker import LogFormatter

        values = self.spectrum.singular_values
        position = np.arange(1, len(values) + 1)
        ax.axvspan(0, self.size + 0.5, color="C0", alpha=0.1, linewidth=0)
        ax.plot(position, values, **({"marker": "o", "markersize": 3.5, "color": "C0"} | options))
        ax.set(yscale="log", xlabel="Direction", ylabel="Singular value of the Jacobian")
        ax.yaxis.set_major_formatter(LogFormatter())
        ax.yaxis.set_minor_formatter(LogFormatter())
        noun = "direction" if self.size == 1 else "directions"
        ax.set_title(f"Information space: {self.size} {noun}", fontsize="medium")

    def _plot_shares(self, ax: Any, alignment: ResidualAlignment) -> None:
        n_rows, n_classes, n_shown = self.spectrum.vectors.shape
        position = np.arange(1, n_shown + 1)
        curves = [("clean labels", alignment.clean, "C0"), ("wrong labels", alignment.wrong, "C3")]
        if alignment.clean is None and alignment.wrong is None:
            curves = [("all labels", alignment.overall, "C0")]
        for name, shares, color in curves:
            if shares is not None:
                ax.plot(position, shares, color=color, label=_describe(name, shares, self.size))
        chance = position / (n_rows * n_classes)
        label = _describe("no structure", chance, self.size)
        ax.plot(position, chance, color="0.5", linestyle="--", linewidth=1, label=label)
        ax.set_ylim(bottom=0)
        ax.set(xlabel="Number of directions", ylabel="Share of the residual's energy")
        ax.set_title("Residuals in the leading directions", fontsize="medium")
        ax.legend(fontsize="small", frameon=False, loc="upper left")


def _describe(name: str, shares: np.ndarray, size: int) -> str:
    """Return a line's name with its share in the information space and in all that is shown."""
    text = f"{name}: {shares[size - 1]:.1%} in {size}"
    return text if size == len(shares) else f"{text}, {shares[-1]:.1%} in {len(shares)}"
