"""From a stack to a result: the method ``synthesis``."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.inversion.entries import Date, Entry
from mosart.inversion.method import Options
from mosart.masks import MASK_ATTRS, Flag, withheld
from mosart.stack import Stack

from .epoch import OnRadar, Result, on_pixels, solve_epoch, to_radar
from .needed import synthesis_fault
from .reference import Reference, learn_reference, read_epoch

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]

#: Seed of the posterior samples: the same images give the same numbers, bit by bit.
SEED = 20190115

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
        ``frame`` is needed; despeckling and weights do not concern this method.

    Returns
    -------
    ElevationChange
        With a standard error for every pixel, and diagnostics.

    Raises
    ------
    InputError
        If the geometry is not known, or the image is too small.
    """
    frame = options.frame
    fault = synthesis_fault(stack.shape[1:], frame)
    if fault is not None:
        raise fault
    assert frame is not None  # for the type checker: a fault
    frame.check_range(stack.shape[2])
    data = stack.dataset
    height = np.asarray(data["height"].values, dtype=np.float64)
    learned: dict[tuple[Date, ...], Reference] = {}
    layers: list[dict[str, NDArray[Any]]] = []
    shared: Reference | None = None
    for entry in entries:
        flags = _flags(stack, (*entry.images, *entry.reference))
        if not entry.reference:
            layers.append(_zero(height, flags))
            continue
        if entry.reference not in learned:
            images = [_intensity(stack, date) for date in entry.reference]
            learned[entry.reference] = learn_reference(images, height, frame, (flags & Flag.WATER) != 0)
            _report_reference(learned[entry.reference], entry.reference)
        this = learned[entry.reference]
        if shared is None or entry.reference == reference:
            shared = this
        epoch = read_epoch([_intensity(stack, date) for date in entry.images], this)
        result = solve_epoch(this, epoch, seed=SEED)
        logger.info(
            "%s: %.1f looks a pixel and date, noise %.2f of the expected, correlation range %.0f m, "
            "last step %.3f m",
            f"{entry.date:%Y%m%d}",
            epoch.pixel_looks,
            result.solution.looks[0].noise,
            result.correlation_range,
            result.solution.steps[-1],
        )
        radar = to_radar(result, this, height, frame.reference_height)
        layers.append(_layer(radar, result, this, height, flags))
    return ElevationChange(_dataset(stack, reference, entries, layers, shared))


def _intensity(stack: Stack, date: Date) -> Float:
    """Intensity of a date; NaN where the mask forbids the measurement."""
    one = stack.dataset.sel(date=np.datetime64(date, "ns"))
    amplitude = np.asarray(one["amplitude"].values, dtype=np.float64)
    if "mask" in one:
        bad = np.uint8(Flag.NODATA | Flag.WATER | Flag.CLIPPED)
        amplitude = np.where((np.asarray(one["mask"].values) & bad) != 0, np.nan, amplitude)
    return amplitude**2


def _flags(stack: Stack, dates: tuple[Date, ...]) -> NDArray[np.uint8]:
    """Mask of an entry: the bits that any of its dates has; missing data only where all dates miss."""
    shape = stack.shape[1:]
    any_bits = np.zeros(shape, np.uint8)
    if "mask" not in stack.dataset:
        return any_bits
    all_bits = np.full(shape, 255, np.uint8)
    for date in dates:
        bits = np.asarray(stack.dataset["mask"].sel(date=np.datetime64(date, "ns")).values)
        any_bits |= bits
        all_bits &= bits
    nodata = np.uint8(Flag.NODATA)
    return np.asarray((any_bits & ~nodata) | (all_bits & nodata), dtype=np.uint8)


