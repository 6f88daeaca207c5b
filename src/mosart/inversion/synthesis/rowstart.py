"""Start of the joint descent: what has changed in each look, and its height by summing light along the rows.

Of ground of one brightness the energy between two slant ranges is its width across the beam (for a law of
constant gamma nought, whatever the slope). Summed along a changed run between its two ends on still ground
it gives the new profile: shadow and layover do no harm, new texture and brightness add errors that the
descent removes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter
from scipy.sparse.linalg import splu

from .fractal import differences
from .mapped import MappedLook
from .nodes import MapNodes
from .render import Rendered

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Log ratio of epoch and reference, in standard deviations squared of it, above which ground has changed.
DIFFERENT = 2.2
#: Gaps between changed blocks that are closed, islands that are dropped (rows, ranges), in blocks; and
#: blocks of still ground at either end of a run that are integrated with it.
GAP, ISLAND, MARGIN = (3, 7), (2, 3), 1
#: Smoothing of the integrated heights, metres.
SMOOTH = 30.0
#: Share of the map that must be still for sums to be settled on it: a few places tell nothing of the rest.
STILL_LEAST = 0.1


def differs(look: MappedLook, out: Rendered) -> tuple[Bool, Bool]:
    """Blocks that differ from the rendered still ground by more than their noise, and those that tell."""
    measured = look.measured
    use = (measured.share > 0.5) & (out.doubtful < 0.3) & (out.folded < 0.3)
    z = np.log((measured.energy + 1e-9) / np.maximum(out.energy + measured.floor, 1e-9))
    z = np.where(use, z - np.median(z[use]), 0.0)
    square = np.minimum(z * z / (1 / measured.looks + 1 / measured.reference_looks), 30.0)
    weight = gaussian_filter(use.astype(np.float64), 1.0)
    high = gaussian_filter(np.where(use, square, 0.0), 1.0) / np.maximum(weight, 0.1) > DIFFERENT
    return high, use


def changed_ground(looks: Sequence[MappedLook], nodes: MapNodes) -> Float:
    """Share of each node's ground, in any look, whose image changed by more than its noise.

    Parameters
    ----------
    looks : sequence of MappedLook
        On the nodes.
    nodes : MapNodes
        The map.

    Returns
    -------
    ndarray (y, x)
        0 to 1.
    """
    shares = []
    for look in looks:
        out = look.scene.render(np.zeros(look.scene.knots))
        high, use = differs(look, out)
        assert out.by_brightness is not None
        below = look.to_knots.T @ (out.by_brightness.T @ use.ravel().astype(np.float64))
        above = look.to_knots.T @ (out.by_brightness.T @ (use & high).ravel().astype(np.float64))
        few = 0.2 * np.median(below[below > 0])
        shares.append(np.where(below > few, above / np.maximum(below, 1e-12), 0.0))
    most: Float = np.max(shares, axis=0).reshape(nodes.shape)
    return np.clip(gaussian_filter(most, 1.0) * 1.5, 0.0, 1.0)


def integrated(looks: Sequence[MappedLook], nodes: MapNodes) -> Float:
    """Sum the light of every look's changed runs to heights, and take the looks' mean.

    Parameters
    ----------
    looks : sequence of MappedLook
        On the nodes.
    nodes : MapNodes
        The map.

    Returns
    -------
    ndarray (y, x)
        Change, metres; 0 where no run crosses.
    """
    blur = (SMOOTH / nodes.spacing[0], SMOOTH / nodes.spacing[1])
    total, number = np.zeros(nodes.shape), np.zeros(nodes.shape)
    for look in looks:
        change, inside = _profiles(look)
        sums = [np.asarray(look.to_knots.T @ v.ravel()).reshape(nodes.shape) for v in (change, inside)]
        d, n = (gaussian_filter(v, blur) for v in sums)
        total += d
        number += n
    usual = float(np.median(number[number > 0])) if (number > 0).any() else 1.0
    return np.asarray(total / np.maximum(number, 0.3 * usual))


def settled(start: Float, still: Float, nodes: MapNodes) -> Float:
    """Take out of summed heights what they err by on still ground, and between it.

    Sums err smoothly, by a texture that is new or ends of runs that lie off: where the old texture is found
    in its old place they should be 0. What they are there instead is carried over the rest as a membrane
    that is held there (Laplace's equation; free at the map's border). Ground that moved by less than its
    texture tells is held at 0 too: this is a start.

    Parameters
    ----------
    start : ndarray (y, x)
        From :func:`integrated`, metres.
    still : ndarray (y, x)
        Chance that ground kept its texture without moving.
    nodes : MapNodes
        The map.

    Returns
    -------
    ndarray (y, x)
        Metres; 0 on still ground. The sums as they are, if less than a tenth of the map is still.
    """
    held = (still > 0.5).ravel()
    if held.mean() < STILL_LEAST:
        return start
    error, free = start.ravel().copy(), ~held
    if free.any():
        along_x, along_y = differences(nodes.shape)
        gradient = sp.vstack([along_x / nodes.spacing[1], along_y / nodes.spacing[0]])
        membrane = sp.csr_array(gradient.T @ gradient)[free]
        within = splu(sp.csc_array(membrane[:, free]))
        error[free] = within.solve(-np.asarray(membrane[:, held] @ error[held]))
    return start - error.reshape(nodes.shape)


def _profiles(look: MappedLook) -> tuple[Float, Float]:
    """Change at the knots inside the changed runs, and where they are: (block row, knot)."""
    scene, measured = look.scene, look.measured
    high, _ = differs(look, scene.render(np.zeros(scene.knots), derivatives=False))
    high = binary_closing(binary_opening(high, np.ones(ISLAND, bool)), np.ones(GAP, bool))
    ground, rows = scene.ground, scene.block[0]
    slant, across = ground.slant_and_across()
    width = scene.block[1] * ground.range_spacing
    change, inside = np.zeros(scene.knots), np.zeros(scene.knots)
    energy = np.maximum(measured.energy - measured.floor, 0.0)
    for a in range(len(high)):
        j = min(a * rows + rows // 2, len(slant) - 1)
        r = np.maximum.accumulate(slant[j]) + 1e-6 * np.arange(slant.shape[1])
        edges = np.diff(np.concatenate([[0], high[a].astype(int), [0]]))
        for first, last in zip(np.nonzero(edges == 1)[0] - MARGIN, np.nonzero(edges == -1)[0] + MARGIN):
            if first < 1 or last > high.shape[1] - 1:
                continue  # hangs on nothing
            light = np.concatenate([[0.0], np.cumsum(energy[a, first:last])])
            ranges = width * np.arange(first, last + 1)
            x, p, h = (np.interp(ranges[[0, -1]], r, v) for v in (ground.x, across[j], ground.height[j]))
            if light[-1] <= 0 or p[1] <= p[0]:
                continue
            dp, dr = (p[1] - p[0]) * light / light[-1], ranges - ranges[0]
            k = int(np.searchsorted(ground.x, x.mean()).clip(0, len(ground.x) - 1))
            s, c = ground.sine[k], ground.cosine[k]
            new_x = np.maximum.accumulate(x[0] + s * dr + c * dp)
            new_h = h[0] + s * dp - c * dr
            new_h += np.interp(new_x, new_x[[0, -1]], [0.0, h[1] - new_h[-1]])  # the beam's angle varies
            at = (ground.knot_x > x[0]) & (ground.knot_x < x[1])
            old = ground.height[j, :: ground.facets][at]
            change[a, at] += np.interp(ground.knot_x[at], new_x, new_h) - old
            inside[a, at] += 1.0
    return change / np.maximum(inside, 1.0), np.minimum(inside, 1.0)
