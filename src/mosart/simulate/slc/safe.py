"""Sentinel-1 SAFE products from a real annotation."""

from __future__ import annotations

import copy
import datetime as dt
import re
import warnings
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from mosart.errors import InputError


@dataclass(frozen=True)
class Burst:
    """Pixels of part of a burst.

    Parameters
    ----------
    pixels : ndarray (rows, columns) of complex64
        Digital numbers, with the phase ramp.
    row, column : int
        Where in the burst they start.
    """

    pixels: NDArray[np.complex64]
    row: int
    column: int


class SafeTemplate:
    """A real annotation, cut to some bursts, its orbit turned in longitude.

    Parameters
    ----------
    annotation : Path
        Annotation XML of one subswath and polarisation.
    bursts : range
        Indices of the bursts to keep.
    turn : float
        Degrees by which orbit and geolocation grid are turned about the earth's axis, eastwards.
    columns : range, optional
        Samples to keep of each burst; all by default.
    cycles : int
        Repeat cycles (12 days) by which everything happens later, in the same orbit over the earth.
    """

    def __init__(
        self,
        annotation: Path,
        bursts: range,
        turn: float = 0.0,
        *,
        columns: range | None = None,
        cycles: int = 0,
    ) -> None:
        self.name = annotation.stem
        self.root = ET.parse(annotation).getroot()
        self._cut(bursts)
        if columns is not None:
            self._narrow(columns)
        self._turn(turn)
        self._delay(cycles)

    def _element(self, path: str) -> ET.Element:
        found = self.root.find(path)
        if found is None:
            raise InputError(f"the annotation {self.name} has no {path}")
        return found

    def number(self, path: str) -> float:
        """Return a number of the annotation."""
        return float(self._element(path).text or "nan")

    def _cut(self, bursts: range) -> None:
        listed = self._element("swathTiming/burstList")
        kept = [b for k, b in enumerate(list(listed)) if k in bursts]
        if not kept:
            raise InputError(f"the annotation {self.name} has not the bursts {bursts}")
        for burst in list(listed):
            listed.remove(burst)
        listed.extend(kept)
        listed.set("count", str(len(kept)))
        lines = int(self.number("swathTiming/linesPerBurst"))
        self._element("imageAnnotation/imageInformation/numberOfLines").text = str(lines * len(kept))
        first = (kept[0].findtext("azimuthTime") or "").strip()
        self._element("imageAnnotation/imageInformation/productFirstLineUtcTime").text = first
        self._element("adsHeader/startTime").text = first
        grid = self._element("geolocationGrid/geolocationGridPointList")
        for point in list(grid):
            line = int(point.findtext("line") or 0) - bursts.start * lines
            element = point.find("line")
            if element is None or not -1 <= line <= lines * len(kept):
                grid.remove(point)
            else:
                element.text = str(max(line, 0))
        grid.set("count", str(len(grid)))

    def _narrow(self, columns: range) -> None:
        information = "imageAnnotation/imageInformation"
        rate = self.number("generalAnnotation/productInformation/rangeSamplingRate")
        start = self.number(f"{information}/slantRangeTime") + columns.start / rate
        self._element(f"{information}/slantRangeTime").text = f"{start:.15e}"
        self._element(f"{information}/numberOfSamples").text = str(len(columns))
        self._element("swathTiming/samplesPerBurst").text = str(len(columns))
        for burst in self._element("swathTiming/burstList"):
            first, last = (burst.find(f"{end}ValidSample") for end in ("first", "last"))
            assert first is not None
            assert last is not None
            pairs = np.array([[int(v) for v in (e.text or "").split()] for e in (first, last)])
            cut = np.clip(pairs - columns.start, 0, len(columns) - 1)
            cut[:, (pairs < 0).any(axis=0)] = -1
            first.text, last.text = (" ".join(str(v) for v in line) for line in cut)
        for point in self.root.iter("geolocationGridPoint"):
            pixel = point.find("pixel")
            if pixel is not None:
                pixel.text = str(int(pixel.text or 0) - columns.start)

    def _delay(self, cycles: int) -> None:
        if cycles == 0:
            return
        later = dt.timedelta(days=12 * cycles)
        for element in self.root.iter():
            text = (element.text or "").strip()
            if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+", text):
                moment = dt.datetime.fromisoformat(text) + later
                element.text = moment.isoformat(timespec="microseconds")
        orbit = self._element("adsHeader/absoluteOrbitNumber")
        orbit.text = str(int(orbit.text or 0) + 175 * cycles)

    def _turn(self, degrees: float) -> None:
        if degrees == 0.0:
            return
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        for vector in self.root.iter("orbit"):
            for name in ("position", "velocity"):
                x, y = vector.find(f"{name}/x"), vector.find(f"{name}/y")
                assert x is not None
                assert y is not None
                a, b = float(x.text or ""), float(y.text or "")
                x.text, y.text = f"{c * a - s * b:.9e}", f"{s * a + c * b:.9e}"
        for point in self.root.iter("geolocationGridPoint"):
            element = point.find("longitude")
            if element is not None:
                element.text = repr((float(element.text or "") + degrees + 180.0) % 360.0 - 180.0)

    def metadata(self) -> list[Any]:
        """Metadata of its bursts as eos-sar reads them."""
        from eos.products.sentinel1.metadata import extract_bursts_metadata

        root = copy.deepcopy(self.root)
        listed = root.find("swathTiming/burstList")
        count = len(listed) if listed is not None else 0
        if listed is not None and count == 1:
            listed.append(copy.deepcopy(listed[0]))
        return extract_bursts_metadata(ET.tostring(root), burst_ids=range(count))

    def phase_ramp(self, index: int, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float64]:
        """TOPS phase of pixels (rows × columns) of a burst, by eos-sar."""
        from eos.products.sentinel1.burst_resamp import burst_resample_from_meta
        from eos.products.sentinel1.doppler_info import doppler_from_meta
        from eos.sar.orbit import Orbit

        burst = self.metadata()[index]
        x, y, w, h = burst.burst_roi
        doppler = doppler_from_meta(burst, Orbit(burst.state_vectors))
        sampler = burst_resample_from_meta(burst, (h, w), np.eye(3), doppler)
        y -= index * burst.lines_per_burst
        # The library counts from the first valid pixel.
        ramp: Any = sampler.get_phi_ramp_gridded(  # type: ignore[no-untyped-call]
            np.asarray(rows, float) - y, np.asarray(columns, float) - x, (0.0, 0.0)
        )
        return np.asarray(ramp, dtype=np.float64).reshape(len(rows), len(columns))

    def project(
        self, index: int, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column in a burst of earth-fixed points (n, 3), by eos-sar."""
        from eos.sar.orbit import Orbit
        from eos.sar.range_doppler import iterative_projection

        burst = self.metadata()[index]
        time, distance, _ = iterative_projection(
            Orbit(burst.state_vectors), points[:, 0], points[:, 1], points[:, 2], tol=1e-10
        )
        interval = self.number("imageAnnotation/imageInformation/azimuthTimeInterval")
        row = (np.atleast_1d(time) - burst.burst_times[0]) / interval
        column = (np.atleast_1d(distance) * 2 / 299792458.0 - burst.slant_range_time) * burst.range_frequency
        return row, column


def _calibration(factor: float, lines: int, columns: int) -> ET.Element:
    root = ET.Element("calibration")
    listed = ET.SubElement(root, "calibrationVectorList", {"count": "2"})
    pixel = " ".join(str(p) for p in (0, columns // 2, columns - 1))
    for line in (0, lines):
        vector = ET.SubElement(listed, "calibrationVector")
        ET.SubElement(vector, "line").text = str(line)
        ET.SubElement(vector, "pixel", {"count": "3"}).text = pixel
        for name in ("sigmaNought", "betaNought", "gamma", "dn"):
            ET.SubElement(vector, name, {"count": "3"}).text = " ".join([f"{factor:.6e}"] * 3)
    return root


def _noise(power: float, lines: int, columns: int) -> ET.Element:
    root = ET.Element("noise")
    listed = ET.SubElement(root, "noiseRangeVectorList", {"count": "2"})
    for line in (0, lines):
        vector = ET.SubElement(listed, "noiseRangeVector")
        ET.SubElement(vector, "line").text = str(line)
        ET.SubElement(vector, "pixel", {"count": "2"}).text = f"0 {columns - 1}"
        ET.SubElement(vector, "noiseRangeLut", {"count": "2"}).text = f"{power:.6e} {power:.6e}"
    azimuth = ET.SubElement(root, "noiseAzimuthVectorList", {"count": "1"})
    vector = ET.SubElement(azimuth, "noiseAzimuthVector")
    ET.SubElement(vector, "line", {"count": "2"}).text = f"0 {lines - 1}"
    ET.SubElement(vector, "noiseAzimuthLut", {"count": "2"}).text = "1.0 1.0"
    return root


def write_safe(
    folder: Path,
    template: SafeTemplate,
    bursts: Mapping[int, Burst],
    *,
    factor: float = 300.0,
    noise: float = 0.0,
) -> Path:
    """Write a SAFE product.

    Parameters
    ----------
    folder : Path
        Where the SAFE is made.
    template : SafeTemplate
        Annotation.
    bursts : mapping of int to Burst
        Pixels by index of the template's burst; the rest of the image is empty (a sparse file).
    factor : float
        The calibration table's A: beta nought is (DN / A)².
    noise : float
        Noise in squared digital numbers, for the noise annotation; none is written where zero.

    Returns
    -------
    Path
        The SAFE folder.
    """
    root = template.root
    lines = int(template.number("imageAnnotation/imageInformation/numberOfLines"))
    per_burst = int(template.number("swathTiming/linesPerBurst"))
    columns = int(template.number("swathTiming/samplesPerBurst"))
    start = dt.datetime.fromisoformat(root.findtext("adsHeader/startTime", "").strip())
    stamp = start.strftime("%Y%m%dT%H%M%S")
    mission = root.findtext("adsHeader/missionId", "S1A").strip()
    polarization = root.findtext("adsHeader/polarisation", "VV").strip()
    orbit = int(root.findtext("adsHeader/absoluteOrbitNumber", "0"))
    stem = re.sub(r"\d{8}t\d{6}-\d{8}t\d{6}", f"{stamp.lower()}-{stamp.lower()}", template.name)
    safe = folder / f"{mission}_IW_SLC__1SS{polarization[0]}_{stamp}_{stamp}_{orbit:06d}_000000_0000.SAFE"
    for name in ("annotation/calibration", "measurement"):
        (safe / name).mkdir(parents=True, exist_ok=True)
    (safe / "manifest.safe").write_text(
        '<?xml version="1.0"?><xfdu xmlns:safe="http://www.esa.int/safe/sentinel-1.0">'
        '<safe:software name="Sentinel-1 IPF" version="003.31"/></xfdu>'
    )
    (safe / "annotation" / f"{stem}.xml").write_bytes(ET.tostring(root))
    (safe / "annotation/calibration" / f"calibration-{stem}.xml").write_bytes(
        ET.tostring(_calibration(factor, lines, columns))
    )
    if noise > 0:
        (safe / "annotation/calibration" / f"noise-{stem}.xml").write_bytes(
            ET.tostring(_noise(noise, lines, columns))
        )
    placed = [(burst, index * per_burst) for index, burst in bursts.items()]
    _write_image(safe / "measurement" / f"{stem}.tiff", (lines, columns), placed)
    return safe


def _write_image(path: Path, shape: tuple[int, int], bursts: Sequence[tuple[Burst, int]]) -> None:
    """Write pixels, each burst's from a line on; the rest is empty (a sparse file)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=shape[1],
            height=shape[0],
            count=1,
            dtype="complex_int16",
            SPARSE_OK=True,
            BIGTIFF="IF_SAFER",
        ) as image:
            for burst, line in bursts:
                h, w = burst.pixels.shape
                rounded = np.round(burst.pixels.real) + 1j * np.round(burst.pixels.imag)
                window = Window(burst.column, line + burst.row, w, h)
                image.write(rounded.astype(np.complex64), 1, window=window)


