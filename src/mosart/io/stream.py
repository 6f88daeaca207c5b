"""Lazy data by tiles of rows: what a writer needs is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

#: Called with what is done and what there is to do.
Progress = Callable[[int, int], None]

#: Bytes of a tile where nothing is lazy and no block says how large one should be.
TILE_BYTES = 64_000_000


def store_by_rows(
    sources: Mapping[str, xr.Variable],
    targets: Mapping[str, Any],
    dim: str,
    *,
    lock: bool = False,
    progress: Progress | None = None,
) -> None:
    """Compute variables tile after tile of rows, each block going to its place as soon as it is there.

    Parameters
    ----------
    sources : mapping of str to xarray.Variable
        Variables that have the dimension, lazy or not. The tiles follow the blocks of the lazy ones:
        no block is computed twice, and what variables share is computed once.
    targets : mapping of str to array-like
        Where each goes: anything that takes ``target[slices] = block``.
    dim : str
        Dimension of the rows.
    lock : bool
        One block is written at a time, for targets that threads must not share.
    progress : callable, optional
        Called with the rows done and the rows there are.
    """
    edges = block_edges(sources.values(), dim)
    for start, stop in pairwise(edges):
        lazy: list[Any] = []
        places: list[Any] = []
        regions: list[tuple[slice, ...]] = []
        for name, variable in sources.items():
            axis = variable.dims.index(dim)
            region = tuple(
                slice(start, stop) if i == axis else slice(0, n) for i, n in enumerate(variable.shape)
            )
            if variable.chunks is None:
                targets[name][region] = np.asarray(variable.data[region])
            else:
                lazy.append(variable.data[region])
                places.append(targets[name])
                regions.append(region)
        if lazy:
            da.store(lazy, places, regions=regions, lock=lock)
        if progress is not None:
            progress(stop, edges[-1])


def block_edges(variables: Iterable[xr.Variable], dim: Hashable) -> list[int]:
    """Rows where tiles begin and end: as the blocks of the lazy variable that has the fewest.

    Parameters
    ----------
    variables : iterable of xarray.Variable
        Variables that have the dimension, lazy or not.
    dim : hashable
        Dimension of the rows.

    Returns
    -------
    list of int
        From 0 to the number of rows.
    """
    coarsest: tuple[int, ...] = ()
    total, row_bytes = 0, 0
    for variable in variables:
        axis = variable.dims.index(dim)
        total = variable.shape[axis]
        row_bytes += variable.nbytes // max(total, 1)
        if variable.chunks is not None and (not coarsest or len(variable.chunks[axis]) < len(coarsest)):
            coarsest = variable.chunks[axis]
    if coarsest:
        return [0, *np.cumsum(coarsest).tolist()]
    step = max(1, TILE_BYTES // max(row_bytes, 1))
    return [*range(0, total, step), total]
