"""The terrain along every azimuth line, folds and shadow included, traced from a DEM and an orbit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled

from .dem import Dem
from .ephemeris import evaluate
from .grid import RadarGrid, doppler_at
from .layers import trace_line, traced_ranges
from .project import frame_axes
from .surface import Surface

Float = NDArray[np.float64]


@compiled
def _ends(  # noqa: PLR0917
    row_times: Float,
    grid: Float,
    times: Float,
    coefficients: Float,
    reference: float,
    lowest: float,
    highest: float,
) -> tuple[float, float]:
    """Find the nearest and furthest range that any line's trace needs."""
    state = np.empty((3, 3))
    near, far = np.inf, -np.inf
    for t in row_times:
        evaluate(t, times, coefficients, state)
        a, b, _ = traced_ranges(state, grid[0], grid[1], grid[2], reference, lowest, highest)
        near, far = min(near, a), max(far, b)
    return near, far


@compiled
def _trace(  # noqa: PLR0917
    row_times: Float,
    grid: Float,
    sign: float,
    times: Float,
    coefficients: Float,
    wavelength: float,
    doppler: Float,
    axes: Float,
    surface: Surface,
    reference: float,
    start: float,
    slant: NDArray[np.float32],
    height: NDArray[np.float32],
) -> None:
    state, frame = np.empty((3, 3)), np.empty((3, 3))
    trace = np.empty((slant.shape[1], 3))
    middle = 0.5 * (grid[0] + grid[1])
    for i in range(row_times.size):
        t = row_times[i]
        evaluate(t, times, coefficients, state)
        speed = frame_axes(state, sign, frame)
        squint = wavelength * doppler_at(t, middle, doppler, axes) / (2.0 * speed)
        trace_line(state, frame, squint, surface, reference, start, grid[2], slant.shape[1], trace)
        for k in range(slant.shape[1]):
            slant[i, k] = (trace[k, 0] - grid[0]) / grid[2]
            height[i, k] = trace[k, 1] if np.isfinite(trace[k, 0]) else np.nan


def _ranges(grid: RadarGrid) -> Float:
    """First and last slant range, and the step, metres."""
    last = grid.first_range + (grid.columns - 1) * grid.range_step
    return np.array([grid.first_range, last, grid.range_step])


def sections_width(grid: RadarGrid, dem: Dem, limits: tuple[float, float] | None = None) -> tuple[float, int]:
    """Tell where the sections of a grid begin, and how many points they have.

    Parameters
    ----------
    grid : RadarGrid
        The whole grid.
    dem : Dem
        Terrain.
    limits : tuple of float, optional
        Lowest and highest terrain to expect; the DEM's own by default.

    Returns
    -------
    start : float
        Slant range, at the middle of the limits, of the first point, metres.
    count : int
        Points, a range pixel apart on level ground.
    """
    lowest, highest = dem.limits if limits is None else limits
    near, far = _ends(
        grid.times,
        _ranges(grid),
        grid.orbit.times,
        grid.orbit.coefficients,
        0.5 * (lowest + highest),
        lowest,
        highest,
    )
    return float(near), int(np.ceil((far - near) / grid.range_step)) + 1


def trace_sections(
    grid: RadarGrid, dem: Dem, start: float, count: int, limits: tuple[float, float] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Trace the terrain along the lines of a grid.

    Parameters
    ----------
    grid : RadarGrid
        Or some lines of it: they are independent.
    dem : Dem
        Terrain.
    start, count : float, int
        From :func:`sections_width`, of the whole grid.
    limits : tuple of float, optional
        The same as there.

    Returns
    -------
    slant, height : ndarray of float32 (rows, count)
        Points in order of growing ground range, a range pixel apart on level ground: slant range in
        pixels from the grid's first, and ellipsoidal metres. Ground in layover or shadow is there as any
        other; NaN where the DEM has no height. Between points the ground is a straight line.
    """
    lowest, highest = dem.limits if limits is None else limits
    slant = np.empty((grid.rows, count), np.float32)
    height = np.empty((grid.rows, count), np.float32)
    _trace(
        grid.times,
        _ranges(grid),
        grid.sign,
        grid.orbit.times,
        grid.orbit.coefficients,
        grid.wavelength,
        grid.doppler.values,
        grid.doppler.axes,
        dem.surface,
        0.5 * (lowest + highest),
        start,
        slant,
        height,
    )
    return slant, height
