"""The joint result on the map: what all looks say together of a cell, and what each says alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from mosart.change.drawn import DIMS as DRAWN_DIMS
from mosart.change.drawn import VARIABLE as DRAWN
from mosart.errors import InputError
from mosart.geocoding import MapGrid, geocode, georeference
from mosart.inversion.entries import Date
from mosart.inversion.gather import JointEntry, NamedStack
from mosart.masks import Flag

from .invert import WITHHELD
from .jointstep import FINAL_SAMPLES
from .maptiles import node_spacing
from .onlook import TEXTS, Answered, Bits, LonLat
from .onradar import hidden, shared_dataset
from .sharedground import LocalFrame
from .together import UNSEEN, new_reflectivity

Float = NDArray[np.float64]
Lines = tuple[NDArray[np.intp], NDArray[np.intp]]

GRID = ("date", "y", "x")


#: Images of an entry on the map, float32; in this order the values of the nodes are read.
FIELDS = ("estimate", "elevation_change_std", "brightness", "texture_kept", "growth_effect")
#: Numbers of a look and an entry.
NUMBERS = ("look_level", "look_level_std", "new_brightness")
#: Numbers of an entry's draws up to which they lie half a node apart; on larger maps further apart.
MOST_DRAWN = 64_000_000


@dataclass(frozen=True)
class MapImages:
    """All entries on a map or a window of it, numpy or lazy.

    Parameters
    ----------
    images : mapping of str to array (date, y, x)
        :data:`FIELDS`, NaN where no look has data, before anything else is withheld.
    mask, bits : array of uint8 (date, y, x)
        Reasons to withhold, and a bit for each look that sees the cell.
    reflectivity : array (look, date, y, x)
        Log reflectivity as each look alone has it.
    height : array (y, x)
        Mean of the DEMs.
    numbers : mapping of str to ndarray (look, date)
        :data:`NUMBERS`.
    draws : array (draw, line, line, date) or None
        Drawn errors on lines of cells; None where nothing was solved.
    """

    images: Mapping[str, Any]
    mask: Any
    bits: Any
    reflectivity: Any
    height: Any
    numbers: Mapping[str, Float]
    draws: Any | None


def map_images(
    looks: Sequence[NamedStack],
    done: Sequence[Answered],
    grid: MapGrid,
    directions: NDArray[np.uint8],
    lines: Lines,
) -> MapImages:
    """Bring all entries to a map or a window of it.

    Parameters
    ----------
    looks : sequence of NamedStack
        All looks.
    done : sequence of Answered
        All entries.
    grid : MapGrid
        The map.
    directions : ndarray of uint8 (2 ** looks,)
        Directions of every set of looks, by bits.
    lines : tuple of ndarray
        Rows and columns of the cells that the draws are told on.

    Returns
    -------
    MapImages
        In memory.
    """
    lon, lat = positions(grid)
    shape = (len(done), *grid.shape)
    seen_from = [_masks_on_map(k, look, done, grid) for k, look in enumerate(looks)]
    images = {name: np.zeros(shape, np.float32) for name in FIELDS}
    fresh = np.full((len(looks), *shape), np.nan, np.float32)
    numbers = {name: np.full((len(looks), len(done)), np.nan) for name in NUMBERS}
    mask, bits = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    outside = np.zeros(shape, bool)
    for e, one in enumerate(done):
        mask[e], bits[e], outside[e] = join_masks([seen_from[k][e] for k in one.taking], one.taking)
        images["texture_kept"][e] = 1.0
        if one.solved is None:
            images["brightness"][e] = np.nan
            continue
        solved, joint = one.solved, one.solved.joint
        reflectivity = [
            new_reflectivity(look, joint.change, solved.gain[k]) for k, look in solved.mapped.items()
        ]
        on_nodes = (joint.change, solved.std, joint.brightness, joint.kept, solved.growth)
        lost = solved.lost.astype(np.float64)
        values = solved.at(lon, lat, *on_nodes, lost, *reflectivity)
        for name, value in zip(FIELDS, values):
            images[name][e] = value
        doubted = (values[3] < 0.5) & (directions[bits[e]] < 2) | (values[5] > 0.5)
        mask[e][doubted & (bits[e] != 0)] |= np.uint8(Flag.UNRESOLVED)
        levels = np.array([look.level for look in solved.mapped.values()])
        for n, (k, look) in enumerate(solved.mapped.items()):
            fresh[k, e] = np.where(bits[e] >> k & 1, values[6 + n], np.nan)
            told = levels[n] - levels.mean(), look.level_std, joint.ratio[n]
            for name, number in zip(NUMBERS, told):
                numbers[name][k, e] = number
    images = {name: np.where(outside, np.float32(np.nan), image) for name, image in images.items()}
    draws = _draws(done, tuple(values[np.ix_(*lines)] for values in (lon, lat)))
    return MapImages(images, mask, bits, fresh, _height(looks, grid), numbers, draws)


def map_dataset(
    looks: Sequence[NamedStack],
    reference: tuple[Date, ...],
    plans: Sequence[JointEntry],
    found: MapImages,
    *,
    grid: MapGrid,
    lines: Lines,
) -> xr.Dataset:
    """Lay the result on a map.

    Parameters
    ----------
    looks : sequence of NamedStack
        All looks.
    reference : tuple of datetime.date
        Of all looks.
    plans : sequence of JointEntry
        All entries.
    found : MapImages
        What was found on the map.
    grid : MapGrid
        The map.
    lines : tuple of ndarray
        Rows and columns of the cells that the draws are told on.

    Returns
    -------
    xarray.Dataset
        Of an :class:`~mosart.change.ElevationChange`, (date, y, x).
    """
    data, attrs = shared_dataset(plans, reference)
    data = data.assign_coords(look=("look", np.array([look.name for look in looks])))
    data["elevation_change"] = (GRID, hidden(found.images["estimate"], found.mask))
    for name, image in found.images.items():
        data[name] = (GRID, hidden(image, found.mask) if name in WITHHELD else image)
    data["mask"] = (GRID, found.mask)
    data["looks"] = (GRID, found.bits, _looks_attrs(looks))
    data["height"] = (GRID[1:], found.height)
    data["new_reflectivity"] = (("look", *GRID), found.reflectivity)
    for name, numbers in found.numbers.items():
        data[name] = (("look", "date"), numbers)
    for name in set(TEXTS) & {str(v) for v in data.data_vars}:
        data[name].attrs.update(TEXTS[name])
    data.attrs.update(_common_attrs(looks))
    data.attrs.update(attrs)
    data = georeference(data, grid)
    told = {}
    for axis, some in zip(("y", "x"), lines):
        # without axis and standard name, which the convention leaves to those of the map
        attributes = {"long_name": f"{axis} of the draws", "units": data[axis].attrs["units"]}
        told[f"draw_{axis}"] = (f"draw_{axis}", data[axis].values[some], attributes)
    if found.draws is None or len(found.draws):
        # also where all is zero: entries that are solved one by one are joined
        data = data.assign_coords(told)
    if found.draws is not None and len(found.draws):
        data[DRAWN] = (DRAWN_DIMS, found.draws, TEXTS[DRAWN])
    return data


def _draws(done: Sequence[Answered], places: tuple[Float, ...]) -> NDArray[np.float32] | None:
    """Drawn errors at cells that are as far apart as half a node: they are smooth.

    Interpolated, independent errors of the nodes cancel in part, but the ground between the nodes is known no
    better than at them: the draws are made as large there.
    """
    solved = [one.solved for one in done if one.solved is not None]
    if not solved:
        return None
    draws = np.zeros((len(solved[0].draws), *places[0].shape, len(done)), np.float32)
    for e, one in enumerate(done):
        if one.solved is not None:
            drawn = one.solved.draws
            *at_cells, size = one.solved.at(places[0], places[1], *drawn, _size(drawn))
            interpolated = np.array(at_cells)
            smaller = _size(interpolated)
            draws[..., e] = interpolated * np.divide(size, smaller, out=np.ones_like(size), where=smaller > 0)
    return draws


def _size(draws: Float) -> Float:
    """Root of the mean square of all draws."""
    return np.asarray(np.sqrt(np.mean(draws**2, axis=0)))


def draw_lines(looks: Sequence[NamedStack], grid: MapGrid) -> Lines:
    """Choose rows and columns of cells about half a node apart, the last ones among them.

    Parameters
    ----------
    looks : sequence of NamedStack
        All looks.
    grid : MapGrid
        The map.

    Returns
    -------
    rows, columns : ndarray
        They depend on the looks and the map alone, so that entries that are solved one by one can be joined.
        Of a map of more than :data:`MOST_DRAWN` numbers they lie as much further apart.
    """
    half = 0.5 * node_spacing([look.frame for look in looks])
    found, steps = [], []
    for axis, size in enumerate(grid.shape):
        ends = np.diff(_border(grid, axis), axis=1)
        cell = float(np.nanmedian(np.hypot(*ends[:, 0]))) / max(size - 1, 1)
        steps.append(half / cell if cell > 0 else 1.0)
    numbers = FINAL_SAMPLES * np.prod([size / max(step, 1.0) for size, step in zip(grid.shape, steps)])
    wider = max(1.0, float(np.sqrt(numbers / MOST_DRAWN)))
    for size, step in zip(grid.shape, steps):
        found.append(np.unique(np.append(np.arange(0, size, max(1, int(wider * step))), size - 1)))
    return found[0], found[1]


def _border(grid: MapGrid, axis: int) -> Float:
    """East and north of the cells of the first and the last row (or column), (2, 2, cells)."""
    ends = [slice(0, 1), slice(grid.shape[axis] - 1, grid.shape[axis])]
    whole = slice(0, grid.shape[1 - axis])
    cells = []
    for end in ends:
        place = (end, whole) if axis == 0 else (whole, end)
        cells.append([values.ravel() for values in positions(grid_window(grid, place))])
    lon, lat = (np.array([line[k] for line in cells]) for k in (0, 1))
    return np.array(LocalFrame.of(lon, lat).metres(lon, lat))


def grid_window(grid: MapGrid, place: tuple[slice, slice]) -> MapGrid:
    """Cut rows and columns out of a map grid."""
    rows, columns = place
    t = grid.transform
    corner = Affine(t.a, t.b, t.c + t.a * columns.start, t.d, t.e, t.f + t.e * rows.start)
    return MapGrid(grid.crs, corner, columns.stop - columns.start, rows.stop - rows.start)


def positions(grid: MapGrid) -> LonLat:
    """Longitude and latitude of the cells' centres, (y, x) degrees; NaN where the map has none."""
    x, y = np.meshgrid(grid.x, grid.y)
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    known = np.isfinite(lon) & np.isfinite(lat)
    return np.where(known, lon, np.nan), np.where(known, lat, np.nan)


