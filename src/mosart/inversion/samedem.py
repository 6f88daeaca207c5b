"""Whether several stacks have one ground: that they overlap, and that their DEMs are one DEM."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geocoding import MapGrid, derive_grid, geocode
from mosart.geometry.ground import known_number
from mosart.stack import Stack

from .gather import NamedStack

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]

#: Days by which the DEMs' dates may differ: an acquisition is often dated by its month.
DEM_DAYS = 31
#: Metres by which DEMs of one ground differ at least before it matters: the vertical accuracy (90 %) of the
#: global ones (4 m) with the half a pixel that each is coded off on slopes.
LEAST_TOLERANCE = 5.0
#: Beyond that, differences count from so many standard deviations of both DEMs' fine roughness.
ROUGHNESSES = 3.0
#: Cells of the map that heights are compared on, in sides of a pixel, and most of them.
COMPARED_CELL, MOST_COMPARED = 3.0, 400_000
#: Fewest of them that count as ground in common.
FEWEST_COMMON = 20
#: Median absolute deviation of a Gaussian in standard deviations, inverted.
NMAD = 1.4826


def common_grid(
    stacks: Sequence[Stack], *, crs: str = "utm", pixel_size: float | Sequence[float] | None = None
) -> MapGrid:
    """Lay a map grid over the images of several stacks.

    Parameters
    ----------
    stacks : sequence of Stack
        With longitude and latitude.
    crs, pixel_size : optional
        As :func:`mosart.geocoding.derive_grid` takes them; by default the smallest of the zones and of
        the sizes that the stacks would have alone.

    Returns
    -------
    MapGrid
        That covers all pixels of all.

    Raises
    ------
    InputError
        If no position is known, or the grid would be absurdly large.
    """
    grids = [_grid(stack, crs, pixel_size) for stack in stacks]
    first = min(grid.crs for grid in grids)
    grids = [
        grid if grid.crs == first else _grid(stack, first, pixel_size) for grid, stack in zip(grids, stacks)
    ]
    bounds = np.array([grid.bounds for grid in grids])
    if grids[0].is_geographic:  # each may be written on another turn
        bounds[:, ::2] -= 360 * np.round((bounds[:, :1] - bounds[0, 0]) / 360)
    (west, south), (east, north) = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
    size = min(g.transform.a for g in grids), min(-g.transform.e for g in grids)
    return MapGrid.from_bounds(first, (float(west), float(south), float(east), float(north)), size)


def _grid(stack: Stack, crs: str, pixel_size: float | Sequence[float] | None) -> MapGrid:
    data = stack.dataset
    return derive_grid(
        data["longitude"],
        data["latitude"],
        crs=crs,
        pixel_size=pixel_size,
        azimuth_spacing=known_number(data.attrs.get("azimuth_spacing")),
    )


def check_ground(looks: Sequence[NamedStack]) -> None:
    """Refuse looks that do not share ground, or whose DEMs are not one.

    Parameters
    ----------
    looks : sequence of NamedStack
        The stacks.

    Raises
    ------
    InputError
        If a look's ground does not overlap the others', or two DEMs differ in date by more than
        :data:`DEM_DAYS`, in datum, or on common ground: median or NMAD of the differences of height beyond
        :data:`LEAST_TOLERANCE` and :data:`ROUGHNESSES` of their roughness.

    Notes
    -----
    Each stack has its own radar coding of the DEM; both are brought to cells of a coarse map. What
    a change of a small part of the ground does to one DEM alone, the robust numbers do not see.
    """
    for one, other in combinations(looks, 2):
        _check_origin(one, other)
    heights = _on_one_map(looks)
    roughness = [_roughness(look.stack) for look in looks]
    linked = {0}
    differences = {}
    for (i, a), (j, b) in combinations(enumerate(heights), 2):
        difference = (a - b)[np.isfinite(a) & np.isfinite(b)]
        if difference.size >= FEWEST_COMMON:
            differences[i, j] = difference
    for _ in looks:
        linked |= {k for pair in differences for k in pair if set(pair) & linked}
    apart = [look.name for k, look in enumerate(looks) if k not in linked]
    if apart:
        first = looks[0].name
        raise InputError(
            f"the ground of {', '.join(apart)} does not overlap that of {first}",
            expected="looks that see common ground",
            got=f"fewer than {FEWEST_COMMON} cells in common",
            hint="look at the longitudes and latitudes (`mosart info FILE`), or crop less",
        )
    for (i, j), difference in differences.items():
        median = float(np.median(difference))
        nmad = NMAD * float(np.median(np.abs(difference - median)))
        tolerance = max(LEAST_TOLERANCE, ROUGHNESSES * float(np.hypot(roughness[i], roughness[j])))
        logger.info(
            "DEMs of %s and %s on common ground: median %.2f m, scatter (NMAD) %.2f m, tolerated %.1f m",
            looks[i].name, looks[j].name, median, nmad, tolerance,
        )  # fmt: skip
        if abs(median) > tolerance or nmad > tolerance:
            raise InputError(
                f"the DEMs of {looks[i].name} and {looks[j].name} differ on the ground that both see",
                expected=f"heights of one DEM: median and scatter (NMAD) of the differences within "
                f"{tolerance:.1f} m",
                got=f"median {median:.1f} m, scatter {nmad:.1f} m",
                hint="code one DEM for both stacks; look at its datum (geoid or ellipsoid) and date",
            )


def _check_origin(one: NamedStack, other: NamedStack) -> None:
    """Compare what the stacks say of their DEMs."""
    names = f"{one.name} and {other.name}"
    dates = [_date(look.stack.dataset.attrs.get("dem_date")) for look in (one, other)]
    if dates[0] is None or dates[1] is None:
        logger.warning("the DEMs of %s: their dates are not both known, so they are taken as one DEM", names)
    elif abs((dates[0] - dates[1]).days) > DEM_DAYS:
        raise InputError(
            f"the DEMs of {names} differ in date",
            expected=f"one DEM for all looks: dates within {DEM_DAYS} days",
            got=f"{dates[0]} and {dates[1]}",
            hint="what changed between them would be taken for change in one look alone",
        )
    kinds = [_datum(look.stack.dataset.attrs.get("dem_vertical_datum")) for look in (one, other)]
    if kinds[0] and kinds[1] and kinds[0] != kinds[1]:
        raise InputError(
            f"the DEMs of {names} have different datums",
            expected="one vertical datum",
            got=" and ".join(str(look.stack.dataset.attrs["dem_vertical_datum"]) for look in (one, other)),
        )


def _date(text: object) -> dt.date | None:
    for form in ("%Y-%m-%d", "%Y%m%d"):
        try:
            return dt.datetime.strptime(str(text)[:10], form).date()
        except ValueError:
            continue
    return None


def _datum(text: object) -> str:
    """Name the kind of a datum; empty where it is not known."""
    words = "" if text is None else str(text).lower()
    if words.startswith("unknown"):
        return ""
    return "ellipsoid" if "ellips" in words else words


def _on_one_map(looks: Sequence[NamedStack]) -> list[Float]:
    """Heights of all looks on cells of one coarse map."""
    fine = common_grid([look.stack for look in looks])
    cells = fine.width * fine.height / COMPARED_CELL**2
    wide = COMPARED_CELL * max(1.0, float(np.sqrt(cells / MOST_COMPARED)))
    size = wide * fine.transform.a, -wide * fine.transform.e
    grid = MapGrid.from_bounds(fine.crs, fine.bounds, size)
    found = []
    for look in looks:
        data = look.stack.dataset
        plane = xr.Dataset(
            {name: data[name] for name in ("height", "longitude", "latitude")}, attrs=dict(data.attrs)
        )
        found.append(np.asarray(geocode(plane, grid, variables=["height"])["height"].values, np.float64))
    return found


def _roughness(stack: Stack) -> float:
    """Robust standard deviation of a height against the mean of its neighbours in azimuth."""
    height = stack.dataset["height"]
    step = max(1, height.shape[1] // 512)
    h = np.asarray(height[:, ::step].values, np.float64)
    bend = (h[1:-1] - 0.5 * (h[2:] + h[:-2])).ravel()
    bend = np.abs(bend[np.isfinite(bend)])
    return NMAD * float(np.median(bend)) / np.sqrt(1.5) if bend.size else 0.0
