"""Numba compilation of the hot kernels, with a cache where there is a place for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel to machine code that releases the GIL and starts no threads.

    Parameters
    ----------
    function : callable
        A function in the subset of Python that numba compiles.

    Returns
    -------
    callable
        The same function, compiled at its first call and kept on disk where the package's folder or
        the user's cache folder can be written; otherwise compiled anew in each process.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        Path.home()  # without one numba would keep its cache in a folder named ~, wherever the user is
        return cast("Callable[P, R]", numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no place for a cache: read-only site-packages and no home
        return cast("Callable[P, R]", numba.njit(**options)(function))
