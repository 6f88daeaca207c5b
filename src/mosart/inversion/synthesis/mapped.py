"""Looks laid on one map: their scenes there, what their references disagree about, their common level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    binary_opening,
    gaussian_filter,
    label,
    maximum_filter,
    sum_labels,
)
from scipy.sparse.csgraph import connected_components

from .ground import between, visibility
from .look import Look, Measured
from .nodes import MapNodes
from .noise import MAD
from .reading import full_sums
from .reference import Epoch, Reference
from .reflectivity import smooth
from .render import Scene
from .sharedground import LocalFrame, Track, map_over

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Blocks of comparison: rows and range pixels; and range pixels between two knots, half a block.
BLOCK, KNOT_PIXELS = (4, 8), 4
#: Spacing of the nodes, in sides of a square of a block's ground area: about one unknown a block and look.
NODE_SIDES = 1.25
#: Points and rows around layover, shadow and gaps of a reference whose texture mends the rendering.
MENDED = (3, 9)
#: The edge of a shadow depends on heights outside the image: blocks are left out where the reference is
#: darker than this share of its median, by so many rows and pixels around; and whose share is larger.
SHADOWED, SHADOW_MARGIN, SHADOW_SHARE = 0.12, (5, 15), 0.3
#: Two references that differ on one ground by more than this many robust standard deviations, and by more
#: than this natural logarithm, do not show the same: one of them has layover or shadow the DEM does not know.
DISAGREE_ERRORS, DISAGREE_LEAST = 4.0, 0.3
#: Relative error of the part of a block whose ground is unknown, and share of it where only the texture is in
#: doubt. Under the true change the logarithm errs by 1.5 to 1.7 and by 0.8 there, and neighbours err alike.
#: Another look tells of that ground too, so that it need not be left out: often it is where a change ends.
UNKNOWN_ERROR, CONTRADICTED_SHARE = 2.0, 0.5
#: The same share for water, gaps of the image and what a tile does not see, which are left out: their light
#: is not the ground's, or of ground that has been made up.
LEFT_OUT = 10.0
#: Slopes along the range (rise per metre away from the radar) on which the level is read.
GENTLE = (-0.5, 0.3)
#: Rows and facets at an image's edge that tell no level.
EDGE_ROWS, EDGE_FACETS = 4, 10
#: Fewest nodes that both looks see, for a common level; and parts of them that its error is read from.
FEWEST_COMMON, PARTS = 100, 16


@dataclass(frozen=True)
class Level:
    """Log reflectivity of ground of median brightness, in one look's calibration.

    Parameters
    ----------
    value : float
        Natural logarithm.
    std : float
        Its standard error against the mean of the looks; NaN where they share too little ground.
    """

    value: float
    std: float = float("nan")

    @property
    def is_common(self) -> bool:
        """Whether it was read against another look's."""
        return bool(np.isfinite(self.std))


@dataclass(frozen=True)
class MappedLook:
    """A look on the map.

    Parameters
    ----------
    scene : Scene
        Its ground and its own old reflectivity.
    measured : Measured
        Blocks of the epoch.
    to_knots : scipy.sparse.csr_array (knots, nodes)
        From the map's nodes to the scene's knots.
    to_facets : scipy.sparse.csr_array (facets, nodes)
        And to its facets.
    mends : ndarray (azimuth, facet) bool
        Facets whose texture mends what the DEM does not show: it stays whatever happened.
    level : float
        Log reflectivity of ground of median brightness, in this look's calibration.
    level_std : float
        Its standard error against the mean of the looks; NaN where they share too little ground.
    """

    scene: Scene
    measured: Measured
    to_knots: sp.csr_array
    to_facets: sp.csr_array
    mends: Bool
    level: float = 0.0
    level_std: float = float("nan")

    @property
    def texture(self) -> Float:
        """Log reflectivity of the facets on the reference dates."""
        return np.log(np.maximum(self.scene.reflectivity.astype(np.float64), 1e-12))

    def with_kept(self, kept: Float) -> Look:
        """Look at ground whose old texture was kept with some chance.

        Parameters
        ----------
        kept : ndarray (y, x)
            0: new rock, of the median reflectivity; 1: the old texture.

        Returns
        -------
        Look
            On the map's nodes.
        """
        share = (self.to_facets @ kept.ravel()).reshape(self.mends.shape)
        share = np.where(self.mends, 1.0, share)
        log = self.level + share * (self.texture - self.level)
        scene = replace(self.scene, reflectivity=np.exp(log).astype(np.float32))
        return Look(scene, self.measured, self.to_knots, doubtful_error=UNKNOWN_ERROR)

    def on_knots(self, values: Float) -> Float:
        """Values of the nodes at the knots."""
        return np.asarray(self.to_knots @ values.ravel()).reshape(self.scene.knots)

    def coarsened(self, onto: sp.csr_array) -> MappedLook:
        """Tell the look on coarser nodes, from which `onto` interpolates to these: (nodes, coarse nodes)."""
        return replace(
            self,
            to_knots=sp.csr_array(self.to_knots @ onto),
            to_facets=sp.csr_array(self.to_facets @ onto),
        )

    def node_means(self, facets: Float, use: Bool) -> tuple[Float, Float]:
        """Mean over each node's facets, and their number, (node,)."""
        number = np.asarray(self.to_facets.T @ use.ravel().astype(np.float64))
        total = np.asarray(self.to_facets.T @ np.where(use, facets, 0.0).ravel())
        return total / np.maximum(number, 1e-9), number


