"""The row-wise methods: the original's on amplitude, and the same on intensity.

After Angarita et al. (2022, doi:10.1029/2022JB024344). On a surface of constant gamma nought the running
sum of *intensity* is exactly the surface in the look frame, so its heights are linear in it; amplitude
is the original's approximation.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.masks import MASK_ATTRS
from mosart.stack import Stack

from .amplitude import measured_amplitude
from .entries import Date, Entry
from .method import Options
from .preparation import despeckled, lazy
from .rowfit import FEWEST
from .stable import find_stable, spread
from .tile import Plan, invert_tile, record_type

logger = logging.getLogger(__name__)

#: What the weights may be called.
WEIGHTS = ("unit", "stable", "robust")

#: Memory that all tiles under work may take together, bytes, and the least and most for one.
WORK_BYTES = 600_000_000
TILE_BYTES = (30_000_000, 200_000_000)

#: Pixels that are despeckled at a time: the same whatever else is asked for, so that the filter's rounding
#: does not depend on it.
FILTER_PIXELS = 1_000_000

#: Results up to this size are computed at once and kept in memory; larger ones stay lazy.
KEPT_BYTES = 256_000_000

#: Pixels of an image up to which the spread is measured on all of it, beyond on some blocks of rows.
WHOLE_PIXELS = 1_200_000
SAMPLE_ROWS, SAMPLE_BLOCKS = 8, 8

#: Attributes of the variables.
ATTRS: dict[str, dict[str, Any]] = {
    "elevation_change": {
        "long_name": "elevation change at the fixed ground position of the pixel",
        "units": "m",
        "positive": "up",
    },
    "elevation_change_slant": {
        "long_name": "elevation change at the fixed slant-range pixel",
        "units": "m",
        "positive": "up",
        "comment": "what rose is displaced towards the radar",
    },
    "elevation": {
        "long_name": "reconstructed height at the slant-range pixel",
        "units": "m",
        "positive": "up",
    },
    "elevation_change_std": {
        "long_name": "robust spread of the elevation change over stable ground",
        "units": "m",
    },
    "weights": {"long_name": "weight of the pixel in the fit", "units": "1"},
    "stable": {"long_name": "stable ground that the spread was measured on", "units": "1"},
    "averaged_dates": {"long_name": "images of the entry"},
    "mask": MASK_ATTRS,
}


def invert_amplitude(
    stack: Stack, reference: tuple[Date, ...], entries: tuple[Entry, ...], options: Options
) -> ElevationChange:
    """Invert by ``rowwise``: running sums of amplitude, equal to ``mosart`` 1.0.2."""
    return _invert(stack, reference, entries, options, intensity=False)


def invert_intensity(
    stack: Stack, reference: tuple[Date, ...], entries: tuple[Entry, ...], options: Options
) -> ElevationChange:
    """Invert by ``rowwise-intensity``: running sums of intensity, layover and shadow not fitted."""
    return _invert(stack, reference, entries, options, intensity=True)


def bytes_per_pixel(dates: int, entries: int) -> int:
    """Memory that a tile under work takes per pixel of the grid: images, records and working arrays."""
    return 5 * dates + 17 * entries + 120


def tile_rows(dates: int, entries: int, columns: int) -> int:
    """Rows of a tile, so that the tiles under work stay within bounds on all of the machine's cores."""
    workers = dask.config.get("num_workers", None) or os.cpu_count() or 1
    size = min(max(WORK_BYTES // int(workers), TILE_BYTES[0]), TILE_BYTES[1])
    rows = max(1, size // (bytes_per_pixel(dates, entries) * max(columns, 1)))
    whole = filter_rows(columns)  # tiles of rows that divide those of the filter, or hold some of them
    return whole * (rows // whole) if rows >= whole else -(-whole // -(-whole // rows))


def filter_rows(columns: int) -> int:
    """Rows that are despeckled at a time."""
    return max(1, FILTER_PIXELS // max(columns, 1))


def _invert(
    stack: Stack,
    reference: tuple[Date, ...],
    entries: tuple[Entry, ...],
    options: Options,
    *,
    intensity: bool,
) -> ElevationChange:
    needed = sorted({date for entry in entries for date in (*entry.images, *entry.reference)})
    stack = stack.select(needed)
    weights = _weights(options, stack.shape[1:])
    plan = Plan(
        dates=tuple(needed),
        entries=entries,
        intensity=intensity,
        robust=isinstance(options.weights, str) and options.weights == "robust",
        **_geometry(options, stack.shape[2]),
    )
    records = _records(stack, plan, weights, options)
    quantity = records.dtype.names[0]  # the change at the fixed ground position, where there is one
    data = _dataset(stack, reference, entries, options)
    rows, columns = stack.shape[1:]
    fields = {name: records[name] for name in records.dtype.names}
    if records.size * records.dtype.itemsize <= KEPT_BYTES:
        kept = records.compute()
        fields = {name: np.ascontiguousarray(kept[name]) for name in kept.dtype.names}
    # Nothing here depends on the other entries, so that one more date does not move the others.
    if rows * columns <= WHOLE_PIXELS:
        std, ground, where = _spread(np.asarray(fields[quantity]), options.stable, options)
        stable: NDArray[np.bool_] | None = ground
    else:
        parts = _sample_rows(rows)
        # One block after the other: together they would hold all their images at once.
        sample = np.concatenate([np.asarray(fields[quantity][:, r]) for r in parts], axis=1)
        part = None if options.stable is None else np.concatenate([options.stable[r] for r in parts])
        std, _, where = _spread(sample, part, options)
        where += f", on a sample of {sample.shape[1]} of {rows} rows"
        stable = options.stable
    grid = ("date", "azimuth", "range")
    for name, array in fields.items():
        data[name] = (grid, array)
    if weights is not None and "weights" not in fields:
        data["weights"] = (grid[1:], np.asarray(weights, dtype=np.float32))
    if stable is not None:
        data["stable"] = (grid[-stable.ndim :], stable)
    data["measured_amplitude"] = measured_amplitude(stack, entries)
    std[[not entry.reference for entry in entries]] = 0.0
    data["elevation_change_std"] = ("date", std.astype(np.float32))
    for variable in set(ATTRS) & set(data.data_vars):
        data[variable].attrs.update(ATTRS[str(variable)])
    data.attrs["method"] = "rowwise-intensity" if intensity else "rowwise"
    data.attrs["stable_area"] = where
    return ElevationChange(data)


def _weights(options: Options, shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """Return the weights' raster; None for 1 everywhere."""
    if not isinstance(options.weights, str):
        weights = np.asarray(options.weights, dtype=np.float64)
        if weights.shape != shape or not np.all((weights >= 0) | np.isnan(weights)):
            raise InputError(
                "the weights cannot be used",
                expected=f"numbers from 0 up, an array (azimuth, range) of shape {shape}",
                got=f"shape {weights.shape}, least {np.nanmin(weights) if weights.size else 'nothing'}",
            )
        return weights
    if options.weights not in WEIGHTS:
        raise InputError(
            f"there are no weights {options.weights!r}",
            expected=f"{', '.join(WEIGHTS)}, or an array (azimuth, range)",
        )
    if options.weights != "stable":
        return None
    if options.stable is None:
        raise InputError(
            "weights `stable` need stable ground",
            expected="an area that did not change, in every row",
            got="no stable area",
            hint="give `stable`, or take the weights `robust`",
        )
    poor = int((options.stable.sum(axis=1) < FEWEST).sum())
    if poor:
        logger.warning(
            "%d of %d rows have less than %d stable pixels: with weights `stable` they have no result",
            poor,
            shape[0],
            FEWEST,
        )
    return options.stable.astype(np.float64)


def _geometry(options: Options, columns: int) -> dict[str, Any]:
    """Take the part of the look frame that the tiles need."""
    frame = options.frame
    if frame is None:
        return {}
    frame.check_range(columns)
    return {"theta": frame.theta, "flat_range": frame.ground_range(np.zeros(columns))}


def _records(stack: Stack, plan: Plan, weights: NDArray[np.float64] | None, options: Options) -> Any:
    """Make the lazy result, one record a pixel and entry, in tiles of whole rows."""
    data = stack.dataset
    dates, rows, columns = stack.shape
    size = options.tile_rows or tile_rows(dates, len(plan.entries), columns)
    chunks = {0: dates, 1: min(size, rows), 2: columns}
    amplitude = lazy(data["amplitude"].data).rechunk({1: min(filter_rows(columns), rows), 2: columns})
    filtered = despeckled(
        Stack(data.assign(amplitude=(data["amplitude"].dims, amplitude))), options.despeckle
    )
    mask = lazy(data["mask"].data) if "mask" in data else da.zeros(stack.shape, dtype=np.uint8)
    arrays: list[Any] = [filtered.rechunk(chunks), "dyx", mask.rechunk(chunks), "dyx"]
    flat = {0: chunks[1], 1: columns}
    optional = (data["gradient"].data if "gradient" in data else None, weights)
    for array in (data["height"].data, *optional):
        arrays += [None, None] if array is None else [lazy(array).rechunk(flat), "yx"]
    kind = record_type(plan)
    return da.blockwise(
        partial(invert_tile, plan=plan),
        "eyx",
        *arrays,
        new_axes={"e": len(plan.entries)},
        concatenate=True,
        dtype=kind,
        meta=np.empty((0, 0, 0), dtype=kind),
    )


def _sample_rows(rows: int) -> list[slice]:
    """Take blocks of rows spread over the image."""
    size = min(SAMPLE_ROWS, rows)
    starts = np.unique(np.linspace(0, rows - size, SAMPLE_BLOCKS).astype(int))
    return [slice(int(start), int(start) + size) for start in starts]


def _spread(
    change: NDArray[Any], stable: NDArray[np.bool_] | None, options: Options
) -> tuple[NDArray[np.float64], NDArray[np.bool_], str]:
    """Measure the standard error of every entry; also the stable ground, and a text that says which."""
    if stable is None:
        stable = np.stack([find_stable(entry[None]) for entry in change])
        where = "found away from change, of each date by itself"
    else:
        where = f"{options.stable_name}: {int(stable.sum())} pixels"
    if isinstance(options.weights, str) and options.weights != "unit":
        where += ", on which the rows were fitted too: the spread is a lower bound"
    std = spread(change, stable)
    if np.isnan(std).any():
        logger.warning("no stable ground has a value on some dates: their standard error is not known (NaN)")
    logger.info("standard error over stable ground (%s): %s m", where, np.array2string(std, precision=2))
    return std, stable, where


def _dataset(
    stack: Stack, reference: tuple[Date, ...], entries: tuple[Entry, ...], options: Options
) -> xr.Dataset:
    """Take over from the stack what the result keeps, and name the entries."""
    source = stack.dataset
    kept = [name for name in ("height", "longitude", "latitude") if name in source]
    data = source[kept].drop_vars("date", errors="ignore")
    dates = np.array([entry.date for entry in entries], dtype="datetime64[D]")
    data = data.assign_coords(date=("date", dates.astype("datetime64[ns]")))
    averaged = [",".join(f"{date:%Y%m%d}" for date in entry.images) for entry in entries]
    data["averaged_dates"] = ("date", np.array(averaged))
    data.attrs = dict(source.attrs)
    data.attrs["reference_dates"] = ",".join(f"{date:%Y%m%d}" for date in reference)
    data.attrs["despeckle"] = options.despeckle
    data.attrs["weights"] = options.weights if isinstance(options.weights, str) else "given"
    if options.frame is not None:
        data.attrs["azimuth_spacing"] = options.frame.azimuth_spacing
        data.attrs["range_spacing"] = options.frame.range_spacing
        middle = options.frame.incidence_angle.size // 2
        data.attrs["incidence_angle"] = float(options.frame.incidence_angle[middle])
    return data
