"""Stable ground: where a result should be zero, and how far from it the result is."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

#: Side of the blocks in which change is looked for, pixels.
BLOCK = 16

#: A block changed where its median is this many robust standard deviations of all blocks from theirs.
CHANGED = 3.0

#: Stable ground must be at least this part of the pixels that have a value.
LEAST_SHARE = 0.1

#: Median absolute deviation of a Gaussian in standard deviations, inverted.
GAUSSIAN = 1.4826


def nmad(values: NDArray[Any]) -> float:
    """Robust standard deviation: 1.4826 times the median absolute deviation from the median.

    Parameters
    ----------
    values : ndarray
        Any shape; NaN is left out.

    Returns
    -------
    float
        In the unit of the values; NaN where there are none.
    """
    values = np.asarray(values)
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return float("nan")
    return float(GAUSSIAN * np.median(np.abs(finite - np.median(finite))))


def spread(change: NDArray[Any], stable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Robust spread of each entry over stable ground.

    Parameters
    ----------
    change : ndarray (date, azimuth, range)
        Metres, NaN where there is no value.
    stable : ndarray of bool (azimuth, range) or (date, azimuth, range)
        Stable ground, of all entries or of each.

    Returns
    -------
    ndarray (date,)
        Metres; NaN where no stable pixel has a value.
    """
    return np.array(
        [nmad(entry[ground]) for entry, ground in zip(change, np.broadcast_to(stable, change.shape))]
    )


def find_stable(change: NDArray[Any]) -> NDArray[np.bool_]:
    """Ground away from change, found in the result itself.

    Parameters
    ----------
    change : ndarray (date, azimuth, range)
        Metres, NaN where there is no value.

    Returns
    -------
    ndarray of bool (azimuth, range)
        True where no block of 16 x 16 pixels nearby stands out on any date: its median lies within three
        robust standard deviations of the medians of all blocks. Everything that has a value, if that
        would leave less than a tenth of it (the spread is robust against a minority that changed).
    """
    seen = np.isfinite(change).any(axis=0)
    changed = np.zeros(tuple(-(-n // BLOCK) for n in change.shape[1:]), dtype=bool)
    for entry in change:
        medians = _block_medians(entry)
        known = np.isfinite(medians)
        if not known.any():
            continue
        scale = nmad(medians)
        with np.errstate(invalid="ignore"):
            changed |= known & (np.abs(medians - np.median(medians[known])) > CHANGED * scale) & (scale > 0)
    near = binary_dilation(changed, iterations=1)
    pixels = np.kron(near, np.ones((BLOCK, BLOCK), dtype=bool))[: change.shape[1], : change.shape[2]]
    stable: NDArray[np.bool_] = seen & ~pixels
    return stable if stable.sum() >= LEAST_SHARE * seen.sum() else seen


def _block_medians(entry: NDArray[Any]) -> NDArray[np.float64]:
    """Median of every block of 16 x 16 pixels; NaN where a block has no value."""
    rows, columns = (-(-n // BLOCK) for n in entry.shape)
    padded = np.full((rows * BLOCK, columns * BLOCK), np.nan)
    padded[: entry.shape[0], : entry.shape[1]] = entry
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(rows, columns, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # blocks without any value
        return np.asarray(np.nanmedian(blocks, axis=2))
