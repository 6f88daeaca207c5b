"""The two grids that areas fall on: the radar's and the map's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from mosart.errors import InputError
from mosart.stack import Stack

#: Pixels whose positions are in memory at one time.
BLOCK = 2_000_000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """A grid of pixels with or without positions.

    Parameters
    ----------
    dataset : xarray.Dataset
        What it is the grid of.
    shape : tuple of int
        Rows and columns.
    rows, columns : ndarray of int or None
        Azimuth and range pixel of each row and column, in pixels of the file; None on a map.
    """

    dataset: xr.Dataset
    shape: tuple[int, int]
    rows: NDArray[np.int64] | None
    columns: NDArray[np.int64] | None

    @property
    def has_lonlat(self) -> bool:
        """Whether the pixels have positions."""
        return self.rows is None or {"longitude", "latitude"} <= set(self.dataset.variables)

    def positions(self) -> Iterator[tuple[slice, Array, Array]]:
        """Walk over the rows in blocks: rows, longitude and latitude in degrees."""
        height, width = self.shape
        if self.rows is None:
            yield from self._map_positions()
            return
        lon, lat = self.dataset["longitude"], self.dataset["latitude"]
        step = max(1, BLOCK // max(1, width))
        chunks = lon.chunks[0][0] if lon.chunks else 1
        if chunks < step:  # whole chunks, so that none is read twice
            step -= step % chunks
        for start in range(0, height, step):
            rows = slice(start, min(start + step, height))
            yield rows, np.asarray(lon[rows].values, np.float64), np.asarray(lat[rows].values, np.float64)

    def _map_positions(self) -> Iterator[tuple[slice, Array, Array]]:
        height, width = self.shape
        transformer = Transformer.from_crs(map_crs(self.dataset), "EPSG:4326", always_xy=True)
        x, y = (np.asarray(self.dataset[name].values, np.float64) for name in ("x", "y"))
        step = max(1, BLOCK // max(1, width))
        for start in range(0, height, step):
            rows = slice(start, min(start + step, height))
            lon, lat = transformer.transform(*np.meshgrid(x, y[rows]))
            yield rows, np.where(np.isfinite(lon), lon, np.nan), np.where(np.isfinite(lat), lat, np.nan)


def as_grid(data: Stack | xr.Dataset) -> Grid:
    """Find the grid of a stack, of a result on the radar grid, or of a map.

    Parameters
    ----------
    data : Stack or xarray.Dataset
        With dimensions ``azimuth`` and ``range``, or ``y`` and ``x``.

    Returns
    -------
    Grid

    Raises
    ------
    InputError
        If it has neither.
    """
    dataset = data.dataset if isinstance(data, Stack) else data
    sizes = dataset.sizes
    if {"azimuth", "range"} <= set(sizes):
        shape = (sizes["azimuth"], sizes["range"])
        return Grid(dataset, shape, _pixels(dataset, "azimuth"), _pixels(dataset, "range"))
    if {"y", "x"} <= set(sizes):
        return Grid(dataset, (sizes["y"], sizes["x"]), None, None)
    raise InputError(
        "areas fall on a radar or a map grid",
        expected="dimensions azimuth and range, or y and x",
        got=", ".join(map(str, sizes)) or "no dimension",
    )


def map_crs(dataset: xr.Dataset) -> CRS:
    """Read the coordinate reference system of a map from its grid mapping (CF).

    Parameters
    ----------
    dataset : xarray.Dataset
        On a map grid.

    Returns
    -------
    pyproj.CRS

    Raises
    ------
    InputError
        If there is none.
    """
    names = [dataset.attrs.get("grid_mapping")]
    names += [
        v.attrs.get("grid_mapping") or v.encoding.get("grid_mapping") for v in dataset.variables.values()
    ]
    for name in [*names, "spatial_ref"]:
        if name in dataset.variables:
            attributes = dataset[name].attrs
            text = attributes.get("crs_wkt") or attributes.get("spatial_ref")
            try:
                return CRS.from_wkt(str(text)) if text else CRS.from_cf(dict(attributes))
            except (CRSError, KeyError) as error:
                raise InputError(
                    f"the grid mapping {name} cannot be read", expected="a CRS (crs_wkt)", got=str(error)
                ) from error
    raise InputError("the map has no coordinate reference system", expected="a grid mapping variable (CF)")


def _pixels(dataset: xr.Dataset, dim: str) -> NDArray[np.int64]:
    if dim in dataset.coords and np.issubdtype(dataset[dim].dtype, np.integer):
        return np.asarray(dataset[dim].values, dtype=np.int64)
    return np.arange(dataset.sizes[dim], dtype=np.int64)
