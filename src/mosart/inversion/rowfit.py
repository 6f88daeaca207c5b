"""The row-wise fit: height as a straight line in the running sum of the echo and in the pixel number.

The model of Angarita et al. (2022, doi:10.1029/2022JB024344): along an image row the range gradient of
height is linear in the echo, so ``h_i = a * sum(echo)_i + b * i + c``, with (a, b, c) of each row from
weighted least squares against the DEM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled
from mosart.errors import InputError
from mosart.gaps import as_float, bridge

#: A row's running sum is a straight line when what deviates from it is below this part of its size.
NIL = 1e-11

#: Fewest pixels with weight that settle the three coefficients of a row.
FEWEST = 3


@dataclass(frozen=True)
class RowFit:
    """The surface that one image gives, row by row.

    Attributes
    ----------
    surface : ndarray (azimuth, range)
        Reconstructed height, metres; NaN where the echo or the DEM is NaN and in rows that fewer than
        three weighted pixels leave open.
    coefficients : ndarray (azimuth, 3)
        a (metres per unit of summed echo), b (metres per pixel), c (metres) of each row.
    """

    surface: NDArray[np.float64]
    coefficients: NDArray[np.float64]


def fit_rows(
    echo: NDArray[Any],
    height: NDArray[Any],
    weights: NDArray[Any] | None = None,
    *,
    centred: bool = False,
) -> RowFit:
    """Fit every row of an image to the DEM.

    Parameters
    ----------
    echo : ndarray (azimuth, range)
        Amplitude or intensity, any linear unit. A NaN gap is bridged within its row, linearly, for the
        running sum alone (at the row's ends by its nearest value); it takes no part in the fit.
    height : ndarray (azimuth, range)
        DEM, metres; NaN takes no part in the fit.
    weights : ndarray (azimuth, range), optional
        Weights of the residuals (squared in the sum of squares, as in the original); 1 everywhere if
        not given. NaN counts as 0.
    centred : bool
        Take the running sum at the middle of each pixel, where the DEM's height is, in place of its far
        edge. The original uses the far edge.

    Returns
    -------
    RowFit
        Surface and coefficients in float64, whatever the inputs' type.

    Raises
    ------
    InputError
        If the shapes differ or are not two-dimensional.

    Notes
    -----
    The normal equations of each row are accumulated on an orthogonal basis: the running sum is taken of
    the deviations from the row's mean, then freed from its weighted mean and slope. Their condition is
    near 1 whatever the unit of the echo, where the plain ones square a condition of 1e7 and lose a rank.
    In a row of constant echo a and b are not separable: the shortest pair (a, b) is taken, the surface
    being the same for all.
    """
    echo = as_float(echo)
    height = as_float(height)
    if echo.ndim != 2 or echo.shape != height.shape:
        raise InputError(
            "image and DEM do not fit together",
            expected=f"two arrays (azimuth, range) of the DEM's shape {height.shape}",
            got=f"an image of shape {echo.shape}",
        )
    unit = weights is None
    if weights is None:
        weighting = np.ones((1, 1))
    else:
        weighting = as_float(weights)
        if weighting.shape != height.shape:
            raise InputError(
                "the weights do not fit the DEM",
                expected=f"an array (azimuth, range) of shape {height.shape}",
                got=f"shape {weighting.shape}",
            )
    surface = np.empty(height.shape)
    coefficients = np.empty((height.shape[0], 3))
    _fit(echo, height, weighting, unit, 0.5 if centred else 0.0, surface, coefficients)
    return RowFit(surface, coefficients)


@compiled
def _fit(  # noqa: PLR0912, PLR0915, PLR0917 - a kernel, in few passes over memory
    echo: NDArray[np.float64],
    height: NDArray[np.float64],
    weights: NDArray[np.float64],
    unit: bool,
    centring: float,
    surface: NDArray[np.float64],
    coefficients: NDArray[np.float64],
) -> None:
    rows, n = echo.shape
    row = np.empty(n)
    run = np.empty(n)
    square = np.empty(n)
    middle = 0.5 * (n + 1)
    for j in range(rows):
        total = 0.0
        for i in range(n):
            row[i] = echo[j, i]
            total += row[i]
        if not np.isfinite(total):
            if bridge(row) == 0:
                surface[j, :] = np.nan
                coefficients[j, :] = np.nan
                continue
            total = 0.0
            for i in range(n):
                total += row[i]
        mean = total / n

        # The running sum of deviations from the mean, and the weighted means of all.
        used = 0
        s = st = sr = sh = 0.0
        sum_ = 0.0
        for i in range(n):
            deviation = row[i] - mean
            sum_ += deviation
            run[i] = sum_ - centring * deviation
            h = float(height[j, i])
            w = 1.0 if unit else float(weights[j, i])
            w = w * w
            if not (np.isfinite(h) and np.isfinite(float(echo[j, i])) and w > 0.0):
                w = 0.0
            square[i] = w
            if w > 0.0:
                used += 1
                s += w
                st += w * (i + 1 - middle)
                sr += w * run[i]
                sh += w * h
        if used < FEWEST or not np.isfinite(s):
            surface[j, :] = np.nan
            coefficients[j, :] = np.nan
            continue
        t0 = st / s
        r0 = sr / s
        h0 = sh / s

        # Its slope on the pixel number, which leaves the part that only the echo explains.
        stt = srt = srr = 0.0
        for i in range(n):
            w = square[i]
            t = i + 1 - middle - t0
            r = run[i] - r0
            stt += w * t * t
            srt += w * t * r
            srr += w * r * r
        slope = srt / stt

        sqq = sqt = sq = st = sth = sqh = sh = 0.0
        for i in range(n):
            w = square[i]
            t = i + 1 - middle - t0
            q = run[i] - r0 - slope * t
            h = height[j, i] - h0 if w > 0.0 else 0.0
            st += w * t
            sq += w * q
            sqt += w * q * t
            sqq += w * q * q
            sh += w * h
            sth += w * t * h
            sqh += w * q * h

        # What is left of the means and of q on t is rounding: one step of elimination takes it out.
        scale = abs(mean) * n
        straight = not sqq > (NIL * scale) ** 2 * s
        if straight:
            coef_q = 0.0
            coef_t = sth / stt
        else:
            rest = sqt / stt
            coef_q = (sqh - rest * sth - sq * sh / s) / (sqq - rest * sqt - sq * sq / s)
            coef_t = (sth - coef_q * sqt - st * sh / s) / (stt - st * st / s)
        constant = (sh - coef_t * st - coef_q * sq) / s

        for i in range(n):
            t = i + 1 - middle - t0
            q = run[i] - r0 - slope * t
            fitted = h0 + constant + coef_t * t + coef_q * q
            if not (np.isfinite(float(height[j, i])) and np.isfinite(float(echo[j, i]))):
                fitted = np.nan
            surface[j, i] = fitted

        # Back to the original's coefficients: run = sum(echo) - mean * i, and half a mean where centred.
        if straight:
            a = coef_t * mean / (1.0 + mean * mean)
            b = coef_t / (1.0 + mean * mean)
            offset = constant - coef_t * (middle + t0)
        else:
            a = coef_q
            b = coef_t - coef_q * (slope + mean)
            offset = constant - coef_q * r0 - (coef_t - coef_q * slope) * (middle + t0)
        coefficients[j, 0] = a
        coefficients[j, 1] = b
        coefficients[j, 2] = h0 + offset + a * centring * mean
