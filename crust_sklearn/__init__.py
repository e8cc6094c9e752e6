"""CRUST for scikit-learn: robust training of torch modules on noisily labelled data."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classifier import CRUSTClassifier
    from .coreset_classifier import CoresetClassifier
    from .label_auditor import LabelAuditor
    from .label_issues import find_label_issues
    from .label_noise import make_label_noise
    from .nets import EpochPlan, NoisyLabelClassifier
    from .review import apply_review, export_review_csv, export_review_html
    from .sampler import CoresetSampler
    from .selector import CoresetSelector
    from .versions import show_versions

__version__ = "0.1.0"

__all__ = [
    "CRUSTClassifier",
    "CoresetClassifier",
    "CoresetSampler",
    "CoresetSelector",
    "EpochPlan",
    "LabelAuditor",
    "NoisyLabelClassifier",
    "apply_review",
    "export_review_csv",
    "export_review_html",
    "find_label_issues",
    "make_label_noise",
    "show_versions",
]

_HOME = {
    "CRUSTClassifier": ".classifier",
    "CoresetClassifier": ".coreset_classifier",
    "CoresetSampler": ".sampler",
    "CoresetSelector": ".selector",
    "EpochPlan": ".nets",
    "LabelAuditor": ".label_auditor",
    "NoisyLabelClassifier": ".nets",
    "apply_review": ".review",
    "export_review_csv": ".review",
    "export_review_html": ".review",
    "find_label_issues": ".label_issues",
    "make_label_noise": ".label_noise",
    "show_versions": ".versions",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that the selector does not cost the import of torch.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
