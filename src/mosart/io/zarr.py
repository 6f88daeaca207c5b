"""Zarr: our own stacks and results in a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from dask.base import tokenize
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.stack import Stack

from .atomic import atomic_path
from .cf import encode, row_dimension
from .hdf5 import LONGEST_AXIS, reading
from .netcdf import decode, lazy_blocks
from .stream import Progress, store_by_rows

#: Rows and columns of a stored chunk, one date each; each is a file, so larger than in netCDF.
CHUNK = (256, 1024)


def write_stack(stack: Stack, path: str | os.PathLike[str], *, progress: Progress | None = None) -> None:
    """Write a stack with all it has as a Zarr folder.

    Parameters
    ----------
    stack : Stack
        What to write.
    path : path-like
        Folder to write, whole or not at all.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    write_dataset(stack.dataset, path, progress=progress)


def write_dataset(
    dataset: xr.Dataset, path: str | os.PathLike[str], *, progress: Progress | None = None
) -> None:
    """Write a dataset as a Zarr folder with CF attributes, tile after tile of rows.

    Parameters
    ----------
    dataset : xarray.Dataset
        As for :func:`mosart.io.netcdf.write_dataset`.
    path : path-like
        Folder to write, whole or not at all.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    rows = row_dimension(dataset)
    small, large, attributes = encode(dataset, rows)
    with atomic_path(path) as temporary:
        group = zarr.create_group(temporary, zarr_format=2, attributes=_plain(attributes))
        targets = {name: _create(group, name, variable) for name, variable in (small | large).items()}
        for name, variable in small.items():
            targets[name][...] = _values(variable)
        if rows is not None and large:
            store_by_rows(large, targets, rows, lock=True, progress=progress)
        zarr.consolidate_metadata(temporary, zarr_format=2)


def _values(variable: xr.Variable) -> NDArray[Any]:
    values = np.asarray(variable.values)
    return values.astype(object) if values.dtype.kind in "US" else values


def _create(group: Any, name: str, variable: xr.Variable) -> Any:
    values = variable.dtype
    chunk = (1,) * (variable.ndim - 2) + CHUNK if variable.ndim >= 2 else (2**16,)
    attrs = dict(variable.attrs)
    fill = attrs.pop("_FillValue", np.nan if values.kind == "f" else None)
    return group.create_array(
        name,
        shape=variable.shape,
        dtype=values if values.kind not in "OUS" else str,
        chunks=tuple(max(1, min(a, b)) for a, b in zip(chunk, variable.shape)),
        fill_value=fill,
        attributes=_plain(attrs) | {"_ARRAY_DIMENSIONS": list(map(str, variable.dims))},
        # A chunk that is not there was lost, and not one of nothing but the fill value.
        config={"write_empty_chunks": True},
    )


def _plain(attrs: dict[str, Any]) -> dict[str, Any]:
    """Turn attributes into what JSON can hold."""
    out: dict[str, Any] = {}
    for name, value in attrs.items():
        out[name] = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return out


def _arrays(attrs: dict[str, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Turn lists of numbers back into arrays; flags have the type of their variable."""
    for name, value in attrs.items():
        if isinstance(value, list) and value and not any(isinstance(v, str | list | dict) for v in value):
            attrs[name] = np.array(value, dtype=dtype if name.startswith("flag_") else None)
    return attrs


@dataclass(frozen=True)
class _Array:
    """An array of a Zarr folder; what cannot be read is an error by name."""

    path: str
    name: str
    stored: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.stored.shape)

    @property
    def ndim(self) -> int:
        return len(self.stored.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.stored.dtype)
        return dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        with reading(self.path, self.name):
            return np.asarray(self.stored[key])


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a Zarr folder that MoSARt wrote, lazily.

    Parameters
    ----------
    path : path-like
        Folder.

    Returns
    -------
    xarray.Dataset
        As :func:`mosart.io.netcdf.open_dataset` gives it.

    Raises
    ------
    InputError
        If the folder is missing, damaged or not Zarr, or chunks of it are missing.
    """
    variables: dict[str, xr.Variable] = {}
    with reading(path):
        group = zarr.open_group(Path(path), mode="r")
        token = tokenize(str(path), Path(path).stat().st_mtime_ns)
        for name, stored in group.arrays():
            attributes = _arrays(dict(stored.attrs), np.dtype(stored.dtype))
            dims = attributes.pop("_ARRAY_DIMENSIONS", None)
            if dims is None:  # Zarr 3 keeps them elsewhere
                dims = getattr(stored.metadata, "dimension_names", None)
            if dims is None or len(dims) != len(stored.shape) or max(stored.shape, default=0) > LONGEST_AXIS:
                raise InputError(f"the array {name} in {path} has no names of its dimensions")
            if stored.nchunks_initialized < stored.nchunks:
                raise InputError(
                    f"the array {name} in {path} is incomplete",
                    expected=f"{stored.nchunks} chunks",
                    got=f"{stored.nchunks_initialized}",
                    hint="copy or write the folder again",
                )
            source = _Array(str(path), name, stored)
            if {"azimuth", "y"} & set(dims) and len(dims) > 1:
                data: Any = lazy_blocks(source, stored.chunks, token)
            else:
                data = source[...]
                if data.dtype.kind in "OUT":
                    data = data.astype(object)
                elif stored.fill_value is not None and data.dtype.kind in "iu" and "units" in attributes:
                    attributes.setdefault("_FillValue", stored.fill_value)
            variables[name] = xr.Variable(dims, data, attributes)
        return decode(variables, dict(group.attrs))
