"""Results as MintPy 1.6 reads them: HDF5 files of a time series and of its geometry.

The layout is that of MintPy's documentation (Yunjun, Fattahi & Amelung 2019, Computers & Geosciences 133,
doi:10.1016/j.cageo.2019.104331; its page "Data structure"): attributes of the file are text, a map is
placed by the outer corner of its first cell.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from pyproj import CRS

from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.masks import Flag

from .geotiff import transform_of
from .newfile import NewFile, new_file
from .packing import FILTERS

logger = logging.getLogger(__name__)

#: Numbers in memory at one time.
_READ = 4_000_000
_NAMES = {
    "map": ("timeseries.h5", "timeseriesStd.h5", "geometryGeo.h5"),
    "radar": ("timeseriesRadar.h5", "timeseriesStdRadar.h5", "geometryRadar.h5"),
}


def write_mintpy(change: ElevationChange, folder: str | os.PathLike[str], *, look: str = "") -> list[Path]:
    """Write a result for MintPy.

    Parameters
    ----------
    change : ElevationChange
        On a map or on the radar grid; best opened from its file, for it is read date by date.
    folder : path-like
        Where the files go, made if it is missing.
    look : str, optional
        Name of the look where there are several: ``_LOOK`` ends the names of the files.

    Returns
    -------
    list of Path
        On a map ``timeseries.h5`` and ``geometryGeo.h5``, on the radar grid ``timeseriesRadar.h5`` and
        ``geometryRadar.h5``; ``timeseriesStd….h5`` too where every pixel has a standard error of its own.

    Raises
    ------
    InputError
        If a file cannot be written.

    Notes
    -----
    Metres, up. MintPy counts from one of the dates: where the reference is a date of the result, that is
    it; where it is earlier than the result's dates, it is added, with a change of zero; where it is a mean
    of dates that are themselves in the result, no reference date is named. A standard error that is one
    number a date stands in the attribute ``ELEVATION_CHANGE_STD``.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {target} cannot be made", got=str(error)) from error
    kind = "map" if change.dims == ("y", "x") else "radar"
    ending = f"_{look}.h5" if look else ".h5"
    series, deviations, geometry = (target / name.replace(".h5", ending) for name in _NAMES[kind])
    attributes = _attributes(change)
    written = [series]
    _write_series(change, change.quantity, attributes, series)
    if change.dataset["elevation_change_std"].dims != ("date",):
        _write_series(change, "elevation_change_std", attributes, deviations)
        written.append(deviations)
    _write_geometry(change, attributes, geometry)
    return [*written, geometry]


def _attributes(change: ElevationChange) -> dict[str, str]:
    data = change.dataset
    found = {
        "LENGTH": str(change.shape[1]),
        "WIDTH": str(change.shape[2]),
        "PROCESSOR": "mosart",
        "PROJECT_NAME": "mosart",
        "NO_DATA_VALUE": "nan",
        "ELEVATION_CHANGE_METHOD": str(data.attrs["method"]),
        "ELEVATION_CHANGE_REFERENCE": str(data.attrs["reference_dates"]),
    }
    std = data["elevation_change_std"]
    if std.dims == ("date",):
        found["ELEVATION_CHANGE_STD"] = ",".join(f"{value:.6g}" for value in std.values)
    found |= _radar_attributes(data.attrs)
    if change.dims == ("y", "x"):
        found |= _map_attributes(data)
    return found


def _radar_attributes(attrs: Mapping[Any, Any]) -> dict[str, str]:
    """Name what is known of the radar as MintPy does; what is not known is left out."""
    found = {}
    numbers = {
        "WAVELENGTH": "wavelength",
        "HEADING": "heading",
        "RANGE_PIXEL_SIZE": "range_spacing",
        "AZIMUTH_PIXEL_SIZE": "azimuth_spacing",
        "INCIDENCE_ANGLE": "incidence_angle",
    }
    for name, own in numbers.items():
        try:
            value = float(str(attrs.get(own)))
        except ValueError:
            continue
        if math.isfinite(value):
            found[name] = f"{value:.10g}"
    side = {"right": "-1", "left": "1"}.get(str(attrs.get("look_direction")))
    if side is not None:
        found["ANTENNA_SIDE"] = side
    direction = str(attrs.get("orbit_direction", "")).upper()
    if direction in {"ASCENDING", "DESCENDING"}:
        found["ORBIT_DIRECTION"] = direction
    sensor = str(attrs.get("sensor", "unknown"))
    if sensor != "unknown":
        found["PLATFORM"] = sensor
    return found


