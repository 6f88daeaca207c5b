"""What a step learns beside the unknowns: how much each place may change, and how large the noise is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .noise import MAD
from .prior import learn_envelope
from .problem import Problem, Rows, State

Float = NDArray[np.float64]

#: Bounds of the envelope of the change, and what a place without evidence shrinks to: in heights that
#: move ground by a range pixel.
CHANGE_FLOOR, CHANGE_CEILING, CHANGE_LEAST = 0.02, 150.0, 0.01
#: The same of the brightness, natural logarithm.
BRIGHT_FLOOR, BRIGHT_CEILING, BRIGHT_LEAST = 0.003, 2.0, 0.001
#: Least uniform envelope of the change (range pixels' heights), and bounds of the brightness's.
UNIFORM_LEAST, UNIFORM_BRIGHT = 0.3, (0.02, 0.3)
#: Bounds of the rescaling of the noise: the looks are measured, so that less noise than they say is
#: overfitting, and much more is a model that fails.
LEAST_NOISE, MOST_NOISE = 0.7, 10.0
#: Fewest blocks that tell the noise.
FEWEST_BLOCKS = 20


def envelopes(problem: Problem, state: State, samples: Float, *, uniform: bool) -> tuple[Float, Float]:
    """Next envelopes of change and brightness.

    Parameters
    ----------
    problem : Problem
        The problem.
    state : State
        The present one.
    samples : ndarray (number, unknown)
        Of the zero-mean posterior.
    uniform : bool
        One number for all places.

    Returns
    -------
    envelope : ndarray (y, x)
        Metres.
    brightness_envelope : ndarray (field, y, x)
        Natural logarithm.
    """
    shape = problem.field.shape
    variance = np.mean(samples**2, axis=0).reshape(-1, *shape)
    u = problem.unit
    if uniform:
        one = np.sqrt(_uniform(state.change, variance[0], state.envelope, 1e-4))
        change = np.full(shape, max(one, UNIFORM_LEAST * u))
        bright = [
            np.full(shape, float(np.clip(np.sqrt(_uniform(b, v, e, 1e-6)), *UNIFORM_BRIGHT)))
            for b, v, e in zip(state.brightness, variance[1:], state.brightness_envelope)
        ]
        return change, np.array(bright)
    bounds = {"floor": CHANGE_FLOOR * u, "ceiling": CHANGE_CEILING * u, "least": CHANGE_LEAST * u}
    change = learn_envelope(state.change, variance[0], state.envelope, problem.field, **bounds)
    bounds = {"floor": BRIGHT_FLOOR, "ceiling": BRIGHT_CEILING, "least": BRIGHT_LEAST}
    bright = [
        learn_envelope(b, v, e, problem.bright_field, **bounds)
        for b, v, e in zip(state.brightness, variance[1:], state.brightness_envelope)
    ]
    return change, np.array(bright)


def _uniform(mean: Float, variance: Float, envelope: Float, least: float) -> float:
    """MacKay's fixed point of one variance for all nodes, of which five at least are told."""
    told = float(np.clip(1 - variance / envelope**2, 0, 1).sum())
    return max(float((mean**2).sum()) / max(told, 5.0), least)


def noise(rows: Sequence[Rows], samples: Float, present: Sequence[float]) -> tuple[float, ...]:
    """Rescaling of the noise of every look, from its residuals.

    Parameters
    ----------
    rows : sequence of Rows
        Of the looks.
    samples : ndarray (number, unknown)
        Of the zero-mean posterior.
    present : sequence of float
        Rescaling that the rows were weighted with.

    Returns
    -------
    tuple of float
        One a look.
    """
    return tuple(_rescale(r, samples, n) for r, n in zip(rows, present))


def _rescale(rows: Rows, samples: Float, present: float) -> float:
    """Variance of the residuals against the assumed one, for the freedom that the fit has taken.

    A block's residual has the variance ``1 - leverage`` of the assumed one; the leverage is the
    posterior variance of its prediction, from the samples. Robust, but not blind to the tails.
    """
    used = rows.used
    z = rows.standard[used]
    if len(z) < FEWEST_BLOCKS:
        return present
    predicted = np.asarray(rows.weighted @ samples.T)[used]
    free = np.clip(1 - np.mean(predicted**2, axis=1), 0.05, 1.0)
    z = z / np.sqrt(free)
    middle = MAD * float(np.median(np.abs(z)))
    wide = float(np.sqrt(np.average(np.clip(z, -4 * middle, 4 * middle) ** 2, weights=free)))
    return float(np.clip(present * max(middle**2, 0.8 * wide**2), LEAST_NOISE, MOST_NOISE))