def _zero(height: Float, flags: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Make an entry that is the reference itself."""
    zero = np.zeros(height.shape)
    flags = flags | np.where(np.isfinite(height), 0, np.uint8(Flag.NODATA)).astype(np.uint8)
    out = np.where(withheld(flags), np.nan, zero)
    return {
        "elevation_change": out,
        "elevation_change_slant": out,
        "elevation_change_std": out,
        "elevation": np.where(withheld(flags), np.nan, height),
        "estimate": zero,
        "mask": flags,
    }


def _layer(
    radar: OnRadar, result: Result, reference: Reference, height: Float, flags: NDArray[np.uint8]
) -> dict[str, NDArray[Any]]:
    """Products and diagnostics of an entry, (azimuth, range)."""
    mask = flags.copy()
    mask[radar.layover] |= np.uint8(Flag.LAYOVER)
    mask[radar.shadow] |= np.uint8(Flag.SHADOW)
    mask[radar.unresolved] |= np.uint8(Flag.UNRESOLVED)
    mask[~np.isfinite(height)] |= np.uint8(Flag.NODATA)
    hide = withheld(mask)
    scene, solution = result.scene, result.solution
    fit = solution.looks[0]
    rows, pixels = height.shape
    later = reference.registration.rows

    def blocks(values: Float) -> Float:
        full = np.repeat(np.repeat(values, scene.block[0], axis=0), scene.block[1], axis=1)
        return full[:rows, :pixels]

    area = scene.block[0] * scene.block[1] * scene.ground.range_spacing
    model = np.exp(fit.gain)[:, None] * fit.rendered.energy + result.measured.floor
    out: dict[str, NDArray[Any]] = {
        "elevation_change": np.where(hide, np.nan, radar.change),
        "elevation_change_std": np.where(hide, np.nan, radar.std),
        "elevation_change_slant": np.where(hide, np.nan, radar.slant_change),
        "elevation": np.where(hide, np.nan, radar.elevation),
        "estimate": radar.change,
        "range_offset_effect": on_pixels(result.offset, scene, reference.x, later),
        "brightness_change": on_pixels(solution.state.brightness[0], scene, reference.x, later),
        "change_brightness_correlation": on_pixels(solution.coupling[0], scene, reference.x, later),
        "measured_amplitude": blocks(np.sqrt(result.measured.energy / area)),
        "modelled_amplitude": blocks(np.sqrt(model / area)),
        "residual": blocks(fit.residual),
        "mask": mask,
        "row_gain": np.repeat(fit.gain, scene.block[0])[:rows],
    }
    return out


def _report_reference(reference: Reference, dates: tuple[Date, ...]) -> None:
    law = reference.law
    logger.info(
        "reference %s: law m = %.2f ± %.2f (the image alone: %.2f ± %.2f), reflectivity smoothed over "
        "%.1f × %.1f pixels, blocks of %d × %d pixels",
        ",".join(f"{d:%Y%m%d}" for d in dates),
        law.exponent,
        law.std,
        law.regression,
        law.regression_std,
        *reference.kernel,
        *reference.scene.block,
    )


def _dataset(
    stack: Stack,
    reference: tuple[Date, ...],
    entries: tuple[Entry, ...],
    layers: list[dict[str, NDArray[Any]]],
    shared: Reference | None,
) -> xr.Dataset:
    source = stack.dataset
    grid = ("date", "azimuth", "range")
    data = xr.Dataset(
        coords={"date": np.array([entry.date for entry in entries], dtype="datetime64[ns]")}
        | {name: source[name] for name in ("azimuth", "range") if name in source.coords}
    )
    names: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        names |= {name: values.shape for name, values in layer.items()}
    for name, shape in names.items():
        kind = np.uint8 if name == "mask" else np.float32
        missing = np.zeros(shape, kind) if name == "mask" else np.full(shape, np.nan, kind)
        stacked = np.stack([layer.get(name, missing).astype(kind) for layer in layers])
        data[name] = (grid if len(shape) == 2 else grid[:2], stacked)
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
    if shared is not None:
        data.attrs["law_exponent"] = shared.law.exponent
        data.attrs["law_exponent_std"] = shared.law.std
        data.attrs["azimuth_spacing"] = shared.scene.ground.azimuth_spacing
    return data
