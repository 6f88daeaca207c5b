"""TerraSAR-X, TanDEM-X and PAZ SSC: annotation XML and COSAR (versions 1 and 2)."""

from __future__ import annotations

import datetime as dt
import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from mosart.errors import InputError
from mosart.geometry.orbit import Orbit, RadarGrid
from mosart.geometry.orbit.grid import LIGHT_SPEED

from . import xml
from .pixels import RasterPixels
from .product import Carrier, Product, Segment, Sensor, Table, constant
from .spectrum import carrier_from_doppler

_MISSIONS = ("TSX-1", "TDX-1", "PAZ-1")


def find_annotation(path: Path) -> Path | None:
    """Return the annotation of a product: the XML itself, or the one in its folder."""
    if path.is_file() and path.suffix.lower() == ".xml":
        return path
    if path.is_dir():
        found = sorted(p for p in path.glob("T[SD]X1_SAR__SSC*.xml")) + sorted(
            path.glob("PAZ1_SAR__SSC*.xml")
        )
        if not found:
            found = sorted(p for p in path.glob("*/T[SD]X1_SAR__SSC*.xml"))
        if len(found) > 1:
            raise InputError(f"{path} holds several products", got=", ".join(p.name for p in found))
        return found[0] if found else None
    return None


def recognises(path: Path) -> bool:
    """Whether a path is a TerraSAR-X annotation or a folder with one."""
    try:
        annotation = find_annotation(path)
    except InputError:
        return True
    if annotation is None:
        return False
    try:
        with annotation.open("rb") as file:
            return b"level1Product" in file.read(4096)
    except OSError:
        return False


