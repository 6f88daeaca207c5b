"""The radar grid: which time and slant range a pixel stands for, and from which orbit it was seen."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mosart.compiled import compiled

from .ephemeris import Orbit

LIGHT_SPEED = 299792458.0


@compiled
def doppler_at(t: float, r: float, values: NDArray[np.float64], axes: NDArray[np.float64]) -> float:
    """Doppler (Hz) at a time and range: bilinear in ``values``, held constant outside."""
    nt, nr = values.shape
    y = min(max((t - axes[0]) / axes[1], 0.0), nt - 1.0)
    x = min(max((r - axes[2]) / axes[3], 0.0), nr - 1.0)
    i = min(int(y), max(nt - 2, 0))
    j = min(int(x), max(nr - 2, 0))
    i2 = min(i + 1, nt - 1)
    j2 = min(j + 1, nr - 1)
    fy = y - i
    fx = x - j
    low = values[i, j] * (1.0 - fx) + values[i, j2] * fx
    high = values[i2, j] * (1.0 - fx) + values[i2, j2] * fx
    return float(low * (1.0 - fy) + high * fy)


@dataclass(frozen=True)
class Doppler:
    """Doppler centroid of the geometry of a grid, on regular axes.

    Parameters
    ----------
    values : ndarray (time, range)
        Hz. All zero for a zero-Doppler grid, which is what most products are.
    first_time, time_step : float
        Seconds (the orbit's epoch).
    first_range, range_step : float
        Metres.
    """

    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros((1, 1)))
    first_time: float = 0.0
    time_step: float = 1.0
    first_range: float = 0.0
    range_step: float = 1.0

    @property
    def is_zero(self) -> bool:
        """Whether the grid is a zero-Doppler grid."""
        return not np.any(self.values)

    @property
    def axes(self) -> NDArray[np.float64]:
        """The four numbers of the axes, for the kernels."""
        return np.array([self.first_time, self.time_step, self.first_range, self.range_step])


@dataclass(frozen=True)
class RadarGrid:
    """A regular grid of azimuth time and slant range, with its orbit.

    Parameters
    ----------
    orbit : Orbit
        Its epoch is the zero of all times.
    first_time : float
        Azimuth time of row 0, seconds after the orbit's epoch.
    time_step : float
        Seconds between rows (positive).
    first_range, range_step : float
        Slant range of column 0 and between columns, metres.
    rows, columns : int
        Size.
    side : str
        "right" or "left": where the radar looks, seen along the flight.
    wavelength : float
        Metres.
    doppler : Doppler
        Of the grid's geometry: zero, or the native one where rows are times of closest *beam*.
    """

    orbit: Orbit
    first_time: float
    time_step: float
    first_range: float
    range_step: float
    rows: int
    columns: int
    side: str
    wavelength: float
    doppler: Doppler = field(default_factory=Doppler)

    @property
    def sign(self) -> float:
        """+1 looking right, −1 looking left."""
        return -1.0 if self.side == "left" else 1.0

    @property
    def start(self) -> dt.datetime:
        """Moment of row 0, naive UTC."""
        return self.orbit.epoch + dt.timedelta(seconds=self.first_time)

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of every row, (rows,)."""
        return np.asarray(self.first_time + self.time_step * np.arange(self.rows, dtype=np.float64))

    @property
    def middle_time(self) -> float:
        """Time of the middle row."""
        return self.first_time + (self.rows - 1) / 2 * self.time_step

    def crop(self, row0: int, row1: int, column0: int, column1: int) -> RadarGrid:
        """Return the grid of a box of pixels, half-open."""
        return replace(
            self,
            first_time=self.first_time + row0 * self.time_step,
            first_range=self.first_range + column0 * self.range_step,
            rows=row1 - row0,
            columns=column1 - column0,
        )

    def azimuth_spacing(self) -> float:
        """Distance on the ground between rows in the middle of the scene, metres."""
        position, velocity, _ = self.orbit.evaluate(self.middle_time)
        radius = float(np.linalg.norm(position))
        ground = 6371000.0 / radius if radius > 6.45e6 else 1.0
        return float(np.linalg.norm(velocity)) * ground * self.time_step
