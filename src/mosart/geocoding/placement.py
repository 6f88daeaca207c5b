"""Where the pixels of a radar image lie on a map: the survey that a look-up table starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import Transformer

from mosart.errors import InputError
from mosart.geometry.geodesy import centre, unwrap_longitude
from mosart.geometry.ground import known_number, metres_per_degree, pixel_steps

from .mapgrid import MapGrid, cell_size, nice_size, read_crs, refuse_absurd, zone

Floats = NDArray[np.float64]
Sample = tuple[tuple[Floats, Floats], ...]

#: Size of the tiles of pixels whose place on the map is kept.
TILE = (64, 128)
#: Pixels projected at a time.
STRIP_PIXELS = 1_000_000
#: Pairs of rows that spacings and orientation are measured on.
SAMPLE_PAIRS = 16


@dataclass(frozen=True)
class Survey:
    """Where the pixels lie on a map: the bounds of tiles of them.

    Parameters
    ----------
    longitude, latitude : dask array, (azimuth, range)
        One row or column is made two, half a spacing to either side.
    padded : tuple of bool
        Whether that was done to the rows and to the columns.
    crs : str
        Coordinate system of the map.
    middle : float
        Longitude that the branch of the longitudes is taken around, degrees.
    bounds : ndarray, (tile row, tile column, 4)
        West, south, east, north of each tile's pixels and their neighbours after it.
    step : tuple of float
        Usual extents of a pixel on the ground, metres: along azimuth, along range.
    latitude_middle : float
        Degrees.
    sample : tuple of pairs of ndarray
        Longitude and latitude of a few pairs of rows.
    """

    longitude: da.Array
    latitude: da.Array
    padded: tuple[bool, bool]
    crs: str
    middle: float
    bounds: Floats
    step: tuple[float, float]
    latitude_middle: float
    sample: Sample

    @classmethod
    def of(cls, data: xr.Dataset, grid: MapGrid | None, wish: str) -> Survey:
        """Survey pixels for a grid, or in a coordinate system that may be wished for by a word."""
        if "longitude" not in data or "latitude" not in data:
            raise InputError(
                "there is no map without longitude and latitude",
                expected="variables longitude and latitude for every pixel",
                got=", ".join(map(str, data.data_vars)),
                hint="results stay on the radar grid",
            )
        lonlat = [lazy(data[n].transpose("azimuth", "range").data) for n in ("longitude", "latitude")]
        spacing = known_number(data.attrs.get("azimuth_spacing"))
        lon, lat, padded = _thicken(lonlat[0], lonlat[1], spacing)
        sample = _sample(lon, lat)
        middle, middle_latitude, step = _measure(sample)
        if grid is None:
            crs = {"utm": zone(middle, middle_latitude), "geographic": "EPSG:4326"}.get(wish, wish)
        else:
            crs = grid.crs
            if grid.is_geographic:  # a grid across 180° may be written on either turn
                middle = 0.5 * (grid.bounds[0] + grid.bounds[2])
        bounds = _tile_bounds(lon, lat, Projection(crs, middle))
        if not np.isfinite(bounds).any():
            raise InputError("no pixel has a longitude and latitude", expected="degrees", got="NaN alone")
        return cls(lon, lat, padded, crs, middle, bounds, step, middle_latitude, sample)

    @property
    def pixel_extent(self) -> float:
        """Side of a square of a pixel's ground area, metres."""
        return float(np.sqrt(self.step[0] * self.step[1]))

    def grid(self, pixel_size: float | Sequence[float] | None) -> MapGrid:
        """Lay a grid over all pixels."""
        if pixel_size is None:
            x, y = self.unit_metres()
            pixel_size = nice_size(self.pixel_extent / x), nice_size(self.pixel_extent / y)
        west, south = np.nanmin(self.bounds[..., :2], axis=(0, 1))
        east, north = np.nanmax(self.bounds[..., 2:], axis=(0, 1))
        dx, dy = cell_size(pixel_size)
        # Counted before it is made, so that the refusal speaks of the image.
        grid = MapGrid.from_bounds(self.crs, (west, south, east, north), (dx, dy))
        refuse_absurd(grid, self.longitude.size)
        return grid

    def unit_metres(self) -> tuple[float, float]:
        """Metres in a unit of the coordinate system, to the east and to the north."""
        crs = read_crs(self.crs)
        if crs.is_geographic:
            east, north = metres_per_degree(np.array(self.latitude_middle))
            return float(east), float(north)
        factor = float(crs.axis_info[0].unit_conversion_factor)
        return factor, factor