def _measured(reference: Reference, epoch: Epoch, scene: Scene) -> Measured:
    size = BLOCK[0] * BLOCK[1]
    step = scene.ground.range_spacing
    energy, share = full_sums(epoch.mean, BLOCK)
    dark = smooth(reference.mean, (1.0, 1.5)) < SHADOWED * float(np.nanmedian(reference.mean))
    dark = binary_dilation(binary_opening(dark, np.ones((3, 3), bool)), np.ones(SHADOW_MARGIN, bool))
    shadowed, _ = full_sums(dark.astype(np.float64), BLOCK)
    floor, _ = full_sums(np.full(epoch.mean.shape, reference.floor), BLOCK)
    return Measured(
        energy * step,
        np.where(shadowed < SHADOW_SHARE * size, share, 0.0),
        floor * step,
        max(epoch.pixel_looks * epoch.dates * size, 0.5),
        reference.looks(epoch.pixel_looks, BLOCK),
    )


def map_looks(
    references: Sequence[Reference],
    epochs: Sequence[Epoch],
    lonlats: Sequence[tuple[Float, Float]],
    laid: tuple[LocalFrame, MapNodes] | None = None,
    levels: Sequence[Level] | None = None,
) -> tuple[list[MappedLook], MapNodes, LocalFrame]:
    """Lay looks on one map and calibrate them to each other.

    Parameters
    ----------
    references : sequence of Reference
        Of each look.
    epochs : sequence of Epoch
        The new images of each.
    lonlats : sequence of (ndarray, ndarray)
        Longitude and latitude of the pixels of each, degrees; NaN where unknown.
    laid : (LocalFrame, MapNodes), optional
        The nodes of a part of a larger map; laid over the looks if not given.
    levels : sequence of Level, optional
        What the whole of a larger map says of each look's; read here if not given.

    Returns
    -------
    looks : list of MappedLook
        With a common level where they see enough common ground.
    nodes : MapNodes
        Over all that any of them sees; y is north.
    frame : LocalFrame
        Of the nodes' coordinates.
    """
    looks, nodes, frame = lay_looks(references, epochs, lonlats, laid)
    looks = calibrate(looks) if levels is None else with_levels(looks, levels)
    return _without_contradictions(looks, nodes), nodes, frame


