"""Where the answers of map tiles come together on one grid: weighted means, of any outline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.masks import Flag

from .canvas import Filed

Float = NDArray[np.float64]
Place = tuple[slice, slice]

#: Rows that are worked on at a time.
ROWS = 128


class Mosaic:
    """Images of one entry on one grid, that tiles are added to.

    Parameters
    ----------
    fields : mapping of str to tuple of int
        Names of the float32 images, and their leading dimensions. The first tells whether a tile has an
        answer at a place: it counts where that is finite.
    shape : tuple of int
        Rows and columns.
    bits : sequence of str
        Names of images of flags, of which those of the weightiest tile count; all begin as zero, ``mask``
        as ``NODATA``.
    filed : bool
        Whether they are kept in files.
    errors : bool
        Whether the fields are draws of errors: the mean of two tiles' draws then varies as much as each.
    """

    def __init__(
        self,
        fields: Mapping[str, tuple[int, ...]],
        shape: tuple[int, int],
        bits: tuple[str, ...] = (),
        *,
        filed: bool = False,
        errors: bool = False,
    ) -> None:
        self.fields, self.bits, self.shape = tuple(fields), bits, shape
        self._errors, self._at, number = errors, dict[str, Any](), 2
        for name, lead in fields.items():
            size = int(np.prod(lead))
            self._at[name] = slice(number, number + size) if lead else number
            number += size

        def made(images: int, kind: type) -> Any:
            return Filed((images, *shape), np.dtype(kind)) if filed else np.zeros((images, *shape), kind)

        # the first two: the sum of the weights, and how much the tile counts whose flags are there
        self._images, self._flags = made(number, np.float32), made(len(bits), np.uint8)
        if "mask" in bits:
            for rows in self._bands():
                self._flags[bits.index("mask"), rows] = np.uint8(Flag.NODATA)

    def _bands(self) -> list[slice]:
        return [slice(k, min(k + ROWS, self.shape[0])) for k in range(0, self.shape[0], ROWS)]

    def add(
        self, place: Place, weight: Float, images: Mapping[str, Any], flags: Mapping[str, Any] | None = None
    ) -> None:
        """Add the answer of one of the tiles whose weights add up to one.

        Parameters
        ----------
        place : tuple of slice
            Rows and columns of the tile's window.
        weight : ndarray (rows, columns)
            0 to 1.
        images : mapping of str to ndarray (…, rows, columns)
            All fields. Where the first is not finite the tile does not count, unless no other does.
        flags : mapping of str to ndarray of uint8 (rows, columns), optional
            All images of flags.
        """
        finite = self._finite(images)
        counts = np.where(finite, weight, 0.0).astype(np.float32)
        for name in self.fields:
            key = (self._at[name], *place)
            share = np.where(counts > 0, counts * images[name], np.float32(0))
            self._images[key] = self._images[key] + share.astype(np.float32)
        total, rank = (0, *place), (1, *place)
        self._images[total] = self._images[total] + (counts**2 if self._errors else counts)
        new = np.where(weight > 0, weight + 2.0 * finite, 0.0).astype(np.float32)
        before = self._images[rank]
        for k, name in enumerate(self.bits):
            assert flags is not None
            there = self._flags[(k, *place)]
            self._flags[(k, *place)] = np.where(new > before, flags[name], there).astype(np.uint8)
        self._images[rank] = np.maximum(new, before)

    def _finite(self, images: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Where a tile has an answer."""
        first = np.asarray(images[self.fields[0]])
        return np.asarray(np.isfinite(first.reshape(-1, *first.shape[-2:])[0]))

    def finish(self) -> None:
        """Divide by the weights; NaN where no tile has an answer."""
        for rows in self._bands():
            total = np.asarray(self._images[0, rows])
            norm = np.sqrt(total) if self._errors else total
            for name in self.fields:
                key = (self._at[name], rows)
                mean = self._images[key] / np.where(total > 0, norm, np.float32(1))
                self._images[key] = np.where(total > 0, mean, np.float32(np.nan)).astype(np.float32)

    def lay(
        self, place: Place, weight: Float, images: Mapping[str, Any], flags: Mapping[str, Any] | None = None
    ) -> None:
        """Lay an answer over what is finished, as far as its weight goes; parameters as for :meth:`add`."""
        own = np.where(self._finite(images), weight, 0.0)
        for name in self.fields:
            key = (self._at[name], *place)
            there = self._images[key]
            mixed = own * images[name] + (1 - own) * there
            if self._errors:
                mixed = mixed / np.sqrt(own**2 + (1 - own) ** 2)
            mixed = np.where((own > 0) & ~np.isfinite(there), images[name], mixed)
            new = np.where(own >= 1, images[name], np.where(own > 0, mixed, there))
            self._images[key] = new.astype(np.float32)
        for k, name in enumerate(self.bits):
            assert flags is not None
            there = self._flags[(k, *place)]
            self._flags[(k, *place)] = np.where(own >= 0.5, flags[name], there).astype(np.uint8)

    def read(self, name: str) -> Any:
        """Whole array (…, rows, columns): in memory, or lazy where it is in a file."""
        stored, at = (
            (self._images, self._at[name]) if name in self._at else (self._flags, self.bits.index(name))
        )
        return (stored.lazy() if isinstance(stored, Filed) else stored)[at]
