"""The images of an entry as one: what was measured, beside what was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.masks import Flag
from mosart.stack import Stack

from .entries import Entry
from .preparation import lazy

ATTRS = {
    "long_name": "measured amplitude, root of the mean intensity of the entry's images",
    "units": "1",
}


def measured_amplitude(stack: Stack, entries: Sequence[Entry]) -> xr.Variable:
    """Amplitude of every entry: the root of the mean of its images' intensities.

    Parameters
    ----------
    stack : Stack
        With all images of the entries.
    entries : sequence of Entry
        Entries of the result.

    Returns
    -------
    xarray.Variable, (date, azimuth, range)
        float32, lazy, as measured: not despeckled, nothing withheld; NaN where no image has data.
    """
    data = stack.dataset
    amplitude = lazy(data["amplitude"].data)
    mask = lazy(data["mask"].data) if "mask" in data else None
    where = {date: index for index, date in enumerate(stack.dates)}
    layers = []
    for entry in entries:
        chosen = [where[date] for date in entry.images]
        images = amplitude[chosen].rechunk({0: -1})
        parts = [images] if mask is None else [images, mask[chosen].rechunk(images.chunks)]
        layers.append(
            da.map_blocks(
                _root_mean, *parts, drop_axis=0, dtype=np.float32, meta=np.empty((0, 0), np.float32)
            )
        )
    return xr.Variable(("date", "azimuth", "range"), da.stack(layers), ATTRS)


def _root_mean(images: NDArray[Any], mask: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
    seen = np.isfinite(images)
    if mask is not None:
        seen &= (mask & np.uint8(Flag.NODATA)) == 0
    total = np.where(seen, images, 0.0).astype(np.float64)
    count = seen.sum(axis=0)
    mean = np.divide((total**2).sum(axis=0), count, out=np.full(count.shape, np.nan), where=count > 0)
    return np.asarray(np.sqrt(mean), np.float32)
