"""Growth of the incidence angle along a row: measured, or a satellite's where the grid does not tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Slant range that is assumed where the grid is too narrow to tell it: a satellite's.
TYPICAL_RANGE = 850.0e3


class GrowthSearch:
    """Find the growth of the incidence angle that is measured where it is assumed.

    What is found is averaged with a satellite's, by their errors: a narrow grid does not tell it.
    """

    def __init__(self, earth: float) -> None:
        self.earth = earth
        self.assumed = 0.0
        self.incidence_error = 0.0
        self._last: tuple[float, float, float] | None = None
        self._slope = 0.0
        self._bend = 0.0

    def next(self, theta0: float, measured: float, error: float) -> float:
        """Take what was measured under the last assumption; return the next assumption, radians per metre."""
        typical = typical_growth(theta0, self.earth)
        if not np.isfinite(error):
            self.assumed = typical
            return typical
        if self._last is not None and abs(self.assumed - self._last[0]) > 1e-4 * typical:
            step = self.assumed - self._last[0]
            self._slope = (measured - self._last[1]) / step
            self._bend = (theta0 - self._last[2]) / step
        self._last = (self.assumed, measured, theta0)
        gain = 1.0 - self._slope
        gain = float(np.copysign(max(abs(gain), 0.05), gain))
        root, error = self.assumed + (measured - self.assumed) / gain, error / abs(gain)
        share = trust(root, error, typical)
        self.incidence_error = abs(self._bend) * error * np.sqrt(share)
        self.assumed = share * root + (1.0 - share) * typical
        return self.assumed


def typical_growth(theta: float, earth: float) -> float:
    """Growth of the incidence angle of a satellite, radians per metre on the ground."""
    return float(np.cos(theta) / TYPICAL_RANGE + 1.0 / earth)


def measured_growth(theta: float, flat: Array, flat_error: Array) -> tuple[float, float]:
    """Growth of the incidence angle from the second derivative of f, and its error, radians per metre."""
    if flat.size < 2:
        return 0.0, float("inf")
    scale = 2.0 * float(np.tan(theta)) / float(flat[0]) ** 2
    return -scale * float(flat[1]), scale * float(flat_error[1])


def trust(measured: float, error: float, typical: float) -> float:
    """Share of a measured growth in its mean with a satellite's; all where the two contradict each other."""
    if not np.isfinite(error):
        return 0.0
    if abs(measured - typical) > 5.0 * error:
        return 1.0
    spread = 0.5 * typical
    return float(spread**2 / (spread**2 + error**2))
