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
ROWS = 512


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
        self._errors, self._leads = errors, dict(fields)

        def made(lead: tuple[int, ...], kind: type) -> Any:
            whole = (*lead, *shape)
            return Filed(whole, np.dtype(kind)) if filed else np.zeros(whole, kind)

        self._arrays = {name: made(lead, np.float32) for name, lead in fields.items()}
        self._flags = {name: made((), np.uint8) for name in bits}
        self._weight, self._rank = made((), np.float32), made((), np.float32)
        if "mask" in bits:
            for rows in self._bands():
                self._flags["mask"][rows] = np.uint8(Flag.NODATA)

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
        first = np.asarray(images[self.fields[0]])
        finite = np.isfinite(first.reshape(-1, *first.shape[-2:])[0])
        counts = np.where(finite, weight, 0.0).astype(np.float32)
        for name in self.fields:
            key = (*(slice(None) for _ in self._leads[name]), *place)
            share = np.where(counts > 0, counts * images[name], np.float32(0))
            self._arrays[name][key] = self._arrays[name][key] + share.astype(np.float32)
        self._weight[place] = self._weight[place] + (counts**2 if self._errors else counts)
        rank = np.where(weight > 0, weight + 2.0 * finite, 0.0).astype(np.float32)
        before = self._rank[place]
        for name in self.bits:
            assert flags is not None
            there = self._flags[name][place]
            self._flags[name][place] = np.where(rank > before, flags[name], there).astype(np.uint8)
        self._rank[place] = np.maximum(rank, before)

    def finish(self) -> None:
        """Divide by the weights; NaN where no tile has an answer."""
        for rows in self._bands():
            total = np.asarray(self._weight[rows])
            norm = np.sqrt(total) if self._errors else total
            for name in self.fields:
                key = (*(slice(None) for _ in self._leads[name]), rows)
                mean = self._arrays[name][key] / np.where(total > 0, norm, np.float32(1))
                self._arrays[name][key] = np.where(total > 0, mean, np.float32(np.nan)).astype(np.float32)

    def lay(
        self, place: Place, weight: Float, images: Mapping[str, Any], flags: Mapping[str, Any] | None = None
    ) -> None:
        """Lay an answer over what is finished, as far as its weight goes; parameters as for :meth:`add`."""
        first = np.asarray(images[self.fields[0]])
        finite = np.isfinite(first.reshape(-1, *first.shape[-2:])[0])
        own = np.where(finite, weight, 0.0)
        for name in self.fields:
            key = (*(slice(None) for _ in self._leads[name]), *place)
            there = self._arrays[name][key]
            mixed = own * images[name] + (1 - own) * there
            if self._errors:
                mixed = mixed / np.sqrt(own**2 + (1 - own) ** 2)
            mixed = np.where((own > 0) & ~np.isfinite(there), images[name], mixed)
            new = np.where(own >= 1, images[name], np.where(own > 0, mixed, there))
            self._arrays[name][key] = new.astype(np.float32)
        for name in self.bits:
            assert flags is not None
            there = self._flags[name][place]
            self._flags[name][place] = np.where(own >= 0.5, flags[name], there).astype(np.uint8)

    def read(self, name: str) -> Any:
        """Whole array (…, rows, columns): in memory, or lazy where it is in a file."""
        stored = self._arrays[name] if name in self._arrays else self._flags[name]
        return stored.lazy() if isinstance(stored, Filed) else stored

    def window(self, name: str, place: Place) -> NDArray[Any]:
        """Read a window of an image of flags or of a field without leading dimensions."""
        stored = self._arrays[name] if name in self._arrays else self._flags[name]
        return np.asarray(stored[place])
