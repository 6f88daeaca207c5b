"""Areas from files, boxes and points."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import shapely

from mosart.errors import InputError

from .area import Area, Areas

logger = logging.getLogger(__name__)

FORMS = (
    "a GeoJSON or GeoPackage file, lonlat=WEST,SOUTH,EAST,NORTH, pixels=RANGE0,RANGE1,AZIMUTH0,AZIMUTH1 "
    "or a point LON,LAT"
)
#: Columns that name a feature.
NAME_COLUMNS = ("name", "Name", "NAME", "title", "label", "id")


def read_areas(spec: object) -> Areas:
    """Read areas of interest, points or stable ground.

    Parameters
    ----------
    spec : path-like, str, sequence, mapping, geopandas.GeoDataFrame, or a list of these
        - a file with polygons or points that geopandas reads (GeoJSON, GeoPackage, shapefile …), in any
          coordinate reference system, holes and several parts included; across 180° either cut there
          or going on beyond it. A feature is named by its ``name`` column, else by the file and its number;
        - ``"lonlat=W,S,E,N"`` or four numbers: a box in degrees, bounded by meridians and parallels; across
          180° if west > east or east > 180;
        - ``"pixels=X0,X1,Y0,Y1"``: range start and stop, azimuth start and stop in pixels of the file, the
          stops not included;
        - ``"lon,lat"`` or two numbers: a point in degrees, or range and azimuth pixel where the grid has no
          longitude and latitude; ``"point=lon,lat"``: degrees;
        - ``{"lonlat": …}``, ``{"pixels": …}`` or ``{"point": …}``, with a ``"name"`` if wanted.

    Returns
    -------
    Areas
        Doubled names are numbered.

    Raises
    ------
    InputError
        If a file is missing or cannot be read, has no coordinate reference system, neither polygons nor
        points, or coordinates that are no degrees; if a box is empty or cannot be read. It names the file or
        the box.
    """
    areas = _unique(_read(spec))
    if not areas:
        raise InputError("no area is given", expected=FORMS)
    return Areas(tuple(areas))


def _read(spec: object) -> list[Area]:  # noqa: PLR0911 (one return a form)
    if isinstance(spec, Areas):
        return list(spec.areas)
    if isinstance(spec, geopandas.GeoDataFrame):
        return _from_frame(spec, "area")
    if isinstance(spec, os.PathLike):
        return _from_file(Path(spec))
    if isinstance(spec, str):
        return _from_text(spec)
    if isinstance(spec, Mapping):
        return [_from_mapping(spec)]
    if isinstance(spec, Sequence | np.ndarray) and len(spec) > 0:
        if all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in spec):
            return [_from_numbers("", [float(v) for v in spec], repr(list(spec)))]
        return [area for part in spec for area in _read(part)]
    raise InputError("an area cannot be read", expected=FORMS, got=repr(spec)[:200])


def _from_text(text: str) -> list[Area]:
    kind, equals, rest = text.partition("=")
    numbers = _numbers(rest if equals else text)
    if numbers is not None and (not equals or kind.strip() in ("lonlat", "pixels", "point")):
        return [_from_numbers(kind.strip() if equals else "", numbers, text)]
    if equals and kind.strip() in ("lonlat", "pixels", "point"):
        raise InputError(f"the area {text!r} cannot be read", expected=FORMS, got=text)
    return _from_file(Path(text))


def _from_mapping(spec: Mapping[Any, Any]) -> Area:
    kinds = [kind for kind in ("lonlat", "pixels", "point") if spec.get(kind) is not None]
    unknown = set(spec) - {"lonlat", "pixels", "point", "name"}
    if len(kinds) != 1 or unknown:
        raise InputError(
            "an area cannot be read",
            expected="one of lonlat, pixels and point, and perhaps a name",
            got=repr(spec),
        )
    values = spec[kinds[0]]
    if isinstance(values, str):
        values = _numbers(values)
    try:
        numbers = [float(v) for v in values]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the area {kinds[0]} cannot be read", expected="numbers", got=repr(values)
        ) from error
    area = _from_numbers(kinds[0], numbers, ",".join(f"{v:g}" for v in numbers))
    name = spec.get("name")
    return area if not name else Area(str(name), area.kind, area.parts, area.pixels, area.degrees_or_pixels)


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _from_numbers(kind: str, numbers: list[float], text: str) -> Area:
    wrong = InputError(f"the area {text} cannot be read", expected=FORMS, got=text)
    if not all(np.isfinite(numbers)):
        raise wrong
    if kind == "pixels":
        if len(numbers) != 4 or any(v != int(v) for v in numbers):
            raise wrong
        x0, x1, y0, y1 = (int(v) for v in numbers)
        if x1 <= x0 or y1 <= y0:
            raise InputError(
                f"the pixel box {text} is empty", expected="stops larger than their starts", got=text
            )
        return Area(f"pixels {x0},{x1},{y0},{y1}", "pixels", pixels=(x0, x1, y0, y1))
    if len(numbers) == 2 and kind in ("", "point"):
        x, y = numbers
        if kind == "" and not (abs(x) <= 360 and abs(y) <= 90):
            return Area(f"pixel {x:g},{y:g}", "pixels", degrees_or_pixels=(x, y))
        _check_degrees([x], [y], text)
        name = f"point {x:.10g},{y:.10g}"
        return Area(name, "point", degrees_or_pixels=(x, y)) if kind == "" else _point(name, x, y)
    if len(numbers) == 4 and kind in ("", "lonlat"):
        return _lonlat_box(numbers, text)
    raise wrong


def _point(name: str, x: float, y: float) -> Area:
    return Area(name, "point", parts=(shapely.Point(x, y),))


def _lonlat_box(numbers: list[float], text: str) -> Area:
    west, south, east, north = numbers
    _check_degrees([west, east], [south, north], text)
    width = east - west if 0 < east - west <= 360 else (east - west) % 360
    if south >= north or width == 0:
        raise InputError(
            f"the lon/lat box {text} is empty or upside down",
            expected="west, south, east, north in degrees",
            got=text,
        )
    if west > east and width > 180:
        raise InputError(
            f"the lon/lat box {text} goes round more than half of the globe",
            expected="west, south, east, north in degrees",
            got=text,
            hint="west and east may be swapped",
        )
    box = shapely.box(west, south, west + width, north)
    return Area(f"lonlat {west:.10g},{south:.10g},{east:.10g},{north:.10g}", "box", parts=(box,))


def _check_degrees(lon: Sequence[float] | Any, lat: Sequence[float] | Any, where: str) -> None:
    lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    if not (np.all(np.isfinite(lon)) and np.all(np.isfinite(lat))):
        raise InputError(
            f"{where}: some coordinates are not finite, or lie outside the coordinate reference system",
            expected="finite coordinates",
        )
    if lon.size and (np.abs(lon).max() > 540 or np.abs(lat).max() > 90):
        raise InputError(
            f"{where}: the coordinates are no longitudes and latitudes",
            expected="degrees; latitude within -90 to 90",
            got=f"longitude {lon.min():g} to {lon.max():g}, latitude {lat.min():g} to {lat.max():g}",
            hint="a GeoJSON without a `crs` is in degrees by its standard; write others as GeoPackage",
        )


def _from_file(path: Path) -> list[Area]:
    if not path.exists():
        raise InputError(f"{path} does not exist", expected=FORMS, got=str(path))
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            layers = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
            frames = [geopandas.read_file(path, layer=layer) for layer in layers]
    # Drivers raise errors of many kinds, and a file that is no vector file is one to the user.
    except Exception as error:
        raise InputError(
            f"{path} cannot be read as areas",
            expected="GeoJSON or GeoPackage with polygons or points",
            got=str(error),
        ) from error
    for message in dict.fromkeys(str(warning.message) for warning in said):
        logger.warning("%s: %s", path, message)
    found: list[Area] = []
    for layer, frame in zip(layers, frames, strict=True):
        name = path.stem if len(layers) == 1 else f"{path.stem} {layer}"
        found += _from_frame(frame, name, path) if isinstance(frame, geopandas.GeoDataFrame) else []
    if not found:
        raise InputError(
            f"{path} holds no area", expected="polygons or points", got="no feature with a geometry"
        )
    return found


def _from_frame(frame: geopandas.GeoDataFrame, stem: str, path: Path | None = None) -> list[Area]:
    where = str(path or stem)
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if len(frame) == 0:
        return []
    if frame.crs is None:
        raise InputError(
            f"{where} has no coordinate reference system",
            expected="a file that states it",
            hint="set it in QGIS (Layer > Set CRS) or write GeoJSON in degrees",
        )
    named = next((c for c in NAME_COLUMNS if c in frame.columns and frame[c].notna().any()), None)
    geographic = bool(frame.crs.is_geographic)
    degrees = frame.geometry.force_2d()
    if not geographic:
        # Straight in its own system is bent in degrees: short edges follow it.
        degrees = geopandas.GeoSeries(
            [shapely.segmentize(g, max(1e-9, _diagonal(g) / 100)) for g in degrees], crs=frame.crs
        )
    try:
        degrees = degrees.to_crs(4326)
    except Exception as error:
        raise InputError(
            f"{where}: the coordinate reference system cannot be brought to WGS 84", got=str(error)
        ) from error
    areas = []
    for number, geometry in enumerate(degrees):
        value = frame[named].iloc[number] if named else None
        empty = value is None or (isinstance(value, float) and np.isnan(value)) or not str(value).strip()
        name = (stem if len(frame) == 1 else f"{stem} {number + 1}") if empty else str(value).strip()
        areas.append(_from_geometry(geometry, name, where))
    return areas


def _diagonal(geometry: shapely.Geometry) -> float:
    west, south, east, north = shapely.bounds(geometry)
    return float(np.hypot(east - west, north - south))


def _from_geometry(geometry: shapely.Geometry, name: str, where: str) -> Area:
    pieces = shapely.get_parts(geometry).tolist()
    while any(hasattr(piece, "geoms") for piece in pieces):
        pieces = [p for piece in pieces for p in shapely.get_parts(piece).tolist()]
    points = [p for p in pieces if isinstance(p, shapely.Point)]
    polygons = [p for p in pieces if isinstance(p, shapely.Polygon)]
    if len(points) + len(polygons) < len(pieces) or (points and polygons) or not pieces:
        kinds = sorted({piece.geom_type for piece in pieces})
        raise InputError(
            f"{where}: {name} is no area", expected="polygons or points", got=", ".join(kinds) or "nothing"
        )
    coordinates = shapely.get_coordinates(geometry)
    _check_degrees(coordinates[:, 0], coordinates[:, 1], where)
    if points:
        return Area(name, "point", parts=tuple(points))
    return Area(name, "polygon", parts=tuple(part for p in polygons for part in _whole(p, name, where)))


def _whole(polygon: shapely.Polygon, name: str, where: str) -> list[shapely.Polygon]:
    """Bring a polygon's rings to one turn of longitude, and mend it where it crosses itself."""
    outer = _unwrapped(np.asarray(polygon.exterior.coords), name, where)
    middle = 0.5 * (outer[:, 0].min() + outer[:, 0].max())
    holes = []
    for ring in polygon.interiors:
        hole = _unwrapped(np.asarray(ring.coords), name, where)
        turn = 360.0 * np.round((middle - 0.5 * (hole[:, 0].min() + hole[:, 0].max())) / 360.0)
        holes.append(hole + np.array([turn, 0.0]))
    mended = shapely.make_valid(shapely.Polygon(outer, holes))
    parts = [part for part in shapely.get_parts(mended).tolist() if isinstance(part, shapely.Polygon)]
    for part in parts:
        shapely.prepare(part)
    return parts


def _unwrapped(ring: np.ndarray, name: str, where: str) -> np.ndarray:
    """Longitudes of a ring without a jump: no edge is longer than half a turn."""
    lon = np.unwrap(ring[:, 0], period=360.0)
    if abs(lon[-1] - lon[0]) > 180.0:
        raise InputError(
            f"{where}: {name} goes round a pole",
            expected="an area that holds no pole",
            hint="cut it along a meridian",
        )
    return np.column_stack([lon, ring[:, 1]])


def _unique(areas: list[Area]) -> list[Area]:
    seen: dict[str, int] = {}
    taken = {area.name for area in areas}
    result = []
    for area in areas:
        count = seen.get(area.name, 0) + 1
        name = area.name
        while count > 1 and name in taken:
            name = f"{area.name} {count}"
            if name in taken:
                count += 1
        seen[area.name] = count
        taken.add(name)
        result.append(Area(name, area.kind, area.parts, area.pixels, area.degrees_or_pixels))
    return result
