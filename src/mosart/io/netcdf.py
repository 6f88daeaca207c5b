"""CF netCDF-4: our own stacks and results."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr
from dask.base import tokenize

from mosart.stack import Stack

from .cf import BOUNDS, encode, row_dimension, tidy_attributes
from .hdf5 import Fingerprint, check_storage, cube, reading, tile_rows
from .lazy import lazy
from .newfile import new_file
from .packing import FILTERS
from .stream import Progress, store_by_rows

#: Rows and columns of a stored chunk, one date each: small enough for a point's series, large enough
#: for a map.
CHUNK = (32, 1024)


def write_stack(stack: Stack, path: str | os.PathLike[str], *, progress: Progress | None = None) -> None:
    """Write a stack with all it has as CF netCDF-4.

    Parameters
    ----------
    stack : Stack
        What to write.
    path : path-like
        File to write, whole or not at all.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_dataset(stack.dataset, path, progress=progress)


def write_dataset(
    dataset: xr.Dataset, path: str | os.PathLike[str], *, progress: Progress | None = None
) -> None:
    """Write a dataset as CF netCDF-4, tile after tile of rows.

    Parameters
    ----------
    dataset : xarray.Dataset
        Variables on a radar grid (azimuth, range) or a map grid (y, x), lazy or not, and any smaller
        ones. Memory is bounded by the blocks in work, whatever the whole size. Attributes of the
        variables that CF asks for and that are missing are added.
    path : path-like
        File to write, whole or not at all.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    rows = row_dimension(dataset)
    small, large, attributes = encode(dataset, rows)
    with new_file(path) as new:
        with h5netcdf.File(new.file, "w") as file:
            file.dimensions = {
                str(dim): size for v in (small | large).values() for dim, size in v.sizes.items()
            }
            file.attrs.update(attributes)
            for name, variable in (small | large).items():
                _create(file, name, variable, large=name in large)
        if rows is not None and large:
            targets = {name: new.writer(new.file[name]) for name in large}
            store_by_rows(large, targets, rows, progress=progress)


def _create(file: Any, name: str, variable: xr.Variable, *, large: bool) -> None:
    attrs = tidy_attributes(variable.attrs)
    fill = attrs.pop("_FillValue", None)
    dtype: Any = variable.dtype
    if dtype.kind in "OUS":
        dtype, fill = h5py.string_dtype(), None
    options: dict[str, Any] = {"fillvalue": fill}
    if large:
        if dtype.kind == "f":
            options["fillvalue"] = dtype.type(np.nan)
        shape = (1,) * (variable.ndim - 2) + CHUNK
        options["chunks"] = tuple(max(1, min(a, b)) for a, b in zip(shape, variable.shape))
        options |= FILTERS
    else:
        values = variable.values
        options["data"] = values.astype(object) if dtype == h5py.string_dtype() else values
    target = file.create_variable(name, variable.dims, dtype, **options)
    target.attrs.update(attrs)


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a netCDF-4 file that MoSARt wrote, lazily.

    Parameters
    ----------
    path : path-like
        File.

    Returns
    -------
    xarray.Dataset
        Variables with rows (azimuth or y) and columns are lazy, in blocks of about 16 MB of one date
        and complete rows; the smaller ones are in memory. Nothing is left open.

    Raises
    ------
    InputError
        If the file is missing, damaged or not netCDF-4.
    """
    variables: dict[str, xr.Variable] = {}
    fingerprint = Fingerprint.of(path)
    # The library asks for no lock: one file may be read by several programs at once.
    with reading(path), h5netcdf.File(Path(path), "r", decode_vlen_strings=True) as file:
        attrs = dict(file.attrs)
        for name, stored in file.variables.items():
            raw = file._h5file[name]
            check_storage(file._h5file, raw)
            dims = tuple(str(dim) for dim in stored.dimensions)
            attributes = dict(stored.attrs)
            if {"azimuth", "y"} & set(dims) and len(dims) > 1:
                source = cube(file._h5file, str(name))
                data: Any = lazy_blocks(source, source.chunks, tokenize(str(path), fingerprint))
                fill = attributes.get("_FillValue")
                if fill is not None and np.ndim(fill) == 0 and np.isnan(fill):
                    del attributes["_FillValue"]  # NaN needs no decoding
            else:
                data = stored[...]
            variables[str(name)] = xr.Variable(dims, data, attributes)
        return decode(variables, attrs)


def lazy_blocks(source: Any, chunks: tuple[int, ...] | None, token: str) -> Any:
    """Give a stored array as a dask array: blocks of one date and complete rows.

    Parameters
    ----------
    source : array-like
        With name, shape and type; its last two dimensions are rows and columns.
    chunks : tuple of int or None
        How it is stored.
    token : str
        What tells this file from others.

    Returns
    -------
    dask.array.Array
    """
    rows = tile_rows(source.shape[-2:], () if chunks is None else (int(chunks[-2]),))
    chunks = (1,) * (len(source.shape) - 2) + (rows, source.shape[-1])
    return lazy(source, chunks, f"{source.name}-{token}")


def decode(variables: Mapping[str, xr.Variable], attrs: Mapping[str, Any]) -> xr.Dataset:
    """Decode variables by the CF conventions.

    Parameters
    ----------
    variables : mapping of str to xarray.Variable
        As stored.
    attrs : mapping
        Attributes of the file.

    Returns
    -------
    xarray.Dataset
    """
    decoded = xr.decode_cf(xr.Dataset(dict(variables), attrs=dict(attrs)))
    # positions are data to us, whatever the convention makes of them
    decoded = decoded.reset_coords([n for n in ("longitude", "latitude") if n in decoded.coords])
    decoded = decoded.drop_vars(BOUNDS, errors="ignore")  # made anew of `averaged_dates` where it is written
    if "date" in decoded.coords:
        decoded["date"].attrs.pop("bounds", None)
    for variable in decoded.variables.values():
        variable.encoding = {}
    decoded.encoding = {}
    return decoded
