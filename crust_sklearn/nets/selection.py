"""A selection: which rows to train on, from what the network says of all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data import Mixing
from ..label_noise import LabelQuality
from ..selector import CoresetSelector
from ..strategies import SmallestNorm, make_strategy
from .row_outputs import RowOutputs
from .training import Training


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows that a selection chose.

    Attributes
    ----------
    selector : CoresetSelector
        Fitted on the gradients of all rows.
    positions : ndarray of shape (n_chosen,), dtype int64
        The chosen rows, ascending.
    weights : ndarray of shape (n_chosen,), dtype float64
        What each counts in the loss.
    clusters : ndarray of shape (n_rows,), dtype int64
        For every row the place of its medoid in `positions`; -1 for none.
    """

    selector: CoresetSelector
    positions: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray


def select_rows(
    selector: CoresetSelector,
    outputs: RowOutputs,
    codes: np.ndarray,
    weights: np.ndarray | None,
    quality: LabelQuality | None,
    *,
    group_by: str | None,
    coreset_weight: str,
    has_auto_size: bool,
) -> Selection:
    """Choose a coreset.

    Parameters
    ----------
    selector : CoresetSelector
        Not fitted yet; with the seed of this selection. It is fitted here.
    outputs : RowOutputs
        Without gradients, rows are compared by what `quality` leaves of their labels.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels.
    weights : ndarray of shape (n_rows,) or None
        Their sample weights; rows of weight zero are not chosen.
    quality : LabelQuality or None
        Of the same rows; needed where there are no gradients, or the size is automatic.
    group_by : {"prediction", "label"} or None
    coreset_weight : {"cluster", "uniform"}
    has_auto_size : bool
        Whether the rows with a trusted label are chosen: these themselves by the smallest norm of
        the residuals, as many of each group otherwise.

    Returns
    -------
    selection : Selection
    """
    groups = {"prediction": outputs.predicted, "label": codes, None: None}[group_by]
    rows, budgets = outputs.gradients, None
    if outputs.metric is not None:
        selector.set_params(metric=outputs.metric)
    if has_auto_size:
        assert quality is not None
        is_trusted = quality.is_trusted if weights is None else quality.is_trusted & (weights > 0)
        if rows is None and has_smallest_norm(selector):
            kept = is_trusted.astype(np.float64) if weights is None else weights * is_trusted
            selector.keep_groups(quality.residuals, groups, kept)
            return _describe(selector, weights, coreset_weight)
        at = np.zeros(len(codes), np.int64) if groups is None else groups
        budgets = np.maximum(np.bincount(at[is_trusted], minlength=at.max() + 1), 1)
    if rows is None:
        assert quality is not None
        rows = quality.residuals
    selector.fit_groups(rows, groups, weights, budgets=budgets)
    return _describe(selector, weights, coreset_weight)


def _describe(
    selector: CoresetSelector, weights: np.ndarray | None, coreset_weight: str
) -> Selection:
    """Return what a fitted selector chose."""
    order = np.argsort(selector.sample_indices_)
    positions = selector.sample_indices_[order]
    if coreset_weight == "cluster":
        chosen_weights = selector.sample_weight_[order]
    else:
        chosen_weights = np.ones(len(order)) if weights is None else weights[positions]
    # Medoids are renumbered in the order of the rows; -1, for none, stays.
    rank = np.full(len(order) + 1, -1, np.int64)
    rank[order] = np.arange(len(order))
    return Selection(selector, positions, chosen_weights, rank[selector.assignment_])


def report(selection: Selection, seconds: float, verbose: int) -> None:
    """Print a line about a selection that lasted, among those that skorch prints of the epochs.

    Parameters
    ----------
    selection : Selection
    seconds : float
        Up to a second nothing is printed.
    verbose : int
        The net's own; 0: nothing.
    """
    if verbose and seconds > 1.0:
        n_rows = len(selection.clusters)
        print(f"coreset of {len(selection.positions)} of {n_rows} rows in {seconds:.1f} s")


def make_mixing(
    mixup: str, alpha: tuple[float, float], training: Training, clusters: np.ndarray
) -> Mixing:
    """Return how the rows of a coreset are mixed.

    Parameters
    ----------
    mixup : {"cluster", "class", "batch"}
    alpha : tuple of two floats
        Of the Beta distribution of a row's share.
    training : Training
    clusters : ndarray of shape (n_samples,), dtype int64
        The cluster of each row of X; -1 for none.

    Returns
    -------
    mixing : Mixing
    """
    if mixup == "batch":
        return Mixing(alpha)
    assert training.codes is not None
    pools = training.codes if mixup == "class" else clusters[training.rows]
    if training.weights is not None:
        pools = np.where(training.weights > 0, pools, -1)
    return Mixing(alpha, training.spread(pools, -1))


def has_smallest_norm(selector: CoresetSelector) -> bool:
    """Return whether a selector chooses the rows of smallest norm."""
    return isinstance(make_strategy(selector.strategy), SmallestNorm)
