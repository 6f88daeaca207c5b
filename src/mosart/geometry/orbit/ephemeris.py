"""Orbits: positions and velocities between state vectors."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mosart.compiled import compiled
from mosart.errors import InputError

#: State vectors that one interpolant passes through, and the fewest for which it needs no velocities.
SUPPORT = 12
_FEWEST = 8


@compiled
def evaluate(
    t: float, times: NDArray[np.float64], coefficients: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Position, velocity and acceleration at one time, into ``out`` (3, 3)."""
    n = times.size - 1
    k = int((t - times[0]) / (times[n] - times[0]) * n)
    k = min(max(k, 0), n - 1)
    while k > 0 and t < times[k]:
        k -= 1
    while k < n - 1 and t >= times[k + 1]:
        k += 1
    # The last row of an interval's coefficients holds its centre and half its span.
    last = coefficients.shape[2] - 1
    span = coefficients[k, 0, last, 1]
    x = (t - coefficients[k, 0, last, 0]) / span
    for axis in range(3):
        p = coefficients[k, 0, last - 1, axis]
        v = coefficients[k, 1, last - 1, axis]
        a = 0.0
        for j in range(last - 2, -1, -1):
            p = p * x + coefficients[k, 0, j, axis]
            a = a * x + v
            v = v * x + coefficients[k, 1, j, axis]
        out[0, axis] = p
        out[1, axis] = v
        out[2, axis] = a / span


@compiled
def _evaluate_many(
    t: NDArray[np.float64], times: NDArray[np.float64], coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    out = np.empty((t.size, 3, 3))
    for i in range(t.size):
        evaluate(t[i], times, coefficients, out[i])
    return out


def _polynomials(
    times: NDArray[np.float64], position: NDArray[np.float64], velocity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Coefficients (interval, position or velocity, power, axis); the last holds centre and half span."""
    n = times.size
    hermite = n < _FEWEST
    support = n if hermite else min(SUPPORT, n)
    terms = 2 * support if hermite else support
    powers = np.arange(terms)
    out = np.zeros((n - 1, 2, terms + 1, 3))
    for k in range(n - 1):
        first = min(max(k - (support // 2 - 1), 0), n - support)
        chosen = slice(first, first + support)
        centre = (times[first] + times[first + support - 1]) / 2
        span = (times[first + support - 1] - times[first]) / 2
        x = (times[chosen] - centre) / span
        values = x[:, None] ** powers
        # Relative to one vector: the constant term then carries no rounding of the large radius.
        base = position[k]
        if hermite:
            slopes = np.where(powers > 0, powers * x[:, None] ** np.maximum(powers - 1, 0), 0.0)
            right = np.concatenate([position[chosen] - base, velocity[chosen] * span])
            solution = np.linalg.solve(np.concatenate([values, slopes]), right)
            out[k, 1, : terms - 1] = solution[1:] * powers[1:, None] / span
        else:
            solution = np.linalg.solve(values, position[chosen] - base)
            out[k, 1, :terms] = np.linalg.solve(values, velocity[chosen])
        out[k, 0, :terms] = solution
        out[k, 0, 0] += base
        out[k, :, terms, 0] = centre
        out[k, :, terms, 1] = span
    return out


@dataclass(frozen=True)
class Orbit:
    """An orbit, interpolated between its state vectors.

    Between two vectors position and velocity are the Lagrange polynomials through those of the twelve
    nearest, each on its own: velocities that processors deliver differ from the derivative of their
    positions by a centimetre a second, and processors take the Doppler from the velocities. Orbits of
    fewer than eight vectors use the Hermite polynomial through all positions and velocities.

    Parameters
    ----------
    epoch : datetime.datetime
        Zero of ``times``, UTC, naive.
    times : ndarray (n,)
        Seconds after ``epoch``, ascending.
    position, velocity : ndarray (n, 3)
        Earth-fixed metres, and metres a second.
    source : str
        Where the vectors come from, for the log and the product.

    Raises
    ------
    InputError
        If there are fewer than two vectors, or they are not finite, ascending and near the earth.
    """

    epoch: dt.datetime
    times: NDArray[np.float64]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    source: str = "annotation"
    coefficients: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        times = np.ascontiguousarray(self.times, dtype=np.float64)
        position = np.ascontiguousarray(self.position, dtype=np.float64)
        velocity = np.ascontiguousarray(self.velocity, dtype=np.float64)
        n = times.size
        if n < 2 or position.shape != (n, 3) or velocity.shape != (n, 3):
            raise InputError(
                f"the orbit ({self.source}) cannot be interpolated",
                expected="two or more state vectors with position and velocity",
                got=f"times {times.shape}, position {position.shape}, velocity {velocity.shape}",
            )
        radius = np.linalg.norm(position, axis=1)
        if not (
            np.all(np.isfinite(times))
            and np.all(np.isfinite(velocity))
            and np.all(np.diff(times) > 0)
            and np.all((radius > 6.3e6) & (radius < 5e7))
        ):
            raise InputError(
                f"the state vectors of the orbit ({self.source}) are damaged",
                expected="ascending times, positions at 6,300 to 50,000 km from the earth's centre",
                got=f"radii from {np.nanmin(radius):.0f} to {np.nanmax(radius):.0f} m",
            )
        mean = np.diff(position, axis=0) / np.diff(times)[:, None]
        middle = (velocity[1:] + velocity[:-1]) / 2
        if np.any(np.linalg.norm(mean - middle, axis=1) > 0.1 * np.linalg.norm(middle, axis=1) + 1.0):
            raise InputError(
                f"the state vectors of the orbit ({self.source}) contradict each other",
                expected="velocities that lead from each position to the next",
            )
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "velocity", velocity)
        object.__setattr__(self, "coefficients", _polynomials(times, position, velocity))

    def seconds(self, moment: dt.datetime) -> float:
        """Seconds from the orbit's epoch to a moment (naive UTC)."""
        return (moment - self.epoch).total_seconds()

    def covers(self, first: float, last: float) -> bool:
        """Whether the vectors reach from ``first`` to ``last`` (seconds after the epoch)."""
        return bool(self.times[0] <= first and last <= self.times[-1])

    def moved(self, epoch: dt.datetime) -> Orbit:
        """Return the same orbit with its times counted from another epoch."""
        shift = (self.epoch - epoch).total_seconds()
        return Orbit(epoch, self.times + shift, self.position, self.velocity, self.source)

    def evaluate(self, t: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Position, velocity and acceleration.

        Parameters
        ----------
        t : array_like
            Seconds after the epoch, any shape.

        Returns
        -------
        position, velocity, acceleration : ndarray (…, 3)
            m, m/s, m/s², earth-fixed. Outside the vectors the outermost polynomial is continued.
        """
        t = np.asarray(t, dtype=np.float64)
        out = _evaluate_many(t.ravel(), self.times, self.coefficients)
        shape = (*t.shape, 3)
        return out[:, 0].reshape(shape), out[:, 1].reshape(shape), out[:, 2].reshape(shape)

    def heading(self, t: float) -> float:
        """Flight direction over the ground, degrees clockwise from north, at a time."""
        position, velocity, _ = self.evaluate(t)
        up = position / np.linalg.norm(position)
        east = np.cross([0.0, 0.0, 1.0], up)
        east /= np.linalg.norm(east)
        north = np.cross(up, east)
        return float(np.degrees(np.arctan2(velocity @ east, velocity @ north)) % 360.0)
