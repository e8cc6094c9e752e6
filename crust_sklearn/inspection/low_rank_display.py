"""LowRankDisplay: how well the rows that each strategy chooses span the rest."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_random_state

from .._validation import check_number
from ..measures import low_rank_error
from ..nets.loss_gradients import loss_gradients
from ..strategies import STRATEGIES, make_strategy
from ._pyplot import import_pyplot


class LowRankDisplay:
    """The error of projecting rows on k chosen ones, by strategy, beside the least possible.

    Use `from_data` or `from_estimator` to make one. The parameters are kept as attributes.

    Parameters
    ----------
    sizes : array-like of shape (n_sizes,)
        The numbers of rows chosen, k.
    errors : dict of str to array-like of shape (n_sizes, n_repeats)
        For each strategy, ``|G - G P_S| / |G|`` in the Frobenius norm, P_S the projection on the
        span of the chosen rows of G [1]_.
    best_error : array-like of shape (n_sizes,)
        The same for the best subspace of dimension k, that of the leading singular vectors.
        Divided by it, `errors` are :func:`~crust_sklearn.measures.low_rank_error`.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of str to matplotlib Line2D
        The line of each strategy, and of the "best subspace (SVD)".

    References
    ----------
    .. [1] Mirzasoleiman, Cao, Leskovec, "Coresets for Robust Training of Neural Networks
       against Noisy Labels", NeurIPS 2020, Eq. 5.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn.inspection import LowRankDisplay
    >>> X, _ = load_iris(return_X_y=True)
    >>> display = LowRankDisplay.from_data(
    ...     X, strategies=["pivoted-qr", "uniform"], random_state=0
    ... )
    >>> display.sizes
    array([1, 2, 3])
    >>> ratio = display.errors["pivoted-qr"].mean(axis=1) / display.best_error
    >>> bool((ratio >= 1).all())
    True
    """

    def __init__(self, *, sizes: Any, errors: dict[str, Any], best_error: Any):
        self.sizes = sizes
        self.errors = errors
        self.best_error = best_error

    @classmethod
    def from_data(
        cls,
        G: Any,
        *,
        strategies: Sequence[Any] | None = None,
        sizes: Any = None,
        n_repeats: int = 5,
        random_state: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> LowRankDisplay:
        """Plot the errors of the strategies on the rows of a matrix.

        Parameters
        ----------
        G : array-like of shape (n_rows, n_features)
            The rows to choose from: gradients, or any other.
        strategies : sequence of str or objects with a method ``select``, default=None
            Names of strategies, or strategies. None: all of
            :data:`~crust_sklearn.strategies.STRATEGIES`.
        sizes : array-like of int of shape (n_sizes,), default=None
            The numbers of rows to choose, from 1 to the rank of G less one: from the rank on, the
            best subspace has no error. None: ten or fewer, evenly spaced on a logarithmic scale.
        n_repeats : int, default=5
            How often rows are chosen, each time with another seed.
        random_state : int, RandomState instance or None, default=None
            Seeds the strategies that draw at random.
        ax : matplotlib Axes, default=None
            As in `plot`.
        **kwargs : dict
            As in `plot`.

        Returns
        -------
        display : LowRankDisplay

        Raises
        ------
        ValueError
            If G holds NaN or infinity or has a rank below 2, if a size is out of range, or if a
            strategy is unknown or named twice.
        TypeError
            If `sizes` or `n_repeats` are not integers.
        ImportError
            If matplotlib is not installed.

        Notes
        -----
        Beside the selections, time is that of a singular value decomposition of G for each
        strategy, size and repeat that has chosen other rows: for thousands of rows and columns,
        give some rows only.
        """
        import_pyplot(f"{cls.__name__}.from_data")
        G = check_array(G, dtype=(np.float64, np.float32), input_name="G")
        check_number("n_repeats", n_repeats, kind=Integral, low=1)
        best = _get_best_errors(G)
        sizes = _check_sizes(sizes, len(best))
        named = _name_strategies(list(STRATEGIES) if strategies is None else strategies)
        seeds = check_random_state(random_state).randint(2**31 - 1, size=n_repeats).tolist()
        best_error = best[sizes - 1]
        errors = {
            name: _get_ratios(G, strategy, sizes, seeds) * best_error[:, None]
            for name, strategy in named.items()
        }
        return cls(sizes=sizes, errors=errors, best_error=best_error).plot(ax=ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        clf: Any,
        X: Any,
        y: Any = None,
        *,
        strategies: Sequence[Any] | None = None,
        sizes: Any = None,
        n_repeats: int = 5,
        random_state: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> LowRankDisplay:
        """Plot the errors of the strategies on the loss gradients of a fitted classifier.

        Parameters
        ----------
        clf : CRUSTClassifier
            Initialized, if not fitted. Its parameter `gradient` says which gradients.
        X : input data
            The rows to choose from, as in `fit`.
        y : array-like of shape (n_samples,), default=None
            Their given labels; None only where X is a Dataset that holds them.
        strategies, sizes, n_repeats, random_state, ax, **kwargs
            As in `from_data`.

        Returns
        -------
        display : LowRankDisplay

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `clf` is not initialized.
        ValueError, TypeError, ImportError
            As in `from_data`.

        Notes
        -----
        Gradients of the cross-entropy at the logits sum to zero over the classes, and so do those
        of "leave-one-out": their rank is at most the number of classes less one. So is that of
        "features", a linear function of them. "last-layer" has more to choose from, and many more
        columns.
        """
        import_pyplot(f"{cls.__name__}.from_estimator")
        clf.check_is_fitted(["module_"])
        return cls.from_data(
            loss_gradients(clf, X, y),
            strategies=strategies,
            sizes=sizes,
            n_repeats=n_repeats,
            random_state=random_state,
            ax=ax,
            **kwargs,
        )

    def plot(self, ax: Any = None, **kwargs: Any) -> LowRankDisplay:
        """Plot the display: the mean over the repeats, in a band from the least to the largest.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        **kwargs : dict
            Passed on to ``Axes.plot`` for each strategy.

        Returns
        -------
        self : LowRankDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot(f"{type(self).__name__}.plot")
        if ax is None:
            _, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, {}
        markers = "osD^vPX<>*"
        for i, (name, found) in enumerate(self.errors.items()):
            errors = np.asarray(found)
            options = {"marker": markers[i % len(markers)], "markersize": 5, "label": name}
            (line,) = ax.plot(self.sizes, errors.mean(axis=1), **options | kwargs)
            low, high = errors.min(axis=1), errors.max(axis=1)
            if (high > low).any():
                ax.fill_between(self.sizes, low, high, color=line.get_color(), alpha=0.15, lw=0)
            self.lines_[name] = line
        name = "best subspace (SVD)"
        (self.lines_[name],) = ax.plot(self.sizes, self.best_error, "k--", label=name)
        ax.set(xscale="log", yscale="log", xlabel="Number of chosen rows k")
        ax.set_ylabel("Error of the projection, relative to all")
        ax.set_xticks(self.sizes, [str(size) for size in self.sizes])
        ax.set_xticks([], minor=True)
        ax.grid(alpha=0.3)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", frameon=False)
        return self


