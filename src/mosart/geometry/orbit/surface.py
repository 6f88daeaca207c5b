"""The terrain as a surface that kernels sample: cubic B-spline over the cells of a DEM.

Interpolation by cubic splines with their prefilter (Unser 1999, IEEE SPM 16(6)) passes through the
cells and has a continuous gradient, which the local incidence angle needs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mosart.compiled import compiled

from .ellipsoid import E2, A

_PAD = 2
_DEGREES = 180.0 / math.pi


class Surface(NamedTuple):
    """What the kernels need of a DEM.

    ``coefficients`` are the spline's, padded by two cells; ``hole`` marks cells without height; columns
    and rows (centre of the first cell is 0) are an affine function of longitude and latitude where
    ``geographic``, else they come from the table ``lut`` over the plane spanned by ``east`` and
    ``north`` (components of the geodetic normal times the earth's axis), which is regular at the poles
    and the antimeridian.
    """

    coefficients: NDArray[np.float64]
    hole: NDArray[np.uint8]
    geographic: bool
    affine: NDArray[np.float64]
    west: float
    lut: NDArray[np.float64]
    lut_axes: NDArray[np.float64]
    east: NDArray[np.float64]
    north: NDArray[np.float64]


def spline_coefficients(
    heights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Coefficients (padded) and holes of a height array with NaN where there is none.

    Holes are filled with their nearest neighbour before the filter, so that they do not spread, and
    stay holes through the mask.
    """
    hole = ~np.isfinite(heights)
    if hole.all():
        filled = np.zeros_like(heights)
    elif hole.any():
        nearest = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
        filled = heights[tuple(nearest)]
    else:
        filled = heights
    coefficients = filled
    for axis in range(2):
        if filled.shape[axis] > 1:
            coefficients = ndimage.spline_filter1d(coefficients, 3, axis=axis, mode="mirror")
    if min(filled.shape) > _PAD:
        padded = np.pad(coefficients, _PAD, mode="reflect")
    else:
        padded = np.pad(coefficients, _PAD, mode="edge")
    return np.ascontiguousarray(padded, dtype=np.float64), hole.astype(np.uint8)


@compiled
def _weights(f: float, w: NDArray[np.float64], d: NDArray[np.float64]) -> None:
    g = 1.0 - f
    w[0] = g * g * g / 6.0
    w[1] = 2.0 / 3.0 - 0.5 * f * f * (2.0 - f)
    w[2] = 2.0 / 3.0 - 0.5 * g * g * (2.0 - g)
    w[3] = f * f * f / 6.0
    d[0] = -0.5 * g * g
    d[1] = f * (1.5 * f - 2.0)
    d[2] = -g * (1.5 * g - 2.0)
    d[3] = 0.5 * f * f


@compiled
def spline_at(
    coefficients: NDArray[np.float64],
    hole: NDArray[np.uint8],
    column: float,
    row: float,
    work: NDArray[np.float64],
) -> tuple[float, float, float]:
    """Height and its derivatives by column and row; NaN outside and beside holes. ``work`` is (4, 4)."""
    ny, nx = hole.shape
    # Up to half a cell beyond the centres of the outermost cells is still inside the DEM.
    if not (-0.5 <= column <= nx - 0.5 and -0.5 <= row <= ny - 0.5):
        return math.nan, math.nan, math.nan
    j = math.floor(column)
    i = math.floor(row)
    ja = min(max(j, 0), nx - 1)
    jb = min(max(j + 1, 0), nx - 1)
    ia = min(max(i, 0), ny - 1)
    ib = min(max(i + 1, 0), ny - 1)
    if hole[ia, ja] | hole[ia, jb] | hole[ib, ja] | hole[ib, jb]:
        # On the very centre of a cell its neighbours do not count.
        fx = column - j
        fy = row - i
        bad = False
        for a in range(2):
            for b in range(2):
                weight = (fy if a else 1.0 - fy) * (fx if b else 1.0 - fx)
                if weight > 1e-9 and hole[ib if a else ia, jb if b else ja]:
                    bad = True
        if bad:
            return math.nan, math.nan, math.nan
    _weights(column - j, work[0], work[1])
    _weights(row - i, work[2], work[3])
    h = 0.0
    hx = 0.0
    hy = 0.0
    for a in range(4):
        line = 0.0
        slope = 0.0
        for b in range(4):
            c = coefficients[i - 1 + a + _PAD, j - 1 + b + _PAD]
            line += work[0, b] * c
            slope += work[1, b] * c
        h += work[2, a] * line
        hx += work[2, a] * slope
        hy += work[3, a] * line
    return h, hx, hy


@compiled
def _spline_wide(
    surface: Surface, column: float, row: float, wide: bool, work: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Height and derivatives at a place; where ``wide``, the slope over one cell to either side."""
    h, hx, hy = spline_at(surface.coefficients, surface.hole, column, row, work)
    if wide and math.isfinite(h):
        a, _x, _y = spline_at(surface.coefficients, surface.hole, column - 1.0, row, work)
        b, _x, _y = spline_at(surface.coefficients, surface.hole, column + 1.0, row, work)
        if math.isfinite(a) and math.isfinite(b):
            hx = 0.5 * (b - a)
        a, _x, _y = spline_at(surface.coefficients, surface.hole, column, row - 1.0, work)
        b, _x, _y = spline_at(surface.coefficients, surface.hole, column, row + 1.0, work)
        if math.isfinite(a) and math.isfinite(b):
            hy = 0.5 * (b - a)
    return h, hx, hy


@compiled
def sample(  # noqa: PLR0915, PLR0917
    surface: Surface,
    nx: float,
    ny: float,
    nz: float,
    wide: bool,
    work: NDArray[np.float64],
    gradient: NDArray[np.float64],
) -> float:
    """Height of the terrain where the geodetic normal is (nx, ny, nz), and its horizontal gradient.

    ``gradient`` (3,) is earth-fixed and dimensionless (metres a metre): the surface's own, which
    Newton steps need, or where ``wide`` the slope over a cell to either side, which a facet of the
    DEM's resolution has (as ISCE takes it). NaN outside the DEM.
    """
    w = math.sqrt(1.0 - E2 * nz * nz)
    prime = A / w
    meridian = A * (1.0 - E2) / (w * w * w)
    c = math.sqrt(nx * nx + ny * ny)
    if surface.geographic:
        lon = math.atan2(ny, nx) * _DEGREES
        lat = math.atan2(nz, c) * _DEGREES
        lon = surface.west + (lon - surface.west) % 360.0
        f = surface.affine
        column = f[0] * lon + f[1] * lat + f[2]
        row = f[3] * lon + f[4] * lat + f[5]
        h, hx, hy = _spline_wide(surface, column, row, wide, work)
        if not math.isfinite(h):
            return math.nan
        by_lon = (hx * f[0] + hy * f[3]) * _DEGREES / ((prime + h) * max(c, 1e-12))
        by_lat = (hx * f[1] + hy * f[4]) * _DEGREES / (meridian + h)
        cc = max(c, 1e-12)
        ex = -ny / cc
        ey = nx / cc
        gradient[0] = by_lon * ex + by_lat * (-nz * nx / cc)
        gradient[1] = by_lon * ey + by_lat * (-nz * ny / cc)
        gradient[2] = by_lat * c
        return h
    e = surface.east
    n = surface.north
    up = e[1] * n[2] - e[2] * n[1]
    front = up * nx + (e[2] * n[0] - e[0] * n[2]) * ny + (e[0] * n[1] - e[1] * n[0]) * nz
    if front <= 0.0:
        return math.nan
    u = A * (nx * e[0] + ny * e[1] + nz * e[2])
    v = A * (nx * n[0] + ny * n[1] + nz * n[2])
    axes = surface.lut_axes
    x = (u - axes[0]) / axes[2]
    y = (v - axes[1]) / axes[2]
    j = math.floor(x)
    i = math.floor(y)
    lut = surface.lut
    if i < 0 or j < 0 or i + 1 >= lut.shape[0] or j + 1 >= lut.shape[1]:
        return math.nan
    fx = x - j
    fy = y - i
    c00 = lut[i, j, 0]
    c01 = lut[i, j + 1, 0]
    c10 = lut[i + 1, j, 0]
    c11 = lut[i + 1, j + 1, 0]
    r00 = lut[i, j, 1]
    r01 = lut[i, j + 1, 1]
    r10 = lut[i + 1, j, 1]
    r11 = lut[i + 1, j + 1, 1]
    column = (c00 * (1 - fx) + c01 * fx) * (1 - fy) + (c10 * (1 - fx) + c11 * fx) * fy
    row = (r00 * (1 - fx) + r01 * fx) * (1 - fy) + (r10 * (1 - fx) + r11 * fx) * fy
    h, hx, hy = _spline_wide(surface, column, row, wide, work)
    if not math.isfinite(h):
        return math.nan
    cu = ((c01 - c00) * (1 - fy) + (c11 - c10) * fy) / axes[2]
    cv = ((c10 - c00) * (1 - fx) + (c11 - c01) * fx) / axes[2]
    ru = ((r01 - r00) * (1 - fy) + (r11 - r10) * fy) / axes[2]
    rv = ((r10 - r00) * (1 - fx) + (r11 - r01) * fx) / axes[2]
    hu = hx * cu + hy * ru
    hv = hx * cv + hy * rv
    # The normal turns by 1 / radius of curvature per metre; one mean radius is good to 0.7 % of a slope
    # at the equator, so the two are kept apart: g = east part / (N + h) + north part / (M + h).
    gx = A * (hu * e[0] + hv * n[0])
    gy = A * (hu * e[1] + hv * n[1])
    gz = A * (hu * e[2] + hv * n[2])
    ex = 0.0
    ey = 1.0
    qx = -nz
    qy = 0.0
    if c > 0.0:
        ex = -ny / c
        ey = nx / c
        qx = -nz * nx / c
        qy = -nz * ny / c
    qz = c
    by_east = (gx * ex + gy * ey) / (prime + h)
    by_north = (gx * qx + gy * qy + gz * qz) / (meridian + h)
    gradient[0] = by_east * ex + by_north * qx
    gradient[1] = by_east * ey + by_north * qy
    gradient[2] = by_north * qz
    return h


@compiled
def sample_many(surface: Surface, normals: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Heights at many normals (n, 3) into ``out`` (n,)."""
    work = np.empty((4, 4))
    gradient = np.empty(3)
    for i in range(out.size):
        out[i] = sample(surface, normals[i, 0], normals[i, 1], normals[i, 2], False, work, gradient)
