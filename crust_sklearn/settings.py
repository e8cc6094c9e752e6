"""Settings of `CRUSTClassifier` by their source, to be passed on as ``**PAPER``."""

from __future__ import annotations

from typing import Any

#: The paper's algorithm, as written: medoids of each predicted class, weighted.
PAPER: dict[str, Any] = {
    "selector": "facility-location",
    "coreset_size": 0.5,
    "warmup_epochs": 5,
    "reselect_every": 1,
    "gradient": "features",
    "group_by": "prediction",
    "coreset_weight": "cluster",
    "mixup": "cluster",
    "mixup_alpha": 1.0,
}

#: What the authors' published code does in effect: the central half of each label.
REFERENCE: dict[str, Any] = {
    "selector": "centrality",
    "coreset_size": 0.5,
    "warmup_epochs": 5,
    "reselect_every": 1,
    "gradient": "features",
    "group_by": "label",
    "coreset_weight": "uniform",
    "mixup": "class",
    "mixup_alpha": (1.0, 0.1),
}
