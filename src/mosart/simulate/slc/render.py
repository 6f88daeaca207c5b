"""Rendering: the intensity of a terrain on a radar grid, speckle within the band, point targets."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled
from mosart.geometry.orbit import Dem, RadarGrid
from mosart.geometry.orbit.ellipsoid import normal_and_height
from mosart.geometry.orbit.ephemeris import evaluate
from mosart.geometry.orbit.grid import doppler_at
from mosart.geometry.orbit.layers import trace_line, traced_ranges
from mosart.geometry.orbit.project import frame_axes
from mosart.geometry.orbit.surface import Surface, sample

#: Lines that one thread renders at a time.
_BLOCK = 32
#: Pixels that an image is continued by its mirror before its band is cut: no edge meets the other.
_PAD = 32


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


@compiled
def _render(  # noqa: PLR0912, PLR0917
    row_times: NDArray[np.float64],
    first_range: float,
    range_step: float,
    sign: float,
    times: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    wavelength: float,
    doppler: NDArray[np.float64],
    axes: NDArray[np.float64],
    terrain: Surface,
    gamma: Surface,
    textured: bool,
    limits: tuple[float, float],
    step: float,
    out: NDArray[np.float64],
) -> None:
    """Spread the echo of each lit facet of the lines' traces over the range bins that it fills."""
    columns = out.shape[1]
    state, frame = np.empty((3, 3)), np.empty((3, 3))
    work, gradient, point = np.empty((4, 4)), np.empty(3), np.empty(3)
    seen = np.empty(columns, dtype=np.uint8)
    reference = 0.5 * (limits[0] + limits[1])
    last_range = first_range + (columns - 1) * range_step
    for i in range(row_times.size):
        t = row_times[i]
        evaluate(t, times, coefficients, state)
        speed = frame_axes(state, sign, frame)
        squint = wavelength * doppler_at(t, 0.5 * (first_range + last_range), doppler, axes) / (2.0 * speed)
        near, far, _ = traced_ranges(
            state, first_range, last_range, range_step, reference, limits[0], limits[1]
        )
        trace = np.empty((int((far - near) / step) + 2, 3))
        trace_line(state, frame, squint, terrain, reference, near, step, trace.shape[0], trace)
        out[i] = 0.0
        seen[:] = 0
        horizon = -1.0
        for k in range(trace.shape[0] - 1):
            if math.isfinite(trace[k, 2]):
                horizon = max(horizon, trace[k, 2])
            if not (math.isfinite(trace[k, 2]) and math.isfinite(trace[k + 1, 2])):
                continue
            # Bins reach half a step to either side of their pixel.
            a = (trace[k, 0] - first_range) / range_step + 0.5
            b = (trace[k + 1, 0] - first_range) / range_step + 0.5
            for j in range(max(math.floor(min(a, b)), 0), min(math.ceil(max(a, b)), columns)):
                seen[j] = 1
            rise = trace[k + 1, 2] - horizon
            if rise <= 0.0:
                continue  # in shadow
            if trace[k, 2] < horizon:
                a += (horizon - trace[k, 2]) / (trace[k + 1, 2] - trace[k, 2]) * (b - a)
            low, high = min(a, b), max(a, b)
            if high <= 0.0 or low >= columns:
                continue
            r = 0.5 * (trace[k, 0] + trace[k + 1, 0])
            along, across = r * squint, r * math.sqrt(1.0 - squint * squint)
            angle = trace[k + 1, 2] - 0.5 * rise
            c, s = across * math.cos(angle), across * math.sin(angle)
            bend = 0.0
            for axis in range(3):
                away = along * frame[0, axis] + c * frame[1, axis] + s * frame[2, axis]
                point[axis] = state[0, axis] + away
                bend += away * state[2, axis]
            # Planes of neighbouring lines lie this much nearer on the ground than along the orbit.
            energy = across * rise / range_step * (1.0 - bend / (speed * speed))
            if textured:
                nx, ny, nz, _h = normal_and_height(point[0], point[1], point[2])
                # A spline through a rough texture dips below zero beside its peaks.
                energy *= max(sample(gamma, nx, ny, nz, False, work, gradient), 0.0)
            width = max(high - low, 1e-6)
            for j in range(max(math.floor(low), 0), min(math.floor(high) + 1, columns)):
                part = min(high, j + 1.0) - max(low, float(j))
                out[i, j] += energy * (part / width if high - low > 1e-6 else 1.0)
        for j in range(columns):
            if seen[j] == 0:
                out[i, j] = math.nan


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
        ``γ Δp / Δr`` times the ratio of the lines' distances on the ground and along the orbit, summed over
        all places that the beam lights and that return into the pixel's range bin: an area across the beam
        over the pixel's area. Energy is kept: folds of layover add up. Zero in shadow, NaN off the DEM.
    """
    out = np.empty((grid.rows, grid.columns))
    times = grid.times
    limits = ground.terrain.limits
    gamma = ground.terrain if ground.reflectivity is None else ground.reflectivity

    def work(rows: slice) -> None:
        _render(
            times[rows],
            grid.first_range,
            grid.range_step,
            grid.sign,
            grid.orbit.times,
            grid.orbit.coefficients,
            grid.wavelength,
            grid.doppler.values,
            grid.doppler.axes,
            ground.terrain.surface,
            gamma.surface,
            ground.reflectivity is not None,
            limits,
            # Facets of about one range bin, and never coarser than the terrain's own cells.
            min(grid.range_step, 0.25 * ground.terrain.posting),
            out[rows],
        )

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for _ in pool.map(work, (slice(k, k + _BLOCK) for k in range(0, grid.rows, _BLOCK))):
            pass
    return out


def _band(shape: tuple[int, ...], fraction: tuple[float, float]) -> NDArray[np.float64]:
    """Return one inside a fraction of the sampled band in both directions, zero outside."""
    rows, columns = (np.abs(np.fft.fftfreq(n)) <= f / 2 for n, f in zip(shape, fraction))
    return np.asarray(rows[:, None] & columns, dtype=np.float64)


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
    if looks <= 1.0:
        mask = _band(clean.shape, bandwidth)
        white = rng.normal(size=clean.shape) + 1j * rng.normal(size=clean.shape)
        # The scene's amplitude multiplies white noise before the band is cut, as focusing does it.
        field = np.fft.ifft2(np.fft.fft2(np.sqrt(clean / 2) * white) * mask / np.sqrt(mask.mean()))
        return np.asarray(field, dtype=np.complex64)
    amplitude = np.pad(np.sqrt(clean), _PAD, mode="symmetric")
    mask = _band(amplitude.shape, bandwidth)
    # Relative variance of the intensity is 1 / looks, of the amplitude a quarter of it; the cut takes part.
    speckle = rng.normal(size=amplitude.shape) / np.sqrt(4.0 * looks * mask.mean())
    field = np.fft.ifft2(np.fft.fft2(amplitude * (1.0 + speckle)) * mask)
    return np.asarray(field[_PAD:-_PAD, _PAD:-_PAD].real, dtype=np.complex64)


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