def _polynomial(element: ET.Element, delay: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a polynomial of the annotation over two-way times."""
    terms = {int(c.attrib["exponent"]): float(c.text or "") for c in element.findall("coefficient")}
    if not terms or max(terms) > 20 or min(terms) < 0:
        raise ValueError("a polynomial has no coefficients")
    coefficients = [terms.get(k, 0.0) for k in range(max(terms) + 1)]
    result = polynomial.polyval(delay - float(xml.text(element, "referencePoint")), coefficients)
    return np.asarray(result, dtype=np.float64)


def _layer(root: ET.Element, path: str, polarization: str) -> ET.Element | None:
    """Return the element of a polarisation among the layers."""
    for element in root.findall(path):
        if (element.findtext("polLayer") or "").strip().upper() == polarization:
            return element
    return None


def _carrier(
    root: ET.Element, polarization: str, epoch: dt.datetime, grid: RadarGrid, delay: NDArray[np.float64]
) -> Carrier:
    centroid = _layer(root, "processing/doppler/dopplerCentroid", polarization)
    times, values = [], []
    for estimate in centroid.findall("dopplerEstimate") if centroid is not None else []:
        times.append((xml.moment(xml.text(estimate, "timeUTC")) - epoch).total_seconds())
        combined = estimate.find("combinedDoppler")
        if combined is None:
            raise KeyError("combinedDoppler")
        values.append(_polynomial(combined, delay))
    if not times:
        return Carrier(0.0, np.zeros((3, grid.columns)))
    last = grid.first_time + grid.rows * grid.time_step
    return carrier_from_doppler(np.array(times), np.stack(values), grid.first_time, last)


def _noise(
    root: ET.Element, polarization: str, factor: float, epoch: dt.datetime, grid: RadarGrid
) -> Table | None:
    """Noise equivalent beta nought: the calibration factor times the polynomials."""
    noise = _layer(root, "noise", polarization)
    if noise is None or (noise.findtext("noiseLevelRef") or "").strip().upper() != "BETA NOUGHT":
        return None
    columns = np.linspace(0.0, grid.columns - 1.0, 65)
    delay = 2 / LIGHT_SPEED * (grid.first_range + columns * grid.range_step)
    rows, values = [], []
    for record in noise.findall("imageNoise"):
        when = (xml.moment(xml.text(record, "timeUTC")) - epoch).total_seconds()
        estimate = record.find("noiseEstimate")
        if estimate is None:
            continue
        rows.append((when - grid.first_time) / grid.time_step)
        values.append(factor * _polynomial(estimate, delay))
    if not rows or np.any(np.diff(rows) <= 0):
        return None
    return Table(np.array(rows), columns, np.maximum(np.stack(values), 0.0))


def _check_cosar(path: Path, rows: int, columns: int, what: str) -> None:
    """Refuse a COSAR file that is shorter than its own header says, or of another size."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(44)
    except OSError as error:
        raise InputError(f"{what}: the image {path.name} cannot be read", got=str(error)) from None
    if len(header) < 44 or header[28:32] != b"CSAR":
        raise InputError(f"{what}: {path.name} is no COSAR file")
    _, _, range_samples, azimuth_samples, _, per_line, lines = struct.unpack(">7I", header[:28])
    version = struct.unpack(">I", header[32:36])[0]
    if version not in (1, 2):
        raise InputError(f"{what}: COSAR of version {version}", expected="1 or 2")
    if (azimuth_samples, range_samples) != (rows, columns):
        raise InputError(
            f"{what}: the image does not fit its annotation",
            expected=f"{rows} lines of {columns} samples",
            got=f"{azimuth_samples} lines of {range_samples} samples",
        )
    if size < per_line * lines:
        raise InputError(
            f"{what}: the image is truncated", expected=f"{per_line * lines} bytes", got=f"{size} bytes"
        )


def _open(path: Path, polarization: str, orbits: tuple[Path, ...]) -> Product:  # noqa: ARG001
    annotation = find_annotation(path)
    if annotation is None or not annotation.is_file():
        raise InputError(f"{path} is no TerraSAR-X SSC", expected="the folder or its annotation XML")
    try:
        content = annotation.read_bytes()
    except OSError as error:
        raise InputError(f"{annotation} cannot be read", got=str(error)) from None
    root = xml.parse(content, annotation.name, "annotation")
    with xml.reading(annotation.name, "annotation"):
        return _build(annotation, root, polarization.upper())
    raise AssertionError  # pragma: no cover


def _image(annotation: Path, root: ET.Element, wanted: str) -> tuple[str, Path]:
    layers: dict[str, Path] = {}
    for data in root.findall("productComponents/imageData"):
        folder = xml.text(data, "file/location/path", "")
        name = xml.text(data, "file/location/filename")
        layers[xml.text(data, "polLayer").upper()] = annotation.parent / folder / name
    if not layers:
        raise InputError(f"{annotation.name}: the product names no image")
    if not wanted:
        wanted = next((p for p in ("HH", "VV") if p in layers), sorted(layers)[0])
    if wanted not in layers:
        raise InputError(
            f"{annotation.name}: no polarisation {wanted}", expected=f"one of {', '.join(sorted(layers))}"
        )
    return wanted, layers[wanted]


def _build(annotation: Path, root: ET.Element, wanted: str) -> Product:
    what = annotation.name
    mission = xml.text(root, "generalHeader/mission")
    if mission not in _MISSIONS:
        raise InputError(f"{what}: mission {mission}", expected=", ".join(_MISSIONS))
    variant = xml.text(root, "productInfo/productVariantInfo/productVariant")
    mode = xml.text(root, "productInfo/acquisitionInfo/imagingMode")
    if variant != "SSC":
        raise InputError(f"{what} is no SSC", got=variant)
    if mode == "SC":
        raise InputError(f"{what}: ScanSAR is not supported", expected="stripmap or spotlight")
    geometry = xml.text(root, "productSpecific/complexImageInfo/imageCoordinateType", "ZERODOPPLER")
    if geometry != "ZERODOPPLER":
        raise InputError(f"{what}: image coordinates {geometry}", expected="ZERODOPPLER")
    polarization, image = _image(annotation, root, wanted)
    start = xml.moment(xml.text(root, "productInfo/sceneInfo/start/timeUTC"))
    epoch = start.replace(hour=0, minute=0, second=0, microsecond=0)
    vectors = root.findall("platform/orbit/stateVec")
    orbit = Orbit(
        epoch,
        np.array([(xml.moment(xml.text(v, "timeUTC")) - epoch).total_seconds() for v in vectors]),
        np.array([[float(xml.text(v, k)) for k in ("posX", "posY", "posZ")] for v in vectors]),
        np.array([[float(xml.text(v, k)) for k in ("velX", "velY", "velZ")] for v in vectors]),
        f"annotation ({xml.text(root, 'platform/orbit/orbitHeader/accuracy', '')})",
    )
    raster = "productInfo/imageDataInfo/imageRaster"
    rows = int(xml.text(root, f"{raster}/numberOfRows"))
    columns = int(xml.text(root, f"{raster}/numberOfColumns"))
    time_step = float(xml.text(root, f"{raster}/columnSpacing"))
    delay_step = float(xml.text(root, f"{raster}/rowSpacing"))
    first_delay = float(xml.text(root, "productInfo/sceneInfo/rangeTime/firstPixel"))
    if not (0 < rows < 10**6 and 0 < columns < 10**6 and 0 < time_step < 1 and 0 < delay_step < 1e-3):
        raise ValueError("the raster has no plausible size")
    side = xml.text(root, "productInfo/acquisitionInfo/lookDirection").lower()
    frequency = float(xml.text(root, "instrument/radarParameters/centerFrequency"))
    grid = RadarGrid(
        orbit,
        (start - epoch).total_seconds(),
        time_step,
        first_delay * LIGHT_SPEED / 2,
        delay_step * LIGHT_SPEED / 2,
        rows,
        columns,
        "left" if side == "left" else "right",
        LIGHT_SPEED / frequency,
    )
    if not orbit.covers(grid.first_time, grid.first_time + rows * time_step):
        raise InputError(f"{what}: the state vectors do not reach over the acquisition")
    delay = first_delay + delay_step * np.arange(columns).astype(np.float64)
    factor_text = None
    for constant_ in root.findall("calibration/calibrationConstant"):
        if (constant_.findtext("polLayer") or "").strip().upper() == polarization:
            factor_text = constant_.findtext("calFactor")
    factor = float(factor_text) if factor_text else float("nan")
    calibrated = bool(np.isfinite(factor) and factor > 0)
    _check_cosar(image, rows, columns, what)
    pixels = RasterPixels(str(image), 0, (rows, columns))
    pixels.check(rows, what)
    azimuth = float(xml.text(root, "processing/processingParameter/totalProcessedAzimuthBandwidth", "0"))
    distance = float(xml.text(root, "processing/processingParameter/totalProcessedRangeBandwidth", "0"))
    direction = xml.text(root, "productInfo/missionInfo/orbitDirection").lower()
    beam = xml.text(root, "productInfo/acquisitionInfo/elevationBeamConfiguration", "")
    segment = Segment(
        "scene",
        grid,
        (0, rows, 0, columns),
        pixels,
        _carrier(root, polarization, epoch, grid, delay),
        constant(float(np.sqrt(factor)) if calibrated else 1.0),
        _noise(root, polarization, factor, epoch, grid) if calibrated else None,
    )
    orbit_number = xml.text(root, "productInfo/missionInfo/relOrbit", "?")
    version = root.find("generalHeader/generationSystem")
    return Product(
        (annotation,),
        "TerraSAR-X",
        mission,
        mode,
        start.date(),
        polarization,
        f"relative orbit {orbit_number}, {direction}, {mode} {beam}, {side} looking",
        direction if direction in ("ascending", "descending") else "unknown",
        (segment,),
        (
            min(azimuth * time_step, 1.0) if azimuth > 0 else 0.85,
            min(distance * delay_step, 1.0) if distance > 0 else 0.9,
        ),
        "beta nought" if calibrated else "unknown",
        f"TMSP {version.attrib.get('version', '')}" if version is not None else "",
        orbit.source,
    )


TERRASARX = Sensor("TerraSAR-X SSC", recognises, _open)
