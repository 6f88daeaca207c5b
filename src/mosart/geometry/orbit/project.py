"""geo2rdr and rdr2geo: from the ground to radar time and range, and back.

Both solve the two range-Doppler equations, ``|P − S(t)| = R`` and
``2 V(t)·(P − S(t)) / (λ R) = f(t, R)`` (Small and Schubert 2019, *Guide to Sentinel-1 geocoding*;
Curlander 1982), with S, V the orbit and f the grid's Doppler, zero on a zero-Doppler grid.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mosart.compiled import compiled

from .ellipsoid import E2, A, normal_and_height
from .ephemeris import evaluate
from .grid import RadarGrid, doppler_at

_STEPS = 30


@compiled
def solve_time(  # noqa: PLR0917
    x: float,
    y: float,
    z: float,
    t: float,
    times: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    wavelength: float,
    doppler: NDArray[np.float64],
    axes: NDArray[np.float64],
    state: NDArray[np.float64],
) -> tuple[float, float]:
    """Time and range at which the radar sees a point: Newton from ``t``; NaN where it fails."""
    zero = doppler.size == 1 and doppler[0, 0] == 0.0
    for _ in range(_STEPS):
        evaluate(t, times, coefficients, state)
        dx = x - state[0, 0]
        dy = y - state[0, 1]
        dz = z - state[0, 2]
        r = math.sqrt(dx * dx + dy * dy + dz * dz)
        along = dx * state[1, 0] + dy * state[1, 1] + dz * state[1, 2]
        speed2 = state[1, 0] ** 2 + state[1, 1] ** 2 + state[1, 2] ** 2
        bend = dx * state[2, 0] + dy * state[2, 1] + dz * state[2, 2]
        value = along
        slope = bend - speed2
        if not zero:
            f = 0.5 * wavelength * doppler_at(t, r, doppler, axes)
            value -= f * r
            slope += f * along / r
        step = -value / slope
        t += step
        if abs(step) < 1e-10:
            # The range at the new time: first order is exact to 1e-12 m for so small a step.
            return t, r
        if not abs(step) < 1e5:
            break
    return math.nan, math.nan


@compiled
def _geo2rdr(  # noqa: PLR0917
    points: NDArray[np.float64],
    start: float,
    times: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    wavelength: float,
    doppler: NDArray[np.float64],
    axes: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    state = np.empty((3, 3))
    guess = start
    for i in range(points.shape[0]):
        if not (math.isfinite(points[i, 0])):
            out[i, 0] = math.nan
            out[i, 1] = math.nan
            continue
        t, r = solve_time(
            points[i, 0],
            points[i, 1],
            points[i, 2],
            guess,
            times,
            coefficients,
            wavelength,
            doppler,
            axes,
            state,
        )
        out[i, 0] = t
        out[i, 1] = r
        guess = t if math.isfinite(t) else start


def ground_to_radar(
    grid: RadarGrid, points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Azimuth time (s) and slant range (m) at which a grid's radar sees points (n, 3), NaN for NaN."""
    points = np.ascontiguousarray(points, dtype=np.float64)
    out = np.empty((points.shape[0], 2))
    _geo2rdr(
        points,
        float(np.clip(grid.middle_time, grid.orbit.times[0], grid.orbit.times[-1])),
        grid.orbit.times,
        grid.orbit.coefficients,
        grid.wavelength,
        grid.doppler.values,
        grid.doppler.axes,
        out,
    )
    return out[:, 0], out[:, 1]


