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
from scipy.sparse.linalg import SuperLU, splu

from . import learning
from .kept import chance_kept
from .mapped import MappedLook
from .nodes import MapNodes
from .prior import Matern, Prior
from .problem import Problem, Rows, State, huber, linearise
from .render import Rendered

Float = NDArray[np.float64]

#: Blocks are merged (rows, ranges) to this many, for so many steps.
PYRAMID = ((4, 4, 4), (2, 2, 4), (1, 1, 8))
#: Correlation ranges of the change to choose from by evidence, nodes; the pyramid goes down with the longest,
#: which carries height furthest. And the steps that each is given.
RANGES, RANGE_STEPS = (50.0, 25.0, 12.0), 6
#: Power of log reflectivity a mode, P(k) = FRACTAL / k²: surfaces have about equal variance an octave.
FRACTAL = 0.25
#: Longest scale of the reflectivity of new rock, metres; and its share on ground whose texture was kept.
LONGEST, KEPT_SHARE = 400.0, 0.1
#: Standard deviation of the log ratio of two looks' brightness of the same new rock: 0.13 dB. Wider, it is
#: confounded with a tilt of the new surface where one of its edges is seen from one side only.
SPREAD = 0.03
#: Envelope to start from where the images differ, metres; its bounds; and how smooth it is, metres.
FIRST, LEAST, MOST, BLUR = 60.0, 0.05, 300.0, 100.0
#: A step is trusted to this many of the longest steps, over this range in metres: it must be smooth.
TRUST, TRUST_RANGE = 2.0, 60.0
#: Longest step, in slant widths of a block, and of the log reflectivity; halvings of one that does not help.
LONGEST_STEP, LONGEST_BRIGHT, HALVINGS = 0.6, 0.5, 5
#: Steps of the finest level after which kept and new are told apart anew.
TEST_EVERY = 3
#: Log ratio of epoch and reference, in standard deviations squared of it, above which ground has changed.
DIFFERENT = 2.2
#: Posterior samples a step, and the smoothing (Gaussian σ, nodes) of their variance.
SAMPLES, SMOOTH_VARIANCE = 8, 1.5
#: Envelope up to which ground is still enough to read gains on, metres.
STILL = 7.5


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
    ratio : tuple of float
        Log brightness of new rock in each look against the mean of all.
    steps : tuple of float
        Root-mean-square step of every iteration, metres.
    correlation_range : float
        Metres, chosen by evidence.
    """

    change: Float
    std: Float
    brightness: Float
    kept: Float
    ratio: tuple[float, ...]
    steps: tuple[float, ...]
    correlation_range: float


def fractal_factor(nodes: MapNodes, kept: Float) -> sp.csr_array:
    """Factor of the precision of the reflectivity: rough where the rock is new, held where it was kept.

    Parameters
    ----------
    nodes : MapNodes
        The map.
    kept : ndarray (y, x)
        Chance that the texture was kept.

    Returns
    -------
    scipy.sparse.csr_array
        ``F``: the precision is ``Fᵀ F``.
    """
    ny, nx = nodes.shape

    def difference(n: int) -> sp.csr_array:
        return sp.csr_array(sp.eye_array(n - 1, n, k=1) - sp.eye_array(n - 1, n))

    gradient = [sp.kron(sp.eye_array(ny), difference(nx)), sp.kron(difference(ny), sp.eye_array(nx))]
    whole = sp.vstack([*gradient, sp.eye_array(ny * nx) * (nodes.spacing[1] / LONGEST)])
    width = np.sqrt(FRACTAL) * np.maximum(1 - kept, KEPT_SHARE)
    return sp.csr_array(whole @ sp.diags_array(1 / width.ravel()))


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
        scene, measured = look.scene, look.measured
        out = scene.render(np.zeros(scene.knots))
        assert out.by_brightness is not None
        use = (measured.share > 0.5) & (out.doubtful < 0.3) & (out.folded < 0.3)
        z = np.log((measured.energy + 1e-9) / np.maximum(out.energy + measured.floor, 1e-9))
        z = np.where(use, z - np.median(z[use]), 0.0)
        square = np.minimum(z * z / (1 / measured.looks + 1 / measured.reference_looks), 30.0)
        weight = gaussian_filter(use.astype(np.float64), 1.0)
        high = gaussian_filter(np.where(use, square, 0.0), 1.0) / np.maximum(weight, 0.1) > DIFFERENT
        below = look.to_knots.T @ (out.by_brightness.T @ use.ravel().astype(np.float64))
        above = look.to_knots.T @ (out.by_brightness.T @ (use & high).ravel().astype(np.float64))
        few = 0.2 * np.median(below[below > 0])
        shares.append(np.where(below > few, above / np.maximum(below, 1e-12), 0.0))
    most: Float = np.max(shares, axis=0).reshape(nodes.shape)
    return np.clip(gaussian_filter(most, 1.0) * 1.5, 0.0, 1.0)


class _Equations:
    """One linearisation of all looks: change, brightness, and each look's brightness ratio."""

    def __init__(self, rows: Sequence[Rows], fresh: Float, ratio: Float) -> None:
        n, looks = len(fresh), len(rows)
        weighted, right = [], []
        for k, r in enumerate(rows):
            own = r.weighted[:, n:] @ fresh
            columns = sp.csr_array((own, (np.arange(len(own)), np.full(len(own), k))), (len(own), looks))
            weighted.append(sp.csr_array(sp.hstack([r.weighted, columns], format="csr")))
            right.append(r.right + own * ratio[k])
        self.rows = [replace(r, weighted=w) for r, w in zip(rows, weighted)]
        self.weighted = sp.csr_array(sp.vstack(weighted, format="csr"))
        self.right = np.concatenate(right)


