"""Geometry of MintPy (``geometryRadar.h5``) with images beside it."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from mosart.errors import InputError
from mosart.io import isce
from mosart.io.hdf5 import cube, open_file, tile_rows
from mosart.io.lazy import lazy
from mosart.io.names import parse_date
from mosart.masks import Flag
from mosart.stack import Stack

_PLANES = {
    "height": "height",
    "latitude": "latitude",
    "longitude": "longitude",
    "incidenceAngle": "incidence_angle",
}


def recognises(path: Path) -> bool:
    """Whether a path is MintPy's geometry in radar coordinates, or a folder with it."""
    return find_geometry(path) is not None


def find_geometry(path: Path) -> Path | None:
    """``geometryRadar.h5``: the path itself, in it, or in its ``inputs``."""
    if path.is_file():
        return path if path.name == "geometryRadar.h5" else None
    for folder in (path, path / "inputs"):
        if (folder / "geometryRadar.h5").is_file():
            return folder / "geometryRadar.h5"
    return None


def _array(path: Path, name: str) -> Any:
    with open_file(path) as file:
        source = cube(file, name)
    rows = tile_rows((source.shape[-2], source.shape[-1]), [source.chunks[-2]] if source.chunks else [])
    return lazy(source, (*(1,) * (source.ndim - 2), rows, source.shape[-1]), f"mintpy-{uuid.uuid4().hex}")


def _text(attrs: Any, key: str) -> str:
    value = attrs.get(key, "")
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _number(attrs: Any, key: str) -> float:
    try:
        return float(_text(attrs, key))
    except ValueError:
        return float("nan")


def _images(geometry: Path, images: Path | None) -> dict[dt.date, Any]:
    """Images by date: MintPy's ``slcStack.h5``, or ISCE2's ``merged/SLC``."""
    if images is None:
        images = geometry.parent / "slcStack.h5"
        if not images.is_file():
            raise InputError(
                f"{geometry} is geometry alone",
                expected="slcStack.h5 beside it, or the folder of the images",
                hint="give ISCE2's merged folder, which holds both",
            )
    if images.is_dir():
        folder = images / "SLC" if (images / "SLC").is_dir() else images
        return {
            d: isce.lazy_raster(isce.open_raster(p), np.complex64)
            for d, p in isce.find_images(folder).items()
        }
    with open_file(images) as file:
        if "slc" not in file or "date" not in file:
            raise InputError(f"{images} is no stack of SLC", expected="datasets `slc` and `date`")
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in np.atleast_1d(file["date"][()])]
        dates = [parse_date(n) for n in names]
    stack = _array(images, "slc")
    if stack.ndim != 3 or stack.shape[0] != len(dates) or len(set(dates)) != len(dates):
        raise InputError(f"{images}: `slc` and `date` do not fit", got=f"{stack.shape}, {len(dates)} dates")
    return {d: stack[k] for k, d in enumerate(dates)}


def open_mintpy(path: Path, images: Path | None = None) -> Stack:
    """Open MintPy's geometry in radar coordinates with images on the same grid.

    Parameters
    ----------
    path : Path
        ``geometryRadar.h5`` or a folder with it.
    images : Path, optional
        ``slcStack.h5``, or ISCE2's ``merged`` folder of the same grid; by default the former beside the
        geometry.

    Returns
    -------
    Stack
        Lazy, with spacing and directions from MintPy's attributes. Amplitudes are uncalibrated.

    Raises
    ------
    InputError
        If there are no images, or shapes differ.
    """
    geometry = find_geometry(path)
    if geometry is None:
        raise InputError(f"{path} is no geometry of MintPy", expected="geometryRadar.h5")
    with open_file(geometry) as file:
        attrs = {str(k): v for k, v in file.attrs.items()}
        names = set(file)
    if "height" not in names:
        raise InputError(f"{geometry} has no `height`")
    planes = {}
    for theirs, ours in _PLANES.items():
        if theirs in names:
            values = _array(geometry, theirs).astype(np.float64)
            # MintPy fills missing positions and angles with zero, but zero is a height.
            planes[ours] = values if ours == "height" else da.where(values == 0, np.nan, values)
    if ("longitude" in planes) != ("latitude" in planes):
        raise InputError(f"{geometry} has one of longitude and latitude")
    flags = []
    if "shadowMask" in names:
        flags.append((_array(geometry, "shadowMask") != 0, int(Flag.SHADOW)))
    if "waterMask" in names:
        flags.append((_array(geometry, "waterMask") == 0, int(Flag.WATER)))
    looks = _number(attrs, "RLOOKS"), _number(attrs, "ALOOKS")
    side = {"-1": "right", "1": "left"}.get(_text(attrs, "ANTENNA_SIDE").split(".")[0], "unknown")
    heading = _number(attrs, "HEADING")
    direction = _text(attrs, "ORBIT_DIRECTION").lower()
    known = {
        "sensor": _text(attrs, "PLATFORM") or "unknown",
        "polarization": _text(attrs, "POLARIZATION") or "unknown",
        "look_direction": side,
        "heading": heading % 360 if np.isfinite(heading) else "unknown",
        "orbit_direction": direction if direction in ("ascending", "descending") else "unknown",
        "wavelength": _number(attrs, "WAVELENGTH"),
        "range_spacing": _number(attrs, "RANGE_PIXEL_SIZE"),
        "radiometric_scale": "unknown",
        "dem_vertical_datum": "unknown, as MintPy was given it",
        "source": str(geometry),
        "looks": f"{looks[0]:g} × {looks[1]:g} (range × azimuth)" if all(np.isfinite(looks)) else "unknown",
    }
    # MintPy's azimuth pixel size is along the orbit, not on the ground.
    speed = _number(attrs, "AZIMUTH_PIXEL_SIZE")
    radius, altitude = _number(attrs, "EARTH_RADIUS"), _number(attrs, "HEIGHT")
    if np.isfinite(speed) and np.isfinite(radius) and np.isfinite(altitude):
        known["azimuth_spacing"] = speed * radius / (radius + altitude)
    result = {k: v for k, v in known.items() if not (isinstance(v, float) and not np.isfinite(v))}
    return isce.build(_images(geometry, images), planes, flags, result)
