"""Boxes of a large image that are solved on their own, and how their answers are joined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: Rows and pixels of a tile without its halo: large against the halo, small against the memory.
TILE = (384, 1024)
#: Pixels around a tile that are solved with it: a correlation range of the change (twelve nodes), beyond
#: which what is left out does not reach. Along the azimuth it is as many metres.
HALO_PIXELS = 96
#: Tiles begin at multiples of this many rows and pixels: whole blocks, and pairs of them, of nearly any size.
ALIGNED = (24, 24)


@dataclass(frozen=True)
class Span:
    """Part of an axis: what is solved, and where its answer counts.

    Parameters
    ----------
    start, stop : int
        What is solved.
    rises, falls : tuple of float or None
        Where the weight grows from 0 to 1 and falls from 1 to 0; None at the image's edge.
    """

    start: int
    stop: int
    rises: tuple[float, float] | None = None
    falls: tuple[float, float] | None = None

    @property
    def slice(self) -> slice:
        """What is solved."""
        return slice(self.start, self.stop)

    @property
    def weight(self) -> Float:
        """Weight of every pixel of the part."""
        return self.share(np.arange(self.start, self.stop, dtype=np.float64) + 0.5)

    def share(self, at: Float) -> Float:
        """Weight at places, in pixels from the axis' beginning, also beyond the part."""
        weight = np.ones(at.shape)
        if self.rises is not None:
            weight *= np.clip((at - self.rises[0]) / (self.rises[1] - self.rises[0]), 0, 1)
        if self.falls is not None:
            weight *= np.clip((self.falls[1] - at) / (self.falls[1] - self.falls[0]), 0, 1)
        return weight


@dataclass(frozen=True)
class Box:
    """Part of an image.

    Parameters
    ----------
    rows, pixels : Span
        Along azimuth and range.
    """

    rows: Span
    pixels: Span

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and pixels."""
        return self.rows.stop - self.rows.start, self.pixels.stop - self.pixels.start

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and pixels."""
        return self.rows.slice, self.pixels.slice

    @property
    def weight(self) -> Float:
        """Weight of its answer at every pixel, (azimuth, range)."""
        return self.rows.weight[:, None] * self.pixels.weight[None]

    def holds(self, other: Box) -> bool:
        """Whether another box lies within."""
        return (
            self.rows.start <= other.rows.start
            and other.rows.stop <= self.rows.stop
            and self.pixels.start <= other.pixels.start
            and other.pixels.stop <= self.pixels.stop
        )


def cut(length: int, size: int, halo: int, aligned: int) -> list[Span]:
    """Cut an axis into overlapping parts whose weights add up to one.

    Parameters
    ----------
    length : int
        Of the axis.
    size : int
        Of a part without its halo, about.
    halo : int
        On either side of a part. The outer quarter of it does not count: its own surroundings are
        missing.
    aligned : int
        Parts begin at multiples of this.

    Returns
    -------
    list of Span
        One that is all, where the axis is not much longer than a part.
    """
    halo = -(-halo // aligned) * aligned
    number = max(1, round(length / size))
    if length <= size + 2 * halo:
        number = 1
    edges = [round(k * length / number / aligned) * aligned for k in range(number)] + [length]
    ramp = 0.75 * halo
    spans = []
    for k in range(number):
        rises = None if k == 0 else (edges[k] - ramp, edges[k] + ramp)
        falls = None if k == number - 1 else (edges[k + 1] - ramp, edges[k + 1] + ramp)
        spans.append(Span(max(0, edges[k] - halo), min(length, edges[k + 1] + halo), rises, falls))
    return spans


def halo_rows(azimuth_spacing: float, pixel: float) -> int:
    """Rows of a halo that is as wide as :data:`HALO_PIXELS` pixels on the ground.

    Parameters
    ----------
    azimuth_spacing, pixel : float
        Metres on the ground, of a row and of a range pixel.
    """
    return int(np.ceil(HALO_PIXELS * pixel / azimuth_spacing))


def plan_tiles(shape: tuple[int, int], halo: int, rows: int | None = None) -> list[list[Box]]:
    """Tile an image.

    Parameters
    ----------
    shape : tuple of int
        Rows and pixels.
    halo : int
        Rows of the halo.
    rows : int, optional
        Rows of a tile; by default those of :data:`TILE`, or more where the halo is large.

    Returns
    -------
    list of list of Box
        Bands of rows, each with its boxes along the range.
    """
    high = max(rows or TILE[0], 2 * halo)
    across = cut(shape[1], TILE[1], HALO_PIXELS, ALIGNED[1])
    return [[Box(band, span) for span in across] for band in cut(shape[0], high, halo, ALIGNED[0])]


def grown_box(
    changed: tuple[slice, slice], margin: tuple[int, int], ramp: tuple[int, int], shape: tuple[int, int]
) -> Box:
    """Box around changed ground, whose answer counts on the changed ground and half of the margin.

    Parameters
    ----------
    changed : tuple of slice
        Rows and pixels.
    margin : tuple of int
        Rows and pixels around it that are solved with it.
    ramp : tuple of int
        Rows and pixels over which its answer gives way to its surroundings'.
    shape : tuple of int
        Of the image.

    Returns
    -------
    Box
        Within the image, aligned.
    """
    spans = []
    for part, wide, over, length, aligned in zip(changed, margin, ramp, shape, ALIGNED, strict=True):
        start = max(0, (part.start - wide) // aligned * aligned)
        stop = min(length, -(-(part.stop + wide) // aligned) * aligned)
        rise, fall = start + over, stop - over
        spans.append(
            Span(
                start,
                stop,
                None if start == 0 else (rise - 0.75 * over, rise),
                None if stop == length else (fall, fall + 0.75 * over),
            )
        )
    return Box(*spans)