def lay_looks(
    references: Sequence[Reference],
    epochs: Sequence[Epoch],
    lonlats: Sequence[tuple[Float, Float]],
    laid: tuple[LocalFrame, MapNodes] | None = None,
) -> tuple[list[MappedLook], MapNodes, LocalFrame]:
    """Lay looks on one map, as :func:`map_looks` does, each with its own level still."""
    frame = LocalFrame.of(*lonlats[0]) if laid is None else laid[0]
    scenes, tracks = [], []
    for reference, (longitude, latitude) in zip(references, lonlats):
        old = reference.scene.ground
        pixels = KNOT_PIXELS * old.range_spacing / float(np.median(old.sine)) / old.spacing
        facets = max(1, round(pixels))
        while (len(old.x) - 1) % facets:
            facets -= 1
        known = old.known_facets
        made_up = _made_up(known, cut=laid is not None)
        doubt = np.where(known | made_up, LEFT_OUT, 1.0) * reference.scene.doubt
        ground = replace(old, facets=facets)
        scenes.append(replace(reference.scene, ground=ground, block=BLOCK, doubt=doubt.astype(np.float32)))
        tracks.append(Track.fit(reference.x, *frame.metres(longitude, latitude)))
    later = [reference.registration.rows for reference in references]
    knots = [track.of_knots(scene, rows) for track, scene, rows in zip(tracks, scenes, later)]
    if laid is None:
        first = scenes[0].ground
        width = BLOCK[1] * first.range_spacing / float(np.median(first.sine))
        nodes = map_over(knots, NODE_SIDES * float(np.sqrt(width * BLOCK[0] * first.azimuth_spacing)))
    else:
        nodes = laid[1]
    looks = []
    for scene, track, (east, north), reference, epoch in zip(scenes, tracks, knots, references, epochs):
        e, n = track.of_points(scene, reference.registration.rows)
        seen = visibility(scene.ground)
        bad = maximum_filter(seen.layover | seen.shadow | ~scene.ground.known, MENDED)
        looks.append(
            MappedLook(
                scene,
                _measured(reference, epoch, scene),
                nodes.interpolation(north, east),
                nodes.interpolation(0.5 * (n[:, 1:] + n[:, :-1]), 0.5 * (e[:, 1:] + e[:, :-1])),
                bad[:, 1:] | bad[:, :-1],
            )
        )
    return looks, nodes, frame


def _made_up(known: Bool, *, cut: bool) -> Bool:
    """Facets whose ground was made up: beyond the known, where a tile is cut off."""
    return ~between(known) if cut else np.zeros_like(known)


def with_levels(looks: Sequence[MappedLook], levels: Sequence[Level]) -> list[MappedLook]:
    """Give each look its level."""
    return [
        replace(look, level=one.value, level_std=one.std) for look, one in zip(looks, levels, strict=True)
    ]


def calibrate(looks: Sequence[MappedLook]) -> list[MappedLook]:
    """Give the looks a common level, read on gentle ground that they share.

    Parameters
    ----------
    looks : sequence of MappedLook
        On one map.

    Returns
    -------
    list of MappedLook
        Without enough common ground each keeps its own median.

    Notes
    -----
    One per cent between two looks is a metre of height over 400 m.
    """
    return with_levels(looks, settle(gentle_logs(looks), [own_level(look) for look in looks]))


def own_level(look: MappedLook) -> float:
    """Median log reflectivity of what a look shows."""
    use = ~look.mends
    return float(np.median(look.texture[use if use.any() else ...]))


def gentle_logs(looks: Sequence[MappedLook]) -> Float:
    """Read the old reflectivity of gentle ground, as each look has it.

    Parameters
    ----------
    looks : sequence of MappedLook
        On one map.

    Returns
    -------
    ndarray (look, node)
        Natural logarithm; NaN where a look does not see a node's ground, or it is steep.
    """
    means, numbers = [], []
    for look in looks:
        ground = look.scene.ground
        slope = np.gradient(ground.height.astype(np.float64), ground.spacing, axis=1)
        slope = gaussian_filter(slope, (1, 3))[:, 1:]
        use = ~look.mends & (slope > GENTLE[0]) & (slope < GENTLE[1])
        use[:EDGE_ROWS] = use[-EDGE_ROWS:] = False
        use[:, :EDGE_FACETS] = use[:, -EDGE_FACETS:] = False
        mean, number = look.node_means(np.exp(look.texture), use)
        means.append(mean)
        numbers.append(number)
    seen = [n > 0.5 * np.median(n[n > 0]) if (n > 0).any() else n > 0 for n in numbers]
    return np.where(seen, np.log(np.maximum(means, 1e-12)), np.nan)


def settle(logs: Float, own: Sequence[float]) -> list[Level]:
    """Settle the looks' levels.

    Parameters
    ----------
    logs : ndarray (look, node)
        As :func:`gentle_logs` gives them, of one map or of parts of it side by side.
    own : sequence of float
        Median log reflectivity of each look, for those that share too little ground with any other.

    Returns
    -------
    list of Level
        One a look.
    """
    offsets, stds = common_levels(logs)
    shared = np.isfinite(stds)
    if not shared.any():
        return [Level(value) for value in own]
    level = logs[shared] - offsets[shared, None]
    both = np.isfinite(level).sum(axis=0) > 1
    middle = float(np.median(np.nanmean(level[:, both], axis=0)))
    return [
        Level(middle + float(o), float(s)) if np.isfinite(s) else Level(value)
        for value, o, s in zip(own, offsets, stds)
    ]


