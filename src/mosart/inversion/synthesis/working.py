"""Work on many parts side by side, the answers in their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import dask
from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")


def working_threads() -> int:
    """Count the threads that dask is set to, or the machine's cores."""
    return int(dask.config.get("num_workers", None) or os.cpu_count() or 1)


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Apply a function on threads; no more items are under work or waiting than there are threads and one.

    Parameters
    ----------
    function : callable
        Of one item.
    items : iterable
        Drawn from as threads get free.
    threads : int
        1: no thread is started.

    Yields
    ------
    object
        The results in the order of the items, whichever was ready first. When the caller is interrupted
        nothing new is begun.

    Notes
    -----
    A linear-algebra library starts no threads of its own meanwhile.
    """
    with threadpool_limits(limits=1):
        if threads == 1:
            yield from map(function, items)
            return
        pool = ThreadPoolExecutor(threads)
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
