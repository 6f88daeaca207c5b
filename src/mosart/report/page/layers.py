"""What the page shows on its map, small enough for one file: block means in whole numbers, compressed."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.errors import InputError

Floats = NDArray[np.float64]

#: Bytes of compressed layers in a page: with their text form, the library and the text it stays below 20 MB.
BUDGET = 9_500_000
#: Cells of the page's map: a browser draws this many within a fraction of a second.
CELLS = 1_000_000
#: Cells of all dates together: what can be hoped to fit, and what is in memory at one time.
NUMBERS = 12_000_000
#: Numbers are kept to the centimetre where they fit.
STEP = 0.01
#: Stands for no value.
GAP = -32768
#: Cells read at a time.
_READ = 4_000_000


@dataclass(frozen=True)
class Layer:
    """One quantity on the page's map.

    Parameters
    ----------
    name : str
        ``change``, ``std``, ``amplitude``, ``modelled``, ``mask``, ``looks``, ``share`` or ``relief``.
    kind : str
        ``int16`` or ``uint8``.
    step, offset : float
        A value is ``offset + step * number``; -32768 (of int16) is no value.
    slices : tuple of bytes
        Compressed (gzip) rows and columns of each date, little-endian; one for a layer without dates.
    """

    name: str
    kind: str
    step: float
    offset: float
    slices: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes of all slices."""
        return sum(map(len, self.slices))


@dataclass(frozen=True)
class Drawn:
    """The layers of a page.

    Parameters
    ----------
    layers : tuple of Layer
        What there is to show.
    block : int
        Cells (or pixels) a side that one cell of the page is the mean of.
    shape : tuple of int
        Rows and columns of the page's map.
    limit : float
        Ends of the colour scale of the change, metres.
    std_limit : float
        End of the colour scale of the standard error, metres; NaN without one.
    """

    layers: tuple[Layer, ...]
    block: int
    shape: tuple[int, int]
    limit: float
    std_limit: float


def draw_layers(
    data: xr.Dataset,
    quantity: str,
    dims: tuple[str, str],
    *,
    least: float = 0.0,
    focus: NDArray[np.bool_] | None = None,
    budget: int = BUDGET,
) -> Drawn:
    """Make the layers of a page, as fine as fits.

    Parameters
    ----------
    data : xarray.Dataset
        The change on a map or on the radar grid, lazy or not; read by dates and strips of rows.
    quantity : str
        Name of the change.
    dims : tuple of str
        Rows and columns.
    least : float, optional
        The colour scale ends at this many metres at least.
    focus : ndarray of bool, (rows, columns), optional
        Cells that the colour scale is made for.
    budget : int, optional
        Bytes of the compressed layers, at most.

    Returns
    -------
    Drawn

    Raises
    ------
    InputError
        If not even blocks that leave a handful of cells fit: far too many dates.
    """
    shape = data.sizes[dims[0]], data.sizes[dims[1]]
    cells = shape[0] * shape[1]
    block = max(1, math.ceil(math.sqrt(max(cells / CELLS, cells * data.sizes["date"] / NUMBERS))))
    while True:
        drawn = _draw(data, quantity, dims, block, least=least, focus=focus)
        size = sum(layer.size for layer in drawn.layers)
        if size <= budget:
            return drawn
        if min(drawn.shape) <= 1 and max(drawn.shape) < 16:
            raise InputError(
                "the result is too large for a page", expected=f"{budget} bytes", got=f"{size} bytes"
            )
        block = max(block + 1, math.ceil(block * math.sqrt(size / budget)))


def _draw(
    data: xr.Dataset,
    quantity: str,
    dims: tuple[str, str],
    block: int,
    *,
    least: float,
    focus: NDArray[np.bool_] | None,
) -> Drawn:
    change: list[Floats] = []
    shares: list[NDArray[np.uint8]] = []
    for image in _images(data[quantity], dims):
        mean, share = block_means(image, block)
        change.append(mean)
        shares.append(np.round(share * 255).astype(np.uint8))
    shape = change[0].shape
    layers = [_numbers("change", change)]
    if block > 1:
        layers.append(_bytes("share", shares, 1 / 255))
    std_limit = math.nan
    if "elevation_change_std" in data and data["elevation_change_std"].dims != ("date",):
        std = [block_means(image, block)[0] for image in _images(data["elevation_change_std"], dims)]
        layers.append(_numbers("std", std))
        std_limit = nice(_percentile(std, 98.0))
    layers.append(_bytes("mask", [block_bits(i, block) for i in _images(data["mask"], dims)]))
    if "looks" in data:
        layers.append(_bytes("looks", [block_bits(i, block) for i in _images(data["looks"], dims)]))
    for name, source in (("amplitude", "measured_amplitude"), ("modelled", "modelled_amplitude")):
        if source in data:
            layers.append(_decibels(name, [block_means(i, block)[0] for i in _images(data[source], dims)]))
    if "height" in data:
        height = block_means(data["height"], block)[0]
        layers.append(_bytes("relief", [relief(height)]))
    chosen = None if focus is None or not focus.any() else block_bits(focus, block).astype(bool)
    limit = nice(max(least, _percentile(change, 98.0 if chosen is None else 97.0, chosen), 0.1))
    return Drawn(tuple(layers), block, (shape[0], shape[1]), limit, std_limit)


def _images(variable: xr.DataArray, dims: tuple[str, str]) -> Iterator[xr.DataArray]:
    variable = variable.transpose(..., *dims)
    if "date" not in variable.dims:
        yield variable
        return
    for index in range(variable.sizes["date"]):
        yield variable.isel(date=index)


