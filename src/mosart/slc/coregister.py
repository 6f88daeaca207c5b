"""Coregistration: every date resampled to the radar grid of one of them, by geometry."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry.orbit import Dem, GeometryLayers, coverage, load_dem

from .product import Product
from .resampling import (
    Allocate,
    copy_pixels,
    in_memory,
    noise_floor,
    reference_geometry,
    reference_sections,
    resample,
)
from .residual import UNMEASURED, Residual, measure
from .scene import LonLat, Scene, build_scene, check_alike, crop_scene, merge_dates

logger = logging.getLogger(__name__)

#: An offset that remains after it was applied, pixels, above which a date is refused.
_WORST = 0.5
_LEAST_OVERLAP = 0.02
_ROUNDS = 3


@dataclass(frozen=True)
class DateReport:
    """What was done with one date.

    Parameters
    ----------
    product : Product
        Merged.
    residual : Residual
        Offset found after alignment by geometry.
    applied : bool
        Whether it was applied.
    remaining : Residual
        Offset found after that; the same where it was not applied.
    """

    product: Product
    residual: Residual
    applied: bool
    remaining: Residual


@dataclass(frozen=True)
class Coregistered:
    """Amplitudes and geometry on one radar grid.

    Parameters
    ----------
    scene : Scene
        The grid.
    layers : GeometryLayers
        Its geometry.
    sections : tuple of ndarray (rows, points)
        Terrain along the lines: slant range in pixels, and height.
    dates : tuple of date
        Ascending, without those that were rejected.
    amplitude : ndarray (date, rows, columns) of float32
        NaN where a date has no pixel.
    noise : ndarray (date, columns) of float32
        Noise floor of the intensity, mean over the rows; NaN where not known.
    reports : tuple of DateReport
        One a date.
    rejected : tuple of (date, str)
        Dates that could not be aligned and why.
    dem : Dem
        Used.
    kernel_error : float
        Root mean square error of the resampling relative to the amplitude, worst case of full band.
    """

    scene: Scene
    layers: GeometryLayers
    sections: tuple[NDArray[np.float32], NDArray[np.float32]]
    dates: tuple[dt.date, ...]
    amplitude: NDArray[np.float32]
    noise: NDArray[np.float32]
    reports: tuple[DateReport, ...]
    rejected: tuple[tuple[dt.date, str], ...]
    dem: Dem
    kernel_error: float


def prepare(
    products: Sequence[Product],
    dem_paths: Sequence[str | Path],
    *,
    grid_date: dt.date | None = None,
    crop: LonLat | None = None,
    dem_datum: str | float | None = None,
) -> tuple[list[Product], Product, Scene, Dem]:
    """Check everything that can be refused before work starts.

    Parameters
    ----------
    products : sequence of Product
        In any order.
    dem_paths : sequence of path
        GeoTIFFs.
    grid_date : date, optional
        Whose grid is used; the earliest by default.
    crop : LonLat, optional
        West, south, east, north.
    dem_datum : str or float, optional
        See :func:`mosart.geometry.orbit.load_dem`.

    Returns
    -------
    dates : list of Product
        One a date, ascending.
    base : Product
        Of the grid's date.
    scene : Scene
        Cut.
    dem : Dem

    Raises
    ------
    InputError
        With whatever does not fit.
    """
    if not products:
        raise InputError("no SLC product was named")
    check_alike(products)
    dates = merge_dates(products)
    check_alike(dates)
    base = dates[0]
    if grid_date is not None:
        base = next((p for p in dates if p.date == grid_date), dates[0])
        if base.date != grid_date:
            raise InputError(
                f"no product of the grid's date {grid_date:%Y%m%d}",
                expected=", ".join(f"{p.date:%Y%m%d}" for p in dates),
            )
    scene = build_scene(base)
    if crop is not None:
        scene = crop_scene(scene, crop, None, margin=16)
    dem = load_dem(list(dem_paths), scene.grid, datum=dem_datum)
    if crop is not None:
        scene = crop_scene(scene, crop, dem)
    covered = coverage(scene.grid, dem)
    if covered == 0:
        raise InputError("the DEM does not meet the scene", hint="give a DEM of the scene")
    message = "the DEM covers %.1f %% of the scene (heights %s)"
    (logger.info if covered > 0.999 else logger.warning)(message, 100 * covered, dem.datum)
    return dates, base, scene, dem


def coregister(
    products: Sequence[Product],
    dem_paths: Sequence[str | Path],
    *,
    grid_date: dt.date | None = None,
    crop: LonLat | None = None,
    dem_datum: str | float | None = None,
    exclude: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]] | None = None,
    workers: int = 1,
    allocate: Allocate = in_memory,
    progress: Callable[[str], None] | None = None,
) -> Coregistered:
    """Coregister products on the radar grid of one of their dates.

    Parameters
    ----------
    products, dem_paths, grid_date, crop, dem_datum
        See :func:`prepare`.
    exclude : callable, optional
        Which places (longitude, latitude) changed: they do not count for the residual offset.
    workers : int
        Threads.
    allocate : callable
        Where the large arrays live.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    Coregistered

    Raises
    ------
    InputError
        See :func:`prepare`; also if no date but the grid's could be aligned.
    """
    tell = progress or (lambda _: None)
    dates, base, scene, dem = prepare(
        products, dem_paths, grid_date=grid_date, crop=crop, dem_datum=dem_datum
    )
    shape = (scene.grid.rows, scene.grid.columns)
    amplitude = allocate((len(dates), *shape), np.float32, "amplitude")
    reference = dates.index(base)
    # Before the long work: where this image cannot be read, there is no stack.
    copy_pixels(base, scene, amplitude[reference], workers=workers)
    if not np.isfinite(amplitude[reference]).any():
        raise InputError(f"{base.name}: the image is empty here")
    tell("geometry")
    layers = reference_geometry(scene, dem, workers=workers, allocate=allocate)
    sections = reference_sections(scene, dem, workers=workers, allocate=allocate)
    changed = exclude(layers.longitude, layers.latitude) if exclude is not None else None
    reports: dict[int, DateReport] = {reference: DateReport(base, UNMEASURED, False, UNMEASURED)}
    rejected: list[tuple[dt.date, str]] = []
    error = 0.0
    for k, product in enumerate(dates):
        if k == reference:
            continue
        tell(f"{product.date:%Y%m%d}")
        outcome = align(
            product, scene, layers, amplitude[reference], amplitude[k], exclude=changed, workers=workers
        )
        if isinstance(outcome, str):
            rejected.append((product.date, outcome))
            logger.warning("%s (%s) is left out: %s", f"{product.date:%Y%m%d}", product.name, outcome)
            continue
        reports[k], kernel_error = outcome
        error = max(error, kernel_error)
    kept = sorted(reports)
    if len(kept) == 1 and len(dates) > 1:
        raise InputError(
            "no date could be aligned with the grid's",
            got="; ".join(f"{d:%Y%m%d}: {reason}" for d, reason in rejected),
        )
    if len(kept) < len(dates):
        for place, k in enumerate(kept):
            if place != k:
                amplitude[place] = amplitude[k]
        amplitude = amplitude[: len(kept)]
    return Coregistered(
        scene,
        layers,
        sections,
        tuple(dates[k].date for k in kept),
        amplitude,
        np.stack([noise_floor(dates[k], scene) for k in kept]),
        tuple(reports[k] for k in kept),
        tuple(rejected),
        dem,
        error,
    )


def align(
    product: Product,
    scene: Scene,
    layers: GeometryLayers,
    reference: NDArray[np.float32],
    out: NDArray[np.float32],
    *,
    exclude: NDArray[np.bool_] | None = None,
    workers: int = 1,
) -> tuple[DateReport, float] | str:
    """Resample one date, measure what offset remains, and apply it where it is significant.

    Parameters
    ----------
    product : Product
        The date.
    scene, layers : Scene, GeometryLayers
        Grid and positions.
    reference : ndarray (rows, columns)
        Amplitude of the grid's date.
    out : ndarray (rows, columns)
        Receives the amplitude.
    exclude : ndarray of bool (rows, columns), optional
        Ground that changed.
    workers : int
        Threads.

    Returns
    -------
    tuple of DateReport and float, or str
        What was done and the kernels' error; or the reason why the date cannot be used.
    """
    try:
        error = resample(product, scene, layers, out, workers=workers)
    except InputError as failure:
        return f"its pixels cannot be read: {failure.what}"
    overlap = float(np.isfinite(out).mean() / max(np.isfinite(reference).mean(), 1e-9))
    if overlap < _LEAST_OVERLAP:
        return f"it covers {100 * overlap:.1f} % of the scene"
    found = measure(reference, out, exclude=exclude)
    remaining, applied = found, False
    total = np.zeros(2)
    stamp = f"{product.date:%Y%m%d}"
    # Sampled amplitudes pull the peak towards whole pixels, the less the nearer it is: repeat.
    for _ in range(_ROUNDS):
        if not remaining.significant:
            break
        total += remaining.azimuth, remaining.range
        resample(product, scene, layers, out, shift=(total[0], total[1]), workers=workers)
        remaining, applied = measure(reference, out, exclude=exclude), True
    if applied:
        left = max(abs(remaining.azimuth), abs(remaining.range))
        if not remaining.measured or left > _WORST:
            return (
                f"the offset of {found.azimuth:.2f} lines and {found.range:.2f} samples that the images show "
                "does not vanish when it is applied"
            )
        found = replace(remaining, azimuth=float(total[0]), range=float(total[1]))
    if found.measured:
        logger.info(
            "%s: residual offset azimuth %+.3f ± %.3f, range %+.3f ± %.3f pixels (%d of %d patches); %s",
            stamp,
            found.azimuth,
            found.azimuth_std,
            found.range,
            found.range_std,
            found.patches,
            found.tried,
            "applied" if applied else "not significant",
        )
    else:
        logger.warning(
            "%s: the images do not correlate well enough to measure a residual offset (%d of %d patches); "
            "the alignment by orbits stands",
            stamp,
            found.patches,
            found.tried,
        )
    return DateReport(product, found, applied, remaining), error
