"""TerraSAR-X SSC products: COSAR image and annotation."""

from __future__ import annotations

import copy
import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_cosar(path: Path, pixels: NDArray[np.complex64], *, version: int = 1) -> Path:
    """Write a COSAR file of one burst.

    Parameters
    ----------
    path : Path
        To write.
    pixels : ndarray (rows, columns) of complex64
        Rows of constant azimuth.
    version : int
        1: pairs of 16-bit integers; 2: pairs of half-precision floats.

    Returns
    -------
    Path

    Notes
    -----
    Layout after *TerraSAR-X Ground Segment, Level 1b Product Format Specification*, TX-GS-DD-3307:
    big-endian lines of (samples + 2) pairs; four lines of annotation come before the image.
    """
    rows, columns = pixels.shape
    per_line = (columns + 2) * 4
    total = rows + 4
    header = bytearray(per_line)
    fields = (per_line * total, 1, columns, rows, 1, per_line, total)
    header[:28] = struct.pack(">7I", *fields)
    header[28:32] = b"CSAR"
    header[32:36] = struct.pack(">I", version)
    header[36:44] = struct.pack(">II", 1, 1)
    kind = ">i2" if version == 1 else ">f2"
    raw = np.empty((rows, columns, 2), dtype=kind)
    if version == 1:
        raw[..., 0], raw[..., 1] = np.round(pixels.real), np.round(pixels.imag)
    else:
        raw[..., 0], raw[..., 1] = pixels.real, pixels.imag
    limits = struct.pack(">II", 1, columns)
    with path.open("wb") as file:
        file.write(header)
        # Valid azimuth lines of each range sample: offset, first, last.
        for value in (1, 1, rows):
            line = np.full(columns + 2, value, dtype=">u4")
            line[:2] = 0x7F7F7F7F
            file.write(line.tobytes())
        for row in raw:
            file.write(limits)
            file.write(row.tobytes())
    return path


def write_ssc(
    folder: Path,
    annotation: Path,
    pixels: NDArray[np.complex64],
    *,
    row: int = 0,
    column: int = 0,
    start: str | None = None,
    version: int = 1,
    shift_orbit: NDArray[np.float64] | None = None,
) -> Path:
    """Write an SSC product: a real annotation cut to a box, and its image.

    Parameters
    ----------
    folder : Path
        Where the product's folder is made.
    annotation : Path
        A real SSC annotation.
    pixels : ndarray (rows, columns)
        Digital numbers, with their Doppler.
    row, column : int
        Where the box starts in the annotation's own image.
    start : str, optional
        Another day, ISO: all times are moved to it.
    version : int
        Of COSAR.
    shift_orbit : ndarray (3,), optional
        Metres added to all positions: a baseline.

    Returns
    -------
    Path
        The product's folder.
    """
    root = copy.deepcopy(ET.parse(annotation).getroot())

    def element(path: str) -> ET.Element:
        found = root.find(path)
        assert found is not None, path
        return found

    rows, columns = pixels.shape
    raster = "productInfo/imageDataInfo/imageRaster"
    time_step = float(element(f"{raster}/columnSpacing").text or "")
    delay_step = float(element(f"{raster}/rowSpacing").text or "")
    element(f"{raster}/numberOfRows").text = str(rows)
    element(f"{raster}/numberOfColumns").text = str(columns)
    first = element("productInfo/sceneInfo/rangeTime/firstPixel")
    first.text = repr(float(first.text or "") + column * delay_step)
    when = element("productInfo/sceneInfo/start/timeUTC")
    moment = np.datetime64((when.text or "").rstrip("Z"), "ns") + np.timedelta64(
        round(row * time_step * 1e9), "ns"
    )
    when.text = f"{moment}"[:26] + "Z"
    if shift_orbit is not None:
        for vector in root.iter("stateVec"):
            for name, value in zip(("posX", "posY", "posZ"), shift_orbit):
                position = vector.find(name)
                assert position is not None
                position.text = repr(float(position.text or "") + float(value))
    content = ET.tostring(root, encoding="unicode")
    if start is not None:
        day = f"{moment}"[:10]
        content = content.replace(f"{day}T", f"{start}T")
    name = (
        annotation.stem
        if start is None
        else annotation.stem.replace(f"{moment}"[:10].replace("-", ""), start.replace("-", ""))
    )
    product = folder / name
    (product / "IMAGEDATA").mkdir(parents=True, exist_ok=True)
    (product / f"{name}.xml").write_text(content)
    image = element("productComponents/imageData/file/location/filename").text or "IMAGE.cos"
    write_cosar(product / "IMAGEDATA" / image, pixels, version=version)
    return product