@dataclass(frozen=True)
class _Step:
    """Where a step leads: the state, each look's brightness ratio, σ of the change, the log evidence."""

    state: State
    ratio: Float
    std: Float
    evidence: float


@dataclass
class _Solver:
    """Gauss–Newton on the fields of a map."""

    looks: Sequence[MappedLook]
    nodes: MapNodes
    field: Matern
    rng: np.random.Generator

    def render(self, problem: Problem, state: State, kept: Float, ratio: Float) -> list[Rendered]:
        """Render with derivatives; each look with its own brightness of new rock."""
        return [
            look.scene.render(
                look.on_knots(state.change), look.on_knots(state.brightness[0] + r * (1 - kept))
            )
            for look, r in zip(problem.looks, ratio)
        ]

    def misfit(
        self,
        problem: Problem,
        state: State,
        bright: Sequence[Float],
        against: Sequence[tuple[Float, sp.csr_array | None]],
    ) -> float:
        """Huber cost of all looks at given variances."""
        total = 0.0
        for look, b, gain, (variance, merge) in zip(problem.looks, bright, state.gain, against):
            out = look.scene.render(look.on_knots(state.change), look.on_knots(b), derivatives=False)
            residual, _ = look.residual(out, gain, merge)
            used = np.isfinite(variance)
            total += huber(residual[used] / np.sqrt(variance[used]))
        return total

    def step(
        self, state: State, kept: Float, ratio: Float, by: tuple[int, int], *, learn: bool, last: bool
    ) -> _Step:
        """One step; the last one with the evidence, and with σ free of the trust."""
        shape, n = self.nodes.shape, state.change.size
        problem = Problem([look.with_kept(kept) for look in self.looks], self.field)
        merges = problem.merging(by)
        rendered = self.render(problem, state, kept, ratio)
        state = replace(state, gain=self._gains(problem, rendered, state, kept))
        rows = linearise(problem, state, rendered, merges)
        equations = _Equations(rows, (1 - kept).ravel(), ratio)
        factor = sp.csr_array(
            sp.block_diag(
                [
                    Prior(self.field, state.envelope).factor,
                    fractal_factor(self.nodes, kept),
                    sp.eye_array(len(ratio)) * (np.sqrt(2) / SPREAD),
                ],
                format="csr",
            )
        )
        longest = LONGEST_STEP * by[1] * min(look.scene.block[1] * look.unit for look in problem.looks)
        trust = Prior(Matern(shape, self.nodes.spacing, TRUST_RANGE), np.full(shape, TRUST * longest)).factor
        hold = sp.block_diag([trust.T @ trust, 1e-9 * sp.eye_array(n + len(ratio))], format="csr")
        precision = equations.weighted.T @ equations.weighted + factor.T @ factor
        now = np.concatenate([state.unknowns, ratio])
        held = _factorise(precision + hold)
        goal = held.solve(equations.weighted.T @ equations.right + hold @ now) - now
        move = np.clip(goal[:n], -longest, longest).reshape(shape)
        light = np.clip(goal[n : 2 * n], -LONGEST_BRIGHT, LONGEST_BRIGHT).reshape(1, *shape)
        variances = problem.variances(rendered, state, merges)

        def cost(trial: State, ratios: Float) -> float:
            x = factor @ np.concatenate([trial.unknowns, ratios])
            bright = [trial.brightness[0] + r * (1 - kept) for r in ratios]
            against = list(zip(variances, merges))
            return 0.5 * float(x @ x) + self.misfit(problem, trial, bright, against)

        here, size, new, ratios = cost(state, ratio), 1.0, state, ratio
        for _ in range(HALVINGS):
            new = replace(
                state, change=state.change + size * move, brightness=state.brightness + size * light
            )
            ratios = ratio + size * goal[2 * n :]
            if cost(new, ratios) < here:
                break
            size *= 0.5
        # σ without the trust in the end: that holds the step, it says nothing of the ground
        free, evidence = held, float("nan")
        if last:
            free = _factorise(precision)
            prior = self.field.log_determinant - 2 * float(np.log(state.envelope).sum())
            posterior = float(np.log(np.abs(free.U.diagonal())).sum())
            evidence = (
                -cost(new, ratios) - sum(0.5 * r.log_variance for r in rows) + 0.5 * (prior - posterior)
            )
        white = equations.weighted.T @ self.rng.standard_normal((equations.weighted.shape[0], SAMPLES))
        white += factor.T @ self.rng.standard_normal((factor.shape[0], SAMPLES))
        samples = np.ascontiguousarray(free.solve(np.asarray(white)).T)
        variance = gaussian_filter(np.mean(samples[:, :n] ** 2, axis=0).reshape(shape), SMOOTH_VARIANCE)
        blur = (BLUR / self.nodes.spacing[0], BLUR / self.nodes.spacing[1])
        spread = gaussian_filter(new.change**2 + variance, blur, mode="nearest")
        new = replace(new, envelope=np.clip(np.sqrt(spread), LEAST, MOST))
        if learn:
            new = replace(new, noise=learning.noise(equations.rows, samples, state.noise))
        return _Step(new, ratios, np.sqrt(variance), evidence)

    def _gains(
        self, problem: Problem, rendered: Sequence[Rendered], state: State, kept: Float
    ) -> tuple[Float, ...]:
        bright = np.sqrt(FRACTAL) * (1 - kept)
        nothing = np.zeros(self.nodes.shape)
        return tuple(
            look.gains(out, nothing, (state.envelope, bright), STILL, noise)
            for look, out, noise in zip(problem.looks, rendered, state.noise)
        )


