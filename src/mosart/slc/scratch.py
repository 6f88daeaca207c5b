"""Large arrays of a coregistration in files beside its output."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from mosart.io.room import reserve

#: Arrays larger than this are mapped to scratch files beside the output.
_LARGE = 64_000_000


@contextlib.contextmanager
def scratch(beside: Path) -> Iterator[Callable[[tuple[int, ...], Any, str], NDArray[Any]]]:
    """Allocate large arrays in files beside an output; they are gone afterwards, whatever happens.

    Parameters
    ----------
    beside : Path
        The output; its folder must be there.

    Yields
    ------
    callable
        ``allocate(shape, dtype, name)``; it raises OSError where the disk has no room.
    """
    _remove_stale(beside)
    folder = Path(
        tempfile.mkdtemp(prefix=f".{beside.name}.{os.getpid()}.", suffix=".scratch", dir=beside.parent)
    )
    try:

        def allocate(shape: tuple[int, ...], dtype: Any, name: str) -> NDArray[Any]:
            if int(np.prod(shape)) * np.dtype(dtype).itemsize <= _LARGE:
                return np.empty(shape, dtype=dtype)
            path = folder / f"{name}.npy"
            mapped: NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
            with path.open("rb+") as file:
                reserve(file.fileno(), path.stat().st_size)
            return mapped

        yield allocate
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(beside: Path) -> None:
    """Remove the scratch of earlier runs for this output that were killed."""
    for folder in beside.parent.glob(f".{beside.name}.*.scratch"):
        owner = folder.name.removeprefix(f".{beside.name}.").split(".")[0]
        if owner.isdigit() and len(owner) < 10 and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
