"""Tiles of a DEM: opened, read as ellipsoidal heights, and pasted onto one lattice."""

from __future__ import annotations

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
from .ellipsoid import A
from .surface import spline_at, spline_coefficients

#: Heights outside are no land: holes that the file does not name, as −9999 or −32768.
_LOWEST, _HIGHEST = -1000.0, 9500.0
#: Cells that a window is read beyond what it must hold.
MARGIN = 8


@dataclass(frozen=True)
class Tile:
    """A GeoTIFF of heights: where it lies, what its heights mean, and how fine it is (metres)."""

    path: Path
    crs: pyproj.CRS
    horizontal: pyproj.CRS
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]
    nodata: float | None
    datum: Datum
    spacing: float


def open_tile(path: Path, override: str | float | None) -> Tile:
    """Read what a tile says of itself.

    Parameters
    ----------
    path : Path
        GeoTIFF.
    override : str or float or None
        Vertical datum that the user named.

    Returns
    -------
    Tile

    Raises
    ------
    InputError
        If it cannot be read, is not georeferenced, or its datum cannot be used.
    """
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
    return Tile(path, crs, horizontal, transform, shape, nodata, datum, spacing)


def inverse_of(t: tuple[float, ...]) -> NDArray[np.float64]:
    """Column and row of the cell centre from x and y: two rows of three numbers."""
    m = np.linalg.inv(np.array([[t[0], t[1], t[2]], [t[3], t[4], t[5]], [0.0, 0.0, 1.0]]))
    m[0, 2] -= 0.5
    m[1, 2] -= 0.5
    return m[:2]


def to_crs(
    horizontal: pyproj.CRS, lon: NDArray[np.float64], lat: NDArray[np.float64], centre: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions in a CRS; longitudes of a geographic one are unwrapped about ``centre``."""
    transformer = pyproj.Transformer.from_crs("EPSG:4326", horizontal, always_xy=True)
    x, y = transformer.transform(lon, lat)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if horizontal.is_geographic:
        x = (x - centre + 180.0) % 360.0 - 180.0 + centre
    return x, y


def _pieces(tile: Tile) -> list[tuple[float, ...]]:
    """Return the tile's transform, and for geographic ones also those a whole turn away."""
    if not tile.horizontal.is_geographic:
        return [tile.transform]
    t = tile.transform
    return [(t[0], t[1], t[2] + turn, *t[3:]) for turn in (-360.0, 0.0, 360.0)]


def _read(tile: Tile, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
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


def paste(
    target: NDArray[np.float64], lattice: Tile, box: tuple[int, int, int, int], tile: Tile, centre: float
) -> None:
    """Fill the target's holes (a box of the lattice) from a tile."""
    row0, row1, column0, column1 = box
    for transform in _pieces(tile):
        if tile.horizontal == lattice.horizontal:
            inverse = inverse_of(transform)
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
    lattice: Tile,
    box: tuple[int, int, int, int],
    tile: Tile,
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
        x, y = to_crs(tile.horizontal, np.asarray(lon), np.asarray(lat), centre)
    inverse = inverse_of(transform)
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
    r0 = max(int(rr[inside].min()) - MARGIN, 0)
    r1 = min(int(rr[inside].max()) + MARGIN + 2, tile.shape[0])
    c0 = max(int(cc[inside].min()) - MARGIN, 0)
    c1 = min(int(cc[inside].max()) + MARGIN + 2, tile.shape[1])
    coefficients, hole = spline_coefficients(_read(tile, (r0, r1, c0, c1)))
    work = np.empty((4, 4))
    values = np.array(
        [
            spline_at(coefficients, hole, float(q), float(p), work)[0]
            for q, p in zip(cc[inside] - c0, rr[inside] - r0)
        ]
    )
    target[inside] = values


def corners(tile: Tile) -> NDArray[np.float64]:
    """Longitude and latitude of a lattice of nine by nine places over a tile."""
    a, b, c, d, e, f = tile.transform
    columns, rows = np.meshgrid(
        np.linspace(0.5, tile.shape[1] - 0.5, 9), np.linspace(0.5, tile.shape[0] - 0.5, 9)
    )
    x, y = (a * columns + b * rows + c).ravel(), (d * columns + e * rows + f).ravel()
    if tile.horizontal.is_geographic:
        return np.stack([x, y], axis=-1)
    lon, lat = pyproj.Transformer.from_crs(tile.horizontal, "EPSG:4326", always_xy=True).transform(x, y)
    return np.stack([lon, lat], axis=-1)


def clip_box(
    box: tuple[int, int, int, int], tiles: list[Tile], lattice: Tile, centre: float
) -> tuple[int, int, int, int]:
    """Cut the box to what the tiles span, so that a short DEM makes no array of empty cells."""
    inverse = inverse_of(lattice.transform)
    spans = []
    for tile in tiles:
        places = corners(tile)
        x, y = to_crs(lattice.horizontal, places[:, 0], places[:, 1], centre)
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
