"""Refinement: Gauss–Newton steps on the rendered image under a learned prior, from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import learning
from .posterior import Solution, posterior
from .problem import Problem, State, carried, linearise, stack_rows
from .render import Rendered
from .solver import make_solver

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """A level of the pyramid.

    Parameters
    ----------
    merged : tuple of int
        Block rows and blocks that are merged.
    steps : int
        Most steps.
    nodes : tuple of int
        Spacings of the nodes, in y and x, that become one.
    """

    merged: tuple[int, int]
    steps: int
    nodes: tuple[int, int] = (1, 1)


#: From coarse blocks to fine ones: coarse blocks have no fine texture whose misregistration makes false
#: minima. Their fields need no nodes finer than half a block.
PYRAMID = (Level((4, 3), 5, (2, 2)), Level((2, 2), 4, (2, 2)), Level((1, 1), 12))
#: The same from a start that is already in lock; its detail is kept.
FROM_START = (Level((2, 2), 3), Level((1, 1), 12))
#: The same from a solution under another prior.
AGAIN = (Level((1, 1), 12),)
#: Longest step of the log reflectivity.
LONGEST_BRIGHT = 0.5
#: Root-mean-square step, in range pixels' heights, at which a level has converged, and fewest steps.
CONVERGED, FEWEST_STEPS = 0.03, 3
#: Mean change of the envelope (natural logarithm) at which it has settled: what the draws leave uncertain is
#: less than this, and it moves the change by less than its error.
SETTLED = 0.05
#: Halvings of a step that does not lower the objective.
HALVINGS = 4
#: Posterior samples for envelope and noise: with 8 another seed moved the change by 0.27 σ, with 32 by
#: 0.06 σ.
ENVELOPE_SAMPLES = 32
#: Steps with a uniform envelope; and whose noise is that of the looks.
UNIFORM_STEPS, TRUSTED_STEPS = 2, 2


def refine(
    problem: Problem,
    state: State,
    pyramid: tuple[Level, ...] = PYRAMID,
    *,
    uniform_steps: int = UNIFORM_STEPS,
) -> Solution:
    """Gauss–Newton from coarse to fine blocks, the envelope and the noise learned on the way.

    Parameters
    ----------
    problem : Problem
        The problem.
    state : State
        The start; not changed.
    pyramid : tuple of Level
        From coarse to fine.
    uniform_steps : int
        Steps with one envelope for all places.

    Returns
    -------
    Solution
        With the posterior of the last linearisation.
    """
    steps: list[float] = []
    for nodes, levels in groupby(pyramid, key=lambda level: level.nodes):
        if nodes == (1, 1):
            state = descend(problem, state, list(levels), steps, uniform_steps)
            continue
        coarse, onto = problem.coarsened(nodes)
        mean = sp.diags_array(1 / np.asarray(onto.sum(axis=0))) @ onto.T
        started = carried(state, sp.csr_array(mean), coarse.field.shape)
        found = descend(coarse, started, list(levels), steps, uniform_steps)
        state = carried(found, onto, problem.field.shape)
    return posterior(problem, state, tuple(steps))


def descend(
    problem: Problem, state: State, levels: Sequence[Level], steps: list[float], uniform_steps: int
) -> State:
    """Take the steps of some levels on one set of nodes.

    Parameters
    ----------
    problem : Problem
        On these nodes.
    state : State
        The start; not changed.
    levels : sequence of Level
        From coarse to fine; their nodes do not count.
    steps : list of float
        Root-mean-square steps so far, metres; those that are taken are added.
    uniform_steps : int
        Of all, steps with one envelope for all places.

    Returns
    -------
    State
        Where they end.
    """
    rendered = problem.render(state, derivatives=False)
    for level in levels:
        merges = problem.merging(level.merged)
        for k in range(level.steps):
            rendered = problem.differentiate(state, rendered)
            state = replace(state, gain=problem.gains(rendered, state))
            equations = linearise(problem, state, rendered, merges)
            weighted, right = stack_rows(equations)
            solver = make_solver(
                weighted, problem.priors(state), problem.solver, single=True, room=problem.room
            )
            target = solver.solve(weighted.T @ right)
            new, rendered = _search_line(problem, state, target, rendered, merges)
            steps.append(float(np.sqrt(np.mean((new.change - state.change) ** 2))))
            samples, white = solver.samples(ENVELOPE_SAMPLES, problem.rng)
            if len(steps) > TRUSTED_STEPS:
                new = replace(new, noise=learning.noise(equations, samples, state.noise))
            envelope, bright = learning.envelopes(
                problem,
                new,
                samples,
                white,
                uniform=len(steps) <= uniform_steps,
                coarse=level.merged != (1, 1),
            )
            learned = float(np.mean(np.abs(np.log(envelope / state.envelope))))
            state = replace(new, envelope=envelope, brightness_envelope=bright)
            if k >= FEWEST_STEPS - 1 and steps[-1] < CONVERGED * problem.unit and learned < SETTLED:
                break
    return state


def _search_line(
    problem: Problem,
    state: State,
    target: Float,
    rendered: Sequence[Rendered],
    merges: Sequence[sp.csr_array | None],
) -> tuple[State, list[Rendered]]:
    """Go towards the target, as far as the objective falls: where to, and what is seen there."""
    goal = target.reshape(-1, *state.change.shape)
    step = np.clip(goal[0] - state.change, -problem.longest, problem.longest)
    bright_step = np.clip(goal[1:] - state.brightness, -LONGEST_BRIGHT, LONGEST_BRIGHT)
    variances = problem.variances(rendered, state, merges)
    here = problem.objective(state, rendered, merges, variances)
    size, trial, seen = 1.0, state, list(rendered)
    for _ in range(HALVINGS):
        trial = replace(
            state, change=state.change + size * step, brightness=state.brightness + size * bright_step
        )
        seen = problem.render(trial, derivatives=False)
        if problem.objective(trial, seen, merges, variances) < here:
            break
        size *= 0.5
    return trial, seen
