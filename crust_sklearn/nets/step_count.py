"""How many steps the optimizer takes in a fit, for schedules that change with every batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..labels import check_labels
from . import loading


class StepCountMixin:
    """Let a net say how many steps it takes."""

    max_epochs: int

    def get_most_rows(self, epoch: int, class_sizes: list[int]) -> int:
        """Return how many rows an epoch trains on, at most; for `count_steps`.

        Parameters
        ----------
        epoch : int
        class_sizes : list of int
            The number of rows of each class.

        Returns
        -------
        n_rows : int
        """
        return sum(class_sizes)

    def count_steps(self, y: Any) -> int:
        """Return how many steps the optimizer takes in a fit, at most.

        Schedules that change with every batch need it: epochs over a coreset may have fewer.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The labels of the training rows.

        Returns
        -------
        n_steps : int
            Exact where sizes and warm-up are given, and rows are grouped by label or not at all.

        Examples
        --------
        >>> import torch
        >>> from crust_sklearn import CRUSTClassifier
        >>> from crust_sklearn.modules import MLP
        >>> clf = CRUSTClassifier(MLP, max_epochs=20, coreset_size=0.5, warmup_epochs=1)
        >>> clf.count_steps([0, 1] * 500)  # one epoch of 16 batches, and 19 of 8
        168

        For instance: ``LRScheduler(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1,
        total_steps=168, step_every="batch")``.
        """
        class_sizes = np.unique(check_labels(y), return_counts=True)[1].tolist()
        options = loading.get_step_options(self)
        return sum(
            loading.count_batches(options, self.get_most_rows(epoch, class_sizes))
            for epoch in range(self.max_epochs)
        )
