"""Where the parts of a Sentinel-1 product lie: SAFE folder, zip, or a burst as ASF serves it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mosart.errors import InputError

from . import xml

#: Names inside a SAFE: platform, swath, polarisation.
_NAME = r"(s1[a-z])-(iw[123])-slc-(vv|vh|hh|hv)-[0-9t]+-[0-9t]+-[0-9]+-[0-9a-f]+-[0-9]+"
_BURST = re.compile(r"S1_(\d+)_(IW[123])_\d{8}T\d{6}_(VV|VH|HH|HV)_", re.IGNORECASE)


@dataclass(frozen=True)
class Parts:
    """The files of one swath and polarisation.

    Parameters
    ----------
    annotation, calibration, noise : bytes
        XML documents; the last two are empty where the product has none.
    image : str
        What rasterio opens.
    burst : int or None
        Relative burst number where the image holds that burst alone, else None.
    processor : str
        Version of the IPF, "" if unknown.
    """

    swath: str
    polarization: str
    annotation: bytes
    calibration: bytes
    noise: bytes
    image: str
    burst: int | None
    processor: str


def recognises(path: Path) -> bool:
    """Whether a path looks like a Sentinel-1 IW SLC: a SAFE folder, its manifest, a zip, or a burst."""
    if path.is_dir():
        return any(path.glob("annotation/s1*.xml")) or any(path.glob("*/annotation/s1*.xml"))
    name = path.name.lower()
    if name == "manifest.safe" or _BURST.match(path.name):
        return True
    return name.endswith(".zip") and ("slc" in name or name.startswith("s1") or _zip_has_safe(path))


def _zip_has_safe(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(re.search(rf"(^|/)annotation/{_NAME}\.xml$", n) for n in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def find_parts(path: Path) -> list[Parts]:
    """All swaths and polarisations of a product.

    Parameters
    ----------
    path : Path
        SAFE folder, its manifest, a zip of it, or TIFF or XML of a single burst.

    Returns
    -------
    list of Parts

    Raises
    ------
    InputError
        If the product is empty, damaged, or no IW SLC.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist", expected="a Sentinel-1 product")
    if path.name.lower() == "manifest.safe":
        path = path.parent
    if path.is_dir():
        names = {p.relative_to(path).as_posix(): p for p in sorted(path.rglob("*")) if p.is_file()}
        return _from_names(path, list(names), lambda n: names[n].read_bytes(), lambda n: str(names[n]))
    if path.suffix.lower() == ".zip":
        return _from_zip(path)
    return [_single_burst(path)]


def _from_zip(path: Path) -> list[Parts]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/")]
            for info in archive.infolist():
                if (
                    info.file_size > 0
                    and info.compress_size * 5000 < info.file_size
                    and info.file_size > 1 << 34
                ):
                    raise InputError(f"{path}: {info.filename} unpacks to {info.file_size} bytes")

            def read(name: str) -> bytes:
                with xml.reading(str(path), f"file {name} in the zip"):
                    return archive.read(name)
                raise AssertionError  # pragma: no cover

            # Braces let GDAL take the archive's name as it is, whatever it ends with.
            return _from_names(path, names, read, lambda n: f"/vsizip/{{{path.absolute()}}}/{n}")
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: the zip is damaged", got=str(error), hint="download the product again"
        ) from None


def _from_names(
    path: Path, names: list[str], read: Callable[[str], bytes], image: Callable[[str], str]
) -> list[Parts]:
    """Parts from the names in a folder or archive, at whatever depth the SAFE lies."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        lower = name.lower()
        for kind, pattern in (
            ("annotation", rf"(?:^|/)annotation/({_NAME})\.xml$"),
            ("calibration", rf"(?:^|/)annotation/calibration/calibration-({_NAME})\.xml$"),
            ("noise", rf"(?:^|/)annotation/calibration/noise-({_NAME})\.xml$"),
            ("image", rf"(?:^|/)measurement/({_NAME})\.tiff?$"),
        ):
            match = re.search(pattern, lower)
            if match:
                entry = found.setdefault(match.group(1), {})
                if kind in entry and entry[kind] != name:
                    raise InputError(f"{path} holds two products", got=f"{entry[kind]} and {name}")
                entry[kind] = name

    def whole(name: str) -> bytes:
        content = read(name)
        if not content.strip():
            raise InputError(f"{path}: {name} is empty", hint="download the product again")
        return content

    processor = ""
    manifest = next((n for n in names if n.lower().split("/")[-1] == "manifest.safe"), None)
    if manifest is not None:
        version = re.search(rb'name="Sentinel-1 IPF" version="([0-9.]+)"', read(manifest))
        processor = version.group(1).decode() if version else ""
    parts = []
    for stem, entry in sorted(found.items()):
        if "annotation" not in entry:
            continue
        match = re.match(_NAME, stem)
        assert match is not None
        parts.append(
            Parts(
                match.group(2).upper(),
                match.group(3).upper(),
                whole(entry["annotation"]),
                whole(entry["calibration"]) if "calibration" in entry else b"",
                whole(entry["noise"]) if "noise" in entry else b"",
                image(entry["image"]) if "image" in entry else "",
                None,
                processor,
            )
        )
    if not parts:
        raise InputError(
            f"{path} is no Sentinel-1 IW SLC",
            expected="annotation/s1?-iw?-slc-….xml and measurement/….tiff",
            got=f"{len(names)} other files" if names else "nothing",
        )
    return parts


def _single_burst(path: Path) -> Parts:
    """Find a burst as ASF serves it: a TIFF of it, and an XML with the annotations of its product."""
    match = _BURST.match(path.name)
    if match is None:
        raise InputError(
            f"{path} is no Sentinel-1 product", expected="a SAFE folder, a zip, or S1_<burst>_<swath>_….tiff"
        )
    stem = path.with_suffix("")
    document = next((p for p in (stem.with_suffix(".xml"), Path(f"{stem}.xml")) if p.is_file()), None)
    raster = next((p for p in (stem.with_suffix(".tiff"), stem.with_suffix(".tif")) if p.is_file()), None)
    if document is None or raster is None:
        raise InputError(
            f"{path.name}: a burst is a TIFF and an XML of the same name",
            got="no XML" if document is None else "no TIFF",
            hint="download both (`mosart fetch` does)",
        )
    root = xml.parse(document.read_bytes(), str(document), "metadata")
    swath, polarization = match.group(2).upper(), match.group(3).upper()

    def part(kind: str) -> bytes:
        for element in root.iter(kind):
            content = element.find("content")
            if content is None:
                continue
            here = (element.findtext("swath") or content.findtext("adsHeader/swath") or "").strip().upper()
            pol = element.findtext("polarisation") or element.findtext("polarization")
            pol = (pol or content.findtext("adsHeader/polarisation") or "").strip().upper()
            if here == swath and pol == polarization:
                whole = ET.Element(kind)
                whole.extend(list(content))
                return ET.tostring(whole)
        return b""

    annotation = part("product")
    if not annotation:
        raise InputError(f"{document}: no annotation of {swath} {polarization}")
    version = re.search(rb'name="Sentinel-1 IPF" version="([0-9.]+)"', document.read_bytes())
    return Parts(
        swath,
        polarization,
        annotation,
        part("calibration"),
        part("noise"),
        str(raster),
        int(match.group(1)),
        version.group(1).decode() if version else "",
    )
