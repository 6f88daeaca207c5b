"""Errors that all blocks share, of the law or the range of the epoch, and how far they move the change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .ground import Ground
from .problem import HUBER, Problem, State, linearise, stack_rows
from .render import Scene
from .solver import make_solver

Float = NDArray[np.float64]

#: Bounds of the factor by which another law changes the reflectivity of a steep facet.
MOST_RESHAPED = 10.0


def reshaping(ground: Ground, cross: NDArray[np.float32], exponent: float) -> Float:
    """Factor by which a facet's reflectivity grows if the law's exponent falls by this.

    Parameters
    ----------
    ground : Ground
        The old surface, on which the reference image fixes what every facet returns.
    cross : ndarray (azimuth, facet)
        ``(∂h/∂y Δx)²``, square metres.
    exponent : float
        By which the exponent of the law becomes smaller.

    Returns
    -------
    ndarray (azimuth, facet)
        ``(Δp / ds)^exponent``, bounded.
    """
    slant, across = ground.slant_and_across()
    dp, dr = np.maximum(np.diff(across, axis=1), 1e-3), np.diff(slant, axis=1)
    ratio = (dp / np.sqrt(dp**2 + dr**2 + cross)) ** exponent
    return np.asarray(np.clip(ratio, 1 / MOST_RESHAPED, MOST_RESHAPED))


def with_law(scene: Scene, exponent: float) -> Scene:
    """Scene that shows the same reference image under another exponent of the law."""
    factor = reshaping(scene.ground, scene.cross, scene.law - exponent)
    return replace(scene, law=exponent, reflectivity=(scene.reflectivity * factor).astype(np.float32))


def with_offset(scene: Scene, metres: float) -> Scene:
    """Scene that lies further away in slant range."""
    ground = scene.ground
    return replace(scene, ground=replace(ground, offset=ground.offset + metres))


def responses(problem: Problem, state: State, disturbed: Sequence[Sequence[Scene]]) -> list[Float]:
    """How far the change moves if the scenes are not what they were taken for.

    Parameters
    ----------
    problem : Problem
        The problem.
    state : State
        Its solution.
    disturbed : sequence of sequences of Scene
        Each disturbance: the scenes of all looks as they might be as well.

    Returns
    -------
    list of ndarray (y, x)
        Metres, one field a disturbance, to first order: ``(JᵀWJ + Q)⁻¹ JᵀW`` times what the disturbance
        does to the log energies, under the prior as it was learned.
    """
    rendered, merges = problem.render(state), problem.merging((1, 1))
    rows = linearise(problem, state, rendered, merges)
    weighted, _ = stack_rows(rows)
    solver = make_solver(weighted, problem.priors(state), problem.solver, room=problem.room)
    roots = [
        np.sqrt(np.minimum(1.0, HUBER / np.maximum(np.abs(np.nan_to_num(r.standard)), 1e-9)) / v)
        for r, v in zip(rows, problem.variances(rendered, state, merges))
    ]
    found = []
    for scenes in disturbed:
        right = []
        for k, (look, scene) in enumerate(zip(problem.looks, scenes)):
            other = replace(look, scene=scene).render(state.change, state.brightness, derivatives=False)
            here, _ = look.residual(rendered[k], state.gain[k], None)
            there, _ = look.residual(other, state.gain[k], None)
            right.append(np.where(rows[k].used, roots[k] * (there - here), 0.0))
        step = solver.solve(weighted.T @ np.concatenate(right))
        found.append(step[: state.change.size].reshape(state.change.shape))
    return found
