"""Incidence angle and spacings of a radar grid from its longitude, latitude and height."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mosart.errors import InputError

from .fit import RangeFit, fit_range
from .frame import LookFrame
from .geodesy import bearing, centre, earth_radius, local_metres

logger = logging.getLogger(__name__)

#: Greatest standard error of the incidence angle, degrees.
MAX_STD_ERROR = 1.0
#: Positions must be this much finer than the pixels.
ROUNDING = 0.1

HINT = (
    "give the geometry in the config: `geometry:` with incidence_angle (degrees), range_spacing (slant, m), "
    "azimuth_spacing (m), look_direction and heading"
)


@dataclass(frozen=True)
class Positions:
    """Where the pixels of some rows lie, in local metres.

    Parameters
    ----------
    ground : ndarray, (rows, range)
        Position along the direction of growing range index, metres.
    origin : tuple of float
        Longitude and latitude of the middle, degrees.
    range_bearing : float
        Direction of growing range index, degrees clockwise from north.
    azimuth_spacing : float
        Metres between rows; NaN with one row.
    heading : float
        Direction of growing row index, perpendicular to the range, degrees; NaN with one row.
    look_direction : str
        ``"right"`` or ``"left"`` if the rows are in the order of time; ``"unknown"`` with one row.
    """

    ground: NDArray[np.float64]
    origin: tuple[float, float]
    range_bearing: float
    azimuth_spacing: float
    heading: float
    look_direction: str


def self_calibrate(
    longitude: ArrayLike,
    latitude: ArrayLike,
    height: ArrayLike,
    *,
    rows: ArrayLike | None = None,
    incidence_angle: float | None = None,
    range_spacing: float | None = None,
) -> LookFrame:
    """Find the look of a radar grid from where its pixels lie.

    Along a row the pixel index is linear in position, ``i = (sin θ/δr)·x − (cos θ/δr)·h + const(row)``:
    where ground is higher, the same slant range lies further away, and by how much is the incidence angle.
    The least squares of it have a constant per row and the height on the left,
    ``h = tan θ·x + const(row) + f(i)``, f a polynomial of low degree shared by all rows that holds the
    spacing and the curvature of Earth and wave: so noise of the DEM, however coarse, biases nothing, and the
    index has none. Noise of the positions would; so the position of a pixel's neighbours stands in for its
    own as an instrument, which noise that is independent from pixel to pixel leaves unbiased too. The growth
    of θ along the row, read from f, scales x and h over the row. Outliers are weighted down (Tukey's
    biweight); the standard error is taken over blocks of the grid, within which errors may be correlated.

    Rows are taken to be in the order of **time** (the first row was imaged first): longitude and latitude
    cannot tell a right-looking grid from a left-looking one whose rows are reversed. Incidence and spacings
    do not depend on it. Range must grow with the pixel index.

    Parameters
    ----------
    longitude, latitude : array_like, (azimuth, range)
        Degrees, in float64. Across 180° and near the poles too.
    height : array_like, (azimuth, range)
        Metres, positive up; NaN where unknown.
    rows : array_like, optional
        Row index of each row given, for a selection of rows; by default 0, 1, 2, …
    incidence_angle : float, optional
        Degrees at the middle of the range, where known: the rest is found, on flat ground too.
    range_spacing : float, optional
        Metres in slant range, where known instead: the rest is found, on flat ground too.

    Returns
    -------
    LookFrame
        With the standard error of the incidence angle in degrees. With one row the azimuth spacing and the
        heading are NaN and the look direction is unknown.

    Raises
    ------
    InputError
        If the shapes differ, both incidence and spacing are given, too few pixels have a position, longitude
        and latitude are rounded (float32) to more than a tenth of a pixel, the ground is too flat, the
        standard error exceeds 1°, or the range index runs towards the radar.

    Notes
    -----
    Instrumental variables: Wooldridge, *Econometric Analysis of Cross Section and Panel Data* (2010),
    chapter 5; errors by clusters: Cameron and Miller, J. Human Resources 50 (2015), 317-372.
    """
    lon, lat, h = (np.asarray(a) for a in (longitude, latitude, height))
    if lon.ndim != 2 or not lon.shape == lat.shape == h.shape:
        raise InputError(
            "longitude, latitude and height do not belong together",
            expected="three arrays (azimuth, range) of one shape",
            got=f"{lon.shape}, {lat.shape}, {h.shape}",
        )
    if incidence_angle is not None and range_spacing is not None:
        raise InputError("incidence angle and range spacing are both known", expected="at most one of them")
    index = np.arange(lon.shape[0]) if rows is None else np.asarray(rows)
    place = locate(lon, lat, index)
    check_rounding(lon, lat, place)
    fit = fit_range(
        place.ground,
        np.asarray(h, dtype=np.float64),
        earth_radius(place.origin[1]),
        incidence_angle=incidence_angle,
        range_spacing=range_spacing,
    )
    _check(fit, known=incidence_angle is not None or range_spacing is not None)
    return LookFrame(
        incidence_angle=np.degrees(fit.theta),
        range_spacing=fit.range_spacing,
        azimuth_spacing=place.azimuth_spacing,
        look_direction=place.look_direction,
        heading=place.heading,
        incidence_std_error=float(np.degrees(fit.std_error)),
        source="least squares of longitude, latitude and height, rows taken to be in the order of time",
        reference_height=fit.reference_height,
    )


def locate(lon: NDArray[np.float64], lat: NDArray[np.float64], rows: NDArray[np.integer]) -> Positions:
    """Find the directions of range and azimuth, and each pixel's position along the range.

    Parameters
    ----------
    lon, lat : ndarray, (rows, range)
        Degrees.
    rows : ndarray of int, (rows,)
        Row index of each row.

    Returns
    -------
    Positions

    Raises
    ------
    InputError
        If fewer than 8 pixels in a row have a position.
    """
    lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    # 0, 0 is how processors write "no position"; nobody's volcano lies there.
    good = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90) & (np.abs(lon) <= 540)
    good &= (lon != 0) | (lat != 0)
    lon, lat = np.where(good, lon, np.nan), np.where(good, lat, np.nan)
    if lon.shape[1] < 8 or int(good.sum(axis=1).max(initial=0)) < 8:
        raise InputError(
            "longitude and latitude do not tell the geometry",
            expected="at least 8 pixels of a row with a position",
            got=f"{int(good.sum(axis=1).max(initial=0))} of {lon.shape[1]}",
            hint=HINT,
        )
    origin = centre(lon, lat)
    east, north = local_metres(lon, lat, origin)
    lag = max(1, lon.shape[1] // 2)
    steps = [_median(a[:, lag:] - a[:, :-lag]) for a in (east, north)]
    if not np.all(np.isfinite(steps)):  # gaps that are half a row apart
        lag = 1
        steps = [_median(a[:, 1:] - a[:, :-1]) for a in (east, north)]
    length = float(np.hypot(steps[0], steps[1]))
    if not length > 0:
        raise InputError(
            "longitude and latitude do not tell the geometry",
            expected="positions that change along a row",
            got="the same position all along",
            hint=HINT,
        )
    ue, un = steps[0] / length, steps[1] / length
    ground = east * ue + north * un
    # Positive to the left of the direction of range.
    side = _row_medians(north * ue - east * un)
    pace = _slope(rows, side)
    range_bearing = bearing(ue, un)
    look = "unknown" if not np.isfinite(pace) or pace == 0 else "right" if pace > 0 else "left"
    heading = {"right": range_bearing - 90.0, "left": range_bearing + 90.0}.get(look, np.nan) % 360.0
    spacing = abs(pace) if look != "unknown" else float("nan")
    return Positions(ground, origin, range_bearing, spacing, heading, look)


def check_rounding(lon: NDArray[np.generic], lat: NDArray[np.generic], place: Positions) -> None:
    """Refuse positions that are too coarsely rounded to tell the incidence angle.

    Parameters
    ----------
    lon, lat : ndarray, (rows, range)
        Degrees, as stored.
    place : Positions
        Where they lie.

    Raises
    ------
    InputError
        If all numbers fit in float32 and its last digit exceeds a tenth of the distance between pixels.
    """
    step = float(np.nanmedian(np.abs(np.diff(place.ground, axis=1))))
    metres = (111.3e3 * float(np.cos(np.radians(place.origin[1]))), 111.3e3)
    coarse = 0.0
    for values, scale in zip((lon, lat), metres, strict=True):
        finite = values[np.isfinite(values)]
        single = finite.astype(np.float32)
        if finite.size and bool(np.all(single == finite)):
            coarse = max(coarse, scale * float(np.spacing(np.abs(single).max())))
    if coarse == 0.0:
        return
    if coarse > ROUNDING * step:
        raise InputError(
            "longitude and latitude are stored in float32, too coarse to find the geometry from them",
            expected=f"positions finer than a tenth of a pixel ({ROUNDING * step:.2g} m on the ground)",
            got=f"steps of {coarse:.2g} m",
            hint=f"write lon and lat in float64, or {HINT}",
        )
    logger.warning(
        "longitude and latitude hold float32 values: positions are rounded to %.2g m, a pixel is %.3g m; "
        "float64 is better",
        coarse,
        step,
    )


def _check(fit: RangeFit, known: bool) -> None:
    error = np.degrees(fit.std_error)
    if not known and not error <= MAX_STD_ERROR:
        raise InputError(
            "the ground is too flat to find the incidence angle from longitude, latitude and height",
            expected=f"a standard error of at most {MAX_STD_ERROR:g}°",
            got=f"{error:.3g}°, with relief of {fit.relief:.3g} m rms along the rows",
            hint=HINT,
        )
    if fit.towards:
        raise InputError(
            "the range index runs towards the radar, or the heights do not belong to the positions",
            expected="higher ground to lie further along the row for the same slant range",
            got="higher ground nearer the row's start",
            hint="reverse the range axis of every dataset, or " + HINT,
        )


def _median(a: NDArray[np.float64]) -> float:
    good = a[np.isfinite(a)]
    return float(np.median(good)) if good.size else float("nan")


def _row_medians(a: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([_median(row) for row in a])


def _slope(index: NDArray[np.integer], value: NDArray[np.float64]) -> float:
    """Median of the slopes between values half the list apart (Theil's, in its quick form)."""
    good = np.isfinite(value)
    index, value = index[good], value[good]
    if value.size < 2:
        return float("nan")
    lag = max(1, value.size // 2)
    return float(np.median((value[lag:] - value[:-lag]) / (index[lag:] - index[:-lag])))
