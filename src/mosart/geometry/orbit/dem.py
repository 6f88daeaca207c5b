"""DEMs from GeoTIFFs: one or several tiles, any CRS, made one surface of ellipsoidal heights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from mosart.errors import InputError

from .datum import Datum, resolve_datum
from .ellipsoid import A, from_ecef, normal_and_height, to_ecef
from .grid import RadarGrid
from .project import rdr2geo_height
from .surface import Surface, sample_many, spline_at, spline_coefficients

logger = logging.getLogger(__name__)

#: Heights outside are no land: holes that the file does not name, as −9999 or −32768.
_LOWEST, _HIGHEST = -1000.0, 9500.0
_MARGIN = 8
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


@dataclass(frozen=True)
class _Tile:
    path: Path
    crs: pyproj.CRS
    horizontal: pyproj.CRS
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]
    nodata: float | None
    datum: Datum
    spacing: float


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


def _open_tile(path: Path, override: str | float | None) -> _Tile:
    try:
        # Version 1.0 GeoTIFFs hide their vertical CRS without this option.
        with rasterio.Env(GTIFF_REPORT_COMPD_CS=True), rasterio.open(path) as source:
            if source.crs is None:
                raise InputError(f"{path}: the DEM has no CRS", hint="add one (`gdal_edit.py -a_srs EPSG:…`)")
            crs = pyproj.CRS.from_wkt(source.crs.to_wkt(version="WKT2_2019"))
            t = source.transform
            shape = (source.height, source.width)
            nodata = source.nodata
            unit = (source.units[0] or "") if source.units else ""
            if np.dtype(source.dtypes[0]).kind not in "iuf":
                raise InputError(f"{path}: heights of type {source.dtypes[0]}", expected="real numbers")
    except RasterioError as error:
        raise InputError(f"{path}: cannot be read as a DEM", got=str(error), expected="a GeoTIFF") from None
    if t.is_identity or t.determinant == 0:
        raise InputError(f"{path}: the DEM is not georeferenced")
    horizontal = crs.sub_crs_list[0] if crs.is_compound else crs.to_2d()
    if not (horizontal.is_geographic or horizontal.is_projected):
        raise InputError(f"{path}: CRS {crs.name}", expected="a geographic or projected CRS")
    datum = resolve_datum(crs, unit, override, str(path))
    scale = (
        np.radians(1.0) * A if horizontal.is_geographic else horizontal.axis_info[0].unit_conversion_factor
    )
    spacing = float(np.sqrt(abs(t.determinant))) * float(scale)
    transform = (float(t.a), float(t.b), float(t.c), float(t.d), float(t.e), float(t.f))
    return _Tile(path, crs, horizontal, transform, shape, nodata, datum, spacing)


def _inverse(t: tuple[float, ...]) -> NDArray[np.float64]:
    """Column and row of the cell centre from x and y: two rows of three numbers."""
    m = np.linalg.inv(np.array([[t[0], t[1], t[2]], [t[3], t[4], t[5]], [0.0, 0.0, 1.0]]))
    m[0, 2] -= 0.5
    m[1, 2] -= 0.5
    return m[:2]


def _to_crs(
    horizontal: pyproj.CRS, lon: NDArray[np.float64], lat: NDArray[np.float64], centre: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions in a CRS; longitudes of a geographic one are unwrapped about ``centre``."""
    transformer = pyproj.Transformer.from_crs("EPSG:4326", horizontal, always_xy=True)
    x, y = transformer.transform(lon, lat)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if horizontal.is_geographic:
        x = (x - centre + 180.0) % 360.0 - 180.0 + centre
    return x, y


def _pieces(tile: _Tile) -> list[tuple[float, ...]]:
    """Return the tile's transform, and for geographic ones also those a whole turn away."""
    if not tile.horizontal.is_geographic:
        return [tile.transform]
    t = tile.transform
    return [(t[0], t[1], t[2] + turn, *t[3:]) for turn in (-360.0, 0.0, 360.0)]