def _masks_on_map(k: int, look: NamedStack, done: Sequence[Answered], grid: MapGrid) -> Bits:
    """Bring to the map what a look itself says of the ground on every date, (date, y, x)."""
    source = look.stack.dataset
    plane = xr.Dataset({name: source[name] for name in ("longitude", "latitude")}, attrs=dict(source.attrs))
    plane["mask"] = (("date", "azimuth", "range"), np.array([one.seen[k].mask for one in done]))
    try:
        return np.asarray(geocode(plane, grid, variables=["mask"])["mask"].values)
    except InputError:  # a window of the map that lies beside the look
        return np.full((len(done), *grid.shape), np.uint8(Flag.NODATA))


def join_masks(masks: Sequence[Bits], numbers: Sequence[int]) -> tuple[Bits, Bits, NDArray[np.bool_]]:
    """Join the masks of looks: ground that one of them sees has its number.

    Parameters
    ----------
    masks : sequence of ndarray of uint8 (y, x)
        Of the looks that have images.
    numbers : sequence of int
        Their numbers.

    Returns
    -------
    mask : ndarray of uint8 (y, x)
        Where no look sees the ground, the reasons of all. Water that one look knows of is water.
    seen : ndarray of uint8 (y, x)
        A bit for each look that sees the ground.
    outside : ndarray of bool (y, x)
        Where no look has data: what is hidden from one of them has an estimate.
    """
    seen, reasons, said = (np.zeros(masks[0].shape, np.uint8) for _ in range(3))
    for k, mask in zip(numbers, masks):
        seen |= np.where((mask & UNSEEN) == 0, np.uint8(1 << k), np.uint8(0))
        reasons |= mask & UNSEEN
        said |= mask & np.uint8(Flag.WATER | Flag.CLIPPED)
    outside = (np.bitwise_and.reduce(masks) & np.uint8(Flag.NODATA)) != 0
    return np.where(seen == 0, reasons, np.uint8(0)) | said, seen, outside


