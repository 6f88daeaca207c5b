"""What the row-wise methods do to the amplitudes before they are summed: despeckling, lazily, by tiles."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from mosart import despeckle as filters
from mosart.errors import InputError
from mosart.stack import Stack

logger = logging.getLogger(__name__)

#: What a stack's images can be despeckled with.
DESPECKLE = ("none", "nlm")

#: Pixels of an image that its median and looks are measured on, about.
SAMPLE = 2_000_000

#: Rows of each block of the sample: enough for windows, few enough to spread over the image.
SAMPLE_ROWS = 8


def despeckled(stack: Stack, despeckle: str = "nlm") -> Any:
    """Amplitudes of a stack, despeckled where that is asked for and not done yet.

    Parameters
    ----------
    stack : Stack
        Any number of dates.
    despeckle : {"nlm", "none"}
        Non-local means with a strength relative to each image's median
        (:func:`mosart.despeckle.nlm`), or nothing. A stack that carries the original's ``grad`` is a
        preprocessed one, and an image of more than 15 measured looks
        (:func:`mosart.despeckle.measure_looks`) is a filtered one: neither is filtered again, which is
        logged.

    Returns
    -------
    dask array (date, azimuth, range)
        Lazy; NaN exactly where the stack's amplitude is. A tile is filtered with the rows around it and
        the median of its whole image, so that tiles and whole image agree.

    Raises
    ------
    InputError
        If `despeckle` is neither.
    """
    if despeckle not in DESPECKLE:
        raise InputError(
            f"there is no despeckling {despeckle!r}", expected=" or ".join(DESPECKLE), got=repr(despeckle)
        )
    amplitude = lazy(stack.dataset["amplitude"].data)
    if despeckle == "none":
        return amplitude
    if "gradient" in stack.dataset:
        logger.info("the stack carries grad, so its images are filtered already: they are not again")
        return amplitude
    images = []
    measured = da.compute(*(_sample(amplitude[k]) for k in range(amplitude.shape[0])))
    for k, (date, sample) in enumerate(zip(stack.dates, measured, strict=True)):
        looks = filters.measure_looks(sample)
        if looks > filters.FILTERED_LOOKS:
            logger.info(
                "%s: %.0f looks measured, more than %.0f: the image is filtered already and is not again",
                f"{date:%Y%m%d}",
                looks,
                filters.FILTERED_LOOKS,
            )
            images.append(amplitude[k])
            continue
        logger.info("%s: %.1f looks measured, despeckled by non-local means", f"{date:%Y%m%d}", looks)
        images.append(_filtered(amplitude[k], filters.image_median(sample)))
    return da.stack(images)


def lazy(array: Any) -> Any:
    """Wrap an array of either kind as a dask array."""
    return array if isinstance(array, da.Array) else da.from_array(np.asarray(array), chunks="auto")


def _sample(image: Any) -> Any:
    """Blocks of whole rows spread over an image; all of it if it is small."""
    rows, columns = image.shape
    blocks = max(1, SAMPLE // max(1, SAMPLE_ROWS * columns))
    if blocks * SAMPLE_ROWS >= rows:
        return image
    starts = np.unique(np.linspace(0, rows - SAMPLE_ROWS, blocks).astype(int))
    gap = da.full((1, columns), np.nan, dtype=image.dtype)  # so that no window spans two blocks
    parts = [part for start in starts for part in (image[start : start + SAMPLE_ROWS], gap)]
    return da.concatenate(parts)


def _filtered(image: Any, median: float) -> Any:
    """Non-local means of one lazy image."""
    depth = filters.overlap()
    image = image.rechunk({1: -1})
    tile = partial(_tile, median=median)
    if image.numblocks[0] == 1:
        return image.map_blocks(tile, dtype=np.float32)
    return da.map_overlap(tile, image, depth={0: depth, 1: 0}, boundary="none", dtype=np.float32)


def _tile(image: NDArray[Any], median: float) -> NDArray[np.float32]:
    return filters.nlm(image, median=median).astype(np.float32)
