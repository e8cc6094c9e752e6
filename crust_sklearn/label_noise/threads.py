"""The threads of linear algebra, limited where there is too little for them to do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def limit_threads(n_threads: int | None) -> AbstractContextManager:
    """Return a context in which BLAS has so many threads; None: as many as before.

    Parameters
    ----------
    n_threads : int or None

    Returns
    -------
    context : context manager
    """
    return _find_libraries().limit(limits=n_threads, user_api="blas")


@cache
def _find_libraries() -> ThreadpoolController:
    # A search takes milliseconds: longer than a fit to some hundred rows.
    return ThreadpoolController()
