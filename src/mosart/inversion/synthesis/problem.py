"""The unknown fields of one epoch, the looks that see them, and one linearisation of what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .band import Room
from .look import Look, merging
from .prior import Matern, Prior
from .render import Rendered

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Standardised residual beyond which a block's weight falls (Huber).
HUBER = 3.0
#: Longest step, in slant widths of a block: beyond it the linearisation has lost its texture.
LONGEST_STEP = 0.6
#: Envelope of the brightness to start from.
BRIGHT_START = 0.15
#: The brightness field's correlation range, in ranges of the change: a deposit's brightness varies more
#: slowly than its shape.
BRIGHT_RANGE = 2.0
#: Slope of the envelope (height / correlation range) up to which ground counts as still for the gains.
STILL_SLOPE = 0.0125


@dataclass(frozen=True)
class State:
    """The unknowns and what is learned with them.

    Parameters
    ----------
    change : ndarray (y, x)
        Metres, on the nodes.
    brightness : ndarray (field, y, x)
        Changes of log reflectivity.
    envelope : ndarray (y, x)
        Prior standard deviation of the change.
    brightness_envelope : ndarray (field, y, x)
        Of the brightness.
    noise : tuple of float
        Rescaling of the variance, one a look.
    gain : tuple of ndarray (block row,)
        Log gains, one array a look.
    """

    change: Float
    brightness: Float
    envelope: Float
    brightness_envelope: Float
    noise: tuple[float, ...]
    gain: tuple[Float, ...]

    @property
    def unknowns(self) -> Float:
        """Change, then the fields of brightness, flat."""
        return np.concatenate([self.change.ravel(), self.brightness.ravel()])


class Problem:
    """Everything that stays the same between the steps.

    Parameters
    ----------
    looks : sequence of Look
        All on the nodes of `field`.
    field : Matern
        Correlation of the change on the nodes.
    seed : int
        Of the posterior samples.
    solver : {"auto", "direct", "iterative"}
        See :func:`mosart.inversion.synthesis.solver.make_solver`.
    room : Room, optional
        Memory that the solvers of this problem share, and those of others that are solved before or after.
    """

    def __init__(
        self,
        looks: Sequence[Look],
        field: Matern,
        *,
        seed: int = 0,
        solver: str = "auto",
        room: Room | None = None,
    ) -> None:
        self.room = Room() if room is None else room
        self.looks, self.field, self.solver = tuple(looks), field, solver
        self.bright_field = Matern(field.shape, field.spacing, BRIGHT_RANGE * field.range)
        self.bright_fields = 1 + max(max(look.reads) for look in self.looks)
        self.rng = np.random.default_rng(seed)
        self.unit = min(look.unit for look in self.looks)
        self.longest = LONGEST_STEP * min(look.scene.block[1] * look.unit for look in self.looks)

    def start(self, change: Float | None = None, spread: float | None = None) -> State:
        """State to start from, of zero brightness.

        Parameters
        ----------
        change : ndarray (y, x), optional
            Metres, on the nodes; by default zero.
        spread : float, optional
            First envelope, metres; by default a few range pixels' heights.

        Returns
        -------
        State
            With uniform envelopes.
        """
        shape, fields = self.field.shape, (self.bright_fields, *self.field.shape)
        return State(
            np.zeros(shape) if change is None else np.array(change, dtype=np.float64),
            np.zeros(fields),
            np.full(shape, 4 * self.unit if spread is None else spread),
            np.full(fields, BRIGHT_START),
            tuple(1.0 for _ in self.looks),
            tuple(np.zeros(look.scene.blocks[0]) for look in self.looks),
        )

    def coarsened(self, by: tuple[int, int]) -> tuple[Problem, sp.csr_array]:
        """Tell the same fields on fewer nodes.

        Parameters
        ----------
        by : tuple of int
            Spacings of the nodes that become one, in y and x.

        Returns
        -------
        problem : Problem
            On the coarse nodes; it draws from the same random numbers.
        interpolation : scipy.sparse.csr_array
            Linear, (nodes, coarse nodes).
        """
        axes = [_linear(n, step) for n, step in zip(self.field.shape, by, strict=True)]
        onto = sp.csr_array(sp.kron(axes[0], axes[1]))
        shape = (axes[0].shape[1], axes[1].shape[1])
        spacing = (by[0] * self.field.spacing[0], by[1] * self.field.spacing[1])
        looks = [
            replace(look, interpolation=onto if look.interpolation is None else look.interpolation @ onto)
            for look in self.looks
        ]
        coarse = Problem(looks, Matern(shape, spacing, self.field.range), solver=self.solver, room=self.room)
        coarse.rng = self.rng
        return coarse, onto

    def merging(self, by: tuple[int, int]) -> list[sp.csr_array | None]:
        """Matrices that merge blocks, one a look."""
        return [merging(look.scene.blocks, by) for look in self.looks]

    def render(self, state: State, *, derivatives: bool = True) -> list[Rendered]:
        """Render the state, one a look."""
        return [look.render(state.change, state.brightness, derivatives=derivatives) for look in self.looks]

    def differentiate(self, state: State, rendered: Sequence[Rendered]) -> list[Rendered]:
        """Add the derivatives to what was rendered of the state."""
        return [
            look.differentiate(out, state.change, state.brightness) for look, out in zip(self.looks, rendered)
        ]

    def gains(self, rendered: Sequence[Rendered], state: State) -> tuple[Float, ...]:
        """Log gains from still ground, one array a look."""
        still = STILL_SLOPE * self.field.range
        found = []
        for look, out, noise in zip(self.looks, rendered, state.noise):
            bright = np.sqrt((state.brightness_envelope[list(look.reads)] ** 2).sum(axis=0))
            mean = look.brightness(state.brightness)
            found.append(look.gains(out, mean, (state.envelope, bright), still, noise))
        return tuple(found)

    def priors(self, state: State) -> list[Prior]:
        """Of the change, then of each field of brightness."""
        bright = [Prior(self.bright_field, envelope) for envelope in state.brightness_envelope]
        return [Prior(self.field, state.envelope), *bright]

    def variances(
        self, rendered: Sequence[Rendered], state: State, merges: Sequence[sp.csr_array | None]
    ) -> list[Float]:
        """Rescaled variance of merged blocks, flat, one a look; infinite where not usable."""
        return [
            look.merged_variance(out, merge) * noise
            for look, out, merge, noise in zip(self.looks, rendered, merges, state.noise)
        ]

    def objective(
        self,
        state: State,
        rendered: Sequence[Rendered],
        merges: Sequence[sp.csr_array | None],
        variances: Sequence[Float],
    ) -> float:
        """Half of the robust misfit at these variances plus half of the prior's quadratic form."""
        total = quadratic(self.priors(state), state)
        for k, look in enumerate(self.looks):
            residual, _ = look.residual(rendered[k], state.gain[k], merges[k])
            used = np.isfinite(variances[k])
            total += huber(residual[used] / np.sqrt(variances[k][used]))
        return total


