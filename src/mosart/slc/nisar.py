"""RSLC products in the layout of NISAR: HDF5 from NISAR, UAVSAR, converted ALOS and simulators."""

from __future__ import annotations

import datetime as dt
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry.orbit import Orbit, RadarGrid
from mosart.geometry.orbit.grid import LIGHT_SPEED

from . import xml
from .product import Box, Carrier, Product, Segment, Sensor, constant, no_carrier
from .spectrum import carrier_from_doppler

_MAGIC = b"\x89HDF\r\n\x1a\n"
_POLARIZATIONS = ("HH", "VV", "HV", "VH", "RH", "RV")


def recognises(path: Path) -> bool:
    """Whether a file is HDF5 with the groups of an RSLC (or is named as one)."""
    try:
        with path.open("rb") as file:
            if file.read(8) != _MAGIC:
                return "RSLC" in path.name.upper() and path.suffix.lower() in (".h5", ".hdf5")
    except OSError:
        return False
    try:
        with h5py.File(path, "r") as file:
            return "science" in file
    except Exception:  # damaged HDF5 raises anything; opening it says what is wrong
        return True


@dataclass(frozen=True)
class _Hdf5Pixels:
    path: Path
    name: str
    shape: tuple[int, int]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def read(self, box: Box) -> NDArray[np.complex64]:
        row0, row1, column0, column1 = box
        out = np.zeros((max(row1 - row0, 0), max(column1 - column0, 0)), dtype=np.complex64)
        r0, r1 = max(row0, 0), min(row1, self.shape[0])
        c0, c1 = max(column0, 0), min(column1, self.shape[1])
        if r0 >= r1 or c0 >= c1:
            return out
        try:
            with self._lock, h5py.File(self.path, "r") as file:
                raw = file[self.name][r0:r1, c0:c1]
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise InputError(f"{self.path}: {self.name} cannot be read", got=str(error)) from None
        out[r0 - row0 : r1 - row0, c0 - column0 : c1 - column0] = as_complex(raw)
        np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return out


def as_complex(raw: NDArray[Any]) -> NDArray[np.complex64]:
    """Complex pixels from complex numbers or from pairs (r, i) of any precision."""
    if raw.dtype.names:
        first, second = raw.dtype.names[:2]
        out = np.empty(raw.shape, dtype=np.complex64)
        out.real = raw[first]
        out.imag = raw[second]
        return out
    return raw.astype(np.complex64)


def _text(value: Any) -> str:
    value = value[()] if isinstance(value, h5py.Dataset) else value
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return str(value).strip("\0 ")


def _epoch(dataset: Any) -> dt.datetime:
    """Zero of a time axis, from its units."""
    match = re.match(
        r"\s*seconds since (\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?", _text(dataset.attrs["units"])
    )
    if match is None:
        raise ValueError(f"units of {dataset.name}: {_text(dataset.attrs['units'])}")
    whole = dt.datetime.fromisoformat(f"{match.group(1)}T{match.group(2)}")
    return whole + dt.timedelta(seconds=float(match.group(3) or 0))


def _axis(values: NDArray[np.float64], name: str) -> tuple[float, float]:
    """First value and step of an axis that must be regular."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size < 2 or not np.all(np.isfinite(values)):
        raise ValueError(f"the axis {name} is no list of numbers")
    step = (values[-1] - values[0]) / (values.size - 1)
    if not step > 0 or np.abs(values - values[0] - step * np.arange(values.size)).max() > 0.05 * step:
        raise ValueError(f"the axis {name} is not regular")
    return float(values[0]), float(step)


def _open(path: Path, polarization: str, orbits: tuple[Path, ...]) -> Product:  # noqa: ARG001
    what = path.name
    if not path.is_file():
        raise InputError(f"{path} does not exist", expected="an RSLC file")
    if path.stat().st_size == 0:
        raise InputError(f"{what}: the file is empty")
    with xml.reading(what, "RSLC file"), h5py.File(path, "r") as file:
        return _build(path, file, polarization.upper())
    raise AssertionError  # pragma: no cover


def _group(file: Any, what: str) -> tuple[Any, Any]:
    """Return the band's group, and the product group in it: RSLC, or SLC in older files."""
    science = file.get("science")
    for band in science if science is not None else ():
        for name in ("RSLC", "SLC"):
            if name in science[band] and "swaths" in science[band][name]:
                return science[band], science[band][name]
    raise InputError(f"{what} is no RSLC", expected="science/LSAR/RSLC or science/LSAR/SLC")


def _choose(swaths: Any, wanted: str, what: str) -> tuple[str, str]:
    """Frequency and polarisation: the first frequency that has the one asked for."""
    there: list[tuple[str, str]] = []
    for frequency in ("frequencyA", "frequencyB"):
        if frequency in swaths:
            there += [(frequency, p) for p in _POLARIZATIONS if p in swaths[frequency]]
    if not there:
        raise InputError(f"{what}: the product has no images")
    if not wanted:
        for p in ("HH", "VV"):
            for frequency, name in there:
                if name == p and frequency == "frequencyA":
                    return frequency, name
        return there[0]
    for frequency, name in there:
        if name == wanted:
            return frequency, name
    names = ", ".join(sorted({name for _, name in there}))
    raise InputError(f"{what}: no polarisation {wanted}", expected=f"one of {names}")