def _factorise(precision: sp.csr_array) -> SuperLU:
    return splu(
        precision.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


def solve_jointly(
    looks: Sequence[MappedLook],
    nodes: MapNodes,
    *,
    seed: int = 0,
    pyramid: tuple[tuple[int, int, int], ...] = PYRAMID,
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
    pyramid : tuple of (int, int, int)
        Block rows and blocks to merge, and the steps there.

    Returns
    -------
    Joint
        On the nodes. σ is that of the linearisation: where one look alone sees new rock, it is large.
    """
    kept = 1 - changed_ground(looks, nodes)
    shape = nodes.shape
    width = (50.0 / nodes.spacing[0], 50.0 / nodes.spacing[1])
    state = State(
        np.zeros(shape),
        np.zeros((1, *shape)),
        np.clip(gaussian_filter(1 - kept, width, mode="nearest") * FIRST, 1.0, MOST),
        np.ones((1, *shape)),
        tuple(1.0 for _ in looks),
        tuple(np.zeros(look.scene.blocks[0]) for look in looks),
    )
    solver = _Solver(looks, nodes, _field(nodes, RANGES[0]), np.random.default_rng(seed))
    now, steps = _Step(state, np.zeros(len(looks)), np.zeros(shape), float("nan")), []
    for rows, ranges, number in pyramid:
        for k in range(number):
            if (rows, ranges) == (1, 1) and k % TEST_EVERY == 0:
                kept = chance_kept(looks, nodes, now.state.change, now.state.gain)
            before = now.state.change
            now = solver.step(now.state, kept, now.ratio, (rows, ranges), learn=k > 0, last=False)
            steps.append(float(np.sqrt(np.mean((now.state.change - before) ** 2))))
    ends = []
    for length in RANGES:
        solver.field, end = _field(nodes, length), now
        for k in range(RANGE_STEPS):
            end = solver.step(end.state, kept, end.ratio, (1, 1), learn=True, last=k == RANGE_STEPS - 1)
        ends.append(end)
    best = int(np.argmax([end.evidence for end in ends]))
    near = [end.state.change for end in ends[max(best - 1, 0) : best + 2]]
    end = ends[best]
    return Joint(
        end.state.change,
        np.sqrt(end.std**2 + np.var(near, axis=0)),
        end.state.brightness[0],
        kept,
        tuple(float(r) for r in end.ratio - end.ratio.mean()),
        tuple(steps),
        RANGES[best] * nodes.spacing[1],
    )


def _field(nodes: MapNodes, length: float) -> Matern:
    return Matern(nodes.shape, nodes.spacing, length * nodes.spacing[1])
