"""From the radar grid to a map, by an inverse look-up table, block by block and lazily."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
import rioxarray  # noqa: F401 (adds the accessor that writes the grid mapping)
import xarray as xr
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.masks import Flag
from mosart.stack import Stack

from .lookup import fill_table, sample_bilinear, sample_nearest
from .mapgrid import MapGrid
from .placement import TILE, Projection, Survey, lazy

__all__ = ["MapGrid", "derive_grid", "geocode"]

Floats = NDArray[np.float64]

#: Side of a block of the map in pixels of the radar image, and its limits in cells.
BLOCK_PIXELS, BLOCK_CELLS = 512, (32, 512)
#: A quadrilateral this many times larger than the usual one is no ground that was seen.
STRETCH = 64.0


def geocode(
    change: ElevationChange | Stack | xr.Dataset,
    grid: MapGrid | None = None,
    *,
    variables: Sequence[str] | None = None,
    crs: str = "utm",
    pixel_size: float | Sequence[float] | None = None,
) -> xr.Dataset:
    """Bring a radar grid to a map.

    Parameters
    ----------
    change : ElevationChange, Stack or xarray.Dataset
        With ``longitude`` and ``latitude`` (azimuth, range) in degrees, any branch, NaN where unknown.
    grid : MapGrid, optional
        The map; by default :func:`derive_grid` lays one over the image.
    variables : sequence of str, optional
        What to bring; by default all that is on the radar grid except what lies elsewhere than the
        pixel's longitude and latitude: ``elevation_change_slant``, ``elevation`` and ``weights``, where
        there is an ``elevation_change``.
    crs, pixel_size : optional
        Passed to :func:`derive_grid` where no grid is given.

    Returns
    -------
    xarray.Dataset
        Dimensions (date, y, x), north up, with the grid mapping ``spatial_ref``, lazy: to be computed, or
        streamed by :func:`mosart.io.netcdf.write_dataset` in bounded memory. Numbers are interpolated
        bilinearly between pixels, NaN exactly where the nearest pixel is NaN; the mask and other whole
        numbers are the nearest pixel's. Off the image numbers are NaN and the mask is ``NODATA``.

    Raises
    ------
    InputError
        If there is no longitude and latitude, or the grid lies off the image.

    Notes
    -----
    A cell belongs to the image if its centre lies in a quadrilateral of four neighbouring pixels, so the
    map ends at the outermost pixels' centres. Where several hold it (folds in layover), the one that is
    not turned over wins, then the smallest. An image of one row is given the height of the azimuth
    spacing.
    """
    data = change if isinstance(change, xr.Dataset) else change.dataset
    survey = Survey.of(data, grid, crs)
    if grid is None:
        grid = survey.grid(pixel_size)
    names = _choose(data, variables)
    table = _Table(survey, grid)
    result = xr.Dataset(attrs=dict(data.attrs))
    for name in names:
        variable = data[name].transpose(..., "azimuth", "range")
        attrs = dict(variable.attrs)
        lead = tuple(dim for dim in variable.dims if dim not in ("azimuth", "range"))
        outside = int(Flag.NODATA) if name == "mask" else 0
        result[name] = ((*lead, "y", "x"), table.map(lazy(variable.data), outside), attrs)
    others = [n for n in data.variables if not {"azimuth", "range"} & set(data[n].dims) and n not in result]
    result = result.assign({n: data[n].drop_vars(set(data[n].coords) - {n}) for n in others})
    result = result.set_coords([n for n in others if n in data.coords])
    return georeference(result, grid)


def derive_grid(
    longitude: Any,
    latitude: Any,
    *,
    crs: str = "utm",
    pixel_size: float | Sequence[float] | None = None,
    azimuth_spacing: float = float("nan"),
) -> MapGrid:
    """Lay a map grid over an image.

    Parameters
    ----------
    longitude, latitude : array, (azimuth, range)
        Degrees, any branch, NaN where unknown; numpy, dask or xarray.
    crs : str, optional
        ``"utm"``: the UTM zone of the middle of the scene, polar stereographic (UPS) beyond 84° N and
        80° S; ``"geographic"``: EPSG:4326, longitudes without a jump at 180°; or any coordinate system
        that PROJ understands.
    pixel_size : float or two floats, optional
        In units of the coordinate system; by default the square root of the median ground area of a
        radar pixel, rounded to a size that people choose.
    azimuth_spacing : float, optional
        Metres; the height of an image of one row.

    Returns
    -------
    MapGrid
        That covers the centres of all pixels, its edges on multiples of the cell size.

    Raises
    ------
    InputError
        If no position is known, or the grid would be absurdly large.
    """
    places = {"longitude": longitude, "latitude": latitude}
    data = xr.Dataset(
        {
            name: (("azimuth", "range"), array.data if isinstance(array, xr.DataArray) else array)
            for name, array in places.items()
        },
        attrs={"azimuth_spacing": azimuth_spacing},
    )
    return Survey.of(data, None, crs).grid(pixel_size)


class _Table:
    """The look-up table of a map, by blocks of cells, each with the window of pixels that it needs."""

    def __init__(self, survey: Survey, grid: MapGrid) -> None:
        self.survey, self.grid = survey, grid
        self.projection = Projection(grid.crs, survey.middle)
        x, y = survey.unit_metres()
        cells = abs(grid.transform.a) * x, abs(grid.transform.e) * y
        #: Usual pixel in cells: its longer side, and how many pixels are in a cell's side.
        self.longest = STRETCH * max(survey.step) / min(cells) + 2.0
        density = max(1.0, np.sqrt(cells[0] * cells[1]) / survey.pixel_extent)
        side = int(np.clip(BLOCK_PIXELS / density, *BLOCK_CELLS))
        self.edges = [[*range(0, size, side), size] for size in grid.shape]
        bounds = survey.bounds
        t = grid.transform
        #: Tiles in cells: first and last column, first and last row whose centre may be in them.
        self.tiles = np.stack(
            [
                (bounds[..., 0] - t.c) / t.a - 0.5,
                (bounds[..., 2] - t.c) / t.a - 0.5,
                (bounds[..., 3] - t.f) / t.e - 0.5,
                (bounds[..., 1] - t.f) / t.e - 0.5,
            ],
            axis=-1,
        )
        self.windows = [
            [self._window(rows, columns) for columns in self._spans(1)] for rows in self._spans(0)
        ]
        if all(window is None for line in self.windows for window in line):
            raise InputError(
                "the map grid lies off the image",
                expected=f"a grid that meets the image's bounds in {grid.crs}: "
                f"{np.nanmin(bounds[..., 0]):g}, {np.nanmin(bounds[..., 1]):g}, "
                f"{np.nanmax(bounds[..., 2]):g}, {np.nanmax(bounds[..., 3]):g}",
                got=", ".join(f"{edge:g}" for edge in grid.bounds),
            )
        self.orientation = self._orientation()
        self.blocks = [
            [self._block(i, j) for j in range(len(self.edges[1]) - 1)] for i in range(len(self.edges[0]) - 1)
        ]

    def map(self, image: da.Array, outside: int) -> da.Array:
        """Bring an image (…, azimuth, range) to the map, lazily."""
        floating = image.dtype.kind == "f"
        lead = tuple(f"d{k}" for k in range(image.ndim - 2))
        fill = np.nan if floating else np.asarray(outside, dtype=image.dtype)
        empty: dict[tuple[int, int], da.Array] = {}
        lines = []
        for i, rows in enumerate(self._spans(0)):
            line = []
            for j, columns in enumerate(self._spans(1)):
                window, table = self.windows[i][j], self.blocks[i][j]
                size = rows.stop - rows.start, columns.stop - columns.start
                if window is None or table is None:
                    if size not in empty:
                        chunks = (*image.chunks[:-2], *size)
                        empty[size] = da.full(
                            (*image.shape[:-2], *size), fill, dtype=image.dtype, chunks=chunks
                        )
                    line.append(empty[size])
                    continue
                part = image[(..., *self._unpadded(window, image.shape))]
                line.append(
                    da.blockwise(
                        _sample_block,
                        (*lead, "y", "x"),
                        part.rechunk({image.ndim - 2: -1, image.ndim - 1: -1}),
                        (*lead, "a", "r"),
                        table,
                        ("k", "y", "x"),
                        outside=outside,
                        concatenate=True,
                        dtype=image.dtype,
                        meta=np.empty((0,) * image.ndim, dtype=image.dtype),
                    )
                )
            lines.append(da.concatenate(line, axis=-1))
        result: da.Array = da.concatenate(lines, axis=-2)
        return result

    def _spans(self, axis: int) -> list[slice]:
        edges = self.edges[axis]
        return [slice(a, b) for a, b in pairwise(edges)]

    def _window(self, rows: slice, columns: slice) -> tuple[slice, slice] | None:
        """Find the pixels whose quadrilaterals may hold the centre of a cell of a block."""
        first_x, last_x, first_y, last_y = np.moveaxis(self.tiles, -1, 0)
        with np.errstate(invalid="ignore"):
            met = (
                (first_x <= columns.stop - 0.5)
                & (last_x >= columns.start - 0.5)
                & (first_y <= rows.stop - 0.5)
                & (last_y >= rows.start - 0.5)
            )
        if not met.any():
            return None
        window = []
        for axis in (0, 1):
            found = np.flatnonzero(met.any(axis=1 - axis))
            stop = min((int(found[-1]) + 1) * TILE[axis] + 1, self.survey.longitude.shape[axis])
            window.append(slice(int(found[0]) * TILE[axis], stop))
        return window[0], window[1]

    def _unpadded(self, window: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Give the window in an image that was not thickened."""
        rows, columns = (
            slice(0, 1) if padded else slice(side.start, min(side.stop, size))
            for side, padded, size in zip(window, self.survey.padded, shape[-2:], strict=True)
        )
        return rows, columns

    def _block(self, i: int, j: int) -> da.Array | None:
        """Plan the table of a block, (2, y, x), lazy."""
        window = self.windows[i][j]
        if window is None:
            return None
        rows, columns = self._spans(0)[i], self._spans(1)[j]
        survey, t = self.survey, self.grid.transform
        size = rows.stop - rows.start, columns.stop - columns.start
        corner = t.c + t.a * (columns.start + 0.5), t.f + t.e * (rows.start + 0.5)
        lon, lat = (array[window].rechunk(-1) for array in (survey.longitude, survey.latitude))
        table: da.Array = da.map_blocks(
            _make_table,
            lon,
            lat,
            projection=self.projection,
            corner=corner,
            cell=(t.a, t.e),
            size=size,
            longest=self.longest,
            orientation=self.orientation,
            shift=tuple(0.5 if padded else 0.0 for padded in survey.padded),
            new_axis=0,
            chunks=((2,), (size[0],), (size[1],)),
            dtype=np.float64,
            meta=np.empty((0, 0, 0), dtype=np.float64),
        )
        return table

    def _orientation(self) -> float:
        """Sign of the area of most quadrilaterals, in columns and rows of the map."""
        signs = 0.0
        for lon, lat in self.survey.sample:
            x, y = self.projection(lon, lat)
            bx, by = np.diff(x, axis=0)[:, :-1], np.diff(y, axis=0)[:, :-1]
            cx, cy = np.diff(x, axis=1)[:-1], np.diff(y, axis=1)[:-1]
            # The rows of the map run south, so the sign turns; as in `fill_table`, azimuth comes first.
            signs += float(np.nansum(np.sign(-(bx * cy - by * cx))))
        return 1.0 if signs >= 0 else -1.0


