"""Changes on a map of several looks that some tile cuts: the boxes in which they are solved in one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from .growth import MARGIN, MOVED_ERRORS, MOVED_PIXELS, Changed, Place, merged
from .maptiles import HALO_NODES, laid_box
from .tiles import Box

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]

#: Nodes of changed ground below which it is no more than its noise, or fits any halo.
FEWEST_NODES = 4
#: Nodes of the largest box that is solved in one: what fits 3 GB, and is factorised.
LARGEST_BOX = 144 * 144


def changes_beyond(change: Float, std: Float, tiles: Sequence[Box], spacing: float, unit: float) -> list[Box]:
    """Lay boxes around changes that a tile cuts which has a say in them.

    Parameters
    ----------
    change, std : ndarray (y, x)
        Answers of the tiles on the nodes, metres; NaN where there are none.
    tiles : sequence of Box
        All tiles.
    spacing : float
        Of the nodes, metres.
    unit : float
        Height that moves ground by a range pixel, metres.

    Returns
    -------
    list of Box
        That do not overlap.
    """
    size = np.abs(np.nan_to_num(change))
    moved = size > np.maximum(MOVED_PIXELS * unit, MOVED_ERRORS * np.nan_to_num(std, nan=np.inf))
    labels, _ = label(moved, structure=np.ones((3, 3)))

    def laid(place: Place, largest: float) -> Changed:
        margin = HALO_NODES + int(np.ceil(MARGIN * largest / spacing))
        return Changed(place, largest, laid_box(place, margin, HALO_NODES, size.shape))

    found = []
    for index, place in enumerate(find_objects(labels), start=1):
        here = labels[place] == index
        if here.sum() >= FEWEST_NODES:
            found.append(laid((place[0], place[1]), float(size[place][here].max())))
    boxes = []
    for one in merged(found, laid):
        if not any(_cuts(tile, one) for tile in tiles):
            continue
        if one.box.shape[0] * one.box.shape[1] > LARGEST_BOX:
            logger.warning(
                "a change of up to %.0f m reaches over %d × %d nodes with its surroundings, too many to be "
                "solved in one: its tiles' answers are joined",
                one.largest,
                *one.box.shape,
            )
            continue
        boxes.append(one.box)
    return boxes


def _cuts(tile: Box, one: Changed) -> bool:
    """Whether a tile has a say in a change and does not hold it with its surroundings."""
    inside = []
    for part, span in zip(one.place, (tile.rows, tile.pixels)):
        at = np.arange(part.start, part.stop, dtype=np.float64) + 0.5
        inside.append(bool(((at > span.start) & (at < span.stop) & (span.share(at) > 0)).any()))
    return all(inside) and not tile.holds(one.box)
