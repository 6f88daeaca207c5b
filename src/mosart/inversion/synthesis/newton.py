"""Refinement: Gauss–Newton steps on the rendered image under a learned prior, from coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .gains import smooth_along_rows
from .noise import MAD
from .prior import Matern, Prior, learn_envelope
from .render import Rendered, Scene
from .solver import Direct, Solver, make_solver

Float = NDArray[np.float64]

#: Blocks are merged (rows, ranges) to this many, for so many steps: coarse blocks have no fine texture
#: whose misregistration makes false minima.
PYRAMID = ((4, 3, 5), (2, 2, 4), (1, 1, 8))
#: The same from a start that is already in lock.
FROM_START = ((2, 2, 3), (1, 1, 7))

#: Standardised residual beyond which a block's weight falls (Huber).
HUBER = 3.0
#: Relative error of what noise and stabiliser give a dark block.
FLOOR_ERROR = 0.5
#: Relative error of the part of a block that lies in layover: the branches' derivatives are large and
#: true only for tiny changes.
FOLDED_ERROR = 2.0
#: Relative error of the part of a block whose ground is unknown (DEM gap, water, beyond the image).
DOUBTFUL_ERROR = 20.0
#: Relative error of the model itself (sub-node shape, law), a block.
MODEL_ERROR = 0.03
#: Stabiliser of the logarithms, share of the median block: below it a block is dark, however dark.
DARK = 0.02
#: Longest step, in slant widths of a block: beyond it the linearisation has lost its texture.
LONGEST_STEP = 0.6
#: Root-mean-square step, in range pixels' heights, at which a level has converged.
CONVERGED = 0.03
#: Bounds of the envelopes: metres in units of a range pixel's height; log reflectivity.
CHANGE_FLOOR, CHANGE_CEILING = 0.02, 150.0
CHANGE_LEAST = 0.01
BRIGHT_FLOOR, BRIGHT_CEILING, BRIGHT_LEAST, BRIGHT_START = 0.003, 2.0, 0.001, 0.15
#: The brightness field's correlation range, in ranges of the change: a deposit's brightness varies more
#: slowly than its shape.
BRIGHT_RANGE = 2.0
#: Slope of the envelope (height / correlation range) up to which ground counts as still for the gains.
STILL_SLOPE = 0.0125
#: Unknowns up to which the evidence is computed: it takes a factorisation.
EVIDENCE_UNKNOWNS = 30_000
#: Posterior samples for the envelope, and for the final σ.
ENVELOPE_SAMPLES, FINAL_SAMPLES = 8, 24


@dataclass(frozen=True)
class Measured:
    """Blocks of the new image.

    Parameters
    ----------
    energy : ndarray (block row, block)
        Sum of intensity × range spacing, scaled up for missing pixels.
    share : ndarray (block row, block)
        Share of its pixels that are measured.
    floor : ndarray (block row, block)
        What the receiver's noise adds to the energy of a block.
    looks, reference_looks : float
        Effective looks of a full block: of the epoch's mean, of the smoothed reference.
    """

    energy: Float
    share: Float
    floor: Float
    looks: float
    reference_looks: float


@dataclass
class State:
    """The unknowns and what is learned with them, on the nodes."""

    change: Float
    brightness: Float
    envelope: Float
    brightness_envelope: Float
    noise: float = 1.0
    gain: Float = field(default_factory=lambda: np.zeros(1))


@dataclass(frozen=True)
class Solution:
    """Result of the refinement, on the nodes.

    Parameters
    ----------
    change, std : ndarray (y, x)
        Posterior mean and standard deviation, metres.
    brightness, brightness_std : ndarray (y, x)
        Change of log reflectivity.
    envelope : ndarray (y, x)
        Learned prior standard deviation of the change.
    coupling : ndarray (y, x)
        Posterior correlation of change and brightness.
    gain : ndarray (block row,)
        Log gain.
    rendered : Rendered
        At the solution.
    residual : ndarray (block row, block)
        Standardised residual; NaN where the block is not used.
    noise : float
        Variance of the standardised residuals before rescaling.
    evidence : float
        Laplace approximation of the log evidence; NaN where there are too many unknowns for it.
    steps : tuple of float
        Root-mean-square step of every iteration, metres.
    """

    change: Float
    std: Float
    brightness: Float
    brightness_std: Float
    envelope: Float
    coupling: Float
    gain: Float
    rendered: Rendered
    residual: Float
    noise: float
    evidence: float
    steps: tuple[float, ...]
    state: State


def merging(shape: tuple[int, int], by: tuple[int, int]) -> sp.csr_array | None:
    """Matrix that adds neighbouring blocks.

    Parameters
    ----------
    shape : tuple of int
        Blocks in azimuth and range.
    by : tuple of int
        Blocks to merge in each.

    Returns
    -------
    scipy.sparse.csr_array or None
        (merged, blocks); None where nothing is merged.
    """
    if by == (1, 1):
        return None
    rows, ranges = -(-shape[0] // by[0]), -(-shape[1] // by[1])
    a, k = np.meshgrid(np.arange(shape[0]) // by[0], np.arange(shape[1]) // by[1], indexing="ij")
    n = shape[0] * shape[1]
    return sp.csr_array((np.ones(n), ((a * ranges + k).ravel(), np.arange(n))), shape=(rows * ranges, n))


class Problem:
    """Everything that stays the same between the steps.

    Parameters
    ----------
    scene : Scene
        What is rendered.
    measured : Measured
        What is seen.
    field : Matern
        Correlation of the change on the nodes.
    interpolation : scipy.sparse.csr_array, optional
        (knots, nodes); by default the nodes are the knots.
    seed : int
        Of the posterior samples.
    solver : {"auto", "direct", "iterative"}
        See :func:`mosart.inversion.synthesis.solver.make_solver`.
    """

    def __init__(
        self,
        scene: Scene,
        measured: Measured,
        field: Matern,
        interpolation: sp.csr_array | None = None,
        *,
        seed: int = 0,
        solver: str = "auto",
    ) -> None:
        self.scene, self.measured, self.field = scene, measured, field
        self.bright_field = Matern(field.shape, field.spacing, BRIGHT_RANGE * field.range)
        self.interpolation, self.solver = interpolation, solver
        self.rng = np.random.default_rng(seed)
        self.dark = DARK * float(np.median(measured.energy[measured.share > 0.5]))
        g = scene.ground
        cosine, sine = float(np.median(g.cosine)), float(np.median(g.sine))
        self.unit = g.range_spacing / cosine  # metres of height that move ground by a range pixel
        self.longest = LONGEST_STEP * scene.block[1] * self.unit
        self.slope_to_log = sine / cosine

    def on_knots(self, nodes: Float) -> Float:
        """Values of the nodes at the knots."""
        if self.interpolation is None:
            return nodes
        return np.asarray(self.interpolation @ nodes.ravel()).reshape(self.scene.knots)

    def derivatives(self, out: Rendered) -> tuple[sp.csr_array, sp.csr_array]:
        """Differentiate the energies by the nodes."""
        assert out.by_change is not None
        assert out.by_brightness is not None
        if self.interpolation is None:
            return out.by_change, out.by_brightness
        return (
            sp.csr_array(out.by_change @ self.interpolation),
            sp.csr_array(out.by_brightness @ self.interpolation),
        )

    def at_blocks(self, nodes: Float, out: Rendered) -> Float:
        """Energy-weighted mean of a field over each block's ground."""
        assert out.by_brightness is not None
        total = np.asarray(out.by_brightness @ self.on_knots(nodes).ravel()).reshape(out.energy.shape)
        return total / np.maximum(out.energy, 1e-12)

    def variance(self, out: Rendered) -> Float:
        """Variance of a block's log ratio, before rescaling."""
        share = np.maximum(self.measured.share, 1e-3)
        dim = (self.dark + self.measured.floor) / (out.energy + self.dark + self.measured.floor)
        bright = 1 - dim
        return np.asarray(
            1 / (self.measured.looks * share)
            + bright**2 / self.measured.reference_looks
            + MODEL_ERROR**2
            + (FLOOR_ERROR * dim) ** 2
            + (FOLDED_ERROR * out.folded) ** 2
            + (DOUBTFUL_ERROR * out.doubtful) ** 2
        )

    def usable(self, out: Rendered) -> NDArray[np.bool_]:
        """Blocks that are measured and whose ground is known."""
        return (self.measured.share > 0.5) & ((out.energy > 0) | (self.measured.energy > 0))

    def gains(self, out: Rendered, state: State, variance: Float) -> Float:
        """Log gain of every block row, from still ground."""
        spread = self.at_blocks(state.envelope, out)
        still = 1 / (1 + (spread / (STILL_SLOPE * self.field.range)) ** 2)
        # a gain is read from brightness that has not changed either
        still /= 1 + (self.at_blocks(state.brightness_envelope, out) / 0.05) ** 2
        base = self.dark + self.measured.floor
        ratio = np.log((self.measured.energy + self.dark) / (out.energy + base))
        lit = out.energy > 5 * base
        weight = self.usable(out) * still * lit / (variance * state.noise)
        fit = np.zeros(len(ratio))
        for k in range(3):
            robust = 1.0 if k == 0 else 1 / (1 + (ratio - fit[:, None]) ** 2 / (4 * variance * state.noise))
            w = weight * robust
            total = w.sum(axis=1)
            fit = smooth_along_rows(
                (w * ratio).sum(axis=1) / np.maximum(total, 1e-12), total, self.scene.block[0]
            )
        return fit

    def residual(self, out: Rendered, gain: Float, merge: sp.csr_array | None) -> tuple[Float, Float]:
        """Log ratio measured over modelled, and the modelled energy, of merged blocks."""
        use = self.usable(out)
        y = np.where(use, self.measured.energy, 0.0).ravel()
        m = np.where(use, np.exp(gain)[:, None] * out.energy + self.measured.floor, 0.0).ravel()
        n = np.asarray(use.ravel() * self.dark)
        if merge is not None:
            y, m, n = (np.asarray(merge @ v) for v in (y, m, n))
        base = m + np.maximum(n, 1e-3 * self.dark)
        return np.log((y + np.maximum(n, 1e-3 * self.dark)) / base), base


