"""Images made small enough to draw."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.compiled import compiled
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
    return block_means(image, steps(image.shape, most))[0]


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
    return block_bits(image, steps(image.shape, most))


def block_means(
    image: xr.DataArray | NDArray[Any], block: int | tuple[int, int], weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """Average an image over blocks of a given size.

    Parameters
    ----------
    image : array, (rows, columns)
        Numbers, NaN in gaps; lazy or not, read by strips of rows.
    block : int or tuple of int
        Rows and columns of a block; those at the last edges may be smaller.
    weights : ndarray, (rows, columns), optional
        Of the pixels, 0 to 1: how much of each has a value, where they are means themselves.

    Returns
    -------
    mean : ndarray of float64
        Of what is finite; NaN where nothing is.
    share : ndarray of float64
        Of a full block that is finite.
    """
    high, wide = (block, block) if isinstance(block, int) else block
    total = np.zeros((-(-image.shape[0] // high), -(-image.shape[1] // wide)))
    count = np.zeros(total.shape)
    for start, strip in _strips(image):
        part = np.ones((1, 1)) if weights is None else weights[start : start + strip.shape[0]]
        _add_blocks(strip, part, start, (high, wide), (total, count))
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean, count / (high * wide)


def block_bits(image: xr.DataArray | NDArray[Any], block: int | tuple[int, int]) -> NDArray[np.uint8]:
    """Collect the bits that are set anywhere in blocks of a given size.

    Parameters
    ----------
    image : array of uint8 or bool, (rows, columns)
        Lazy or not, read by strips of rows.
    block : int or tuple of int
        Rows and columns of a block.

    Returns
    -------
    ndarray of uint8
    """
    high, wide = (block, block) if isinstance(block, int) else block
    bits = np.zeros((-(-image.shape[0] // high), -(-image.shape[1] // wide)), np.uint8)
    for start, strip in _strips(image):
        _add_bits(strip.astype(np.uint8), start, high, wide, bits)
    return bits


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


def _strips(image: xr.DataArray | NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Read an image by strips of rows, as its blocks are where it is lazy: none is read twice."""
    chunks = image.chunks if isinstance(image, xr.DataArray) else None
    step = max(1, STRIP_PIXELS // max(image.shape[1], 1))
    edges = [*range(0, image.shape[0], step)] if chunks is None else [0, *np.cumsum(chunks[0]).tolist()[:-1]]
    for start, stop in pairwise([*edges, image.shape[0]]):
        yield start, np.ascontiguousarray(image[start:stop])


@compiled
def _add_blocks(
    values: NDArray[Any], weights: Floats, start: int, size: tuple[int, int], sums: tuple[Floats, Floats]
) -> None:
    total, count = sums
    wide = size[1]
    weighted = weights.shape == values.shape
    rows, columns = values.shape
    for i in range(rows):
        row = (start + i) // size[0]
        for block in range(total.shape[1]):
            value_sum, weight_sum = 0.0, 0.0
            for j in range(block * wide, min((block + 1) * wide, columns)):
                value = float(values[i, j])
                if np.isfinite(value):
                    weight = weights[i, j] if weighted else 1.0
                    value_sum += weight * value
                    weight_sum += weight
            total[row, block] += value_sum
            count[row, block] += weight_sum


@compiled
def _add_bits(mask: NDArray[np.uint8], start: int, high: int, wide: int, bits: NDArray[np.uint8]) -> None:
    rows, columns = mask.shape
    for i in range(rows):
        row = (start + i) // high
        for j in range(columns):
            bits[row, j // wide] |= mask[i, j]
