"""Whether boxes and areas lie in the image of products, known before the image is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from mosart.areas import Area, Areas, read_areas
from mosart.boxes import clip_pixels
from mosart.errors import InputError
from mosart.geometry.geodesy import unwrap_longitude
from mosart.geometry.orbit import Dem, RadarGrid, geo2rdr
from mosart.geometry.orbit.dem import footprint
from mosart.geometry.orbit.ellipsoid import to_ecef

from .config import Config

if TYPE_CHECKING:
    from mosart.boxes import PixelBox

#: Pixels by which a place may miss the image, as seen beforehand, and still count as inside.
_SLACK = 2.0
#: Places along each side of an area's bounds that are projected.
_PLACES = 9


def check_extent(grid: RadarGrid, dem: Dem, config: Config) -> None:
    """Refuse a crop, an area, a point or stable ground that lies wholly outside the image.

    Parameters
    ----------
    grid : RadarGrid
        Of the image that will be made.
    dem : Dem
        Its terrain.
    config : Config
        With ``crop``, ``areas``, ``points`` and ``stable``.

    Raises
    ------
    InputError
        Naming the key and the area. What reaches into the image a little, or what only its exact pixels can
        tell, is let through: the run looks again when the image is there.
    """
    image = f"{grid.rows} azimuth rows x {grid.columns} range pixels"
    part = None
    if config.crop.pixels is not None:
        part = clip_pixels(config.crop.pixels, grid.rows, grid.columns)
        grid = grid.crop(part.y0, part.y1, part.x0, part.x1)
    places = footprint(grid, *dem.limits)
    if config.areas or config.points:
        for area in read_areas([*config.areas, *config.points]).areas:
            if not _meets(area, grid, dem, places, part):
                raise _outside("areas", area.name, image)
    if config.stable is not None:
        stable = read_areas(config.stable)
        if not any(_meets(area, grid, dem, places, part) for area in stable.areas):
            raise _outside("stable", _names(stable), image)


def _names(areas: Areas) -> str:
    return ", ".join(areas.names)


def _outside(key: str, name: str, image: str) -> InputError:
    return InputError(
        f"{key}: {name} holds no pixel of the (cropped) image",
        expected="an area or a point that overlaps the image",
        got=f"a place outside its {image}",
        hint="check its coordinates, and `crop`",
    )


def _meets(area: Area, grid: RadarGrid, dem: Dem, places: NDArray[np.float64], part: PixelBox | None) -> bool:
    """Whether some of an area may lie in the image."""
    if area.pixels is not None:
        x0, x1, y0, y1 = area.pixels
        left, top = (0, 0) if part is None else (part.x0, part.y0)
        return x0 < left + grid.columns and x1 > left and y0 < top + grid.rows and y1 > top
    parts = area.parts
    if area.degrees_or_pixels is not None:
        parts = (shapely.Point(*area.degrees_or_pixels),)
    return any(_reaches(shapely.bounds(part), grid, dem, places) for part in parts)


def _reaches(bounds: NDArray[np.float64], grid: RadarGrid, dem: Dem, places: NDArray[np.float64]) -> bool:
    """Whether a box of longitude and latitude may hold a pixel of the image."""
    west, south, east, north = bounds
    lon = unwrap_longitude(places[:, 0], 0.5 * (west + east))
    if lon.max() < west or lon.min() > east or places[:, 1].max() < south or places[:, 1].min() > north:
        return False
    x, y = np.meshgrid(np.linspace(west, east, _PLACES), np.linspace(south, north, _PLACES))
    points = np.concatenate([to_ecef(x.ravel(), y.ravel(), height) for height in dem.limits])
    row, column = geo2rdr(grid, points)
    good = np.isfinite(row) & np.isfinite(column)
    if not good.any():
        return False
    row, column = row[good], column[good]
    return bool(
        row.max() > -_SLACK
        and row.min() < grid.rows - 1 + _SLACK
        and column.max() > -_SLACK
        and column.min() < grid.columns - 1 + _SLACK
    )
