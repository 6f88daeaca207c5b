"""An area on the ground or on the radar grid, and the pixels in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry.geodesy import local_metres, unwrap_longitude
from mosart.stack import Stack

from .grid import Grid, as_grid

#: Degrees, a tenth of a millimetre: longitudes written as 0…360 differ so little from −180…180.
ROUNDING = 1e-9

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Area:
    """A named place.

    Parameters
    ----------
    name : str
        Unique among its areas.
    kind : str
        ``"polygon"``, ``"box"`` (of longitude and latitude), ``"point"`` or ``"pixels"``.
    parts : tuple of shapely geometries
        Polygons or points in degrees (longitude, latitude; WGS 84), each without a jump of longitude.
    pixels : tuple of int or None
        Range start and stop, azimuth start and stop; the stops are not included.
    degrees_or_pixels : tuple of float or None
        A point that was given as two bare numbers: degrees where the grid has longitude and latitude, range
        and azimuth pixel where it has not.
    """

    name: str
    kind: str
    parts: tuple[shapely.Geometry, ...] = ()
    pixels: tuple[int, int, int, int] | None = None
    degrees_or_pixels: tuple[float, float] | None = None


@dataclass(frozen=True)
class Areas:
    """Areas and points, in the order in which they were given.

    Parameters
    ----------
    areas : tuple of Area
        At least one; their names differ.

    See Also
    --------
    read_areas : Makes them from files, boxes and points.
    """

    areas: tuple[Area, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the areas."""
        return tuple(area.name for area in self.areas)

    @property
    def kinds(self) -> dict[str, str]:
        """Kind of each area by name: ``polygon``, ``box``, ``point`` or ``pixels``."""
        return {area.name: area.kind for area in self.areas}

    @property
    def kind(self) -> str:
        """The kind of all areas, or ``mixed``."""
        kinds = {area.kind for area in self.areas}
        return kinds.pop() if len(kinds) == 1 else "mixed"

    def mask(self, data: Stack | xr.Dataset, name: str) -> Mask:
        """Pixels of an area.

        A pixel belongs to a polygon or a box if its centre lies inside or on the edge; to a point if it is
        the pixel that holds it.

        Parameters
        ----------
        data : Stack or xarray.Dataset
            With ``longitude`` and ``latitude`` (azimuth, range), or on a map grid (y, x) with its grid
            mapping. Pixel boxes need neither: they count in the pixels of the dataset's ``range`` and
            ``azimuth`` coordinates, which a crop keeps, so in the pixels of the file.
        name : str
            Name of one of the areas.

        Returns
        -------
        ndarray of bool, (azimuth, range) or (y, x)
            Pixels without a position (NaN) are in no area.

        Raises
        ------
        InputError
            If the area holds no pixel, there is no such area, or the grid has no positions.
        """
        found = self.masks(data, [name])[name]
        if not found.any():
            raise _empty(name)
        return found

    def union(self, data: Stack | xr.Dataset) -> Mask:
        """Pixels of any of the areas; some may lie outside the grid.

        Parameters
        ----------
        data : Stack or xarray.Dataset
            As for :meth:`mask`.

        Returns
        -------
        ndarray of bool

        Raises
        ------
        InputError
            If all of them together hold no pixel.
        """
        grid = as_grid(data)
        found: Mask = _fill(self.areas, grid, {area.name: 0 for area in self.areas}, 1)[0]
        if not found.any():
            raise _empty(", ".join(self.names))
        return found

    def masks(self, data: Stack | xr.Dataset, names: Iterable[str] | None = None) -> dict[str, Mask]:
        """Pixels of several areas, in one pass over the grid.

        Parameters
        ----------
        data : Stack or xarray.Dataset
            As for :meth:`mask`.
        names : iterable of str, optional
            By default all.

        Returns
        -------
        dict of ndarray of bool
            By name; an area outside the grid is False everywhere.

        Raises
        ------
        InputError
            If there is no such area, or the grid has no positions.
        """
        wanted = list(self.names if names is None else names)
        unknown = [name for name in wanted if name not in self.names]
        if unknown:
            raise InputError(f"there is no area {unknown[0]!r}", expected=f"one of {', '.join(self.names)}")
        chosen = [area for area in self.areas if area.name in wanted]
        layers = _fill(chosen, as_grid(data), {name: k for k, name in enumerate(wanted)}, len(wanted))
        return {name: layers[k] for k, name in enumerate(wanted)}


def _empty(name: str) -> InputError:
    return InputError(
        f"the area {name} holds no pixel of the image",
        expected="an area that overlaps the (cropped) image and holds the centre of a pixel",
        got="0 pixels",
        hint="check its coordinates, and the crop",
    )


