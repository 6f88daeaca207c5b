"""From planes in files to a lazily loaded Stack."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.masks import MASK_ATTRS, Flag
from mosart.stack import ATTRIBUTES, Stack

from .cf import VARIABLE_ATTRS
from .hdf5 import Plane, tile_rows
from .lazy import Blocks, lazy
from .values import drop_border, kind_of, to_amplitude, to_height, to_real

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Images:
    """Amplitude images of several dates, read by blocks of complete rows.

    Indexing like an array of shape (date, azimuth, range) is what dask asks of it.
    """

    planes: tuple[Plane, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Dates, rows, columns."""
        return (len(self.planes), *self.planes[0].shape)

    dtype = np.dtype(np.float32)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[np.float32]:
        dates, rows, columns = key
        # Borders show in complete rows alone, so a part of the columns is cut out afterwards.
        return np.stack([self._rows(plane, rows)[:, columns] for plane in self.planes[dates]])

    @staticmethod
    def _rows(plane: Plane, rows: slice) -> NDArray[np.float32]:
        return drop_border(to_amplitude(plane.read(rows), f"{plane.label} in {plane.path}"))


@dataclass(frozen=True)
class Grid:
    """A plane of heights, coordinates or angles in float64, read by blocks."""

    plane: Plane
    convert: Callable[[NDArray[Any], str], NDArray[np.float64]] = to_real

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.plane.shape

    dtype = np.dtype(np.float64)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[np.float64]:
        return self.convert(self.plane.read(*key), f"{self.plane.label} in {self.plane.path}")


@dataclass(frozen=True)
class Clipped:
    """Flags of clipped pixels by date, read by blocks; dates without any are clear."""

    planes: tuple[Plane | None, ...]
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Dates, rows, columns."""
        return (len(self.planes), *self.size)

    dtype = np.dtype(np.bool_)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[np.bool_]:
        dates, rows, columns = key
        layers = []
        for plane in self.planes[dates]:
            if plane is None:
                sizes = [len(range(*part.indices(n))) for part, n in zip((rows, columns), self.size)]
                layers.append(np.zeros(sizes, dtype=np.bool_))
            else:
                layers.append(plane.read(rows, columns) != 0)
        return np.stack(layers)


@dataclass(frozen=True)
class Parts:
    """What a reader found in a file.

    Parameters
    ----------
    path : Path
        The file.
    images : mapping of date to Plane
        Amplitude images.
    height : Plane
        Reference DEM.
    grids : mapping of str to Plane
        ``longitude``, ``latitude``, ``incidence_angle``, ``gradient``, where there are any.
    clipped : mapping of date to Plane
        Flags of clipped pixels.
    attrs : mapping
        Attributes of the stack that the file gives.
    """

    path: Path
    images: Mapping[dt.date, Plane]
    height: Plane
    grids: Mapping[str, Plane] = field(default_factory=dict)
    clipped: Mapping[dt.date, Plane] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)


def build(parts: Parts) -> Stack:
    """Put together a lazily loaded stack.

    Parameters
    ----------
    parts : Parts
        What a reader found.

    Returns
    -------
    Stack
        Nothing but metadata is in memory.

    Raises
    ------
    InputError
        If shapes differ or an image does not hold numbers.
    """
    dates = sorted(parts.images)
    planes = tuple(parts.images[date] for date in dates)
    _check(parts)
    shape = parts.height.shape
    chunked = [p.chunk_rows for p in (*planes, parts.height, *parts.grids.values())]
    rows = tile_rows(shape, [n for n in chunked if n is not None])
    chunks = (1, rows, shape[1])
    token = tokenize(str(parts.path), parts.height.source.fingerprint, [p.label for p in planes])

    def blocks(source: Blocks, name: str) -> Any:
        return lazy(source, chunks[-len(source.shape) :], f"{name}-{token}")

    amplitude = blocks(Images(planes), "amplitude")
    mask = da.where(da.isnan(amplitude), np.uint8(Flag.NODATA), np.uint8(0))
    if parts.clipped:
        flags = blocks(Clipped(tuple(parts.clipped.get(date) for date in dates), shape), "clipped")
        mask = mask | da.where(flags, np.uint8(Flag.CLIPPED), np.uint8(0))
    variables: dict[str, Any] = {
        "amplitude": (("date", "azimuth", "range"), amplitude, VARIABLE_ATTRS["amplitude"]),
        "mask": (("date", "azimuth", "range"), mask, MASK_ATTRS),
        "height": (
            ("azimuth", "range"),
            blocks(Grid(parts.height, to_height), "height"),
            VARIABLE_ATTRS["height"],
        ),
    }
    for name, grid in parts.grids.items():
        variables[name] = (("azimuth", "range"), blocks(Grid(grid), name), VARIABLE_ATTRS[name])
    attrs = dict.fromkeys(ATTRIBUTES, "unknown") | {"source": parts.path.name} | dict(parts.attrs)
    return Stack(
        xr.Dataset(
            variables,
            coords={
                "date": ("date", np.array(dates, dtype="datetime64[ns]"), VARIABLE_ATTRS["date"]),
                "azimuth": ("azimuth", np.arange(shape[0]), VARIABLE_ATTRS["azimuth"]),
                "range": ("range", np.arange(shape[1]), VARIABLE_ATTRS["range"]),
            },
            attrs=attrs,
        )
    )


def _check(parts: Parts) -> None:
    shape = parts.height.shape
    modulus = []
    others = [*parts.images.values(), *parts.grids.values(), *parts.clipped.values()]
    for plane in others:
        if plane.shape != shape:
            raise InputError(
                f"{plane.label} in {parts.path} has another shape than {parts.height.label}",
                expected=f"{shape[0]} azimuth rows × {shape[1]} range pixels",
                got=f"{plane.shape[0]} × {plane.shape[1]}",
                hint="coregister all images on one radar grid",
            )
    for plane in parts.images.values():
        if kind_of(plane.dtype, f"{plane.label} in {parts.path}") != "real":
            modulus.append(plane.label)
    for plane in (parts.height, *parts.grids.values()):
        to_real(np.zeros(1, plane.dtype), f"{plane.label} in {parts.path}")
    if modulus:
        log.info("%s: complex numbers, their modulus is taken: %s", parts.path, ", ".join(modulus))