def _merged_variance(problem: Problem, out: Rendered, merge: sp.csr_array | None) -> Float:
    """Variance of merged blocks' log ratio; infinite where none of them is usable."""
    use = problem.usable(out)
    v = problem.variance(out)
    if merge is None:
        return np.where(use, v, np.inf).ravel()
    weight = np.where(use, out.energy + problem.dark, 0.0)
    total = merge @ weight.ravel()
    v_sum = merge @ (weight**2 * v).ravel()
    filled = merge @ use.ravel().astype(np.float64) / np.maximum(merge @ np.ones(use.size), 1)
    good = (total > 0) & (filled > 0.3)
    # model errors do not average out between neighbours
    return np.where(good, v_sum / np.maximum(total, 1e-12) ** 2 + MODEL_ERROR**2, np.inf)


@dataclass(frozen=True)
class _Linear:
    """One linearisation, ready to solve."""

    solver: Solver
    right: Float
    weighted: sp.csr_array
    standard: Float
    used: NDArray[np.bool_]
    log_variance: float


def _linearise(
    problem: Problem, state: State, out: Rendered, merge: sp.csr_array | None, priors: list[Prior]
) -> _Linear:
    residual, base = problem.residual(out, state.gain, merge)
    variance = _merged_variance(problem, out, merge) * state.noise
    used = np.isfinite(variance)
    v = np.where(used, variance, 1.0)
    standard = np.where(used, residual / np.sqrt(v), 0.0)
    huber = np.minimum(1.0, HUBER / np.maximum(np.abs(standard), 1e-9))
    root = np.where(used, np.sqrt(huber / v), 0.0)
    use = np.where(problem.usable(out), np.exp(state.gain)[:, None], 0.0).ravel()
    matrices = []
    for m in problem.derivatives(out):
        scaled = sp.diags_array(use) @ m
        if merge is not None:
            scaled = merge @ scaled
        matrices.append(sp.diags_array(root / base) @ scaled)
    weighted = sp.csr_array(sp.hstack(matrices, format="csr"))
    now = np.concatenate([state.change.ravel(), state.brightness.ravel()])
    right = weighted.T @ (root * residual + weighted @ now)
    return _Linear(
        make_solver(weighted, priors, problem.solver),
        np.asarray(right),
        weighted,
        np.where(used, standard, np.nan),
        used,
        float(np.log(v[used]).sum()),
    )


