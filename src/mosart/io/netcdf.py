"""CF netCDF-4: our own stacks and results."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from mosart.stack import Stack

from .atomic import atomic_path
from .cf import CONVENTIONS, VARIABLE_ATTRS
from .stream import Progress, row_tiles

#: Rows and columns of a stored chunk: 128 kB of float32, one date; both a map and a point's series
#: touch few of them.
CHUNK = (128, 256)


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
        ones. Memory is bounded by a block of rows of all variables, whatever the whole size.
    path : path-like
        File to write, whole or not at all.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    rows_dim = next((dim for dim in ("azimuth", "y") if dim in dataset.dims), None)
    large = (
        []
        if rows_dim is None
        else [n for n, v in dataset.variables.items() if rows_dim in v.dims and v.ndim > 1]
    )
    variables, attributes = encode(dataset, large)
    with atomic_path(path) as temporary:
        with h5netcdf.File(temporary, "w") as file:
            file.dimensions = {str(name): size for name, size in dataset.sizes.items()}
            file.attrs.update(_attributes(attributes))
            for name, variable in variables.items():
                _create(file, str(name), variable, name in large)
        if rows_dim is not None and large:
            with h5py.File(temporary, "r+") as file:
                for start, stop, tile in row_tiles(
                    dataset[large].reset_coords(), rows_dim, multiple=CHUNK[0]
                ):
                    for name, block in tile.items():
                        axis = dataset[name].dims.index(rows_dim)
                        file[name][(slice(None),) * axis + (slice(start, stop),)] = block
                    if progress is not None:
                        progress(stop, dataset.sizes[rows_dim])


def encode(
    dataset: xr.Dataset, large: list[Hashable]
) -> tuple[Mapping[Hashable, xr.Variable], Mapping[Any, Any]]:
    """Encode a dataset by the CF conventions, the large variables in their own type.

    Parameters
    ----------
    dataset : xarray.Dataset
        What to write.
    large : list
        Names of variables that are written by tiles: these keep their data untouched.

    Returns
    -------
    variables, attributes : mapping
        As they go into the file.
    """
    variables, attributes = xr.conventions.encode_dataset_coordinates(dataset)
    encoded: dict[Hashable, xr.Variable] = {}
    for name, variable in variables.items():
        attrs = dict(VARIABLE_ATTRS.get(str(name), {})) | dict(variable.attrs)
        plain = variable if name in large else variable.compute()
        plain = xr.Variable(plain.dims, plain.data, attrs, {})
        if np.issubdtype(plain.dtype, np.datetime64):
            plain.encoding = {"units": "days since 1970-01-01", "calendar": "standard", "dtype": "int64"}
            if not (plain.values == plain.values.astype("datetime64[D]")).all():
                plain.encoding["units"] = "microseconds since 1970-01-01"
        if name not in large:
            plain = xr.conventions.encode_cf_variable(plain, name=name)
        encoded[name] = plain
    return encoded, {"Conventions": CONVENTIONS} | {k: v for k, v in attributes.items() if k != "Conventions"}


def _attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Keep to what netCDF can hold: truth values as 0 or 1, nothing as the empty text."""
    out: dict[str, Any] = {}
    for name, value in attrs.items():
        if value is None:
            out[str(name)] = ""
        elif isinstance(value, bool | np.bool_):
            out[str(name)] = np.int8(value)
        elif isinstance(value, list | tuple) and any(isinstance(v, str) for v in value):
            out[str(name)] = ",".join(str(v) for v in value)
        else:
            out[str(name)] = value
    return out


def _create(file: Any, name: str, variable: xr.Variable, large: bool) -> None:
    dtype = variable.dtype
    if dtype.kind in "OU":
        dtype = h5py.string_dtype()
    elif dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    attrs = _attributes(variable.attrs)
    fill = attrs.pop("_FillValue", None)
    options: dict[str, Any] = {"fillvalue": fill}
    if large:
        if dtype.kind == "f":
            options["fillvalue"] = dtype.type(np.nan)
        shape = (1,) * (variable.ndim - 2) + CHUNK
        options["chunks"] = tuple(min(a, b) for a, b in zip(shape, variable.shape))
        options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        target = file.create_variable(name, variable.dims, dtype, **options)
    else:
        data = variable.values if dtype.kind != "O" else variable.values.astype(object)
        target = file.create_variable(name, variable.dims, dtype, data=data, **options)
    target.attrs.update(attrs)


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open one of our netCDF-4 files, lazily.

    Parameters
    ----------
    path : path-like
        File.

    Returns
    -------
    xarray.Dataset
    """
    return xr.open_dataset(path, engine="h5netcdf", chunks={})