def _carrier(group: Any, frequency: str, grid: RadarGrid, epoch: dt.datetime) -> Carrier:
    parameters = group.get("metadata/processingInformation/parameters")
    if parameters is None or f"{frequency}/dopplerCentroid" not in parameters:
        return no_carrier(grid.columns)
    doppler = np.asarray(parameters[f"{frequency}/dopplerCentroid"][()], dtype=np.float64)
    if not np.all(np.isfinite(doppler)):
        raise ValueError("the Doppler centroids are no numbers")
    if np.abs(doppler).max() < 1e-6:
        return no_carrier(grid.columns)
    times = parameters["zeroDopplerTime"]
    seconds = times[()] + (_epoch(times) - epoch).total_seconds()
    ranges = parameters["slantRange"][()]
    columns = grid.first_range + grid.range_step * np.arange(grid.columns)
    values = np.stack([np.interp(columns, ranges, line) for line in doppler])
    last = grid.first_time + grid.rows * grid.time_step
    return carrier_from_doppler(np.asarray(seconds, np.float64), values, grid.first_time, last)


def _build(path: Path, file: Any, wanted: str) -> Product:
    what = path.name
    band, group = _group(file, what)
    swaths = group["swaths"]
    frequency, polarization = _choose(swaths, wanted, what)
    swath = swaths[frequency]
    image = swath[polarization]
    times = swaths["zeroDopplerTime"]
    vectors = group["metadata/orbit"]
    epoch = _epoch(times)
    first_time, time_step = _axis(times[()], "zeroDopplerTime")
    first_range, range_step = _axis(swath["slantRange"][()], "slantRange")
    shape = (int(times.shape[0]), int(swath["slantRange"].shape[0]))
    if image.ndim != 2 or image.shape != shape:
        raise InputError(
            f"{what}: the image does not fit its axes", expected=f"{shape}", got=f"{image.shape}"
        )
    kind = image.dtype
    if not (kind.names and len(kind.names) == 2) and not np.issubdtype(kind, np.complexfloating):
        raise InputError(f"{what}: pixels of type {kind}", expected="complex pixels")
    # The day that the times fall on; the zero of the axis may lie days before.
    start = epoch + dt.timedelta(seconds=first_time)
    shift = (_epoch(vectors["time"]) - epoch).total_seconds()
    orbit = Orbit(
        epoch,
        np.asarray(vectors["time"][()], np.float64) + shift,
        np.asarray(vectors["position"][()], np.float64),
        np.asarray(vectors["velocity"][()], np.float64),
        f"product ({_text(vectors['orbitType'])})" if "orbitType" in vectors else "product",
    )
    side = _text(band["identification/lookDirection"]).lower()
    if side not in ("left", "right"):
        raise ValueError(f"lookDirection is {side}")
    centre = float(swath["processedCenterFrequency"][()])
    if not 1e8 < centre < 1e11:
        raise ValueError(f"centre frequency {centre}")
    grid = RadarGrid(
        orbit, first_time, time_step, first_range, range_step, *shape, side, LIGHT_SPEED / centre
    )
    if not orbit.covers(first_time, first_time + (shape[0] - 1) * time_step):
        raise InputError(f"{what}: the state vectors do not reach over the acquisition")
    pixels = _Hdf5Pixels(path, image.name, shape)
    pixels.read((shape[0] - 1, shape[0], 0, shape[1]))

    def number(name: str) -> float:
        return float(swath[name][()]) if name in swath else 0.0

    azimuth = number("processedAzimuthBandwidth") * time_step
    distance = number("processedRangeBandwidth") * 2 * range_step / LIGHT_SPEED
    identification = band["identification"]

    def label(name: str) -> str:
        return _text(identification[name]) if name in identification else ""

    direction = label("orbitPassDirection").lower()
    direction = (
        "ascending" if direction.startswith("asc") else "descending" if direction.startswith("desc") else ""
    )
    segment = Segment(
        "scene",
        grid,
        (0, shape[0], 0, shape[1]),
        pixels,
        _carrier(group, frequency, grid, epoch),
        constant(1.0),
        None,
    )
    return Product(
        (path,),
        "NISAR-format RSLC",
        label("missionId"),
        "RSLC",
        start.date(),
        polarization,
        ", ".join(t for t in (f"track {label('trackNumber')}", direction, f"{side} looking") if t),
        direction or "unknown",
        (segment,),
        (azimuth if 0 < azimuth <= 1 else 0.9, distance if 0 < distance <= 1 else 0.9),
        "unknown",
        label("productVersion"),
        orbit.source,
    )


NISAR = Sensor("NISAR-format RSLC", recognises, _open)
