"""The look frame: a rotation of ground range and height by the incidence angle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def to_look(x: ArrayLike, h: ArrayLike, theta: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slant range and position across the look direction of points of one range line.

    Parameters
    ----------
    x : array_like
        Ground range in metres, growing away from the radar.
    h : array_like
        Height in metres, positive up.
    theta : array_like
        Incidence angle in **radians**, from the vertical.

    Returns
    -------
    r, p : ndarray of float64
        Slant range ``x sin(theta) - h cos(theta)`` and position across the look direction
        ``x cos(theta) + h sin(theta)``, metres, of the common shape of the arguments. NaN in, NaN out.

    See Also
    --------
    from_look : The inverse.
    """
    x, h, theta = (np.asarray(a, dtype=np.float64) for a in (x, h, theta))
    s, c = np.sin(theta), np.cos(theta)
    return x * s - h * c, x * c + h * s


def from_look(
    r: ArrayLike, p: ArrayLike, theta: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ground range and height of points of one range line: the inverse of :func:`to_look`.

    Parameters
    ----------
    r : array_like
        Slant range in metres, growing away from the radar.
    p : array_like
        Position across the look direction in metres, growing away from the radar and upwards.
    theta : array_like
        Incidence angle in **radians**, from the vertical.

    Returns
    -------
    x, h : ndarray of float64
        Ground range ``r sin(theta) + p cos(theta)`` and height ``p sin(theta) - r cos(theta)``, metres, of
        the common shape of the arguments. NaN in, NaN out.
    """
    r, p, theta = (np.asarray(a, dtype=np.float64) for a in (r, p, theta))
    s, c = np.sin(theta), np.cos(theta)
    return r * s + p * c, p * s - r * c
