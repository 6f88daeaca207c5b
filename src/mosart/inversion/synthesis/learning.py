"""What a step learns beside the unknowns: how much each place may change, and how large the noise is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .narrow import find_narrow
from .noise import MAD
from .prior import learn_envelope
from .problem import Problem, Rows, State
from .render import block_sums

Float = NDArray[np.float64]

#: Bounds of the envelope of the change, and what a place without evidence shrinks to: in heights that
#: move ground by a range pixel. A tenth of a pixel is what coregistration leaves: no ground is known to
#: hold better.
CHANGE_FLOOR, CHANGE_CEILING, CHANGE_LEAST = 0.1, 150.0, 0.05
#: The same of the brightness, natural logarithm.
BRIGHT_FLOOR, BRIGHT_CEILING, BRIGHT_LEAST = 0.003, 2.0, 0.001
#: Least envelope of the change while it is uniform or blocks are merged (range pixels' heights), and
#: bounds of the brightness's while it is uniform. Merged blocks hardly see what moves texture by a
#: pixel, and an envelope that has closed over a change opens too slowly to find it.
UNIFORM_LEAST, UNIFORM_BRIGHT = 1.0, (0.02, 0.3)
#: Bounds of the rescaling of the noise: the looks are measured, so that less noise than they say is
#: overfitting, and much more is a model that fails.
LEAST_NOISE, MOST_NOISE = 0.7, 10.0
#: Blocks in azimuth and in range that tell the noise together; and fewest such groups.
TOGETHER = 2
FEWEST_BLOCKS = 20


def envelopes(
    problem: Problem, state: State, samples: Float, white: Float, *, uniform: bool, coarse: bool
) -> tuple[Float, Float]:
    """Next envelopes of change and brightness.

    Parameters
    ----------
    problem : Problem
        The problem.
    state : State
        The present one.
    samples, white : ndarray (number, unknown)
        Draws from the zero-mean posterior, and the prior's white noise of each.
    uniform : bool
        One number for all places.
    coarse : bool
        Whether blocks were merged: they tell little of a small change, and an envelope that has closed
        opens only slowly.

    Returns
    -------
    envelope : ndarray (y, x)
        Metres.
    brightness_envelope : ndarray (field, y, x)
        Natural logarithm.
    """
    u, n = problem.unit, state.change.size
    least = (UNIFORM_LEAST if uniform or coarse else CHANGE_FLOOR) * u
    bounds = [(least, CHANGE_CEILING * u, CHANGE_LEAST * u)]
    low, high = UNIFORM_BRIGHT if uniform else (BRIGHT_FLOOR, BRIGHT_CEILING)
    bounds += [(low, high, BRIGHT_LEAST)] * len(state.brightness)
    priors, fields = problem.priors(state), [state.change, *state.brightness]
    learned = []
    for k, (prior, field, (floor, ceiling, rest)) in enumerate(zip(priors, fields, bounds)):
        own = samples[:, k * n : (k + 1) * n], white[:, k * n : (k + 1) * n]
        narrow = None if k or uniform else find_narrow(prior, field, *own).likely
        learned.append(
            learn_envelope(
                prior, field, *own, floor=floor, ceiling=ceiling, least=rest, uniform=uniform, narrow=narrow
            )
        )
    change, *bright = learned
    return change, np.array(bright)


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

    Read on sums of neighbouring blocks, not on single ones: errors of the smoothed reference are alike in
    neighbours, fine texture that it misses is not, and the change, whose slope adds up along the range,
    suffers from what does not average out. A sum's residual has the variance ``1 - leverage`` of the
    assumed one; the leverage is the posterior variance of its prediction, from the samples. Robust, but
    not blind to the tails.
    """
    number = _sums(rows.used.astype(np.float64), rows.shape)
    full = number > 0.5 * number.max(initial=1.0)
    if full.sum() < FEWEST_BLOCKS:
        return present
    scale = np.sqrt(number[full])
    z = _sums(np.nan_to_num(rows.standard), rows.shape)[full] / scale
    predicted = np.where(rows.used[:, None], rows.weighted @ samples.T, 0.0)
    leverage = np.mean([(_sums(p, rows.shape)[full] / scale) ** 2 for p in predicted.T], axis=0)
    free = np.clip(1 - leverage, 0.05, 1.0)
    z = z / np.sqrt(free)
    middle = MAD * float(np.median(np.abs(z)))
    wide = float(np.sqrt(np.average(np.clip(z, -4 * middle, 4 * middle) ** 2, weights=free)))
    return float(np.clip(present * max(middle**2, 0.8 * wide**2), LEAST_NOISE, MOST_NOISE))


def _sums(values: Float, shape: tuple[int, int]) -> Float:
    """Sum over neighbouring blocks, flat; what is merged already is not summed again."""
    if shape[0] == 1:
        return values
    return block_sums(values.reshape(shape), (TOGETHER, TOGETHER)).ravel()
