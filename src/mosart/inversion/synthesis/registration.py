"""Whether the DEM lies where the image shows it: its shift in slant range, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Float = NDArray[np.float64]

#: Furthest shift that is looked for, range pixels.
FURTHEST = 16
#: Smoothing of both images, and the scale above which they are not compared (gains, slow brightness), pixels.
FINE, COARSE = 1.5, 25.0
#: Bands of rows whose shifts are compared for the standard error.
BANDS = 8
#: A shift is believed when it is this many standard errors, and known to this many pixels.
BELIEVED, KNOWN = 3.0, 0.7
#: Share of the median intensity that stabilises the logarithm.
DARK = 0.05


@dataclass(frozen=True)
class Shift:
    """Shift of the image against the DEM.

    Parameters
    ----------
    pixels, std : float
        Range pixels by which the image lies further than the DEM says, and their standard error; NaN
        where the image does not tell.
    """

    pixels: float
    std: float

    @property
    def believed(self) -> bool:
        """Whether the DEM is to be moved."""
        return bool(self.std < KNOWN and abs(self.pixels) > BELIEVED * self.std)


def _peak(curve: Float) -> float:
    """Position of the largest value, by the parabola through its neighbours."""
    k = int(np.clip(np.argmax(curve), 1, len(curve) - 2))
    left, middle, right = curve[k - 1 : k + 2]
    bend = left - 2 * middle + right
    offset = 0.0 if bend >= 0 else float(np.clip(0.5 * (left - right) / bend, -1, 1))
    return k + offset - FURTHEST


def measure_shift(image: Float, unit: Float) -> Shift:
    """Measure how far the image lies from where the DEM puts it.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Mean intensity of the reference; NaN where there is none.
    unit : ndarray (azimuth, range)
        Intensity that the DEM's ground would have with unit reflectivity.

    Returns
    -------
    Shift
        Of the peak of the correlation of the logarithms; the standard error by jackknife over bands of
        rows.

    Notes
    -----
    A DEM that is ``o`` metres too high and one that is shifted along the range look the same: both lie
    ``o cos θ`` too near.
    """
    rows, pixels = image.shape
    if rows < 2 * BANDS or pixels < 6 * FURTHEST:
        return Shift(float("nan"), float("inf"))

    def prepare(values: Float) -> Float:
        values = np.nan_to_num(values)
        level = DARK * float(np.median(values[values > 0])) if (values > 0).any() else 1.0
        log = np.log(gaussian_filter(values, FINE, mode="nearest") + level)
        return np.asarray(log - gaussian_filter(log, COARSE, mode="nearest"))

    a, b = prepare(image), prepare(unit)
    b = b[:, FURTHEST:-FURTHEST]
    width = b.shape[1]
    lags = range(2 * FURTHEST + 1)
    products = np.array([(a[:, k : k + width] * b).sum(axis=1) for k in lags])
    powers = np.array([(a[:, k : k + width] ** 2).sum(axis=1) for k in lags])
    bands = np.array_split(np.arange(rows), BANDS)

    def shift(used: NDArray[np.intp]) -> float:
        return _peak(products[:, used].sum(axis=1) / np.sqrt(powers[:, used].sum(axis=1) + 1e-12))

    every = np.arange(rows)
    left_out = np.array([shift(np.setdiff1d(every, band)) for band in bands])
    std = float(np.sqrt((BANDS - 1) / BANDS * np.sum((left_out - left_out.mean()) ** 2)))
    return Shift(shift(every), max(std, 0.05))


def pool_shifts(shifts: Sequence[Shift]) -> Shift:
    """One shift for all parts of an image.

    Parameters
    ----------
    shifts : sequence of Shift
        Of the parts.

    Returns
    -------
    Shift
        Mean by the standard errors of those that are known, widened where they differ by more.
    """
    told = [s for s in shifts if np.isfinite(s.pixels) and s.std < KNOWN]
    if not told:
        return Shift(float("nan"), float("inf"))
    value, weight = np.array([s.pixels for s in told]), np.array([s.std for s in told]) ** -2.0
    mean = float((weight * value).sum() / weight.sum())
    excess = float((weight * (value - mean) ** 2).sum()) / max(len(told) - 1, 1)
    return Shift(mean, float(np.sqrt(max(1.0, excess) / weight.sum())))
