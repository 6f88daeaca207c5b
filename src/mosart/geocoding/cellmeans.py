"""Means of scattered values in the cells of a lon/lat grid, as the original georeferences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled
from mosart.errors import InputError
from mosart.geometry.geodesy import centre, unwrap_longitude

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CellMeans:
    """Means on a grid of longitude and latitude.

    Attributes
    ----------
    values : ndarray (date, lat, lon)
        Means, south first; NaN where there is nothing and along the border.
    longitude, latitude : ndarray (lon,), (lat,)
        Centres of the cells, degrees.
    pixel_size : float
        Degrees.
    """

    values: Floats
    longitude: Floats
    latitude: Floats
    pixel_size: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, east, south and north edge of the grid, degrees."""
        half = 0.5 * self.pixel_size
        west, south = float(self.longitude[0]) - half, float(self.latitude[0]) - half
        size = self.pixel_size
        return west, west + size * self.longitude.size, south, south + size * self.latitude.size


def cell_means(
    longitude: NDArray[Any], latitude: NDArray[Any], values: NDArray[Any], pixel_size: float
) -> CellMeans:
    """Mean of all values within one cell size of each cell's centre, in longitude and in latitude.

    Parameters
    ----------
    longitude, latitude : ndarray (azimuth, range)
        Position of every pixel, degrees; NaN where unknown.
    values : ndarray (date, azimuth, range)
        Any unit; NaN is left out.
    pixel_size : float
        Distance of the cells' centres, degrees.

    Returns
    -------
    CellMeans
        On the smallest grid with all pixels that have a value on any date, one cell wider. The cells
        overlap: a value counts in all that are near.

    Raises
    ------
    InputError
        If the shapes do not fit, no pixel has a value, or the size is not positive.

    Notes
    -----
    One pass over the pixels: time grows with their number, not with the number of cells.
    """
    values = np.asarray(values, dtype=np.float64)
    latitude = np.asarray(latitude, dtype=np.float64)
    longitude = np.asarray(longitude, dtype=np.float64)
    if values.ndim != 3 or values.shape[1:] != longitude.shape or longitude.shape != latitude.shape:
        raise InputError(
            "the array is not on the grid of the file",
            expected=f"shape (dates, {', '.join(map(str, longitude.shape))})",
            got=str(values.shape),
        )
    if not (np.isfinite(pixel_size) and pixel_size > 0):
        raise InputError("the pixel size cannot be used", expected="degrees above 0", got=str(pixel_size))
    known = np.isfinite(values).any(axis=0) & np.isfinite(longitude) & np.isfinite(latitude)
    if not known.any():
        raise InputError("the array has no value to georeference", expected="at least one that is not NaN")
    if np.ptp(longitude[known]) > 180.0:
        longitude = unwrap_longitude(longitude, centre(longitude[known], latitude[known])[0])
    xs, ys = (
        np.arange(c[known].min() - pixel_size, c[known].max() + pixel_size, pixel_size)
        for c in (longitude, latitude)
    )
    shape = (values.shape[0], ys.size, xs.size)
    sums, count = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    _gather(longitude, latitude, values, xs, ys, pixel_size, sums, count)
    means = np.full(shape, np.nan)
    np.divide(sums, count, out=means, where=count > 0)
    return CellMeans(means, xs, ys, pixel_size)


@compiled
def _gather(  # noqa: PLR0917 - a kernel
    longitude: Floats,
    latitude: Floats,
    values: Floats,
    xs: Floats,
    ys: Floats,
    size: float,
    sums: Floats,
    count: NDArray[np.int64],
) -> None:
    rows, columns = longitude.shape
    for j in range(rows):
        for i in range(columns):
            x = longitude[j, i]
            y = latitude[j, i]
            if not (np.isfinite(x) and np.isfinite(y)):
                continue
            # The nearest cells by arithmetic, then the original's own comparisons with the centres.
            column = int(np.floor((x - xs[0]) / size))
            row = int(np.floor((y - ys[0]) / size))
            for n in range(max(row - 1, 1), min(row + 3, ys.size - 1)):
                if not (ys[n - 1] <= y <= ys[n + 1]):
                    continue
                for m in range(max(column - 1, 1), min(column + 3, xs.size - 1)):
                    if not (xs[m - 1] <= x <= xs[m + 1]):
                        continue
                    for k in range(values.shape[0]):
                        value = values[k, j, i]
                        if not np.isnan(value):
                            sums[k, n, m] += value
                            count[k, n, m] += 1
