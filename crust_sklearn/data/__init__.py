"""What nets train on: batches that know their rows, and datasets of any class as such."""

from .batches import MixedBatch, RowBatch, keep_batch, mix
from .coreset_dataset import BatchedDataset, CoresetDataset
from .mixtures import Mixing, Mixtures, draw_partners
from .reading import (
    RelabelledDataset,
    base_rows,
    fetch_rows,
    innermost,
    is_plain,
    read_labels,
    with_labels,
)

__all__ = [
    "BatchedDataset",
    "CoresetDataset",
    "MixedBatch",
    "Mixing",
    "Mixtures",
    "RelabelledDataset",
    "RowBatch",
    "base_rows",
    "draw_partners",
    "fetch_rows",
    "innermost",
    "is_plain",
    "keep_batch",
    "mix",
    "read_labels",
    "with_labels",
]
