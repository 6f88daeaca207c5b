"""From arrays to the Stack that a user would have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.masks import MASK_ATTRS
from mosart.stack import ATTRIBUTES, Stack

from .radar import Array, Swath
from .terrain import Terrain

if TYPE_CHECKING:
    from .scene import Scene

#: Bytes of one chunk of the amplitude.
CHUNK_BYTES = 16_000_000


def positions(terrain: Terrain, swath: Swath, ground_range: Array) -> tuple[Array, Array]:
    """Find longitude and latitude of the pixels.

    Parameters
    ----------
    terrain : Terrain
        Gives the projection.
    swath : Swath
        Gives the rows.
    ground_range : ndarray
        (azimuth, range) metres.

    Returns
    -------
    longitude, latitude : ndarray
        (azimuth, range) degrees.
    """
    longitude, latitude = np.empty_like(ground_range), np.empty_like(ground_range)
    rows = chunk_rows(swath)
    for start in range(0, swath.rows, rows):
        part = slice(start, min(start + rows, swath.rows))
        longitude[part], latitude[part] = terrain.to_lonlat(*swath.to_ground(ground_range[part], part))
    return longitude, latitude


def chunk_rows(swath: Swath) -> int:
    """Rows of a chunk of the amplitude."""
    return max(1, min(swath.rows, CHUNK_BYTES // (4 * swath.columns)))


def assemble(scene: Scene, amplitude: NDArray[np.float32], ground_range: Array, height: Array) -> Stack:
    """Make a stack of a scene's arrays.

    Parameters
    ----------
    scene : Scene
        Geometry and dates.
    amplitude : ndarray of float32
        (date, azimuth, range).
    ground_range, height : ndarray
        (azimuth, range) metres, of the coded DEM.

    Returns
    -------
    Stack
        With dask arrays over those given, and no bit of the mask set.
    """
    swath = scene.swath
    rows = chunk_rows(swath)
    chunks = (1, rows, swath.columns)
    dims = ("date", "azimuth", "range")
    longitude, latitude = positions(scene.terrain, swath, ground_range)
    variables: dict[str, Any] = {
        "amplitude": (dims, da.from_array(amplitude, chunks=chunks, name=False)),
        "mask": (dims, da.zeros(amplitude.shape, dtype=np.uint8, chunks=chunks), MASK_ATTRS),
    }
    for name, plane in {"height": height, "longitude": longitude, "latitude": latitude}.items():
        variables[name] = (dims[1:], da.from_array(plane, chunks=chunks[1:], name=False))
    attrs: dict[str, Any] = dict.fromkeys(ATTRIBUTES, "unknown") | {"source": "simulation"}
    if scene.metadata:
        angle = da.full(height.shape, scene.radar.incidence_angle, chunks=chunks[1:])
        variables["incidence_angle"] = (dims[1:], angle)
        attrs |= known_attributes(scene)
    coords = {
        "date": np.array(sorted(scene.changes), dtype="datetime64[ns]"),
        "azimuth": np.arange(swath.rows),
        "range": np.arange(swath.columns),
    }
    return Stack(xr.Dataset(variables, coords=coords, attrs=attrs))


def known_attributes(scene: Scene) -> dict[str, Any]:
    """Attributes of a stack that says what it is."""
    swath, radar = scene.swath, scene.radar
    return {
        "sensor": radar.name,
        "orbit_direction": "ascending" if swath.flight[1] >= 0 else "descending",
        "look_direction": swath.look_direction,
        "heading": swath.heading,
        "wavelength": radar.wavelength,
        "incidence_angle": radar.incidence_angle,
        "range_spacing": radar.range_spacing,
        "azimuth_spacing": radar.azimuth_spacing,
        "radiometric_scale": "beta nought" if scene.radiometry.scale == 1.0 else "unknown",
        "dem_date": f"{min(scene.changes)}",
        "dem_vertical_datum": "ellipsoid",
    }
