"""What the data and the prior together say: mean, spread, residuals and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .narrow import find_narrow
from .prior import Prior
from .problem import Problem, Rows, State, huber, linearise, quadratic, stack_rows
from .render import Rendered
from .solver import Solver, make_solver

Float = NDArray[np.float64]

#: Posterior samples for the final σ.
FINAL_SAMPLES = 24


@dataclass(frozen=True)
class LookFit:
    """How a look is explained.

    Parameters
    ----------
    gain : ndarray (block row,)
        Log gain.
    rendered : Rendered
        At the solution.
    residual : ndarray (block row, block)
        Standardised residual; NaN where the block is not used.
    noise : float
        Variance of the standardised residuals before rescaling.
    """

    gain: Float
    rendered: Rendered
    residual: Float
    noise: float


@dataclass(frozen=True)
class Solution:
    """Result of the refinement, on the nodes.

    Parameters
    ----------
    state : State
        Posterior mean, and what was learned with it.
    std : ndarray (y, x)
        Posterior standard deviation of the change, metres.
    narrow_std : ndarray (y, x)
        What narrow changes that the prior holds back would add to it, metres.
    brightness_std : ndarray (field, y, x)
        Of the changes of log reflectivity.
    coupling : ndarray (field, y, x)
        Posterior correlation of change and brightness.
    looks : tuple of LookFit
        One a look.
    evidence : float
        Laplace approximation of the log evidence; NaN where the solver does not know it.
    steps : tuple of float
        Root-mean-square step of every iteration, metres.
    """

    state: State
    std: Float
    narrow_std: Float
    brightness_std: Float
    coupling: Float
    looks: tuple[LookFit, ...]
    evidence: float
    steps: tuple[float, ...]

    @property
    def change(self) -> Float:
        """Posterior mean of the change, metres, (y, x)."""
        return self.state.change


def posterior(problem: Problem, state: State, steps: tuple[float, ...]) -> Solution:
    """Posterior about a state, from the finest blocks.

    Parameters
    ----------
    problem : Problem
        The problem.
    state : State
        The mean.
    steps : tuple of float
        That led there.

    Returns
    -------
    Solution
        By the linearisation at the state.
    """
    rendered = problem.render(state)
    state = replace(state, gain=problem.gains(rendered, state))
    rows = linearise(problem, state, rendered, problem.merging((1, 1)))
    priors = problem.priors(state)
    weighted, right = stack_rows(rows)
    solver = make_solver(weighted, priors, problem.solver, room=problem.room)
    shape, n = state.change.shape, state.change.size
    samples, white = solver.samples(FINAL_SAMPLES, problem.rng)
    mean = solver.solve(weighted.T @ right)[:n].reshape(shape)
    narrow = find_narrow(priors[0], mean, samples[:, :n], white[:, :n])
    samples = samples.reshape(FINAL_SAMPLES, -1, *shape)
    variance = np.mean(samples**2, axis=0)
    product = np.mean(samples[:, :1] * samples[:, 1:], axis=0)
    looks = tuple(
        LookFit(gain, out, r.standard.reshape(out.energy.shape), noise)
        for gain, out, r, noise in zip(state.gain, rendered, rows, state.noise)
    )
    return Solution(
        state,
        np.sqrt(variance[0]),
        narrow.doubt,
        np.sqrt(variance[1:]),
        product / np.sqrt(np.maximum(variance[0] * variance[1:], 1e-30)),
        looks,
        _evidence(state, rows, priors, solver),
        steps,
    )


def _evidence(state: State, rows: Sequence[Rows], priors: Sequence[Prior], solver: Solver) -> float:
    determinant = solver.log_determinant()
    if determinant is None:
        return float("nan")
    misfit = sum(huber(r.standard[r.used]) + 0.5 * r.log_variance for r in rows)
    return float(
        -misfit - quadratic(priors, state)
        + 0.5 * sum(p.log_determinant for p in priors) - 0.5 * determinant
    )  # fmt: skip
