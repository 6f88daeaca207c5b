"""Gaps in image rows: bridged for running sums and filters alone, never in a result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled


def as_float(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself if the kernel reads its type, else a copy in float64."""
    array = np.asarray(array)
    if array.dtype in (np.dtype("=f8"), np.dtype("=f4")):
        return array
    return array.astype(np.float64)


@compiled
def bridge(row: NDArray[np.float64]) -> int:
    """Fill the NaN of a row linearly between its neighbours, at the ends with the nearest, in place.

    Returns
    -------
    int
        Number of values that were finite.
    """
    n = row.size
    last = -1
    found = 0
    for i in range(n):
        if not np.isfinite(row[i]):
            continue
        found += 1
        if i - last > 1:
            for k in range(last + 1, i):
                if last < 0:
                    row[k] = row[i]
                else:
                    row[k] = row[last] + (row[i] - row[last]) * (k - last) / (i - last)
        last = i
    if found > 0:
        for k in range(last + 1, n):
            row[k] = row[last]
    return found


def fill_gaps(image: NDArray[Any], fill: float) -> NDArray[np.float64]:
    """Copy an image with its gaps bridged along their rows; rows without a value get `fill`.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        NaN or infinite where there is no value.
    fill : float
        For rows without a value.

    Returns
    -------
    ndarray (azimuth, range)
        float64 without NaN (unless `fill` is).
    """
    filled = np.array(image, dtype=np.float64, order="C")
    _bridge_rows(filled, float(fill))
    return filled


@compiled
def _bridge_rows(image: NDArray[np.float64], fill: float) -> None:
    for j in range(image.shape[0]):
        if bridge(image[j]) == 0:
            image[j, :] = fill


def range_gradient(height: NDArray[Any]) -> NDArray[Any]:
    """Take the gradient of a DEM along range, NaN exactly where the DEM is.

    Parameters
    ----------
    height : ndarray (azimuth, range)
        Metres; NaN in gaps.

    Returns
    -------
    ndarray (azimuth, range)
        Metres per pixel, central differences; beside a gap as if it were bridged linearly.
    """
    if height.shape[1] < 2:
        return np.where(np.isfinite(height), 0.0, np.nan)
    gaps = ~np.isfinite(height)
    if not gaps.any():
        return np.asarray(np.gradient(height, axis=1))
    gradient = np.gradient(fill_gaps(height, np.nan), axis=1)
    gradient[gaps] = np.nan
    return np.asarray(gradient)
