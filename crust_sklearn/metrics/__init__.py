"""Scores that choose between models although the labels they are scored on are partly wrong.

Three answers, by what is known about the noise. Nothing: determinant mutual information keeps the
order of models under any class-conditional noise. Its transition matrix: the accuracy corrected by
it. Some labels for sure: the accuracy on those. Each comes as a function of labels and predictions
and as a scorer for ``scoring=``.
"""

from ..label_noise import estimate_transition_matrix
from .corrected_accuracy import corrected_accuracy_score
from .mutual_information import determinant_mutual_information
from .scorers import dmi_scorer, make_corrected_accuracy_scorer, trusted_accuracy_scorer
from .trusted_accuracy import trusted_accuracy_score

__all__ = [
    "corrected_accuracy_score",
    "determinant_mutual_information",
    "dmi_scorer",
    "estimate_transition_matrix",
    "make_corrected_accuracy_scorer",
    "trusted_accuracy_score",
    "trusted_accuracy_scorer",
]
