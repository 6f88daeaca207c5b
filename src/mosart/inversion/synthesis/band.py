"""The band of the normal equations: the order of unknowns that makes it narrow, its entries, its memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mosart.compiled import compiled

from .prior import Prior

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Rows of the Jacobian that may reach beyond the band: each costs a right-hand side. A few blocks see ground
#: far apart, beside shadow and layover, and a band that held them would be several times as wide.
BESIDE = 32
#: Columns of the band that many right-hand sides are solved with at a time.
PANEL = 64


@compiled
def add_products(pointer: Int, index: Int, value: Float, place: Int, band: Float) -> None:
    """Add ``JᵀJ`` of a sparse ``J`` to the lower band of a matrix whose unknowns are reordered."""
    for r in range(len(pointer) - 1):
        for p in range(pointer[r], pointer[r + 1]):
            i = place[index[p]]
            for q in range(pointer[r], pointer[r + 1]):
                j = place[index[q]]
                if j <= i and value[p] != 0.0 and value[q] != 0.0:  # a stored zero may lie beyond the band
                    band[i - j, j] += value[p] * value[q]


@compiled
def add_prior(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - a kernel
    row, column, value, inverse, place, band,
):  # fmt: skip
    """Add a prior's precision, given by its entries, with the inverse envelope on both sides."""
    for q in range(len(value)):
        i, j = place[row[q]], place[column[q]]
        if j <= i:
            band[i - j, j] += value[q] * inverse[row[q]] * inverse[column[q]]


@compiled
def _reaches(pointer: Int, index: Int, value: Float, place: Int, reach: Int) -> None:
    """Furthest two unknowns of every row of ``J``, in their new order."""
    for r in range(len(pointer) - 1):
        low, high = len(place), -1
        for p in range(pointer[r], pointer[r + 1]):
            if value[p] != 0.0:
                low, high = min(low, place[index[p]]), max(high, place[index[p]])
        reach[r] = max(high - low, 0)


class Room:
    """Memory of a band that one factorisation leaves to the next: new memory costs more than to fill it.

    The solver that used it last is the one that can.
    """

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def band(self, width: int, unknowns: int, dtype: type) -> Float:
        """Zeros, (width, unknowns) in Fortran's order."""
        size = width * unknowns * np.dtype(dtype).itemsize
        if size > len(self._bytes):
            self._bytes = np.empty(0, np.uint8)  # frees it before the larger one is made
            self._bytes = np.empty(size, np.uint8)
        band: Float = self._bytes[:size].view(dtype).reshape(width, unknowns, order="F")
        band.fill(0)
        return band


class Ordering:
    """The unknowns of a node side by side, nodes along the axis that makes the band narrow.

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (data, unknowns)
        ``√W J``.
    priors : sequence of Prior
        One for each block of unknowns, all on the same nodes.

    Attributes
    ----------
    place : ndarray (unknowns,)
        Where each goes.
    width : int
        Diagonals of the band beside the main one.
    beside : ndarray (row,)
        The rows of the Jacobian, :data:`BESIDE` at most, that reach further.
    """

    def __init__(self, weighted: sp.csr_array, priors: Sequence[Prior]) -> None:
        ny, nx = priors[0].envelope.shape
        fields, node = len(priors), np.arange(ny * nx)
        prior_reach = [2 * fields * n for n in (nx, ny)]  # of KᵀK
        found = []
        for at, least in zip((node, (node % nx) * ny + node // nx), prior_reach):
            place = (at[None] * fields + np.arange(fields)[:, None]).ravel()
            reach = np.zeros(weighted.shape[0], np.int64)
            _reaches(
                weighted.indptr.astype(np.int64), weighted.indices.astype(np.int64), weighted.data,
                place, reach,
            )  # fmt: skip
            usual = np.partition(reach, len(reach) - BESIDE - 1)[-BESIDE - 1] if len(reach) > BESIDE else 0
            found.append((max(least, int(usual)), place, reach))
        width, self.place, reach = min(found, key=lambda f: f[0])
        self.width: int = min(width, len(self.place) - 1)
        self.beside = np.flatnonzero(reach > self.width)

    @property
    def band(self) -> int:
        """Numbers in the band."""
        return (self.width + 1) * len(self.place)


def substitute(band: Float, right: Float, trsm: Any) -> None:
    """Solve ``L Lᵀ x = b`` in place for many right-hand sides (unknown, number), some columns at a time.

    LAPACK's own routine takes one right-hand side after the other and waits for the memory each time.
    """
    width, n = len(band) - 1, band.shape[1]
    # column j of the band begins at the diagonal: seen with one row less it is the matrix itself
    matrix = np.lib.stride_tricks.as_strided(
        band, (n, n), (band.itemsize, width * band.itemsize), writeable=False
    )
    wide = min(PANEL, width)
    panels = []
    above = np.arange(wide)[:, None] <= np.arange(wide)
    for k in range(0, n, wide):
        here, full = slice(k, min(k + wide, n)), min(k + width, n)
        # below the square on the diagonal: rows that all columns reach, and those that only the last ones do
        panels.append((here, slice(here.stop, max(full, here.stop)), slice(full, min(full + wide, n))))

    def reached(here: slice, corner: slice) -> Float:
        part = matrix[corner, here]
        return np.where(above[: part.shape[0], : part.shape[1]], part, part.dtype.type(0))

    for here, whole, corner in panels:
        x = right[here]
        trsm(1.0, matrix[here, here], x.T, side=1, lower=1, trans_a=1, overwrite_b=1)
        right[whole] -= matrix[whole, here] @ x
        if corner.stop > corner.start:
            right[corner] -= reached(here, corner) @ x
    for here, whole, corner in reversed(panels):
        x = right[here]
        x -= matrix[whole, here].T @ right[whole]
        if corner.stop > corner.start:
            x -= reached(here, corner).T @ right[corner]
        trsm(1.0, matrix[here, here], x.T, side=1, lower=1, overwrite_b=1)
