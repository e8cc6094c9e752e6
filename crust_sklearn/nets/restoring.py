"""A net is either as it was, or as it is to be: nothing half done is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def restoring(net: Any, is_done: Callable[[], bool]) -> Iterator[None]:
    """Leave a net as it was if what is inside is refused, or interrupted, before it is done.

    Parameters
    ----------
    net : NoisyLabelClassifier
        Its attributes are put back, and what its state and its training keep.
    is_done : callable
        Returns whether what has happened so far is to stay.
    """
    holders: list[dict[str, Any]] = [vars(net)]
    if (state := vars(net).get("state_")) is not None:
        holders.append(state.entries)
    if (training := vars(net).get("training_")) is not None:
        holders.append(training.kept)
    before = [dict(holder) for holder in holders]
    try:
        yield
    except BaseException:
        if not is_done():
            for holder, old in zip(holders, before, strict=True):
                holder.clear()
                holder.update(old)
        raise
