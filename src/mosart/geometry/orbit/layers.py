"""The geometry of every pixel: position, height, incidence, layover and shadow, from a DEM and an orbit.

For each azimuth line the terrain is traced in the plane (on a native-Doppler grid: the cone) that the
line sees. The trace gives, for each range bin, the places that return into it and which of them the
beam lights. So layover and shadow come from the same computation as the positions, and a position in
layover is a stated one (the first lit place whose range grows with ground range) rather than the one
an iteration happened to end at. Each position is then refined by Newton steps on the spline surface.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled
from mosart.masks import Flag

from .dem import Dem
from .ellipsoid import from_normal, normal_and_height
from .ephemeris import evaluate
from .grid import RadarGrid, doppler_at
from .project import angle_guess, frame_axes, solve_angle
from .surface import Surface, sample

_LAYOVER, _SHADOW, _NODATA = int(Flag.LAYOVER), int(Flag.SHADOW), int(Flag.NODATA)
_DEGREES = 180.0 / math.pi
_REFINE = 12


@dataclass(frozen=True)
class GeometryLayers:
    """Geometry of the pixels of a radar grid; each array is (rows, columns).

    Parameters
    ----------
    longitude, latitude : ndarray of float64
        Degrees, −180…180.
    height : ndarray of float64
        Ellipsoidal metres.
    incidence_angle : ndarray of float32
        Between the ray and the ellipsoid's normal, degrees.
    local_incidence_angle : ndarray of float32
        Between the ray and the terrain's normal, degrees.
    mask : ndarray of uint8
        ``Flag.LAYOVER`` where more than one lit place returns into the pixel, ``Flag.SHADOW`` where all
        its places lie in shadow, ``Flag.NODATA`` where the DEM has no height; other layers are NaN there.
    """

    longitude: NDArray[np.float64]
    latitude: NDArray[np.float64]
    height: NDArray[np.float64]
    incidence_angle: NDArray[np.float32]
    local_incidence_angle: NDArray[np.float32]
    mask: NDArray[np.uint8]


@compiled
def normal_altitude(state: NDArray[np.float64]) -> float:
    """Ellipsoidal height of the satellite."""
    _nx, _ny, _nz, h = normal_and_height(state[0, 0], state[0, 1], state[0, 2])
    return h


@compiled
def traced_ranges(  # noqa: PLR0917
    state: NDArray[np.float64],
    first_range: float,
    last_range: float,
    range_step: float,
    reference: float,
    lowest: float,
    highest: float,
) -> tuple[float, float, float]:
    """Near and far end of the trace that a line needs, and the sine of the incidence in its middle."""
    theta = angle_guess(state, 0.5 * (first_range + last_range), reference)
    altitude = math.sqrt(state[0, 0] ** 2 + state[0, 1] ** 2 + state[0, 2] ** 2)
    sine = min(max(altitude / (altitude - normal_altitude(state)) * math.sin(theta), 0.05), 0.999)
    cosine = math.sqrt(1.0 - sine * sine)
    relief = highest - lowest
    near = first_range - (reference - lowest) * cosine - relief * sine * sine / cosine - 4 * range_step
    near = max(near, normal_altitude(state) - reference + 1.0)
    return near, last_range + (highest - reference) * 1.0 + 4 * range_step, sine


@compiled
def trace_line(  # noqa: PLR0917
    state: NDArray[np.float64],
    frame: NDArray[np.float64],
    squint: float,
    surface: Surface,
    reference: float,
    start: float,
    step: float,
    count: int,
    out: NDArray[np.float64],
) -> None:
    """Ranges, heights and look angles of the terrain along a line, into ``out`` (count, 3)."""
    point = np.empty(3)
    work = np.empty((4, 4))
    gradient = np.empty(3)
    guess = math.nan
    for k in range(count):
        r0 = start + k * step
        out[k, 0] = math.nan
        out[k, 2] = math.nan
        perpendicular = r0 * math.sqrt(1.0 - squint * squint)
        if not math.isfinite(guess):
            guess = angle_guess(state, perpendicular, reference)
        guess = solve_angle(state, frame, r0 * squint, perpendicular, reference, guess, point)
        if not math.isfinite(guess):
            continue
        nx, ny, nz, _h = normal_and_height(point[0], point[1], point[2])
        lx = (state[0, 0] - point[0]) / r0
        ly = (state[0, 1] - point[1]) / r0
        lz = (state[0, 2] - point[2]) / r0
        cosine = lx * nx + ly * ny + lz * nz
        height = sample(surface, nx, ny, nz, False, work, gradient)
        if not math.isfinite(height):
            continue
        r = r0 - (height - reference) * cosine
        angle = solve_angle(
            state, frame, r * squint, r * math.sqrt(1.0 - squint * squint), height, guess, point
        )
        if not math.isfinite(angle):
            continue
        nx, ny, nz, _h = normal_and_height(point[0], point[1], point[2])
        again = sample(surface, nx, ny, nz, False, work, gradient)
        if not math.isfinite(again):
            continue
        r -= (again - height) * cosine
        angle = solve_angle(
            state, frame, r * squint, r * math.sqrt(1.0 - squint * squint), again, angle, point
        )
        out[k, 0] = r
        out[k, 1] = again
        out[k, 2] = angle


@compiled
def _assign(  # noqa: PLR0917
    trace: NDArray[np.float64],
    first_range: float,
    range_step: float,
    angle: NDArray[np.float64],
    lit: NDArray[np.int32],
    dark: NDArray[np.int32],
) -> None:
    """Give each pixel of a line its place on the trace, and count its lit and dark places."""
    columns = angle.size
    angle[:] = math.nan
    lit[:] = 0
    dark[:] = 0
    rising = np.zeros(columns, dtype=np.uint8)
    horizon = -1.0
    for k in range(trace.shape[0] - 1):
        if math.isfinite(trace[k, 2]):
            horizon = max(horizon, trace[k, 2])
        if not (math.isfinite(trace[k, 2]) and math.isfinite(trace[k + 1, 2])):
            continue
        a = (trace[k, 0] - first_range) / range_step
        b = (trace[k + 1, 0] - first_range) / range_step
        low = min(a, b)
        high = max(a, b)
        j0 = max(math.ceil(low), 0)
        j1 = min(math.ceil(high), columns)
        for j in range(j0, j1):
            fraction = (j - a) / (b - a)
            here = trace[k, 2] + fraction * (trace[k + 1, 2] - trace[k, 2])
            if here >= horizon:
                lit[j] += 1
                # The first lit place on ground whose range grows, else the first lit place at all.
                if lit[j] == 1 or (rising[j] == 0 and b > a):
                    angle[j] = here
                    rising[j] = 1 if b > a else 0
            else:
                dark[j] += 1
                if lit[j] == 0 and dark[j] == 1:
                    angle[j] = here


@compiled
def _layers(  # noqa: PLR0912, PLR0915, PLR0917
    row_times: NDArray[np.float64],
    first_range: float,
    range_step: float,
    sign: float,
    times: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    wavelength: float,
    doppler: NDArray[np.float64],
    axes: NDArray[np.float64],
    surface: Surface,
    reference: float,
    lowest: float,
    highest: float,
    posting: float,
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    heights: NDArray[np.float64],
    incidence: NDArray[np.float32],
    local: NDArray[np.float32],
    mask: NDArray[np.uint8],
) -> None:
    columns = longitude.shape[1]
    state = np.empty((3, 3))
    frame = np.empty((3, 3))
    point = np.empty(3)
    tangent = np.empty(3)
    work = np.empty((4, 4))
    gradient = np.empty(3)
    angles = np.empty(columns)
    lit = np.empty(columns, dtype=np.int32)
    dark = np.empty(columns, dtype=np.int32)
    last_range = first_range + (columns - 1) * range_step
    for i in range(row_times.size):
        t = row_times[i]
        evaluate(t, times, coefficients, state)
        speed = frame_axes(state, sign, frame)
        middle = 0.5 * (first_range + last_range)
        squint = wavelength * doppler_at(t, middle, doppler, axes) / (2.0 * speed)
        near, far, sine = traced_ranges(
            state, first_range, last_range, range_step, reference, lowest, highest
        )
        step = max(0.5 * posting * sine, 1e-3)
        count = int((far - near) / step) + 2
        trace = np.empty((count, 3))
        trace_line(state, frame, squint, surface, reference, near, step, count, trace)
        _assign(trace, first_range, range_step, angles, lit, dark)
        for j in range(columns):
            r = first_range + j * range_step
            flags = 0
            if lit[j] > 1:
                flags |= _LAYOVER
            if lit[j] == 0 and dark[j] > 0:
                flags |= _SHADOW
            along = r * wavelength * doppler_at(t, r, doppler, axes) / (2.0 * speed)
            perpendicular = math.sqrt(r * r - along * along)
            angle = angles[j]
            best = angle
            nx = 0.0
            ny = 0.0
            nz = 0.0
            h = math.nan
            terrain = math.nan
            for _ in range(_REFINE):
                if not math.isfinite(angle):
                    break
                c = perpendicular * math.cos(angle)
                s = perpendicular * math.sin(angle)
                for k in range(3):
                    point[k] = state[0, k] + along * frame[0, k] + c * frame[1, k] + s * frame[2, k]
                    tangent[k] = c * frame[2, k] - s * frame[1, k]
                nx, ny, nz, h = normal_and_height(point[0], point[1], point[2])
                terrain = sample(surface, nx, ny, nz, False, work, gradient)
                up = nx * tangent[0] + ny * tangent[1] + nz * tangent[2]
                rise = gradient[0] * tangent[0] + gradient[1] * tangent[1] + gradient[2] * tangent[2]
                move = (terrain - h) / (up - rise)
                if abs(move) * perpendicular < 2e-3:
                    for k in range(3):
                        point[k] += move * tangent[k]
                    nx, ny, nz, h = normal_and_height(point[0], point[1], point[2])
                    best = math.nan
                    break
                if not abs(angle + move - best) * perpendicular < 4.0 * posting:
                    break
                angle += move
            if math.isfinite(best):
                # No convergence (a fold of the terrain along the ray): the place on the trace stands.
                c = perpendicular * math.cos(best)
                s = perpendicular * math.sin(best)
                for k in range(3):
                    point[k] = state[0, k] + along * frame[0, k] + c * frame[1, k] + s * frame[2, k]
                nx, ny, nz, h = normal_and_height(point[0], point[1], point[2])
                terrain = sample(surface, nx, ny, nz, False, work, gradient)
            if not math.isfinite(terrain) or not math.isfinite(h):
                longitude[i, j] = math.nan
                latitude[i, j] = math.nan
                heights[i, j] = math.nan
                incidence[i, j] = math.nan
                local[i, j] = math.nan
                mask[i, j] = _NODATA
                continue
            sample(surface, nx, ny, nz, True, work, gradient)
            lx = (state[0, 0] - point[0]) / r
            ly = (state[0, 1] - point[1]) / r
            lz = (state[0, 2] - point[2]) / r
            look = lx * nx + ly * ny + lz * nz
            tilt = lx * gradient[0] + ly * gradient[1] + lz * gradient[2]
            slope2 = gradient[0] ** 2 + gradient[1] ** 2 + gradient[2] ** 2
            longitude[i, j] = math.atan2(ny, nx) * _DEGREES
            latitude[i, j] = math.atan2(nz, math.sqrt(nx * nx + ny * ny)) * _DEGREES
            heights[i, j] = h
            incidence[i, j] = math.acos(min(max(look, -1.0), 1.0)) * _DEGREES
            facet = (look - tilt) / math.sqrt(1.0 + slope2)
            local[i, j] = math.acos(min(max(facet, -1.0), 1.0)) * _DEGREES
            mask[i, j] = flags


def geometry_layers(
    grid: RadarGrid, dem: Dem, *, workers: int = 1, block: int = 64, limits: tuple[float, float] | None = None
) -> GeometryLayers:
    """Position, height, incidence, layover and shadow of every pixel of a grid.

    Parameters
    ----------
    grid : RadarGrid
        Zero- or native-Doppler grid; crop it to work by tiles: lines are independent.
    dem : Dem
        Terrain.
    workers : int
        Threads.
    block : int
        Rows that one thread works on at a time.
    limits : tuple of float, optional
        Lowest and highest terrain to expect; the DEM's own by default.

    Returns
    -------
    GeometryLayers

    Notes
    -----
    A peak that shadows the scene is seen as far as the DEM reaches towards the radar.
    """
    lowest, highest = limits if limits is not None else dem.limits
    reference = 0.5 * (lowest + highest)
    shape = (grid.rows, grid.columns)
    layers = GeometryLayers(
        np.empty(shape),
        np.empty(shape),
        np.empty(shape),
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.uint8),
    )
    times = grid.times
    posting = dem.posting

    def work(row: int) -> None:
        rows = slice(row, row + block)
        _layers(
            times[rows],
            grid.first_range,
            grid.range_step,
            grid.sign,
            grid.orbit.times,
            grid.orbit.coefficients,
            grid.wavelength,
            grid.doppler.values,
            grid.doppler.axes,
            dem.surface,
            reference,
            lowest,
            highest,
            posting,
            *(getattr(layers, f.name)[rows] for f in fields(layers)),
        )

    starts = range(0, grid.rows, block)
    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(work, starts):
                pass
    else:
        for row in starts:
            work(row)
    return layers


@compiled
def ecef_of(
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    height: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Earth-fixed points (n, 3) of flat arrays of positions (degrees) and heights."""
    for i in range(longitude.size):
        lam = longitude[i] / _DEGREES
        phi = latitude[i] / _DEGREES
        c = math.cos(phi)
        out[i, 0], out[i, 1], out[i, 2] = from_normal(
            c * math.cos(lam), c * math.sin(lam), math.sin(phi), height[i]
        )
