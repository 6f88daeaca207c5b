"""Where the tiles' answers of one entry come together, on all grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from .canvas import KEPT_BYTES, RowMean
from .jointstep import FINAL_SAMPLES
from .mosaic import Mosaic, Place
from .onlook import FIELDS as RADAR_FIELDS
from .onmap import FIELDS as MAP_FIELDS
from .onmap import NUMBERS, MapImages
from .onradar import RadarImages
from .tilework import Job, Tile, Told

Float = NDArray[np.float64]
Put = Callable[[Mosaic, Place, Float, Mapping[str, Any], Mapping[str, Any] | None], None]


@dataclass
class Sheet:
    """One entry: on the map, on the lines of its draws, on every look's grid, on the nodes.

    Parameters
    ----------
    on_map, drawn, on_nodes : Mosaic
        Of all tiles.
    on_radar : list of Mosaic
        One a look.
    gains : list of RowMean
        Of each look's rows.
    told : list of Told
        Of the tiles.
    """

    on_map: Mosaic
    drawn: Mosaic
    on_nodes: Mosaic
    on_radar: list[Mosaic]
    gains: list[RowMean]
    told: list[Told] = field(default_factory=list)

    @classmethod
    def of(cls, job: Job) -> Sheet:
        """Begin with nothing on it."""
        looks, shape, lines = len(job.looks), job.grid.shape, (len(job.lines[0]), len(job.lines[1]))
        numbers = (len(MAP_FIELDS) + looks + 3) * int(np.prod(shape)) + FINAL_SAMPLES * int(np.prod(lines))
        numbers += sum((len(RADAR_FIELDS) + 2) * int(np.prod(size)) for size in job.plan.shapes)
        filed = 4 * numbers * len(job.entries) > KEPT_BYTES
        fields: dict[str, tuple[int, ...]] = dict.fromkeys(MAP_FIELDS, ())
        radar: dict[str, tuple[int, ...]] = dict.fromkeys(RADAR_FIELDS, ())
        return cls(
            Mosaic(fields | {"reflectivity": (looks,), "height": ()}, shape, ("mask", "bits"), filed=filed),
            Mosaic({"draws": (FINAL_SAMPLES,)}, lines, filed=filed, errors=True),
            Mosaic({"estimate": (), "elevation_change_std": ()}, job.plan.nodes.shape),
            [Mosaic(radar, size, ("mask",), filed=filed) for size in job.plan.shapes],
            [RowMean(size[0]) for size in job.plan.shapes],
        )

    def put(self, tile: Tile, e: int, how: Put) -> None:
        """Add, or lay over, a tile's answer to the `e`-th entry."""
        if (there := tile.on_map) is not None:
            one = there.images
            images = {name: one.images[name][e] for name in MAP_FIELDS}
            images |= {"reflectivity": one.reflectivity[:, e], "height": one.height}
            how(self.on_map, there.place, there.weight, images, {"mask": one.mask[e], "bits": one.bits[e]})
            if one.draws is not None and tile.told[e] is not None:
                how(self.drawn, there.lines, there.line_weight, {"draws": one.draws[..., e]}, None)
        for k, (found, weight) in enumerate(zip(tile.on_radar, tile.weights)):
            images = {name: image[e] for name, image in found.images.items()}
            how(self.on_radar[k], tile.data.places[k], weight, images, {"mask": found.mask[e]})
        if (nodes := tile.on_nodes[e]) is not None:
            how(self.on_nodes, tile.data.box.slices, tile.data.box.weight, nodes, None)
        if (told := tile.told[e]) is not None:
            self.told.append(told)

    def count_gains(self, tile: Tile, e: int) -> None:
        """Add a tile's gains of the rows."""
        for k, (found, weight) in enumerate(zip(tile.on_radar, tile.weights)):
            self.gains[k].add(tile.data.places[k][0], found.row_gain[e], weight)

    def finish(self) -> None:
        """Divide by the weights."""
        for mosaic in (self.on_map, self.drawn, self.on_nodes, *self.on_radar):
            mosaic.finish()

    @property
    def taking(self) -> list[int]:
        """Looks that any tile was solved from."""
        return sorted({k for one in self.told for k in one.taking})


def radar_images(sheets: Sequence[Sheet], k: int) -> RadarImages:
    """Put together all entries on the grid of a look."""
    mosaics = [sheet.on_radar[k] for sheet in sheets]
    images = {name: _stacked([one.read(name) for one in mosaics]) for name in RADAR_FIELDS}
    gains = np.array([sheet.gains[k].mean for sheet in sheets])
    return RadarImages(images, _stacked([one.read("mask") for one in mosaics]), gains)


def map_images_of(sheets: Sequence[Sheet], job: Job) -> MapImages:
    """Put together all entries on the map."""
    maps = [sheet.on_map for sheet in sheets]
    images = {name: _stacked([one.read(name) for one in maps]) for name in MAP_FIELDS}
    numbers = {name: np.full((len(job.looks), len(sheets)), np.nan) for name in NUMBERS}
    for e, (sheet, entry) in enumerate(zip(sheets, job.entries)):
        levels = job.whole.levels.get(entry.entry.date, {})
        taking = sheet.taking
        middle = float(np.mean([levels[k].value for k in taking])) if taking else 0.0
        for k in taking:
            ratios, new = np.array([(one.ratio[k], one.new) for one in sheet.told if k in one.ratio]).T
            ratio = np.average(ratios, weights=new) if new.sum() > 0 else ratios.mean()
            told = levels[k].value - middle, levels[k].std, float(ratio)
            for name, number in zip(NUMBERS, told):
                numbers[name][k, e] = number
    draws = None
    if any(sheet.told for sheet in sheets):
        draws = _stacked([sheet.drawn.read("draws") for sheet in sheets], axis=-1)
        draws = np.nan_to_num(draws) if isinstance(draws, np.ndarray) else da.nan_to_num(draws)
    return MapImages(
        images,
        _stacked([one.read("mask") for one in maps]),
        _stacked([one.read("bits") for one in maps]),
        _stacked([one.read("reflectivity") for one in maps], axis=1),
        maps[0].read("height"),
        numbers,
        draws,
    )


def _stacked(arrays: Sequence[Any], axis: int = 0) -> Any:
    if isinstance(arrays[0], np.ndarray):
        return np.stack(arrays, axis)
    return da.stack(arrays, axis)
