"""DEMs from GeoTIFFs: one or several tiles, any CRS, made one surface of ellipsoidal heights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import NDArray

from mosart.errors import InputError

from .ellipsoid import A, from_ecef
from .grid import RadarGrid
from .project import rdr2geo_height
from .surface import Surface, sample_many, spline_coefficients
from .tiles import MARGIN, clip_box, corners, inverse_of, open_tile, paste, to_crs

logger = logging.getLogger(__name__)

_TABLE_STEP = 250.0


@dataclass(frozen=True)
class Dem:
    """A surface of ellipsoidal heights.

    Parameters
    ----------
    heights : ndarray (rows, columns)
        Metres above the WGS84 ellipsoid, NaN in holes.
    crs : pyproj.CRS
        Horizontal.
    transform : tuple of float
        (a, b, c, d, e, f): corner of the first cell at (c, f), as rasterio's.
    datum : str
        What the heights were and how they became ellipsoidal.
    surface : Surface
        What kernels sample.
    """

    heights: NDArray[np.float64]
    crs: pyproj.CRS
    transform: tuple[float, float, float, float, float, float]
    datum: str
    surface: Surface

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest height, metres."""
        return float(np.nanmin(self.heights)), float(np.nanmax(self.heights))

    @property
    def posting(self) -> float:
        """Smaller spacing of the cells on the ground, metres."""
        a, b, _, d, e, f = self.transform
        if not self.crs.is_geographic:
            unit = float(self.crs.axis_info[0].unit_conversion_factor)
            return float(min(np.hypot(a, d), np.hypot(b, e))) * unit
        middle = np.radians(f + e * self.heights.shape[0] / 2)
        metres = np.radians(1.0) * A
        across = np.hypot(a * np.cos(middle), d) * metres
        return float(max(min(across, np.hypot(b * np.cos(middle), e) * metres), 0.1))

    def sample(self, longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Heights at positions (degrees, any shape), cubic; NaN outside and in holes."""
        lon, lat = np.broadcast_arrays(np.asarray(longitude, np.float64), np.asarray(latitude, np.float64))
        lam, phi = np.radians(lon).ravel(), np.radians(lat).ravel()
        normals = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)
        out = np.empty(lam.size)
        sample_many(self.surface, np.ascontiguousarray(normals), out)
        return out.reshape(lon.shape)


def footprint(grid: RadarGrid, lowest: float = -450.0, highest: float = 9000.0) -> NDArray[np.float64]:
    """Longitude and latitude (n, 2) of a lattice over a radar grid at the lowest and highest heights."""
    rows = np.linspace(-0.5, grid.rows - 0.5, 13)[:, None]
    columns = np.linspace(-0.5, grid.columns - 0.5, 13)
    sets = []
    for height in (lowest, 0.0, 1000.0, highest):
        point = rdr2geo_height(grid, rows, columns, height).reshape(-1, 3)
        sets.append(point[np.isfinite(point[:, 0])])
    lon, lat, _ = from_ecef(np.concatenate(sets))
    return np.stack([lon, lat], axis=-1)


def load_dem(
    paths: Sequence[str | Path] | str | Path,
    grid: RadarGrid | None = None,
    *,
    datum: str | float | None = None,
) -> Dem:
    """Read the part of a DEM that a radar grid needs.

    Parameters
    ----------
    paths : path or sequence of paths
        GeoTIFFs. The finest gives the lattice; cells missing there come from the others, whatever the
        order of the names. Area and Point rasters are told apart by rasterio.
    grid : RadarGrid, optional
        What is to be covered; without it all of the finest tile's lattice that the tiles span.
    datum : str or float, optional
        See :func:`mosart.geometry.orbit.datum.resolve_datum`.

    Returns
    -------
    Dem
        Ellipsoidal heights; holes stay NaN.

    Raises
    ------
    InputError
        If a file cannot be read, has no CRS or an unusable datum, or none meets the grid.
    """
    names = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    if not names:
        raise InputError("no DEM was named", expected="one or more GeoTIFFs")
    tiles = [open_tile(p, datum) for p in names]
    tiles.sort(key=lambda t: (round(t.spacing, 6), t.horizontal.to_wkt(), t.transform, str(t.path)))
    lattice = tiles[0]
    places = footprint(grid) if grid is not None else np.concatenate([corners(t) for t in tiles])
    centre = float(np.degrees(np.angle(np.exp(1j * np.radians(places[:, 0])).sum())))
    x, y = to_crs(lattice.horizontal, places[:, 0], places[:, 1], centre)
    good = np.isfinite(x) & np.isfinite(y)
    inverse = inverse_of(lattice.transform)
    cc = inverse[0, 0] * x[good] + inverse[0, 1] * y[good] + inverse[0, 2]
    rr = inverse[1, 0] * x[good] + inverse[1, 1] * y[good] + inverse[1, 2]
    margin = MARGIN if grid is not None else 0
    box = (
        int(np.floor(rr.min() + 0.5)) - margin,
        int(np.ceil(rr.max() + 0.5)) + margin,
        int(np.floor(cc.min() + 0.5)) - margin,
        int(np.ceil(cc.max() + 0.5)) + margin,
    )
    box = clip_box(box, tiles, lattice, centre)
    target = np.full((box[1] - box[0], box[3] - box[2]), np.nan)
    used = []
    for tile in tiles:
        before = int(np.isnan(target).sum())
        if before == 0:
            break
        paste(target, lattice, box, tile, centre)
        if int(np.isnan(target).sum()) < before:
            used.append(tile)
    if not used:
        raise InputError(
            f"the DEM ({', '.join(str(p) for p in names)}) does not meet the scene",
            expected=f"heights around longitude {centre:.3f}, latitude {np.median(places[:, 1]):.3f}",
            hint="give a DEM of the scene; `mosart fetch` gets one",
        )
    a, b, c, d, e, f = lattice.transform
    transform = (a, b, c + a * box[2] + b * box[0], d, e, f + d * box[2] + e * box[0])
    description = "; ".join(dict.fromkeys(t.datum.told for t in used))
    logger.info("DEM heights: %s", description)
    return make_dem(target, lattice.horizontal, transform, description)


def make_dem(
    heights: NDArray[np.float64],
    crs: pyproj.CRS,
    transform: tuple[float, float, float, float, float, float],
    datum: str = "ellipsoidal",
) -> Dem:
    """Return a DEM from an array of ellipsoidal heights (NaN in holes), its CRS and transform."""
    heights = np.asarray(heights, dtype=np.float64)
    coefficients, hole = spline_coefficients(heights)
    inverse = inverse_of(transform)
    east, north = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    lut, lut_axes, west = np.zeros((1, 1, 2)), np.array([0.0, 0.0, 1.0]), 0.0
    if crs.is_geographic:
        a, b, c, _, _, _ = transform
        ny, nx = heights.shape
        west = min(c + a * i + b * j for i in (0, nx) for j in (0, ny))
    else:
        lut, lut_axes, east, north = _table(heights.shape, crs, transform)
    surface = Surface(
        coefficients, hole, bool(crs.is_geographic), inverse.ravel(), west, lut, lut_axes, east, north
    )
    return Dem(heights, crs, transform, datum, surface)


def _table(
    shape: tuple[int, ...], crs: pyproj.CRS, transform: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows of a projected DEM over the tangent plane in its middle."""
    a, b, c, d, e, f = transform
    columns, rows = np.meshgrid(np.linspace(0, shape[1], 17), np.linspace(0, shape[0], 17))
    to_geographic = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to_geographic.transform(a * columns + b * rows + c, d * columns + e * rows + f)
    lam, phi = np.radians(lon), np.radians(lat)
    normals = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)
    up = normals.reshape(-1, 3).mean(axis=0)
    up /= np.linalg.norm(up)
    helper = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    east = np.cross(helper, up)
    east /= np.linalg.norm(east)
    north = np.cross(up, east)
    u, v = A * normals @ east, A * normals @ north
    step = max(_TABLE_STEP, float(max(np.ptp(u), np.ptp(v))) / 3000.0)
    u0, v0 = float(u.min()) - 2 * step, float(v.min()) - 2 * step
    nu = int((float(u.max()) - u0) / step) + 4
    nv = int((float(v.max()) - v0) / step) + 4
    uu, vv = np.meshgrid(u0 + step * np.arange(nu), v0 + step * np.arange(nv))
    w = np.sqrt(np.maximum(1.0 - (uu**2 + vv**2) / A**2, 1e-6))
    n = (uu[..., None] * east + vv[..., None] * north) / A + w[..., None] * up
    lon = np.degrees(np.arctan2(n[..., 1], n[..., 0]))
    lat = np.degrees(np.arctan2(n[..., 2], np.hypot(n[..., 0], n[..., 1])))
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    x, y = np.asarray(x), np.asarray(y)
    inverse = inverse_of(transform)
    lut = np.stack(
        [
            inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2],
            inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2],
        ],
        axis=-1,
    )
    return np.ascontiguousarray(lut), np.array([u0, v0, step]), east, north


def coverage(grid: RadarGrid, dem: Dem) -> float:
    """Fraction of a radar grid for which the DEM has heights, from a lattice of 41 × 41 pixels."""
    rows = np.linspace(0, grid.rows - 1, min(41, grid.rows))[:, None]
    columns = np.linspace(0, grid.columns - 1, min(41, grid.columns))
    height: NDArray[np.float64] | float = float(np.nanmean(dem.heights))
    found = np.zeros(0)
    for _ in range(3):
        lon, lat, _h = from_ecef(rdr2geo_height(grid, rows, columns, height))
        found = dem.sample(lon, lat)
        height = np.where(np.isfinite(found), found, np.nanmean(dem.heights))
    return float(np.isfinite(found).mean())
