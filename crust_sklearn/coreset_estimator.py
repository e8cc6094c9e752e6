"""BaseCoresetEstimator: what chooses rows of X, class by class, and sets the fitted attributes."""

from __future__ import annotations

import sys
from numbers import Integral
from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags, check_random_state

from ._doc_link import DocLinkMixin
from ._equal_rows import merge_equal_rows
from ._shards import Rows
from ._validation import (
    check_coreset_size,
    check_initial_subset,
    check_many_rows,
    check_sample_weight,
)
from .labels import check_labels
from .strategies import BaseStrategy, Coreset, make_strategy
from .strategies.budgets import share_budget
from .strategies.distances import check_metric
from .strategies.groups import Group, select_in_groups

__all__ = ["BaseCoresetEstimator"]


class BaseCoresetEstimator(DocLinkMixin, BaseEstimator):
    """What `CoresetSelector` and `CoresetSampler` share: the parameters and the selection."""

    sample_indices_: np.ndarray
    sample_weight_: np.ndarray
    assignment_: np.ndarray
    objective_: float
    # Only a selector has such rows.
    initial_subset: Any = None

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
        self.choose_in_groups(X, groups, weights, merge_duplicates=True)
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

    def choose_in_groups(
        self,
        X: Any,
        groups: np.ndarray | None,
        weights: np.ndarray,
        *,
        merge_duplicates: bool,
        budgets: np.ndarray | None = None,
    ) -> None:
        """Set the fitted attributes from validated rows of X, groups and weights.

        Parameters
        ----------
        X : {ndarray, sparse array, Shards} of shape (n_rows, n_features)
        groups : ndarray of shape (n_rows,), dtype int, or None
        weights : ndarray of shape (n_rows,)
        merge_duplicates : bool
            Whether equal rows of a group are one point; not with an `initial_subset`.
        budgets : ndarray of int, default=None
            How many rows to choose from each group, by its code; None: by `coreset_size`.
        """
        candidates = np.flatnonzero(weights)
        initial = check_initial_subset(self.initial_subset, weights)
        self.check_options(len(candidates) - len(initial) if budgets is None else None)
        if self.verbose:
            print(f"[{type(self).__name__}] {X.shape[0]} rows", file=sys.stderr)
        strategy = self._clone_strategy()
        rows = _split_by_group(candidates, groups)
        if len(initial):
            self._extend_in_groups(strategy, X, rows, initial, weights)
            return
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

    def _extend_in_groups(
        self,
        strategy: Any,
        X: Any,
        rows: list[np.ndarray],
        initial: np.ndarray,
        weights: np.ndarray,
    ) -> None:
        """Set the fitted attributes, with the rows that were chosen before in front."""
        if not getattr(strategy, "can_extend", False):
            raise ValueError(
                f"{type(strategy).__name__} does not choose rows that complement others. For an "
                "initial_subset, set strategy to 'facility-location', 'greedy-css', 'pivoted-qr' "
                "or 'uniform'."
            )
        chosen = [np.flatnonzero(np.isin(r, initial)) for r in rows]
        n_left = np.array([len(r) - len(c) for r, c in zip(rows, chosen, strict=True)])
        shares = np.zeros(len(rows), np.int64)
        shares[n_left > 0] = share_budget(n_left[n_left > 0].tolist(), self.coreset_size)
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=len(rows))
        groups = [
            Group(r, share, weights[r], int(seed), c if len(c) else None)
            for r, c, share, seed in zip(rows, chosen, shares.tolist(), seeds, strict=True)
        ]
        coresets = select_in_groups(strategy, X, groups, n_jobs=self.n_jobs, verbose=self.verbose)
        self._gather(X.shape[0], rows, [(np.arange(len(r)),) * 2 for r in rows], coresets)
        # In front, and in the order in which they were given.
        rank = np.full(X.shape[0], len(initial))
        rank[initial] = np.arange(len(initial))
        order = np.argsort(rank[self.sample_indices_], kind="stable")
        self.sample_indices_ = self.sample_indices_[order]
        self.sample_weight_ = self.sample_weight_[order]
        place = np.full(len(order) + 1, -1, np.int64)  # -1, for none, stays
        place[order] = np.arange(len(order))
        self.assignment_ = place[self.assignment_]

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


def _split_by_group(candidates: np.ndarray, groups: np.ndarray | None) -> list[np.ndarray]:
    if groups is None:
        return [candidates]
    order = candidates[np.argsort(groups[candidates], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _get_rows(X: Any, numbers: np.ndarray) -> Any:
    return X[numbers].toarray() if sparse.issparse(X) else Rows(X, numbers)
