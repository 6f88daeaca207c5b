"""The grid of a map: its coordinate system, cells and coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from mosart.errors import InputError

Floats = NDArray[np.float64]

#: Cell sizes that people choose; a derived size is rounded to one of them times a power of ten.
NICE = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 10.0)
#: No map has more cells than this.
MOST_CELLS = 4_000_000_000
#: Nor, beyond a million, more than this many times the pixels it is made of.
CELLS_PER_PIXEL = 400
SMALLER = (
    "take a larger pixel size or crs `utm`, and look for wrong longitudes and latitudes in the stack (zeros "
    "where there are none, for example)"
)
#: Fraction of a cell within which an edge counts as lying on the lattice.
ROUNDING = 1e-6


@dataclass(frozen=True)
class MapGrid:
    """A north-up grid of cells; coordinates are those of the cells' centres.

    Parameters
    ----------
    crs : str
        Coordinate system, anything that PROJ understands (``"EPSG:32660"``).
    transform : affine.Affine
        From column and row of a cell's upper left corner to x and y, in units of the coordinate system
        (GDAL's convention, `Area`).
    width, height : int
        Number of columns and rows.

    Raises
    ------
    InputError
        If the coordinate system is unknown, the grid is not north up, or it has no cell or absurdly many.
    """

    crs: str
    transform: Affine
    width: int
    height: int

    def __post_init__(self) -> None:
        read_crs(self.crs)
        t = self.transform
        if not all(map(math.isfinite, (t.a, t.b, t.c, t.d, t.e, t.f))) or t.b or t.d or t.a <= 0 or t.e >= 0:
            raise InputError(
                "the map grid is not north up",
                expected="a transform (width, 0, west, 0, -height, north)",
                got=str(tuple(t)[:6]),
            )
        if self.width < 1 or self.height < 1 or self.width * self.height > MOST_CELLS:
            raise InputError(
                "the map grid has an impossible size",
                expected=f"1 to {MOST_CELLS:,} cells",
                got=f"{self.width} × {self.height} cells",
                hint=SMALLER,
            )

    @classmethod
    def from_bounds(
        cls,
        crs: str,
        bounds: tuple[float, float, float, float],
        pixel_size: float | Sequence[float],
        *,
        snap: bool = True,
    ) -> MapGrid:
        """Lay a grid over a rectangle.

        Parameters
        ----------
        crs : str
            Coordinate system.
        bounds : tuple of float
            West, south, east, north in its units; the grid covers them.
        pixel_size : float or two floats
            Width and height of a cell in its units.
        snap : bool, optional
            Whether the cells' edges lie on multiples of the cell size, so that maps of one area fit onto
            one another; otherwise the grid starts at the north-west corner.

        Returns
        -------
        MapGrid

        Raises
        ------
        InputError
            If the size is not positive or the bounds enclose nothing.
        """
        dx, dy = cell_size(pixel_size)
        west, south, east, north = map(float, bounds)
        if not all(map(math.isfinite, (west, south, east, north))) or east < west or north < south:
            raise InputError(
                "the bounds of the map enclose nothing", expected="west, south, east, north", got=str(bounds)
            )
        if snap:
            column, row = _whole_below(west / dx), _whole_below(-north / dy)
            columns = _whole_above(east / dx) - column
            rows = _whole_above(-south / dy) - row
            west, north = column * dx, -row * dy
        else:
            columns, rows = _whole_above((east - west) / dx), _whole_above((north - south) / dy)
        return cls(crs, Affine(dx, 0.0, west, 0.0, -dy, north), max(columns, 1), max(rows, 1))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north edge."""
        t = self.transform
        return t.c, t.f + t.e * self.height, t.c + t.a * self.width, t.f

    @property
    def is_geographic(self) -> bool:
        """Whether the coordinates are longitude and latitude."""
        return bool(read_crs(self.crs).is_geographic)

    @cached_property
    def x(self) -> Floats:
        """Coordinates of the columns' centres, west to east."""
        return np.asarray(self.transform.c + self.transform.a * (np.arange(self.width) + 0.5), np.float64)

    @cached_property
    def y(self) -> Floats:
        """Coordinates of the rows' centres, north to south."""
        return np.asarray(self.transform.f + self.transform.e * (np.arange(self.height) + 0.5), np.float64)


def read_crs(crs: str) -> CRS:
    """Read a coordinate system.

    Parameters
    ----------
    crs : str
        Anything that PROJ understands.

    Returns
    -------
    pyproj.CRS

    Raises
    ------
    InputError
        If it is unknown, or is neither geographic nor projected.
    """
    expected = "EPSG:CODE, WKT or a PROJ string of a geographic or projected coordinate system"
    try:
        found = CRS.from_user_input(crs)
    except CRSError as error:
        raise InputError(
            f"the coordinate system {crs!r} is unknown", expected=expected, got=str(crs)
        ) from error
    if not (found.is_geographic or found.is_projected):
        raise InputError(f"the coordinate system {crs!r} is no map's", expected=expected, got=found.type_name)
    return found


def cell_size(pixel_size: float | Sequence[float]) -> tuple[float, float]:
    """Check a cell size.

    Parameters
    ----------
    pixel_size : float or two floats
        Of square cells, or width and height.

    Returns
    -------
    width, height : float

    Raises
    ------
    InputError
        If it is not one or two positive numbers.
    """
    sizes = np.atleast_1d(np.asarray(pixel_size, dtype=np.float64))
    if sizes.shape not in ((1,), (2,)) or not np.all(np.isfinite(sizes) & (sizes > 0)):
        raise InputError(
            "the pixel size of the map cannot be used",
            expected="a positive number, or a width and a height",
            got=str(pixel_size),
        )
    return float(sizes[0]), float(sizes[-1])


def zone(longitude: float, latitude: float) -> str:
    """Name the UTM zone of a place, or the polar stereographic system beyond 84° N and 80° S.

    Parameters
    ----------
    longitude, latitude : float
        Degrees, any branch.

    Returns
    -------
    str
        EPSG code: 326xx or 327xx (UTM on WGS 84), 5041 or 5042 (UPS, easting first). The exceptions of
        Norway and Svalbard are not made.
    """
    if latitude > 84.0:
        return "EPSG:5041"
    if latitude < -80.0:
        return "EPSG:5042"
    number = int(((longitude + 180.0) % 360.0) // 6.0) + 1
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + number}"


def nice_size(size: float) -> float:
    """Round a cell size to one that people choose.

    Parameters
    ----------
    size : float
        Positive.

    Returns
    -------
    float
        The nearest, by ratio, of 1, 1.25, 1.5, 2… times a power of ten.
    """
    power = 10.0 ** math.floor(math.log10(size))
    best = min(NICE, key=lambda nice: abs(math.log(nice * power / size)))
    return float(f"{best * power:.6g}")


def refuse_absurd(grid: MapGrid, pixels: int) -> None:
    """Refuse a grid that has far more cells than the radar image has pixels.

    Parameters
    ----------
    grid : MapGrid
        Of the map.
    pixels : int
        Of the image.

    Raises
    ------
    InputError
        With what to do.
    """
    cells = grid.width * grid.height
    if cells > 1_000_000 and cells > CELLS_PER_PIXEL * pixels:
        raise InputError(
            "the map would be absurdly large",
            expected=f"at most {CELLS_PER_PIXEL} cells a radar pixel, of which there are {pixels:,}",
            got=f"{grid.width} × {grid.height} cells of {grid.transform.a:g} × {-grid.transform.e:g} "
            f"in {grid.crs}",
            hint=SMALLER,
        )


def _whole_below(value: float) -> int:
    return math.floor(value + ROUNDING)


def _whole_above(value: float) -> int:
    return math.ceil(value - ROUNDING)
