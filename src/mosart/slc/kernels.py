"""Resampling of complex images: band-limited kernels of least error, and their error.

For a signal whose spectrum is flat over the fraction B of the sampled band, the n weights that
reconstruct it at a fraction of a pixel with least mean square error solve ``R w = r``, with
``R_jk = sinc(B (j − k))`` and ``r_j = sinc(B (μ − j))`` (a Wiener interpolator; Hanssen and Bamler 1999,
IEEE TGRS 37(1), compare it with others for radar images).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled

#: Fractions of a pixel at which a kernel is tabulated; between them the weights are linear.
STEPS = 512
_WANTED = 1e-3
_MOST_TAPS = 16


def design(band: float, taps: int) -> tuple[NDArray[np.float64], float]:
    """Weights of an interpolation kernel and its error.

    Parameters
    ----------
    band : float
        Fraction of the sampled band that the signal fills, 0…1.
    taps : int
        Even number of pixels.

    Returns
    -------
    weights : ndarray (STEPS + 1, taps)
        At shifts 0, 1/STEPS, … 1 after pixel ``taps // 2 − 1``.
    error : float
        Root mean square error relative to the signal's amplitude, the worst over the shifts.
    """
    band = min(max(band, 0.05), 1.0)
    j = np.arange(taps) - (taps // 2 - 1)
    matrix = np.sinc(band * (j[:, None] - j)) + 1e-9 * np.eye(taps)
    shifts = np.arange(STEPS + 1) / STEPS
    right = np.sinc(band * (shifts[:, None] - j))
    weights = np.linalg.solve(matrix, right.T).T
    square = 1.0 - 2.0 * np.sum(weights * right, axis=1) + np.sum((weights @ matrix) * weights, axis=1)
    return weights, math.sqrt(max(float(square.max()), 0.0))


def choose(band: float) -> tuple[NDArray[np.float64], float]:
    """Return the shortest kernel with an error below a thousandth, or the longest of sixteen pixels."""
    for taps in range(6, _MOST_TAPS + 1, 2):
        weights, error = design(band, taps)
        if error < _WANTED:
            break
    return weights, error


@compiled
def demodulate(
    pixels: NDArray[np.complex64],
    first_tau: float,
    step: float,
    coefficients: NDArray[np.float64],
) -> None:
    """Remove a carrier that is quadratic in time from pixels (rows, columns), in place."""
    rows, columns = pixels.shape
    for j in range(columns):
        p0 = coefficients[0, j]
        p1 = coefficients[1, j]
        p2 = coefficients[2, j]
        if p0 == 0.0 and p1 == 0.0 and p2 == 0.0:
            continue
        # Two rotations a line by recurrence: the phase's first and second differences are constant.
        t = first_tau
        phase = p0 + p1 * t + p2 * t * t
        first = p1 * step + p2 * (2.0 * t * step + step * step)
        second = 2.0 * p2 * step * step
        value = complex(math.cos(phase), -math.sin(phase))
        turn = complex(math.cos(first), -math.sin(first))
        bend = complex(math.cos(second), -math.sin(second))
        for i in range(rows):
            pixels[i, j] = pixels[i, j] * value
            value = value * turn
            turn = turn * bend


@compiled
def interpolate(  # noqa: PLR0917
    pixels: NDArray[np.complex64],
    origin_row: int,
    origin_column: int,
    valid: NDArray[np.int64],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    row_weights: NDArray[np.float32],
    column_weights: NDArray[np.float32],
    steps: int,
    out: NDArray[np.complex64],
    filled: NDArray[np.uint8],
) -> None:
    """Resample pixels at fractional rows and columns of their segment.

    Only places are filled that are not ``filled`` yet and whose kernel lies inside ``valid`` and inside
    the pixels that were read; the nearest pixel must not be an exact zero, which is no data.
    """
    nr = row_weights.shape[1]
    nc = column_weights.shape[1]
    wr = np.empty(nr, dtype=np.float32)
    wc = np.empty(nc, dtype=np.float32)
    low_row = max(valid[0], origin_row)
    high_row = min(valid[1], origin_row + pixels.shape[0])
    low_column = max(valid[2], origin_column)
    high_column = min(valid[3], origin_column + pixels.shape[1])
    for i in range(row.shape[0]):
        for j in range(row.shape[1]):
            if filled[i, j]:
                continue
            y = row[i, j]
            x = column[i, j]
            if not (math.isfinite(y) and math.isfinite(x)):
                continue
            if not (low_row <= y < high_row and low_column <= x < high_column):
                continue
            fy = math.floor(y)
            fx = math.floor(x)
            r0 = fy - (nr // 2 - 1)
            c0 = fx - (nc // 2 - 1)
            if r0 < low_row or r0 + nr > high_row or c0 < low_column or c0 + nc > high_column:
                continue
            s = (y - fy) * steps
            k = int(s)
            g = np.float32(s - k)
            for a in range(nr):
                wr[a] = row_weights[k, a] + g * (row_weights[k + 1, a] - row_weights[k, a])
            s = (x - fx) * steps
            k = int(s)
            g = np.float32(s - k)
            for b in range(nc):
                wc[b] = column_weights[k, b] + g * (column_weights[k + 1, b] - column_weights[k, b])
            r0 -= origin_row
            c0 -= origin_column
            near = pixels[
                fy - origin_row + (1 if y - fy > 0.5 else 0), fx - origin_column + (1 if x - fx > 0.5 else 0)
            ]
            if near.real == 0.0 and near.imag == 0.0:
                continue
            re = np.float32(0.0)
            im = np.float32(0.0)
            for a in range(nr):
                lr = np.float32(0.0)
                li = np.float32(0.0)
                for b in range(nc):
                    v = pixels[r0 + a, c0 + b]
                    lr += wc[b] * v.real
                    li += wc[b] * v.imag
                re += wr[a] * lr
                im += wr[a] * li
            out[i, j] = complex(re, im)
            filled[i, j] = 1
