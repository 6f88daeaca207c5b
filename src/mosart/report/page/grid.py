"""Where the page's map lies: axes, positions in degrees, areas of cells, and how its errors go together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from mosart.areas import Areas
from mosart.areas.grid import map_crs
from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.geometry.ground import metres_per_degree
from mosart.report.raster import block_bits
from mosart.report.view import View, view_of

Floats = NDArray[np.float64]

#: Nodes a side of the lattice of longitudes and latitudes.
LATTICE = 17
#: Lags of a correlation that the page gets.
LAGS = 64


@dataclass(frozen=True)
class Frame:
    """The grid of the page's map.

    Parameters
    ----------
    kind : str
        ``map`` or ``radar``.
    crs : str
        Name of the coordinate system; empty on the radar grid.
    x, y : tuple of float
        Centre of the first cell of the page, and step.
    cell_area : ndarray, (rows,) or None
        Square metres of a cell of each row; None where there is no map.
    lattice : dict or None
        Coordinates and degrees of the nodes of a coarse lattice.
    view : View
        Directions of north and of the look, metres of a unit.
    geographic : bool
        Whether coordinates are degrees.
    """

    kind: str
    crs: str
    x: tuple[float, float]
    y: tuple[float, float]
    cell_area: Floats | None
    lattice: dict[str, Any] | None
    view: View
    geographic: bool


def frame_of(data: xr.Dataset, block: int, shape: tuple[int, int], look: float | None) -> Frame:
    """Find where the cells of a page lie.

    Parameters
    ----------
    data : xarray.Dataset
        The change, on a map or on the radar grid.
    block : int
        Cells a side that one cell of the page is the mean of.
    shape : tuple of int
        Rows and columns of the page's map.
    look : float or None
        Bearing the radar looks to, degrees clockwise from north.

    Returns
    -------
    Frame
    """
    view = view_of(data, look)
    if "y" not in data.dims:
        x, y = _axis(data, "range", block), _axis(data, "azimuth", block)
        return Frame("radar", "", x, y, None, _radar_lattice(data), view, False)
    x, y = _axis(data, "x", block), _axis(data, "y", block)
    crs = map_crs(data)
    area = np.full(shape[0], abs(x[1] * y[1]))
    if crs.is_geographic:
        east, north = metres_per_degree(y[0] + y[1] * np.arange(shape[0], dtype=np.float64))
        area = area * east * north
    return Frame("map", crs.name, x, y, area, _map_lattice(crs, x, y, shape), view, bool(crs.is_geographic))


def _axis(data: xr.Dataset, dim: str, block: int) -> tuple[float, float]:
    """Centre of the first block, and the step between blocks."""
    centres = data[dim].values.astype(np.float64) if dim in data.coords else np.arange(float(data.sizes[dim]))
    step = (centres[-1] - centres[0]) / (centres.size - 1) if centres.size > 1 else _single_step(data, dim)
    return float(centres[0] + 0.5 * (block - 1) * step), float(step * block)


def _single_step(data: xr.Dataset, dim: str) -> float:
    mapping = data["spatial_ref"].attrs if "spatial_ref" in data.variables else {}
    if dim in ("x", "y") and "GeoTransform" in mapping:
        numbers = [float(number) for number in str(mapping["GeoTransform"]).split()]
        return numbers[1] if dim == "x" else numbers[5]
    return 1.0


def _map_lattice(
    crs: CRS, x: tuple[float, float], y: tuple[float, float], shape: tuple[int, int]
) -> dict[str, Any]:
    xs = np.linspace(x[0] - 0.5 * x[1], x[0] + (shape[1] - 0.5) * x[1], LATTICE)
    ys = np.linspace(y[0] - 0.5 * y[1], y[0] + (shape[0] - 0.5) * y[1], LATTICE)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(xs, ys))
    lon = np.asarray(lon, np.float64)
    middle = lon[LATTICE // 2, LATTICE // 2]
    lon = middle + (lon - middle + 180.0) % 360.0 - 180.0
    return _lattice(xs, ys, lon, np.asarray(lat, np.float64))


def _radar_lattice(data: xr.Dataset) -> dict[str, Any] | None:
    """Give positions of radar pixels, coarsely; they are shown, nothing is computed with them."""
    if "longitude" not in data or min(data.sizes["azimuth"], data.sizes["range"]) < 2:
        return None
    picks = {
        dim: np.unique(np.linspace(0, data.sizes[dim] - 1, LATTICE).round().astype(int))
        for dim in ("azimuth", "range")
    }
    part = data[["longitude", "latitude"]].isel(picks).transpose("azimuth", "range").load()
    lon, lat = (part[name].values.astype(np.float64) for name in ("longitude", "latitude"))
    if not np.isfinite(lon + lat).all():
        return None
    lon = lon[0, 0] + (lon - lon[0, 0] + 180.0) % 360.0 - 180.0
    axes = [
        part[dim].values.astype(np.float64) if dim in part.coords else picks[dim].astype(np.float64)
        for dim in ("range", "azimuth")
    ]
    return _lattice(axes[0], axes[1], lon, lat)


def _lattice(xs: Floats, ys: Floats, lon: Floats, lat: Floats) -> dict[str, Any]:
    return {
        "x": xs.tolist(),
        "y": ys.tolist(),
        "lon": np.round(lon, 9).ravel().tolist(),
        "lat": np.round(lat, 9).ravel().tolist(),
    }


def correlations(
    change: ElevationChange, data: xr.Dataset, areas: Areas | None = None
) -> list[dict[str, Any]]:
    """Measure how errors go together, for the volumes of polygons that are drawn on the page.

    Parameters
    ----------
    change : ElevationChange
        On the radar grid where there is one, for there errors are stripes along range.
    data : xarray.Dataset
        The map.
    areas : Areas, optional
        Ground that is not taken as stable where the result does not name its stable ground.

    Returns
    -------
    list of dict
        Of each date: ``variance`` (of standardised errors), ``pixels`` measured on (0: unknown, taken as
        one error shared by all), and for both axes of the grid (``first``, ``second``) the direction
        (``east``, ``north``: a unit vector), and lags in metres with their correlation.
    """
    steps = _steps(change, data)
    exclude = focus_of(areas, change.dataset)
    found = []
    for date in change.dates:
        measured = change.correlation(date, exclude)
        axes = {}
        for name, rho, (east, north) in zip(
            ("first", "second"), (measured.azimuth, measured.range), steps, strict=True
        ):
            length = math.hypot(east, north)
            lags = np.unique(np.linspace(0, rho.size - 1, min(LAGS, rho.size)).round().astype(int))
            axes[name] = {
                "east": east / length,
                "north": north / length,
                "lags": np.round(lags * length, 3).tolist(),
                "rho": np.round(rho[lags], 5).tolist(),
            }
        found.append({"variance": measured.variance, "pixels": measured.pixels} | axes)
    return found


def _steps(change: ElevationChange, data: xr.Dataset) -> tuple[tuple[float, float], tuple[float, float]]:
    """Metres east and north on the map from a pixel to the next, along rows' and columns' direction."""
    crs = map_crs(data)
    if change.dims == ("y", "x"):
        scale = (1.0, 1.0)
        if crs.is_geographic:
            east, north = metres_per_degree(np.array(float(data["y"].values.mean())))
            scale = float(east), float(north)
        dx, dy = _axis(data, "x", 1)[1] * scale[0], _axis(data, "y", 1)[1] * scale[1]
        return (0.0, dy), (dx, 0.0)
    radar = change.dataset[["longitude", "latitude"]]
    every = {dim: max(1, radar.sizes[dim] // 64) for dim in ("azimuth", "range")}
    part = (
        radar.isel({d: slice(None, None, s) for d, s in every.items()}).transpose("azimuth", "range").load()
    )
    lon, lat = (part[name].values.astype(np.float64) for name in ("longitude", "latitude"))
    if crs.is_geographic:
        known = lon[np.isfinite(lon)]
        lon = known[0] + (lon - known[0] + 180.0) % 360.0 - 180.0
        east, north = metres_per_degree(np.array(float(np.nanmean(lat))))
        x, y = lon * float(east), lat * float(north)
    else:
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    spacing = _number(change.dataset.attrs.get("azimuth_spacing"))
    along_range = _median_step(x, y, 1, every["range"]) or (1.0, 0.0)
    length = math.hypot(*along_range)
    across = (-along_range[1] / length * spacing, along_range[0] / length * spacing)
    return _median_step(x, y, 0, every["azimuth"]) or across, along_range


def _median_step(x: Any, y: Any, axis: int, every: int) -> tuple[float, float] | None:
    dx, dy = (np.diff(np.asarray(v, np.float64), axis=axis) for v in (x, y))
    good = np.isfinite(dx) & np.isfinite(dy)
    if not good.any():
        return None
    step = float(np.median(dx[good])) / every, float(np.median(dy[good])) / every
    return step if math.hypot(*step) > 0 else None


def _number(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        return 1.0
    return number if math.isfinite(number) and number > 0 else 1.0


def outlines(areas: Areas | None, frame: Frame, data: xr.Dataset) -> list[dict[str, Any]]:
    """Bring areas and points to the page's map.

    Parameters
    ----------
    areas : Areas or None
        Areas and points of interest.
    frame : Frame
        The page's map.
    data : xarray.Dataset
        What it shows.

    Returns
    -------
    list of dict
        Of each area that can be drawn: ``name``, ``point`` (bool), ``rings`` (lists of x and of y).
    """
    found = []
    for area in () if areas is None else areas.areas:
        rings: list[dict[str, list[float]]] = []
        if area.pixels is not None and frame.kind == "radar":
            x0, x1, y0, y1 = (float(v) - 0.5 for v in area.pixels)
            rings.append({"x": [x0, x1, x1, x0, x0], "y": [y0, y0, y1, y1, y0]})
        elif area.degrees_or_pixels is not None and frame.kind == "radar" and "longitude" not in data:
            rings.append({"x": [area.degrees_or_pixels[0]], "y": [area.degrees_or_pixels[1]]})
        elif frame.kind == "map":
            rings += _rings(area, data, frame)
        elif "longitude" in data and areas is not None:
            rings += _traced(areas, area.name, data, frame)
        if rings:
            found.append({"name": area.name, "point": len(rings[0]["x"]) == 1, "rings": rings})
    return found


def _traced(areas: Areas, name: str, data: xr.Dataset, frame: Frame) -> list[dict[str, list[float]]]:
    """Trace an area on the radar grid around the pixels that it holds."""
    from skimage.measure import find_contours

    inside = np.asarray(areas.masks(data, [name])[name], bool)
    small = block_bits(inside, max(1, round(frame.x[1] / _axis(data, "range", 1)[1])))
    if inside.sum() == 1:
        lines = [np.argwhere(small).astype(np.float64)]
    else:
        found = find_contours(np.pad(small.astype(np.float64), 1), 0.5)  # type: ignore[no-untyped-call]
        lines = [line - 1.0 for line in found]
    return [
        {
            "x": (frame.x[0] + frame.x[1] * line[:, 1]).tolist(),
            "y": (frame.y[0] + frame.y[1] * line[:, 0]).tolist(),
        }
        for line in lines
    ]


def _rings(area: Any, data: xr.Dataset, frame: Frame) -> list[dict[str, list[float]]]:
    import shapely

    parts = list(area.parts)
    if area.degrees_or_pixels is not None:
        parts = [shapely.Point(*area.degrees_or_pixels)]
    transformer = Transformer.from_crs("EPSG:4326", map_crs(data), always_xy=True)
    middle = frame.x[0] + 0.5 * frame.x[1] * data.sizes["x"]
    rings = []
    for part in parts:
        lines = [part] if part.geom_type == "Point" else [part.exterior, *part.interiors]
        for line in lines:
            line = line if line.geom_type == "Point" else shapely.segmentize(line, 0.01)  # noqa: PLW2901
            lon, lat = np.asarray(line.coords, np.float64)[:, :2].T
            x, y = transformer.transform(lon, lat)
            x, y = np.atleast_1d(x), np.atleast_1d(y)
            if frame.geographic:
                x = x + 360.0 * np.round((middle - x.mean()) / 360.0)
            if np.isfinite(x + y).all():
                rings.append({"x": x.tolist(), "y": y.tolist()})
    return rings


def focus_of(areas: Areas | None, data: xr.Dataset) -> NDArray[np.bool_] | None:
    """Cells of any area, for the colour scale; None without."""
    if areas is None:
        return None
    try:
        return np.asarray(areas.union(data), bool)
    except InputError:
        return None
