"""Lazy data by tiles of rows: what a writer needs is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from dask.base import compute
from numpy.typing import NDArray

#: Called with what is done and what there is to do.
Progress = Callable[[int, int], None]


def row_tiles(
    dataset: xr.Dataset, dim: str, *, multiple: int = 1
) -> Iterator[tuple[int, int, Mapping[str, NDArray[Any]]]]:
    """Compute a dataset tile after tile of rows.

    Parameters
    ----------
    dataset : xarray.Dataset
        Variables, lazy or not, of any dimensions.
    dim : str
        Dimension of the rows. The tiles follow the blocks of the lazy variables, so that no block is
        computed twice.
    multiple : int
        All tiles but the last begin and end at a multiple of it, as a file's chunks need it: rows
        beyond wait for the next tile.

    Yields
    ------
    start, stop : int
        Rows of the tile.
    tile : mapping of str to ndarray
        Variables that have the dimension, by name.
    """
    names = [str(name) for name in dataset.variables if dim in dataset[name].dims and name != dim]
    axes = {name: dataset[name].dims.index(dim) for name in names}
    total = dataset.sizes[dim]
    waiting: dict[str, NDArray[Any]] = {}
    begin = 0
    edges = block_edges(dataset, dim)
    for start, stop in pairwise(edges):
        parts = [dataset[name].isel({dim: slice(start, stop)}).data for name in names]
        blocks = dict(zip(names, compute(*parts)))  # type: ignore[no-untyped-call]
        if waiting:
            blocks = {n: np.concatenate([waiting[n], blocks[n]], axis=axes[n]) for n in names}
        end = stop if stop == total else stop - stop % multiple
        if end <= begin:
            waiting = blocks
            continue
        ready = {n: _cut(blocks[n], axes[n], 0, end - begin) for n in names}
        yield begin, end, ready
        waiting = (
            {n: _cut(blocks[n], axes[n], end - begin, stop - begin).copy() for n in names}
            if end < stop
            else {}
        )
        begin = end


def block_edges(dataset: xr.Dataset, dim: str) -> list[int]:
    """Rows where tiles begin and end: where a block of any lazy variable does that has the coarsest blocks.

    Parameters
    ----------
    dataset : xarray.Dataset
        Variables, lazy or not.
    dim : str
        Dimension of the rows.

    Returns
    -------
    list of int
        From 0 to the number of rows.
    """
    total = dataset.sizes[dim]
    coarsest: tuple[int, ...] = ()
    for variable in dataset.variables.values():
        if dim in variable.dims and variable.chunks is not None:
            chunks = variable.chunks[variable.dims.index(dim)]
            if not coarsest or len(chunks) < len(coarsest):
                coarsest = chunks
    if not coarsest:
        row_bytes = sum(v.nbytes for v in dataset.variables.values() if dim in v.dims) / max(total, 1)
        step = max(1, int(64_000_000 // max(row_bytes, 1)))
        return [*range(0, total, step), total]
    return [0, *np.cumsum(coarsest).tolist()]


def _cut(array: NDArray[Any], axis: int, start: int, stop: int) -> NDArray[Any]:
    return array[(slice(None),) * axis + (slice(start, stop),)]
