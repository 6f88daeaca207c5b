"""Metres on the ground between the pixels of a grid, and the ground area of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .geodesy import ECCENTRICITY2, SEMI_MAJOR, centre, local_metres

Floats = NDArray[np.float64]


def metres_per_degree(latitude: Floats) -> tuple[Floats, Floats]:
    """Length of one degree on the WGS 84 ellipsoid.

    Parameters
    ----------
    latitude : ndarray
        Degrees, any shape.

    Returns
    -------
    east, north : ndarray
        Metres per degree of longitude and of latitude, from the radii of curvature of the prime
        vertical and of the meridian.
    """
    phi = np.radians(latitude)
    w2 = 1.0 - ECCENTRICITY2 * np.sin(phi) ** 2
    vertical = SEMI_MAJOR / np.sqrt(w2)
    meridian = vertical * (1.0 - ECCENTRICITY2) / w2
    return np.radians(vertical * np.cos(phi)), np.radians(meridian)


def known_number(value: object) -> float:
    """Read an attribute that may be ``"unknown"`` or missing.

    Parameters
    ----------
    value : object
        A number, a text or None.

    Returns
    -------
    float
        NaN where it is no number.
    """
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _step(values: Floats, axis: int) -> Floats:
    """Central difference per pixel along an axis, one-sided at borders and beside NaN."""
    values = np.moveaxis(values, axis, 0)
    forward = np.full_like(values, np.nan)
    forward[:-1] = values[1:] - values[:-1]
    backward = np.full_like(values, np.nan)
    backward[1:] = forward[:-1]
    step = np.where(
        np.isnan(forward), backward, np.where(np.isnan(backward), forward, 0.5 * (forward + backward))
    )
    return np.moveaxis(step, 0, axis)


def pixel_steps(longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
    """Measure the steps on the ground from a pixel to the next.

    Parameters
    ----------
    longitude, latitude : ndarray, (azimuth, range)
        Degrees, any branch; NaN where unknown.

    Returns
    -------
    along_azimuth, along_range : ndarray, (2, azimuth, range)
        Metres to the east and to the north per pixel; NaN where unknown or where the axis has one
        pixel only.
    """
    places = np.stack(local_metres(longitude, latitude, centre(longitude, latitude)))
    return _step(places, 1), _step(places, 2)


def pixel_area(longitude: Floats, latitude: Floats, azimuth_spacing: float = float("nan")) -> Floats:
    """Horizontal ground area of each pixel of a radar grid.

    Parameters
    ----------
    longitude, latitude : ndarray, (azimuth, range)
        Degrees of the pixels' centres, any branch; NaN where unknown.
    azimuth_spacing : float, optional
        Metres; only used for a grid of one row, whose height the positions do not tell.

    Returns
    -------
    ndarray, (azimuth, range)
        Square metres, NaN where unknown. Negative where the grid folds back (layover), so that the
        sum over a fold is the ground that it covers.
    """
    azimuth, rng = pixel_steps(longitude, latitude)
    if longitude.shape[0] == 1:
        return np.asarray(np.hypot(rng[0], rng[1]) * azimuth_spacing)
    if longitude.shape[1] == 1:
        return np.full(longitude.shape, np.nan)
    area = azimuth[0] * rng[1] - azimuth[1] * rng[0]
    orientation = np.nanmedian(np.sign(area)) if np.isfinite(area).any() else 1.0
    return np.asarray(area * (orientation or 1.0))


def pixel_area_from_look(
    height: Floats, incidence_angle: float, range_spacing: float, azimuth_spacing: float
) -> Floats:
    """Horizontal ground area of each pixel where only the geometry of the look is known.

    Parameters
    ----------
    height : ndarray, (azimuth, range)
        Metres; NaN where unknown.
    incidence_angle : float
        Degrees, taken as the same everywhere.
    range_spacing, azimuth_spacing : float
        Metres: slant, and on the ground.

    Returns
    -------
    ndarray, (azimuth, range)
        Square metres: the step in ground range, (dr + cos θ·dh)/sin θ, times the azimuth spacing;
        negative in layover, NaN where unknown.
    """
    theta = np.radians(incidence_angle)
    rise = _step(height, 1) if height.shape[1] > 1 else np.zeros_like(height)
    return np.asarray((range_spacing + np.cos(theta) * rise) / np.sin(theta) * azimuth_spacing)
