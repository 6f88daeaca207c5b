"""Work on many parts side by side, the answers in their order."""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import dask
from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")


def working_threads() -> int:
    """Count the threads that dask is set to, or the machine's cores."""
    return int(dask.config.get("num_workers", None) or os.cpu_count() or 1)


class Stopped(BaseException):
    """Raised in threads whose work nobody waits for any more."""


class _Crew:
    """Threads at work, that can be stopped between two of their statements (compiled kernels end first)."""

    def __init__(self) -> None:
        self._busy = set[int]()  # no lock: a thread that is stopped while it holds one would keep it

    def work(self, function: Callable[[T], R], item: T) -> R:
        """Apply a function to an item."""
        here = threading.get_ident()
        self._busy.add(here)
        try:
            return function(item)
        finally:
            self._busy.discard(here)

    def stop(self) -> None:
        """Stop what is under work."""
        for thread in tuple(self._busy):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Stopped))


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[R, None, None]:
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
        The results in the order of the items, whichever was ready first.

    Notes
    -----
    A linear-algebra library starts no threads of its own meanwhile. When the caller is interrupted, or closes
    the generator, nothing new is begun and what is under work is stopped: no thread is left when it ends.
    """
    with threadpool_limits(limits=1):
        if threads == 1:
            yield from map(function, items)
            return
        crew, waiting = _Crew(), deque[Future[R]]()
        pool = ThreadPoolExecutor(threads)
        try:
            for item in items:
                waiting.append(pool.submit(crew.work, function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            crew.stop()
            pool.shutdown(wait=True)
