"""What the radar sees of a DEM that is coded in slant range: local incidence, layover, shadow."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mosart.compiled import compiled
from mosart.errors import InputError
from mosart.masks import TRACED, VISIBILITY, Flag
from mosart.stack import Stack

from .frame import LookFrame

#: A fold or a shadow must be this deep, in range pixels, before it is one: less is the DEM's noise.
TOLERANCE = 2.0
#: A foreslope this near the incidence angle, in degrees, may hide a fold.
CRITICAL = 3.0


def local_incidence_angle(height: ArrayLike, frame: LookFrame) -> NDArray[np.float64]:
    """Angle between the look direction and the normal of the ground.

    The normal is the cross product of the steps to the neighbours in range and in azimuth, with the
    ground position of each pixel taken from its height; so the slope in azimuth is the one at a fixed
    ground range, not the one at a fixed slant range.

    Parameters
    ----------
    height : array_like, (azimuth, range)
        Heights in metres, positive up.
    frame : LookFrame
        Incidence angle and spacings of the grid. Without an azimuth spacing, and with a single row,
        the slope in azimuth is taken as 0.

    Returns
    -------
    ndarray of float64, (azimuth, range)
        Degrees, 0 to 180; above 90 the ground faces away from the radar. NaN where the height is, and
        where it has no neighbour in range.

    Raises
    ------
    InputError
        If the heights are not two-dimensional or have another number of range pixels than the frame.
    """
    height = _two_dimensional(height)
    x = frame.ground_range(height)
    theta = frame.theta
    x_range, h_range = _difference(x, 1), _difference(height, 1)
    if height.shape[0] > 1 and np.isfinite(frame.azimuth_spacing):
        x_azimuth, h_azimuth = _difference(x, 0), _difference(height, 0)
        # A row without neighbours has no slope in azimuth that could be known.
        alone = np.isnan(h_azimuth) & np.isfinite(height)
        x_azimuth, h_azimuth = np.where(alone, 0.0, x_azimuth), np.where(alone, 0.0, h_azimuth)
        step = frame.azimuth_spacing
    else:
        x_azimuth, h_azimuth, step = np.zeros_like(x), np.zeros_like(x), 1.0
    across, along, up = -h_range * step, h_range * x_azimuth - x_range * h_azimuth, x_range * step
    length = np.sqrt(across**2 + along**2 + up**2)
    cosine = (np.cos(theta) * up - np.sin(theta) * across) * np.where(up < 0, -1.0, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        angle: NDArray[np.float64] = np.degrees(np.arccos(np.clip(cosine / length, -1.0, 1.0)))
    return angle


def look_angle_position(height: ArrayLike, frame: LookFrame) -> NDArray[np.float64]:
    """Position across the look direction, in metres: growing with the look angle.

    ``dp = R d(look angle)``, R being the mean slant range. Where the incidence angle grows along the
    row, R follows from its growth (``d theta = d(look angle) + dx / Earth's radius``); where it does not,
    the wave is plane and p is the p of :func:`mosart.geometry.look.to_look`.

    Parameters
    ----------
    height : array_like, (..., range)
        Heights in metres.
    frame : LookFrame
        Incidence angle and range spacing of the grid.

    Returns
    -------
    ndarray of float64, (..., range)
        Metres, 0 at the first pixel at the reference height. NaN where the height is.
    """
    height = np.asarray(height, dtype=np.float64)
    frame.check_range(height.shape[-1])
    theta, curvature = frame.theta, wavefront_curvature(frame)
    s, c = np.sin(theta), np.cos(theta)
    middle = 0.5 * (theta.size - 1)
    stretch = 1.0 / (1.0 + curvature * (np.arange(theta.size) - middle) * frame.range_spacing)
    steps = frame.range_spacing * c / s * stretch
    flat = np.concatenate([[0.0], np.cumsum(0.5 * (steps[1:] + steps[:-1]))])
    above = height - frame.reference_height
    position: NDArray[np.float64] = flat + stretch * (above / s - 0.5 * curvature * c / s**3 * above**2)
    return position


def wavefront_curvature(frame: LookFrame) -> float:
    """One over the slant range, per metre, as the growth of the incidence angle tells; 0: a plane wave."""
    theta = frame.theta
    if theta.size < 2:
        return 0.0
    growth = (theta[-1] - theta[0]) / frame.flat_range[-1] - 1.0 / 6371.0e3
    return float(np.clip(growth / np.cos(theta[theta.size // 2]), 0.0, 1.0 / 1.0e3))


def layover_shadow(
    height: ArrayLike, frame: LookFrame, *, tolerance: float = TOLERANCE
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels in layover and in shadow, row by row.

    *Shadow*: in the order of ground range, a point is seen when its look angle exceeds the greatest one
    before it. *Layover*: ground further away with a smaller slant range. Both partners are flagged, the
    slope itself (active) and the ground in front of and behind it that falls into the same pixels (passive).

    A DEM on the radar grid has one height a pixel, so it cannot hold a fold: of the three places in
    one slant range it keeps one. What is left of a fold is flagged in two ways. Where the kept places
    go back and forth, every pixel between the two ends of the going back. Where they jump (the
    foreslope is within 3 degrees of the incidence angle, over at most three pixels), the jump and, on
    either side of it, half of the longest fold that a rise of that height can make,
    ``rise * cos(theta) / 2``: which side holds the fold depends on the place that the DEM's coding kept,
    which the DEM does not tell. A fold shorter than the tolerance is not found.

    Parameters
    ----------
    height : array_like, (azimuth, range)
        Heights in metres, NaN where unknown (neither seen nor hiding anything).
    frame : LookFrame
        Incidence angle and range spacing of the grid.
    tolerance : float, optional
        Depth in range pixels below which a fold or a shadow is taken for noise of the DEM; a shadow
        of more than four times as many pixels is one however shallow.

    Returns
    -------
    layover, shadow : ndarray of bool, (azimuth, range)
        False where the height is NaN.

    Raises
    ------
    InputError
        If the heights are not two-dimensional or have another number of range pixels than the frame.
    """
    height = _two_dimensional(height)
    x = frame.ground_range(height)
    p = look_angle_position(height, frame)
    layover = np.zeros(height.shape, dtype=np.bool_)
    shadow = np.zeros(height.shape, dtype=np.bool_)
    depth = tolerance * frame.range_spacing / np.tan(frame.theta)
    _visibility_rows(x, p, height, frame.theta, depth, frame.range_spacing, tolerance, layover, shadow)
    return layover, shadow


def flag_visibility(stack: Stack, frame: LookFrame, *, coded: bool = False) -> Stack:
    """Flag layover and shadow in a stack's mask, lazily.

    Parameters
    ----------
    stack : Stack
        With heights; the bits are set for every date.
    frame : LookFrame
        The look of the stack's grid (:func:`mosart.geometry.resolve`).
    coded : bool
        Add what the radar-coded heights show where layover and shadow were traced on the DEM raster, too:
        a fit along the row runs over those heights, and bends where they fold.

    Returns
    -------
    Stack
        ``mask`` has ``LAYOVER`` and ``SHADOW`` added; computed tile by tile along azimuth when asked for.
        A mask that says that they were traced on the DEM raster, which knows the folds, stays as it is
        unless `coded`.

    Raises
    ------
    InputError
        If the frame belongs to another number of range pixels.
    """
    ds = stack.dataset
    frame.check_range(stack.shape[2])
    if ds.attrs.get(VISIBILITY) == TRACED and not coded:
        return stack
    mask = as_dask(ds["mask"])
    rows = mask.chunks[1]
    height = as_dask(ds["height"]).rechunk({0: rows, 1: -1})
    flags = da.map_blocks(_flags, height, frame=frame, dtype=np.uint8, meta=np.empty((0, 0), dtype=np.uint8))
    merged = mask | flags.rechunk({1: mask.chunks[2]})[None]
    return Stack(ds.assign(mask=xr.Variable(("date", "azimuth", "range"), merged, ds["mask"].attrs)))


def as_dask(array: xr.DataArray) -> Any:
    """Give the variable's dask array; one made of it where it is in memory, in chunks of about 16 MB."""
    data = array.data
    if isinstance(data, da.Array):
        return data
    row = max(1, int(np.prod(data.shape[-1:])) * data.dtype.itemsize)
    chunks = dict.fromkeys(range(data.ndim), -1)
    chunks[data.ndim - 2] = max(1, 2**24 // row)
    if data.ndim == 3:
        chunks[0] = 1
    return da.from_array(data, chunks=chunks)


def _flags(height: NDArray[np.float64], frame: LookFrame) -> NDArray[np.uint8]:
    if height.size == 0:
        return np.zeros(height.shape, dtype=np.uint8)
    layover, shadow = layover_shadow(height, frame)
    return layover * np.uint8(Flag.LAYOVER) | shadow * np.uint8(Flag.SHADOW)


def _two_dimensional(height: ArrayLike) -> NDArray[np.float64]:
    height = np.asarray(height, dtype=np.float64)
    if height.ndim != 2:
        raise InputError(
            "the heights cannot be used", expected="(azimuth, range)", got=f"shape {height.shape}"
        )
    return height


def _difference(a: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Step to the next pixel: the mean of the steps before and after, one where the other is unknown."""
    if a.shape[axis] < 2:
        return np.full(a.shape, np.nan)
    step = np.diff(a, axis=axis)
    edge = np.full_like(np.take(a, [0], axis=axis), np.nan)
    before = np.concatenate([edge, step], axis=axis)
    after = np.concatenate([step, edge], axis=axis)
    return np.where(np.isnan(before), after, np.where(np.isnan(after), before, 0.5 * (before + after)))


@compiled
def _visibility_rows(  # noqa: PLR0912, PLR0915, PLR0917 (one pass over the rows, compiled)
    x: NDArray[np.float64],
    p: NDArray[np.float64],
    height: NDArray[np.float64],
    theta: NDArray[np.float64],
    depth: NDArray[np.float64],
    spacing: float,
    tolerance: float,
    layover: NDArray[np.bool_],
    shadow: NDArray[np.bool_],
) -> None:
    rows, size = x.shape
    critical = np.radians(CRITICAL)
    for row in range(rows):
        valid = np.nonzero(~np.isnan(x[row]))[0]
        count = valid.size
        if count < 2:
            continue
        order = valid
        for k in range(1, count):
            if x[row, valid[k]] < x[row, valid[k - 1]]:
                order = valid[np.argsort(x[row][valid], kind="mergesort")]
                break
        # Shadow: runs below the running maximum, kept where they get deep enough.
        top = p[row, order[0]]
        start = -1
        deepest = 0.0
        for k in range(1, count + 1):
            hidden = k < count and p[row, order[k]] <= top
            if hidden:
                if start < 0:
                    start = k
                    deepest = 0.0
                deepest = max(deepest, (top - p[row, order[k]]) / depth[order[k]])
            else:
                if start >= 0 and (deepest > 1.0 or k - start > 4.0 * tolerance):
                    for j in range(start, k):
                        shadow[row, order[j]] = True
                start = -1
                if k < count:
                    top = p[row, order[k]]
        # Layover where the places go back: all pixels between the two ends.
        marks = np.zeros(size + 1, dtype=np.int64)
        furthest = order[0]
        for k in range(1, count):
            i = order[k]
            if furthest - i > tolerance:
                marks[i] += 1
                marks[furthest + 1] -= 1
            furthest = max(furthest, i)
        # Layover where they jump: a fold may hide in the jump.
        k = 0
        while k < count - 1:
            end = k
            while end < count - 1 and valid[end + 1] == valid[end] + 1:
                i, j = valid[end], valid[end + 1]
                rise, run = height[row, j] - height[row, i], x[row, j] - x[row, i]
                if rise <= 0.0 or run <= 0.0 or np.arctan2(rise, run) < theta[i] - critical:
                    break
                end += 1
            if end == k:
                k += 1
                continue
            fold = 0.5 * (height[row, valid[end]] - height[row, valid[k]]) * np.cos(theta[valid[k]]) / spacing
            if end - k <= 3 and fold > tolerance:
                reach = int(np.ceil(fold))
                marks[max(0, valid[k] + 1 - reach)] += 1
                marks[min(size, valid[end] + reach)] -= 1
            k = end
        level = 0
        for i in range(size):
            level += marks[i]
            if level > 0 and not np.isnan(x[row, i]):
                layover[row, i] = True
