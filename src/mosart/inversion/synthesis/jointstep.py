"""One Gauss–Newton step of several looks for one change and one new reflectivity, on the map's nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from . import learning
from .bordered import Bordered
from .fractal import Fractal
from .mapped import MappedLook
from .nodes import MapNodes
from .prior import Matern, Prior
from .problem import HUBER, Problem, Rows, State, huber, linearise, quadratic, stack_rows
from .render import Rendered

Float = NDArray[np.float64]

#: Power of log reflectivity a mode, P(k) = FRACTAL / k²: surfaces have about equal variance an octave.
FRACTAL = 0.25
#: Share of the reflectivity's freedom on ground whose texture was kept.
KEPT_SHARE = 0.1
#: Standard deviation of the log ratio of two looks' brightness of the same new rock: 0.13 dB. Wider, it is
#: confounded with a tilt of the new surface where one of its edges is seen from one side only.
SPREAD = 0.03
#: Standard deviation of a look's level, logarithm, where no ground tells it: 1.5 dB, as of calibrations of
#: different products.
UNKNOWN_LEVEL = 0.35
#: Largest envelope (the least is that of one look), metres; and how smooth it is on new rock and where the
#: texture was kept, metres: there about the window in which the texture is judged, so that a change frees
#: little of the ground beside it.
MOST, BLUR, KEPT_BLUR = 300.0, 100.0, 50.0
#: A step is trusted to this many of the longest steps, over this range in metres (merged blocks: as much
#: further): it must be smooth, but ground between two hidden strips must be free to move as a whole.
TRUST, TRUST_RANGE = 2.0, 60.0
#: Longest step, in slant widths of a block, and of the log reflectivity; halvings of one that does not help.
LONGEST_STEP, LONGEST_BRIGHT, HALVINGS = 0.6, 0.5, 5
#: Posterior samples a step, and the smoothing (Gaussian σ, nodes) of their variance.
SAMPLES, SMOOTH_VARIANCE = 8, 1.5
#: Posterior samples of the end.
FINAL_SAMPLES = 24
#: Window (Gaussian σ) in which residuals are judged, metres, and share of the usual light below which a
#: look is not heard.
MISFIT_WINDOW, FEW_LIGHT = 36.0, 0.3
#: Square of a standardised residual beyond which it counts no more: where nodes round off a wall a few
#: blocks are ten errors off, which is no contradiction of the ground around it.
FAR_OFF = HUBER**2
#: Nodes from the middle of a block's ground beyond which nothing is told by its light: the edge of a shadow
#: moves with what casts it too, but the few blocks that know of ground so far away would make the equations
#: of all of it four to forty times as costly.
REACH = 2.0
#: Envelope up to which ground is still enough to read gains on, metres.
STILL = 7.5


def brightness_width(kept: Float) -> Float:
    """Amplitude of the new reflectivity: whole on new rock, a share of it where the texture was kept."""
    return np.asarray(np.sqrt(FRACTAL) * np.maximum(1 - kept, KEPT_SHARE))


@dataclass(frozen=True)
class Point:
    """Where the descent is.

    Parameters
    ----------
    state : State
        Change, brightness common to the looks, envelopes, noise and gains.
    ratio : ndarray (look,)
        Log brightness of new rock in each look against the common one.
    """

    state: State
    ratio: Float


@dataclass(frozen=True)
class Posterior:
    """The linearisation at the end.

    Parameters
    ----------
    draws : ndarray (number, y, x)
        Errors of the change, metres.
    ratio_std : ndarray (look,)
        Of each look's brightness ratio.
    misfit : ndarray (y, x)
        Mean square of the standardised residuals around, of the look where it is largest: about 1.
    evidence : float
        Log evidence; NaN where the solver does not know it.
    """

    draws: Float
    ratio_std: Float
    misfit: Float
    evidence: float


@dataclass
class Descent:
    """Gauss–Newton on the fields of a map.

    Parameters
    ----------
    looks : sequence of MappedLook
        On the nodes.
    nodes : MapNodes
        The map.
    field : Matern
        Correlation of the change.
    rng : numpy.random.Generator
        Of the posterior samples.
    solver : {"auto", "direct", "iterative"}
        See :func:`mosart.inversion.synthesis.solver.make_solver`.
    """

    looks: Sequence[MappedLook]
    nodes: MapNodes
    field: Matern
    rng: np.random.Generator
    solver: str = "auto"

    def problem(self, kept: Float) -> Problem:
        """Pose the looks at ground of which so much kept its texture."""
        return Problem([look.with_kept(kept) for look in self.looks], self.field)

    def priors(self, state: State) -> list[Prior]:
        """Of the change and of the brightness."""
        light = Fractal(self.nodes.shape, self.nodes.spacing)
        return [Prior(self.field, state.envelope), Prior(light, state.brightness_envelope[0])]

    def _render(self, problem: Problem, at: Point, new: Float, *, derivatives: bool) -> list[Rendered]:
        return [
            look.scene.render(
                look.on_knots(at.state.change),
                look.on_knots(at.state.brightness[0] + r * new),
                derivatives=derivatives,
            )
            for look, r in zip(problem.looks, at.ratio)
        ]

    def _gains(
        self, problem: Problem, rendered: Sequence[Rendered], state: State, kept: Float
    ) -> tuple[Float, ...]:
        bright, nothing = np.sqrt(FRACTAL) * (1 - kept), np.zeros(self.nodes.shape)
        return tuple(
            look.gains(out, nothing, (state.envelope, bright), STILL, noise)
            for look, out, noise in zip(problem.looks, rendered, state.noise)
        )

    def _prior_cost(self, at: Point) -> float:
        return quadratic(self.priors(at.state), at.state) + float(0.5 * self.ratio_precision() @ at.ratio**2)

    def step(self, problem: Problem, at: Point, kept: Float, by: tuple[int, int], *, learn: bool) -> Point:
        """Go one step, as far as the objective falls, if it does, and learn envelope and noise there."""
        shape, n, new = self.nodes.shape, at.state.change.size, 1 - kept
        merges = problem.merging(by)
        rendered = self._render(problem, at, new, derivatives=True)
        at = replace(
            at,
            state=replace(
                at.state,
                gain=self._gains(problem, rendered, at.state, kept),
                brightness_envelope=brightness_width(kept)[None],
            ),
        )
        rows = self._near(linearise(problem, at.state, rendered, merges), at.state, by)
        weighted, right = stack_rows(rows)
        own = _own(weighted, new, [len(r.right) for r in rows])
        # the trust is data: the change stays near, smoothly
        longest = LONGEST_STEP * by[1] * min(look.scene.block[1] * look.unit for look in problem.looks)
        trust = Prior(
            Matern(shape, self.nodes.spacing, TRUST_RANGE * by[1]), np.full(shape, TRUST * longest)
        ).factor
        held = sp.csr_array(sp.hstack([trust, sp.csr_array((n, n))], format="csr"))
        solver = Bordered(
            sp.csr_array(sp.vstack([weighted, held], format="csr")),
            np.vstack([own, np.zeros((n, len(at.ratio)))]),
            self.priors(at.state),
            self.ratio_precision(),
            self.solver,
        )
        goal, ratio = solver.solve(np.concatenate([right + own @ at.ratio, trust @ at.state.change.ravel()]))
        move = np.clip(goal[:n].reshape(shape) - at.state.change, -longest, longest)
        light = goal[n:].reshape(1, *shape) - at.state.brightness
        light = np.clip(light, -LONGEST_BRIGHT, LONGEST_BRIGHT)
        variances = problem.variances(rendered, at.state, merges)

        def misfit(state: State, seen: Sequence[Rendered]) -> float:
            total = 0.0
            for look, out, gain, variance, merge in zip(problem.looks, seen, state.gain, variances, merges):
                residual, _ = look.residual(out, gain, merge)
                used = np.isfinite(variance)
                total += huber(residual[used] / np.sqrt(variance[used]))
            return total

        here, size, trial = self._prior_cost(at) + misfit(at.state, rendered), 1.0, at
        for _ in range(HALVINGS):
            state = replace(
                at.state,
                change=at.state.change + size * move,
                brightness=at.state.brightness + size * light,
            )
            there = Point(state, at.ratio + size * (ratio - at.ratio))
            seen = self._render(problem, there, new, derivatives=False)
            if self._prior_cost(there) + misfit(state, seen) < here:
                trial = there
                break
            size *= 0.5
        samples = solver.samples(SAMPLES, self.rng)[0]
        least = learning.CHANGE_FLOOR * problem.unit
        state = replace(trial.state, envelope=self._envelope(trial.state, kept, samples[:, :n], least))
        if learn:
            state = replace(state, noise=learning.noise(rows, samples, state.noise))
        return replace(trial, state=state)

    def _near(self, rows: Sequence[Rows], state: State, by: tuple[int, int]) -> list[Rows]:
        """Equations without what is told of ground far from that whose light a block has."""
        reach, n = REACH + 0.5 * max(by), state.change.size
        found = []
        for row in rows:
            weighted = row.weighted.tocoo()
            light = np.abs(weighted.data) * (weighted.col >= n)
            places = np.divmod(weighted.col % n, self.nodes.shape[1])
            total = np.maximum(np.bincount(weighted.row, light, len(row.right)), 1e-300)
            square = np.zeros(len(weighted.data))
            for place in places:
                middle = np.bincount(weighted.row, light * place, len(row.right)) / total
                square += (place - middle[weighted.row]) ** 2
            near = square <= reach**2
            kept = sp.csr_array(
                (weighted.data[near], (weighted.row[near], weighted.col[near])), shape=weighted.shape
            )
            right = row.right - (row.weighted - kept) @ state.unknowns
            found.append(replace(row, weighted=kept, right=right))
        return found

    def ratio_precision(self) -> Float:
        """Precision of each look's brightness ratio: of the rock as seen from there, and of the level."""
        level = np.array([look.level_std for look in self.looks])
        level = np.where(np.isfinite(level), level, UNKNOWN_LEVEL)
        return np.asarray(1 / (0.5 * SPREAD**2 + level**2))

    def _envelope(self, state: State, kept: Float, samples: Float, least: float) -> Float:
        """Learn how much each place may change: closely where the texture tells it, widely on new rock."""
        variance = np.mean(samples**2, axis=0).reshape(self.nodes.shape)
        square = state.change**2 + gaussian_filter(variance, SMOOTH_VARIANCE)
        close, wide = (
            gaussian_filter(square, [blur / step for step in self.nodes.spacing], mode="nearest")
            for blur in (KEPT_BLUR, BLUR)
        )
        return np.asarray(np.clip(np.sqrt(kept * close + (1 - kept) * wide), least, MOST))

    def posterior(self, problem: Problem, at: Point, kept: Float) -> Posterior:
        """Draw from the posterior of the finest blocks, without the trust: it tells nothing of the ground."""
        new, n = 1 - kept, at.state.change.size
        rendered = self._render(problem, at, new, derivatives=True)
        rows = self._near(linearise(problem, at.state, rendered, problem.merging((1, 1))), at.state, (1, 1))
        weighted, _ = stack_rows(rows)
        own = _own(weighted, new, [len(r.right) for r in rows])
        priors = self.priors(at.state)
        solver = Bordered(weighted, own, priors, self.ratio_precision(), self.solver)
        draws = solver.samples(FINAL_SAMPLES, self.rng)[0]
        determinant, evidence = solver.log_determinant(), float("nan")
        if determinant is not None:
            misfit = sum(huber(r.standard[r.used]) + 0.5 * r.log_variance for r in rows)
            prior = 0.5 * sum(p.log_determinant for p in priors)
            evidence = prior - misfit - self._prior_cost(at) - 0.5 * determinant
        return Posterior(
            draws[:, :n].reshape(-1, *self.nodes.shape),
            solver.number_std(),
            self._misfit(problem, rendered, rows),
            float(evidence),
        )

    def _misfit(self, problem: Problem, rendered: Sequence[Rendered], rows: Sequence[Rows]) -> Float:
        """Mean square of the standardised residuals that each node's ground shows, of the worst look."""
        blur = (MISFIT_WINDOW / self.nodes.spacing[0], MISFIT_WINDOW / self.nodes.spacing[1])
        worst = np.zeros(self.nodes.shape)
        for look, out, row in zip(problem.looks, rendered, rows):
            light = look.derivatives(out)[1].T
            square = np.minimum(np.nan_to_num(row.standard) ** 2, FAR_OFF)
            sums = [light @ v for v in (square, row.used.astype(np.float64))]
            above, below = (gaussian_filter(v.reshape(self.nodes.shape), blur) for v in sums)
            few = FEW_LIGHT * float(np.median(below[below > 0])) if (below > 0).any() else 1.0
            worst = np.maximum(worst, above / np.maximum(below, few))
        return worst


def _own(weighted: sp.csr_array, new: Float, lengths: Sequence[int]) -> Float:
    """Differentiate by each look's brightness ratio, (data, look)."""
    n = new.size
    by = np.asarray(weighted[:, n : 2 * n] @ new.ravel())
    own = np.zeros((len(by), len(lengths)))
    ends = np.cumsum([0, *lengths])
    for k, (a, b) in enumerate(pairwise(ends)):
        own[a:b, k] = by[a:b]
    return own
