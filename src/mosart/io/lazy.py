"""Arrays in files as dask arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import dask.array as da
import numpy as np
from numpy.typing import NDArray


class Blocks(Protocol):
    """What an array in a file must offer: its shape, its type, and blocks by slices of step 1."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its numbers."""

    def __getitem__(self, key: tuple[slice, ...], /) -> NDArray[Any]:
        """Read a block."""


class _Indexed:
    """Any index that dask pushes down to the file, by the block that holds it.

    Dask reads no more than is asked for only from arrays that take whole numbers and lists as well.
    """

    def __init__(self, source: Blocks) -> None:
        self.source = source
        self.shape = tuple(source.shape)
        self.dtype = source.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        key = key if isinstance(key, tuple) else (key,)
        outer: list[slice] = []
        inner: list[Any] = []
        for part, size in zip(key, self.shape):
            if isinstance(part, slice):
                chosen = range(*part.indices(size))
                low, high = (min(chosen), max(chosen) + 1) if chosen else (0, 0)
                step = part.step or 1
                inner.append(slice(None, None, step) if step != 1 else slice(None))
            else:
                index = np.asarray(part)
                low, high = (int(index.min()), int(index.max()) + 1) if index.size else (0, 0)
                inner.append(index - low)
            outer.append(slice(low, high))
        outer += [slice(0, size) for size in self.shape[len(outer) :]]
        block = self.source[tuple(outer)]
        for axis in reversed(range(len(inner))):
            if not (isinstance(inner[axis], slice) and inner[axis] == slice(None)):
                block = block[(slice(None),) * axis + (inner[axis],)]
        return block


def lazy(source: Blocks, chunks: Sequence[int], name: str) -> Any:
    """Give an array in a file as a dask array.

    Parameters
    ----------
    source : Blocks
        The array.
    chunks : sequence of int
        Size of a block along each dimension.
    name : str
        Tells this array, in this state of the file, from all others.

    Returns
    -------
    dask.array.Array
        Nothing is read.
    """
    return da.from_array(
        _Indexed(source),
        chunks=tuple(chunks),
        name=name,
        asarray=False,
        fancy=True,
        meta=np.empty((0,) * len(source.shape), source.dtype),
    )
