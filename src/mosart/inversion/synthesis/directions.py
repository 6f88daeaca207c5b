"""From how many sides a place is seen: looks from nearly one direction are one look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: Degrees between two lines of sight below which they give one equation of slope and brightness twice: what
#: tells the two apart is the sine of the angle, and noise grows by its inverse, tenfold here.
LEAST_ANGLE = 6.0


def line_of_sight(east: Float, north: Float, incidence: float) -> Float:
    """Direction in which the beam travels.

    Parameters
    ----------
    east, north : ndarray (azimuth, range)
        Positions of the pixels, metres; NaN where unknown.
    incidence : float
        Radians from the vertical.

    Returns
    -------
    ndarray (3,)
        Unit vector east, north, up.
    """
    columns = east.shape[1]
    near, far = slice(0, max(columns // 4, 1)), slice(columns - max(columns // 4, 1), columns)
    along = np.array([np.nanmedian(v[:, far]) - np.nanmedian(v[:, near]) for v in (east, north)])
    along /= max(float(np.hypot(*along)), 1e-9)
    return np.array([*(np.sin(incidence) * along), -np.cos(incidence)])


def count_directions(sights: Sequence[Float]) -> NDArray[np.uint8]:
    """Count the directions of every set of looks.

    Parameters
    ----------
    sights : sequence of ndarray (3,)
        Lines of sight.

    Returns
    -------
    ndarray of uint8 (2 ** looks,)
        By the bits of the looks that see a place. Looks that are joined by steps of less than
        :data:`LEAST_ANGLE` count once.
    """
    cosines = np.clip(np.array(sights) @ np.array(sights).T, -1, 1)
    near = np.degrees(np.arccos(cosines)) < LEAST_ANGLE
    counts = np.zeros(2 ** len(sights), np.uint8)
    for bits in range(1, len(counts)):
        left = [k for k in range(len(sights)) if bits >> k & 1]
        while left:
            group = [left.pop()]
            for one in group:
                joined = [k for k in left if near[one, k]]
                left = [k for k in left if k not in joined]
                group += joined
            counts[bits] += 1
    return counts
