"""The ground and the new image as the search reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .costs import Scoring, edge_costs
from .ground import Ground
from .nodes import RowNodes

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Cost of a pixel's width of ground folded back (layover), in caps: more than that of ground which lies where
#: it does not belong (0.2 to 0.3 with texture), less than that of a match which is ruled out.
FOLD_COST = 0.55
#: Cost of a pixel of ground that leaves the image, in caps less a match: a mismatch would be one.
LEAVE_COST = 0.25
#: Penalty of a slope between nodes along range (nats per squared pixel height, linear beyond one); weak on
#: purpose, or domes are rounded.
SLOPE_RANGE = 0.15
#: Stabiliser of the ratio: share of the median intensity.
DARK = 0.02
#: Depth below the beam's lower edge (metres) from which a facet counts as in shadow.
SHADOW_DEPTH = 0.3


@dataclass(frozen=True)
class Matching:
    """The ground and the new image as the search reads them.

    Parameters
    ----------
    ground : Ground
        Few facets between nodes; the nodes are its knots.
    reflectivity : ndarray (azimuth, facet) float32
        Denoised reference: intensity per unit of width across the beam (pixels).
    texture : ndarray (azimuth, facet) float32
        Reflectivity alone: without what the scattering law makes of the old surface's slope.
    dark : ndarray (azimuth, facet) bool
        Ground that the reference does not light: unknown, not dark.
    intensity : ndarray (azimuth, range)
        Mean of the new epoch; gaps filled.
    rows_block : int
        Rows of pixels for one row of nodes.
    score : Scoring
        Costs of a pixel.
    void : ndarray (azimuth, range) bool
        Pixels of which the new epoch says nothing: gaps, and what shows more than one ground.
    """

    ground: Ground
    reflectivity: Float32
    texture: Float32
    dark: NDArray[np.bool_]
    intensity: Float
    rows_block: int
    score: Scoring
    void: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        """Nodes in azimuth and range."""
        return -(-len(self.ground.height) // self.rows_block), self.ground.knots

    @property
    def nodes(self) -> RowNodes:
        """The nodes."""
        return RowNodes(self.ground.knot_x, self.rows_block, self.shape[0])

    @property
    def unit(self) -> float:
        """Height that moves ground by a range pixel, metres."""
        return self.ground.unit

    @cached_property
    def profile(self) -> tuple[Float, Float, Float]:
        """Slant position of points (pixels), width across the beam and shadow depth of facets (pixels)."""
        slant, across = self.ground.slant_and_across()
        step = self.ground.range_spacing
        top = np.maximum.accumulate(across, axis=1) - across
        depth = 0.5 * (top[:, 1:] + top[:, :-1]) / step
        return slant / step, np.diff(across, axis=1) / step, np.where(depth * step > SHADOW_DEPTH, depth, 0.0)

    @cached_property
    def cumulative(self) -> Float:
        """Cumulative intensity of the rows, from zero."""
        return _summed(np.where(self.void, 0.0, self.intensity))

    @cached_property
    def telling(self) -> Float:
        """Cumulative number of the rows' pixels that are not void, from zero."""
        return _summed((~self.void).astype(np.float64))

    def costs(self, base: Float, labels: Float, most: int) -> Float32:
        """Costs of all edges: (block row, edge, slope, label), nats; the labels equally spaced."""
        g, sc = self.ground, self.score
        position, width, depth = self.profile
        first = np.arange(self.shape[0]) * self.rows_block
        last = np.minimum(first + self.rows_block, len(g.height))
        cap = np.where(self.dark | (depth > 0), sc.match, sc.cap).astype(np.float32)
        out = np.zeros((self.shape[0], self.shape[1] - 1, 2 * most + 1, len(labels)), np.float32)
        step = float(labels[1] - labels[0]) if len(labels) > 1 else 1.0
        per_facet = self.ground.spacing * float(np.median(g.sine)) / g.range_spacing
        edge_costs(
            position, width, self.reflectivity, depth, cap, self.cumulative, self.telling, first, last,
            np.ascontiguousarray(base, dtype=np.float64), float(labels[0]), step, most,
            g.cosine / g.range_spacing, g.sine / g.range_spacing, g.facets,
            sc.looks, sc.match, FOLD_COST * sc.cap,
            LEAVE_COST * (sc.cap - sc.match) * per_facet, DARK * float(np.median(self.intensity)),
            SLOPE_RANGE, self.unit, out,
        )  # fmt: skip
        return out


def _summed(rows: Float) -> Float:
    return np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1)


def on_points(nodes: Float, ground: Ground, rows_block: int) -> Float:
    """Values of a row-wise grid of nodes on the fine points of every row: linear in both directions.

    Parameters
    ----------
    nodes : ndarray (block row, node)
        Any field, on the ground's knots.
    ground : Ground
        The points.
    rows_block : int
        Rows of pixels for one row of nodes.

    Returns
    -------
    ndarray (azimuth, point)
        Beyond the middle of the first and last row of nodes: its value.
    """
    rows = np.clip((np.arange(len(ground.height)) + 0.5) / rows_block - 0.5, 0, len(nodes) - 1)
    a = np.minimum(rows.astype(int), max(len(nodes) - 2, 0))
    t = (rows - a)[:, None]
    k = np.arange(len(ground.x)) / ground.facets
    fine = np.array([np.interp(k, np.arange(ground.knots), row) for row in nodes])
    return np.asarray((1 - t) * fine[a] + t * fine[np.minimum(a + 1, len(nodes) - 1)])


def by_node(matching: Matching, facets: Float) -> Float:
    """Facets (azimuth, facet) as (block row, row, edge, facet), the last block row filled with zeros."""
    rows, n = matching.shape[0], matching.rows_block
    full = np.zeros((rows * n, facets.shape[1]))
    full[: len(facets)] = facets
    return full.reshape(rows, n, -1, matching.ground.facets)


def crop(matching: Matching, rows: slice, nodes: slice) -> Matching:
    """Part of the ground, against whole rows of the image.

    Parameters
    ----------
    matching : Matching
        The whole.
    rows : slice
        Block rows, start and stop given.
    nodes : slice
        Nodes, start and stop given.

    Returns
    -------
    Matching
        The part.
    """
    g = matching.ground
    r = slice(rows.start * matching.rows_block, min(rows.stop * matching.rows_block, len(g.height)))
    p = slice(nodes.start * g.facets, (nodes.stop - 1) * g.facets + 1)
    f = slice(p.start, p.stop - 1)
    slant = matching.profile[0][r, p.start] * g.range_spacing
    part = replace(
        g,
        height=g.height[r, p],
        offset=slant,
        x=g.x[p],
        sine=g.sine[p],
        cosine=g.cosine[p],
        known=g.known[r, p],
        bend=g.bend[p],
    )
    return replace(
        matching,
        ground=part,
        reflectivity=matching.reflectivity[r, f],
        texture=matching.texture[r, f],
        dark=matching.dark[r, f] | (matching.profile[2][r, f] > 0),
        intensity=matching.intensity[r],
        void=matching.void[r],
    )


def with_brightness(matching: Matching, b: Float) -> Matching:
    """Change the reflectivity."""
    fine = on_points(b, matching.ground, matching.rows_block)
    gain = np.exp(0.5 * (fine[:, 1:] + fine[:, :-1]))
    return replace(matching, reflectivity=(matching.reflectivity * gain).astype(np.float32))
