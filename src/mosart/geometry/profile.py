"""How incidence and ground range grow along a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def running(steps: Array) -> Array:
    """Sum steps from pixel to pixel, each the mean of its two ends; 0 at the first pixel."""
    total = np.zeros(steps.size)
    np.cumsum(0.5 * (steps[1:] + steps[:-1]), out=total[1:])
    return total


def incidence_profile(
    size: int, theta0: float, spacing: float, growth: float, earth: float
) -> tuple[Array, float]:
    """Incidence angle along the row from its value and its growth at the middle.

    With ``growth = cos θ/R + 1/earth`` the slant range R follows, and the law of cosines in the triangle of
    radar, ground and Earth's centre gives θ everywhere. Growth slower than the Earth's curvature is a
    plane wave: then θ grows evenly.

    Parameters
    ----------
    size : int
        Number of range pixels.
    theta0 : float
        Radians at the middle.
    spacing : float
        Slant metres.
    growth : float
        Radians per metre on the ground, at the middle.
    earth : float
        Radius, metres.

    Returns
    -------
    theta : ndarray, (range,)
        Radians.
    curvature : float
        ``1/R`` at the middle, per metre; 0 for a plane wave.
    """
    offset = (np.arange(size) - 0.5 * (size - 1)) * spacing
    curvature = max(0.0, (growth - 1.0 / earth) / np.cos(theta0))
    if curvature * earth < 1e-3:
        return np.clip(theta0 + growth * offset / np.sin(theta0), 0.02, 1.55), 0.0
    middle = 1.0 / curvature
    radar2 = earth**2 + middle**2 + 2.0 * earth * middle * np.cos(theta0)
    slant = middle + offset
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = (radar2 - earth**2 - slant**2) / (2.0 * earth * slant)
    return np.arccos(np.clip(cosine, 0.02, 0.9998)), curvature
