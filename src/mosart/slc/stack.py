"""Coregistered images as a stack."""

from __future__ import annotations

import dask.array as da
import numpy as np
import xarray as xr

from mosart.geometry.section import SECTION_HEIGHT, SECTION_RANGE
from mosart.masks import MASK_ATTRS, TRACED, VISIBILITY, Flag
from mosart.stack import Stack

from .coregister import Coregistered

_ROWS = 4_000_000


def to_stack(result: Coregistered) -> Stack:
    """Make a stack of coregistered images.

    Parameters
    ----------
    result : Coregistered
        Its arrays are used as they are (they may be mapped files), not copied.

    Returns
    -------
    Stack
        Besides the usual variables: ``local_incidence_angle``; ``noise_floor`` (date, range), the noise
        of the intensity in the units of ``amplitude`` squared, NaN where the product tells none;
        ``azimuth_offset`` and ``range_offset`` (date) with ``…_std``, in pixels: the residual offset that
        the images showed after alignment by orbits, applied where ``offset_applied``;
        ``section_range`` and ``section_height`` (azimuth, section), the terrain along every line, in range
        pixels and metres, folds and shadow included.
    """
    grid = result.scene.grid
    rows = max(min(_ROWS // max(grid.columns, 1), grid.rows), 1)
    chunks = (rows, grid.columns)
    whole_rows = (rows, -1)

    def plane(values: np.ndarray) -> da.Array:
        array: da.Array = da.from_array(values, chunks=chunks)
        return array

    amplitude = da.from_array(result.amplitude, chunks=(1, *chunks))
    fixed = plane(result.layers.mask)[None]
    missing = da.where(da.isfinite(amplitude), np.uint8(0), np.uint8(Flag.NODATA))
    mask = da.bitwise_or(da.broadcast_to(fixed, amplitude.shape), missing).astype(np.uint8)
    layers = result.layers
    two, three, along = ("azimuth", "range"), ("date", "azimuth", "range"), ("azimuth", "section")
    degrees = {"units": "degree"}
    reports = result.reports
    dataset = xr.Dataset(
        {
            "amplitude": (three, amplitude, {"units": "1"}),
            "height": (two, plane(layers.height), {"units": "m"}),
            "longitude": (two, plane(layers.longitude), {"units": "degrees_east"}),
            "latitude": (two, plane(layers.latitude), {"units": "degrees_north"}),
            "incidence_angle": (two, plane(layers.incidence_angle), degrees),
            "local_incidence_angle": (two, plane(layers.local_incidence_angle), degrees),
            "mask": (three, mask, dict(MASK_ATTRS)),
            SECTION_RANGE: (along, da.from_array(result.sections[0], chunks=whole_rows), {"units": "1"}),
            SECTION_HEIGHT: (along, da.from_array(result.sections[1], chunks=whole_rows), {"units": "m"}),
            "noise_floor": (("date", "range"), result.noise, {"units": "1"}),
            "azimuth_offset": ("date", np.array([r.residual.azimuth for r in reports])),
            "range_offset": ("date", np.array([r.residual.range for r in reports])),
            "azimuth_offset_std": ("date", np.array([r.residual.azimuth_std for r in reports])),
            "range_offset_std": ("date", np.array([r.residual.range_std for r in reports])),
            "offset_applied": ("date", np.array([r.applied for r in reports], dtype=np.uint8)),
        },
        coords={
            "date": np.array([np.datetime64(d, "ns") for d in result.dates]),
            "azimuth": np.arange(grid.rows),
            "range": np.arange(grid.columns),
        },
    )
    first = reports[0].product
    middle = float(np.nanmedian(layers.incidence_angle[:, grid.columns // 2]))
    if not np.isfinite(middle):
        middle = float(np.nanmedian(layers.incidence_angle))
    listed = {f"{d:%Y%m%d}": r.product for d, r in zip(result.dates, reports)}
    scales = {r.product.radiometric_scale for r in reports}
    dataset.attrs = {
        "sensor": " ".join(dict.fromkeys(r.product.platform for r in reports if r.product.platform))
        or first.sensor,
        "polarization": first.polarization,
        "orbit_direction": first.orbit_direction,
        "look_direction": grid.side,
        "heading": grid.orbit.heading(grid.middle_time),
        "wavelength": grid.wavelength,
        "incidence_angle": middle,
        "range_spacing": grid.range_step,
        "azimuth_spacing": grid.azimuth_spacing(),
        "radiometric_scale": scales.pop() if len(scales) == 1 else "unknown",
        "dem_date": "unknown",
        "dem_vertical_datum": result.dem.datum,
        "source": "; ".join(f"{d}: {', '.join(q.name for q in p.paths)}" for d, p in listed.items()),
        "track": first.track,
        "orbits": "; ".join(f"{d}: {p.orbit_source}" for d, p in listed.items()),
        "processors": "; ".join(f"{d}: {p.processor or 'unknown'}" for d, p in listed.items()),
        "rejected_dates": "; ".join(f"{d:%Y%m%d}: {why}" for d, why in result.rejected) or "none",
        "resampling_error": result.kernel_error,
        VISIBILITY: TRACED,
        "first_line_time": f"{grid.start.isoformat()}Z",
        "line_time_interval": grid.time_step,
        "first_slant_range": grid.first_range,
    }
    return Stack(dataset)
