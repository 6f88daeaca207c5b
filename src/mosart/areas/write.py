"""Areas as GeoJSON (RFC 7946), and back without a loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from mosart.errors import InputError
from mosart.io.atomic import atomic_path
from mosart.stack import Stack

from .area import Area, Areas


def write_areas(areas: Areas, path: Path, stack: Stack | None = None) -> None:
    """Write areas as GeoJSON, whole or not at all.

    Parameters
    ----------
    areas : Areas
        Longitudes go on beyond 180° where an area crosses it.
    path : Path
        The file.
    stack : Stack, optional
        Its longitude and latitude outline pixel boxes; without them a pixel box has no geometry, and its
        pixels are told as a property.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    features = []
    for area in areas.areas:
        told: dict[str, Any] = {"name": area.name, "kind": area.kind}
        if area.pixels is not None:
            told["pixels"] = list(area.pixels)
        if area.degrees_or_pixels is not None:
            told["degrees_or_pixels"] = list(area.degrees_or_pixels)
        shape = _shape(area, stack)
        geometry = None if shape is None else json.loads(shapely.to_geojson(shape))
        features.append({"type": "Feature", "properties": told, "geometry": geometry})
    content = {"type": "FeatureCollection", "features": features}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_written_areas(path: Path) -> Areas:
    """Read areas as :func:`write_areas` wrote them.

    Parameters
    ----------
    path : Path
        GeoJSON.

    Returns
    -------
    Areas
        The same, whatever became of the files that they were once read from.

    Raises
    ------
    InputError
        If the file is missing or something else.
    """
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        return Areas(tuple(_area(feature) for feature in features))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        raise InputError(
            f"{path} cannot be read as the areas of a run",
            expected="GeoJSON as a run leaves it",
            got=str(error),
        ) from error


def _area(feature: dict[str, Any]) -> Area:
    told = feature["properties"]
    parts: tuple[shapely.Geometry, ...] = ()
    pixels, numbers = told.get("pixels"), told.get("degrees_or_pixels")
    if pixels is None and numbers is None:
        parts = tuple(shapely.get_parts(shapely.geometry.shape(feature["geometry"])).tolist())
        for part in parts:
            shapely.prepare(part)
    return Area(
        str(told["name"]),
        str(told["kind"]),
        parts,
        None if pixels is None else (int(pixels[0]), int(pixels[1]), int(pixels[2]), int(pixels[3])),
        None if numbers is None else (float(numbers[0]), float(numbers[1])),
    )


def _shape(area: Area, stack: Stack | None) -> shapely.Geometry | None:
    """Give an area's geometry in degrees, where that is known."""
    known = stack is not None and stack.has_lonlat
    if area.degrees_or_pixels is not None:
        return shapely.Point(area.degrees_or_pixels) if area.kind == "point" and known else None
    if area.pixels is not None:
        return _outline(area.pixels, stack) if stack is not None and known else None
    if len(area.parts) == 1:
        return area.parts[0]
    points = [part for part in area.parts if isinstance(part, shapely.Point)]
    polygons = [part for part in area.parts if isinstance(part, shapely.Polygon)]
    return shapely.MultiPoint(points) if points else shapely.MultiPolygon(polygons)


def _outline(pixels: tuple[int, int, int, int], stack: Stack) -> shapely.Geometry | None:
    """Outline the centres of a pixel box's outermost pixels, going round it."""
    data = stack.dataset
    x0, x1, y0, y1 = pixels
    box = data[["longitude", "latitude"]].sel(azimuth=slice(y0, y1 - 1), range=slice(x0, x1 - 1))
    sides = (
        {"azimuth": 0}, {"range": -1}, {"azimuth": -1}, {"range": 0},
    )  # fmt: skip
    if not all(box.sizes[dim] for dim in ("azimuth", "range")):
        return None
    ring = []
    for turn, side in enumerate(sides):
        line = box.isel(side)
        places = np.column_stack([line["longitude"].values, line["latitude"].values])
        ring.append(places[::-1] if turn > 1 else places)
    places = np.concatenate(ring)
    places = places[np.isfinite(places).all(axis=1)]
    if len(places) < 3:
        return None
    places[:, 0] = np.unwrap(places[:, 0], period=360.0)
    return shapely.Polygon(places)