def _objective(
    problem: Problem, state: State, merge: sp.csr_array | None, priors: list[Prior], variance: Float
) -> float:
    out = problem.scene.render(
        problem.on_knots(state.change), problem.on_knots(state.brightness), derivatives=False
    )
    residual, _ = problem.residual(out, state.gain, merge)
    used = np.isfinite(variance)
    z = np.abs(residual[used]) / np.sqrt(variance[used])
    data = np.where(z < HUBER, 0.5 * z**2, HUBER * z - 0.5 * HUBER**2).sum()
    prior = sum(
        0.5 * float(np.sum((p.factor @ x.ravel()) ** 2))
        for p, x in zip(priors, (state.change, state.brightness))
    )
    return float(data + prior)


def initial_state(problem: Problem, change: Float | None = None, spread: float | None = None) -> State:
    """State to start from.

    Parameters
    ----------
    problem : Problem
        The problem.
    change : ndarray (y, x), optional
        Metres, on the nodes.
    spread : float, optional
        First envelope, metres; by default a few range pixels' heights.

    Returns
    -------
    State
        Zero brightness.
    """
    shape = problem.field.shape
    width = 4 * problem.unit if spread is None else spread
    d = np.zeros(shape) if change is None else np.array(change, dtype=np.float64)
    return State(
        d,
        np.zeros(shape),
        np.full(shape, width),
        np.full(shape, BRIGHT_START),
        1.0,
        np.zeros(problem.scene.blocks[0]),
    )


