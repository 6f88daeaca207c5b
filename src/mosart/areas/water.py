"""Where water is: from polygons, a raster, or the level of the sea in the DEM."""

from __future__ import annotations

import logging
import os
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry.visibility import as_dask
from mosart.masks import Flag
from mosart.stack import Stack

from .raster import read_raster
from .read import read_areas

logger = logging.getLogger(__name__)

#: Pixels of the strip whose amplitudes are looked at.
SAMPLE = 1_000_000


def flag_water(
    stack: Stack,
    *,
    polygons: object = None,
    raster: str | os.PathLike[str] | None = None,
    sea_level: float | None = None,
    tolerance: float = 1.0,
    strip: object = None,
) -> Stack:
    """Flag water in a stack's mask, lazily.

    A pixel is water if any of the sources says so.

    Parameters
    ----------
    stack : Stack
        With heights where ``sea_level`` is given, longitude and latitude where polygons or a map are.
    polygons : optional
        Water, in any form that :func:`read_areas` takes; every date.
    raster : path-like, optional
        Water where it is neither 0 nor without data (:func:`read_raster`, nearest cell); every date.
    sea_level : float, optional
        Height of the sea in the DEM, metres: water is where the height is within ``tolerance`` of it.
    tolerance : float, optional
        Metres.
    strip : optional
        A box, polygon or pixel box of open water. Pixels at sea level then count as water on a date only
        where the amplitude lies between the 10th and the 90th percentile of the strip's amplitudes on that
        date, as in the original's notebook. On a date without an amplitude in the strip the level alone
        decides, with a warning.

    Returns
    -------
    Stack
        ``mask`` has ``WATER`` added.

    Raises
    ------
    InputError
        If polygons or strip hold no pixel, a file cannot be read, the tolerance is negative, or a strip is
        given without a sea level.
    """
    if strip is not None and sea_level is None:
        raise InputError(
            "a water strip is given without a sea level",
            expected="sea_level, metres in the DEM: its pixels are those that the strip's amplitude tests",
            got="a strip alone",
        )
    if not tolerance >= 0:
        raise InputError(
            "the tolerance around the sea level is negative", expected="metres", got=f"{tolerance}"
        )
    ds = stack.dataset
    mask = as_dask(ds["mask"])
    for water in _everywhere(stack, polygons, raster):
        mask = mask | _flag(da.from_array(water, chunks=mask.chunks[1:]))[None]
    if sea_level is not None:
        height = as_dask(ds["height"]).rechunk(mask.chunks[1:])
        level = np.abs(height - sea_level) <= tolerance
        if strip is None:
            mask = mask | _flag(level)[None]
        else:
            amplitude = as_dask(ds["amplitude"]).rechunk(mask.chunks)
            low, high = _percentiles(stack, strip)
            inside = (amplitude >= low[:, None, None]) & (amplitude <= high[:, None, None])
            mask = mask | _flag(level[None] & inside)
    return Stack(ds.assign(mask=xr.Variable(("date", "azimuth", "range"), mask, ds["mask"].attrs)))


def _everywhere(
    stack: Stack, polygons: object, raster: str | os.PathLike[str] | None
) -> list[NDArray[np.bool_]]:
    found = []
    if polygons is not None:
        found.append(read_areas(polygons).union(stack))
    if raster is not None:
        values = read_raster(raster, stack, method="nearest")
        found.append(np.isfinite(values) & (values != 0))
    for water in found:
        if not water.any():
            logger.warning("the water raster holds no water in the image")
    return found


def _flag(water: Any) -> Any:
    return water.astype(np.uint8) * np.uint8(Flag.WATER)


def _percentiles(stack: Stack, strip: object) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """10th and 90th percentile of the strip's amplitudes, one a date; all numbers where there are none."""
    where = read_areas(strip).union(stack)
    rows, columns = np.nonzero(where.any(axis=1))[0], np.nonzero(where.any(axis=0))[0]
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    step = max(1, (box[0].stop - box[0].start) * (box[1].stop - box[1].start) // SAMPLE)
    box = (slice(box[0].start, box[0].stop, step), box[1])
    low, high = (np.full(stack.shape[0], value, dtype=np.float32) for value in (-np.inf, np.inf))
    for number, date in enumerate(stack.dates):
        values = np.asarray(stack.dataset["amplitude"][number][box].values)[where[box]]
        values = values[np.isfinite(values)]
        if values.size == 0:
            logger.warning(
                "%s has no amplitude in the water strip: the sea level alone decides", f"{date:%Y%m%d}"
            )
            continue
        low[number], high[number] = np.percentile(values, (10, 90))
    return low, high
