"""Looks laid on one map: their scenes and the blocks of their epochs there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    binary_opening,
    maximum_filter,
)

from .ground import between, visibility
from .look import Look, Measured
from .nodes import MapNodes
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
#: Relative error of the part of a block whose ground is unknown. Under the true change the logarithm errs by
#: 1.5 to 1.7 there, and neighbours err alike. Another look tells of that ground too, so that it need not be
#: left out: often it is where a change ends.
UNKNOWN_ERROR = 2.0
#: Share of it for water, gaps of the image and what a tile does not see, which are left out: their light
#: is not the ground's, or of ground that has been made up.
LEFT_OUT = 10.0


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


def lay_looks(
    references: Sequence[Reference],
    epochs: Sequence[Epoch],
    lonlats: Sequence[tuple[Float, Float]],
    laid: tuple[LocalFrame, MapNodes] | None = None,
) -> tuple[list[MappedLook], MapNodes, LocalFrame]:
    """Lay looks on one map, as ``together.map_looks`` does, each with its own level still."""
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
