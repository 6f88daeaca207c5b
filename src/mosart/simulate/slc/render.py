"""Rendering: the intensity of a terrain on a radar grid, speckle within the band, point targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.orbit import Dem, RadarGrid, geometry_layers
from mosart.geometry.orbit.ellipsoid import to_ecef
from mosart.masks import Flag


@dataclass(frozen=True)
class Ground:
    """What the radar looks at.

    Parameters
    ----------
    terrain : Dem
        Ellipsoidal heights.
    reflectivity : Dem or None
        Gamma nought over the same ground (a raster of it in place of heights); one where None.
    """

    terrain: Dem
    reflectivity: Dem | None = None


@dataclass(frozen=True)
class PointTargets:
    """Bright points at fractional pixels.

    Parameters
    ----------
    row, column : ndarray (n,)
        In pixels of the image they are added to.
    amplitude : float
        At the peak.
    """

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    amplitude: float


def render_intensity(grid: RadarGrid, ground: Ground, *, workers: int = 1) -> NDArray[np.float64]:
    """Beta nought of a ground of constant gamma nought law on a radar grid.

    Parameters
    ----------
    grid : RadarGrid
        Of the image.
    ground : Ground
        Terrain and reflectivity.
    workers : int
        Threads.

    Returns
    -------
    ndarray (rows, columns)
        ``γ · |(∂P/∂row × ∂P/∂column) · look| / (pixel area)``: the area of the pixel's ground across the
        beam. Zero in shadow; twice the value of one branch in layover; NaN off the DEM.
    """
    layers = geometry_layers(grid, ground.terrain, workers=workers)
    point = to_ecef(layers.longitude, layers.latitude, layers.height)
    along = np.gradient(point, axis=0)
    across = np.gradient(point, axis=1)
    times = grid.first_time + grid.time_step * np.arange(grid.rows)
    position, velocity, _ = grid.orbit.evaluate(times)
    look = point - position[:, None, :]
    look /= np.linalg.norm(look, axis=-1, keepdims=True)
    area = np.abs(np.sum(np.cross(along, across) * look, axis=-1))
    pixel = grid.range_step * grid.time_step * np.linalg.norm(velocity, axis=1)[:, None]
    gamma = (
        1.0 if ground.reflectivity is None else ground.reflectivity.sample(layers.longitude, layers.latitude)
    )
    # A spline through a rough texture dips below zero beside its peaks.
    intensity = np.asarray(np.maximum(gamma, 0.0) * area / pixel, dtype=np.float64)
    intensity[(layers.mask & int(Flag.SHADOW)) != 0] = 0.0
    intensity[(layers.mask & int(Flag.LAYOVER)) != 0] *= 2.0
    return intensity


def _band(n: int, fraction: float) -> NDArray[np.float64]:
    """Return a flat spectrum over a fraction of the sampled band, as a mask of unit mean power."""
    mask = (np.abs(np.fft.fftfreq(n)) <= fraction / 2).astype(np.float64)
    return np.asarray(mask / np.sqrt(mask.mean()))


def make_pixels(
    intensity: NDArray[np.float64],
    bandwidth: tuple[float, float],
    rng: np.random.Generator,
    *,
    looks: float = 1.0,
) -> NDArray[np.complex64]:
    """Complex pixels of an intensity, within the band, without carrier.

    Parameters
    ----------
    intensity : ndarray (rows, columns)
        Expected square of the amplitude; NaN becomes zero.
    bandwidth : tuple of float
        Processed over sampled band in azimuth and range.
    rng : numpy Generator
        For the speckle.
    looks : float
        One gives speckle of circular Gaussian statistics. More give real pixels whose intensity has the
        relative variance of so many looks: no radar makes them, but they show what averaging would.

    Returns
    -------
    ndarray of complex64
    """
    clean = np.nan_to_num(intensity, nan=0.0)
    shape = clean.shape
    mask = _band(shape[0], bandwidth[0])[:, None] * _band(shape[1], bandwidth[1])
    if looks <= 1.0:
        white = rng.normal(size=shape) + 1j * rng.normal(size=shape)
        # The scene's amplitude multiplies white noise before the band is cut, as focusing does it.
        field = np.fft.ifft2(np.fft.fft2(np.sqrt(clean / 2) * white) * mask)
        return np.asarray(field, dtype=np.complex64)
    white = rng.normal(size=shape)
    noise = np.fft.ifft2(np.fft.fft2(white) * mask).real
    # Relative variance of the intensity is 1 / looks, of the amplitude a quarter of it.
    amplitude = np.sqrt(clean) * np.maximum(1.0 + noise / (2 * np.sqrt(looks)), 0.0)
    return np.asarray(amplitude, dtype=np.complex64)


def add_targets(
    pixels: NDArray[np.complex64], targets: PointTargets, bandwidth: tuple[float, float], reach: int = 40
) -> None:
    """Add the responses of point targets (sinc in both directions) to pixels without carrier, in place."""
    rows, columns = pixels.shape
    for row, column in zip(targets.row, targets.column):
        r = np.arange(max(int(row) - reach, 0), min(int(row) + reach + 1, rows))
        c = np.arange(max(int(column) - reach, 0), min(int(column) + reach + 1, columns))
        if r.size == 0 or c.size == 0:
            continue
        # A Hann taper over the reach keeps the cut of the sidelobes out of the band's edge.
        tr = np.sinc(bandwidth[0] * (r - row)) * np.cos(np.pi * (r - row) / (2 * reach + 2)) ** 2
        tc = np.sinc(bandwidth[1] * (c - column)) * np.cos(np.pi * (c - column) / (2 * reach + 2)) ** 2
        pixels[np.ix_(r, c)] += (targets.amplitude * tr[:, None] * tc).astype(np.complex64)
