"""What every reader of a data set returns."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch


def make_bunch(
    data: Any,
    target: np.ndarray,
    *,
    target_true: np.ndarray | None = None,
    target_names: list[str],
    descr: str,
    provenance: dict[str, Any],
    return_X_y: bool = False,
    **more: Any,
) -> Any:
    """Return a data set as scikit-learn's fetchers do.

    Parameters
    ----------
    data : array or Dataset of n_samples items
    target : ndarray of int64 of shape (n_samples,)
        The labels given, 0..n_classes-1.
    target_true : ndarray of int64 of shape (n_samples,), default=None
        The true labels, where they are known.
    target_names : list of str
        The names of the classes, in the order of the labels.
    descr : str
        What the set is, and where it comes from.
    provenance : dict
        ``files``: list of dicts of `name`, `url` (or None), `bytes` and `sha256`; ``licence`` and
        ``citation``: str.
    return_X_y : bool, default=False
    **more
        Further entries of the bunch.

    Returns
    -------
    Bunch or tuple
        The entries `data`, `target`, `target_true`, `target_names`, `DESCR`, `provenance` and
        those of `more`; with `return_X_y`, the tuple (data, target).
    """
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_true=target_true,
        target_names=target_names,
        DESCR=descr,
        provenance=provenance,
        **more,
    )