def _linear(nodes: int, step: int) -> sp.csr_array:
    """Interpolate linearly from every `step`-th node, the last one at or beyond the end."""
    at = np.arange(nodes) / step
    number = int(np.ceil(at[-1])) + 1
    left = np.minimum(at.astype(int), max(number - 2, 0))
    share = at - left
    rows = np.arange(nodes)
    right = np.minimum(left + 1, number - 1)
    return sp.csr_array(
        (np.concatenate([1 - share, share]), (np.tile(rows, 2), np.concatenate([left, right]))),
        shape=(nodes, number),
    )


def carried(state: State, matrix: sp.csr_array, shape: tuple[int, int]) -> State:
    """Carry a state to other nodes.

    Parameters
    ----------
    state : State
        On some nodes.
    matrix : scipy.sparse.csr_array
        (new nodes, nodes), rows that add up to one.
    shape : tuple of int
        Of the new nodes.

    Returns
    -------
    State
        On the new nodes.
    """

    def carry(field: Float) -> Float:
        return np.asarray(matrix @ field.ravel()).reshape(shape)

    return replace(
        state,
        change=carry(state.change),
        brightness=np.array([carry(b) for b in state.brightness]),
        envelope=carry(state.envelope),
        brightness_envelope=np.array([carry(b) for b in state.brightness_envelope]),
    )


