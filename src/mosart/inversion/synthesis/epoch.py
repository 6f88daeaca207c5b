"""One epoch against the reference: start, refinement, what is known of it and what is not."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

from .agreement import dem_std
from .band import Room
from .costs import scoring
from .disturb import responses, with_law, with_offset
from .ground import newly_hidden, visibility
from .hypotheses import (
    FEWEST_MOVED,
    FITTED,
    HELD_FROM,
    HELD_MOST,
    lost_lock,
    moved_ground,
    search_patches,
)
from .look import Look, Measured
from .matching import Matching, on_points
from .newton import AGAIN, refine
from .posterior import Solution
from .prior import Matern
from .problem import Problem
from .reading import full_sums
from .reference import LEAST_SIGNAL, Epoch, Reference
from .registration import rows_at
from .render import Scene
from .rivals import Rivals, better
from .search import Start
from .texture import WINDOWS, Texture
from .window import refine_around

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Correlation ranges of the change to choose from, in nodes of the refinement.
RANGES = (6.0, 12.0)
FIRST_RANGE = 12.0
#: Range pixels by which coregistration may leave an epoch off: a uniform change cannot be told from it.
OFFSET_PIXELS = 0.1
#: Share of the change itself that the geometry leaves in its error.
SHARE_SIGMA = 0.01
#: Least share of the nodes that must not be new rock for the refinement without it.
LEAST_OLD = 0.1


@dataclass(frozen=True)
class Result:
    """Change of one epoch, on the nodes of the refinement.

    Parameters
    ----------
    change, std : ndarray (block row, node)
        Metres; before anything is withheld.
    offset : ndarray (block row, node)
        The part of `std` that is one unknown number: the change that an epoch off in range would feign.
    unresolved : ndarray (block row, node) bool
        New rock, texture that is not found again, or contradiction.
    solution : Solution
        The refinement.
    start : Start or None
        Of the search, where it ran.
    texture : Texture or None
        The test for new rock.
    correlation_range : float
        Metres, chosen by evidence.
    scene : Scene
        What was rendered.
    measured : Measured
        What was seen.
    """

    change: Float
    std: Float
    offset: Float
    unresolved: Bool
    solution: Solution
    start: Start | None
    texture: Texture | None
    correlation_range: float
    scene: Scene
    measured: Measured


def make_matching(reference: Reference, epoch: Epoch) -> Matching:
    """Prepare what the search reads.

    Parameters
    ----------
    reference : Reference
        Of the epoch.
    epoch : Epoch
        The new images.

    Returns
    -------
    Matching
        Of the gaps of the new image, and of what lies in layover, nothing is read.
    """
    void = ~np.isfinite(epoch.mean)
    image = np.where(void, np.nanmedian(epoch.mean), epoch.mean)
    pixel = epoch.pixel_looks
    score = scoring(max(pixel * epoch.dates, 0.2), max(reference.looks(pixel, (1, 1)), 0.2))
    return Matching(
        reference.search_ground,
        reference.search_reflectivity,
        reference.search_texture,
        reference.unlit,
        np.maximum(image - reference.floor, LEAST_SIGNAL * image),
        4,
        score,
        void,
    )


def measure(reference: Reference, epoch: Epoch) -> Measured:
    """Blocks of an epoch, and what their noise is.

    Parameters
    ----------
    reference : Reference
        Of the epoch.
    epoch : Epoch
        The new images.

    Returns
    -------
    Measured
        On the blocks of the refinement.
    """
    scene = reference.scene
    energy, share = full_sums(epoch.mean, scene.block)
    size = scene.block[0] * scene.block[1]
    return Measured(
        energy * scene.ground.range_spacing,
        share,
        full_sums(np.full(epoch.mean.shape, reference.floor), scene.block)[0] * scene.ground.range_spacing,
        max(epoch.pixel_looks * epoch.dates * size, 0.5),
        reference.looks(epoch.pixel_looks, scene.block),
    )


def solve_epoch(reference: Reference, epoch: Epoch, *, seed: int = 0, solver: str = "auto") -> Result:
    """Change of an epoch against its reference.

    Parameters
    ----------
    reference : Reference
        Ground, scattering, noise.
    epoch : Epoch
        The new images.
    seed : int
        Of the posterior samples.
    solver : {"auto", "direct", "iterative"}
        Of the normal equations.

    Returns
    -------
    Result
        On the nodes of the refinement.
    """
    scene = reference.scene
    measured = measure(reference, epoch)
    spacing = (scene.block[0] * scene.ground.azimuth_spacing, scene.ground.spacing * scene.ground.facets)

    room = Room()

    def problem(nodes: float, scene: Scene) -> Problem:
        field = Matern(scene.knots, spacing, nodes * spacing[1])
        return Problem([Look(scene, measured)], field, seed=seed, solver=solver, room=room)

    base = problem(FIRST_RANGE, scene)
    solution = refine(base, base.start())
    moved = moved_ground(solution, base.unit)
    start = rock = None
    contradictions = np.zeros(moved.shape, bool)
    if moved.sum() >= FEWEST_MOVED:
        matching = make_matching(reference, epoch)
        rivals = Rivals(matching, scene, reference.kernel)
        at_zero = rivals.texture_at_zero(WINDOWS)
        rock = rivals.rock(solution, at_zero)
        asked = lost_lock(base, solution, moved, rivals.onto_nodes(rock.new))
        if asked.any():
            held = _held(rivals.texture_at_zero(WINDOWS[:1]))
            start = search_patches(matching, asked, scene.nodes, held)
            solution, contradictions = better(base, solution, rivals, start, asked)
            rock = rivals.rock(solution, at_zero)
        first = solution
        if rock.new.any() and rock.new.mean() < 1 - LEAST_OLD:
            scene = rivals.without(rock.new)
            base = problem(FIRST_RANGE, scene)
            solution = refine_around(
                base,
                solution,
                rivals.begin(base, np.where(rock.held, 0.0, rivals.onto_search(solution.change))),
                rivals.onto_nodes(rock.new | rock.held),
            )
    best, chosen, spread = solution, FIRST_RANGE, np.zeros_like(solution.change)
    if np.isfinite(solution.evidence) and moved.sum() >= FEWEST_MOVED:
        others = {nodes: problem(nodes, scene) for nodes in RANGES if nodes != FIRST_RANGE}
        best, chosen, spread = _best_range(solution, others)
    law, offset = _shared_errors(problem(chosen, scene), best, reference)
    mismatch = reference.agreement.at_nodes(scene.ground, scene.block[0], scene.blocks[0])
    dem = dem_std(best.change, spacing, reference.position_std, mismatch)
    parts = (best.std, best.narrow_std, spread, law, offset, dem, SHARE_SIGMA * best.change)
    std = np.sqrt(sum(np.square(part) for part in parts))
    change, unresolved = best.change, np.zeros(std.shape, bool)
    if rock is not None:
        unresolved = rivals.onto_nodes(rock.lost)
        # inside new rock the change of the refinement that saw it is the better guess
        change = np.where(rivals.onto_nodes(rock.new), first.change, change)
        rested = np.zeros(rock.new.shape)
        contests = [rivals.against(change, std, rested, ~rock.lost)]
        if start is not None and rock.texture.works:
            told = ~rock.lost & ~rock.texture.untold
            contests.append(rivals.against(change, std, start.change, told, handicap=FITTED))
        for contest in contests:
            contradictions |= rivals.onto_nodes(contest.disputed)
        logger.info(
            "new rock or lost texture on %.1f %% of the nodes, contradictions on %.1f %%",
            100 * unresolved.mean(),
            100 * (contradictions & ~unresolved).mean(),
        )
        unresolved |= contradictions
    texture = None if rock is None else rock.texture
    return Result(change, std, offset, unresolved, best, start, texture, chosen * spacing[1], scene, measured)


def _held(at_zero: Texture) -> Float:
    """Cost of leaving zero in the search, nats, where the texture says that the ground did not move.

    The evidence is that of a window: ground beside what stands still for sure shares in it, and may have
    moved. Only what all windows about a node hold is held.
    """
    held = np.where(at_zero.untold, 0.0, np.clip(at_zero.evidence - HELD_FROM, 0.0, HELD_MOST))
    return np.asarray(minimum_filter(held, 2 * int(np.ceil(2 * at_zero.window)) + 1, mode="nearest"))


def _shared_errors(problem: Problem, solution: Solution, reference: Reference) -> tuple[Float, Float]:
    """Change that a law wrong by its standard error would cause, and an epoch that lies off in range."""
    scene = problem.looks[0].scene
    away = OFFSET_PIXELS * scene.ground.range_spacing
    disturbed = [[with_law(scene, scene.law + reference.law.std)], [with_offset(scene, away)]]
    law, offset = responses(problem, solution.state, disturbed)
    return law, offset


def _best_range(solution: Solution, others: dict[float, Problem]) -> tuple[Solution, float, Float]:
    """Choose the correlation range by evidence; the last result is the spread between neighbouring ones."""
    tried = {FIRST_RANGE: solution}
    for nodes in sorted(others, reverse=True):  # the evidence has one maximum: past it nothing is tried
        if max(tried, key=lambda n: tried[n].evidence) == FIRST_RANGE:
            tried[nodes] = refine(others[nodes], solution.state, AGAIN, uniform_steps=0)
    chosen = max(tried, key=lambda n: tried[n].evidence)
    return tried[chosen], chosen, np.std([tried[n].change for n in _neighbours(chosen)], axis=0)


def _neighbours(chosen: float) -> list[float]:
    k = RANGES.index(chosen)
    return [RANGES[i] for i in (k - 1, k, k + 1) if 0 <= i < len(RANGES)]


def on_pixels(values: Float, scene: Scene, x: Float, rows_later: float) -> Float:
    """Node values at the ground position of every pixel.

    Parameters
    ----------
    values : ndarray (block row, node)
        Any field.
    scene : Scene
        Whose nodes they are.
    x : ndarray (azimuth, range)
        Ground range of the pixels, metres.
    rows_later : float
        Rows by which the image lies later than the pixels' ground.

    Returns
    -------
    ndarray (azimuth, range)
        NaN where `x` is.
    """
    mixed = rows_at(values, (np.arange(len(x)) + rows_later + 0.5) / scene.block[0] - 0.5)
    return np.array([np.interp(xi, scene.ground.knot_x, row) for xi, row in zip(x, mixed)])


@dataclass(frozen=True)
class OnRadar:
    """A result on the radar grid, (azimuth, range)."""

    change: Float
    std: Float
    slant_change: Float
    elevation: Float
    unresolved: Bool
    layover: Bool
    shadow: Bool


class OnKnots(Protocol):
    """What is brought to the pixels: fields on the knots of a scene, (block row, knot)."""

    @property
    def scene(self) -> Scene:
        """Whose knots they are."""

    @property
    def change(self) -> Float:
        """Metres."""

    @property
    def std(self) -> Float:
        """Metres."""

    @property
    def unresolved(self) -> Bool:
        """Where the change is not to be used."""


def to_radar(result: OnKnots, reference: Reference, height: Float, reference_height: float) -> OnRadar:
    """Bring a result to the pixels: at their fixed ground position, and at their slant range.

    Parameters
    ----------
    result : OnKnots
        On the knots.
    reference : Reference
        Of the epoch.
    height : ndarray (azimuth, range)
        The DEM, metres.
    reference_height : float
        Of the look frame, metres.

    Returns
    -------
    OnRadar
        Before anything is withheld.
    """
    scene, x = result.scene, reference.x
    ground, later = reference.dem_ground, reference.registration.rows
    fine = on_points(result.change, scene.ground, scene.block[0])
    if later:
        fine = rows_at(fine, np.arange(len(fine), dtype=np.float64) + later)
    seen = [visibility(ground), visibility(ground, fine)]
    if reference.traced:  # what the raster's own trace does not hide, the surface's change alone may
        seen = [newly_hidden(*seen)]
    slant, _ = ground.slant_and_across(fine)
    surface = ground.height - ground.raised + fine
    centre = (np.arange(ground.pixels) + 0.5) * ground.range_spacing
    elevation = np.empty(x.shape)
    layover, shadow = reference.overlaid.copy(), np.zeros(x.shape, bool)
    last = len(ground.x) - 1
    for j in range(len(x)):
        order = np.maximum.accumulate(slant[j]) + np.arange(last + 1) * 1e-9
        elevation[j] = np.interp(centre, order, surface[j], left=np.nan, right=np.nan)
        position = (np.nan_to_num(x[j]) - ground.x[0]) / ground.spacing
        k = np.clip(np.floor(position).astype(int), 0, last - 1)
        for v in seen:
            layover[j] |= v.layover[j, k] | v.layover[j, k + 1]
            shadow[j] |= v.shadow[j, k] | v.shadow[j, k + 1]
    elevation += reference_height
    lost = on_pixels(result.unresolved.astype(np.float64), scene, x, later)
    change = on_pixels(result.change, scene, x, later)
    return OnRadar(
        change,
        on_pixels(result.std, scene, x, later),
        elevation - height,
        elevation,
        np.nan_to_num(lost) > 0.5,
        layover,
        shadow,
    )
