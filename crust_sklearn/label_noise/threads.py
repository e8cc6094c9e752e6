"""The threads of linear algebra, limited where there is too little for them to do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController

# With fewer multiplications, threads save little, and fight with torch's for the cores.
MIN_THREADED = 2**30


def limit_threads(n_multiplications: int) -> AbstractContextManager:
    """Return a context in which BLAS has one thread, if that is enough for what is to be done.

    Parameters
    ----------
    n_multiplications : int

    Returns
    -------
    context : context manager
    """
    n_threads = 1 if n_multiplications < MIN_THREADED else None
    return _find_libraries().limit(limits=n_threads, user_api="blas")


@cache
def _find_libraries() -> ThreadpoolController:
    # A search takes milliseconds: longer than a fit to some hundred rows.
    return ThreadpoolController()
