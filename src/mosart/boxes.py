"""Pixel boxes of a radar grid, from pixels or from a box of longitude and latitude."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from shapely import MultiPoint, box

from .errors import InputError

log = logging.getLogger(__name__)

#: Degrees, a tenth of a millimetre: longitudes written as 0…360 differ so little from −180…180.
ROUNDING = 1e-9


@dataclass(frozen=True)
class PixelBox:
    """Range pixels x0 to x1 and azimuth rows y0 to y1, the ends not included."""

    x0: int
    x1: int
    y0: int
    y1: int


def clip_pixels(pixels: Sequence[int], rows: int, columns: int) -> PixelBox:
    """Check a pixel box against an image and clip it.

    Parameters
    ----------
    pixels : sequence of int
        Range start and stop, azimuth start and stop; the stops are not included.
    rows, columns : int
        Size of the image.

    Returns
    -------
    PixelBox
        The part inside; that it is a part alone is logged as a warning.

    Raises
    ------
    InputError
        If it is not four whole numbers, is empty, or lies outside.
    """
    expected = "range start, range stop, azimuth start, azimuth stop, the stops not included"
    values = list(pixels)
    if len(values) != 4 or any(isinstance(v, bool) or int(v) != v for v in values):
        raise InputError("the pixel box is not four whole numbers", expected=expected, got=f"{values}")
    x0, x1, y0, y1 = (int(v) for v in values)
    if x1 <= x0 or y1 <= y0:
        raise InputError("the pixel box is empty", expected=expected, got=f"{values}")
    inside = PixelBox(max(x0, 0), min(x1, columns), max(y0, 0), min(y1, rows))
    image = f"the image of {columns} range pixels × {rows} azimuth rows"
    if inside.x1 <= inside.x0 or inside.y1 <= inside.y0:
        raise InputError(
            "the pixel box lies outside the image",
            expected=f"a box within 0…{columns}, 0…{rows}",
            got=f"{values}",
        )
    if inside != PixelBox(x0, x1, y0, y1):
        log.warning("the pixel box %s lies partly outside %s: cropped to what there is", values, image)
    return inside


def find_lonlat(dataset: xr.Dataset, lonlat: Sequence[float]) -> PixelBox:
    """Find the smallest pixel box that holds all pixels within a box of longitude and latitude.

    Parameters
    ----------
    dataset : xarray.Dataset
        With ``longitude`` and ``latitude`` (azimuth, range) in degrees, lazy or not; read by blocks of
        rows. Pixels without a position (NaN) are in no box.
    lonlat : sequence of float
        West, south, east, north in degrees. West greater than east, or an east beyond 180, is a box
        across the antimeridian.

    Returns
    -------
    PixelBox
        That the box lies partly outside the image is logged as a warning.

    Raises
    ------
    InputError
        If it is not a box, or no pixel lies in it.
    """
    west, south, east, north = _check_lonlat(lonlat)
    width = east - west if east > west and east - west >= 360 else (east - west) % 360
    longitude, latitude = dataset["longitude"], dataset["latitude"]
    in_row = np.zeros(longitude.shape[0], dtype=bool)
    in_column = np.zeros(longitude.shape[1], dtype=bool)
    outline: list[NDArray[np.float64]] = []
    for start, stop in _row_blocks(longitude):
        rows = {"azimuth": slice(start, stop)}
        lat = np.asarray(latitude.isel(rows).values, dtype=np.float64)
        # Degrees east of the box's west edge, so that no box and no image has a seam in it.
        lon = np.asarray(longitude.isel(rows).values, dtype=np.float64) - west
        lon = np.mod(lon + ROUNDING, 360) - ROUNDING
        inside = (lon <= width + ROUNDING) & (lat >= south - ROUNDING) & (lat <= north + ROUNDING)
        in_row[start:stop] = inside.any(axis=1)
        in_column |= inside.any(axis=0)
        outline.append(_row_ends(lon, lat))
    if not in_row.any():
        raise InputError(
            "no pixel lies in the lon/lat box",
            expected=f"a box within {_extent(np.concatenate(outline), west)}",
            got=f"{list(lonlat)}",
            hint="the order is west, south, east, north; a box smaller than a pixel holds none",
        )
    if not _covers(np.concatenate(outline), width, south, north):
        log.warning(
            "the lon/lat box %s lies partly outside the image, which spans %s: cropped to what there is",
            list(lonlat),
            _extent(np.concatenate(outline), west),
        )
    ys, xs = np.flatnonzero(in_row), np.flatnonzero(in_column)
    return PixelBox(int(xs[0]), int(xs[-1]) + 1, int(ys[0]), int(ys[-1]) + 1)


def _row_blocks(plane: xr.DataArray) -> Iterator[tuple[int, int]]:
    """Rows where the blocks of a lazy plane begin and end, or blocks of 32 MB."""
    rows, columns = plane.shape
    if plane.chunks is not None:
        edges = [0, *np.cumsum(plane.chunks[0]).tolist()]
    else:
        edges = [*range(0, rows, max(1, 4_000_000 // columns)), rows]
    return pairwise(edges)


def _check_lonlat(lonlat: Sequence[float]) -> tuple[float, float, float, float]:
    expected = "west, south, east, north in degrees"
    values = [float(v) for v in lonlat]
    if len(values) != 4 or not np.isfinite(values).all():
        raise InputError("the lon/lat box is not four numbers", expected=expected, got=f"{values}")
    west, south, east, north = values
    if not (-90 <= south < north <= 90) or west == east:
        raise InputError("the lon/lat box is empty or upside down", expected=expected, got=f"{values}")
    if west > east and (east - west) % 360 > 180:
        raise InputError(
            "the lon/lat box goes round more than half of the globe",
            expected=expected,
            got=f"{values}",
            hint="west and east may be swapped",
        )
    return west, south, east, north


def _row_ends(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (n, 2) of the first and the last pixel of each row that have one."""
    known = np.isfinite(lon) & np.isfinite(lat)
    rows = np.flatnonzero(known.any(axis=1))
    first = known.argmax(axis=1)[rows]
    last = known.shape[1] - 1 - known[:, ::-1].argmax(axis=1)[rows]
    take = (np.concatenate([rows, rows]), np.concatenate([first, last]))
    return np.stack([lon[take], lat[take]], axis=1)


def _wrapped(points: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    """Bring the longitudes of points within 180° of a middle."""
    out = points.copy()
    out[:, 0] = np.mod(out[:, 0] - middle + 180, 360) - 180 + middle
    return out


def _covers(outline: NDArray[np.float64], width: float, south: float, north: float) -> bool:
    """Whether the hull of an image holds a box, to within about a pixel."""
    if width > 180:
        return False
    points = _wrapped(outline, width / 2)
    hull = MultiPoint(points).convex_hull
    pixel = np.sqrt(hull.area / max(len(points), 1)) if hull.area else 0.0
    spacing = (
        float(np.median(np.hypot(*np.diff(points[: len(points) // 2], axis=0).T))) if len(points) > 3 else 0
    )
    return bool(hull.buffer(min(pixel, spacing) if spacing else pixel).covers(box(0.0, south, width, north)))


def _extent(outline: NDArray[np.float64], west: float) -> str:
    if not len(outline):
        return "no position at all: longitude and latitude are NaN everywhere"
    points = _wrapped(outline, float(outline[0, 0]))
    lon = np.mod(np.array([points[:, 0].min(), points[:, 0].max()]) + west + 180, 360) - 180
    return f"longitude {lon[0]:.5f}…{lon[1]:.5f}, latitude {points[:, 1].min():.5f}…{points[:, 1].max():.5f}"
