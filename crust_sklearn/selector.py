"""CoresetSelector: choose a weighted coreset of the rows of X, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy import sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ._shards import Shards, slice_rows
from ._validation import check_many_rows
from .coreset_estimator import BaseCoresetEstimator
from .strategies import Coreset
from .strategies.budgets import share_budget
from .strategies.distances import cross_distances

__all__ = ["Coreset", "CoresetSelector", "share_budget"]


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
    initial_subset : array-like of int or bool, default=None
        Rows that are chosen already, by their numbers in the X given to fit, or by a mask: for
        active learning those that have a label. What is chosen complements them, and
        `coreset_size` counts what is added. See Notes. None, or none of them: no such rows.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_coreset,), dtype int64
        The chosen rows of X, those of `initial_subset` first, then class after class, in order of
        selection within each.
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

    With an `initial_subset`, facility location starts from the distances to its rows, pivoted QR
    and greedy column subset selection from what its rows leave of the others outside their span,
    and "uniform" draws from the others; the other strategies refuse it. Its rows come first in
    `sample_indices_`, in their order, count in the weights, the assignment and the objective, and
    not in `coreset_size`, so that ``sample_indices_[len(initial_subset):]`` are the rows to be
    labelled next. Equal rows are not merged then, and a group has to fit in memory at once.

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

    Three rows are labelled; which two next?

    >>> selector = CoresetSelector(coreset_size=2, initial_subset=[0, 1, 2]).fit(X)
    >>> selector.sample_indices_[3:]
    array([126, 120])
    """

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
        initial_subset: Any = None,
    ):
        super().__init__(
            strategy,
            coreset_size=coreset_size,
            stratify=stratify,
            metric=metric,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.initial_subset = initial_subset

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
            If a parameter is out of range or unknown, if `initial_subset` does not name rows of X
            or the strategy cannot start from it, if X, y and `sample_weight` differ in length, if
            X or `sample_weight` contains NaN or infinity, or if the files of X do not hold
            numbers in as many columns each.
        OSError
            If a file of X cannot be read.
        """
        X = self.choose_rows(X, y, sample_weight)
        self.components_ = X[self.sample_indices_]
        return self

    def fit_groups(
        self,
        X: Any,
        groups: np.ndarray | None,
        sample_weight: np.ndarray | None = None,
        *,
        budgets: np.ndarray | None = None,
    ) -> CoresetSelector:
        """Choose rows of arrays as they are, group by group: no row is merged with its equals.

        Parameters
        ----------
        X : {ndarray, sparse array} of shape (n_rows, n_features), dtype float32 or float64
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
        weights = np.ones(X.shape[0]) if sample_weight is None else sample_weight
        if self.initial_subset is not None:
            raise ValueError(
                "A selector with an initial_subset chooses rows of its own X: it cannot choose "
                "those of a network's training. Leave initial_subset out."
            )
        if budgets is not None:
            codes = np.zeros(1, np.int64) if groups is None else groups[weights > 0]
            if codes.max() >= len(budgets) or budgets[codes].min() < 1:
                raise ValueError(
                    f"budgets={budgets!r} must hold a number of at least 1 for each of the groups "
                    f"{np.unique(codes).tolist()}, at the position of its code."
                )
        self.choose_in_groups(X, groups, weights, merge_duplicates=False, budgets=budgets)
        self.components_ = X[self.sample_indices_]
        self.n_features_in_ = X.shape[1]
        return self

    def keep_groups(
        self, X: Any, groups: np.ndarray | None, sample_weight: np.ndarray
    ) -> CoresetSelector:
        """Choose all rows that have a weight, group after group, those of smallest norm first.

        That is what the strategy "smallest-norm" comes to with as many rows to choose from each
        group as there are: here without a selection for each of some thousand groups.

        Parameters
        ----------
        X : {ndarray, sparse array} of shape (n_rows, n_features)
        groups : ndarray of shape (n_rows,), dtype int, or None
        sample_weight : ndarray of shape (n_rows,), dtype float64
            Of the other rows, zero.

        Returns
        -------
        self : CoresetSelector

        Examples
        --------
        >>> import numpy as np
        >>> from crust_sklearn import CoresetSelector
        >>> X, weights = np.array([[3.0], [1.0], [2.0]]), np.array([1.0, 1.0, 0.0])
        >>> CoresetSelector().keep_groups(X, None, weights).sample_indices_
        array([1, 0])
        """
        self.check_options()
        chosen = np.flatnonzero(sample_weight)
        squares = X.multiply(X) if sparse.issparse(X) else np.square(X)
        norms = squares.sum(axis=1)[chosen]
        order = np.argsort(norms, kind="stable")
        if groups is not None:
            order = np.lexsort((norms, groups[chosen]))
        self.sample_indices_ = chosen = chosen[order]
        self.sample_weight_ = sample_weight[chosen]
        self.assignment_ = np.full(len(sample_weight), -1, np.int64)
        self.assignment_[chosen] = np.arange(len(chosen))
        self.objective_ = 0.0
        self.components_, self.n_features_in_ = X[chosen], X.shape[1]
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


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else X
