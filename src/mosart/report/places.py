"""Where the change is strongest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

#: Side of the window that the strongest change is the mean of, cells of the picture.
WINDOW = 9


@dataclass(frozen=True)
class Extreme:
    """The strongest mean of a window of one date.

    Parameters
    ----------
    value : float
        Metres; NaN where no window is seen by half.
    row, column : int
        Cell of the picture in its middle.
    """

    value: float
    row: int
    column: int


def extremes(image: Floats) -> tuple[Extreme, Extreme]:
    """Find where the ground rose and sank most.

    Parameters
    ----------
    image : ndarray, (rows, columns)
        Change, metres, NaN in gaps.

    Returns
    -------
    highest, lowest : Extreme
        Means of a window of a few cells that are seen at least by half: single cells are noise.
    """
    side = tuple(max(1, min(WINDOW, size)) for size in image.shape)
    finite = np.isfinite(image)
    total = ndimage.uniform_filter(np.where(finite, image, 0.0), side, mode="constant")
    share = ndimage.uniform_filter(finite.astype(np.float64), side, mode="constant")
    mean = np.where((share >= 0.5 - 1e-9) & finite, total / np.maximum(share, 1e-9), np.nan)
    if not np.isfinite(mean).any():
        return Extreme(math.nan, 0, 0), Extreme(math.nan, 0, 0)
    found = []
    for index in (np.nanargmax(mean), np.nanargmin(mean)):
        row, column = np.unravel_index(index, mean.shape)
        found.append(Extreme(float(mean[row, column]), int(row), int(column)))
    return found[0], found[1]
