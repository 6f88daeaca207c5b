"""Stacks that ISCE2 coregistered: the ``merged`` folder of ``topsStack`` and ``stripmapStack``."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from mosart.errors import InputError
from mosart.io.lazy import lazy
from mosart.io.names import parse_date
from mosart.masks import MASK_ATTRS, TRACED, VISIBILITY, Flag
from mosart.stack import ATTRIBUTES, Stack

logger = logging.getLogger(__name__)

_KINDS = {
    "BYTE": "u1",
    "SHORT": "i2",
    "INT": "i4",
    "LONG": "i8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
    "CFLOAT": "c8",
    "CDOUBLE": "c16",
}
_CHUNK_BYTES = 16_000_000


#: Warning filters belong to the process, and rasters are opened by threads.
_OPENING = threading.Lock()


@dataclass(frozen=True)
class _Vrt:
    """A raster that exists as a VRT alone, read by windows."""

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    band: int
    ndim: int = 2

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = (range(n)[k] for n, k in zip(self.shape, key))
        window = Window(columns.start, rows.start, len(columns), len(rows))
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            try:
                with rasterio.open(self.path) as source:
                    return np.asarray(source.read(self.band, window=window))
            except RasterioError as error:
                raise InputError(f"{self.path} cannot be read", got=str(error)) from None


def _properties(document: Path) -> dict[str, str]:
    """Names and values of an ISCE image XML, in lower case."""
    try:
        root = ET.parse(document).getroot()
    except (OSError, ET.ParseError) as error:
        raise InputError(f"{document} cannot be understood", got=str(error)) from None
    found = {}
    for element in root.iter("property"):
        value = element.findtext("value")
        name = element.attrib.get("name", "").lower().replace("_", "")
        if value is not None and name and name not in found:
            found[name] = value.strip()
    return found


def open_raster(path: Path, band: int = 1) -> Any:
    """Open a raster of ISCE2 lazily, as something that dask can slice.

    Parameters
    ----------
    path : Path
        Data file; beside it ``.xml`` (ISCE's description) or ``.vrt``. The data file itself may be missing
        where a VRT points to the parts.
    band : int
        From 1.

    Returns
    -------
    array-like (rows, columns)

    Raises
    ------
    InputError
        If it is missing, truncated, or described by neither.
    """
    document, vrt = path.with_name(f"{path.name}.xml"), path.with_name(f"{path.name}.vrt")
    if path.is_file() and document.is_file():
        p = _properties(document)
        try:
            width, length = int(p["width"]), int(p["length"])
            bands = int(p.get("numberbands", "1"))
            kind = np.dtype(_KINDS[p["datatype"].upper()])
            scheme = p.get("scheme", "BIP").upper()
        except (KeyError, ValueError) as error:
            raise InputError(f"{document} does not describe an image", got=f"{error!r}") from None
        if p.get("byteorder", "l").lower().startswith("b"):
            kind = kind.newbyteorder(">")
        if width <= 0 or length <= 0 or not 1 <= band <= bands:
            raise InputError(f"{document}: no band {band} of {length} × {width}")
        expected = width * length * bands * kind.itemsize
        got = path.stat().st_size
        if got != expected:
            raise InputError(
                f"{path} does not fit its description", expected=f"{expected} bytes", got=f"{got} bytes"
            )
        if scheme == "BIL":
            return np.memmap(path, kind, "r", shape=(length, bands, width))[:, band - 1]
        if scheme == "BSQ":
            return np.memmap(path, kind, "r", shape=(bands, length, width))[band - 1]
        return np.memmap(path, kind, "r", shape=(length, width, bands))[:, :, band - 1]
    if not vrt.is_file():
        raise InputError(f"{path} does not exist, nor its .vrt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(vrt) as source:
                return _Vrt(vrt, (source.height, source.width), np.dtype(source.dtypes[band - 1]), band)
        except RasterioError as error:
            raise InputError(f"{vrt} cannot be read", got=str(error)) from None


def lazy_raster(raster: Any, dtype: Any) -> da.Array:
    """Return a raster as a dask array of a type, by blocks of whole lines."""
    rows = max(min(_CHUNK_BYTES // (8 * raster.shape[1]), raster.shape[0]), 1)
    array: da.Array = lazy(raster, (rows, raster.shape[1]), f"isce-{uuid.uuid4().hex}").astype(dtype)
    return array


def find_merged(path: Path) -> Path | None:
    """Return the ``merged`` folder of a stack: the path itself or inside it."""
    for folder in (path, path / "merged"):
        if (folder / "SLC").is_dir() and any(
            (folder / g).is_dir() for g in ("geom_reference", "geom_master")
        ):
            return folder
    return None


def recognises(path: Path) -> bool:
    """Whether a path is a stack folder of ISCE2."""
    return path.is_dir() and find_merged(path) is not None


def input_files(path: Path) -> tuple[Path, ...]:
    """Return what a stack is read from: of ISCE2's folder images and geometry alone, else the path itself."""
    merged = find_merged(path) if path.is_dir() else None
    if merged is None:
        return (path,)
    return (merged / "SLC", _geometry(merged))


def _geometry(merged: Path) -> Path:
    return next(merged / g for g in ("geom_reference", "geom_master") if (merged / g).is_dir())


def _file(folder: Path, stem: str) -> Path | None:
    """Return a raster by its stem, full resolution first."""
    for name in (f"{stem}.full", stem):
        if any((folder / f"{name}{end}").is_file() for end in ("", ".vrt")):
            return folder / name
    return None


def find_images(folder: Path) -> dict[dt.date, Path]:
    """SLC rasters by date under ``SLC``, names that are no dates listed as ignored."""
    images: dict[dt.date, Path] = {}
    ignored = []
    for item in sorted(folder.iterdir()):
        if not item.is_dir():
            continue
        try:
            date = parse_date(item.name)
        except InputError:
            ignored.append(item.name)
            continue
        raster = _file(item, f"{item.name}.slc")
        if raster is None:
            raise InputError(f"{item} holds no SLC", expected=f"{item.name}.slc.full or {item.name}.slc")
        images[date] = raster
    if ignored:
        logger.info("ignored in %s: %s", folder, ", ".join(ignored))
    if not images:
        raise InputError(f"{folder} holds no dates", expected="folders named YYYYMMDD")
    return images


def flight(longitude: da.Array, latitude: da.Array) -> tuple[float, str]:
    """Heading in degrees and look direction, from how positions move along rows and columns."""
    rows, columns = longitude.shape
    picks = [0, rows - 1], [0, columns - 1]
    i, j = rows // 2, columns // 2
    lon = np.radians(
        np.array(
            [longitude[i, j], *(longitude[r, j] for r in picks[0]), *(longitude[i, c] for c in picks[1])]
        )
    )
    lat = np.radians(
        np.array([latitude[i, j], *(latitude[r, j] for r in picks[0]), *(latitude[i, c] for c in picks[1])])
    )

    def bearing(a: int, b: int) -> float:
        east = np.angle(np.exp(1j * (lon[b] - lon[a]))) * np.cos(lat[0])
        return float(np.degrees(np.arctan2(east, lat[b] - lat[a])))

    heading = bearing(1, 2)
    turn = (bearing(3, 4) - heading + 180) % 360 - 180
    if not np.isfinite(turn) or rows < 2 or columns < 2:
        return float("nan"), "unknown"
    return heading % 360, "right" if turn > 0 else "left"


def build(
    images: Mapping[dt.date, da.Array],
    planes: Mapping[str, da.Array],
    flags: Sequence[tuple[da.Array, int]],
    attrs: Mapping[str, Any],
) -> Stack:
    """Return a stack of amplitude images and geometry planes of one shape."""
    shape = planes["height"].shape
    for name, value in [*planes.items(), *((f"{d:%Y%m%d}", v) for d, v in images.items())]:
        if value.shape != shape:
            raise InputError(f"{name} has another size", expected=f"{shape}", got=f"{value.shape}")
    dates = sorted(images)
    rows = planes["height"].chunks
    amplitude = da.stack([abs(images[d]).astype(np.float32).rechunk(rows) for d in dates])
    amplitude = da.where(amplitude > 0, amplitude, np.float32(np.nan))
    mask = da.where(da.isfinite(amplitude), np.uint8(0), np.uint8(Flag.NODATA))
    for where, bit in flags:
        mask = mask | da.where(where.rechunk(rows), np.uint8(bit), np.uint8(0))[None]
    two = ("azimuth", "range")
    dataset = xr.Dataset(
        {
            "amplitude": (("date", *two), amplitude),
            "mask": (("date", *two), mask.astype(np.uint8), dict(MASK_ATTRS)),
            **{name: (two, value.rechunk(rows)) for name, value in planes.items()},
        },
        coords={
            "date": np.array([np.datetime64(d, "ns") for d in dates]),
            "azimuth": np.arange(shape[0]),
            "range": np.arange(shape[1]),
        },
        attrs=dict.fromkeys(ATTRIBUTES, "unknown") | dict(attrs),
    )
    return Stack(dataset)


def open_isce(path: Path) -> Stack:
    """Open a stack of ISCE2's ``topsStack`` or ``stripmapStack``.

    Parameters
    ----------
    path : Path
        The ``merged`` folder or the one that holds it.

    Returns
    -------
    Stack
        Lazy; amplitudes are moduli of the SLC, uncalibrated. Heights are as ISCE wrote them: ellipsoidal.

    Raises
    ------
    InputError
        If a raster is missing, truncated or of another size.
    """
    merged = find_merged(path)
    if merged is None:
        raise InputError(f"{path} is no stack of ISCE2", expected="merged/SLC and merged/geom_reference")
    geometry = _geometry(merged)

    def plane(stem: str, band: int = 1, dtype: Any = np.float64) -> da.Array | None:
        raster = _file(geometry, f"{stem}.rdr")
        return None if raster is None else lazy_raster(open_raster(raster, band), dtype)

    planes: dict[str, da.Array] = {}
    for stem, name in (("hgt", "height"), ("lat", "latitude"), ("lon", "longitude")):
        found = plane(stem)
        if found is None:
            raise InputError(f"{geometry} has no {stem}.rdr.full")
        planes[name] = found
    # ISCE writes zero where it has no position.
    known = (planes["latitude"] != 0) | (planes["longitude"] != 0)
    planes = {name: da.where(known, value, np.nan) for name, value in planes.items()}
    incidence = plane("los")
    if incidence is not None:
        planes["incidence_angle"] = da.where(incidence > 0, incidence, np.nan)
    flags = []
    shadow = plane("shadowMask", dtype=np.uint8)
    if shadow is not None:
        flags = [((shadow & 1) != 0, int(Flag.SHADOW)), ((shadow & 2) != 0, int(Flag.LAYOVER))]
    images = {d: lazy_raster(open_raster(p), np.complex64) for d, p in find_images(merged / "SLC").items()}
    heading, side = flight(planes["longitude"], planes["latitude"])
    attrs = {
        "sensor": "unknown",
        "look_direction": side,
        "heading": heading,
        "orbit_direction": "unknown"
        if not np.isfinite(heading)
        else "ascending"
        if abs((heading + 180) % 360 - 180) < 90
        else "descending",
        "radiometric_scale": "unknown",
        "dem_vertical_datum": "ellipsoidal, as ISCE2 writes it",
        "source": str(merged),
    }
    if flags:
        attrs[VISIBILITY] = TRACED
    return build(images, planes, flags, attrs)
