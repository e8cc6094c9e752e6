"""Wrong labels: made on purpose, estimated, and judged row by row; with numpy alone."""

from .anchors import find_anchors, get_min_ratios, get_sure_noise
from .class_pairs import ClassPairs
from .held_out import leave_one_out_predictions
from .judgement import LabelJudgement, RowJudgement
from .judging_features import choose_features, join_features, make_kernel_features
from .label_quality import LabelQuality
from .noise import NoisyLabels, make_label_noise
from .posterior import LabelPosterior, get_label_posterior
from .summary import TrainingSummary, summarize
from .top_predictions import TopPredictions
from .transition import estimate_transition_matrix

__all__ = [
    "ClassPairs",
    "LabelJudgement",
    "LabelPosterior",
    "LabelQuality",
    "NoisyLabels",
    "RowJudgement",
    "TopPredictions",
    "TrainingSummary",
    "choose_features",
    "estimate_transition_matrix",
    "find_anchors",
    "get_label_posterior",
    "get_min_ratios",
    "get_sure_noise",
    "join_features",
    "leave_one_out_predictions",
    "make_kernel_features",
    "make_label_noise",
    "summarize",
]
