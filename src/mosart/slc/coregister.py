"""Coregistration: every date resampled to the radar grid of one of them, by geometry."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry.orbit import Dem, GeometryLayers, coverage, geometry_layers, load_dem
from mosart.geometry.orbit.layers import ecef_of
from mosart.geometry.orbit.project import ground_to_radar

from . import kernels
from .product import Product, Segment
from .residual import UNMEASURED, Residual, measure
from .scene import LonLat, Scene, build_scene, check_alike, crop_scene, find_segment, merge_dates

logger = logging.getLogger(__name__)

#: Pixels that one task works on.
_TILE = 3_000_000
#: An offset that remains after it was applied, pixels, above which a date is refused.
_WORST = 0.5
_LEAST_OVERLAP = 0.02
_ROUNDS = 3

#: Makes an array: shape, kind, name. In memory by default; a caller may map it to a scratch file.
Allocate = Callable[[tuple[int, ...], Any, str], NDArray[Any]]


def in_memory(shape: tuple[int, ...], dtype: Any, name: str) -> NDArray[Any]:  # noqa: ARG001
    """Allocate an array in memory."""
    return np.empty(shape, dtype=dtype)


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
    dates: tuple[dt.date, ...]
    amplitude: NDArray[np.float32]
    noise: NDArray[np.float32]
    reports: tuple[DateReport, ...]
    rejected: tuple[tuple[dt.date, str], ...]
    dem: Dem
    kernel_error: float


def _tiles(scene: Scene) -> list[tuple[int, int, str]]:
    """Blocks of lines of one owner each."""
    most = max(_TILE // max(scene.grid.columns, 1), 16)
    return [
        (start, min(start + most, stop), name)
        for first, stop, name in scene.owners
        for start in range(first, stop, most)
    ]


def _map(work: Callable[[Any], None], items: Sequence[Any], workers: int) -> None:
    if workers <= 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, items):
            pass


def _read(segment: Segment, box: tuple[int, int, int, int]) -> NDArray[np.complex64]:
    """Pixels of a box without their carrier, as the root of beta nought."""
    row0, row1, column0, column1 = box
    pixels = segment.pixels.read(box)
    grid, carrier = segment.grid, segment.carrier
    inside = np.clip(np.arange(column0, column1), 0, grid.columns - 1)
    first = grid.first_time + row0 * grid.time_step - carrier.time
    kernels.demodulate(pixels, first, grid.time_step, np.ascontiguousarray(carrier.coefficients[:, inside]))
    scale = segment.amplitude_scale
    if scale.values.size == 1:
        pixels *= np.float32(scale.values[0, 0])
    else:
        pixels *= scale.at(np.arange(row0, row1).astype(np.float64), inside.astype(np.float64)).astype(
            np.float32
        )
    return pixels


def resample(
    product: Product,
    scene: Scene,
    layers: GeometryLayers,
    out: NDArray[np.float32],
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    workers: int = 1,
) -> float:
    """Amplitude of a product on a scene's grid, from dense offsets of the terrain and the orbit.

    Parameters
    ----------
    product : Product
        Any date.
    scene, layers : Scene, GeometryLayers
        The grid and the positions of its pixels.
    out : ndarray (rows, columns) of float32
        Receives the amplitude, NaN where the product has none or the position is not known.
    shift : tuple of float
        Rows and columns *of the scene's grid* to add to where the pixel is looked for.
    workers : int
        Threads.

    Returns
    -------
    float
        Error of the kernels, relative.
    """
    row_weights, row_error = kernels.choose(product.bandwidth[0])
    column_weights, column_error = kernels.choose(product.bandwidth[1])
    weights = row_weights.astype(np.float32), column_weights.astype(np.float32)

    def work(tile: tuple[int, int, str]) -> None:
        first, last, name = tile
        rows = slice(first, last)
        shape = layers.longitude[rows].shape
        points = np.empty((shape[0] * shape[1], 3))
        ecef_of(
            layers.longitude[rows].ravel(), layers.latitude[rows].ravel(), layers.height[rows].ravel(), points
        )
        time, distance = ground_to_radar(product.segments[0].grid, points)
        time = time.reshape(shape) + shift[0] * scene.grid.time_step
        distance = distance.reshape(shape) + shift[1] * scene.grid.range_step
        values = np.zeros(shape, dtype=np.complex64)
        filled = np.zeros(shape, dtype=np.uint8)
        for segment in find_segment(product, name):
            _fill(segment, time, distance, weights, values, filled)
            if filled.all():
                break
        out[rows] = np.where(filled, np.abs(values), np.float32(np.nan))

    _map(work, _tiles(scene), workers)
    return float(np.hypot(row_error, column_error))


def _fill(  # noqa: PLR0917
    segment: Segment,
    time: NDArray[np.float64],
    distance: NDArray[np.float64],
    weights: tuple[NDArray[np.float32], NDArray[np.float32]],
    values: NDArray[np.complex64],
    filled: NDArray[np.uint8],
) -> None:
    """Fill what is missing of a tile from one segment."""
    grid = segment.grid
    row = (time - grid.first_time) / grid.time_step
    column = (distance - grid.first_range) / grid.range_step
    wanted = (
        (filled == 0)
        & (row >= segment.valid[0])
        & (row < segment.valid[1])
        & (column >= segment.valid[2])
        & (column < segment.valid[3])
    )
    if not wanted.any():
        return
    reach_r, reach_c = weights[0].shape[1], weights[1].shape[1]
    box = (
        max(int(row[wanted].min()) - reach_r, segment.valid[0]),
        min(int(row[wanted].max()) + reach_r + 1, segment.valid[1]),
        max(int(column[wanted].min()) - reach_c, segment.valid[2]),
        min(int(column[wanted].max()) + reach_c + 1, segment.valid[3]),
    )
    kernels.interpolate(
        _read(segment, box),
        box[0],
        box[2],
        np.array(segment.valid),
        row,
        column,
        weights[0],
        weights[1],
        kernels.STEPS,
        values,
        filled,
    )


def copy_pixels(product: Product, scene: Scene, out: NDArray[np.float32], *, workers: int = 1) -> None:
    """Amplitude of the grid's own date: its pixels as they are, without resampling."""

    def work(tile: tuple[int, int, str]) -> None:
        first, last, name = tile
        segment = next(s for s in product.segments if s.name == name)
        grid = segment.grid
        # Bursts lie on one lattice of lines to a few thousandths of a line.
        row = round((scene.grid.first_time - grid.first_time) / grid.time_step)
        column = round((scene.grid.first_range - grid.first_range) / grid.range_step)
        box = (row + first, row + last, column, column + scene.grid.columns)
        amplitude = np.abs(_read(segment, box))
        valid = np.zeros(amplitude.shape, dtype=bool)
        r0, r1, c0, c1 = segment.valid
        valid[max(r0 - box[0], 0) : max(r1 - box[0], 0), max(c0 - column, 0) : max(c1 - column, 0)] = True
        out[first:last] = np.where(valid & (amplitude > 0), amplitude, np.float32(np.nan))

    _map(work, _tiles(scene), workers)


