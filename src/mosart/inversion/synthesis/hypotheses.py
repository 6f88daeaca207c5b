"""Which of several explanations of an epoch holds where: still, changed a little, changed a lot, new rock."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects, label

from .laying import brightness
from .matching import Matching, crop, with_brightness
from .nodes import RowNodes, widened
from .posterior import Solution
from .problem import Problem, huber
from .search import Start, find_start
from .texture import SURE, Texture, regress_texture, withhold

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Largest change that is searched for, metres: collapses and domes of active volcanoes between two images.
LARGEST_CHANGE = 250.0
#: Change (in range pixels' heights) above which ground counts as moved: below it texture stays in lock.
MOVED = 1.5
#: Nodes that must have moved before a change is looked at more closely.
FEWEST_MOVED = 4
#: Change (range pixels' heights) above which the refinement from zero is not trusted to have kept lock.
LOCK = 12.0
#: Mean square of the standardised residuals in changed ground over that in still ground above which it
#: has not; residuals are clipped, and so many blocks tell.
LOST_LOCK, CLIPPED, FEWEST_BLOCKS = 1.3, 16.0, 8
#: Ground around a changed patch in which the search runs: multiples of the largest change there, or of
#: the lock.
SEARCH_MARGIN = 2.0
#: Evidence of kept texture at no change (nats) from which a node is held there in the search, and the most
#: that leaving costs it: about as much as its pixels say.
HELD_FROM, HELD_MOST = 3.0, 4.0
#: What leaving zero costs a node at the border of what is searched, nats: ground beyond has not moved, and of
#: ground that shows nothing a border left free would let whole rows slide.
ANCHORED = 50.0
#: Nats by which one explanation of a patch must be better than another to be believed alone: odds of twenty.
DECISIVE = 3.0
#: Nats that a patch of the search's result, which is fitted to the very cost it is judged by, is thought
#: too good by.
FITTED = 2 * DECISIVE
#: Evidence (nats) of kept texture below which ground whose texture has gone from its place has not been found
#: again, where the test is weak; where it tells next to nothing, `DECISIVE`. At three, means of four dates
#: lose up to a twentieth of a change that is right.
FOUND = 1.0
#: Share of a block's energy from which it shows a patch.
SHOWS = 0.1
#: Disagreement of two explanations that matters: range pixels' heights, and standard errors.
APART_PIXELS, APART_ERRORS = 2.0, 3.0


def moved_ground(solution: Solution, unit: float) -> Bool:
    """Nodes whose change is more than noise and more than texture can be out of lock by."""
    return np.asarray(np.abs(solution.change) > np.maximum(MOVED * unit, 3 * solution.std))


def lost_lock(problem: Problem, solution: Solution, moved: Bool, new: Bool) -> Bool:
    """Patches of moved ground in which the refinement from zero may have stopped in a false minimum.

    Parameters
    ----------
    problem : Problem
        Of the refinement.
    solution : Solution
        From zero.
    moved : ndarray (block row, node) bool
        Ground that has changed.
    new : ndarray (block row, node) bool
        Ground whose texture is not found again under that solution: new rock, or lost. A field of
        brightness can take up what a lost change leaves in the residuals, not the texture.

    Returns
    -------
    ndarray (block row, node) bool
        Where the search is to run, a margin included.
    """
    look, fit = problem.looks[0], solution.looks[0]
    z2 = np.minimum(fit.residual**2, CLIPPED)
    seen = np.isfinite(z2)
    away = seen & (look.at_blocks(moved.astype(np.float64), fit.rendered) < 0.05)
    usual = float(z2[away].mean()) if away.sum() > FEWEST_BLOCKS else np.nan
    asked = np.zeros(moved.shape, bool)
    for where in _patches(moved, problem, LOCK * problem.unit):
        largest = float(np.abs(solution.change[where & moved]).max())
        here = seen & (look.at_blocks((where & moved).astype(np.float64), fit.rendered) > 0.5)
        ratio = float(z2[here].mean()) / usual if here.sum() > FEWEST_BLOCKS else 0.0
        strange = float(new[where & moved].mean())
        asks = not ratio <= LOST_LOCK or largest > LOCK * problem.unit or strange > 0
        logger.info(
            "a changed patch of %d nodes: residuals %.2f times those of still ground, change up to %.1f m, "
            "%.0f %% without the old texture%s",
            int((where & moved).sum()), ratio, largest, 100 * strange, ": searched" if asks else "",
        )  # fmt: skip
        if asks:
            asked |= next(_patches(where & moved, problem, SEARCH_MARGIN * max(largest, LOCK * problem.unit)))
    return asked


def _patches(nodes: Bool, problem: Problem, margin: float) -> Iterator[Bool]:
    """Split nodes into connected patches with a margin (metres) around them; nearer ones are one."""
    reach = [int(np.ceil(margin / s)) for s in problem.field.spacing]
    patches, number = label(widened(nodes, (reach[0], reach[1])))
    for k in range(1, number + 1):
        yield np.asarray(patches == k)


def search_patches(matching: Matching, asked: Bool, nodes: RowNodes, held: Float) -> Start:
    """Search every patch in its own box; zero elsewhere.

    Parameters
    ----------
    matching : Matching
        What is matched.
    asked : ndarray (block row, node) bool
        Where, on `nodes`.
    nodes : RowNodes
        Of the refinement.
    held : ndarray (block row, node)
        What leaving zero costs a node of the search, nats.

    Returns
    -------
    Start
        On the nodes of the search.
    """
    whole = [np.zeros(matching.shape) for _ in range(3)]
    there = nodes.resample(asked.astype(np.float64), matching.nodes) > 0.5
    patches, _ = label(there)
    for box in find_objects(patches):
        inside = tuple(slice(b.start + (b.start > 0), b.stop - (b.stop < n)) for b, n in zip(box, held.shape))
        anchored = np.full(held.shape, ANCHORED)
        anchored[inside] = held[inside]
        part = find_start(crop(matching, *box), -LARGEST_CHANGE, LARGEST_CHANGE, anchored[box])
        for target, values in zip(whole, (part.change, part.std, part.brightness)):
            target[box] = values
    return Start(whole[0], whole[1], whole[2])


def explain(matching: Matching, change: Float) -> Float:
    """Cost of every node under a change, with the brightness that suits it.

    Parameters
    ----------
    matching : Matching
        The reference (without a change of brightness) and the new image.
    change : ndarray (block row, node)
        Metres.

    Returns
    -------
    ndarray (block row, node)
        Nats: half of the edges on either side.
    """
    bright = with_brightness(matching, brightness(matching, change))
    edges = bright.costs(change, np.zeros(1), 0)[:, :, 0, 0].astype(np.float64)
    padded = np.pad(edges, ((0, 0), (1, 1)))
    return np.asarray(0.5 * (padded[:, 1:] + padded[:, :-1]))


@dataclass(frozen=True)
class Contest:
    """Two explanations compared, patch by patch of where they differ.

    Parameters
    ----------
    change : ndarray (block row, node)
        The better one of every patch, metres; the first where they agree.
    disputed : ndarray (block row, node) bool
        Patches in which the other one explains the image nearly as well, or better.
    """

    change: Float
    disputed: Bool


def compete(
    matching: Matching, first: Float, second: Float, apart: Float | float, handicap: float = 0.0
) -> Contest:
    """Choose between two explanations, patch by patch.

    Parameters
    ----------
    matching : Matching
        The reference and the new image.
    first, second : ndarray (block row, node)
        Metres.
    apart : float or ndarray
        Difference from which they disagree, metres.
    handicap : float
        Nats by which the second is thought too good: it was fitted to this very cost.

    Returns
    -------
    Contest
        Patches end where both agree, so that the choice joins without a step.
    """
    patches, size = _disagreement(first, second, apart)
    if len(size) < 2:
        return Contest(first, patches > 0)
    gain = explain(matching, second) - explain(matching, first)  # positive: the first is better
    lead = np.bincount(patches.ravel(), gain.ravel()) + handicap
    wins, disputed = lead < 0, lead < DECISIVE
    wins[size < FEWEST_MOVED] = disputed[size < FEWEST_MOVED] = False
    wins[0] = disputed[0] = False
    return Contest(np.where(wins[patches], second, first), disputed[patches])


def contradicted(problem: Problem, kept: Solution, other: Solution) -> Bool:
    """Patches in which another refinement explains the image nearly as well, beyond the errors of both.

    Parameters
    ----------
    problem : Problem
        Of the refinement.
    kept, other : Solution
        Two refinements of the same images.

    Returns
    -------
    ndarray (block row, node) bool
        Each patch is judged on the blocks that show it under either.
    """
    error = APART_ERRORS * np.hypot(kept.std, other.std)
    patches, size = _disagreement(kept.change, other.change, np.maximum(APART_PIXELS * problem.unit, error))
    look, (fit, rival) = problem.looks[0], (kept.looks[0], other.looks[0])
    scale = np.sqrt(np.array([fit.noise, rival.noise]) / fit.noise)
    both = np.isfinite(fit.residual) & np.isfinite(rival.residual)
    disputed = np.zeros(len(size), bool)
    for k in np.flatnonzero(size >= FEWEST_MOVED):
        if k == 0:
            continue
        here = (patches == k).astype(np.float64)
        seen = both & (
            (look.at_blocks(here, fit.rendered) > SHOWS) | (look.at_blocks(here, rival.rendered) > SHOWS)
        )
        lead = huber(rival.residual[seen] * scale[1]) - huber(fit.residual[seen] * scale[0])
        disputed[k] = lead < DECISIVE
    return disputed[patches]


def _disagreement(
    first: Float, second: Float, apart: Float | float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Label the patches where two fields differ, and count their nodes; patch 0 is where they agree.

    What lies higher and what lies lower are patches of their own: a change that was found must not fall
    with a false one beside it.
    """
    everywhere = np.ones((3, 3))
    patches, number = label(first - second > apart, everywhere)
    lower, _ = label(second - first > apart, everywhere)
    patches = np.where(lower > 0, lower + number, patches)
    return np.asarray(patches, np.intp), np.bincount(patches.ravel())


