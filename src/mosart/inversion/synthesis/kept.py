"""Kept or new rock, tested on the ground: whether every look's epoch repeats its own old texture there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, minimum_filter

from .ground import visibility
from .mapped import MappedLook
from .matching import on_points
from .nodes import MapNodes

Float = NDArray[np.float64]

#: Standard deviation of a node's log ratio of the new image over the old texture: where the texture was
#: kept (speckle and the model's errors), and where it is new (both textures').
NOISE, FRESH = 0.12, 0.55
#: Log odds of kept ground before the data speak: a false "kept" locks a wrong change in, a late one is
#: harmless.
ODDS = -4.0
#: Window of the decision (Gaussian σ), and size of a cell that counts as one piece of evidence, metres.
WINDOW, CELL = 36.0, 16.0
#: Kept ground ends so many nodes (odd, across) before the window says: it has blurred the border.
BORDER = 3
#: Shifts at which ground that seems new is looked for in its old texture, in thirds of a block's height: a
#: texture repeats within one.
SHIFTS = range(-8, 9)
#: Log odds from which ground counts as found, at one of so many places, and as in its place.
FOUND, THERE = 3.0, 0.0
#: Log odds at most shifts below which the texture tells, well under what they are before the data speak:
#: ground of little contrast repeats anywhere.
TELLS = 2 * ODDS
#: Share of found ground around below which ground moves with it less.
FEW = 0.1
#: Share of the points around a knot that must be seen alone.
ALONE = 0.9
#: Layover and shadow spoil this many rows and points around.
SPOILT = (2.0, 4.0)


def chance_kept(looks: Sequence[MappedLook], nodes: MapNodes, change: Float, gains: Sequence[Float]) -> Float:
    """Chance that the old texture was kept, under a change.

    Parameters
    ----------
    looks : sequence of MappedLook
        On the nodes.
    nodes : MapNodes
        The map.
    change : ndarray (y, x)
        Metres: the present surface.
    gains : sequence of ndarray (block row,)
        Log gains of each look.

    Returns
    -------
    ndarray (y, x)
        0 to 1; small where no look sees the ground alone.
    """
    odds = _log_odds(looks, nodes, change, gains)
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def shift_to_texture(
    looks: Sequence[MappedLook], nodes: MapNodes, change: Float, gains: Sequence[Float]
) -> Float:
    """Look up and down for the old texture of ground that seems new, and move it there.

    A start that lies tens of metres off shows no old texture, and what seems new is free to stay where it is.

    Parameters
    ----------
    looks, nodes, change, gains
        As of :func:`chance_kept`.

    Returns
    -------
    ndarray (y, x)
        The change, metres. Ground whose texture is in its place stays. What seems new moves by the mean of
        what was found around it and of what stays (by 0), so that it joins both.
    """
    third = min(look.scene.block[1] * look.scene.ground.unit for look in looks) / 3
    odds = np.array([_log_odds(looks, nodes, change + k * third, gains) for k in SHIFTS])
    there = odds[SHIFTS.index(0)] > THERE
    found = (odds.max(axis=0) > FOUND) & (np.median(odds, axis=0) < TELLS) & ~there
    shifts = np.where(found, third * np.array(SHIFTS)[np.argmax(odds, axis=0)], 0.0)
    sigma = (WINDOW / nodes.spacing[0], WINDOW / nodes.spacing[1])
    smooth = [gaussian_filter(v, sigma, mode="nearest") for v in (shifts, (found | there).astype(np.float64))]
    return np.asarray(change + np.where(there, 0.0, smooth[0] / np.maximum(smooth[1], FEW)))


def _log_odds(looks: Sequence[MappedLook], nodes: MapNodes, change: Float, gains: Sequence[Float]) -> Float:
    total = np.zeros(nodes.shape)
    ratio = 1 / NOISE**2 - 1 / FRESH**2
    for look, gain in zip(looks, gains):
        x, weight = _log_ratio(look, look.on_knots(change), gain)
        llr = np.log(FRESH / NOISE) - 0.5 * np.minimum(x * x, 4 * FRESH**2) * ratio
        total += (weight * llr).reshape(nodes.shape)
    sigma = (WINDOW / nodes.spacing[0], WINDOW / nodes.spacing[1])
    cells = np.pi * (WINDOW / CELL) ** 2
    odds = ODDS + cells * gaussian_filter(total, sigma, mode="nearest")
    return np.asarray(minimum_filter(odds, BORDER, mode="nearest"))


def _log_ratio(look: MappedLook, change: Float, gain: Float) -> tuple[Float, Float]:
    """Log ratio of the epoch over the old texture on the changed ground, and its weight, (node,)."""
    scene, measured = look.scene, look.measured
    out = scene.render(change)
    assert out.by_brightness is not None
    model = np.exp(gain)[:, None] * out.energy + measured.floor
    q = (measured.energy / np.maximum(model, 1e-2 * np.median(model))).ravel()
    usable = np.where(measured.share > 0.5, 1 - np.clip(out.folded + out.doubtful, 0, 1), 0.0).ravel()
    alone = _alone(look, change)
    above = look.to_knots.T @ (alone * (out.by_brightness.T @ (usable * q)))
    below = look.to_knots.T @ (alone * (out.by_brightness.T @ usable))
    usual = float(np.median(below[below > 0])) if (below > 0).any() else 1.0
    x = np.log(np.clip(above / np.maximum(below, 1e-9 * usual), 0.05, 20.0))
    return np.asarray(x), np.asarray(np.clip(2 * below / usual, 0.0, 1.0))


def _alone(look: MappedLook, change: Float) -> Float:
    """Knots whose ground is lit, shares its range with none and whose texture mends nothing, flat: 0 or 1."""
    scene = look.scene
    ground, rows = scene.ground, scene.block[0]
    seen = visibility(ground, on_points(change, ground, rows))
    bad = (seen.layover | seen.shadow | ~ground.known).astype(np.float64)
    good = gaussian_filter(bad, SPOILT, mode="nearest") < 0.05
    good[:, :-1] &= ~look.mends
    first = np.arange(0, len(good), rows)
    share = np.add.reduceat(good[:, :: ground.facets].astype(np.float64), first, axis=0)
    number = np.add.reduceat(np.ones(len(good)), first)
    return np.asarray(share / number[:, None] > ALONE, dtype=np.float64).ravel()
