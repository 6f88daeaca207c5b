"""Several looks solved together: one change, one new reflectivity, on one map.

On new rock each look gives one equation a node, of slope and brightness together. Looks from different
sides see different slopes and the same brightness, which tells the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .jointstep import MOST, SMOOTH_VARIANCE, Descent, Point, Posterior, brightness_width
from .kept import chance_kept, shift_to_texture
from .mapped import MappedLook
from .nodes import MapNodes
from .prior import Matern
from .problem import State, carried
from .rowstart import changed_ground, integrated, settled

Float = NDArray[np.float64]

#: Blocks are merged (rows, ranges) to this many, for so many steps. Up and down again, on nodes twice as
#: far apart: coarse blocks see where height has been lost, fine ones its shape.
PYRAMID = ((4, 4, 3), (2, 2, 3), (1, 1, 3))
CYCLES, COARSER = 3, 2
#: Nodes from which coarser ones save time; on fewer nothing is gained and some detail lost.
MANY_NODES = 1000
#: Steps on all nodes.
FINE_STEPS = 12
#: Correlation ranges of the change to choose from by evidence, nodes; the pyramid goes down with the longest,
#: which carries height furthest. And the steps that each is given.
RANGES, RANGE_STEPS = (50.0, 25.0, 12.0, 6.0), 8
#: Sharp shapes lose height on the longest range, step by step: where this one (by number) or a shorter one is
#: likeliest on the coarse nodes after the first cycle and so many steps, all that follows goes down with it.
#: The second is likelier there for smooth domes too, whose end is better with the first.
SHARP, SHARP_STEPS = 2, 3
#: Log evidence by which a shorter range must be likelier at the end: other random numbers of the descent
#: change it by about five.
LIKELIER = 10.0
#: First envelope about the start where the images differ, metres.
FIRST = 20.0
#: Steps of the finest blocks after which kept and new are told apart anew.
TEST_EVERY = 3
#: Window (Gaussian σ) in which the fine nodes' difference from the coarse ones is an error, metres, and that
#: between two cycles.
APART_WINDOW = 36.0
#: Share of the square of such a difference: both err, and the one that is taken no more than the other.
APART_SHARE = 0.5
#: Mean square of the standardised residuals around a node above which the looks contradict the answer: of
#: some 25 blocks it scatters by 0.3 about 1. And a brightness ratio of two looks beyond so many standard
#: deviations of it: the descent has bought light with height.
CONTRADICTED, RATIO_ALARM = 3.0, 3.0


@dataclass(frozen=True)
class Joint:
    """What the looks say together, on the nodes of the map.

    Parameters
    ----------
    change, std : ndarray (y, x)
        Metres.
    brightness : ndarray (y, x)
        Log reflectivity of new rock against the median; its change on kept ground.
    kept : ndarray (y, x)
        Chance that the old texture was kept.
    unresolved : ndarray (y, x) bool
        Where the looks contradict each other or the answer has lost its hold.
    draws : ndarray (number, y, x)
        Errors of the change drawn from what is known of them, metres: for sums over areas.
    noise : tuple of float
        Rescaling of each look's variance, learned.
    gain : tuple of ndarray (block row,)
        Log gain of each look, read under the answer on ground that kept still.
    ratio, ratio_std : tuple of float
        Log brightness of new rock in each look against the mean of all, and its standard deviation.
    steps : tuple of float
        Root-mean-square step of every iteration, metres.
    correlation_range : float
        Metres, chosen by evidence.
    """

    change: Float
    std: Float
    brightness: Float
    kept: Float
    unresolved: NDArray[np.bool_]
    draws: Float
    noise: tuple[float, ...]
    gain: tuple[Float, ...]
    ratio: tuple[float, ...]
    ratio_std: tuple[float, ...]
    steps: tuple[float, ...]
    correlation_range: float


def solve_jointly(
    looks: Sequence[MappedLook],
    nodes: MapNodes,
    *,
    seed: int = 0,
    cycles: int = CYCLES,
    solver: str = "auto",
) -> Joint:
    """Solve several looks for one change of the ground.

    Parameters
    ----------
    looks : sequence of MappedLook
        On the nodes, calibrated to each other.
    nodes : MapNodes
        The map.
    seed : int
        Of the posterior samples.
    cycles : int
        How often the descent goes from coarse blocks to fine ones.
    solver : {"auto", "direct", "iterative"}
        See :func:`mosart.inversion.synthesis.solver.make_solver`.

    Returns
    -------
    Joint
        On the nodes. σ is that of the linearisation: where one look alone sees new rock, it is large.
    """
    rng = np.random.default_rng(seed)
    coarse, onto = nodes.coarsened(COARSER if np.prod(nodes.shape) > MANY_NODES else 1)
    fewer = [look.coarsened(onto) for look in looks]
    mean = sp.csr_array(sp.diags_array(1 / np.asarray(onto.sum(axis=0))) @ onto.T)

    def to_coarse(values: Float) -> Float:
        return np.asarray(mean @ values.ravel()).reshape(coarse.shape)

    steps: list[float] = []
    no_gains = [np.zeros(look.scene.blocks[0]) for look in looks]
    still = chance_kept(looks, nodes, np.zeros(nodes.shape), no_gains)
    start = settled(integrated(looks, nodes), still, nodes)
    at, kept = _begin(fewer, to_coarse(start), to_coarse(changed_ground(looks, nodes)))
    lengths = [number * nodes.spacing[1] for number in RANGES]
    descent = Descent(fewer, coarse, _field(coarse, lengths[0]), rng, solver)
    at, kept = _descend(descent, at, kept, PYRAMID, steps)
    # random numbers of its own: where the ground is smooth the trial leaves no trace
    trial = replace(descent, rng=np.random.default_rng(seed))
    ends = _tried(trial, at, kept, lengths, SHARP_STEPS)
    first = _likeliest(ends)
    if first >= SHARP:
        at, lengths = ends[first].at, lengths[first - 1 :]
        descent.field = _field(coarse, ends[first].length)
    again = np.zeros(coarse.shape)
    for _ in range(cycles - 1):
        before = at.state.change
        at, kept = _descend(descent, at, kept, PYRAMID, steps)
        again = at.state.change - before
    found = shift_to_texture(fewer, coarse, at.state.change, at.state.gain)
    begins = [carried(replace(at.state, change=c), onto, nodes.shape) for c in (at.state.change, found)]
    again = np.asarray(onto @ again.ravel()).reshape(nodes.shape)
    at = Point(begins[1], at.ratio)
    kept = np.asarray(onto @ kept.ravel()).reshape(nodes.shape)
    descent = Descent(looks, nodes, _field(nodes, descent.field.range), rng, solver)
    at, kept = _descend(descent, at, kept, ((1, 1, FINE_STEPS),), steps)
    ends = _tried(descent, at, kept, lengths, RANGE_STEPS)
    return _joint(descent, ends, kept, ([b.change for b in begins], again), steps)


def _begin(looks: Sequence[MappedLook], start: Float, changed: Float) -> tuple[Point, Float]:
    """Where the descent begins, and the chance of kept ground there."""
    kept, looking = 1 - changed, len(looks)
    state = State(
        start,
        np.zeros((1, *start.shape)),
        np.clip(np.sqrt(gaussian_filter(start**2 + (FIRST * changed) ** 2, 2.0)), 1.0, MOST),
        brightness_width(kept)[None],
        (1.0,) * looking,
        tuple(np.zeros(look.scene.blocks[0]) for look in looks),
    )
    return Point(state, np.zeros(looking)), kept


def _descend(
    descent: Descent,
    at: Point,
    kept: Float,
    pyramid: Sequence[tuple[int, int, int]],
    steps: list[float],
) -> tuple[Point, Float]:
    """Go down from coarse blocks to fine ones; on fine ones tell kept from new."""
    problem = descent.problem(kept)
    for rows, ranges, number in pyramid:
        for k in range(number):
            if (rows, ranges) == (1, 1) and k % TEST_EVERY == 0:
                kept = chance_kept(descent.looks, descent.nodes, at.state.change, at.state.gain)
                problem = descent.problem(kept)
            before = at.state.change
            at = descent.step(problem, at, kept, (rows, ranges), learn=k > 0)
            steps.append(float(np.sqrt(np.mean((at.state.change - before) ** 2))))
    return at, kept


@dataclass(frozen=True)
class _End:
    """Where the descent ends with a correlation range, in metres."""

    length: float
    at: Point
    posterior: Posterior


def _tried(descent: Descent, at: Point, kept: Float, lengths: Sequence[float], number: int) -> list[_End]:
    """Go on by so many steps with every correlation range, from the longest, as long as they are likelier."""
    problem = descent.problem(kept)
    ends: list[_End] = []
    for length in lengths:
        if len(ends) > 1 and ends[-1].posterior.evidence < ends[-2].posterior.evidence:
            break  # shorter ones are less likely still
        descent.field, end = _field(descent.nodes, length), at
        for _ in range(number):
            end = descent.step(problem, end, kept, (1, 1), learn=True)
        ends.append(_End(length, end, descent.posterior(problem, end, kept)))
    return ends


def _likeliest(ends: Sequence[_End], by: float = 0.0) -> int:
    """Find the likeliest, by number; the second where the solver does not know how likely they are.

    A shorter range must be likelier by more than `by`.
    """
    evidence = [end.posterior.evidence for end in ends]
    if not np.isfinite(evidence).all():
        return min(1, len(ends) - 1)
    best = 0
    for k, likely in enumerate(evidence):
        best = k if likely > evidence[best] + by else best
    return best


def _joint(
    descent: Descent,
    ends: Sequence[_End],
    kept: Float,
    coarse: tuple[Sequence[Float], Float],
    steps: list[float],
) -> Joint:
    """Take the likeliest end.

    `coarse` are the changes that the coarse nodes offered, and by how much their last cycle moved the ground.
    New rock has no old texture, and is moved where one seems to be found: what fine nodes take back of that
    is no error of theirs.
    """
    best = _likeliest(ends, LIKELIER)
    nodes, end, posterior = descent.nodes, ends[best].at, ends[best].posterior
    change, near = end.state.change, [e.at.state.change for e in ends[max(best - 1, 0) : best + 2]]
    # what the neighbouring ranges, the coarse nodes and another cycle say otherwise is error that the
    # linearisation lacks: where the looks tell little, each cycle ends elsewhere
    offered, again = coarse
    otherwise = np.min([(change - c) ** 2 for c in offered], axis=0)
    blur = tuple(APART_WINDOW / s for s in nodes.spacing)
    apart = [
        np.sqrt(np.var(near, axis=0)),
        np.sqrt(APART_SHARE * gaussian_filter(otherwise + again**2, blur)),
    ]
    variance = gaussian_filter(np.mean(posterior.draws**2, axis=0), SMOOTH_VARIANCE)
    draws = posterior.draws
    for one in apart:
        draws = draws + _shared(descent.rng, draws, one / np.maximum(variance, 1e-12))[:, None, None] * one
    # what the ratios have in common is brightness
    common = float(end.ratio.mean())
    ratio = end.ratio - common
    unresolved = posterior.misfit > CONTRADICTED
    if np.abs(ratio).max() > RATIO_ALARM * np.sqrt(2 / descent.ratio_precision().min()):
        unresolved |= kept < 0.5
    return Joint(
        change,
        np.sqrt(variance + sum(one**2 for one in apart)),
        end.state.brightness[0] + common * (1 - kept),
        kept,
        unresolved,
        draws,
        tuple(end.state.noise),
        tuple(end.state.gain),
        tuple(float(r) for r in ratio),
        tuple(float(s) for s in posterior.ratio_std),
        tuple(steps),
        ends[best].length,
    )


def _shared(rng: np.random.Generator, draws: Float, weight: Float) -> Float:
    """Draw numbers that all nodes share, one a draw.

    Of mean square one, and over the map without what they have by chance in common with the errors drawn
    before: a small map has few independent places, and with so few draws the two would often add up or cancel
    everywhere. `weight` is what they are multiplied by, over the variance.
    """
    drawn = rng.standard_normal(len(draws))
    common = np.einsum("kij,ij->k", draws, weight)
    if (common != 0).any():
        drawn -= common * (common @ drawn) / (common @ common)
    return np.asarray(drawn / np.sqrt(np.mean(drawn**2)))


def _field(nodes: MapNodes, length: float) -> Matern:
    return Matern(nodes.shape, nodes.spacing, length)