def _get_best_errors(G: np.ndarray) -> np.ndarray:
    """Return the relative errors of the best subspaces of dimension 1, 2, ... above rounding."""
    values = np.linalg.svd(G.astype(np.float64), compute_uv=False)
    left = np.sqrt(np.cumsum(values[::-1] ** 2)[::-1])  # by the best subspace of dimension k
    eps = max(10 * np.finfo(np.float64).eps, np.finfo(G.dtype).eps)
    largest = int((left > eps * max(G.shape) * left[0]).sum()) - 1
    if largest < 1:
        raise ValueError(
            f"G has rank {largest + 1}: one row spans the others, so that there is nothing to "
            "choose. Give a matrix of rank 2 or more."
        )
    return left[1 : largest + 1] / left[0]


def _check_sizes(sizes: Any, largest: int) -> np.ndarray:
    if sizes is None:
        return np.unique(np.geomspace(1, largest, 10).round().astype(np.int64))
    found = np.asarray(sizes)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iu":
        raise TypeError(
            f"sizes={sizes!r} is not a sequence of integers, the numbers of rows to choose."
        )
    if found.min() < 1 or found.max() > largest:
        raise ValueError(
            f"sizes must be from 1 to {largest}, the rank of G less one; got {found.min()} to "
            f"{found.max()}."
        )
    return np.unique(found).astype(np.int64)


def _name_strategies(strategies: Sequence[Any]) -> dict[str, Any]:
    if isinstance(strategies, str) or not len(strategies):
        raise TypeError(
            f"strategies={strategies!r} is not a sequence of strategies. Give a list of names or "
            "objects, or None for all names."
        )
    named: dict[str, Any] = {}
    for one in strategies:
        name = one if isinstance(one, str) else _describe(one)
        if name in named:
            raise ValueError(f"strategies holds {name!r} twice. Give each strategy once.")
        named[name] = make_strategy(one)
    return named


def _describe(strategy: Any) -> str:
    return repr(strategy) if isinstance(strategy, BaseEstimator) else type(strategy).__name__


def _get_ratios(G: np.ndarray, strategy: Any, sizes: np.ndarray, seeds: list[int]) -> np.ndarray:
    """Return the low-rank errors of a strategy, of shape (n_sizes, n_repeats)."""
    ratios = np.empty((len(sizes), len(seeds)))
    for i, size in enumerate(sizes.tolist()):
        known: dict[bytes, float] = {}  # those that do not draw choose the same rows again
        for j, seed in enumerate(seeds):
            chosen = np.sort(strategy.select(G, size, random_state=seed).indices)
            key = chosen.tobytes()
            if key not in known:
                known[key] = low_rank_error(G, chosen)
            ratios[i, j] = known[key]
    return ratios
