"""NoiseMeter: a short training after which labels are judged."""

from __future__ import annotations

from ...label_noise import LabelJudgement
from ...nets import NoisyLabelClassifier
from ...nets.judged_labels import start_judging
from ...nets.row_outputs import compute_row_outputs


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
        if not training.is_over:
            return None
        dataset = self.get_selection_dataset(training.dataset)
        outputs = compute_row_outputs(
            self, dataset, numbers=training.rows, with_inputs=True, **training.fit_params
        )
        return start_judging(self, outputs)