def _read(tile: _Tile, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Ellipsoidal heights of a box (row0, row1, column0, column1) of a tile, NaN in holes."""
    row0, row1, column0, column1 = box
    try:
        with rasterio.open(tile.path) as source:
            raw = source.read(1, window=Window(column0, row0, column1 - column0, row1 - row0))
    except RasterioError as error:
        raise InputError(f"{tile.path}: the DEM cannot be read", got=str(error)) from None
    heights: NDArray[np.float64] = raw.astype(np.float64)
    if tile.nodata is not None and np.isfinite(tile.nodata):
        heights[raw == np.asarray(tile.nodata).astype(raw.dtype)] = np.nan
    heights *= tile.datum.factor
    with np.errstate(invalid="ignore"):
        heights[~((heights > _LOWEST) & (heights < _HIGHEST))] = np.nan
    if tile.datum.transformer is None:
        heights += tile.datum.offset
        return heights
    # The separation is smooth: on a lattice of about 500 m, linear between.
    step = max(1, int(500.0 / max(tile.spacing, 1.0)))
    rows = np.unique(np.append(np.arange(0, heights.shape[0], step), heights.shape[0] - 1))
    columns = np.unique(np.append(np.arange(0, heights.shape[1], step), heights.shape[1] - 1))
    a, b, c, d, e, f = tile.transform
    cc, rr = np.meshgrid(columns + column0 + 0.5, rows + row0 + 0.5)
    coarse = tile.datum.separation(a * cc + b * rr + c, d * cc + e * rr + f)
    by_column = np.stack([np.interp(np.arange(heights.shape[1]), columns, line) for line in coarse], axis=0)
    index = np.arange(heights.shape[0])
    low = np.clip(np.searchsorted(rows, index, side="right") - 1, 0, max(rows.size - 2, 0))
    high = np.minimum(low + 1, rows.size - 1)
    span = np.maximum(rows[high] - rows[low], 1)
    weight = ((index - rows[low]) / span)[:, None]
    heights += by_column[low] * (1 - weight) + by_column[high] * weight
    return heights


def _paste(
    target: NDArray[np.float64], lattice: _Tile, box: tuple[int, int, int, int], tile: _Tile, centre: float
) -> None:
    """Fill the target's holes (a box of the lattice) from a tile."""
    row0, row1, column0, column1 = box
    for transform in _pieces(tile):
        if tile.horizontal == lattice.horizontal:
            inverse = _inverse(transform)
            a, b, c, d, e, f = lattice.transform
            # Column and row of the tile as an affine function of those of the lattice.
            m = inverse[:, :2] @ np.array([[a, b], [d, e]])
            start = inverse @ np.array([a * 0.5 + b * 0.5 + c, d * 0.5 + e * 0.5 + f, 1.0])
            shift = np.round(start)
            size = max(row1 - row0, column1 - column0)
            aligned = np.allclose(m, np.eye(2), atol=1e-3 / max(size, 1)) and np.allclose(
                start, shift, atol=1e-3
            )
            if aligned:
                dc, dr = int(shift[0]), int(shift[1])
                r0, r1 = max(row0 + dr, 0), min(row1 + dr, tile.shape[0])
                c0, c1 = max(column0 + dc, 0), min(column1 + dc, tile.shape[1])
                if r0 >= r1 or c0 >= c1:
                    continue
                heights = _read(tile, (r0, r1, c0, c1))
                view = target[r0 - dr - row0 : r1 - dr - row0, c0 - dc - column0 : c1 - dc - column0]
                np.copyto(view, heights, where=np.isnan(view))
                continue
        _resample(target, lattice, box, tile, transform, centre)


def _resample(  # noqa: PLR0917
    target: NDArray[np.float64],
    lattice: _Tile,
    box: tuple[int, int, int, int],
    tile: _Tile,
    transform: tuple[float, ...],
    centre: float,
) -> None:
    """Fill the target's holes from a tile of another lattice, by its cubic spline."""
    row0, row1, column0, column1 = box
    a, b, c, d, e, f = lattice.transform
    columns, rows = np.meshgrid(np.arange(column0, column1) + 0.5, np.arange(row0, row1) + 0.5)
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    if tile.horizontal != lattice.horizontal:
        back = pyproj.Transformer.from_crs(lattice.horizontal, "EPSG:4326", always_xy=True)
        lon, lat = back.transform(x, y)
        x, y = _to_crs(tile.horizontal, np.asarray(lon), np.asarray(lat), centre)
    inverse = _inverse(transform)
    cc = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
    rr = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
    inside = (
        np.isnan(target)
        & (cc >= -0.5)
        & (rr >= -0.5)
        & (cc <= tile.shape[1] - 0.5)
        & (rr <= tile.shape[0] - 0.5)
    )
    if not inside.any():
        return
    r0 = max(int(rr[inside].min()) - _MARGIN, 0)
    r1 = min(int(rr[inside].max()) + _MARGIN + 2, tile.shape[0])
    c0 = max(int(cc[inside].min()) - _MARGIN, 0)
    c1 = min(int(cc[inside].max()) + _MARGIN + 2, tile.shape[1])
    coefficients, hole = spline_coefficients(_read(tile, (r0, r1, c0, c1)))
    work = np.empty((4, 4))
    values = np.array(
        [
            spline_at(coefficients, hole, float(q), float(p), work)[0]
            for q, p in zip(cc[inside] - c0, rr[inside] - r0)
        ]
    )
    target[inside] = values


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
    tiles = [_open_tile(p, datum) for p in names]
    tiles.sort(key=lambda t: (round(t.spacing, 6), t.horizontal.to_wkt(), t.transform, str(t.path)))
    lattice = tiles[0]
    places = footprint(grid) if grid is not None else np.concatenate([_corners(t) for t in tiles])
    centre = float(np.degrees(np.angle(np.exp(1j * np.radians(places[:, 0])).sum())))
    x, y = _to_crs(lattice.horizontal, places[:, 0], places[:, 1], centre)
    good = np.isfinite(x) & np.isfinite(y)
    inverse = _inverse(lattice.transform)
    cc = inverse[0, 0] * x[good] + inverse[0, 1] * y[good] + inverse[0, 2]
    rr = inverse[1, 0] * x[good] + inverse[1, 1] * y[good] + inverse[1, 2]
    margin = _MARGIN if grid is not None else 0
    box = (
        int(np.floor(rr.min() + 0.5)) - margin,
        int(np.ceil(rr.max() + 0.5)) + margin,
        int(np.floor(cc.min() + 0.5)) - margin,
        int(np.ceil(cc.max() + 0.5)) + margin,
    )
    box = _clip(box, tiles, lattice, centre)
    target = np.full((box[1] - box[0], box[3] - box[2]), np.nan)
    used = []
    for tile in tiles:
        before = int(np.isnan(target).sum())
        if before == 0:
            break
        _paste(target, lattice, box, tile, centre)
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
    description = "; ".join(dict.fromkeys(t.datum.description for t in used))
    logger.info("DEM heights: %s", description)
    return make_dem(target, lattice.horizontal, transform, description)


def _corners(tile: _Tile) -> NDArray[np.float64]:
    a, b, c, d, e, f = tile.transform
    columns, rows = np.meshgrid(
        np.linspace(0.5, tile.shape[1] - 0.5, 9), np.linspace(0.5, tile.shape[0] - 0.5, 9)
    )
    x, y = (a * columns + b * rows + c).ravel(), (d * columns + e * rows + f).ravel()
    if tile.horizontal.is_geographic:
        return np.stack([x, y], axis=-1)
    lon, lat = pyproj.Transformer.from_crs(tile.horizontal, "EPSG:4326", always_xy=True).transform(x, y)
    return np.stack([lon, lat], axis=-1)


def _clip(
    box: tuple[int, int, int, int], tiles: list[_Tile], lattice: _Tile, centre: float
) -> tuple[int, int, int, int]:
    """Cut the box to what the tiles span, so that a short DEM makes no array of empty cells."""
    inverse = _inverse(lattice.transform)
    spans = []
    for tile in tiles:
        places = _corners(tile)
        x, y = _to_crs(lattice.horizontal, places[:, 0], places[:, 1], centre)
        if tile.horizontal.is_geographic and lattice.horizontal.is_geographic:
            span = abs(tile.transform[0]) * tile.shape[1]
            if span > 180.0 or x.max() - x.min() > span + 1.0:
                return box
        cc = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
        rr = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
        # Curved outlines reach a little beyond their lattice of nine by nine places.
        slack = 2 + 0.02 * max(np.ptp(cc), np.ptp(rr)) if tile.horizontal != lattice.horizontal else 2
        spans.append((rr.min() - slack, rr.max() + slack, cc.min() - slack, cc.max() + slack))
    every = np.array(spans)
    lowest, highest = every.min(axis=0), every.max(axis=0)
    clipped = (
        max(box[0], int(np.floor(lowest[0]))),
        min(box[1], int(np.ceil(highest[1])) + 1),
        max(box[2], int(np.floor(lowest[2]))),
        min(box[3], int(np.ceil(highest[3])) + 1),
    )
    if clipped[0] >= clipped[1] or clipped[2] >= clipped[3]:
        return (box[0], box[0] + 1, box[2], box[2] + 1)
    return clipped


def make_dem(
    heights: NDArray[np.float64],
    crs: pyproj.CRS,
    transform: tuple[float, float, float, float, float, float],
    datum: str = "ellipsoidal",
) -> Dem:
    """Return a DEM from an array of ellipsoidal heights (NaN in holes), its CRS and transform."""
    heights = np.asarray(heights, dtype=np.float64)
    coefficients, hole = spline_coefficients(heights)
    inverse = _inverse(transform)
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
    inverse = _inverse(transform)
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


__all__ = ["Dem", "coverage", "footprint", "load_dem", "make_dem", "normal_and_height", "to_ecef"]
