"""Images made small enough to draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.masks import WITHHELD, Flag

Floats = NDArray[np.float64]

#: Pixels read at a time.
STRIP_PIXELS = 4_000_000


def steps(shape: tuple[int, ...], most: int) -> tuple[int, int]:
    """Choose the size of blocks that leave at most so many of them a side.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of an image.
    most : int
        Blocks a side.

    Returns
    -------
    rows, columns : int
        Of a block.
    """
    return -(-shape[0] // most), -(-shape[1] // most)


def shrink(image: xr.DataArray | NDArray[Any], most: int) -> Floats:
    """Average an image over blocks.

    Parameters
    ----------
    image : array, (rows, columns)
        Numbers, NaN in gaps; lazy or not, read by strips of rows.
    most : int
        Blocks a side, at most.

    Returns
    -------
    ndarray of float64, (rows, columns)
        Means of what is finite in each block; NaN where nothing is.
    """
    high, wide = steps(image.shape, most)
    parts = []
    for strip in _strips(image, high):
        values = strip.astype(np.float64)
        if (high, wide) == (1, 1):
            parts.append(values)
            continue
        finite = np.isfinite(values)
        total = _sum_blocks(np.where(finite, values, 0.0), high, wide)
        count = _sum_blocks(finite.astype(np.float64), high, wide)
        parts.append(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
    return np.concatenate(parts)


def shrink_bits(image: xr.DataArray | NDArray[Any], most: int) -> NDArray[np.uint8]:
    """Collect the bits of a mask, or whether any pixel is true, over blocks.

    Parameters
    ----------
    image : array of uint8 or bool, (rows, columns)
        Lazy or not, read by strips of rows.
    most : int
        Blocks a side, at most.

    Returns
    -------
    ndarray of uint8, (rows, columns)
        All bits that are set in a block.
    """
    high, wide = steps(image.shape, most)
    parts = []
    for strip in _strips(image, high):
        bits = np.bitwise_or.reduceat(strip.astype(np.uint8), np.arange(0, strip.shape[0], high), axis=0)
        parts.append(np.bitwise_or.reduceat(bits, np.arange(0, strip.shape[1], wide), axis=1))
    return np.concatenate(parts)


def reasons(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Name one reason a pixel why it has no value.

    Parameters
    ----------
    bits : ndarray of uint8
        Of :class:`mosart.masks.Flag`.

    Returns
    -------
    ndarray of int64
        The flag, of several the one that says most: water, shadow, layover, unresolved, no data;
        ``NODATA`` where no bit is set that withholds a value.
    """
    reason = np.full(bits.shape, int(Flag.NODATA), dtype=np.int64)
    for flag in (Flag.UNRESOLVED, Flag.LAYOVER, Flag.SHADOW, Flag.WATER):
        if flag & WITHHELD:
            reason[(bits & int(flag)) != 0] = int(flag)
    return reason


def _strips(image: xr.DataArray | NDArray[Any], high: int) -> list[NDArray[Any]] | Any:
    """Read an image by strips of whole blocks."""
    rows = max(1, STRIP_PIXELS // (image.shape[1] * high)) * high
    for start in range(0, image.shape[0], rows):
        yield np.asarray(image[start : start + rows])


def _sum_blocks(values: Floats, high: int, wide: int) -> Floats:
    by_rows = np.add.reduceat(values, np.arange(0, values.shape[0], high), axis=0)
    return np.asarray(np.add.reduceat(by_rows, np.arange(0, values.shape[1], wide), axis=1))
