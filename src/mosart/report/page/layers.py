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
from mosart.report.raster import block_bits, block_means

Numbers = NDArray[np.float32]

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
    change : tuple of ndarray
        Block means of the change on every date, metres.
    """

    layers: tuple[Layer, ...]
    block: int
    shape: tuple[int, int]
    limit: float
    std_limit: float
    change: tuple[Numbers, ...] = ()


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
    read = _read(data, quantity, dims, block, None if focus is None or not focus.any() else focus)
    while True:
        drawn = _draw(read, least)
        size = sum(layer.size for layer in drawn.layers)
        if size <= budget:
            return drawn
        if min(drawn.shape) <= 1 and max(drawn.shape) < 16:
            raise InputError(
                "the result is too large for a page", expected=f"{budget} bytes", got=f"{size} bytes"
            )
        read = _coarser(read, max(2, math.ceil(math.sqrt(size / budget))))


@dataclass(frozen=True)
class _Read:
    """What there is to show, in blocks of four bytes a number: every file is read once."""

    block: int
    numbers: dict[str, list[Numbers]]
    share: list[Numbers]
    bits: dict[str, list[NDArray[np.uint8]]]
    focus: NDArray[np.bool_] | None


#: Layers by name, and the variables that they show.
_NUMBERS = {
    "std": "elevation_change_std",
    "amplitude": "measured_amplitude",
    "modelled": "modelled_amplitude",
    "height": "height",
}
_BITS = ("mask", "looks")


def _read(
    data: xr.Dataset,
    quantity: str,
    dims: tuple[str, str],
    block: int,
    focus: NDArray[np.bool_] | None,
) -> _Read:
    wanted = {"change": quantity} | {n: v for n, v in _NUMBERS.items() if v in data and data[v].ndim > 1}
    numbers: dict[str, list[Numbers]] = {}
    shares: list[Numbers] = []
    for name, variable in wanted.items():
        numbers[name] = []
        for image in _images(data[variable], dims):
            mean, share = block_means(image, block)
            numbers[name].append(mean.astype(np.float32))
            if name == "change":
                shares.append(share.astype(np.float32))
    bits = {n: [block_bits(i, block) for i in _images(data[n], dims)] for n in _BITS if n in data}
    small = None if focus is None else block_bits(focus, block).astype(bool)
    return _Read(block, numbers, shares, bits, small)


def _coarser(read: _Read, times: int) -> _Read:
    """Make blocks of blocks; the change is weighted by how much of each was seen."""
    numbers: dict[str, list[Numbers]] = {}
    shares: list[Numbers] = []
    for name, images in read.numbers.items():
        numbers[name] = []
        for number, image in enumerate(images):
            weights = read.share[number].astype(np.float64) if name == "change" else None
            mean, share = block_means(image, times, weights)
            numbers[name].append(mean.astype(np.float32))
            if name == "change":
                shares.append(share.astype(np.float32))
    bits = {name: [block_bits(image, times) for image in images] for name, images in read.bits.items()}
    focus = None if read.focus is None else block_bits(read.focus, times).astype(bool)
    return _Read(read.block * times, numbers, shares, bits, focus)


def _draw(read: _Read, least: float) -> Drawn:
    means = read.numbers
    change = means["change"]
    layers = [_numbers("change", change)]
    if read.block > 1:
        shares = [np.round(share * 255).astype(np.uint8) for share in read.share]
        layers.append(_bytes("share", shares, 1 / 255))
    std_limit = math.nan
    if "std" in means:
        layers.append(_numbers("std", means["std"]))
        std_limit = nice(_percentile(means["std"], 98.0))
    layers += [_bytes(name, images) for name, images in read.bits.items()]
    layers += [_decibels(name, means[name]) for name in ("amplitude", "modelled") if name in means]
    if "height" in means:
        layers.append(_bytes("relief", [relief(means["height"][0])]))
    limit = nice(max(least, _percentile(change, 98.0 if read.focus is None else 97.0, read.focus), 0.1))
    rows, columns = change[0].shape
    return Drawn(tuple(layers), read.block, (rows, columns), limit, std_limit, tuple(change))


def _images(variable: xr.DataArray, dims: tuple[str, str]) -> Iterator[xr.DataArray]:
    variable = variable.transpose(..., *dims)
    if "date" not in variable.dims:
        yield variable
        return
    for index in range(variable.sizes["date"]):
        yield variable.isel(date=index)


def relief(height: Numbers) -> NDArray[np.uint8]:
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


def _numbers(name: str, images: list[Numbers]) -> Layer:
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


def _decibels(name: str, images: list[Numbers]) -> Layer:
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


def _percentile(images: list[Numbers], percent: float, chosen: NDArray[np.bool_] | None = None) -> float:
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
