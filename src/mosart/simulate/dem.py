"""The DEM a user would have: the terrain, but for its errors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from .terrain import Terrain


@dataclass(frozen=True)
class DemError:
    """How the DEM given to a stack differs from the ground.

    Parameters
    ----------
    noise : float
        Standard deviation of random height errors, metres.
    correlation : float
        Their correlation length, metres: the distance at which the correlation has fallen to 1/e.
    smoothing : float
        Standard deviation of a Gaussian that the terrain was smoothed with, metres.
    offset : float
        Added to all heights, metres.
    east, north : float
        Horizontal shift, metres: the DEM shows at (x + east, y + north) what lies at (x, y).
    tilt_east, tilt_north : float
        Slope of a plane added, metres a metre; zero at the anchor.
    seed : int
        Of the noise.
    """

    noise: float = 0.0
    correlation: float = 20.0
    smoothing: float = 0.0
    offset: float = 0.0
    east: float = 0.0
    north: float = 0.0
    tilt_east: float = 0.0
    tilt_north: float = 0.0
    seed: int = 0

    def apply(self, terrain: Terrain) -> Terrain:
        """Spoil a terrain with these errors.

        Parameters
        ----------
        terrain : Terrain
            The truth.

        Returns
        -------
        Terrain
            The DEM on the same grid. A sea stays flat (DEMs are edited so): at sea level plus offset.
        """
        h, d = terrain.heights, terrain.spacing
        if self.smoothing > 0:
            h = gaussian_filter(h, self.smoothing / d, mode="nearest")
        if self.east or self.north:
            h = shift(h, (self.north / d, self.east / d), order=3, mode="nearest")
        if self.noise > 0:
            rng = np.random.default_rng(self.seed)
            # White noise smoothed by σ has the correlation exp(−d²/4σ²).
            field = gaussian_filter(rng.normal(size=h.shape), self.correlation / 2 / d, mode="wrap")
            h = h + field * (self.noise / math.sqrt(float(np.mean(field**2))))
        if self.tilt_east or self.tilt_north:
            h = h + terrain.x[None, :] * self.tilt_east + terrain.y[:, None] * self.tilt_north
        if terrain.sea_level is not None:
            h = np.where(terrain.sea, terrain.sea_level, h)
        return replace(terrain, heights=h + self.offset, sea_level=None)