def _learn(problem: Problem, state: State, samples: Float, step: int) -> tuple[Float, Float]:
    """Next envelopes."""
    n = state.change.size
    var_d = np.mean(samples[:, :n] ** 2, axis=0).reshape(problem.field.shape)
    var_b = np.mean(samples[:, n:] ** 2, axis=0).reshape(problem.field.shape)
    u = problem.unit
    if step < 2:  # one number for all places first
        told = np.clip(1 - var_d / state.envelope**2, 0, 1).sum()
        one = np.sqrt(max(float((state.change**2).sum()) / max(float(told), 5.0), 1e-4))
        told_b = np.clip(1 - var_b / state.brightness_envelope**2, 0, 1).sum()
        one_b = np.sqrt(max(float((state.brightness**2).sum()) / max(float(told_b), 5.0), 1e-6))
        return np.full_like(state.envelope, max(one, 0.3 * u)), np.full_like(
            state.envelope, float(np.clip(one_b, 0.02, 0.3))
        )
    return (
        learn_envelope(state.change, var_d, state.envelope, problem.field,
                       floor=CHANGE_FLOOR * u, ceiling=CHANGE_CEILING * u, least=CHANGE_LEAST * u),
        learn_envelope(state.brightness, var_b, state.brightness_envelope, problem.bright_field,
                       floor=BRIGHT_FLOOR, ceiling=BRIGHT_CEILING, least=BRIGHT_LEAST),
    )  # fmt: skip


#: Bounds of the rescaling of the noise: the looks are measured, so that less noise than they say is
#: overfitting, and much more is a model that fails.
LEAST_NOISE, MOST_NOISE = 0.7, 10.0


def _rescale(linear: _Linear, samples: Float, noise: float) -> float:
    """Variance of the residuals against the assumed one, for the freedom that the fit has taken.

    A block's residual has the variance ``1 - leverage`` of the assumed one; the leverage is the
    posterior variance of its prediction, from the samples. Robust, but not blind to the tails.
    """
    z = linear.standard[linear.used]
    if len(z) < 20:
        return noise
    predicted = np.asarray(linear.weighted @ samples.T)[linear.used]
    free = np.clip(1 - np.mean(predicted**2, axis=1), 0.05, 1.0)
    z = z / np.sqrt(free)
    middle = MAD * float(np.median(np.abs(z)))
    wide = float(np.sqrt(np.average(np.clip(z, -4 * middle, 4 * middle) ** 2, weights=free)))
    return float(np.clip(noise * max(middle**2, 0.8 * wide**2), LEAST_NOISE, MOST_NOISE))


