"""Which labels are which columns of the module's output: decided in the first call."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..labels import LabelCodec, check_labels


def choose_codec(
    labels: np.ndarray | None, declared: Any, also: Any, known: LabelCodec | None
) -> LabelCodec | None:
    """Return the codec of a call of fit or partial_fit.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,) or None
        Those given to the call.
    declared : array-like or None
        The net's parameter `classes`.
    also : array-like or None
        What `partial_fit` was given as `classes`.
    known : LabelCodec or None
        That of the calls before, if training goes on.

    Returns
    -------
    codec : LabelCodec or None
        None where there are no labels to tell the classes by.

    Raises
    ------
    ValueError
        If a label is not among the classes, or if these are not as in the calls before.
    """
    declared = check_classes("classes", declared)
    also = check_classes("classes", also)
    if known is not None:
        return _go_on(labels, declared, also, known)
    if declared is not None:
        return _choose_declared(labels, declared)
    if labels is None:
        return None
    codec = LabelCodec(np.unique(labels if also is None else also))
    codec.encode(labels)
    return codec


def check_classes(name: str, classes: Any) -> np.ndarray | None:
    """Return classes as an array, None if there are none, or say what is wrong with them."""
    if classes is None:
        return None
    remedy = f"Give one label per class, as {name}=['cat', 'dog'], or None: those of y."
    if np.ndim(classes) != 1:
        raise ValueError(f"{name}={classes!r} is not a list of labels. {remedy}")
    if not len(classes):
        return None
    try:
        return check_labels(np.asarray(classes))
    except ValueError as error:
        raise ValueError(f"{name}={classes!r} holds what is no label: {error} {remedy}") from error


def _go_on(
    labels: np.ndarray | None,
    declared: np.ndarray | None,
    also: np.ndarray | None,
    known: LabelCodec,
) -> LabelCodec:
    is_changed = declared is not None and not (
        np.array_equal(declared, known.classes) or (known.is_identity and is_names(declared))
    )
    if is_changed or (also is not None and set(also.tolist()) != set(known.classes.tolist())):
        raise ValueError(
            f"classes={(declared if is_changed else also).tolist()} is not what the calls before "  # type: ignore[union-attr]
            f"had, {known.classes.tolist()}: the columns of the module stand for those. Leave "
            "classes as it was, or call fit to start anew."
        )
    if labels is not None:
        known.encode(labels)
    return known


def _choose_declared(labels: np.ndarray | None, declared: np.ndarray) -> LabelCodec:
    codec = LabelCodec(declared)
    if labels is None or codec.knows(labels):
        return codec
    codes = LabelCodec(np.arange(len(declared)))
    # As in skorch, where classes name the columns: labels may be columns if no name is a number.
    if is_names(declared) and labels.dtype.kind in "iu" and codes.knows(labels):
        return codes
    codec.encode(labels)
    raise AssertionError("encode raises")


def is_names(classes: np.ndarray) -> bool:
    """Return whether no class can be mistaken for a column."""
    return classes.dtype.kind not in "biuf"
