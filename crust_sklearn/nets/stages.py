"""Stages: networks that are trained before the net's own first epoch."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np
from sklearn.base import clone
from torch.utils.data import Subset

from ..data import RelabelledDataset
from ..data.inputs import get_parameters
from . import processes
from .callback_states import keeps_files
from .checks import needs_validation
from .evaluation import unwrap
from .noisy_label_classifier import NoisyLabelClassifier
from .training import Training

Stage = TypeVar("Stage", bound=NoisyLabelClassifier)


class StagesMixin:
    """Let a net train others on its training rows, before its own first epoch.

    Each stage is a whole training, of `max_epochs` epochs unless a method says otherwise, with
    optimizer, schedule and other callbacks as the net has them, but objects of its own. Callbacks
    that go by a validation score are left out, as a stage has no validation split; and so are those
    that write or load files, which are the net's own.

    Examples
    --------
    A net that begins where another one has ended:

    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> from crust_sklearn.nets.stages import StagesMixin
    >>> class Continued(StagesMixin, NoisyLabelClassifier):
    ...     def prepare_training(self):
    ...         first = self.train_stage("first", NoisyLabelClassifier, max_epochs=20)
    ...         self.take_weights(first)
    >>> X, y = load_iris(return_X_y=True)
    >>> net = Continued(MLP, lr=0.01, max_epochs=2, random_state=0, verbose=0).fit(X, y)
    >>> net.score(X, y) > 0.9, len(net.stage_histories_["first"])
    (True, 20)
    """

    training_: Training | None
    selection_dataset: Any

    def train_stage(
        self,
        name: str,
        kind: type[Stage],
        *,
        positions: np.ndarray | None = None,
        codes: np.ndarray | None = None,
        **changes: Any,
    ) -> Stage:
        """Train a network on the training rows, or on some of them; for `prepare_training`.

        Its history is published as ``stage_histories_[name]``.

        Parameters
        ----------
        name : str
            Weights and batches are drawn from a stream of that name.
        kind : subclass of NoisyLabelClassifier
        positions : ndarray of shape (n_chosen,), dtype int64, or None, default=None
            Of the rows among the training rows; None: all. In the stage, rows are numbered by
            their place in this list.
        codes : ndarray of shape (n_chosen,), dtype int64, or None, default=None
            Their labels; None: those given.
        **changes : dict
            Parameters that differ from those of this net, and those of `kind` alone.

        Returns
        -------
        stage : instance of `kind`
            Fitted.

        Raises
        ------
        KeyboardInterrupt
            If the stage is interrupted within an epoch, or before its first. At the end of one, as
            by `EarlyStopping`, it is over.
        """
        training = self.training_
        assert training is not None and training.codes is not None
        given, weights = training.codes, training.weights
        if positions is not None:
            given = given[positions]
            weights = None if weights is None else weights[positions]
        codes = given if codes is None else codes
        rows, judged = (
            # An array, unlike a list, is not read anew for each batch.
            RelabelledDataset(part if positions is None else Subset(part, positions), codes)  # type: ignore[arg-type]
            for part in (training.dataset, training.selection_dataset)
        )
        if self.selection_dataset is not None:
            changes["selection_dataset"] = judged
        kind, shared = processes.share_kind(self, kind)
        stage = kind(**self._get_stage_params(name) | shared | changes)
        stage.fit(rows, codes, sample_weight=weights, **training.fit_params)
        check_ended(stage, name)
        training.kept["stage_histories"] = self._get_stage_histories() | {name: stage.history}
        return stage

    def take_weights(self, stage: NoisyLabelClassifier) -> None:
        """Go on from the weights of a stage.

        Parameters
        ----------
        stage : NoisyLabelClassifier
            Fitted; its module has the parameters and buffers that the net's own has.

        Raises
        ------
        RuntimeError
            If it has others, as torch says.
        """
        module = unwrap(self.module_)  # type: ignore[attr-defined]
        module.load_state_dict(unwrap(stage.module_).state_dict())

    def _get_stage_params(self, name: str) -> dict[str, Any]:
        """Return the parameters of the training alone, without those of the method."""
        of_trunk = {p.name for cls in NoisyLabelClassifier.__mro__ for p in get_parameters(cls)}
        own = {p.name for cls in type(self).__mro__ for p in get_parameters(cls)} - of_trunk
        params = self.get_params(deep=False)  # type: ignore[attr-defined]
        changes = {
            "callbacks": _copy_callbacks(params["callbacks"]),
            "classes": np.arange(len(self.classes_)),  # type: ignore[attr-defined]
            "random_state": self.get_seed(name),  # type: ignore[attr-defined]
            "train_split": None,
            "warm_start": False,
        }
        left_out = own | set(changes)
        return changes | {
            key: clone(value, safe=False)
            for key, value in params.items()
            # Which is about all rows: a stage has its own.
            if key not in left_out and not key.startswith("selection_dataset")
        }

    def _get_stage_histories(self) -> dict[str, Any]:
        kept = {} if self.training_ is None else self.training_.kept
        return kept.get("stage_histories", vars(self).get("stage_histories_", {}))

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the histories of its stages among it.

        Returns
        -------
        attributes : dict of str to object
        """
        attributes = super().get_fitted_attributes()  # type: ignore[misc]
        histories = self._get_stage_histories()
        return attributes | ({"stage_histories_": histories} if histories else {})

    def get_saved_attributes(self) -> dict[str, Any]:
        """Return the fitted attributes that are saved; the histories before they are published.

        Returns
        -------
        attributes : dict of str to object
        """
        histories = self._get_stage_histories()
        saved = super().get_saved_attributes()  # type: ignore[misc]
        return saved | ({"stage_histories_": histories} if histories else {})


def check_ended(stage: NoisyLabelClassifier, name: str) -> None:
    """Pass on the interrupt of a stage, which skorch has caught.

    Parameters
    ----------
    stage : NoisyLabelClassifier
        After its `fit`.
    name : str
        For the message.
    """
    history = stage.history
    # Counted when the batches of an epoch are over.
    if not history or "train_batch_count" not in history[-1]:
        raise KeyboardInterrupt(f"The training of {name!r} was interrupted.")


def _copy_callbacks(callbacks: Any) -> Any:
    """Return copies of callbacks, without those that a stage cannot have."""
    if not isinstance(callbacks, list | tuple):
        return callbacks
    kinds = [entry[1] if isinstance(entry, tuple) else entry for entry in callbacks]
    return [
        _copy(entry)
        for entry, kind in zip(callbacks, kinds, strict=True)
        if not needs_validation(kind) and not keeps_files(kind)
    ]


def _copy(callback: Any) -> Any:
    try:
        return clone(callback, safe=False)
    except (TypeError, RuntimeError):  # one whose attributes are not its parameters
        return copy.deepcopy(callback)