def block_means(image: xr.DataArray | NDArray[Any], block: int) -> tuple[Floats, Floats]:
    """Average an image over square blocks.

    Parameters
    ----------
    image : array, (rows, columns)
        Numbers, NaN in gaps; lazy or not, read by strips of rows.
    block : int
        Side of a block; those at the last edges may be smaller.

    Returns
    -------
    mean : ndarray of float64
        Of what is finite; NaN where nothing is.
    share : ndarray of float64
        Of a full block that is finite.
    """
    means, shares = [], []
    for strip in _strips(image, block):
        values = strip.astype(np.float64)
        finite = np.isfinite(values)
        if block == 1:
            means.append(values)
            shares.append(finite.astype(np.float64))
            continue
        total = _sum(np.where(finite, values, 0.0), block)
        count = _sum(finite.astype(np.float64), block)
        means.append(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
        shares.append(count / block**2)
    return np.concatenate(means), np.concatenate(shares)


def block_bits(image: xr.DataArray | NDArray[Any], block: int) -> NDArray[np.uint8]:
    """Collect the bits that are set anywhere in square blocks.

    Parameters
    ----------
    image : array of uint8 or bool, (rows, columns)
        Lazy or not, read by strips of rows.
    block : int
        Side of a block.

    Returns
    -------
    ndarray of uint8
    """
    parts = []
    for strip in _strips(image, block):
        bits = np.bitwise_or.reduceat(strip.astype(np.uint8), np.arange(0, strip.shape[0], block), axis=0)
        parts.append(np.bitwise_or.reduceat(bits, np.arange(0, strip.shape[1], block), axis=1))
    return np.concatenate(parts)


def _strips(image: xr.DataArray | NDArray[Any], block: int) -> Iterator[NDArray[Any]]:
    rows = max(1, _READ // max(1, image.shape[1] * block)) * block
    for start in range(0, image.shape[0], rows):
        yield np.asarray(image[start : start + rows])


def _sum(values: Floats, block: int) -> Floats:
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], block), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, values.shape[1], block), axis=1))


def relief(height: Floats) -> NDArray[np.uint8]:
    """Shade heights with light from the north-west, for the background alone.

    Parameters
    ----------
    height : ndarray, (rows, columns)
        Metres, NaN in gaps.

    Returns
    -------
    ndarray of uint8
        1 to 255; 0 where no height is known. Slopes are scaled to the steepest tenth of the image, so the
        size of a cell does not matter.
    """
    padded = np.pad(height, 1, mode="edge")
    down = 0.5 * (padded[2:, 1:-1] - padded[:-2, 1:-1])
    right = 0.5 * (padded[1:-1, 2:] - padded[1:-1, :-2])
    slope = np.hypot(down, right)
    known = np.isfinite(slope)
    scale = float(np.percentile(slope[known], 90)) if known.any() else 1.0
    lit = (0.7 * down + 0.7 * right) / (scale if scale > 0 else 1.0)
    return np.where(known, np.clip(155 + 70 * np.tanh(np.where(known, lit, 0.0)), 1, 255), 0).astype(np.uint8)


def _numbers(name: str, images: list[Floats]) -> Layer:
    largest = max((float(np.nanmax(np.abs(i), initial=0.0)) for i in images), default=0.0)
    step = STEP if largest <= 32_000 * STEP else 10.0 ** math.ceil(math.log10(largest / 32_000))
    slices = []
    for image in images:
        finite = np.isfinite(image)
        numbers = np.where(finite, np.round(np.where(finite, image, 0.0) / step), GAP).astype("<i2")
        slices.append(_press(numbers))
    return Layer(name, "int16", step, 0.0, tuple(slices))


def _bytes(name: str, images: list[NDArray[np.uint8]], step: float = 1.0) -> Layer:
    return Layer(name, "uint8", step, 0.0, tuple(map(_press, images)))


def _decibels(name: str, images: list[Floats]) -> Layer:
    """Amplitudes in decibels, 1 to 255 between the first and the last percentile; 0 is no value."""
    decibels = []
    for image in images:
        positive = np.isfinite(image) & (image > 0)
        decibels.append(np.where(positive, 20.0 * np.log10(np.where(positive, image, 1.0)), np.nan))
    known = [d[np.isfinite(d)] for d in decibels if np.isfinite(d).any()]
    low = min((float(np.percentile(d, 1)) for d in known), default=0.0)
    high = max((float(np.percentile(d, 99)) for d in known), default=1.0)
    step = max(high - low, 1e-6) / 254.0
    offset = low - step
    slices = [
        _press(np.where(np.isfinite(d), np.clip(np.round((d - offset) / step), 1, 255), 0).astype(np.uint8))
        for d in decibels
    ]
    return Layer(name, "uint8", step, offset, tuple(slices))


def _press(array: NDArray[Any]) -> bytes:
    return gzip.compress(np.ascontiguousarray(array).tobytes(), 6, mtime=0)


def _percentile(images: list[Floats], percent: float, chosen: NDArray[np.bool_] | None = None) -> float:
    """Largest over the images of a percentile of the size; 0 of nothing."""
    found = [0.0]
    for image in images:
        values = image[np.isfinite(image) & (True if chosen is None else chosen)]
        if values.size:
            found.append(float(np.percentile(np.abs(values), percent)))
    return max(found)


def nice(value: float) -> float:
    """Round up to 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten; NaN and zero become 1."""
    if not math.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(n * power for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if n * power >= value * (1 - 1e-9))
