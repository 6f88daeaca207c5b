"""One pass over all pixels of a stack: whether they can be used, and the fingerprints of its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import dask.array as da
import numpy as np
from dask.base import compute
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.stack import Date, Stack

from .digest import digest_array, digest_data, digest_rows
from .stream import Progress, block_edges


@dataclass(frozen=True)
class Survey:
    """What the pixels of a stack hold.

    Parameters
    ----------
    lit : mapping of date to int
        Pixels of each image with a finite number above zero.
    heights : tuple of float
        Lowest and highest finite height, metres.
    images : mapping of date to str
        Fingerprint of each image: its amplitudes, its mask and what else the stack holds for its date.
    planes : mapping of str to str
        Fingerprints of what all dates share: ``height``, ``longitude``, ``latitude`` …
    """

    lit: Mapping[Date, int]
    heights: tuple[float, float]
    images: Mapping[Date, str] = field(default_factory=dict)
    planes: Mapping[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> list[Date]:
        """Dates without a finite number other than zero."""
        return [date for date, count in self.lit.items() if count == 0]


def survey(stack: Stack, *, progress: Progress | None = None) -> Survey:
    """Read every pixel once, tile after tile of rows; memory is bounded by a tile of all dates.

    Parameters
    ----------
    stack : Stack
        Lazily loaded or in memory; cropped, since only what is worked on needs to be read.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Returns
    -------
    Survey
        Fingerprints are of the contents, not of the file: a copy, another compression, or one more date
        in the file leave those of the other dates as they are.

    Raises
    ------
    InputError
        If an amplitude is negative (decibels suspected), cannot be read, or no height is finite.
    """
    data = stack.dataset
    cubes = [name for name in ("amplitude", "mask") if name in data]
    planes = [str(n) for n in data.data_vars if data[n].dims == ("azimuth", "range")]
    rows, dates = data.sizes["azimuth"], len(stack.dates)
    looked = {name: np.empty((dates, rows, 4), np.uint64) for name in cubes}
    looked |= {name: np.empty((rows, 4), np.uint64) for name in planes}
    low, high = np.inf, -np.inf
    edges = block_edges([data[name].variable for name in [*cubes, *planes]], "azimuth")
    for start, stop in pairwise(edges):
        part = data[[*cubes, *planes]].isel(azimuth=slice(start, stop))
        found = compute(*(_look(part[name].data) for name in looked), *_ends(part["height"].data))
        for name, block in zip(looked, found, strict=False):
            looked[name][..., start:stop, :] = block
        low, high = min(low, float(found[-2])), max(high, float(found[-1]))
        negative = looked["amplitude"][:, start:stop, 3].any(axis=1)
        if negative.any():
            raise InputError(
                f"{stack.dates[int(np.argmax(negative))]:%Y%m%d} of {data.attrs.get('source', 'the stack')} "
                "holds negative amplitudes",
                expected="linear amplitudes, zero or more",
                hint="decibels? then amplitude = 10**(dB/20)",
            )
        if progress is not None:
            progress(stop, rows)
    if not np.isfinite(low):
        raise InputError(
            "the DEM has no finite height here",
            expected="heights in metres",
            got="NaN everywhere",
            hint="check `dem` in the file, and the crop",
        )
    lit = looked["amplitude"][..., 2].sum(axis=1)
    small = [str(n) for n in data.data_vars if "date" in data[n].dims and str(n) not in cubes]
    kinds = {name: data[name].dtype.str for name in [*cubes, *planes]}
    images = {}
    for index, date in enumerate(stack.dates):
        own: dict[str, object] = {name: digest_array(looked[name][index, :, :2]) for name in cubes}
        own |= {name: digest_array(data[name].isel(date=index).values) for name in small}
        images[date] = digest_data([own, stack.shape[1:], kinds])
    return Survey(
        lit={date: int(count) for date, count in zip(stack.dates, lit, strict=True)},
        heights=(low, high),
        images=images,
        planes={name: digest_data([digest_array(looked[name][:, :2]), kinds[name]]) for name in planes},
    )


def _look(array: Any) -> Any:
    """Look at every row of an array (…, azimuth, range): two numbers of its fingerprint, lit, negative."""
    lazy = da.asarray(array)
    lazy = lazy.rechunk({lazy.ndim - 1: -1})
    return lazy.map_blocks(_look_at_rows, dtype=np.uint64, chunks=(*lazy.chunks[:-1], (4,)))


def _look_at_rows(block: NDArray[Any]) -> NDArray[np.uint64]:
    out = np.empty((*block.shape[:-1], 4), np.uint64)
    out[..., :2] = digest_rows(block)
    with np.errstate(invalid="ignore"):
        out[..., 2] = ((block > 0) & np.isfinite(block)).sum(axis=-1)
        out[..., 3] = (block < 0).sum(axis=-1)
    return out


def _ends(height: Any) -> tuple[Any, Any]:
    known = da.isfinite(da.asarray(height))
    return da.where(known, height, np.inf).min(), da.where(known, height, -np.inf).max()
