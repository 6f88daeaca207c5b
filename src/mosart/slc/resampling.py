"""Filling a scene's grid: the geometry of its pixels, and each date's amplitude there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosart.geometry.orbit import Dem, GeometryLayers, geometry_layers
from mosart.geometry.orbit.layers import ecef_of
from mosart.geometry.orbit.project import ground_to_radar
from mosart.geometry.orbit.sections import sections_width, trace_sections

from . import kernels
from .product import Product, Segment
from .scene import Scene, find_segment

#: Pixels that one task works on.
TILE = 3_000_000

#: Makes an array: shape, kind, name. In memory by default; a caller may map it to a scratch file.
Allocate = Callable[[tuple[int, ...], Any, str], NDArray[Any]]


def in_memory(shape: tuple[int, ...], dtype: Any, name: str) -> NDArray[Any]:  # noqa: ARG001
    """Allocate an array in memory."""
    return np.empty(shape, dtype=dtype)


def _tiles(scene: Scene) -> list[tuple[int, int, str]]:
    """Blocks of lines of one owner each."""
    most = max(TILE // max(scene.grid.columns, 1), 16)
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
        pixels *= scale.at(np.arange(row0, row1) + np.float64(0), inside.astype(np.float64)).astype(
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
        amplitude = np.abs(values)
        # Where all samples under the kernel are zero, the product has no data.
        out[rows] = np.where(filled & (amplitude > 0), amplitude, np.float32(np.nan))

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
    """Noise of the intensity by range column, mean over the bursts' lines; NaN where not known."""
    total = np.zeros(scene.grid.columns)
    rows = 0
    for first, last, name in scene.owners:
        segment = find_segment(product, name)[0]
        if segment.noise is None:
            return np.full(scene.grid.columns, np.nan, dtype=np.float32)
        distance = scene.grid.first_range + np.arange(scene.grid.columns) * scene.grid.range_step
        column: NDArray[np.float64] = np.asarray(
            (distance - segment.grid.first_range) / segment.grid.range_step, dtype=np.float64
        )
        # The noise's lines are those of the burst: other dates count their lines from other moments.
        lines = np.linspace(float(segment.valid[0]), float(segment.valid[1] - 1), 7)
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

    most = max(TILE // max(scene.grid.columns, 1) // 4, 8)
    _map(work, [(k, min(k + most, shape[0]), "") for k in range(0, shape[0], most)], workers)
    return layers


def reference_sections(
    scene: Scene, dem: Dem, *, workers: int = 1, allocate: Allocate = in_memory
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Terrain along a scene's lines, by tiles of rows.

    Parameters
    ----------
    scene : Scene
        The grid.
    dem : Dem
        Terrain.
    workers : int
        Threads.
    allocate : callable
        Where the arrays live.

    Returns
    -------
    slant, height : ndarray (rows, points)
        As :func:`mosart.geometry.orbit.sections.trace_sections` gives them.
    """
    start, count = sections_width(scene.grid, dem)
    rows, limits = scene.grid.rows, dem.limits
    slant = allocate((rows, count), np.float32, "section_range")
    height = allocate((rows, count), np.float32, "section_height")

    def work(tile: tuple[int, int]) -> None:
        first, last = tile
        grid = scene.grid.crop(first, last, 0, scene.grid.columns)
        slant[first:last], height[first:last] = trace_sections(grid, dem, start, count, limits)

    most = max(TILE // count // 4, 8)
    _map(work, [(k, min(k + most, rows)) for k in range(0, rows, most)], workers)
    return slant, height