def write_burst(
    folder: Path,
    template: SafeTemplate,
    burst: Burst,
    *,
    index: int = 0,
    factor: float = 300.0,
    noise: float = 0.0,
) -> Path:
    """Write one burst as ASF serves it: a TIFF of it, and an XML with the annotations of its product.

    Parameters
    ----------
    folder : Path
        Where both go; made if it is missing.
    template : SafeTemplate
        Annotation.
    burst : Burst
        Pixels.
    index : int
        Which of the template's bursts it is.
    factor, noise : float
        See :func:`write_safe`.

    Returns
    -------
    Path
        The TIFF; its name is the burst's, as S1_202224_IW2_20160721T045637_VV_17A3-BURST.
    """
    root = template.root
    lines = int(template.number("imageAnnotation/imageInformation/numberOfLines"))
    per_burst = int(template.number("swathTiming/linesPerBurst"))
    columns = int(template.number("swathTiming/samplesPerBurst"))
    swath, polarization = (root.findtext(f"adsHeader/{n}", "").strip() for n in ("swath", "polarisation"))
    number = int(template.metadata()[index].relative_burst_id)
    begins = template.root.findall("swathTiming/burstList/burst/azimuthTime")[index].text or ""
    stamp = dt.datetime.fromisoformat(begins.strip()).strftime("%Y%m%dT%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"S1_{number:06d}_{swath}_{stamp}_{polarization}_0000-BURST.tiff"
    _write_image(path, (per_burst, columns), [(burst, 0)])
    document = ET.Element("burst")
    metadata = ET.SubElement(document, "metadata")
    parts = {"product": root, "calibration": _calibration(factor, lines, columns)}
    if noise > 0:
        parts["noise"] = _noise(noise, lines, columns)
    for kind, content in parts.items():
        entry = ET.SubElement(metadata, kind)
        ET.SubElement(entry, "polarisation").text = polarization
        ET.SubElement(entry, "swath").text = swath
        ET.SubElement(entry, "content").extend(list(content))
    path.with_suffix(".xml").write_bytes(ET.tostring(document))
    return path


def zip_safe(safe: Path, path: Path, *, top: str | None = None, folders: bool = True) -> Path:
    """Zip a SAFE folder, under another top folder and without directory entries where asked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in sorted(safe.rglob("*")):
            name = f"{top if top is not None else safe.name}/{item.relative_to(safe).as_posix()}"
            if item.is_file():
                archive.write(item, name)
            elif folders:
                archive.writestr(f"{name}/", "")
    return path
