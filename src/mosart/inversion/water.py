"""Water: its echo says nothing of its height, so the row-wise methods replace it by that of flat ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Gradient of ground taken as flat, metres of height per pixel (the original's constant).
FLAT = 0.01

#: Percentile of the absolute gradient below which ground is a row's flattest (the original's constant).
FLATTEST = 5.0


def substitute_water(
    amplitude: NDArray[np.float64], gradient: NDArray[np.float64], water: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Replace the amplitude of water by that of flat dry ground, row by row.

    Parameters
    ----------
    amplitude : ndarray (azimuth, range)
        Amplitude, linear; left as it is.
    gradient : ndarray (azimuth, range)
        Gradient of the DEM along range, metres per pixel.
    water : ndarray of bool (azimuth, range)
        True on water.

    Returns
    -------
    ndarray (azimuth, range)
        A copy with the water replaced. Rows without water or without dry ground are left as they are.

    Notes
    -----
    The rule of the original: the median over dry pixels whose absolute gradient is below the row's 5th
    percentile, in rows that have dry pixels with a gradient below 0.01. Where that set is empty, as on a
    flat sea, whose 5th percentile is 0: the median over the dry pixels with a gradient below 0.01, and
    where there are none either, over the dry pixels nearest to flat. NaN takes no part.
    """
    result = np.array(amplitude, dtype=np.float64)
    for j in np.flatnonzero(water.any(axis=1)):
        value = _flat_echo(result[j], np.abs(np.asarray(gradient[j], dtype=np.float64)), water[j])
        if np.isfinite(value):
            result[j, water[j]] = value
    return result


def _flat_echo(row: NDArray[np.float64], steep: NDArray[np.float64], water: NDArray[np.bool_]) -> float:
    """Amplitude that flat dry ground has in a row; NaN for "leave the row as it is"."""
    known = np.isfinite(steep)
    dry = known & np.isfinite(row) & ~water
    if not dry.any():
        return float("nan")
    limit = float(np.percentile(steep[known], FLATTEST))
    flat = dry & (steep < FLAT)
    flattest = dry & (steep < limit)
    if not flat.any() and limit > 0.0:
        return float("nan")  # steep all along: the original leaves such a row alone
    if not flattest.any():
        flattest = flat
    if not flattest.any():
        flattest = dry & (steep <= np.percentile(steep[dry], FLATTEST))
    return float(np.median(row[flattest]))