def _fill(areas: Iterable[Area], grid: Grid, layer: dict[str, int], layers: int) -> Mask:
    found = np.zeros((layers, *grid.shape), dtype=np.bool_)
    placed = [
        area for area in (_settled(area, grid) for area in areas) if not _pixel_box(area, grid, found, layer)
    ]
    if not placed:
        return found
    if not grid.has_lonlat:
        raise InputError(
            f"the area {placed[0].name} is given in degrees, but the image has no longitude and latitude",
            expected="a pixel box (pixels=RANGE0,RANGE1,AZIMUTH0,AZIMUTH1)",
            got=f"a {placed[0].kind}",
            hint="give areas, points and stable ground in pixels",
        )
    points = {area.name: _Nearest(area) for area in placed if area.kind == "point"}
    for rows, lon, lat in grid.positions():
        for area in placed:
            if area.kind == "point":
                points[area.name].look(rows.start, lon, lat)
            else:
                for part in area.parts:
                    found[layer[area.name], rows] |= _inside(part, lon, lat, box=area.kind == "box")
    for name, nearest in points.items():
        for row, column in nearest.pixels():
            found[layer[name], row, column] = True
    return found


def _settled(area: Area, grid: Grid) -> Area:
    """Take a point given as two bare numbers for a place or a pixel, as the grid needs it."""
    if area.degrees_or_pixels is None:
        return area
    x, y = area.degrees_or_pixels
    if grid.has_lonlat:
        if not (abs(x) <= 540 and abs(y) <= 90):
            raise InputError(
                f"the area {area.name} is no place",
                expected="longitude and latitude in degrees: the image has them",
                got=f"{x:g},{y:g}",
                hint="a pixel is pixels=RANGE,RANGE+1,AZIMUTH,AZIMUTH+1",
            )
        return Area(area.name, "point", parts=(shapely.Point(x, y),))
    return Area(area.name, "pixels", pixels=(int(x), int(x) + 1, int(y), int(y) + 1))


def _pixel_box(area: Area, grid: Grid, found: Mask, layer: dict[str, int]) -> bool:
    """Fill in a pixel box; False where the area is none."""
    if area.pixels is None:
        return False
    if grid.rows is None or grid.columns is None:
        raise InputError(
            f"the area {area.name} is a pixel box, which means nothing on a map grid",
            expected="an area in degrees",
            hint="give it as lonlat=WEST,SOUTH,EAST,NORTH or as a file",
        )
    x0, x1, y0, y1 = area.pixels
    rows, columns = (grid.rows >= y0) & (grid.rows < y1), (grid.columns >= x0) & (grid.columns < x1)
    found[layer[area.name]] |= rows[:, None] & columns
    return True


def _inside(part: shapely.Geometry, lon: NDArray[np.float64], lat: NDArray[np.float64], *, box: bool) -> Mask:
    west, south, east, north = shapely.bounds(part)
    lon = unwrap_longitude(lon, 0.5 * (west + east))
    near: Mask = (lon >= west - ROUNDING) & (lon <= east + ROUNDING)
    near &= (lat >= south - ROUNDING) & (lat <= north + ROUNDING)
    if not box and near.any():
        near[near] = shapely.intersects_xy(part, lon[near], lat[near])
    return near


class _Nearest:
    """The pixel that holds each point, found while the rows go by."""

    def __init__(self, area: Area) -> None:
        self.points = [(float(x), float(y)) for x, y in shapely.get_coordinates(list(area.parts))]
        self.best: list[tuple[float, float, int, int]] = [(np.inf, 0.0, 0, 0)] * len(self.points)

    def look(self, start: int, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> None:
        for k, (x, y) in enumerate(self.points):
            # Degrees first: metres of a few pixels alone.
            away = np.hypot((unwrap_longitude(lon, x) - x) * np.cos(np.radians(y)), lat - y)
            if not np.isfinite(away).any():
                continue
            row, column = np.unravel_index(int(np.nanargmin(away)), away.shape)
            r0, c0 = max(0, int(row) - 1), max(0, int(column) - 1)
            window = (slice(r0, int(row) + 2), slice(c0, int(column) + 2))
            east, north = local_metres(lon[window], lat[window], (x, y))
            metres = np.hypot(east, north)
            if not np.isfinite(metres).any():
                continue
            i, j = np.unravel_index(int(np.nanargmin(metres)), metres.shape)
            distance = float(metres[i, j])
            if distance < self.best[k][0]:
                self.best[k] = (distance, _size(east, north), start + r0 + int(i), c0 + int(j))

    def pixels(self) -> list[tuple[int, int]]:
        return [(row, column) for distance, size, row, column in self.best if distance <= size]


def _size(east: NDArray[np.float64], north: NDArray[np.float64]) -> float:
    """Half the diagonal of the largest pixel in a window, metres."""
    steps = [
        np.nanmax(np.hypot(np.diff(east, axis=axis), np.diff(north, axis=axis)), initial=0.0)
        for axis in (0, 1)
    ]
    return 0.5 * float(np.hypot(*[step or max(steps) for step in steps])) + 1e-6
