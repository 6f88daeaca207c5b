"""One tile of a map of several looks: solved, and told on every grid with its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mosart.geocoding import MapGrid
from mosart.inversion.entries import Date
from mosart.inversion.gather import JointEntry, NamedStack
from mosart.stack import Stack

from .answering import answer, compared
from .maptiles import MapPlan
from .mosaic import Place
from .onlook import Answered
from .onmap import Lines, MapImages, grid_window, map_images, positions
from .onradar import RadarImages
from .part import SEED, part_reference
from .reference import Reference
from .tiles import Box
from .together import Shared
from .wholemap import TileData, Whole, read_tile

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """What an entry's answer on a tile says in numbers.

    Parameters
    ----------
    taking : tuple of int
        Looks that it was solved from.
    new : float
        Nodes of new rock.
    ratio : mapping of int to float
        Log brightness of new rock in each look against the mean of all.
    correlation_range, last_step : float
        Metres.
    noise : float
        Largest rescaling of the looks' noise.
    """

    taking: tuple[int, ...]
    new: float
    ratio: Mapping[int, float]
    correlation_range: float
    last_step: float
    noise: float


@dataclass(frozen=True)
class OnMap:
    """A tile's answers on its window of the map.

    Parameters
    ----------
    place : tuple of slice
        Rows and columns of the map.
    weight : ndarray (rows, columns)
        Of the tile.
    lines : tuple of slice
        Of the lines that the draws are told on.
    line_weight : ndarray (line, line)
        Of the tile.
    images : MapImages
        All entries.
    """

    place: Place
    weight: Float
    lines: Place
    line_weight: Float
    images: MapImages


@dataclass(frozen=True)
class Tile:
    """A tile's answers on all grids.

    Parameters
    ----------
    data : TileData
        What the looks show of it.
    on_map : OnMap or None
        None where the map grid does not reach.
    weights : tuple of ndarray (azimuth, range)
        Of the tile on each look's pixels.
    on_radar : tuple of RadarImages
        All entries on each look's pixels.
    on_nodes : tuple of mapping of str to ndarray, or None
        Change and standard error of each entry on the nodes; None where nothing was solved.
    told : tuple of Told or None
        Of each entry.
    """

    data: TileData
    on_map: OnMap | None
    weights: tuple[Float, ...]
    on_radar: tuple[RadarImages, ...]
    on_nodes: tuple[Mapping[str, Float] | None, ...]
    told: tuple[Told | None, ...]


@dataclass(frozen=True)
class Job:
    """What the tiles of an inversion have in common.

    Parameters
    ----------
    looks : sequence of NamedStack
        All looks.
    stacks : sequence of Stack
        Of the looks, with the dates that are needed alone.
    reference : tuple of datetime.date
        Of all looks.
    entries : sequence of JointEntry
        What to compare.
    grid : MapGrid
        Of the result.
    lines : tuple of ndarray
        Rows and columns of it that the draws are told on.
    plan : MapPlan
        Of the ground.
    whole : Whole
        What the tiles take over.
    """

    looks: Sequence[NamedStack]
    stacks: Sequence[Stack]
    reference: tuple[Date, ...]
    entries: Sequence[JointEntry]
    grid: MapGrid
    lines: Lines
    plan: MapPlan
    whole: Whole

    def only(self, e: int) -> Job:
        """Ask for the `e`-th entry alone."""
        return replace(self, entries=[self.entries[e]])

    def read(self, box: Box) -> TileData:
        """Read what the looks show of a box."""
        return read_tile(self.plan, self.looks, self.stacks, box)

    def solve(self, data: TileData, number: int) -> Tile:
        """Solve all entries on a tile; `number` tells its random numbers from the other tiles'."""
        plan, parts = self.plan, data.parts
        shared = Shared(
            plan.frame, plan.nodes_of(data.box), self.whole.known, self.whole.levels, SEED + number
        )
        learned: dict[tuple[int, tuple[Date, ...]], Reference] = {}

        def reference_of(k: int, dates: tuple[Date, ...]) -> Reference:
            if (k, dates) not in learned:
                learned[k, dates] = part_reference(parts[k], dates, self.whole.known[k])
            return learned[k, dates]

        done = [
            answer(
                compared(entry, parts),
                self.reference,
                parts,
                data.lonlats,
                directions=self.whole.directions,
                reference_of=reference_of,
                shared=shared,
            )
            for entry in self.entries
        ]
        weights = (plan.weight(data.box, *plan.frame.metres(*there)) for there in data.lonlats)
        solved = [one.solved for one in done]
        return Tile(
            data,
            self._on_map(data, done),
            tuple(weights),
            tuple(RadarImages.of(k, done) for k in range(len(parts))),
            tuple(
                None if one is None else {"estimate": one.joint.change, "elevation_change_std": one.std}
                for one in solved
            ),
            tuple(_told(one) for one in done),
        )

    def _on_map(self, data: TileData, done: Sequence[Answered]) -> OnMap | None:
        place = self.plan.window(data.box, self.grid)
        if place is None:
            return None
        window = grid_window(self.grid, place)
        lines, at = [], []
        for some, cells in zip(self.lines, place):
            ends = np.searchsorted(some, (cells.start, cells.stop))
            lines.append(slice(int(ends[0]), int(ends[1])))
            at.append(some[lines[-1]] - cells.start)
        images = map_images(data.looks, done, window, self.whole.directions, (at[0], at[1]))
        weight = self.plan.weight(data.box, *self.plan.frame.metres(*positions(window)))
        return OnMap(place, weight, (lines[0], lines[1]), weight[np.ix_(*at)], images)


def _told(one: Answered) -> Told | None:
    if one.solved is None:
        return None
    joint = one.solved.joint
    return Told(
        tuple(one.taking),
        float(np.sum(joint.kept < 0.5)),
        dict(zip(one.taking, joint.ratio)),
        joint.correlation_range,
        joint.steps[-1],
        max(joint.noise),
    )