class Projection:
    """From longitude and latitude to a map, without a jump at 180° in geographic coordinates."""

    def __init__(self, crs: str, middle: float) -> None:
        self.crs = read_crs(crs)
        self.middle = middle
        self.transformer = Transformer.from_crs("EPSG:4326", self.crs, always_xy=True)

    def __call__(self, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Project; NaN where a coordinate is NaN or cannot be projected."""
        x, y = self.transformer.transform(longitude, latitude)
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        bad = ~(np.isfinite(x) & np.isfinite(y) & np.isfinite(longitude) & np.isfinite(latitude))
        if self.crs.is_geographic:
            x = unwrap_longitude(x, self.middle)
        return np.where(bad, np.nan, x), np.where(bad, np.nan, y)


def _thicken(lon: da.Array, lat: da.Array, spacing: float) -> tuple[da.Array, da.Array, tuple[bool, bool]]:
    """Make one row (or column) two, half a spacing to either side, so that its pixels have an extent."""
    padded = lon.shape[0] == 1, lon.shape[1] == 1
    if padded == (False, False):
        return lon, lat, padded
    if padded == (True, True):
        raise InputError("a map needs more than one pixel", expected="two pixels at least", got="one")
    axis = 0 if padded[0] else 1
    lons, lats = (np.asarray(array.compute(), np.float64).ravel() for array in (lon, lat))
    known = np.flatnonzero(np.isfinite(lons) & np.isfinite(lats))
    if known.size < 2:
        raise InputError(
            "a map needs more than one pixel", expected="two with a position", got=f"{known.size}"
        )
    first, last = known[0], known[-1]
    east, north = metres_per_degree(np.array(lats[first]))
    turn = float(unwrap_longitude(lons[last], lons[first]) - lons[first])
    along = np.array([turn * east, (lats[last] - lats[first]) * north])
    length = float(np.hypot(*along))
    across = np.array([-along[1], along[0]]) / length
    half = 0.5 * (spacing if axis == 0 and np.isfinite(spacing) else length / (last - first))
    moved = [
        np.stack([values - half * a / unit, values + half * a / unit], axis=axis)
        for values, a, unit in ((lons, across[0], east), (lats, across[1], north))
    ]
    return da.from_array(moved[0]), da.from_array(moved[1]), padded


def _sample(lon: da.Array, lat: da.Array) -> Sample:
    """Read a few pairs of rows spread over the image."""
    rows = lon.shape[0]
    starts = np.unique(np.linspace(0, max(rows - 2, 0), SAMPLE_PAIRS).astype(int))
    parts = [array[start : start + 2] for start in starts for array in (lon, lat)]
    read = [np.asarray(part, np.float64) for part in da.compute(*parts)]
    return tuple(zip(read[::2], read[1::2], strict=True))


def _measure(sample: Sample) -> tuple[float, float, tuple[float, float]]:
    """Find the middle of the scene, and the usual extents of a pixel on the ground."""
    areas, ranges = [], []
    for lon, lat in sample:
        azimuth, rng = pixel_steps(lon, lat)
        areas.append(np.abs(azimuth[0] * rng[1] - azimuth[1] * rng[0]).ravel())
        ranges.append(np.hypot(rng[0], rng[1]).ravel())
    area, along_range = np.concatenate(areas), np.concatenate(ranges)
    if not np.isfinite(area).any():
        raise InputError(
            "the pixels have no longitude and latitude",
            expected="degrees for most pixels",
            got="no four neighbouring pixels with both, in a sample of rows",
        )
    usual, step = float(np.nanmedian(area)), float(np.nanmedian(along_range))
    if not (usual > 0 and step > 0):
        raise InputError(
            "the pixels have no extent on the ground",
            expected="longitude and latitude in float64 that differ from pixel to pixel",
            got=f"a median ground area of {usual:g} m² a pixel",
        )
    lons, lats = (np.concatenate([pair[k].ravel() for pair in sample]) for k in (0, 1))
    longitude, latitude = centre(lons, lats)
    # Rounded, so that a scene whose middle lies on 180° gets one map however its longitudes are written.
    middle = (round(longitude, 6) + 180.0) % 360.0 - 180.0
    return middle, latitude, (usual / step, step)


def _tile_bounds(lon: da.Array, lat: da.Array, projection: Projection) -> Floats:
    """Bounds on the map of tiles of pixels, with the first row and column of the next tiles."""
    rows, columns = lon.shape
    high, wide = (-(-size // tile) for size, tile in zip(lon.shape, TILE, strict=True))
    bounds = np.full((high, wide, 4), np.nan)
    strip = max(1, STRIP_PIXELS // (columns * TILE[0]))
    starts = np.arange(0, columns, TILE[1])
    for top in range(0, high, strip):
        span = slice(top * TILE[0], min((top + strip) * TILE[0] + 1, rows))
        x, y = projection(*(np.asarray(a, np.float64) for a in da.compute(lon[span], lat[span])))
        for i in range(top, min(top + strip, high)):
            part = slice((i - top) * TILE[0], (i - top + 1) * TILE[0] + 1)
            for k, (values, reduce) in enumerate(((x, np.fmin), (y, np.fmin), (x, np.fmax), (y, np.fmax))):
                line = reduce.reduce(values[part], axis=0)
                tiles = reduce.reduceat(line, starts)
                following = np.append(line[starts[1:]], np.nan)
                bounds[i, :, k] = reduce(tiles, following)
    return bounds


def lazy(array: Any) -> da.Array:
    """Make a dask array of what may be one, in blocks of whole rows."""
    if isinstance(array, da.Array):
        return array
    rows = max(1, STRIP_PIXELS // max(array.shape[-1], 1))
    blocks: da.Array = da.from_array(array, chunks=(1,) * (array.ndim - 2) + (rows, array.shape[-1]))
    return blocks
