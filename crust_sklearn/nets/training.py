"""What one call of fit or partial_fit trains on: gone when the call is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn

from .._validation import check_sample_weight
from ..data import (
    CoresetDataset,
    MixedBatch,
    RowBatch,
    base_rows,
    fetch_rows,
    innermost,
    read_labels,
)
from ..data.reading import apply_to_leaves
from .epoch_plan import EpochPlan
from .seeding import ModuleDraws

# Rows by which those of one call are told from those of another.
N_SAMPLED = 64


class Event:
    """An event that callbacks are told of, and what they have saved and loaded in it.

    Parameters
    ----------
    name : str
        Such as "on_epoch_end".

    Attributes
    ----------
    due : list of pairs of str and object
        What is to be written after the callbacks: its kind, and its target.
    failure : OSError or None
        Of a file that could not be written.
    loaded : pair of dict and object, or None
        What was loaded at the beginning of training, and the file.
    """

    def __init__(self, name: str):
        self.name = name
        self.due: list[tuple[str, Any]] = []
        self.failure: OSError | None = None
        self.loaded: tuple[dict[str, Any], Any] | None = None


class Training:
    """The training rows of a call, under their numbers in the X given to it.

    Never pickled or copied with a net: it holds the dataset.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None, default=None
        As given to the call.
    fit_params : mapping or None, default=None
        What the call passes on to the module's forward.

    Attributes
    ----------
    has_begun : bool
        Whether a batch was trained on: a call that is refused before leaves nothing behind.
    is_over : bool
        Whether the last epoch of the call is over.
    interrupt : KeyboardInterrupt or None
        What ended the call before its first epoch.
    dataset : torch Dataset or None
        The training rows, with codes as labels; None before `open`.
    selection_dataset : torch Dataset or None
        The same rows as they are judged; `dataset`, unless the net has another one.
    rows : ndarray of shape (n_train,), dtype int64
        The number of each training row in X.
    n_rows : int
        The number of rows of X.
    weights : ndarray of shape (n_train,) or None
        Their sample weights, of mean one.
    codes : ndarray of shape (n_train,), dtype int64, or None
        Their labels as columns; None where they cannot be read.
    all_codes : ndarray of shape (n_rows,), dtype int64, or None
        The same of all rows of X.
    generator : torch.Generator
        What the loaders of training draw from.
    planned_iterator : iterable of batches or None
        Over the rows of the last plan.
    batch : RowBatch, MixedBatch or None
        What is trained on at the moment; None between the steps.
    epochs : int or None
        The epochs of the call, where it says; None: `max_epochs`.
    event : Event or None
        What callbacks are being told of.
    resumed_from : object
        The file that the call goes on with; None for none.
    n_before : int
        The epochs of the calls before.
    n_left : int or None
        The epochs that a call has left which goes on; None if it does not.
    kept : dict of str to object
        What a method keeps until the call ends; what outlasts it belongs in the net's state.
    row_states : set of str
        What the method's state for each row is called, as far as it was asked for.
    seen : list of tensors of shape (n,), dtype int64
        The rows of the epoch's batches in this process, where there are several and row states.
    n_bytes_sent : int
        What this process has told others of rows, in this call.
    loaders_before : list of loaders
        What the accelerator, if there is one, kept before the call.
    """

    def __init__(self, sample_weight: Any = None, fit_params: Mapping[str, Any] | None = None):
        self.sample_weight = sample_weight
        self.fit_params = dict(fit_params or {})
        self.epochs = self.fit_params.pop("epochs", None)  # skorch's own, of partial_fit
        self.has_begun = False
        self.is_over = False
        self.is_checked = False
        self.interrupt: KeyboardInterrupt | None = None
        self.dataset: Any = None
        self.selection_dataset: Any = None
        self.fingerprint: str | None = None
        self.generator = torch.Generator()
        self.draws: ModuleDraws | None = None
        self.planned_iterator: Any = None
        self.batch: RowBatch | MixedBatch | None = None
        self.event: Event | None = None
        self.resumed_from: Any = None
        self.n_before = 0
        self.n_left: int | None = None
        self.kept: dict[str, Any] = {}
        self.row_states: set[str] = set()
        self.seen: list[torch.Tensor] = []
        self.n_bytes_sent = 0
        self.loaders_before: list[Any] = []

    def count_epochs(self, max_epochs: int) -> int:
        """Return the epochs of the call.

        Parameters
        ----------
        max_epochs : int
            Those of a call that does not say.

        Returns
        -------
        n_epochs : int
        """
        return max_epochs if self.epochs is None else int(self.epochs)

    def count_all_epochs(self, max_epochs: int) -> int:
        """Return the epochs that there will have been at the end of the call.

        Parameters
        ----------
        max_epochs : int
            As of `count_epochs`.

        Returns
        -------
        n_epochs : int
        """
        return self.n_before + self.count_epochs(max_epochs)

    def open(self, dataset: Any, collate_fn: Any) -> None:
        """Take the dataset of the training rows.

        Parameters
        ----------
        dataset : torch Dataset
            A (nested) Subset of that of all rows, or this itself.
        collate_fn : callable
            Makes a batch of its items.
        """
        self.dataset, self.collate_fn = dataset, collate_fn
        self.judge_on(dataset, collate_fn)
        self.rows = base_rows(dataset)
        self.n_rows = len(innermost(dataset))  # type: ignore[arg-type]
        self.weights: np.ndarray | None = None
        if (weights := check_sample_weight(self.sample_weight, self.n_rows)) is not None:
            if not weights[self.rows].any():
                raise ValueError(
                    "sample_weight is zero for every training row (the others are in the "
                    "validation split): there is nothing left to fit."
                )
            self.weights = scale_weights(weights[self.rows])
        labels = read_labels(innermost(dataset))
        self.all_codes = None if labels is None else np.asarray(labels).astype(np.int64)
        self.codes = None if self.all_codes is None else self.all_codes[self.rows]

    def judge_on(self, dataset: Any, collate_fn: Any) -> None:
        """Take the dataset that the training rows are judged on.

        Parameters
        ----------
        dataset : torch Dataset
            Of the training rows, in order.
        collate_fn : callable
            Makes a batch of its items.
        """
        self.selection_dataset, self.selection_collate_fn = dataset, collate_fn

    def get_fingerprint(self) -> str:
        """Return what tells these rows, labels and weights from others, by a sample of the rows.

        Returns
        -------
        fingerprint : str
        """
        if self.fingerprint is not None:
            return self.fingerprint
        sample = np.unique(np.linspace(0, len(self.rows) - 1, N_SAMPLED).astype(np.int64))
        first, second = (
            joblib.hash(apply_to_leaves(self.fetch_judged(sample)[0], _to_numpy)) for _ in range(2)
        )
        # Rows that are augmented at random are told by their labels alone.
        x = first if first == second else None
        self.fingerprint = joblib.hash((self.n_rows, self.rows, self.codes, self.weights, x))
        return self.fingerprint

    def spread(self, values: np.ndarray, missing: float) -> np.ndarray:
        """Return values of the training rows as values of all rows of X.

        Parameters
        ----------
        values : ndarray of shape (n_train,)
        missing : float
            For the other rows.

        Returns
        -------
        spread : ndarray of shape (n_rows,), of the dtype of values
        """
        spread = np.full(self.n_rows, missing, values.dtype)
        spread[self.rows] = values
        return spread

    def fetch(self, positions: np.ndarray) -> tuple[Any, Any]:
        """Return the batch (X, y) of some training rows, by their positions among these."""
        return fetch_rows(self.dataset, positions, self.collate_fn)

    def fetch_judged(self, positions: np.ndarray) -> tuple[Any, Any]:
        """Return the batch (X, y) of some training rows as they are judged."""
        return fetch_rows(self.selection_dataset, positions, self.selection_collate_fn)

    def watch(self, module: nn.Module, get_seed: Callable[[str], int]) -> ModuleDraws:
        """Return what lends the module its random numbers."""
        if self.draws is None:
            self.draws = ModuleDraws(module)
            self.draws.reseed(get_seed("module"))
        return self.draws

    def make_whole(self) -> CoresetDataset:
        """Return all training rows as batches that carry their numbers."""
        return CoresetDataset(
            self.dataset,
            np.arange(len(self.rows)),
            numbers=self.rows,
            weights=self.weights,
            collate_fn=self.collate_fn,
        )

    def make_planned(self, plan: EpochPlan, rng: np.random.Generator) -> CoresetDataset:
        """Return the rows of a plan as batches that carry their numbers.

        Parameters
        ----------
        plan : EpochPlan
        rng : numpy Generator
            Draws the mixtures.

        Raises
        ------
        ValueError
            If the plan names no row, one twice, or one that is not a training row.
        """
        positions = self._find(plan.rows)
        mixtures = None
        if plan.mixing is not None:
            mixtures = plan.mixing.at(self.rows).draw(positions, rng)
        return CoresetDataset(
            self.dataset,
            positions,
            numbers=self.rows,
            weights=self.get_weights(plan),
            mixtures=mixtures,
            labels=self._spread_labels(plan, positions),
            collate_fn=self.collate_fn,
        )

    def _spread_labels(self, plan: EpochPlan, positions: np.ndarray) -> np.ndarray | None:
        """Return the labels of a plan as those of all training rows, -1 for their own."""
        if plan.labels is None:
            return None
        labels = np.full(len(self.rows), -1, np.int64)
        labels[positions] = plan.labels
        return labels

    def get_weights(self, plan: EpochPlan) -> np.ndarray | None:
        """Return what the rows of a plan count in the loss, of mean one; None: one for all."""
        if plan.weights is not None:
            return scale_weights(check_plan_weights(plan.weights, len(plan.rows)))
        return None if self.weights is None else scale_weights(self.weights[self._find(plan.rows)])

    def _find(self, rows: np.ndarray) -> np.ndarray:
        """Return the positions of rows, given by their numbers, among the training rows."""
        rows = np.asarray(rows)
        position_of = np.full(self.n_rows, -1, np.int64)
        position_of[self.rows] = np.arange(len(self.rows))
        is_good = rows.ndim == 1 and rows.dtype.kind in "iu" and len(rows)
        if not is_good or rows.min() < 0 or rows.max() >= self.n_rows:
            raise ValueError(
                "plan_epoch has to give rows as a list of integers, at least one, from 0 to "
                f"{self.n_rows - 1}, their numbers in X; got {rows!r}."
            )
        positions = position_of[rows]
        if (positions < 0).any() or len(np.unique(rows)) < len(rows):
            raise ValueError(
                "plan_epoch names rows that are not training rows (of a validation split, say), or "
                "a row twice. The training rows are training_.rows."
            )
        return positions


def check_plan_weights(weights: Any, n_rows: int) -> np.ndarray:
    """Return the weights of a plan, or say that they are none."""
    try:
        checked = check_sample_weight(weights, n_rows)
    except ValueError as error:
        raise ValueError(
            f"plan_epoch gives weights that are none: {error} EpochPlan.weights has one entry for "
            "each of its rows, in their order."
        ) from error
    assert checked is not None
    return checked


def scale_weights(weights: np.ndarray) -> np.ndarray:
    """Return weights of mean one, zeros as they are."""
    return weights / (weights.mean() or 1.0)


def _to_numpy(leaf: Any) -> Any:
    return leaf.float().cpu().numpy() if torch.is_tensor(leaf) else leaf
