"""CoresetSelector: choose a weighted coreset of the rows of X, class by class."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from ._doc_link import DocLinkMixin
from ._equal_rows import merge_equal_rows
from ._shards import Rows, Shards, slice_rows
from ._validation import check_coreset_size, check_many_rows, check_sample_weight
from .labels import check_labels
from .strategies import BaseStrategy, Coreset, make_strategy
from .strategies.distances import check_metric, cross_distances
from .strategies.groups import Group, select_in_groups

__all__ = ["BaseCoresetEstimator", "Coreset", "CoresetSelector", "share_budget"]


class BaseCoresetEstimator(DocLinkMixin, BaseEstimator):
    """What `CoresetSelector` and `CoresetSampler` share: the parameters and the selection."""

    sample_indices_: np.ndarray
    sample_weight_: np.ndarray
    assignment_: np.ndarray
    objective_: float

    def __init__(
        self,
        strategy: Any = "facility-location",
        *,
        coreset_size: float | int = 0.5,
        stratify: bool = True,
        metric: Any = "euclidean",
        n_jobs: int | None = None,
        random_state: int | RandomState | None = None,
        verbose: int = 0,
    ):
        self.strategy = strategy
        self.coreset_size = coreset_size
        self.stratify = stratify
        self.metric = metric
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params: Any) -> Any:
        """Set parameters; ``strategy__name`` reaches into the strategy, also by short name.

        Parameters
        ----------
        **params : dict
            Parameters of the estimator, and of its strategy with the prefix ``strategy__``.

        Returns
        -------
        self : object
        """
        if "strategy" in params:
            self.strategy = params.pop("strategy")
        if isinstance(self.strategy, str) and any(name.startswith("strategy__") for name in params):
            self.strategy = make_strategy(self.strategy)
        return super().set_params(**params)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def check_options(self, n_rows: int | None = None) -> None:
        """Raise if a parameter is not valid.

        Parameters
        ----------
        n_rows : int or None, default=None
            How many rows there are to choose from; None if `coreset_size` does not count.

        Raises
        ------
        ValueError
            If a parameter is out of range or unknown; the message names the valid choices.
        TypeError
            If `coreset_size` is not a number, or `strategy` not a strategy.
        """
        check_metric(self.metric)
        check_coreset_size(self.coreset_size, n_rows)
        strategy = make_strategy(self.strategy)
        if isinstance(strategy, BaseStrategy):
            strategy.check_options()

    def choose_rows(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """Validate the data and choose rows: what every `fit` does.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or None
        sample_weight : array-like of shape (n_samples,) or None

        Returns
        -------
        X : {ndarray, sparse array} of shape (n_samples, n_features)
            Validated.
        """
        X = check_many_rows(self, X)
        groups = self._encode_groups(y, X.shape[0])
        weights = check_sample_weight(sample_weight, X.shape[0])
        weights = np.ones(X.shape[0]) if weights is None else weights
        self._select_in_groups(X, groups, weights, merge_duplicates=True)
        self._add_duplicates(weights)
        return X

    def _encode_groups(self, y: Any, n_rows: int) -> np.ndarray | None:
        if not self.stratify or y is None:
            return None
        try:
            y = check_labels(y)
        except ValueError as error:
            raise ValueError(
                f"{error} stratify=True selects within each class of y; for other targets "
                "set stratify=False."
            ) from error
        if len(y) != n_rows:
            raise ValueError(f"X has {n_rows} rows, y has {len(y)}: give one label per row.")
        return np.unique(y, return_inverse=True)[1]

    def _select_in_groups(
        self,
        X: Any,
        groups: np.ndarray | None,
        weights: np.ndarray,
        *,
        merge_duplicates: bool,
        budgets: np.ndarray | None = None,
    ) -> None:
        """Set the fitted attributes from validated rows of X, groups and weights."""
        candidates = np.flatnonzero(weights)
        self.check_options(len(candidates) if budgets is None else None)
        if self.verbose:
            print(f"[{type(self).__name__}] {X.shape[0]} rows", file=sys.stderr)
        strategy = self._clone_strategy()
        rows = _split_by_group(candidates, groups)
        # Per group: the row of each point, and the point of each row.
        merged = [
            merge_equal_rows(_get_rows(X, r)) if merge_duplicates else (np.arange(len(r)),) * 2
            for r in rows
        ]
        sizes = [len(first) for first, _ in merged]
        if budgets is None:
            shares = share_budget(sizes, self.coreset_size)
        else:
            codes = [0 if groups is None else groups[r[0]] for r in rows]
            shares = np.minimum(budgets[codes], sizes).tolist()
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=len(rows))
        groups_of_points = [
            Group(r[first], share, np.bincount(point, weights=weights[r]), int(seed))
            for r, (first, point), share, seed in zip(rows, merged, shares, seeds, strict=True)
        ]
        coresets = select_in_groups(
            strategy, X, groups_of_points, n_jobs=self.n_jobs, verbose=self.verbose
        )
        self._gather(X.shape[0], rows, merged, coresets)

    def _clone_strategy(self) -> Any:
        strategy = make_strategy(self.strategy)
        if not hasattr(strategy, "get_params"):
            return strategy
        strategy = clone(strategy)
        params = strategy.get_params(deep=False)
        if "metric" in params and params["metric"] is None:
            strategy.set_params(metric=self.metric)
        return strategy

    def _gather(
        self,
        n_rows: int,
        rows: list[np.ndarray],
        merged: list[tuple[np.ndarray, np.ndarray]],
        coresets: list[Coreset],
    ) -> None:
        indices, assignment, offset = [], np.full(n_rows, -1, np.int64), 0
        for r, (first, point), coreset in zip(rows, merged, coresets, strict=True):
            indices.append(r[first[coreset.indices]])
            assignment[r] = offset + coreset.assignment[point]
            offset += len(coreset.indices)
        self.sample_indices_ = np.concatenate(indices)
        self.sample_weight_ = np.concatenate([c.weights for c in coresets])
        self.assignment_ = assignment
        self.objective_ = float(sum(c.objective for c in coresets))

    def _add_duplicates(self, weights: np.ndarray) -> None:
        """Fill up an integer `coreset_size` with copies once every distinct row is in."""
        n_missing = (
            int(self.coreset_size) - len(self.sample_indices_)
            if isinstance(self.coreset_size, Integral)
            else 0
        )
        if n_missing <= 0:
            return
        candidates = np.flatnonzero(weights)
        copies = np.setdiff1d(candidates, self.sample_indices_)[:n_missing]
        self.assignment_[copies] = len(self.sample_indices_) + np.arange(n_missing)
        self.sample_indices_ = np.concatenate([self.sample_indices_, copies])
        self.sample_weight_ = np.bincount(self.assignment_[candidates], weights[candidates])


class CoresetSelector(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseCoresetEstimator):
    """Choose a weighted coreset of the rows of X; transform to distances to the chosen rows.

    Parameters
    ----------
    strategy : str or object with a method ``select``, default="facility-location"
        How rows are chosen: "facility-location", "k-medoids", "centrality", "greedy-css",
        "greedy-low-rank", "pivoted-qr", "leverage", "smallest-norm", "uniform" (see
        :data:`crust_sklearn.strategies.STRATEGIES`), or an object with a method
        ``select(X, n_select, *, sample_weight, random_state)`` that returns a ``Coreset``.
    coreset_size : float or int, default=0.5
        How many rows to choose. A float in (0, 1] is a fraction of each class (rounded to
        the nearest, halves up, at least one row); an int is the total, shared out among the
        classes in proportion by largest remainder, at least one row per class.
    stratify : bool, default=True
        Whether to choose within each class of y. False, or y=None: all rows are one group.
    metric : str, callable or object with a method ``pairwise(X, Y)``, default="euclidean"
        The distance between rows: a name of
        :func:`~sklearn.metrics.pairwise.distance_metrics`, a function of two rows, or an object
        whose ``pairwise(X, Y)`` returns an (n_X, n_Y) array.
    n_jobs : int or None, default=None
        How many classes, or parts of a class too large for memory, are worked on at once, in
        threads. Under :func:`joblib.parallel_config` with another backend (loky, Dask, Ray),
        its workers do it, and read X from a memory map in joblib's temporary folder: workers
        on other machines need ``JOBLIB_TEMP_FOLDER`` to be one that all of them see; what a killed
        process leaves there, the next one on its host removes. The result depends on neither.
    random_state : int, RandomState instance or None, default=None
        Seeds the strategies that draw at random.
    verbose : int, default=0
        0: silent. Others are passed on to :class:`joblib.Parallel`, which reports the classes and
        parts done, and about how long the rest will take.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_coreset,), dtype int64
        The chosen rows of X, class after class, in order of selection within each.
    sample_weight_ : ndarray of shape (n_coreset,), dtype float64
        What each chosen row stands for: the total weight of the rows assigned to it, or what
        the strategy says.
    assignment_ : ndarray of shape (n_samples,), dtype int64
        For every row the position of its medoid in `sample_indices_`; -1 for a row whose
        sample weight is zero.
    components_ : {ndarray, sparse array} of shape (n_coreset, n_features)
        The chosen rows.
    objective_ : float
        The weighted sum of the distances from the rows to their medoids (paper, Eq. 6).
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had string names for all of them.

    See Also
    --------
    CoresetSampler : Drops the other rows, inside an imbalanced-learn Pipeline.
    CoresetClassifier : Fits any classifier on the weighted coreset.

    Notes
    -----
    Equal rows of a class are one point with the sum of their weights, so that a weight of 2
    and a row given twice are the same; a float `coreset_size` is a fraction of the distinct
    rows. An integer larger than their number is filled up with copies, which come last.
    Rows of weight zero are never chosen. Sparse rows are made dense class by class.

    Rows in files are read from there, a block or a part of a class at a time, also by workers of
    other processes, and must not change meanwhile. Beside the chosen rows and what the workers hold
    that takes about a hundred bytes for each row, where the strategy selects in parts: facility
    location, k-medoids (but for its solver "clara") and centrality. The others need all rows of a
    class at once. The choice is the same as of an array in memory.

    References
    ----------
    Mirzasoleiman, Cao, Leskovec, "Coresets for Robust Training of Neural Networks against
    Noisy Labels", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CoresetSelector
    >>> X, y = load_iris(return_X_y=True)
    >>> selector = CoresetSelector(coreset_size=9).fit(X, y)
    >>> selector.transform(X).shape
    (150, 9)
    >>> float(selector.sample_weight_.sum())
    150.0
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> CoresetSelector:
        """Choose the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, list of shards} of shape (n_samples, n_features)
            The rows to choose from. A memory-mapped array (``np.load(path, mmap_mode="r")``), or a
            list of such arrays and of paths of ``.npy`` files, one after the other, stays in its
            files: see Notes.
        y : array-like of shape (n_samples,), default=None
            Class labels, used where `stratify` is True.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts in the objective; None counts every row once.

        Returns
        -------
        self : CoresetSelector

        Raises
        ------
        ValueError
            If a parameter is out of range or unknown, if X, y and `sample_weight` differ in
            length, if X or `sample_weight` contains NaN or infinity, or if the files of X do not
            hold numbers in as many columns each.
        OSError
            If a file of X cannot be read.
        """
        X = self.choose_rows(X, y, sample_weight)
        self.components_ = X[self.sample_indices_]
        return self

    def fit_groups(
        self,
        X: np.ndarray,
        groups: np.ndarray | None,
        sample_weight: np.ndarray | None = None,
        *,
        budgets: np.ndarray | None = None,
    ) -> CoresetSelector:
        """Choose rows of arrays as they are, group by group: no row is merged with its equals.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features), dtype float32 or float64
            The rows to choose from, finite.
        groups : ndarray of shape (n_rows,), dtype int, or None
            The code of each row's group, at least 0. None: all rows are one group, of code 0.
        sample_weight : ndarray of shape (n_rows,), dtype float64, default=None
            What each row counts in the objective; None counts every row once. Rows of weight
            zero are never chosen, and their assignment is -1.
        budgets : ndarray of int, default=None
            How many rows to choose from each group, by its code; all of the group's rows where
            that is more than it has. None: `coreset_size` is shared out.

        Returns
        -------
        self : CoresetSelector

        Raises
        ------
        ValueError
            If a parameter of the selector is out of range or unknown, or if `budgets` gives a
            group that has rows less than one of them.

        Examples
        --------
        >>> import numpy as np
        >>> from crust_sklearn import CoresetSelector
        >>> X, groups = np.array([[0.0], [1.0], [5.0], [7.0]]), np.array([0, 0, 1, 1])
        >>> selector = CoresetSelector("smallest-norm")
        >>> selector.fit_groups(X, groups, budgets=np.array([2, 1])).sample_indices_
        array([0, 1, 2])
        """
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        if budgets is not None:
            codes = np.zeros(1, np.int64) if groups is None else groups[weights > 0]
            if codes.max() >= len(budgets) or budgets[codes].min() < 1:
                raise ValueError(
                    f"budgets={budgets!r} must hold a number of at least 1 for each of the groups "
                    f"{np.unique(codes).tolist()}, at the position of its code."
                )
        self._select_in_groups(X, groups, weights, merge_duplicates=False, budgets=budgets)
        self.components_ = X[self.sample_indices_]
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the distances to the chosen rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, list of shards} of shape (n_samples, n_features)

        Returns
        -------
        distances : ndarray of shape (n_samples, n_coreset)
            In the dtype of X, float32 or float64.
        """
        check_is_fitted(self)
        X = check_many_rows(self, X, reset=False)
        components = self.components_.astype(X.dtype)
        if not isinstance(self.metric, str):
            X, components = _dense(X), _dense(components)
        parts = slice_rows(*X.shape) if isinstance(X, Shards) else [slice(None)]
        distances = [cross_distances(X[rows], components, self.metric) for rows in parts]
        return np.concatenate(distances).astype(X.dtype, copy=False)

    @property
    def _n_features_out(self) -> int:
        return len(self.sample_indices_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def share_budget(sizes: Sequence[int], coreset_size: float | int) -> list[int]:
    """Return how many rows to choose from each group.

    Parameters
    ----------
    sizes : sequence of int
        The number of rows of each group.
    coreset_size : float or int
        A fraction of each group, or the total, shared out in proportion to `sizes` by
        largest remainder. Every group gets at least one, none more than it has.

    Returns
    -------
    budgets : list of int

    Raises
    ------
    ValueError
        If an int `coreset_size` is less than the number of groups.

    Examples
    --------
    >>> from crust_sklearn.selector import share_budget
    >>> share_budget([6, 3, 1], 0.5), share_budget([6, 3, 1], 4)
    ([3, 2, 1], [2, 1, 1])
    """
    counts = np.asarray(sizes)
    if not isinstance(coreset_size, Integral):
        # 0.29 * 100 is a little less than 29: the last digits must not decide.
        share = np.floor(np.round(float(coreset_size) * counts, 9) + 0.5).astype(int)
        return np.maximum(share, 1).tolist()
    if coreset_size < len(counts):
        raise ValueError(
            f"coreset_size={coreset_size} is less than the {len(counts)} classes, each of which "
            f"needs at least one row. Give at least {len(counts)}, or do not group by class."
        )
    total = min(int(coreset_size), int(counts.sum()))
    share = _largest_remainder(total, counts)
    large = np.ones(len(counts), dtype=bool)
    while not share.all():
        # Who went without gets one, and the others share what is left.
        large &= share > 0
        share = np.ones(len(counts), dtype=int)
        share[large] = _largest_remainder(total - int(np.sum(~large)), counts[large])
    return share.tolist()


def _largest_remainder(total: int, counts: np.ndarray) -> np.ndarray:
    share, remainder = np.divmod(total * counts, counts.sum())
    share[np.argsort(-remainder, kind="stable")[: total - share.sum()]] += 1
    return share


def _split_by_group(candidates: np.ndarray, groups: np.ndarray | None) -> list[np.ndarray]:
    if groups is None:
        return [candidates]
    order = candidates[np.argsort(groups[candidates], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else X


def _get_rows(X: Any, numbers: np.ndarray) -> Any:
    return X[numbers].toarray() if sparse.issparse(X) else Rows(X, numbers)