def huber(standard: Float) -> float:
    """Sum of Huber's cost of standardised residuals."""
    z = np.abs(standard)
    return float(np.where(z < HUBER, 0.5 * z**2, HUBER * z - 0.5 * HUBER**2).sum())


def quadratic(priors: Sequence[Prior], state: State) -> float:
    """Half of the prior's quadratic form of the state."""
    fields = [state.change, *state.brightness]
    return sum(0.5 * float(np.sum((p.factor @ x.ravel()) ** 2)) for p, x in zip(priors, fields))


@dataclass(frozen=True)
class Rows:
    """Equations of one look.

    Parameters
    ----------
    weighted : scipy.sparse.csr_array (block, unknown)
        Derivatives of the log energies over their standard errors.
    right : ndarray (block,)
        What they should come to.
    standard : ndarray (block,)
        Standardised residuals; NaN where the block is not used.
    log_variance : float
        Sum over the used blocks.
    shape : tuple of int
        Blocks in azimuth and range; merged ones are one row.
    """

    weighted: sp.csr_array
    right: Float
    standard: Float
    log_variance: float
    shape: tuple[int, int]

    @property
    def used(self) -> Bool:
        """Blocks that count."""
        return np.isfinite(self.standard)


def linearise(
    problem: Problem,
    state: State,
    rendered: Sequence[Rendered],
    merges: Sequence[sp.csr_array | None],
) -> list[Rows]:
    """Linearise what every look sees.

    Parameters
    ----------
    problem : Problem
        The looks.
    state : State
        Where.
    rendered : sequence of Rendered
        The state as each look sees it, with derivatives.
    merges : sequence of scipy.sparse.csr_array or None
        Blocks that are merged, one a look.

    Returns
    -------
    list of Rows
        One a look; stacked they are the equations of the step, for the unknowns themselves.
    """
    variances = problem.variances(rendered, state, merges)
    return [
        _rows(look, state, rendered[k], merges[k], (variances[k], k)) for k, look in enumerate(problem.looks)
    ]


def _rows(
    look: Look, state: State, out: Rendered, merge: sp.csr_array | None, own: tuple[Float, int]
) -> Rows:
    variance, index = own
    gain = state.gain[index]
    residual, base = look.residual(out, gain, merge)
    used = np.isfinite(variance)
    v = np.where(used, variance, 1.0)
    standard = np.where(used, residual / np.sqrt(v), 0.0)
    weight = np.minimum(1.0, HUBER / np.maximum(np.abs(standard), 1e-9))
    root = np.where(used, np.sqrt(weight / v), 0.0)
    use = np.where(look.usable(out), np.exp(gain)[:, None], 0.0).ravel()
    scaled = []
    for matrix in look.derivatives(out):
        rows = sp.diags_array(use) @ matrix
        if merge is not None:
            rows = merge @ rows
        scaled.append(sp.csr_array(sp.diags_array(root / base) @ rows))
    by_change, by_brightness = scaled
    nothing = sp.csr_array(by_brightness.shape)
    bright = [by_brightness if k in look.reads else nothing for k in range(len(state.brightness))]
    weighted = sp.csr_array(sp.hstack([by_change, *bright], format="csr"))
    right = root * residual + weighted @ state.unknowns
    shape = out.energy.shape if merge is None else (1, len(residual))
    return Rows(weighted, right, np.where(used, standard, np.nan), float(np.log(v[used]).sum()), shape)


def stack_rows(rows: Sequence[Rows]) -> tuple[sp.csr_array, Float]:
    """Equations of all looks: weighted derivatives and what they should come to."""
    if len(rows) == 1:
        return rows[0].weighted, rows[0].right
    return (
        sp.csr_array(sp.vstack([r.weighted for r in rows], format="csr")),
        np.concatenate([r.right for r in rows]),
    )