def common_levels(logs: Float) -> tuple[Float, Float]:
    """Levels of looks against the mean of all, from the medians of their pairs' differences.

    Parameters
    ----------
    logs : ndarray (look, node)
        Log reflectivity; NaN where a look does not see a node's ground.

    Returns
    -------
    levels, stds : ndarray (look,)
        By least squares, of mean zero among the looks that common ground joins (the most of them); standard
        errors are NaN, and levels zero, of the others.
    """
    number = len(logs)
    normal, right = np.zeros((number, number)), np.zeros(number)
    for j, k in combinations(range(number), 2):
        rest = (logs[j] - logs[k])[np.isfinite(logs[j]) & np.isfinite(logs[k])]
        if rest.size < FEWEST_COMMON:
            continue
        median, weight = float(np.median(rest)), 1 / _median_std(rest) ** 2
        normal[[j, k], [j, k]] += weight
        normal[[j, k], [k, j]] -= weight
        right[j] += weight * median
        right[k] -= weight * median
    levels, stds = np.zeros(number), np.full(number, np.nan)
    _, group = connected_components(normal != 0, directed=False)
    sizes = np.bincount(group)
    if sizes.max() > 1:
        joined = np.flatnonzero(group == np.argmax(sizes))
        covariance = np.linalg.pinv(normal[np.ix_(joined, joined)])
        levels[joined] = covariance @ right[joined]
        stds[joined] = np.sqrt(np.diag(covariance))
    return levels, stds


def _median_std(values: Float) -> float:
    """Tell the standard error of a median from the medians of parts: neighbours share their errors."""
    medians = [float(np.median(part)) for part in np.array_split(values, PARTS)]
    return float(np.std(medians, ddof=1) / np.sqrt(PARTS))


def _without_contradictions(looks: list[MappedLook], nodes: MapNodes) -> list[MappedLook]:
    """Doubt facets whose old reflectivity the other looks contradict: layover that the DEM does not know."""
    logs = []
    for look in looks:
        mean, number = look.node_means(np.exp(look.texture), look.scene.doubt < 0.5)
        few = number < 0.3 * np.median(number[number > 0])
        log = np.where(few, np.nan, np.log(np.maximum(mean, 1e-12)) - look.level)
        logs.append(log.reshape(nodes.shape))
    seen = np.isfinite(logs)
    filled = np.nan_to_num(np.array(logs))
    out = []
    for k, look in enumerate(looks):
        others = np.delete(filled, k, axis=0).sum(axis=0)
        count = np.delete(seen, k, axis=0).sum(axis=0)
        others = others / np.maximum(count, 1)
        both = seen[k] & (count > 0)
        if not both.any():
            out.append(look)
            continue
        weight = gaussian_filter(both.astype(np.float64), 1.0)
        z = gaussian_filter(np.where(both, filled[k] - others, 0.0), 1.0) / np.maximum(weight, 0.1)
        limit = max(DISAGREE_ERRORS * MAD * float(np.median(np.abs(z[both]))), DISAGREE_LEAST)
        # a whole patch is one look's fault: at its border, node by node, either may look odd
        excess = np.where(both, filled[k] ** 2 - others**2, 0.0)
        bad = np.zeros(both.shape, bool)
        for contradicts in (both & (z > limit), both & (z < -limit)):
            patches = np.asarray(label(contradicts, np.ones((3, 3)))[0])
            found = sum_labels(excess, patches, np.arange(1, int(patches.max()) + 1))
            bad |= np.concatenate([[False], np.asarray(found) > 0])[patches]
        bad = binary_dilation(bad)
        facets = (look.to_facets @ bad.ravel().astype(np.float64)).reshape(look.mends.shape) > 0.3
        doubt = np.maximum(look.scene.doubt, CONTRADICTED_SHARE * facets).astype(np.float32)
        out.append(replace(look, scene=replace(look.scene, doubt=doubt), mends=look.mends | facets))
    return out
