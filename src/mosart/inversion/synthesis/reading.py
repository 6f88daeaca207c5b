"""What is read of dates before anything is rendered: sums of blocks, gains and looks, means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gains import date_gain
from .noise import effective_looks
from .render import block_sums

Float = NDArray[np.float64]

#: Block on which gains, law and looks are read: rows and pixels; large enough that a block's speckle is
#: nearly Gaussian, small enough that a scene has hundreds.
READING_BLOCK = (4, 8)
#: Fewest looks of a block that are believed.
LEAST_LOOKS = 1.0


def mean_intensity(images: Sequence[Float], gains: Sequence[Float]) -> Float:
    """Mean of images divided by their gains; a gap of some is filled by the others.

    Parameters
    ----------
    images : sequence of ndarray (azimuth, range)
        Intensities, NaN in gaps.
    gains : sequence of ndarray (block row,)
        Logarithms, one a reading block.

    Returns
    -------
    ndarray (azimuth, range)
        NaN where all have a gap.
    """
    total = np.zeros(images[0].shape)
    count = np.zeros(images[0].shape)
    for image, gain in zip(images, gains):
        row = np.repeat(np.exp(-gain), READING_BLOCK[0])[: len(image), None]
        good = np.isfinite(image)
        total += np.where(good, image, 0.0) * row
        count += good
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def dates_shown(images: Sequence[Float]) -> float:
    """Count the dates that show a pixel.

    Parameters
    ----------
    images : sequence of ndarray (azimuth, range)
        NaN in gaps.

    Returns
    -------
    float
        Mean over the pixels that any date shows; 1 where none shows any.
    """
    count = np.zeros(images[0].shape)
    for image in images:
        count += np.isfinite(image)
    return float(count[count > 0].mean()) if count.any() else 1.0


def full_sums(image: Float, block: tuple[int, int]) -> tuple[Float, Float]:
    """Block sums scaled up for missing pixels, and the share of pixels that are there.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        NaN in gaps.
    block : tuple of int
        Rows and pixels.

    Returns
    -------
    sums, share : ndarray (block row, block)
        The sum is zero where nothing is there; the share counts a block at the image's edge as full.
    """
    good = block_sums(np.isfinite(image).astype(np.float64), block)
    size = block_sums(np.ones(image.shape), block)
    share = good / size
    return block_sums(image, block) / np.maximum(share, 1e-9) * (share > 0), share


@dataclass(frozen=True)
class Gained:
    """What is known of dates beforehand.

    Parameters
    ----------
    gains : tuple of ndarray (block row,)
        Logarithms, one array a date, one number a row of reading blocks.
    pixel_looks : float
        Effective looks of a pixel of one date; NaN where not known.
    """

    gains: tuple[Float, ...]
    pixel_looks: float


def reading_sums(image: Float) -> Float:
    """Sum reading blocks.

    Parameters
    ----------
    image : ndarray (azimuth, range)
        Intensity, NaN in gaps.

    Returns
    -------
    ndarray (block row, block)
        NaN where less than half of a block is there.
    """
    sums, share = full_sums(image, READING_BLOCK)
    return np.where(share > 0.5, sums, np.nan)


def read_gains(reading: Sequence[Float]) -> Gained:
    """Gains of the reference dates against the first that shows most, and their looks.

    Parameters
    ----------
    reading : sequence of ndarray (block row, block)
        Sums of reading blocks.

    Returns
    -------
    Gained
        Looks NaN for a single date.
    """
    looks = effective_looks(reading) if len(reading) > 1 else float("nan")
    known = 32.0 if np.isnan(looks) else looks
    base = max(reading, key=lambda sums: int(np.isfinite(sums).sum()))  # the first that shows most
    gains = tuple(date_gain(s, base, READING_BLOCK[0], known) for s in reading)
    return Gained(gains, looks / (READING_BLOCK[0] * READING_BLOCK[1]))


def read_epoch_gains(reading: Sequence[Float], reference: Float, pixel_looks: float) -> Gained:
    """Gains of an epoch's dates against the reference, and their looks.

    Parameters
    ----------
    reading : sequence of ndarray (block row, block)
        Sums of reading blocks.
    reference : ndarray (block row, block)
        The same of the reference's mean; NaN where there is none.
    pixel_looks : float
        Effective looks of a pixel of one reference date; NaN where not known.

    Returns
    -------
    Gained
        With looks.
    """
    size = READING_BLOCK[0] * READING_BLOCK[1]
    found = [pixel_looks * size]
    if len(reading) > 1:
        found.append(effective_looks(reading))
    known = [v for v in found if np.isfinite(v)]
    if known:
        looks = float(np.median(known))
    else:  # one date each: their ratio, change and all, robustly
        looks = effective_looks([reference, reading[0]])
        looks = looks if np.isfinite(looks) else LEAST_LOOKS
    gains = tuple(date_gain(s, reference, READING_BLOCK[0], looks) for s in reading)
    return Gained(gains, max(looks / size, 1e-3))
