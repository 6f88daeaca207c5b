"""From a stack to a result: the method ``synthesis``."""

from __future__ import annotations

import logging
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from mosart.change import ElevationChange
from mosart.geometry.frame import LookFrame
from mosart.inversion.entries import Date, Entry
from mosart.inversion.method import Options
from mosart.masks import MASK_ATTRS, withheld
from mosart.stack import Stack

from .image import Image, solve_image
from .needed import synthesis_fault
from .part import FIELDS
from .reference import Scattering
from .terrain import with_terrain
from .told import (
    DATED,
    contradicted_text,
    moved_text,
    registration_attributes,
    single_text,
    stable_text,
    told_text,
)

logger = logging.getLogger(__name__)

#: Images whose values are withheld where the mask says so; the others are diagnostics.
WITHHELD = ("elevation_change_std", "elevation_change_slant", "elevation")

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
    "elevation_change_std": {"long_name": "standard error of the elevation change", "units": "m"},
    "range_offset_effect": {
        "long_name": "elevation change that an epoch off by a tenth of a range pixel would feign",
        "units": "m",
        "comment": "part of the standard error, and the same error everywhere",
    },
    "elevation": {
        "long_name": "height of the surface at the slant-range pixel",
        "units": "m",
        "positive": "up",
    },
    "estimate": {
        "long_name": "elevation change before anything is withheld",
        "units": "m",
        "comment": "a diagnostic: not to be used where the mask is set",
    },
    "brightness_change": {"long_name": "change of log reflectivity", "units": "1"},
    "change_brightness_correlation": {
        "long_name": "posterior correlation of elevation change and brightness change",
        "units": "1",
    },
    "texture_slope": {
        "long_name": "regression of the new texture on the reference's",
        "units": "1",
        "comment": "1: kept, 0: new rock",
    },
    "measured_amplitude": {"long_name": "measured amplitude, gains removed, averaged over blocks"},
    "modelled_amplitude": {"long_name": "amplitude of the rendered ground, averaged over blocks"},
    "residual": {
        "long_name": "log ratio of measured over modelled energy of a block, over its standard error"
    },
    "row_gain": {"long_name": "log gain of the epoch's rows against the reference", "units": "1"},
    "averaged_dates": {"long_name": "images of the entry"},
    "mask": MASK_ATTRS,
    **DATED,
}


def invert_synthesis(
    stack: Stack, reference: tuple[Date, ...], entries: tuple[Entry, ...], options: Options
) -> ElevationChange:
    """Invert by ``synthesis``: render the ground, compare with the image.

    Parameters
    ----------
    stack : Stack
        Images and DEM; its mask says what not to use. Water is not ground.
    reference : tuple of datetime.date
        Dates of the reference.
    entries : tuple of Entry
        Epochs, each with the dates that it is compared with.
    options : Options
        ``frame`` is needed, ``terrain`` says which ground is rendered; despeckling and weights do not
        concern this method.

    Returns
    -------
    ElevationChange
        With a standard error for every pixel, and diagnostics.

    Raises
    ------
    InputError
        If the geometry is not known, the image is too small, or it has not the terrain.
    """
    frame = options.frame
    fault = synthesis_fault(stack.shape[1:], frame)
    if fault is not None:
        raise fault
    assert frame is not None  # for the type checker: a fault
    frame.check_range(stack.shape[2])
    needed = sorted({date for entry in entries for date in (*entry.images, *entry.reference)})
    rendered = with_terrain(stack.select(needed), options.terrain)
    image = solve_image(rendered, entries, frame, tile_rows=options.tile_rows, progress=options.progress)
    for dates, found in image.scattering.items():
        _report(dates, found)
        if told := moved_text(found.registration, frame):
            logger.warning("%s", told)
    for k, entry in enumerate(entries):
        if entry.reference and k not in image.told:
            logger.warning(
                "%s: too little ground is shown by both the images and the reference: no change is given",
                f"{entry.date:%Y%m%d}",
            )
    said: set[str] = set()  # entries share their reference, and what it says of the DEM
    for k, numbers in image.told.items():
        name = f"{entries[k].date:%Y%m%d}"
        logger.info("%s: %s", name, told_text(numbers))
        if warned := stable_text(numbers):
            logger.warning("%s: %s", name, warned)
        if warned := single_text(numbers, len(entries[k].images), len(entries[k].reference)):
            logger.warning("%s: %s", name, warned)
        if (warned := contradicted_text(numbers)) and warned not in said:
            logger.warning("%s", warned)
            said.add(warned)
    return ElevationChange(_dataset(stack, reference, entries, image, frame))


def _report(dates: tuple[Date, ...], found: Scattering) -> None:
    logger.info(
        "reference %s: law m = %.2f ± %.2f (the image alone: %.2f ± %.2f), reflectivity smoothed over "
        "%.1f × %.1f pixels, blocks of %d × %d pixels",
        ",".join(f"{d:%Y%m%d}" for d in dates),
        found.law.exponent,
        found.law.std,
        found.law.regression,
        found.law.regression_std,
        *found.kernel,
        *found.block,
    )


def _hidden(values: Any, mask: Any) -> Any:
    """NaN where the mask withholds; lazy where the values are."""
    if isinstance(values, np.ndarray):
        return np.where(withheld(mask), np.float32(np.nan), values)
    return da.map_blocks(_hidden, values, mask, dtype=np.float32)


def _dataset(
    stack: Stack, reference: tuple[Date, ...], entries: tuple[Entry, ...], image: Image, frame: LookFrame
) -> xr.Dataset:
    source = stack.dataset
    grid = ("date", "azimuth", "range")
    data = xr.Dataset(
        coords={"date": np.array([entry.date for entry in entries], dtype="datetime64[ns]")}
        | {name: source[name] for name in ("azimuth", "range") if name in source.coords}
    )
    mask = image.canvas.array("mask")
    images = {name: image.canvas.array(name) for name in FIELDS}
    data["elevation_change"] = (grid, _hidden(images["estimate"], mask))
    for name, values in images.items():
        data[name] = (grid, _hidden(values, mask) if name in WITHHELD else values)
    data["mask"] = (grid, mask)
    data["row_gain"] = (grid[:2], image.row_gain.astype(np.float32))
    for name in DATED:
        values = [getattr(image.told.get(k), name, np.nan) for k in range(len(entries))]
        data[name] = ("date", np.array(values, dtype=np.float64))
    texts = [",".join(f"{date:%Y%m%d}" for date in entry.images) for entry in entries]
    data["averaged_dates"] = ("date", np.array(texts))
    for name in ("height", "longitude", "latitude", "incidence_angle"):
        if name in source:
            data[name] = source[name]
    for name in set(ATTRS) & {str(v) for v in data.data_vars}:
        data[name].attrs.update(ATTRS[name])
    data.attrs.update(source.attrs)
    data.attrs["method"] = "synthesis"
    data.attrs["reference_dates"] = ",".join(f"{date:%Y%m%d}" for date in reference)
    data.attrs["stable_area"] = "all ground, as far as its learned envelope is small"
    learned = image.scattering.get(reference) or next(iter(image.scattering.values()), None)
    if learned is not None:
        data.attrs["law_exponent"] = learned.law.exponent
        data.attrs["law_exponent_std"] = learned.law.std
        data.attrs["azimuth_spacing"] = frame.azimuth_spacing
        data.attrs.update(registration_attributes(learned.registration, frame))
    return data
