"""Spatial correlation of the errors of a change, and what it does to sums and means over areas.

The variance of a sum of correlated errors is the double sum of their covariances,
var(sum w_i z_i) = sum_i sum_j w_i w_j C(i, j) (Rolstad, Haug & Denby 2009, J. Glaciology 55(192),
doi:10.3189/002214309789470950, for volumes from differences of DEMs). They integrate an isotropic
variogram over a disc; errors of row-wise methods are stripes, so here the autocorrelation is measured
along azimuth and along range apart, taken as separable, and summed over the area's own shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float64]

#: An area is summed to at most this many blocks a side before its covariances are added.
_BLOCKS = 512
#: Lines sampled along each axis to measure the correlation.
_LINES = 256
#: Numbers transformed at a time.
_BATCH = 1_000_000
#: Standardised errors beyond this are cut: a few wild pixels are not the noise.
_CLIP = 5.0
#: Pairs of pixels that a lag needs.
_PAIRS = 30


@dataclass(frozen=True)
class Correlation:
    """Autocorrelation of standardised errors, separable in azimuth and range.

    Parameters
    ----------
    azimuth, range : ndarray, (lags,)
        Correlation at lags 0, 1, 2… pixels, from 1 at lag 0, never negative. Beyond the last lag
        the last value holds: 0 where the correlation was seen to end, more where it was not.
    variance : float
        Mean square of the standardised errors over stable ground, at least 1.
    pixels : int
        Number of pixels that it was measured on; 0 if unknown and taken as fully correlated.
    """

    azimuth: Floats
    range: Floats
    variance: float
    pixels: int

    @property
    def lengths(self) -> tuple[float, float]:
        """Integral correlation lengths along azimuth and range, in pixels (1: uncorrelated)."""
        return float(2.0 * self.azimuth.sum() - 1.0), float(2.0 * self.range.sum() - 1.0)

    def sum_std(self, weights: Floats) -> float:
        """Return the standard error of a weighted sum of correlated errors.

        Parameters
        ----------
        weights : ndarray, (azimuth, range)
            Each pixel's weight times its standard error; 0 where it is not in the sum.

        Returns
        -------
        float
            In the units of the weights.
        """
        blocks_a, size_a = _blocks(weights, 0)
        blocks, size_r = _blocks(blocks_a, 1)
        kernel_a = _kernel(self.azimuth, blocks.shape[0], size_a)
        kernel_r = _kernel(self.range, blocks.shape[1], size_r)
        variance = np.sum(blocks * (kernel_a @ blocks @ kernel_r))
        return float(np.sqrt(self.variance * max(variance, 0.0)))


#: What is assumed where there is no stable ground to measure: one error shared by all pixels.
FULLY_CORRELATED = Correlation(np.ones(1), np.ones(1), 1.0, 0)


def measure_correlation(errors: Floats) -> Correlation:
    """Autocorrelation of standardised errors over stable ground.

    Parameters
    ----------
    errors : ndarray, (azimuth, range)
        Change divided by its standard error over stable ground, NaN elsewhere.

    Returns
    -------
    Correlation
        Along each axis up to the first lag where it is not positive (the initial positive sequence,
        Geyer 1992, Statistical Science 7, section 3.3), at most half of the lines' length. The mean is
        not removed: an offset of the whole stable ground counts as correlated error.
    """
    columns, rows = (errors[part] for part in sampled_lines(errors.shape))
    return measure_lines(columns, rows)


def sampled_lines(shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Choose the columns and the rows that the correlation of an image is measured on.

    Parameters
    ----------
    shape : tuple of int
        Azimuth, range.

    Returns
    -------
    columns, rows : tuple of slice
        Some whole columns, along azimuth, and some whole rows, along range; all of a small image.
    """
    every_row, every_column = (slice(None, None, max(1, size // _LINES)) for size in shape)
    return (slice(None), every_column), (every_row, slice(None))


def measure_lines(columns: Floats, rows: Floats) -> Correlation:
    """Autocorrelation of standardised errors on some columns and rows of an image.

    Parameters
    ----------
    columns, rows : ndarray, (azimuth, some) and (some, range)
        As :func:`sampled_lines` chooses them, NaN where the ground is not stable.

    Returns
    -------
    Correlation
        As :func:`measure_correlation` says; variance and number of pixels are those of the rows.
    """
    pixels = int(np.isfinite(rows).sum())
    if pixels < _PAIRS:
        return FULLY_CORRELATED
    (across, known_across), (along, known_along) = _filled(columns.T), _filled(rows)
    variance = float(np.vdot(along, along) / pixels)
    if variance == 0.0:
        return Correlation(np.array([1.0, 0.0]), np.array([1.0, 0.0]), 1.0, pixels)
    return Correlation(
        _autocorrelation(across, known_across),
        _autocorrelation(along, known_along),
        max(variance, 1.0),
        pixels,
    )


def _filled(lines: NDArray[np.generic]) -> tuple[Floats, Floats]:
    """Cut wild errors and put 0 in the gaps; also return where there is none, as numbers."""
    values = lines.astype(np.float64)
    known = np.isfinite(values)
    values = np.where(known, np.clip(values, -_CLIP, _CLIP), 0.0)
    return values, known.astype(np.float64)


def _autocorrelation(filled: Floats, valid: Floats) -> Floats:
    """Mean autocorrelation of rows with gaps, cut at its first value that is not positive."""
    length = filled.shape[1]
    lags = length // 2 + 1
    size = fft.next_fast_len(length + lags, real=True)
    products, pairs = np.zeros(lags), np.zeros(lags)
    batch = max(1, _BATCH // size)
    for start in range(0, filled.shape[0], batch):
        products += _products(filled[start : start + batch], size)[:lags]
        pairs += _products(valid[start : start + batch], size)[:lags]
    known = pairs > _PAIRS - 0.5
    covariance = np.where(known, products / np.maximum(pairs, 1.0), np.nan)
    if not known[0] or covariance[0] <= 0:
        return np.array([1.0, 0.0])
    rho: Floats = np.minimum(covariance / covariance[0], 1.0)
    end = np.flatnonzero(~(rho > 0))
    if end.size == 0:
        return rho
    rho = rho[: end[0] + 1]
    # Not positive: it has ended. Too few pairs: its end was not seen, and its last value holds.
    rho[-1] = 0.0 if np.isfinite(rho[-1]) else rho[-2]
    return rho


def _products(lines: Floats, size: int) -> Floats:
    """Sum the products of lines with themselves at every lag, by the Wiener–Khinchin theorem."""
    power = np.square(np.abs(fft.rfft(lines, size, axis=1))).sum(axis=0)
    return np.asarray(fft.irfft(power, size))


def _blocks(weights: Floats, axis: int) -> tuple[Floats, int]:
    """Sum over blocks along an axis, at most `_BLOCKS` of them; also return the pixels in a block."""
    size = -(-weights.shape[axis] // _BLOCKS)
    if size == 1:
        return weights, 1
    starts = np.arange(0, weights.shape[axis], size)
    return np.add.reduceat(weights, starts, axis=axis), size


def _kernel(rho: Floats, blocks: int, size: int) -> Floats:
    """Correlation between blocks of pixels as a Toeplitz matrix: the mean over their pairs."""
    offsets = np.arange(-(size - 1), size)
    share = (size - np.abs(offsets)) / size**2
    lags = np.abs(size * np.arange(blocks)[:, None] + offsets[None, :])
    between = (rho[np.minimum(lags, rho.size - 1)] * share).sum(axis=1)
    index = np.arange(blocks)
    return np.asarray(between[np.abs(index[:, None] - index[None, :])])
