"""What a stack must be beyond its names and shapes: values and geometry, checked with bounded memory."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path

import dask.array as da
import numpy as np
from dask.base import compute
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.stack import Date, Stack

from .own import geocoded
from .stream import Progress
from .survey import survey

log = logging.getLogger(__name__)

#: Rows that are read to see whether longitude and latitude are those of a map.
SAMPLED_ROWS = 7
_MEMO = "mosart_values_checked"


def drop_empty(stack: Stack, empty: list[Date], path: str, minimum_dates: int) -> Stack:
    """Set images without a single number aside, by name.

    Parameters
    ----------
    stack : Stack
        All images.
    empty : list of datetime.date
        Those to set aside; logged as a warning.
    path : str
        The file, for messages.
    minimum_dates : int
        Fewer images than these left are refused.

    Returns
    -------
    Stack
        Its attribute ``rejected_dates`` names them.

    Raises
    ------
    InputError
        If too few are left.
    """
    names = ", ".join(f"{date:%Y%m%d}" for date in empty)
    kept = [date for date in stack.dates if date not in empty]
    if len(kept) < minimum_dates:
        raise InputError(
            f"{path} has too few images with data",
            expected=f"at least {minimum_dates} dates",
            got=(", ".join(f"{date:%Y%m%d}" for date in kept) or "none")
            + (f"; zero or NaN everywhere: {names}" if names else ""),
            hint="a change needs an image before and one after",
        )
    if not empty:
        return stack
    log.warning("%s: set aside, as they are zero or NaN everywhere: %s", path, names)
    before = str(stack.dataset.attrs.get("rejected_dates", "none"))
    rejected = [] if before == "none" else [before]
    rejected += [f"{date:%Y%m%d}: zero or NaN everywhere" for date in empty]
    left = stack.select(kept)
    return Stack(left.dataset.assign_attrs(rejected_dates="; ".join(rejected)))


def check_values(stack: Stack, *, minimum_dates: int = 2, progress: Progress | None = None) -> Stack:
    """Look at every amplitude of a stack once, before work starts.

    Opening a stack looks at a sample of each image; every block is also checked for negative numbers
    whenever it is read. This function looks at all of it at once, best on the cropped stack, so that
    nothing is refused halfway through a run. Called again on its result it does nothing.

    Parameters
    ----------
    stack : Stack
        Lazily loaded or in memory. Memory is bounded by a few blocks.
    minimum_dates : int
        Fewer images than these left are refused.
    progress : callable, optional
        Called with the rows done and the rows there are.

    Returns
    -------
    Stack
        Without the images that have no finite number other than zero, which are named in a warning.

    Raises
    ------
    InputError
        If an amplitude is negative (decibels suspected), cannot be read, no height is finite, or too few
        images are left.
    """
    known = stack.dataset.encoding.get(_MEMO)
    if known is not None and known == _identity(stack):
        return stack
    found = survey(stack, progress=progress)
    checked = drop_empty(
        stack, found.empty, str(stack.dataset.attrs.get("source", "the stack")), minimum_dates
    )
    checked.dataset.encoding[_MEMO] = _identity(checked)
    return checked


def _identity(stack: Stack) -> str | None:
    """Name of the lazy amplitudes, which a crop or a selection changes; in memory they have none."""
    data = stack.dataset["amplitude"].data
    return data.name if isinstance(data, da.Array) else None


def find_empty(stack: Stack) -> list[Date]:
    """Find images without a finite number other than zero.

    Parameters
    ----------
    stack : Stack
        Lazily loaded. Of each image some rows in the middle are read, and all blocks only where these
        have no number.

    Returns
    -------
    list of datetime.date

    Raises
    ------
    InputError
        If a block that is read holds negative numbers or cannot be read.
    """
    empty = []
    amplitude = stack.dataset["amplitude"].data
    middle = amplitude.shape[1] // 2
    edges = [0, *np.cumsum(amplitude.chunks[1]).tolist()]
    parts = [slice(max(0, middle - 8), middle + 8), *(slice(a, b) for a, b in pairwise(edges))]
    for index, date in enumerate(stack.dates):
        if not any((amplitude[index, rows].compute() > 0).any() for rows in parts):
            empty.append(date)
    return empty


def check_geometry(stack: Stack, path: Path) -> None:
    """Refuse a stack whose longitude and latitude are those of a map, from a few rows.

    Parameters
    ----------
    stack : Stack
        With or without longitude and latitude.
    path : Path
        The file, for messages.

    Raises
    ------
    InputError
        If longitude depends on the column alone and latitude on the row alone although the ground is
        not flat: in radar geometry a higher point lies nearer to the radar.
    """
    rows, columns = stack.shape[1:]
    if not stack.has_lonlat or rows < 3 or columns < 3:
        return
    chosen = np.unique(np.linspace(0, rows - 1, SAMPLED_ROWS).astype(int))
    planes = [stack.dataset[name].data for name in ("longitude", "latitude", "height")]
    # Row by row, as slices: of those, unlike of a list, no more is read than is asked for.
    lon, lat, height = compute(*(da.concatenate([plane[i : i + 1] for i in chosen]) for plane in planes))
    if not np.isfinite(lon).any() or not np.isfinite(height).any():
        return
    if np.nanmax(height) - np.nanmin(height) <= 1.0:
        return  # flat: nothing to tell it by, and nothing to go wrong
    pixel = _pixel(lon)
    if pixel and _spread(lon, 0) < 0.01 * pixel and _spread(lat, 1) < 0.01 * pixel:
        raise geocoded(path, "longitude that depends on the column alone, latitude on the row alone")


def warn_of_datum(stack: Stack, path: Path) -> None:
    """Warn where a file does not say what its heights count from, or when the DEM was made.

    Parameters
    ----------
    stack : Stack
        With its attributes.
    path : Path
        The file, for the message.
    """
    attrs = stack.dataset.attrs
    if attrs["dem_vertical_datum"] == "unknown":
        log.warning(
            "%s: the vertical datum of the DEM is unknown: heights are taken as metres above the ellipsoid "
            "(those above a geoid move the map by some metres, and the change not at all)",
            path,
        )
    if attrs["dem_date"] == "unknown":
        log.info("%s: the date of the DEM is unknown", path)


def _pixel(lon: NDArray[np.float64]) -> float:
    steps = np.abs(np.diff(lon, axis=1))
    steps = steps[np.isfinite(steps)]
    return float(np.median(steps)) if steps.size else 0.0


def _spread(values: NDArray[np.float64], axis: int) -> float:
    """Largest range of values along an axis, NaN aside."""
    finite = np.isfinite(values)
    high = np.where(finite, values, -np.inf).max(axis=axis)
    low = np.where(finite, values, np.inf).min(axis=axis)
    known = finite.any(axis=axis)
    return float((high - low)[known].max()) if known.any() else 0.0