def _map_attributes(data: xr.Dataset) -> dict[str, str]:
    from mosart.areas.grid import map_crs

    crs = map_crs(data)
    transform = transform_of(data["mask"].isel(date=0))
    unit = "degrees" if crs.is_geographic else "meters"
    found = {
        "X_FIRST": repr(float(transform.c)),
        "Y_FIRST": repr(float(transform.f)),
        "X_STEP": repr(float(transform.a)),
        "Y_STEP": repr(float(transform.e)),
        "X_UNIT": unit,
        "Y_UNIT": unit,
    }
    code = crs.to_epsg()
    if code is not None:
        found["EPSG"] = str(code)
    if not crs.is_geographic:
        zone = _utm_zone(crs)
        if zone is None:
            logger.warning(
                "MintPy knows maps in degrees and in UTM: it will show this one in %s by its pixels", crs.name
            )
        else:
            found["UTM_ZONE"] = zone
    return found


def _utm_zone(crs: CRS) -> str | None:
    zone = crs.utm_zone
    return None if zone is None else str(zone)


def _reference(change: ElevationChange) -> tuple[str | None, bool]:
    """Find the date that MintPy counts from, and whether it is to be added before the others."""
    references = change.reference_dates
    if len(references) == 1 and references[0] in change.dates:
        return f"{references[0]:%Y%m%d}", False
    if references[-1] < change.dates[0]:
        return f"{references[-1]:%Y%m%d}", True
    return None, False


def _write_series(change: ElevationChange, variable: str, attributes: dict[str, str], path: Path) -> None:
    data = change.dataset
    reference, added = _reference(change)
    dates = [reference] if added and reference is not None else []
    dates += [f"{date:%Y%m%d}" for date in change.dates]
    own = {"FILE_TYPE": "timeseries", "UNIT": "m", "START_DATE": dates[0], "END_DATE": dates[-1]}
    if reference is not None:
        own["REF_DATE"] = reference
    rows, columns = change.shape[1:]
    with new_file(path) as new:
        file = new.file
        file.attrs.update(attributes | own)
        file.create_dataset("date", data=np.array(dates, dtype="S8"))
        stored = file.create_dataset(
            "timeseries",
            (len(dates), rows, columns),
            np.float32,
            fillvalue=np.float32(np.nan),
            chunks=(1, min(64, rows), min(512, columns)),
            **FILTERS,
        )
        target = new.writer(stored)
        for part in _strips(rows, columns):
            for index in range(len(change.dates)):
                values = data[variable].isel({"date": index, change.dims[0]: part})
                at = index + added
                target[at : at + 1, part, 0:columns] = values.values.astype(np.float32)[None]
            if added:
                seen = np.isfinite(_heights(data, change, part))
                target[0:1, part, 0:columns] = np.where(seen, np.float32(0), np.float32(np.nan))[None]


def _heights(data: xr.Dataset, change: ElevationChange, part: slice) -> np.ndarray[Any, Any]:
    """Give what tells the image from its surroundings: the heights, else the change itself."""
    name = "height" if "height" in data else change.quantity
    values = data[name].isel({change.dims[0]: part})
    return np.asarray((values if "date" not in values.dims else values.isel(date=0)).values)


def _strips(rows: int, columns: int) -> list[slice]:
    step = max(64, _READ // max(1, columns) // 64 * 64)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def _write_geometry(change: ElevationChange, attributes: dict[str, str], path: Path) -> None:
    data = change.dataset
    rows, columns = change.shape[1:]
    names = {
        "height": "height",
        "latitude": "latitude",
        "longitude": "longitude",
        "incidenceAngle": "incidence_angle",
    }
    units = {"height": "m", "latitude": "degree", "longitude": "degree", "incidenceAngle": "degree"}
    with new_file(path) as new:
        file = new.file
        file.attrs.update(attributes | {"FILE_TYPE": "geometry", "UNIT": "m"})
        for name, own in names.items():
            if own not in data:
                continue
            # single precision is half a metre of longitude
            kind = np.float64 if name in {"latitude", "longitude"} else np.float32
            stored = _plane(file, name, rows, columns, kind)
            stored.attrs["UNIT"] = units[name]
            target = new.writer(stored)
            for part in _strips(rows, columns):
                values = data[own].broadcast_like(data["mask"].isel(date=0)).transpose(*change.dims)
                target[part, 0:columns] = values.isel({change.dims[0]: part}).values.astype(kind)
        _write_masks(change, new)


def _plane(file: h5py.File, name: str, rows: int, columns: int, kind: Any) -> Any:
    return file.create_dataset(
        name, (rows, columns), kind, chunks=(min(64, rows), min(512, columns)), **FILTERS
    )


def _write_masks(change: ElevationChange, new: NewFile) -> None:
    """Write MintPy's masks: shadow and layover are 1, water is 0 and land 1."""
    rows, columns = change.shape[1:]
    hidden, land = (
        new.writer(_plane(new.file, name, rows, columns, np.bool_)) for name in ("shadowMask", "waterMask")
    )
    for part in _strips(rows, columns):
        bits = np.zeros((part.stop - part.start, columns), np.uint8)
        for index in range(len(change.dates)):
            bits |= change.dataset["mask"].isel({"date": index, change.dims[0]: part}).values
        hidden[part, 0:columns] = (bits & int(Flag.SHADOW | Flag.LAYOVER)) != 0
        land[part, 0:columns] = (bits & int(Flag.WATER)) == 0
