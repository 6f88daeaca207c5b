"""Where the answers of tiles come together: in memory, or in files where they are too large for it."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from mosart.io.room import reserve

from .tiles import Box

#: Bytes up to which all is kept in memory.
KEPT_BYTES = 256_000_000
#: Bytes of a block in which a file is read.
BLOCK_BYTES = 16_000_000
#: Weight from which a tile's flags count: at any pixel that of one tile at least is as large.
FLAG_WEIGHT = 0.25


class Filed:
    """An array in a file without a name, of which no more than what is asked for is in memory.

    Parameters
    ----------
    shape : tuple of int
        Of the array, which begins as zeros.
    dtype : numpy.dtype
        Of its numbers.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)
        self.file = tempfile.TemporaryFile(prefix="mosart-")  # noqa: SIM115 (it lives as long as the array)
        weakref.finalize(self, self.file.close)
        reserve(self.file.fileno(), int(np.prod(shape)) * dtype.itemsize)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.array(np.memmap(self.file, self.dtype, "r", shape=self.shape)[key])

    def __setitem__(self, key: Any, values: Any) -> None:
        mapped = np.memmap(self.file, self.dtype, "r+", shape=self.shape)
        mapped[key] = values
        mapped.flush()

    def lazy(self) -> da.Array:
        """Give the array as it will be read: images (…, rows, columns) one by one, in blocks of rows."""
        rows = max(1, BLOCK_BYTES // (4 * self.shape[-1]))
        lead = (1,) * (self.ndim - 2)
        chunks = (*lead, min(rows, self.shape[-2]), self.shape[-1])
        array: da.Array = da.from_array(self, chunks=chunks, name=False)
        return array


class Canvas:
    """Images of a result, (entry, azimuth, range), that tiles are added to.

    Parameters
    ----------
    fields : sequence of str
        Names of the float32 images.
    shape : tuple of int
        Entries, rows, pixels.
    """

    def __init__(self, fields: Sequence[str], shape: tuple[int, int, int]) -> None:
        self.fields, self.shape = tuple(fields), shape
        kinds = dict.fromkeys(self.fields, np.dtype(np.float32)) | {"mask": np.dtype(np.uint8)}
        size = sum(kind.itemsize for kind in kinds.values()) * int(np.prod(shape))
        self._arrays: dict[str, Any]
        if size <= KEPT_BYTES:
            self._arrays = {name: np.zeros(shape, kind) for name, kind in kinds.items()}
        else:
            self._arrays = {name: Filed(shape, kind) for name, kind in kinds.items()}

    def add(self, entry: int, box: Box, images: Mapping[str, NDArray[Any]]) -> None:
        """Add the answer of one of the tiles whose weights add up to one.

        Parameters
        ----------
        entry : int
            Which.
        box : Box
            The tile.
        images : mapping of str to ndarray (azimuth, range)
            All fields, and the mask.
        """
        key = (entry, *box.slices)
        weight = box.weight.astype(np.float32)
        for name in self.fields:
            share = np.where(weight > 0, weight * images[name], 0)
            self._arrays[name][key] = (self._arrays[name][key] + share).astype(np.float32)
        flags = np.where(weight >= FLAG_WEIGHT, images["mask"], 0).astype(np.uint8)
        self._arrays["mask"][key] = self._arrays["mask"][key] | flags

    def lay(self, entry: int, box: Box, images: Mapping[str, NDArray[Any]]) -> None:
        """Lay the answer of a box over what there is, as far as its weight goes.

        Parameters
        ----------
        entry : int
            Which.
        box : Box
            Where.
        images : mapping of str to ndarray (azimuth, range)
            All fields, and the mask.
        """
        key = (entry, *box.slices)
        weight = box.weight.astype(np.float32)
        for name in self.fields:
            there = self._arrays[name][key]
            mixed = weight * images[name] + (1 - weight) * there
            new = np.where(weight >= 1, images[name], np.where(weight > 0, mixed, there))
            self._arrays[name][key] = new.astype(np.float32)
        self._arrays["mask"][key] = np.where(weight >= 0.5, images["mask"], self._arrays["mask"][key])

    def read(self, name: str, entry: int, rows: slice) -> NDArray[Any]:
        """Read some rows of an image."""
        return np.asarray(self._arrays[name][(entry, rows, slice(None))])

    def array(self, name: str) -> Any:
        """Whole array (entry, azimuth, range): in memory, or lazy where it is in a file."""
        stored = self._arrays[name]
        if isinstance(stored, np.ndarray):
            return stored
        return stored.lazy()


class RowMean:
    """A number a row, of which the tiles across it each have their own.

    Parameters
    ----------
    rows : int
        Of the image.
    """

    def __init__(self, rows: int) -> None:
        self._sums = np.zeros((2, rows))

    def add(self, rows: slice, values: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
        """Add what a tile says.

        Parameters
        ----------
        rows : slice
            Of the tile.
        values : ndarray (azimuth,)
            NaN where it says nothing.
        weight : ndarray (azimuth, range)
            Of its pixels.
        """
        share = np.where(np.isfinite(values), weight.sum(axis=1), 0.0)
        self._sums[:, rows] += share * np.nan_to_num(values), share

    @property
    def mean(self) -> NDArray[np.float64]:
        """Weighted mean of the tiles, (azimuth,); NaN where none says anything."""
        total, weight = self._sums
        return np.where(weight > 0, total / np.maximum(weight, 1e-12), np.nan)
