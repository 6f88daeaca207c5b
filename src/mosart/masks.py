"""Bit flags of a pixel: one polarity everywhere, a set bit is a reason not to use the pixel."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray


class Flag(IntFlag):
    """Reasons not to use a pixel, as bits of an unsigned byte."""

    LAYOVER = 1
    SHADOW = 2
    WATER = 4
    NODATA = 8
    CLIPPED = 16
    UNRESOLVED = 32


#: Bits that make a product NaN; a clipped pixel keeps its number.
WITHHELD = Flag.LAYOVER | Flag.SHADOW | Flag.WATER | Flag.NODATA | Flag.UNRESOLVED

#: CF attributes of a mask variable.
MASK_ATTRS: dict[str, object] = {
    "long_name": "reasons not to use the pixel",
    "flag_masks": np.array([flag.value for flag in Flag], dtype=np.uint8),
    "flag_meanings": " ".join(flag.name.lower() for flag in Flag if flag.name),
}

#: Attribute of a stack whose layover and shadow were traced on the DEM raster, and its value: a radar-coded
#: DEM does not hold the folds and so tells less of them.
VISIBILITY, TRACED = "layover_shadow", "traced on the DEM raster"


def withheld(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels whose products are NaN: any bit but ``CLIPPED`` is set.

    Parameters
    ----------
    mask : ndarray of uint8
        Bit flags, any shape.

    Returns
    -------
    ndarray of bool
        Same shape.
    """
    return np.asarray((mask & np.uint8(WITHHELD)) != 0)
