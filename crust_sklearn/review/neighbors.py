"""The nearest rows that have the suggested label: what speaks for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors


def get_features(X: Any, features: Any, n_rows: int) -> Any:
    """Return what rows are compared by, or None if there is nothing.

    Parameters
    ----------
    X : as of `describe_rows`
    features : array-like, tensor or sparse matrix of shape (n_rows, n_features), or None
        None: X, where it is an array of numbers.
    n_rows : int

    Returns
    -------
    features : {ndarray, sparse matrix} of shape (n_rows, n_features), or None

    Raises
    ------
    ValueError
        If `features` is not numbers in a row for each row given to fit.
    """
    found = X if features is None else features
    if sparse.issparse(found):
        found = found.tocsr()
    elif features is not None or hasattr(found, "shape"):
        found = found.detach().cpu() if hasattr(found, "detach") else found
        found = np.asarray(found)
        found = found.reshape(len(found), -1)
        if found.dtype.kind not in "biuf" and features is None:
            return None
    else:
        return None
    if found.shape[0] != n_rows or found.dtype.kind not in "biuf":
        raise ValueError(
            f"features has the shape {found.shape} and the dtype {found.dtype}: give {n_rows} rows "
            "of numbers, one for each row given to fit."
        )
    return found


def find_neighbors(
    features: Any,
    labels: np.ndarray,
    is_doubted: np.ndarray,
    rows: np.ndarray,
    suggested: np.ndarray,
    n_neighbors: int,
) -> list[np.ndarray]:
    """Return for some rows the nearest of those that were given the label suggested for it.

    Parameters
    ----------
    features : {ndarray, sparse matrix} of shape (n_rows, n_features)
    labels : ndarray of shape (n_rows,)
        The given ones.
    is_doubted : ndarray of shape (n_rows,), dtype bool
        Which labels are probably wrong: these rows are nobody's witnesses.
    rows : ndarray of shape (n_asked,), dtype int64
    suggested : ndarray of shape (n_asked,)
        The label of each neighbour that is looked for.
    n_neighbors : int
        How many, or as many as there are.

    Returns
    -------
    neighbors : list of ndarray of dtype int64
        The nearest first, by the Euclidean distance.

    Raises
    ------
    ValueError
        If features are not finite.
    """
    found: list[np.ndarray] = [np.empty(0, np.int64) for _ in rows]
    for label in np.unique(suggested):
        bank = np.flatnonzero((labels == label) & ~is_doubted)
        asked = np.flatnonzero(suggested == label)
        if not len(bank):
            continue
        nearest = NearestNeighbors(n_neighbors=min(n_neighbors, len(bank)))
        try:
            nearest.fit(features[bank])
            positions = nearest.kneighbors(features[rows[asked]], return_distance=False)
        except ValueError as error:
            raise ValueError(
                f"Rows cannot be compared by these features: {error} Give finite ones by "
                "`features`, or set n_neighbors=0."
            ) from error
        for at, nearby in zip(asked, bank[positions], strict=True):
            found[at] = nearby
    return found