def geo2rdr(grid: RadarGrid, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column of points on the ground.

    Parameters
    ----------
    grid : RadarGrid
        Zero- or native-Doppler grid.
    points : array_like (…, 3)
        Earth-fixed metres; NaN points give NaN.

    Returns
    -------
    row, column : ndarray (…)
        Fractional pixel indices, 0 at the centre of the first pixel; they may lie outside the grid.
    """
    points = np.asarray(points, dtype=np.float64)
    time, distance = ground_to_radar(grid, points.reshape(-1, 3))
    row = (time - grid.first_time) / grid.time_step
    column = (distance - grid.first_range) / grid.range_step
    return row.reshape(points.shape[:-1]), column.reshape(points.shape[:-1])


@compiled
def frame_axes(state: NDArray[np.float64], sign: float, out: NDArray[np.float64]) -> float:
    """Axes of the look: along the flight, down, across to the look side, into ``out`` (3, 3); the speed."""
    speed = math.sqrt(state[1, 0] ** 2 + state[1, 1] ** 2 + state[1, 2] ** 2)
    for k in range(3):
        out[0, k] = state[1, k] / speed
        out[1, k] = -state[0, k]
    along = out[1, 0] * out[0, 0] + out[1, 1] * out[0, 1] + out[1, 2] * out[0, 2]
    for k in range(3):
        out[1, k] -= along * out[0, k]
    length = math.sqrt(out[1, 0] ** 2 + out[1, 1] ** 2 + out[1, 2] ** 2)
    for k in range(3):
        out[1, k] /= length
    # Down × along points to the right of the flight.
    out[2, 0] = sign * (out[1, 1] * out[0, 2] - out[1, 2] * out[0, 1])
    out[2, 1] = sign * (out[1, 2] * out[0, 0] - out[1, 0] * out[0, 2])
    out[2, 2] = sign * (out[1, 0] * out[0, 1] - out[1, 1] * out[0, 0])
    return speed


@compiled
def angle_guess(state: NDArray[np.float64], perpendicular: float, height: float) -> float:
    """Look angle from nadir on a sphere that touches the ellipsoid below the satellite."""
    _nx, _ny, _nz, h = normal_and_height(state[0, 0], state[0, 1], state[0, 2])
    s = math.sqrt(state[0, 0] ** 2 + state[0, 1] ** 2 + state[0, 2] ** 2)
    rho = s - h + height
    c = (s * s + perpendicular * perpendicular - rho * rho) / (2.0 * s * perpendicular)
    return math.acos(min(max(c, -1.0), 1.0))


@compiled
def solve_angle(  # noqa: PLR0917
    state: NDArray[np.float64],
    frame: NDArray[np.float64],
    along: float,
    perpendicular: float,
    height: float,
    angle: float,
    point: NDArray[np.float64],
) -> float:
    """Look angle at which the ray of a given range meets a height, and the point; NaN where none does."""
    for _ in range(_STEPS):
        c = perpendicular * math.cos(angle)
        s = perpendicular * math.sin(angle)
        for k in range(3):
            point[k] = state[0, k] + along * frame[0, k] + c * frame[1, k] + s * frame[2, k]
        nx, ny, nz, h = normal_and_height(point[0], point[1], point[2])
        slope = nx * (c * frame[2, 0] - s * frame[1, 0])
        slope += ny * (c * frame[2, 1] - s * frame[1, 1])
        slope += nz * (c * frame[2, 2] - s * frame[1, 2])
        step = (height - h) / slope
        angle += step
        if abs(step) * perpendicular < 1e-6:
            for k in range(3):
                point[k] += step * (c * frame[2, k] - s * frame[1, k])
            return angle
        if not abs(step) < 3.0:
            break
    point[:] = math.nan
    return math.nan


@compiled
def _rdr2geo(  # noqa: PLR0917
    times_of: NDArray[np.float64],
    ranges: NDArray[np.float64],
    heights: NDArray[np.float64],
    sign: float,
    times: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    wavelength: float,
    doppler: NDArray[np.float64],
    axes: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    state = np.empty((3, 3))
    frame = np.empty((3, 3))
    for i in range(times_of.size):
        evaluate(times_of[i], times, coefficients, state)
        speed = frame_axes(state, sign, frame)
        along = ranges[i] * wavelength * doppler_at(times_of[i], ranges[i], doppler, axes) / (2.0 * speed)
        perpendicular = math.sqrt(ranges[i] ** 2 - along**2)
        angle = angle_guess(state, perpendicular, heights[i])
        solve_angle(state, frame, along, perpendicular, heights[i], angle, out[i])


def rdr2geo_height(
    grid: RadarGrid, row: ArrayLike, column: ArrayLike, height: ArrayLike
) -> NDArray[np.float64]:
    """Points on the ground of pixels, at given heights.

    Parameters
    ----------
    grid : RadarGrid
        Zero- or native-Doppler grid.
    row, column : array_like
        Fractional pixel indices; shapes that broadcast.
    height : array_like
        Ellipsoidal metres.

    Returns
    -------
    ndarray (…, 3)
        Earth-fixed metres; NaN where the range does not reach the height.
    """
    r, c, h = np.broadcast_arrays(
        np.asarray(row, np.float64), np.asarray(column, np.float64), np.asarray(height, np.float64)
    )
    out = np.empty((r.size, 3))
    _rdr2geo(
        np.ravel(grid.first_time + r * grid.time_step),
        np.ravel(grid.first_range + c * grid.range_step),
        np.ravel(h).copy(),
        grid.sign,
        grid.orbit.times,
        grid.orbit.coefficients,
        grid.wavelength,
        grid.doppler.values,
        grid.doppler.axes,
        out,
    )
    return out.reshape((*r.shape, 3))


def ellipsoid_radii(nz: float) -> tuple[float, float]:
    """Radii of curvature, meridian and prime vertical, where the normal's z is ``nz``."""
    w = 1.0 - E2 * nz * nz
    n = A / math.sqrt(w)
    return n * (1.0 - E2) / w, n
