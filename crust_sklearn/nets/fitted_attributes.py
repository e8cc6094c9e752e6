"""FittedAttributesMixin: what a net publishes of what training has found, and saves of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..labels import LabelCodec
from .judged_labels import describe_labels
from .state import TrainingState
from .training import Training


class FittedAttributesMixin:
    """Let a net set its fitted attributes at once, so that none of an earlier training is left.

    Examples
    --------
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> net = NoisyLabelClassifier(MLP)
    >>> net.set_saved_attributes({"noise_rate_": 0.2})
    >>> net.noise_rate_, net.get_saved_attributes()
    (0.2, {'noise_rate_': 0.2})
    >>> net.unpublish()
    >>> hasattr(net, "noise_rate_")
    False
    """

    training_: Training | None
    state_: TrainingState
    codec_: LabelCodec | None

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes after each new plan, and in the end.

        Extend it by `super()`: fitted attributes are set here and nowhere else.

        Returns
        -------
        attributes : dict of str to object
            Names end in an underscore.
        """
        plan, history, training = self.state_.plan, self.state_.coreset_history, self.training_
        assert training is not None
        found: dict[str, Any] = {"coreset_history_": history} if len(history) else {}
        if (judgement := self.judge_rows()) is not None:  # type: ignore[attr-defined]
            codec = self.codec_ or LabelCodec(np.arange(len(self.classes_)))  # type: ignore[attr-defined]
            found |= describe_labels(judgement, training, codec)
        return found if plan is None else found | plan.describe(training.get_weights(plan))

    def publish(self) -> None:
        """Set the fitted attributes, in the place of those before."""
        self._set(self.get_fitted_attributes())

    def unpublish(self) -> None:
        """Remove the fitted attributes."""
        for name in self.__dict__.pop("published_", ()):
            self.__dict__.pop(name, None)

    def get_saved_attributes(self) -> dict[str, Any]:
        """Return the fitted attributes that are saved with all of the net.

        Returns
        -------
        attributes : dict of str to object
        """
        names = vars(self).get("published_", ())
        return {name: vars(self)[name] for name in names if name in vars(self)}

    def set_saved_attributes(self, attributes: dict[str, Any]) -> None:
        """Publish attributes that were saved, in the place of those that are published.

        Parameters
        ----------
        attributes : dict of str to object
        """
        self._set(attributes)

    def _set(self, attributes: dict[str, Any]) -> None:
        self.unpublish()
        self.__dict__.update(attributes)
        self.published_ = sorted(attributes)
