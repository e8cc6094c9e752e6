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
        Its attributes are put back, and what its state holds.
    is_done : callable
        Returns whether what has happened so far is to stay.
    """
    before = dict(vars(net))
    state = before.get("state_")
    entries = {} if state is None else dict(state.entries)
    try:
        yield
    except BaseException:
        if not is_done():
            vars(net).clear()
            vars(net).update(before)
            if state is not None:
                state.entries = entries
        raise
