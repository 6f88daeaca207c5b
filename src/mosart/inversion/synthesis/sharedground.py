"""One ground for several looks: local metres east and north, and where the rows of each look lie in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyproj
from numpy.typing import NDArray

from .nodes import MapNodes
from .render import Scene

Float = NDArray[np.float64]

#: Degree of the polynomial from row and ground range to east and north: over the tens of kilometres of
#: an image the curvature of Earth and orbit leaves less than a tenth of a metre beyond the third.
DEGREE = 3
#: Most pixels that the polynomial is fitted to.
MOST_PIXELS = 40_000


@dataclass(frozen=True)
class LocalFrame:
    """Metres east and north of a place, by a transverse Mercator projection through it.

    Parameters
    ----------
    longitude, latitude : float
        Degrees, any branch.
    """

    longitude: float
    latitude: float

    @classmethod
    def of(cls, longitude: Float, latitude: Float) -> LocalFrame:
        """Lay the frame over the middle of an image; NaN where a position is not known.

        Parameters
        ----------
        longitude, latitude : ndarray
            Degrees, any branch, also with a jump at 180°.

        Returns
        -------
        LocalFrame
            At the mean direction.
        """
        a = np.deg2rad(longitude[np.isfinite(longitude)])
        middle = np.rad2deg(np.arctan2(np.sin(a).mean(), np.cos(a).mean()))
        return cls(float(middle), float(np.nanmean(latitude)))

    @property
    def projection(self) -> pyproj.Proj:
        """From degrees to metres."""
        return pyproj.Proj(proj="tmerc", lon_0=self.longitude, lat_0=self.latitude, ellps="WGS84")

    def metres(self, longitude: Float, latitude: Float) -> tuple[Float, Float]:
        """East and north of positions; NaN where they are."""
        good = np.isfinite(longitude) & np.isfinite(latitude)
        turned = (np.where(good, longitude, self.longitude) - self.longitude + 180) % 360 - 180
        east, north = self.projection(turned + self.longitude, np.where(good, latitude, self.latitude))
        return np.where(good, east, np.nan), np.where(good, north, np.nan)


def _terms(row: Float, x: Float) -> Float:
    return np.stack([row**i * x**j for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)], axis=-1)


@dataclass(frozen=True)
class Track:
    """Where the rows of a look lie on the ground: polynomials of row and ground range.

    Parameters
    ----------
    east, north : ndarray
        Coefficients.
    centre, scale : tuple of float
        Of row and ground range, for conditioning.
    """

    east: Float
    north: Float
    centre: tuple[float, float]
    scale: tuple[float, float]

    @classmethod
    def fit(cls, x: Float, east: Float, north: Float) -> Track:
        """Fit to the pixels of an image.

        Parameters
        ----------
        x : ndarray (azimuth, range)
            Ground range of the pixels, metres; NaN where unknown.
        east, north : ndarray (azimuth, range)
            Their positions, metres; NaN where unknown.

        Returns
        -------
        Track
            By least squares over the image.
        """
        row = np.broadcast_to(np.arange(len(x), dtype=np.float64)[:, None], x.shape)
        good = np.isfinite(x) & np.isfinite(east) & np.isfinite(north)
        step = max(1, int(good.sum()) // MOST_PIXELS)
        r, g, e, n = (v[good][::step] for v in (row, x, east, north))
        centre = float(r.mean()), float(g.mean())
        scale = max(float(np.ptp(r)) / 2, 1.0), max(float(np.ptp(g)) / 2, 1.0)
        terms = _terms((r - centre[0]) / scale[0], (g - centre[1]) / scale[1])
        coefficients: Float = np.linalg.lstsq(terms, np.stack([e, n], axis=-1), rcond=1e-9)[0].astype(
            np.float64
        )
        return cls(coefficients[:, 0], coefficients[:, 1], centre, scale)

    def positions(self, row: Float, x: Float) -> tuple[Float, Float]:
        """East and north of rows and ground ranges, metres.

        Parameters
        ----------
        row : ndarray
            Pixel rows, 0 the middle of the first.
        x : ndarray
            Ground range, metres; broadcast with `row`.

        Returns
        -------
        east, north : ndarray
            Metres.
        """
        row, x = np.broadcast_arrays(row, x)
        terms = _terms((row - self.centre[0]) / self.scale[0], (x - self.centre[1]) / self.scale[1])
        return np.asarray(terms @ self.east), np.asarray(terms @ self.north)

    def of_knots(self, scene: Scene, later: float = 0.0) -> tuple[Float, Float]:
        """East and north of a scene's knots, (block row, knot), whose image lies some rows later."""
        rows = scene.nodes.row_centres - 0.5 - later
        return self.positions(rows[:, None], scene.ground.knot_x[None, :])

    def of_points(self, scene: Scene, later: float = 0.0) -> tuple[Float, Float]:
        """East and north of a scene's fine points, (azimuth, point), whose image lies some rows later."""
        rows = np.arange(len(scene.ground.height), dtype=np.float64) - later
        return self.positions(rows[:, None], scene.ground.x[None, :])


def map_over(positions: Sequence[tuple[Float, Float]], spacing: float) -> MapNodes:
    """Lay nodes over all that some looks see.

    Parameters
    ----------
    positions : sequence of (ndarray, ndarray)
        East and north, metres, of each.
    spacing : float
        Of the nodes, metres.

    Returns
    -------
    MapNodes
        North up in the sense of the local frame: y is north.
    """
    east = np.array([[np.nanmin(e), np.nanmax(e)] for e, _ in positions])
    north = np.array([[np.nanmin(n), np.nanmax(n)] for _, n in positions])
    low, high = (north.min(), east.min()), (north.max(), east.max())
    shape = tuple(int(np.ceil((b - a) / spacing)) + 1 for a, b in zip(low, high))
    return MapNodes((shape[0], shape[1]), (spacing, spacing), (float(low[0]), float(low[1])))
