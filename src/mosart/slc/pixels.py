"""Complex pixels from rasters that rasterio reads, one handle a thread."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from mosart.errors import InputError

from .product import Box

_OPENING = threading.Lock()


@dataclass(frozen=True)
class RasterPixels:
    """Pixels of a raster file, or of some of its lines.

    Parameters
    ----------
    name : str
        What rasterio opens: a path, or a path inside a zip.
    first_row : int
        Line of the file at which the segment starts.
    shape : tuple of int
        Lines and samples of the segment.
    """

    name: str
    first_row: int
    shape: tuple[int, int]
    _local: threading.local = field(default_factory=threading.local, repr=False, compare=False)

    def _handle(self) -> Any:
        handle = getattr(self._local, "handle", None)
        if handle is None:
            # Filters belong to the process: two threads that change them at once lose one's change.
            with _OPENING, warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                handle = rasterio.open(self.name)
            self._local.handle = handle
        return handle

    def check(self, rows: int, what: str) -> None:
        """Refuse a raster of another size, of real numbers, or cut short.

        Parameters
        ----------
        rows : int
            Lines that the annotation promises for the whole file.
        what : str
            Name of the product.

        Raises
        ------
        InputError
        """
        try:
            handle = self._handle()
        except RasterioError as error:
            raise InputError(f"{what}: the image cannot be opened", got=str(error)) from None
        if (handle.height, handle.width) != (rows, self.shape[1]):
            raise InputError(
                f"{what}: the image does not fit its annotation",
                expected=f"{rows} lines of {self.shape[1]} samples",
                got=f"{handle.height} lines of {handle.width} samples",
            )
        if not np.issubdtype(np.dtype(_numpy_type(handle.dtypes[0])), np.complexfloating):
            raise InputError(f"{what}: pixels of type {handle.dtypes[0]}", expected="complex pixels")
        try:
            handle.read(1, window=Window(0, rows - 1, self.shape[1], 1))
        except (RasterioError, OSError, ValueError) as error:
            raise InputError(f"{what}: the image is truncated", got=str(error)) from None

    def read(self, box: Box) -> NDArray[np.complex64]:
        """Pixels of a box; parts outside the segment are zero."""
        row0, row1, column0, column1 = box
        out = np.zeros((max(row1 - row0, 0), max(column1 - column0, 0)), dtype=np.complex64)
        r0, r1 = max(row0, 0), min(row1, self.shape[0])
        c0, c1 = max(column0, 0), min(column1, self.shape[1])
        if r0 >= r1 or c0 >= c1:
            return out
        try:
            part = self._handle().read(1, window=Window(c0, r0 + self.first_row, c1 - c0, r1 - r0))
        except (RasterioError, OSError, ValueError) as error:
            raise InputError(f"{self.name}: lines {r0} to {r1} cannot be read", got=str(error)) from None
        out[r0 - row0 : r1 - row0, c0 - column0 : c1 - column0] = part
        return out


def _numpy_type(name: str) -> str:
    return {"complex_int16": "complex64"}.get(name, name)
