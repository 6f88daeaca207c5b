"""The joint result on the map: what all looks say together of a cell, and what each says alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import Transformer

from mosart.change.drawn import DIMS as DRAWN_DIMS
from mosart.change.drawn import VARIABLE as DRAWN
from mosart.geocoding import MapGrid, geocode, georeference
from mosart.inversion.entries import Date
from mosart.inversion.gather import NamedStack
from mosart.masks import Flag

from .invert import WITHHELD
from .mapped import BLOCK, NODE_SIDES
from .onlook import TEXTS, Answered, Bits, LonLat, hidden, shared_dataset
from .sharedground import LocalFrame
from .together import UNSEEN, new_reflectivity

GRID = ("date", "y", "x")


def map_dataset(
    looks: Sequence[NamedStack],
    reference: tuple[Date, ...],
    done: Sequence[Answered],
    grid: MapGrid,
    directions: NDArray[np.uint8],
) -> xr.Dataset:
    """Lay the result on a map.

    Parameters
    ----------
    looks : sequence of NamedStack
        All looks.
    reference : tuple of datetime.date
        Of all looks.
    done : sequence of Answered
        All entries.
    grid : MapGrid
        The map.
    directions : ndarray of uint8 (2 ** looks,)
        Directions of every set of looks, by bits.

    Returns
    -------
    xarray.Dataset
        Of an :class:`~mosart.change.ElevationChange`, (date, y, x).
    """
    lon, lat = positions(grid)
    shape = (len(done), *grid.shape)
    seen_from = [_masks_on_map(k, look, done, grid) for k, look in enumerate(looks)]
    names = ("estimate", "elevation_change_std", "brightness", "texture_kept", "growth_effect")
    images = {name: np.zeros(shape, np.float32) for name in names}
    fresh = np.full((len(looks), *shape), np.nan, np.float32)
    level, level_std, bright = (np.full((len(looks), len(done)), np.nan) for _ in range(3))
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
        for name, value in zip(names, values):
            images[name][e] = value
        doubted = (values[3] < 0.5) & (directions[bits[e]] < 2) | (values[5] > 0.5)
        mask[e][doubted & (bits[e] != 0)] |= np.uint8(Flag.UNRESOLVED)
        levels = np.array([look.level for look in solved.mapped.values()])
        for n, (k, look) in enumerate(solved.mapped.items()):
            fresh[k, e] = np.where(bits[e] >> k & 1, values[6 + n], np.nan)
            level[k, e], level_std[k, e] = levels[n] - levels.mean(), look.level_std
            bright[k, e] = joint.ratio[n]
    data, attrs = shared_dataset(done, reference)
    data = data.assign_coords(look=("look", np.array([look.name for look in looks])))
    data["elevation_change"] = (GRID, hidden(images["estimate"], mask))
    for name, image in images.items():
        shown = hidden(image, mask) if name in WITHHELD else np.where(outside, np.float32(np.nan), image)
        data[name] = (GRID, shown)
    data["mask"] = (GRID, mask)
    data["looks"] = (GRID, bits, _looks_attrs(looks))
    data["height"] = (GRID[1:], _height(looks, grid))
    data["new_reflectivity"] = (("look", *GRID), fresh)
    for name, numbers in (("look_level", level), ("look_level_std", level_std), ("new_brightness", bright)):
        data[name] = (("look", "date"), numbers)
    for name in set(TEXTS) & {str(v) for v in data.data_vars}:
        data[name].attrs.update(TEXTS[name])
    data.attrs.update(_common_attrs(looks))
    data.attrs.update(attrs)
    return _with_draws(georeference(data, grid), looks, done, (lon, lat))


def _with_draws(
    data: xr.Dataset, looks: Sequence[NamedStack], done: Sequence[Answered], cells: LonLat
) -> xr.Dataset:
    """Add the drawn errors, on lines of cells as far apart as half a node: they are smooth."""
    solved = [one.solved for one in done if one.solved is not None]
    if solved and not len(solved[0].draws):
        return data
    rows, columns = _lines(looks, cells)
    lines = {}
    for axis, some in (("y", rows), ("x", columns)):
        # without axis and standard name, which the convention leaves to those of the map
        attrs = {"long_name": f"{axis} of the draws", "units": data[axis].attrs["units"]}
        lines[f"draw_{axis}"] = (f"draw_{axis}", data[axis].values[some], attrs)
    # also where all is zero: entries that are solved one by one are joined
    data = data.assign_coords(lines)
    if not solved:
        return data
    places = tuple(values[np.ix_(rows, columns)] for values in cells)
    draws = np.zeros((len(solved[0].draws), rows.size, columns.size, len(done)), np.float32)
    for e, one in enumerate(done):
        if one.solved is not None:
            draws[..., e] = one.solved.at(*places, *one.solved.draws)
    data[DRAWN] = (DRAWN_DIMS, draws, TEXTS[DRAWN])
    return data


def _lines(looks: Sequence[NamedStack], cells: LonLat) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose rows and columns of cells about half a node apart, the last ones among them.

    They depend on the looks and the map alone, so that entries that are solved one by one can be joined.
    """
    pixel = min(
        np.sqrt(f.azimuth_spacing * f.range_spacing / float(np.median(np.sin(f.theta))))
        for f in (look.frame for look in looks)
    )
    positions = LocalFrame.of(*cells).metres(*cells)
    found = []
    for axis, size in enumerate(cells[0].shape):
        ends = np.diff(np.take(positions, (0, -1), axis=axis + 1), axis=axis + 1)
        cell = float(np.nanmedian(np.hypot(*ends))) / max(size - 1, 1)
        step = max(1, int(0.5 * NODE_SIDES * np.sqrt(BLOCK[0] * BLOCK[1]) * pixel / cell)) if cell > 0 else 1
        found.append(np.unique(np.append(np.arange(0, size, step), size - 1)))
    return found[0], found[1]


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
    return np.asarray(geocode(plane, grid, variables=["mask"])["mask"].values)


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
        height = np.asarray(geocode(plane, grid, variables=["height"])["height"].values, np.float64)
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