@dataclass(frozen=True)
class Rock:
    """Kept or new, under the change found and under none.

    Parameters
    ----------
    texture, at_zero : Texture
        The test under both.
    new : ndarray (block row, node) bool
        New rock: neither repeats the old texture.
    held : ndarray (block row, node) bool
        Ground whose texture says that it has not moved, while the change found says that it has.
    lost : ndarray (block row, node) bool
        New rock, and ground whose texture has gone and is not found again under the change.
    """

    texture: Texture
    at_zero: Texture
    new: Bool
    held: Bool
    lost: Bool


def not_found(texture: Texture, at_zero: Texture) -> Bool:
    """Ground whose texture has gone from where it was, and is not found again under the change.

    Parameters
    ----------
    texture, at_zero : Texture
        The test under the change found and under none.

    Returns
    -------
    ndarray (block row, node) bool
        It moved or was replaced, and the change found is not where it went. What beside it, as far as a
        window reaches, neither test speaks for is lost with it. Without texture nothing is told.
    """
    if not texture.repeats:
        return np.zeros(texture.evidence.shape, bool)
    missed = texture.evidence < np.where(texture.untold, DECISIVE, FOUND)
    gone = missed & texture.weak & (at_zero.evidence < -DECISIVE)
    silent = gone | (missed & texture.untold & (at_zero.evidence < DECISIVE))
    return np.asarray(binary_dilation(gone, iterations=int(np.ceil(texture.window)), mask=silent))