def noise_floor(product: Product, scene: Scene) -> NDArray[np.float32]:
    """Noise of the intensity by range column, mean over the scene's rows; NaN where not known."""
    total = np.zeros(scene.grid.columns)
    rows = 0
    for first, last, name in scene.owners:
        segment = find_segment(product, name)[0]
        if segment.noise is None:
            return np.full(scene.grid.columns, np.nan, dtype=np.float32)
        distance = scene.grid.first_range + np.arange(scene.grid.columns) * scene.grid.range_step
        column = (distance - segment.grid.first_range) / segment.grid.range_step
        start = (scene.grid.first_time - segment.grid.first_time) / segment.grid.time_step
        # Another date's clock differs: only lines of the burst itself are meant.
        lines = np.clip(np.linspace(start + first, start + last - 1, 7), 0, segment.grid.rows - 1)
        total += segment.noise.at(lines, column).mean(axis=0) * (last - first)
        rows += last - first
    return (total / max(rows, 1)).astype(np.float32)


def reference_geometry(
    scene: Scene, dem: Dem, *, workers: int = 1, allocate: Allocate = in_memory
) -> GeometryLayers:
    """Geometry of a scene's pixels, by tiles of rows."""
    shape = (scene.grid.rows, scene.grid.columns)
    layers = GeometryLayers(
        allocate(shape, np.float64, "longitude"),
        allocate(shape, np.float64, "latitude"),
        allocate(shape, np.float64, "height"),
        allocate(shape, np.float32, "incidence_angle"),
        allocate(shape, np.float32, "local_incidence_angle"),
        allocate(shape, np.uint8, "mask"),
    )
    limits = dem.limits

    def work(tile: tuple[int, int, str]) -> None:
        first, last, _ = tile
        part = geometry_layers(scene.grid.crop(first, last, 0, scene.grid.columns), dem, limits=limits)
        for name, values in vars(part).items():
            getattr(layers, name)[first:last] = values

    most = max(_TILE // max(scene.grid.columns, 1) // 4, 8)
    _map(work, [(k, min(k + most, shape[0]), "") for k in range(0, shape[0], most)], workers)
    return layers


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
    workers: int = 1,
    allocate: Allocate = in_memory,
    progress: Callable[[str], None] | None = None,
) -> Coregistered:
    """Coregister products on the radar grid of one of their dates.

    Parameters
    ----------
    products, dem_paths, grid_date, crop, dem_datum
        See :func:`prepare`.
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
    tell("geometry")
    layers = reference_geometry(scene, dem, workers=workers, allocate=allocate)
    shape = (scene.grid.rows, scene.grid.columns)
    amplitude = allocate((len(dates), *shape), np.float32, "amplitude")
    reference = dates.index(base)
    copy_pixels(base, scene, amplitude[reference], workers=workers)
    if not np.isfinite(amplitude[reference]).any():
        raise InputError(f"{base.name}: the image is empty here")
    reports: dict[int, DateReport] = {reference: DateReport(base, UNMEASURED, False, UNMEASURED)}
    rejected: list[tuple[dt.date, str]] = []
    error = 0.0
    for k, product in enumerate(dates):
        if k == reference:
            continue
        tell(f"{product.date:%Y%m%d}")
        outcome = align(product, scene, layers, amplitude[reference], amplitude[k], workers=workers)
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
    found = measure(reference, out)
    remaining, applied = found, False
    total = np.zeros(2)
    stamp = f"{product.date:%Y%m%d}"
    # Sampled amplitudes pull the peak towards whole pixels, the less the nearer it is: repeat.
    for _ in range(_ROUNDS):
        if not remaining.significant:
            break
        total += remaining.azimuth, remaining.range
        resample(product, scene, layers, out, shift=(total[0], total[1]), workers=workers)
        remaining, applied = measure(reference, out), True
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
