"""Local metres around a place, and longitudes without the jump at 180 degrees."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: WGS 84: semi-major axis in metres and first eccentricity squared.
SEMI_MAJOR = 6378137.0
ECCENTRICITY2 = 6.69437999014e-3
#: Points further than this from the centre have no local position.
FAR = 1.0e6


def earth_radius(latitude: float) -> float:
    """Gaussian radius of curvature of WGS 84 at a latitude (degrees), metres."""
    w2 = 1.0 - ECCENTRICITY2 * np.sin(np.radians(latitude)) ** 2
    return float(SEMI_MAJOR * np.sqrt(1.0 - ECCENTRICITY2) / w2)


def centre(longitude: ArrayLike, latitude: ArrayLike) -> tuple[float, float]:
    """Find a place in the middle of points, wherever on Earth they lie.

    Parameters
    ----------
    longitude, latitude : array_like
        Degrees, of the same shape; NaN are left out.

    Returns
    -------
    longitude, latitude : float
        Degrees, longitude in -180 to 180. The median direction: a few points far off do not move it.
    """
    lon, lat = (np.radians(np.asarray(a, dtype=np.float64).ravel()) for a in (longitude, latitude))
    good = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[good], lat[good]
    if lon.size == 0:
        return float("nan"), float("nan")
    x, y, z = (np.median(a) for a in (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def local_metres(
    longitude: ArrayLike, latitude: ArrayLike, origin: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """East and north of points from a place nearby, in metres on the WGS 84 ellipsoid.

    Parameters
    ----------
    longitude, latitude : array_like
        Degrees, any shape; longitudes of any turn (179, -181 and 539 are one).
    origin : tuple of float
        Longitude and latitude of the place, degrees.

    Returns
    -------
    east, north : ndarray of float64
        Metres along the surface, of the points' shape. NaN where a coordinate is, and further than
        1000 km away. Distances within 50 km of the place are right to 1e-5. Holds at the poles too: there
        "north" is the origin's meridian.
    """
    lon, lat = (np.radians(np.asarray(a, dtype=np.float64)) for a in (longitude, latitude))
    lon0, lat0 = np.radians(origin)
    n = SEMI_MAJOR / np.sqrt(1.0 - ECCENTRICITY2 * np.sin(lat) ** 2)
    n0 = SEMI_MAJOR / np.sqrt(1.0 - ECCENTRICITY2 * np.sin(lat0) ** 2)
    # The difference of two places far from the Earth's centre, written so that no digits are lost.
    dlon = lon - lon0
    plane = n * np.cos(lat)
    east = plane * np.sin(dlon)
    out = plane * np.cos(dlon) - n0 * np.cos(lat0)
    up = (1.0 - ECCENTRICITY2) * (n * np.sin(lat) - n0 * np.sin(lat0))
    north = -np.sin(lat0) * out + np.cos(lat0) * up
    below = np.cos(lat0) * out + np.sin(lat0) * up
    chord = np.sqrt(east**2 + north**2 + below**2)
    radius = earth_radius(float(np.degrees(lat0)))
    # From the tangent plane to the length along the surface.
    flat = np.hypot(east, north)
    with np.errstate(invalid="ignore"):
        arc = 2.0 * radius * np.arcsin(np.clip(chord / (2.0 * radius), 0.0, 1.0))
    scale = np.divide(arc, flat, out=np.ones_like(arc), where=flat > 1e-3)
    scale = np.where(chord < FAR, scale, np.nan)
    return east * scale, north * scale


def unwrap_longitude(longitude: ArrayLike, reference: float) -> NDArray[np.float64]:
    """Longitudes within half a turn of a reference, so that no jump lies between neighbours.

    Parameters
    ----------
    longitude : array_like
        Degrees, any shape.
    reference : float
        Degrees; best the middle of the points (:func:`centre`).

    Returns
    -------
    ndarray of float64
        From ``reference - 180`` (included) to ``reference + 180``; NaN stays.
    """
    lon = np.asarray(longitude, dtype=np.float64)
    turned = lon - 360.0 * np.floor((lon - reference + 180.0) / 360.0)
    # A longitude just below the seam may round onto its far end.
    return np.where(turned >= reference + 180.0, turned - 360.0, turned)


def bearing(east: float, north: float) -> float:
    """Direction of a vector, degrees clockwise from north, 0 to 360."""
    return float(np.degrees(np.arctan2(east, north)) % 360.0)
