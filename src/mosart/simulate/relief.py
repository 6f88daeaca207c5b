"""Shapes and textures on a ground grid, as arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def cone(x: Array, y: Array, height: float, radius: float, centre: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Shape a volcano's cone with a rounded summit and a concave foot.

    Parameters
    ----------
    x, y : ndarray
        Ground positions, metres.
    height : float
        Of the summit above the plain, metres.
    radius : float
        Distance, metres, at which the height has fallen to 1/e.
    centre : tuple of float
        Position of the summit, metres.

    Returns
    -------
    ndarray
        ``height · exp(1 − sqrt(1 + (d/radius)² · 3))`` scaled so that the definition of ``radius`` holds:
        a hyperbola at the top, an exponential foot.
    """
    distance = np.hypot(x - centre[0], y - centre[1])
    return np.asarray(height * np.exp(1.0 - np.sqrt(1.0 + 3.0 * (distance / radius) ** 2)), dtype=float)


def crater(
    x: Array, y: Array, depth: float, radius: float, centre: tuple[float, float] = (0.0, 0.0)
) -> Array:
    """Shape a bowl with a flat floor, to be added to a cone.

    Parameters
    ----------
    x, y : ndarray
        Ground positions, metres.
    depth : float
        Of the floor below the surroundings, metres, positive.
    radius : float
        Distance, metres, at which the bowl is down to 1/e of its depth.
    centre : tuple of float
        Position, metres.

    Returns
    -------
    ndarray
        ``−depth · exp(−(d/radius)⁴)``, metres.
    """
    return -plateau(x, y, depth, radius, radius, centre=centre)


def plateau(
    x: Array,
    y: Array,
    height: float,
    radius_x: float,
    radius_y: float,
    *,
    centre: tuple[float, float] = (0.0, 0.0),
) -> Array:
    """Shape a dome (or a pit, for a negative height) with a flat top and smooth sides.

    Parameters
    ----------
    x, y : ndarray
        Ground positions, metres.
    height : float
        At the centre, metres.
    radius_x, radius_y : float
        Distances, metres, at which the height is down to 1/e.
    centre : tuple of float
        Position, metres.

    Returns
    -------
    ndarray
        ``height · exp(−((x/rx)² + (y/ry)²)²)``, metres.
    """
    q = ((x - centre[0]) / radius_x) ** 2 + ((y - centre[1]) / radius_y) ** 2
    return np.asarray(height * np.exp(-(q**2)), dtype=float)


def bump(x: Array, y: Array, height: float, sigma: float, centre: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Shape a Gaussian hill (or hollow, for a negative height).

    Parameters
    ----------
    x, y : ndarray
        Ground positions, metres.
    height : float
        At the centre, metres.
    sigma : float
        Standard deviation, metres.
    centre : tuple of float
        Position, metres.

    Returns
    -------
    ndarray
        Metres.
    """
    d2 = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    return np.asarray(height * np.exp(-0.5 * d2 / sigma**2), dtype=float)


def fractal(
    shape: tuple[int, int],
    spacing: float,
    rms: float,
    exponent: float,
    *,
    longest: float = np.inf,
    shortest: float = 0.0,
    seed: int = 0,
) -> Array:
    """Draw random relief with a power-law spectrum.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    spacing : float
        Metres.
    rms : float
        Standard deviation of the result, in the result's unit.
    exponent : float
        β of the two-dimensional power spectrum k^−β: 3.2–3.8 for relief, about 2 for log reflectivity.
    longest, shortest : float
        Wavelengths, metres, outside which there is nothing.
    seed : int
        The same seed and shape give the same relief.

    Returns
    -------
    ndarray
        Mean zero, standard deviation ``rms``; periodic across the grid's edges.

    Notes
    -----
    Spectral synthesis: D. Saupe, in *The Science of Fractal Images* (1988).
    """
    rng = np.random.default_rng(seed)
    ky = np.fft.fftfreq(shape[0], spacing)[:, None]
    kx = np.fft.rfftfreq(shape[1], spacing)[None, :]
    k = np.hypot(ky, kx)
    k[0, 0] = np.inf
    with np.errstate(divide="ignore"):
        inside = (k >= 1.0 / longest) & (k <= np.divide(1.0, shortest))
    spectrum = (rng.normal(size=k.shape) + 1j * rng.normal(size=k.shape)) * k ** (-exponent / 2) * inside
    field = np.fft.irfft2(spectrum, s=shape)
    spread = field.std()
    return np.asarray((field - field.mean()) * (rms / spread) if spread > 0 else np.zeros(shape), dtype=float)


def texture(
    shape: tuple[int, int],
    spacing: float,
    *,
    level: float = 0.2,
    spread: float = 0.5,
    exponent: float = 2.0,
    seed: int = 0,
) -> Array:
    """Draw a reflectivity of the ground whose logarithm is fractal.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the ground grid.
    spacing : float
        Metres.
    level : float
        Median gamma nought (linear power).
    spread : float
        Standard deviation of the natural logarithm; 0.5 is 2.2 dB.
    exponent : float
        Of the spectrum of the logarithm.
    seed : int
        The same seed gives the same ground.

    Returns
    -------
    ndarray
        Reflectivity, linear power, positive.
    """
    return np.asarray(level * np.exp(fractal(shape, spacing, spread, exponent, seed=seed)), dtype=float)


def replaced(old: ArrayLike, fresh: ArrayLike | None, share: ArrayLike, *, decibel: float = 0.0) -> Array:
    """Change the reflectivity where part of the ground was covered or changed its brightness.

    Parameters
    ----------
    old : array_like
        Reflectivity before.
    fresh : array_like or None
        Reflectivity of new rock; ``None`` where the old texture stays and only the brightness changes.
    share : array_like
        How much of the ground is new, 0 to 1 (:func:`share_of`).
    decibel : float
        Brightness of the new ground against the old, dB.

    Returns
    -------
    ndarray
        Reflectivity after. In the logarithm the textures are mixed by the square roots of their shares,
        so that the variance stays what it was; the median level is the old one's.
    """
    share = np.asarray(share, dtype=float)
    log = np.log(np.asarray(old, dtype=float))
    if fresh is not None:
        new = np.log(np.asarray(fresh, dtype=float))
        level, new_level = np.median(log), np.median(new)
        log = level + np.sqrt(1.0 - share) * (log - level) + np.sqrt(share) * (new - new_level)
    return np.asarray(np.exp(log + share * decibel * np.log(10.0) / 10.0), dtype=float)


def share_of(change: ArrayLike, threshold: float = 1.0, width: float = 1.0) -> Array:
    """Say how much of the ground a change has replaced: a ramp on its size.

    Parameters
    ----------
    change : array_like
        Vertical change, metres.
    threshold : float
        Change, metres, at which half of the ground is new.
    width : float
        Of the ramp from none to all, metres.

    Returns
    -------
    ndarray
        0 to 1.
    """
    share = (np.abs(np.asarray(change, dtype=float)) - threshold) / width + 0.5
    return np.asarray(np.clip(share, 0.0, 1.0))
