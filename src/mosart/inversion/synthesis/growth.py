"""Changes that reach beyond a tile: the boxes in which they are solved in one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from .canvas import Canvas
from .tiles import Box, grown_box

logger = logging.getLogger(__name__)

Place = tuple[slice, slice]

#: Pixels in either direction that are looked at as one.
COARSE = 8
#: A change counts beyond this many range pixels' heights and standard errors.
MOVED_PIXELS, MOVED_ERRORS = 1.5, 3.0
#: Ground around changed ground that is solved with it, in multiples of its largest change, which counts as
#: this many range pixels' heights at least: as far as the search looks.
MARGIN, LEAST_PIXELS = 2.0, 12.0
#: Pixels of the largest box that is solved in one.
LARGEST_BOX = 6_000_000


@dataclass(frozen=True)
class Scale:
    """Sizes of an image's pixels.

    Parameters
    ----------
    unit : float
        Height that moves ground by a range pixel, metres.
    spacing : tuple of float
        A row and a range pixel on the ground, metres.
    halo : tuple of int
        Rows and pixels of a tile's halo.
    """

    unit: float
    spacing: tuple[float, float]
    halo: tuple[int, int]


@dataclass(frozen=True)
class Changed:
    """Changed ground: its pixels or nodes, its largest change in metres, and the box around it."""

    place: Place
    largest: float
    box: Box


def boxes_beyond(
    canvas: Canvas, entry: int, searched: Sequence[Box], tiles: Sequence[Box], scale: Scale
) -> list[Box]:
    """Boxes around changes that were searched for and that no tile holds with their surroundings.

    Parameters
    ----------
    canvas : Canvas
        Answers of the tiles.
    entry : int
        Which.
    searched : sequence of Box
        Tiles in which the search ran.
    tiles : sequence of Box
        All tiles.
    scale : Scale
        Of the image.

    Returns
    -------
    list of Box
        That do not overlap where their answers count alone.
    """
    change = _coarse_change(canvas, entry, scale.unit)
    labels, _ = label(change > 0, structure=np.ones((3, 3)))
    shape = canvas.shape[1:]
    asked = np.zeros(labels.shape, bool)
    for box in searched:
        rows, pixels = (slice(s.start // COARSE, -(-s.stop // COARSE)) for s in box.slices)
        asked[rows, pixels] = True

    def laid(place: Place, largest: float) -> Changed:
        metres = MARGIN * max(largest, LEAST_PIXELS * scale.unit)
        margin = [int(np.ceil(metres / s)) + h for s, h in zip(scale.spacing, scale.halo)]
        return Changed(place, largest, grown_box(place, (margin[0], margin[1]), scale.halo, shape))

    found = []
    for index, place in enumerate(find_objects(labels), start=1):
        here = labels[place] == index
        if not (here & asked[place]).any():
            continue
        largest = float(change[place][here].max())
        y, x = (slice(s.start * COARSE, min(s.stop * COARSE, n)) for s, n in zip(place, shape))
        found.append(laid((y, x), largest))
    boxes = []
    for one in merged(found, laid):
        if any(tile.holds(one.box) for tile in tiles):
            continue
        if one.box.shape[0] * one.box.shape[1] > LARGEST_BOX:
            logger.warning(
                "a change of up to %.0f m reaches over %d rows and %d pixels, too many to be solved in one: "
                "its tiles' answers are joined",
                one.largest,
                *one.box.shape,
            )
            continue
        boxes.append(one.box)
    return boxes


def _coarse_change(canvas: Canvas, entry: int, unit: float) -> NDArray[np.float64]:
    """Largest |change| in squares of pixels, of what counts as changed; 0 elsewhere."""
    rows, pixels = canvas.shape[1:]
    out = np.zeros((-(-rows // COARSE), -(-pixels // COARSE)))
    for k in range(len(out)):
        part = slice(k * COARSE, min((k + 1) * COARSE, rows))
        change = np.abs(np.nan_to_num(canvas.read("estimate", entry, part)))
        std = canvas.read("elevation_change_std", entry, part)
        moved = change > np.maximum(MOVED_PIXELS * unit, MOVED_ERRORS * np.nan_to_num(std, nan=np.inf))
        largest = np.where(moved, change, 0.0).max(axis=0)
        out[k] = np.maximum.reduceat(largest, np.arange(0, pixels, COARSE))
    return out


def merged(found: list[Changed], laid: Callable[[Place, float], Changed]) -> list[Changed]:
    """Lay one box around changes whose boxes overlap.

    Parameters
    ----------
    found : list of Changed
        All changes.
    laid : callable
        Lays the box around a place, given its largest change.

    Returns
    -------
    list of Changed
        Whose boxes do not overlap.
    """
    left, done = list(found), list[Changed]()
    while left:
        one = left.pop()
        for k, other in enumerate(done):
            if all(a.start < b.stop and b.start < a.stop for a, b in zip(one.box.slices, other.box.slices)):
                del done[k]
                y, x = (
                    slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one.place, other.place)
                )
                left.append(laid((y, x), max(one.largest, other.largest)))
                break
        else:
            done.append(one)
    return done