def refine(
    problem: Problem,
    state: State,
    pyramid: tuple[tuple[int, int, int], ...] = PYRAMID,
    *,
    learn_from: int = 0,
) -> Solution:
    """Gauss–Newton from coarse to fine blocks, the envelope and the noise learned on the way.

    Parameters
    ----------
    problem : Problem
        The problem.
    state : State
        The start; not changed.
    pyramid : tuple of (int, int, int)
        Block rows and blocks to merge, and the steps there.
    learn_from : int
        First step of place-dependent envelopes (0: uniform for two steps first; 2: at once).

    Returns
    -------
    Solution
        With the posterior of the last linearisation.
    """
    state = replace(state)
    steps: list[float] = []
    n = state.change.size
    for rows, ranges, number in pyramid:
        merge = merging(problem.scene.blocks, (rows, ranges))
        for k in range(number):
            out = problem.scene.render(problem.on_knots(state.change), problem.on_knots(state.brightness))
            state.gain = problem.gains(out, state, problem.variance(out))
            priors = [
                Prior(problem.field, state.envelope),
                Prior(problem.bright_field, state.brightness_envelope),
            ]
            linear = _linearise(problem, state, out, merge, priors)
            x = linear.solver.solve(linear.right)
            step_d = np.clip(
                x[:n].reshape(state.change.shape) - state.change, -problem.longest, problem.longest
            )
            step_b = np.clip(x[n:].reshape(state.change.shape) - state.brightness, -0.5, 0.5)
            variance = _merged_variance(problem, out, merge) * state.noise
            here = _objective(problem, state, merge, priors, variance)
            size = 1.0
            for _ in range(4):
                trial = replace(
                    state, change=state.change + size * step_d, brightness=state.brightness + size * step_b
                )
                if _objective(problem, trial, merge, priors, variance) < here:
                    break
                size *= 0.5
            state = trial
            steps.append(float(np.sqrt(np.mean((size * step_d) ** 2))))
            samples = linear.solver.samples(ENVELOPE_SAMPLES, problem.rng)
            if len(steps) > 2:
                state.noise = _rescale(linear, samples, state.noise)
            state.envelope, state.brightness_envelope = _learn(
                problem, state, samples, len(steps) - 1 + learn_from
            )
            if k >= 2 and steps[-1] < CONVERGED * problem.unit:
                break
    return _posterior(problem, state, tuple(steps))


def _posterior(problem: Problem, state: State, steps: tuple[float, ...]) -> Solution:
    out = problem.scene.render(problem.on_knots(state.change), problem.on_knots(state.brightness))
    state.gain = problem.gains(out, state, problem.variance(out))
    priors = [Prior(problem.field, state.envelope), Prior(problem.bright_field, state.brightness_envelope)]
    linear = _linearise(problem, state, out, None, priors)
    n = state.change.size
    shape = state.change.shape
    samples = linear.solver.samples(FINAL_SAMPLES, problem.rng)
    d, b = samples[:, :n], samples[:, n:]
    var_d, var_b = np.mean(d**2, axis=0), np.mean(b**2, axis=0)
    both = np.mean(d * b, axis=0) / np.sqrt(np.maximum(var_d * var_b, 1e-30))
    evidence = float("nan")
    determinant = linear.solver.log_determinant()
    if determinant is None and problem.solver == "auto" and 2 * n <= EVIDENCE_UNKNOWNS:
        determinant = Direct(linear.weighted, priors).log_determinant()
    if determinant is not None:
        z = linear.standard[linear.used]
        huber = np.where(np.abs(z) < HUBER, 0.5 * z**2, HUBER * np.abs(z) - 0.5 * HUBER**2).sum()
        quadratic = sum(
            0.5 * float(np.sum((p.factor @ x.ravel()) ** 2))
            for p, x in zip(priors, (state.change, state.brightness))
        )
        evidence = float(
            -huber - 0.5 * linear.log_variance - quadratic
            + 0.5 * sum(p.log_determinant for p in priors) - 0.5 * determinant
        )  # fmt: skip
    return Solution(
        state.change,
        np.sqrt(var_d).reshape(shape),
        state.brightness,
        np.sqrt(var_b).reshape(shape),
        state.envelope,
        both.reshape(shape),
        state.gain,
        out,
        linear.standard.reshape(out.energy.shape),
        state.noise,
        evidence,
        steps,
        state,
    )