def _looks_attrs(looks: Sequence[NamedStack]) -> dict[str, object]:
    return {
        "long_name": "looks that see the ground: not in layover or shadow, before or after, no water, no gap",
        "flag_masks": np.array([1 << k for k in range(len(looks))], dtype=np.uint8),
        "flag_meanings": " ".join("_".join(look.name.split()) for look in looks),
    }


def _height(looks: Sequence[NamedStack], grid: MapGrid) -> NDArray[np.float32]:
    """Mean of the DEMs where they are known."""
    total, count = np.zeros(grid.shape), np.zeros(grid.shape)
    for look in looks:
        source = look.stack.dataset
        plane = xr.Dataset(
            {name: source[name] for name in ("height", "longitude", "latitude")}, attrs=dict(source.attrs)
        )
        try:
            height = np.asarray(geocode(plane, grid, variables=["height"])["height"].values, np.float64)
        except InputError:  # a window of the map that lies beside the look
            continue
        total += np.nan_to_num(height)
        count += np.isfinite(height)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _common_attrs(looks: Sequence[NamedStack]) -> dict[str, object]:
    """Attributes of the stacks: what is one in all, and texts that differ joined by look."""
    attrs = [look.stack.dataset.attrs for look in looks]
    found: dict[str, object] = {}
    for key in {key for one in attrs for key in one}:
        values = [one.get(key, "unknown") for one in attrs]
        if all(type(v) is type(values[0]) and np.all(v == values[0]) for v in values):
            found[key] = values[0]
        elif all(isinstance(v, str) for v in values):
            found[key] = "; ".join(f"{look.name}: {v}" for look, v in zip(looks, values))
    return dict(sorted(found.items())) | {"look_names": ",".join(look.name for look in looks)}