def _make_table(
    longitude: Floats,
    latitude: Floats,
    *,
    projection: Projection,
    corner: tuple[float, float],
    cell: tuple[float, float],
    size: tuple[int, int],
    longest: float,
    orientation: float,
    shift: tuple[float, float],
) -> Floats:
    """Make the table of one block: fractional azimuth and range in the window, (2, y, x)."""
    x, y = projection(np.asarray(longitude, np.float64), np.asarray(latitude, np.float64))
    places = np.stack([(x - corner[0]) / cell[0], (y - corner[1]) / cell[1]])
    table = np.full((2, *size), np.nan, dtype=np.float64)
    rank = np.full(size, np.inf)
    fill_table(places, table, rank, longest, orientation)
    for axis in (0, 1):
        table[axis] -= shift[axis]
    return table


def _sample_block(image: NDArray[np.generic], table: Floats, *, outside: int) -> NDArray[np.generic]:
    """Sample images (…, azimuth, range) of one window by one table."""
    flat = image.reshape(-1, *image.shape[-2:])
    result = np.empty((flat.shape[0], *table.shape[1:]), dtype=image.dtype)
    for one, out in zip(flat, result, strict=True):
        if image.dtype.kind == "f":
            values = np.empty(table.shape[1:])
            sample_bilinear(np.ascontiguousarray(one, dtype=np.float64), table, values)
            out[...] = values
        else:
            out[...] = sample_nearest(one, table, outside)
    return result.reshape(*image.shape[:-2], *table.shape[1:])


