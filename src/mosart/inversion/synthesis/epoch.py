"""One epoch against the reference: start, refinement, what is known of it and what is not."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .agreement import dem_std
from .costs import scoring
from .ground import visibility
from .look import Look, Measured
from .matching import Matching, crop, on_points
from .newton import AGAIN, FROM_START, refine
from .posterior import Solution
from .prior import Matern
from .problem import Problem, huber
from .reference import LEAST_SIGNAL, Epoch, Reference, full_sums
from .registration import rows_at
from .render import Scene
from .search import Start, find_start
from .texture import Texture, regress_texture

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Largest change that is searched for, metres: collapses and domes of active volcanoes between two images.
LARGEST_CHANGE = 250.0
#: Correlation ranges of the change to choose from, in nodes of the refinement.
RANGES = (6.0, 12.0, 24.0)
FIRST_RANGE = 12.0
#: Change (in range pixels' heights) that the image must show somewhere for the search to be worth its time:
#: below it the fine texture stays in lock.
SEARCH_FROM = 1.5
#: Change (range pixels' heights) above which the refinement from zero is not trusted to have kept lock.
LOCK = 12.0
#: Mean square of the standardised residuals in changed ground over that in still ground above which it
#: has not.
LOST_LOCK = 1.3
#: Ground around the changed part in which the search runs: metres of ground range and of azimuth, as
#: multiples of the largest change found or of the lock.
SEARCH_MARGIN = 2.0
#: Added to every σ: a tenth of a range pixel as height, which coregistration leaves (a uniform change
#: cannot be told from a range misregistration) and sub-node shape too; and the share of the
#: change itself, what geometry and law leave.
LEAST_SIGMA, SHARE_SIGMA = 0.1, 0.01
#: Nodes that must have moved before a change is looked at more closely.
FEWEST_MOVED = 4


@dataclass(frozen=True)
class Result:
    """Change of one epoch, on the nodes of the refinement.

    Parameters
    ----------
    change, std : ndarray (block row, node)
        Metres; before anything is withheld.
    unresolved : ndarray (block row, node) bool
        New rock, lost lock, or contradiction.
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
        Gaps of the new image are filled with the reference.
    """
    image = np.where(np.isfinite(epoch.mean), epoch.mean, reference.mean)
    image = np.where(np.isfinite(image), image, np.nanmedian(epoch.mean))
    pixel = epoch.pixel_looks
    score = scoring(max(pixel * epoch.dates, 0.2), max(reference.looks(pixel, (1, 1)), 0.2))
    return Matching(
        reference.search_ground,
        reference.search_reflectivity,
        reference.unlit,
        np.maximum(image - reference.floor, LEAST_SIGNAL * image),
        4,
        score,
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
    look = Look(scene, measured)
    spacing = (scene.block[0] * scene.ground.azimuth_spacing, scene.ground.spacing * scene.ground.facets)

    def problem(nodes: float) -> Problem:
        field = Matern(scene.knots, spacing, nodes * spacing[1])
        return Problem([look], field, seed=seed, solver=solver)

    base = problem(FIRST_RANGE)
    solution = refine(base, base.start())
    matching = make_matching(reference, epoch)
    start = None
    moved = np.abs(solution.change) > np.maximum(SEARCH_FROM * base.unit, 3 * solution.std)
    if moved.sum() >= FEWEST_MOVED and _lost_lock(base, solution, moved):
        start = _search(matching, base, moved, float(np.abs(solution.change).max()))
        there, here = matching.nodes, scene.nodes
        d = there.resample(start.change, here)
        b = there.resample(start.brightness, here)
        node = (base.field.range * 0.35 / spacing[0], base.field.range * 0.35 / spacing[1])
        state = replace(
            base.start(d),
            brightness=b[None],
            envelope=np.sqrt(gaussian_filter(d**2, node) + (0.3 * base.unit) ** 2),
            brightness_envelope=np.sqrt(gaussian_filter(b**2, node) + 0.05**2)[None],
        )
        found = refine(base, state, FROM_START, uniform_steps=0)
        first, second = _misfit(solution), _misfit(found)
        logger.info("misfit %.0f from zero, %.0f from the search", first, second)
        if second < first:
            solution = found
    best, chosen = solution, FIRST_RANGE
    spread = np.zeros_like(solution.change)
    if np.isfinite(solution.evidence) and moved.sum() >= FEWEST_MOVED:
        tried = {FIRST_RANGE: solution}
        for nodes in sorted(set(RANGES) - {FIRST_RANGE}, reverse=True):
            if max(tried, key=lambda n: tried[n].evidence) == FIRST_RANGE:
                tried[nodes] = refine(problem(nodes), solution.state, AGAIN, uniform_steps=0)
        chosen = max(tried, key=lambda n: tried[n].evidence)
        best = tried[chosen]
        spread = np.std([tried[n].change for n in _neighbours(chosen)], axis=0)
    unit = base.unit
    mismatch = reference.agreement.at_nodes(scene.ground, scene.block[0], scene.blocks[0])
    dem = dem_std(best.change, spacing, reference.position_std, mismatch)
    std = np.sqrt(
        best.std**2 + spread**2 + dem**2 + (LEAST_SIGMA * unit) ** 2 + (SHARE_SIGMA * best.change) ** 2
    )
    texture, unresolved = _new_rock(matching, scene, best, std, moved)
    return Result(best.change, std, unresolved, best, start, texture, chosen * spacing[1], scene, measured)


def _lost_lock(problem: Problem, solution: Solution, moved: Bool) -> bool:
    """Whether the refinement from zero may have stopped in a false minimum."""
    fit = solution.looks[0]
    share = problem.looks[0].at_blocks(moved.astype(np.float64), fit.rendered)
    z2 = np.minimum(fit.residual**2, 16.0)
    here, there = np.isfinite(z2) & (share > 0.5), np.isfinite(z2) & (share < 0.05)
    ratio = float(z2[here].mean() / z2[there].mean()) if here.sum() > 8 and there.sum() > 8 else np.inf
    largest = float(np.abs(solution.change).max())
    logger.info(
        "residuals in changed ground %.2f times those in still ground, change up to %.1f m", ratio, largest
    )
    return ratio > LOST_LOCK or largest > LOCK * problem.unit


def _search(matching: Matching, problem: Problem, moved: Bool, largest: float) -> Start:
    """Search in a box around the changed ground; zero outside."""
    scene = problem.looks[0].scene
    margin = SEARCH_MARGIN * max(largest, LOCK * problem.unit)
    rows, columns = np.nonzero(moved.any(axis=1))[0], np.nonzero(moved.any(axis=0))[0]
    step = scene.ground.azimuth_spacing * matching.rows_block
    scale = scene.block[0] / matching.rows_block
    a = slice(
        max(0, int(rows[0] * scale - margin / step)),
        min(matching.shape[0], int((rows[-1] + 1) * scale + margin / step) + 1),
    )
    x = scene.ground.knot_x[columns]
    k = np.searchsorted(matching.ground.knot_x, [x[0] - margin, x[-1] + margin])
    n = slice(max(0, int(k[0]) - 1), min(matching.shape[1], int(k[1]) + 2))
    found = find_start(crop(matching, a, n), -LARGEST_CHANGE, LARGEST_CHANGE)
    whole = [np.zeros(matching.shape) for _ in range(3)]
    for target, part in zip(whole, (found.change, found.std, found.brightness)):
        target[a, n] = part
    return Start(whole[0], whole[1], whole[2], matching)


def _neighbours(chosen: float) -> list[float]:
    k = RANGES.index(chosen)
    return [RANGES[i] for i in (k - 1, k, k + 1) if 0 <= i < len(RANGES)]


def _misfit(solution: Solution) -> float:
    """Huber cost of the residuals at the measured noise."""
    fit = solution.looks[0]
    return huber(fit.residual[np.isfinite(fit.residual)] * np.sqrt(fit.noise))


def _new_rock(
    matching: Matching, scene: Scene, best: Solution, std: Float, moved: Bool
) -> tuple[Texture | None, Bool]:
    """Test the texture where the ground moved: the outcome, and the nodes whose change is not to be given."""
    if moved.sum() < FEWEST_MOVED:
        return None, np.zeros(best.change.shape, bool)
    d = scene.nodes.resample(best.change, matching.nodes)
    error = scene.nodes.resample(std, matching.nodes)
    still = np.abs(d) < np.maximum(matching.unit, 2 * error)
    texture = regress_texture(matching, d, still, np.abs(d) > np.maximum(matching.unit, 3 * error))
    lost = matching.nodes.resample(texture.lost.astype(np.float64), scene.nodes) > 0.5
    return texture, lost


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


def to_radar(result: Result, reference: Reference, height: Float, reference_height: float) -> OnRadar:
    """Bring a result to the pixels: at their fixed ground position, and at their slant range.

    Parameters
    ----------
    result : Result
        On the nodes.
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
    fine = _fine(result.change, scene)
    if later:
        fine = rows_at(fine, np.arange(len(fine), dtype=np.float64) + later)
    seen = [visibility(ground), visibility(ground, fine)]
    slant, _ = ground.slant_and_across(fine)
    surface = ground.height - ground.raised + fine
    centre = (np.arange(ground.pixels) + 0.5) * ground.range_spacing
    elevation = np.empty(x.shape)
    layover, shadow = np.zeros(x.shape, bool), np.zeros(x.shape, bool)
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


def _fine(nodes: Float, scene: Scene) -> Float:
    """Node values on the fine points."""
    shell = Matching(
        scene.ground,
        scene.reflectivity,
        np.zeros((1, 1), bool),
        np.zeros((1, 1)),
        scene.block[0],
        scoring(1.0, 1.0),
    )
    return on_points(shell, nodes)
