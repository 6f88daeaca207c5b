"""Speckle: multiplicative, Gamma distributed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError

Array = NDArray[np.float32]


def speckle(
    shape: tuple[int, int],
    looks: float,
    rng: np.random.Generator,
    *,
    oversampling: tuple[float, float] = (1.0, 1.0),
) -> Array:
    """Multiplicative speckle of an intensity image.

    Parameters
    ----------
    shape : tuple of int
        Azimuth rows, range pixels.
    looks : float
        Equivalent number of looks L: the mean is 1, the variance 1/L. Infinity: no speckle.
    rng : numpy.random.Generator
        Source of randomness.
    oversampling : tuple of float
        Sampling rate over bandwidth in azimuth and range, at least 1. Above 1 neighbours are
        correlated, as in any complex image sampled finer than it resolves.

    Returns
    -------
    ndarray of float32
        Positive, mean 1.

    Raises
    ------
    InputError
        If the looks are not positive, the oversampling is below 1, or correlated speckle is asked for
        with less than one look.

    Notes
    -----
    Without oversampling: Gamma(L, 1/L) per pixel, any L > 0 (Goodman, *Speckle Phenomena in Optics*, 2007).
    With it: the weighted mean of ceil(L) independent intensities of band-limited circular Gaussian noise,
    all of weight 1 but one whose weight f makes (Σw)²/Σw² = L; for whole L that is Gamma again.
    """
    if not looks > 0:
        raise InputError("looks", expected="a positive number, infinity for no speckle", got=str(looks))
    if not min(oversampling) >= 1:
        raise InputError(
            "oversampling of the speckle", expected="at least 1 in azimuth and range", got=str(oversampling)
        )
    if math.isinf(looks):
        return np.ones(shape, dtype=np.float32)
    if max(oversampling) == 1.0:
        out = rng.standard_gamma(looks, size=shape, dtype=np.float32)
        out *= np.float32(1.0 / looks)
        return out
    if looks < 1:
        raise InputError("looks of correlated speckle", expected="at least 1", got=str(looks))
    weights = _weights(looks)
    total = np.zeros(shape, dtype=np.float32)
    for weight in weights:
        total += np.float32(weight / sum(weights)) * _single_look(shape, oversampling, rng)
    return total


def _weights(looks: float) -> list[float]:
    """Weights of independent looks whose mean has the given equivalent number of looks."""
    n = math.ceil(looks - 1e-12)
    if n in (looks, 1):
        return [1.0] * n
    # (n − 1 + f)² = L (n − 1 + f²), the smaller root in 0…1
    a, b, c = 1.0 - looks, 2.0 * (n - 1), (n - 1) * (n - 1 - looks)
    f = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    return [1.0] * (n - 1) + [f]


def _single_look(
    shape: tuple[int, int], oversampling: tuple[float, float], rng: np.random.Generator
) -> Array:
    """Intensity of circular Gaussian noise within a rectangular band, mean 1."""
    kept = tuple(max(1, min(n, round(n / o))) for n, o in zip(shape, oversampling))
    size = kept[0], kept[1]
    band = rng.standard_normal(size, dtype=np.float32) + 1j * rng.standard_normal(size, dtype=np.float32)
    spectrum = np.zeros(shape, dtype=np.complex64)
    rows = np.fft.fftfreq(size[0], 1.0 / size[0]).astype(int) % shape[0]
    columns = np.fft.fftfreq(size[1], 1.0 / size[1]).astype(int) % shape[1]
    spectrum[np.ix_(rows, columns)] = band
    image = np.fft.ifft2(spectrum)
    # Parseval: E|image|² = 2 · kept / (N · N)
    power = 2.0 * size[0] * size[1] / float(shape[0] * shape[1]) ** 2
    return np.asarray((image.real**2 + image.imag**2) / power, dtype=np.float32)
