"""Boxes of a large map that several looks are solved on, and what each look shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from mosart.geocoding import MapGrid
from mosart.geometry.frame import LookFrame
from mosart.inversion.gather import NamedStack

from .mapped import BLOCK, NODE_SIDES
from .nodes import MapNodes
from .sharedground import LocalFrame
from .tiles import Box, Span, cut

Float = NDArray[np.float64]

#: Nodes of a tile in y and x without its halo, and of the halo on either side of it: three times as wide as
#: the length over which the envelope of the change is smoothed. A tile with its halo takes less than 2 GB.
TILE_NODES, HALO_NODES = 72, 12
#: Tiles begin at multiples of this many nodes: those of the coarse descent lie alike in all.
ALIGNED_NODES = 4
#: Every so many rows and pixels the positions are read to lay the tiles.
THIN = 8
#: Crops begin at multiples of so many rows and pixels, whole merged blocks, and have so many at least.
CROP_ALIGNED, LEAST_CROP = (16, 32), (48, 96)
#: Pixels of a look under a node, of the finest; and how many more a crop has, for its rows cross the map at
#: an angle (12° from north: 1.4; 45°: 2).
NODE_PIXELS, CROPPED = BLOCK[0] * BLOCK[1] * NODE_SIDES**2, 1.6
#: Bytes a pixel of the looks' crops while a box is solved (measured: 670 on gentle ground; the profiles of
#: high relief are longer), and bytes up to which boxes are solved side by side: with the libraries and what
#: is held of the whole less than 4 GiB.
SOLVING, TOGETHER_BYTES = 900, 3.0e9
#: Points along each side of a box whose places on the map grid outline it.
SIDE = 9


@dataclass(frozen=True)
class MapPlan:
    """How a map is cut.

    Parameters
    ----------
    frame : LocalFrame
        Of the nodes' coordinates.
    nodes : MapNodes
        Over all that any look sees; those of the tiles are among them.
    tiles : tuple of Box
        In nodes of y and x; one that is all where the map is small.
    positions : tuple of (ndarray, ndarray)
        East and north of every :data:`THIN`-th row and pixel of each look, metres; NaN where unknown.
    shapes : tuple of (int, int)
        Rows and pixels of each look.
    reach : float
        Nodes between two of the positions, at most.
    """

    frame: LocalFrame
    nodes: MapNodes
    tiles: tuple[Box, ...]
    positions: tuple[tuple[Float, Float], ...]
    shapes: tuple[tuple[int, int], ...]
    reach: float

    def nodes_of(self, box: Box) -> MapNodes:
        """Nodes of a box."""
        (y, x), (dy, dx) = self.nodes.origin, self.nodes.spacing
        origin = y + box.rows.start * dy, x + box.pixels.start * dx
        return MapNodes(box.shape, self.nodes.spacing, origin)

    def _at(self, east: Float, north: Float) -> tuple[Float, Float]:
        """Places in nodes of y and x, as boxes count them: the first node lies at a half."""
        (y, x), (dy, dx) = self.nodes.origin, self.nodes.spacing
        return (north - y) / dy + 0.5, (east - x) / dx + 0.5

    def weight(self, box: Box, east: Float, north: Float) -> Float:
        """Weight of a box's answer at positions, metres; 0 where they are NaN."""
        y, x = self._at(east, north)
        weight = box.rows.share(y) * box.pixels.share(x)
        return np.where(np.isfinite(weight), weight, 0.0)

    def inside(self, box: Box, east: Float, north: Float, margin: float = 0.0) -> NDArray[np.bool_]:
        """Tell whether positions, metres, lie in a box and some nodes around, or beyond the map's edge."""
        found = np.ones(east.shape, bool)
        for at, span in zip(self._at(east, north), (box.rows, box.pixels)):
            if span.rises is not None:
                found &= at >= span.start - margin
            if span.falls is not None:
                found &= at <= span.stop + margin
        return found & np.isfinite(east) & np.isfinite(north)

    def crop(self, k: int, box: Box) -> tuple[slice, slice]:
        """Find rows and pixels of a look that hold all it shows of a box; some where it shows nothing."""
        east, north = self.positions[k]
        found = self.inside(box, east, north, margin=self.reach)
        out = []
        for axis in (0, 1):
            size, aligned, least = self.shapes[k][axis], CROP_ALIGNED[axis], LEAST_CROP[axis]
            at = np.flatnonzero(found.any(axis=1 - axis)) * THIN
            first, last = (int(at[0]), int(at[-1])) if at.size else (0, 0)
            start = max(0, (first - THIN) // aligned * aligned)
            stop = min(size, -(-(last + 2 * THIN) // aligned) * aligned)
            stop = min(size, max(stop, start + least))
            start = max(0, min(start, (size - least) // aligned * aligned))
            out.append(slice(start, stop))
        return out[0], out[1]

    def shown(self, box: Box) -> list[int]:
        """List the looks that show anything of a box."""
        return [k for k, (e, n) in enumerate(self.positions) if self.inside(box, e, n, self.reach).any()]

    def window(self, box: Box, grid: MapGrid) -> tuple[slice, slice] | None:
        """Rows and columns of a map grid on which a box's answer may count; None where there are none."""
        (y, x), (dy, dx) = self.nodes.origin, self.nodes.spacing
        ends = []
        for first, step, span in ((y, dy, box.rows), (x, dx, box.pixels)):
            low = span.start if span.rises is None else span.rises[0]
            high = span.stop if span.falls is None else span.falls[1]
            edge = 2.0 * THIN  # beyond the outermost nodes there may be some pixels
            low, high = low - edge * (span.rises is None), high + edge * (span.falls is None)
            ends.append(first + (np.linspace(low, high, SIDE) - 0.5) * step)
        east, north = np.meshgrid(ends[1], ends[0])
        lon, lat = self.frame.projection(east, north, inverse=True)
        u, v = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(lon, lat)
        t = grid.transform
        if grid.is_geographic:
            u = u - 360 * np.round((u - (t.c + 0.5 * t.a * grid.width)) / 360)
        out = []
        for at, size in (((v - t.f) / t.e, grid.height), ((u - t.c) / t.a, grid.width)):
            good = at[np.isfinite(at)]
            if not good.size:
                return None
            start, stop = max(0, int(np.floor(good.min())) - 1), min(size, int(np.ceil(good.max())) + 1)
            if stop <= start:
                return None
            out.append(slice(start, stop))
        return out[0], out[1]


def node_spacing(frames: Sequence[LookFrame]) -> float:
    """Metres between nodes: :data:`mosart.inversion.synthesis.mapped.NODE_SIDES` of the finest look's blocks.

    Parameters
    ----------
    frames : sequence of LookFrame
        Of the looks.
    """
    return NODE_SIDES * float(np.sqrt(BLOCK[0] * BLOCK[1] * min(f.pixel_area for f in frames)))


def plan_map(looks: Sequence[NamedStack]) -> MapPlan:
    """Cut the map of some looks into tiles.

    Parameters
    ----------
    looks : sequence of NamedStack
        With longitude and latitude; every :data:`THIN`-th row and pixel of them is read.

    Returns
    -------
    MapPlan
        North up; tiles on which no look shows anything are left out. The order of the looks does not matter.
    """
    lonlats = []
    thin = {"azimuth": slice(None, None, THIN), "range": slice(None, None, THIN)}
    for look in looks:
        data = look.stack.dataset[["longitude", "latitude"]].isel(thin).load()
        planes = (data[name].transpose("azimuth", "range").values for name in ("longitude", "latitude"))
        lonlats.append(tuple(np.asarray(plane, np.float64) for plane in planes))
    first = min(range(len(looks)), key=lambda k: tuple(float(np.nanmean(v)) for v in lonlats[k]))
    frame = LocalFrame.of(*lonlats[first])
    positions = tuple(frame.metres(lon, lat) for lon, lat in lonlats)
    frames = [look.frame for look in looks]
    spacing = node_spacing(frames)
    low, high = [], []
    for axis in (1, 0):
        low.append(min(float(np.nanmin(p[axis])) for p in positions))
        high.append(max(float(np.nanmax(p[axis])) for p in positions))
    shape = tuple(int(np.ceil((b - a) / spacing)) + 1 for a, b in zip(low, high))
    nodes = MapNodes((shape[0], shape[1]), (spacing, spacing), (low[0], low[1]))
    spans = [cut(size, TILE_NODES, HALO_NODES, ALIGNED_NODES) for size in shape]
    shapes = tuple((look.stack.shape[1], look.stack.shape[2]) for look in looks)
    reach = max(max(f.azimuth_spacing, f.range_spacing / float(np.sin(f.theta.min()))) for f in frames)
    plan = MapPlan(frame, nodes, (), positions, shapes, THIN * reach / spacing)
    tiles = [Box(y, x) for y in spans[0] for x in spans[1]]
    return replace(plan, tiles=tuple(tile for tile in tiles if plan.shown(tile)))


def laid_box(changed: tuple[slice, slice], margin: int, ramp: int, shape: tuple[int, int]) -> Box:
    """Box around changed ground, whose answer counts on the changed ground and beyond.

    Parameters
    ----------
    changed : tuple of slice
        Nodes of y and x.
    margin, ramp : int
        Nodes around it that are solved with it, and over which its answer gives way to its surroundings'; the
        outer quarter of these does not count.
    shape : tuple of int
        Of the map.

    Returns
    -------
    Box
        Within the map, aligned.
    """
    spans = []
    for part, size in zip(changed, shape):
        start = max(0, (part.start - margin) // ALIGNED_NODES * ALIGNED_NODES)
        stop = min(size, -(-(part.stop + margin) // ALIGNED_NODES) * ALIGNED_NODES)
        spans.append(
            Span(
                start,
                stop,
                None if start == 0 else (start + 0.25 * ramp, float(start + ramp)),
                None if stop == size else (float(stop - ramp), stop - 0.25 * ramp),
            )
        )
    return Box(spans[0], spans[1])


def tiles_together(plan: MapPlan, workers: int) -> int:
    """Count the tiles that are solved side by side: as many as there are threads, and as fit the memory.

    Parameters
    ----------
    plan : MapPlan
        Of the map.
    workers : int
        Threads there are.

    Returns
    -------
    int
        1 or more.
    """
    pixels = max(
        sum(int(np.prod([part.stop - part.start for part in plan.crop(k, box)])) for k in plan.shown(box))
        for box in plan.tiles
    )
    return side_by_side(pixels, workers)


def side_by_side(pixels: float, workers: int) -> int:
    """Count the tiles of so many pixels of all looks that threads and memory allow at a time, 1 or more."""
    return max(1, min(workers, int(TOGETHER_BYTES / (pixels * SOLVING))))
