"""Refine again only where another explanation asks for it: in windows, with a margin like a tile's halo."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from .ground import Ground, between
from .look import Fixed, Look
from .newton import FROM_START, descend, refine
from .nodes import widened
from .posterior import Solution, posterior
from .prior import Matern
from .problem import Problem, State
from .render import Rendered, Scene

logger = logging.getLogger(__name__)

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Box = tuple[slice, slice]

#: Share of the nodes in windows from which all is refined again: windows save little then, and what is
#: learned of the whole image (noise, gains) has been learned from too much of what is in doubt.
MOST_WINDOWS = 0.5
#: Outer share of the margin whose answer does not count: its own surroundings are missing.
OUTSIDE = 0.25


def refine_around(problem: Problem, solution: Solution, start: State, asked: Bool) -> Solution:
    """Refine again from another start, or under another scene, about the nodes that this concerns.

    Parameters
    ----------
    problem : Problem
        Of one look, on the knots of its scene.
    solution : Solution
        What is kept elsewhere.
    start : State
        To begin from; not changed.
    asked : ndarray (block row, node) bool
        What the start or the scene tells otherwise.

    Returns
    -------
    Solution
        The posterior of the whole. The windows reach a correlation range of the change beyond `asked`, where
        their answers give way to what is kept; gains and noise are those of the whole.
    """
    margin = [int(np.ceil(problem.field.range / s)) for s in problem.field.spacing]
    boxes = windows(asked, (margin[0], margin[1]))
    if sum(_size(box) for box in boxes) > MOST_WINDOWS * asked.size:
        return refine(problem, start, FROM_START, uniform_steps=0)
    before = problem.looks[0].render(start.change, start.brightness, derivatives=False)
    steps: list[float] = []
    joined = solution.state
    for box in boxes:
        part = within(problem, solution, before, box)
        # only the looks' noise is trusted at first, as from any start
        cut = replace(cropped(start, box), noise=(1.0,))
        found = descend(part, cut, FROM_START, steps, uniform_steps=0)
        joined = laid(joined, found, box, (margin[0], margin[1]))
    logger.info(
        "refined again in %d windows, %.0f %% of the nodes",
        len(boxes),
        100 * sum(_size(box) for box in boxes) / asked.size,
    )
    return posterior(problem, joined, tuple(steps) or solution.steps)


def windows(asked: Bool, margin: tuple[int, int]) -> list[Box]:
    """Boxes that hold all nodes and a margin around each, and do not overlap.

    Parameters
    ----------
    asked : ndarray (y, x) bool
        The nodes.
    margin : tuple of int
        Nodes in y and x.

    Returns
    -------
    list of tuple of slice
        Within the grid.
    """
    mask = widened(asked, margin)
    while True:
        boxes = [(box[0], box[1]) for box in find_objects(label(mask, np.ones((3, 3)))[0])]
        filled = mask.copy()
        for box in boxes:
            filled[box] = True
        if (filled == mask).all():
            return boxes
        mask = filled


def _size(box: Box) -> int:
    return int((box[0].stop - box[0].start) * (box[1].stop - box[1].start))


def cropped(state: State, box: Box) -> State:
    """Take the part of a state that lies in a window."""
    return replace(
        state,
        change=state.change[box],
        brightness=state.brightness[:, box[0], box[1]],
        envelope=state.envelope[box],
        brightness_envelope=state.brightness_envelope[:, box[0], box[1]],
        gain=tuple(gain[box[0]] for gain in state.gain),
    )


def laid(state: State, part: State, box: Box, margin: tuple[int, int]) -> State:
    """Lay the answer of a window over a state, with the weights of a tile: noise and gains stay.

    Parameters
    ----------
    state, part : State
        Of the whole and of the window.
    box : tuple of slice
        The window.
    margin : tuple of int
        Nodes in y and x over which the window gives way, but for an edge that is the grid's.

    Returns
    -------
    State
        Of the whole.
    """
    rise = [_rise(s, n, m) for s, n, m in zip(box, state.change.shape, margin)]
    weight = rise[0][:, None] * rise[1][None]

    def mixed(whole: Float, window: Float) -> Float:
        out = whole.copy()
        out[box] = weight * window + (1 - weight) * whole[box]
        return out

    def all_mixed(whole: Float, window: Float) -> Float:
        return np.array([mixed(a, b) for a, b in zip(whole, window)])

    return replace(
        state,
        change=mixed(state.change, part.change),
        brightness=all_mixed(state.brightness, part.brightness),
        envelope=mixed(state.envelope, part.envelope),
        brightness_envelope=all_mixed(state.brightness_envelope, part.brightness_envelope),
    )


def _rise(span: slice, length: int, margin: int) -> Float:
    """Weights along an axis: without a kink, that the prior would see."""
    at = np.arange(span.start, span.stop) + 0.5
    weight = np.ones(len(at))
    for distance, edge in ((at - span.start, span.start == 0), (span.stop - at, span.stop == length)):
        if not edge:
            share = np.clip((distance / margin - OUTSIDE) / (1 - OUTSIDE), 0.0, 1.0)
            weight *= 0.5 - 0.5 * np.cos(np.pi * share)
    return weight


def within(problem: Problem, solution: Solution, before: Rendered, box: Box) -> Problem:
    """State the problem on the nodes of a window, against the blocks that show nothing but their ground.

    Parameters
    ----------
    problem : Problem
        Of one look, on the knots of its scene.
    solution : Solution
        Whose gains are kept.
    before : Rendered
        The start, as the look sees it.
    box : tuple of slice
        The window.

    Returns
    -------
    Problem
        That draws from the same random numbers.
    """
    look, fit = problem.looks[0], solution.looks[0]
    rows, knots = box
    shows = np.ones(before.first[rows].shape, bool)
    empty = np.ones(shows.shape, bool)
    for out in (before, fit.rendered):
        lit = out.last[rows] >= 0
        empty &= ~lit
        shows &= ~lit | ((out.first[rows] >= knots.start) & (out.last[rows] < knots.stop))
    told = shows & ~empty
    # what shows nothing, in shadow, is told where it lies between blocks of the window
    shows &= between(told)
    columns = np.flatnonzero(shows.any(axis=0))
    span = slice(int(columns[0]), int(columns[-1]) + 1) if len(columns) else slice(0, 1)
    measured = look.measured
    part = Look(
        crop_scene(look.scene, rows, knots, span),
        replace(
            measured,
            energy=measured.energy[rows, span],
            share=np.where(shows[:, span], measured.share[rows, span], 0.0),
            floor=measured.floor[rows, span],
        ),
        reads=look.reads,
        fixed=Fixed(look.dark, fit.gain[rows]),
    )
    field = problem.field
    shape = (rows.stop - rows.start, knots.stop - knots.start)
    small = Problem(
        [part], Matern(shape, field.spacing, field.range), solver=problem.solver, room=problem.room
    )
    small.rng = problem.rng
    return small


def crop_scene(scene: Scene, rows: slice, knots: slice, blocks: slice) -> Scene:
    """Take the ground between some knots, against some of the blocks.

    Parameters
    ----------
    scene : Scene
        The whole.
    rows, knots, blocks : slice
        Block rows, knots, blocks along the range; start and stop given.

    Returns
    -------
    Scene
        Blocks that show other ground too are dimmer than in the whole.
    """
    g = scene.ground
    r = slice(rows.start * scene.block[0], min(rows.stop * scene.block[0], len(g.height)))
    p = slice(knots.start * g.facets, (knots.stop - 1) * g.facets + 1)
    f = slice(p.start, p.stop - 1)
    first = blocks.start * scene.block[1]
    slant, _ = replace(g, height=g.height[r], offset=g.offset[r]).slant_and_across()
    part: Ground = replace(
        g,
        height=np.ascontiguousarray(g.height[r, p]),
        offset=slant[:, p.start] - first * g.range_spacing,
        x=g.x[p],
        sine=g.sine[p],
        cosine=g.cosine[p],
        known=g.known[r, p],
        bend=g.bend[p],
        pixels=min(blocks.stop * scene.block[1], g.pixels) - first,
        raised=g.raised[p] if len(g.raised) > 1 else g.raised,
    )
    return replace(
        scene,
        ground=part,
        reflectivity=np.ascontiguousarray(scene.reflectivity[r, f]),
        cross=np.ascontiguousarray(scene.cross[r, f]),
        doubt=np.ascontiguousarray(scene.doubt[r, f]),
    )