def _choose(data: xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    """Choose what is brought to the map."""
    there = [str(n) for n in data.data_vars if {"azimuth", "range"} <= set(data[n].dims)]
    there = [name for name in there if name not in ("longitude", "latitude")]
    if variables is None:
        elsewhere = (
            {"elevation_change_slant", "elevation", "weights"} if "elevation_change" in data else set()
        )
        return [name for name in there if name not in elsewhere]
    missing = [name for name in variables if name not in there]
    if missing:
        raise InputError(
            f"there is no variable {', '.join(missing)} on the radar grid", expected=", ".join(there)
        )
    return list(variables)


def georeference(data: xr.Dataset, grid: MapGrid) -> xr.Dataset:
    """Add coordinates and the grid mapping, by the CF conventions.

    Parameters
    ----------
    data : xarray.Dataset
        With dimensions ``y`` and ``x`` of the grid's shape.
    grid : MapGrid
        The map.

    Returns
    -------
    xarray.Dataset
        With ``x``, ``y`` and ``spatial_ref``.
    """
    axes = (
        {
            "x": {
                "standard_name": "longitude",
                "long_name": "longitude",
                "units": "degrees_east",
                "axis": "X",
            },
            "y": {
                "standard_name": "latitude",
                "long_name": "latitude",
                "units": "degrees_north",
                "axis": "Y",
            },
        }
        if grid.is_geographic
        else {
            axis: {
                "standard_name": f"projection_{axis}_coordinate",
                "long_name": f"{axis} of the cell's centre",
                "units": "m",
                "axis": axis.upper(),
            }
            for axis in ("x", "y")
        }
    )
    data = data.assign_coords(x=("x", grid.x, axes["x"]), y=("y", grid.y, axes["y"]))
    data = data.rio.write_crs(grid.crs).rio.write_transform(grid.transform)
    for variable in data.data_vars.values():
        variable.encoding.pop("grid_mapping", None)
        if {"y", "x"} <= set(variable.dims):
            variable.attrs["grid_mapping"] = "spatial_ref"
    return data
