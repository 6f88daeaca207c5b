"""How many threads work, and no more than one of a linear-algebra library in each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from dask.system import cpu_count
from threadpoolctl import threadpool_limits


def available_cores() -> int:
    """Count the cores that this process may use: its affinity and its control group's quota count.

    Returns
    -------
    int
        At least 1.
    """
    cores: int = cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    return max(1, cores)


@contextmanager
def working_threads(workers: int | None) -> Iterator[int]:
    """Run dask on threads, with one thread of a linear-algebra library in each, inside a ``with`` block.

    A library that starts as many threads again for each of ours makes them all slower.

    Parameters
    ----------
    workers : int or None
        Number of threads; None for :func:`available_cores`.

    Yields
    ------
    int
        The number of threads.
    """
    count = workers or available_cores()
    with (
        dask.config.set(scheduler="threads" if count > 1 else "synchronous", num_workers=count),
        threadpool_limits(limits=1),
    ):
        yield count
