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
    rows = np.flatnonzero(water.any(axis=1))
    steep = np.abs(np.asarray(gradient, dtype=np.float64)[rows])
    dry = np.isfinite(steep) & np.isfinite(result[rows]) & ~water[rows]
    limit = _quantile(steep, np.isfinite(steep), FLATTEST)[:, None]
    flat = dry & (steep < FLAT)
    chosen = dry & (steep < limit)
    chosen = np.where(chosen.any(axis=1, keepdims=True), chosen, flat)
    near = dry & (steep <= _quantile(steep, dry, FLATTEST)[:, None])
    chosen = np.where(chosen.any(axis=1, keepdims=True), chosen, near)
    # Steep all along: the original leaves such a row alone.
    chosen &= flat.any(axis=1, keepdims=True) | ~(limit > 0.0)
    value = _quantile(result[rows], chosen, 50.0)
    replaced = water[rows] & np.isfinite(value)[:, None]
    result[rows] = np.where(replaced, value[:, None], result[rows])
    return result


def _quantile(
    values: NDArray[np.float64], chosen: NDArray[np.bool_], percentile: float
) -> NDArray[np.float64]:
    """Percentile of the chosen values of every row, between neighbours linearly; NaN where there are none."""
    ordered = np.sort(np.where(chosen, values, np.inf), axis=1)
    count = chosen.sum(axis=1)
    place = percentile / 100.0 * np.maximum(count - 1, 0)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    row = np.arange(values.shape[0])
    low, high = ordered[row, below], ordered[row, above]
    with np.errstate(invalid="ignore"):  # infinite less infinite, in rows that have none
        quantile = low + (high - low) * (place - below)
    return np.where(count > 0, quantile, np.nan)
