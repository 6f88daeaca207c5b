"""The look-up table of a map: where in the radar image each cell's centre lies.

Every quadrilateral of four neighbouring pixels is laid on the map, and the cells whose centre is in it get
the fractional azimuth and range that bilinear interpolation of the four positions maps there. The work is
one visit a quadrilateral and one a cell in its bounding box: linear in the pixels and in the cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled

Floats = NDArray[np.float64]
Pair = tuple[float, float]

#: Slack of the test whether a cell's centre is in a quadrilateral, so that none falls between two.
SLACK = 1e-9
#: Added to the rank of a quadrilateral that is turned over, in cells: it comes last.
TURNED = 1e12


@compiled
def _inverse_bilinear(p: Pair, b: Pair, c: Pair, d: Pair) -> Pair:
    """Solve p = u·b + v·c + u·v·d for u and v in 0…1; NaN where there is no such pair.

    The cross product with b + v·d removes u and leaves a quadratic in v.
    """
    (px, py), (bx, by), (cx, cy), (dx, dy) = p, b, c, d
    a2 = -(cx * dy - cy * dx)
    a1 = (px * dy - py * dx) - (cx * by - cy * bx)
    a0 = px * by - py * bx
    discriminant = a1 * a1 - 4.0 * a2 * a0
    if discriminant < 0.0:
        return np.nan, np.nan
    q = -0.5 * (a1 + np.sqrt(discriminant) if a1 >= 0.0 else a1 - np.sqrt(discriminant))
    for root in range(2):
        # The first root is exact for parallelograms, whose quadratic term vanishes.
        if root == 0:
            if q == 0.0:
                continue
            v = a0 / q
        else:
            if a2 == 0.0:
                continue
            v = q / a2
        if not -SLACK <= v <= 1.0 + SLACK:
            continue
        ex, ey = bx + v * dx, by + v * dy
        length = ex * ex + ey * ey
        if length == 0.0:
            continue
        u = ((px - v * cx) * ex + (py - v * cy) * ey) / length
        if -SLACK <= u <= 1.0 + SLACK:
            return min(max(u, 0.0), 1.0), min(max(v, 0.0), 1.0)
    return np.nan, np.nan


@compiled
def fill_table(
    places: Floats,
    table: Floats,
    rank: Floats,
    longest: float,
    orientation: float,
) -> int:
    """Fill the look-up table of a block of cells.

    Parameters
    ----------
    places : ndarray, (2, azimuth, range)
        Column and row of the pixels' centres in the block, in cells: the first cell's centre is (0, 0).
        NaN where unknown.
    table : ndarray, (2, y, x)
        Written: fractional azimuth and range of each cell's centre; left as it is where no quadrilateral
        holds it.
    rank : ndarray, (y, x)
        Infinite on entry. Where several quadrilaterals hold a centre (layover, or a fold of the DEM's
        coding) the one that is not turned over wins, then the smallest: a large one spans ground that the
        radar did not resolve. At a tie, the first.
    longest : float
        Quadrilaterals with an extent of more cells than this are left out.
    orientation : float
        Sign of the area of those that are not turned over.

    Returns
    -------
    int
        Number of cells that were tried.
    """
    column, row = places[0], places[1]
    rows, columns = column.shape
    height, width = rank.shape
    tried = 0
    for i in range(rows - 1):
        for j in range(columns - 1):
            x0, y0 = column[i, j], row[i, j]
            bx, by = column[i + 1, j] - x0, row[i + 1, j] - y0
            cx, cy = column[i, j + 1] - x0, row[i, j + 1] - y0
            dx, dy = column[i + 1, j + 1] - x0 - bx - cx, row[i + 1, j + 1] - y0 - by - cy
            if not np.isfinite(x0 + y0 + dx + dy):
                continue
            ex, ey = bx + cx + dx, by + cy + dy
            left, right = min(0.0, bx, cx, ex), max(0.0, bx, cx, ex)
            top, bottom = min(0.0, by, cy, ey), max(0.0, by, cy, ey)
            if right - left > longest or bottom - top > longest:
                continue
            first = max(0, int(np.ceil(max(x0 + left, -1.0) - SLACK)))
            last = min(width - 1, int(np.floor(min(x0 + right, float(width)) + SLACK)))
            upper = max(0, int(np.ceil(max(y0 + top, -1.0) - SLACK)))
            lower = min(height - 1, int(np.floor(min(y0 + bottom, float(height)) + SLACK)))
            if first > last or upper > lower:
                continue
            area = 0.5 * (ex * (cy - by) - ey * (cx - bx))
            order = abs(area) if area * orientation >= 0.0 else abs(area) + TURNED
            for y in range(upper, lower + 1):
                for x in range(first, last + 1):
                    tried += 1
                    if order >= rank[y, x]:
                        continue
                    u, v = _inverse_bilinear((x - x0, y - y0), (bx, by), (cx, cy), (dx, dy))
                    if np.isnan(u):
                        continue
                    rank[y, x] = order
                    table[0, y, x] = i + u
                    table[1, y, x] = j + v
    return tried


@compiled
def sample_bilinear(values: Floats, table: Floats, out: Floats) -> None:
    """Interpolate an image at fractional pixels.

    Parameters
    ----------
    values : ndarray, (azimuth, range)
        The image, NaN in gaps.
    table : ndarray, (2, y, x)
        Fractional azimuth and range, NaN where there is none.
    out : ndarray, (y, x)
        Written: NaN where the nearest pixel is NaN; otherwise the bilinear mean of those of the four
        neighbours that are not. So a gap in the image keeps the outline of its pixels: it neither grows
        nor shrinks.
    """
    rows, columns = values.shape
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = np.nan
            if np.isnan(table[0, y, x]):
                continue
            a = min(max(np.float64(table[0, y, x]), 0.0), rows - 1.0)
            r = min(max(np.float64(table[1, y, x]), 0.0), columns - 1.0)
            if np.isnan(values[int(a + 0.5), int(r + 0.5)]):
                continue
            i, j = min(int(a), max(rows - 2, 0)), min(int(r), max(columns - 2, 0))
            total, weights = 0.0, 0.0
            for k in range(min(2, rows)):
                for m in range(min(2, columns)):
                    weight = (1.0 - abs(a - i - k)) * (1.0 - abs(r - j - m))
                    value = values[i + k, j + m]
                    if weight > 0.0 and not np.isnan(value):
                        total += weight * value
                        weights += weight
            out[y, x] = total / weights


def sample_nearest(values: NDArray[np.generic], table: Floats, outside: int) -> NDArray[np.generic]:
    """Take an image's nearest pixels.

    Parameters
    ----------
    values : ndarray, (azimuth, range)
        The image.
    table : ndarray, (2, y, x)
        Fractional azimuth and range, NaN where there is none.
    outside : int
        Value where there is none.

    Returns
    -------
    ndarray, (y, x)
        Of the image's type.
    """
    known = np.isfinite(table[0])
    place = np.where(known, table, 0.0).astype(np.float64)
    i, j = (np.clip(place[k], 0, values.shape[k] - 1) + 0.5 for k in (0, 1))
    nearest = values[i.astype(np.intp), j.astype(np.intp)]
    return np.asarray(np.where(known, nearest, np.asarray(outside, dtype=values.dtype)))
