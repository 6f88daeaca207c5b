"""From the fixed slant-range pixel to the fixed ground position.

A point that rises by d moves towards the radar by ``d cos(theta)`` in slant range, so the surface that a
date shows at a slant-range pixel lies ``d / tan(theta)`` further away on the ground than the DEM's
ground of that pixel: ``x_d = x_dem + d / tan(theta)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled

Floats = NDArray[np.float64]


def at_fixed_ground(
    rise: Floats, height: Floats, ground_range: Floats, theta: Floats, reach: float = 0.0
) -> Floats:
    """Rise of the surface at the DEM's ground positions, from the rise at slant-range pixels.

    Parameters
    ----------
    rise : ndarray (azimuth, range)
        Height of what is seen at each slant-range pixel above the DEM's ground of that pixel, metres,
        positive up; NaN where it is not known or not to be used.
    height : ndarray (azimuth, range)
        DEM, metres; NaN in gaps.
    ground_range : ndarray (azimuth, range)
        Ground range of the DEM's ground at each pixel, metres, growing away from the radar; NaN in gaps.
    theta : ndarray (range,)
        Incidence angle, **radians**.
    reach : float
        How far beyond the last pixel before a gap or an end of the row its rise still holds, metres: half
        a pixel, so that rounding does not widen gaps.

    Returns
    -------
    ndarray (azimuth, range)
        Height of the surface above the DEM at the DEM's ground position of each pixel, metres. NaN where
        the ground position is, where the two pixels that see the ground on either side of it are not
        neighbours (a gap is not bridged), and where the ground left the row.

    Notes
    -----
    Along a row the ground that is seen lies ever further away. Where noise makes the positions turn back
    they are replaced by their monotone envelope, the mean of the running maximum from the near end and
    the running minimum from the far end, and the heights with them, along each pixel's line of equal
    slant range: position and height of a pixel stay consistent.
    """
    result = np.full(rise.shape, np.nan)
    rise, height, ground_range = (
        np.ascontiguousarray(a, dtype=np.float64) for a in (rise, height, ground_range)
    )
    _shift(rise, height, ground_range, np.tan(np.asarray(theta, dtype=np.float64)), reach, result)
    return result


@compiled
def _shift(  # noqa: PLR0912, PLR0917 - a kernel
    rise: Floats, height: Floats, ground: Floats, tangent: Floats, reach: float, result: Floats
) -> None:
    rows, n = rise.shape
    position = np.empty(n)
    raw = np.empty(n)
    level = np.empty(n)
    pixel = np.empty(n, np.int64)
    for j in range(rows):
        count = 0
        highest = -np.inf
        for i in range(n):
            x = ground[j, i] + rise[j, i] / tangent[i]
            if np.isfinite(x):
                highest = max(highest, x)
                position[count] = highest
                raw[count] = x
                pixel[count] = i
                count += 1
        lowest = np.inf
        for k in range(count - 1, -1, -1):
            lowest = min(lowest, raw[k])
            i = pixel[k]
            if position[k] != lowest:
                position[k] = 0.5 * (position[k] + lowest)
                level[k] = height[j, i] + (position[k] - ground[j, i]) * tangent[i]
            else:  # as it is: unchanged ground stays exactly zero
                level[k] = height[j, i] + rise[j, i]
        k = 0
        for i in range(n):
            x = ground[j, i]
            if count == 0 or not np.isfinite(x):
                continue
            # Ground positions of a DEM turn back in layover, so the search may go both ways.
            while k > 0 and position[k] > x:
                k -= 1
            while k < count - 1 and position[k + 1] <= x:
                k += 1
            if position[k] == x:
                result[j, i] = level[k] - height[j, i]
            elif position[k] < x and k + 1 < count and pixel[k + 1] - pixel[k] == 1:
                share = (x - position[k]) / (position[k + 1] - position[k])
                result[j, i] = level[k] + share * (level[k + 1] - level[k]) - height[j, i]
            else:
                if k + 1 < count and abs(position[k + 1] - x) < abs(position[k] - x):
                    k += 1
                if abs(position[k] - x) <= reach:
                    result[j, i] = level[k] - height[j, pixel[k]]
