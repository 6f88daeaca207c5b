"""The WGS84 ellipsoid: geodetic and earth-fixed coordinates."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mosart.compiled import compiled

#: Semi-major axis, metres, and flattening of WGS84.
A = 6378137.0
F = 1.0 / 298.257223563
B = A * (1.0 - F)
E2 = F * (2.0 - F)
_EP2 = E2 / (1.0 - E2)


@compiled
def normal_and_height(x: float, y: float, z: float) -> tuple[float, float, float, float]:
    """Geodetic normal (unit vector) and ellipsoidal height of an earth-fixed point.

    Bowring (1976), one step: below 10 km good to a micrometre. Without angles, so the poles and the
    antimeridian are nothing special.
    """
    p = math.sqrt(x * x + y * y)
    sb = z * A
    cb = p * B
    r = math.sqrt(sb * sb + cb * cb)
    sb /= r
    cb /= r
    s = z + _EP2 * B * sb * sb * sb
    c = p - E2 * A * cb * cb * cb
    r = math.sqrt(s * s + c * c)
    s /= r
    c /= r
    h = p * c + z * s - A * math.sqrt(1.0 - E2 * s * s)
    if p > 0.0:
        return c * x / p, c * y / p, s, h
    return 0.0, 0.0, s, h


@compiled
def from_normal(nx: float, ny: float, nz: float, h: float) -> tuple[float, float, float]:
    """Earth-fixed point from its geodetic normal and height."""
    n = A / math.sqrt(1.0 - E2 * nz * nz)
    return (n + h) * nx, (n + h) * ny, (n * (1.0 - E2) + h) * nz


def to_ecef(longitude: ArrayLike, latitude: ArrayLike, height: ArrayLike) -> NDArray[np.float64]:
    """Earth-fixed coordinates.

    Parameters
    ----------
    longitude, latitude : array_like
        Degrees; shapes that broadcast.
    height : array_like
        Ellipsoidal metres.

    Returns
    -------
    ndarray (…, 3)
        Metres.
    """
    lon, lat = np.radians(np.asarray(longitude, np.float64)), np.radians(np.asarray(latitude, np.float64))
    h = np.asarray(height, np.float64)
    n = A / np.sqrt(1.0 - E2 * np.sin(lat) ** 2)
    return np.stack(
        np.broadcast_arrays(
            (n + h) * np.cos(lat) * np.cos(lon),
            (n + h) * np.cos(lat) * np.sin(lon),
            (n * (1.0 - E2) + h) * np.sin(lat),
        ),
        axis=-1,
    )


def from_ecef(
    point: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Longitude, latitude (degrees) and ellipsoidal height (metres) of points (…, 3)."""
    x, y, z = point[..., 0], point[..., 1], point[..., 2]
    p = np.hypot(x, y)
    beta = np.arctan2(z * A, p * B)
    lat = np.arctan2(z + _EP2 * B * np.sin(beta) ** 3, p - E2 * A * np.cos(beta) ** 3)
    h = p * np.cos(lat) + z * np.sin(lat) - A * np.sqrt(1.0 - E2 * np.sin(lat) ** 2)
    return np.degrees(np.arctan2(y, x)), np.degrees(lat), h
