"""NoiseMeter: a short training after which labels are judged."""

from __future__ import annotations

from ...label_noise import LabelJudgement
from ...nets import NoisyLabelClassifier
from ...nets.judged_labels import judge_now


class NoiseMeter(NoisyLabelClassifier):
    """Train on all rows, and judge their labels at the end, by label quality.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    **kwargs : dict
        As in `NoisyLabelClassifier`.

    Attributes
    ----------
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        How probable it is that each given label is right.
    """

    def judge_rows(self) -> LabelJudgement | None:
        """Return what the rows say of each other's labels, when training is over.

        Returns
        -------
        judgement : LabelJudgement or None
        """
        training = self.training_
        assert training is not None
        return judge_now(self) if training.is_over else None