def judge_rock(
    matching: Matching, change: Float, std: Float, at_zero: Texture, kernel: tuple[float, float]
) -> Rock:
    """Tell kept from new rock and from lost ground.

    Parameters
    ----------
    matching : Matching
        The reference and the new image.
    change, std : ndarray (block row, node)
        Metres.
    at_zero : Texture
        The test under no change.
    kernel : tuple of float
        Of the reference's reflectivity.

    Returns
    -------
    Rock
        Where the test cannot tell although it can on still ground, what moved counts as new.
    """
    moved = np.abs(change) > np.maximum(matching.unit, 3 * std)
    texture = regress_texture(matching, change, kernel)
    # a change found at random beside new rock must not make still ground new
    vetoed = (at_zero.evidence > DECISIVE) & ~at_zero.untold
    new, sure = texture.new & ~vetoed, texture.evidence < SURE
    if texture.works:
        new |= texture.untold & moved
        sure |= texture.untold & moved
    node = (matching.ground.azimuth_spacing * matching.rows_block,
            matching.ground.spacing * matching.ground.facets)  # fmt: skip
    held = at_zero.kept & ~texture.kept & moved
    lost = not_found(texture, at_zero)
    return Rock(
        texture,
        at_zero,
        withhold(new, sure, node, texture.window),
        held,
        withhold(new | lost, sure | lost & (at_zero.evidence < SURE), node, texture.window),
    )
