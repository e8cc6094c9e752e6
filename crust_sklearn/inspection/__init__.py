"""Figures and numbers on what the method does: to coresets, gradients and labels."""

from .cluster_display import ClusterDisplay
from .coreset_display import CoresetDisplay
from .jacobian import information_space, jacobian_spectrum, residual_alignment
from .jacobian_display import JacobianSpectrumDisplay
from .label_issues_display import LabelIssuesDisplay
from .low_rank_display import LowRankDisplay
from .review_display import ReviewDisplay

__all__ = [
    "ClusterDisplay",
    "CoresetDisplay",
    "JacobianSpectrumDisplay",
    "LabelIssuesDisplay",
    "LowRankDisplay",
    "ReviewDisplay",
    "information_space",
    "jacobian_spectrum",
    "residual_alignment",
]
