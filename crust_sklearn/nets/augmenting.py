"""Views of rows, made by a callable of the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from skorch.utils import to_tensor

from ..gradients import get_logits
from .evaluation import evaluating
from .seeding import ModuleDraws
from .state import TrainingState
from .training import Training


class AugmentMixin:
    """Let a net make views of rows by its parameter `augment`, on random numbers of its own.

    Examples
    --------
    Training on views, where rows are judged as they are:

    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP, GaussianNoise
    >>> from crust_sklearn.nets.augmenting import AugmentMixin
    >>> class OnViews(AugmentMixin, NoisyLabelClassifier):
    ...     def __init__(self, module, *, augment, **kwargs):
    ...         self.augment = augment
    ...         super().__init__(module, **kwargs)
    ...
    ...     def get_mixed(self, batch):
    ...         x = super().get_mixed(batch)
    ...         return self.make_view(self.to_module(x)) if self.training_.is_checked else x
    >>> X, y = load_iris(return_X_y=True)
    >>> net = OnViews(MLP, augment=GaussianNoise(0.1), lr=0.01, random_state=0, verbose=0)
    >>> net.fit(X, y).score(X, y) > 0.9
    True
    """

    augment: Callable[[Any], Any] | None
    training_: Training | None
    state_: TrainingState

    def __setattr__(self, name: str, value: Any) -> None:
        # skorch takes a module that is set after the start for a part that is trained.
        if name == "augment":
            vars(self)[name] = value
        else:
            super().__setattr__(name, value)

    def check_augment(self) -> None:
        """Refuse what is neither callable nor None."""
        if self.augment is not None and not callable(self.augment):
            raise TypeError(
                f"augment={self.augment!r} cannot be called. Give what makes another view of a "
                "batch of inputs, such as crust_sklearn.modules.RandomCropFlip(), or None."
            )

    def check_views(self, x: Any) -> None:
        """Refuse what does not make another view of rows, before the first batch.

        Parameters
        ----------
        x : input data
            The first rows.
        """
        augment, training = self.augment, self.training_
        assert augment is not None and training is not None
        x, draws = self.to_module(x), self._make_draws(0)
        try:
            view = draws.run(lambda: augment(x), self.module_)  # type: ignore[attr-defined]
            with evaluating(self), torch.no_grad():
                other = self.infer(view, **training.fit_params)  # type: ignore[attr-defined]
            n_rows = len(get_logits(other))
        except Exception as error:
            raise ValueError(
                f"augment={augment!r} makes of the first rows what the module does not take "
                f"({error}). It is given a batch of inputs and has to return another one."
            ) from error
        if n_rows != len(training.rows[:2]):
            raise ValueError(
                f"augment={augment!r} makes {n_rows} rows of {len(training.rows[:2])}. It has to "
                "return one for each."
            )

    def to_module(self, x: Any) -> Any:
        """Return inputs as tensors on the module's device."""
        # Where accelerate places batches, the net names no device.
        return to_tensor(x, next(self.module_.parameters()).device)  # type: ignore[attr-defined]

    def make_view(self, x: Any) -> Any:
        """Return another view of a batch of inputs, in a training step.

        Parameters
        ----------
        x : tensors on the module's device

        Returns
        -------
        view : what `augment` makes of them
        """
        augment, training, epoch = self.augment, self.training_, self.state_.epoch
        assert augment is not None and training is not None
        if training.kept.get("augment_epoch") != epoch:
            training.kept |= {"augment_epoch": epoch, "augment_draws": self._make_draws(epoch)}
        draws = training.kept["augment_draws"]
        return draws.run(lambda: augment(x), self.module_)  # type: ignore[attr-defined]

    def _make_draws(self, epoch: int) -> ModuleDraws:
        """Return what lends torch's generators to `augment`, which may draw now and then."""
        draws = ModuleDraws(self.module_)  # type: ignore[attr-defined]
        draws.draws = {True: True, False: True}
        draws.reseed(self.get_own_seed("augment", epoch))  # type: ignore[attr-defined]
        return draws
