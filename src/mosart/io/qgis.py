"""Styles and a project for QGIS: the GeoTIFFs in the right colours and in the order of time."""

from __future__ import annotations

import datetime as dt
import io
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import rasterio
from matplotlib import colormaps
from pyproj import CRS

from mosart.errors import InputError
from mosart.masks import Flag

from .atomic import atomic_path

#: Release whose files these are; newer ones read them.
VERSION = "3.22.0"
_NAME = re.compile(r"(?P<quantity>[a-z_]+)_(?P<date>\d{8})\.tif")
_TITLES = {
    "elevation_change": "elevation change (m)",
    "elevation_change_std": "standard error (m)",
    "measured_amplitude": "amplitude, measured",
    "modelled_amplitude": "amplitude, modelled",
    "mask": "reasons not to use a pixel",
    "looks": "looks that saw the ground",
}
#: Colours of ground that one look alone saw, and of ground that several saw.
_ALONE, _SEVERAL = ("#0072b2", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#000000"), "#009e73"
#: Colours of the mask's bits, the one that says most first.
_REASONS = (
    (Flag.WATER, "#9ad0c2"),
    (Flag.SHADOW, "#4d4d4d"),
    (Flag.LAYOVER, "#8f8f8f"),
    (Flag.UNRESOLVED, "#e6d7a8"),
    (Flag.CLIPPED, "#e69f00"),
    (Flag.NODATA, "#d9d9d9"),
)


@dataclass(frozen=True)
class _Raster:
    """One GeoTIFF of a run."""

    path: Path
    quantity: str
    date: dt.date
    crs: CRS
    bounds: tuple[float, float, float, float]
    smallest: float
    largest: float
    flags: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        return f"{self.quantity}_{self.date:%Y%m%d}"

    @property
    def title(self) -> str:
        return f"{self.date:%Y-%m-%d} {_TITLES.get(self.quantity, self.quantity)}"


def write_qgis(folder: str | os.PathLike[str], *, limit: float | None = None) -> list[Path]:
    """Write a style beside every GeoTIFF of a run, and a project that shows them in the order of time.

    Parameters
    ----------
    folder : path-like
        Folder of the run, with ``geotiff/``.
    limit : float, optional
        Ends of the colour scale of the change, metres: one for all dates; by default twice the largest
        robust spread, or what holds 98 % of the values.

    Returns
    -------
    list of Path
        ``geotiff/NAME.qml`` (QGIS takes it by itself when the raster is opened) and ``mosart.qgz``.

    Raises
    ------
    InputError
        If there are no GeoTIFFs, or a file cannot be written.

    Notes
    -----
    Each date's layers hold from that date to the next (the last one as long as the one before), so the
    temporal controller shows one date at a time. Layers are named relative to the project: the folder can
    be moved. QGIS's file formats are documented by what QGIS 3.22 writes.
    """
    target = Path(folder)
    rasters = [
        _read(path) for path in sorted((target / "geotiff").glob("*.tif")) if _NAME.fullmatch(path.name)
    ]
    if not rasters:
        raise InputError(
            f"there are no GeoTIFFs in {target / 'geotiff'}",
            expected="elevation_change_YYYYMMDD.tif and others",
            got="none",
            hint="a run without a map has none",
        )
    if limit is None:
        sizes = [max(-r.smallest, r.largest) for r in rasters if r.quantity == "elevation_change"]
        limit = max([0.1, *sizes])
    written = []
    for raster in rasters:
        style = ElementTree.Element(
            "qgis", version=VERSION, styleCategories="Symbology", hasScaleBasedVisibilityFlag="0"
        )
        style.append(_pipe(raster, limit, rasters))
        written.append(raster.path.with_suffix(".qml"))
        text = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + _text(style)
        with atomic_path(written[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    written.append(target / "mosart.qgz")
    with atomic_path(written[-1]) as temporary:
        temporary.write_bytes(_project(rasters, limit, target))
    return written


def _read(path: Path) -> _Raster:
    match = _NAME.fullmatch(path.name)
    assert match is not None  # for the type checker: only such names are read
    with rasterio.open(path) as raster:
        level = raster.overviews(1)[-1] if raster.overviews(1) else 1
        shape = max(1, raster.height // level), max(1, raster.width // level)
        values = raster.read(1, out_shape=shape).astype(np.float64)
        known = values[np.isfinite(values)]
        ends = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
        return _Raster(
            path,
            match["quantity"],
            dt.datetime.strptime(match["date"], "%Y%m%d").date(),
            CRS.from_wkt(raster.crs.to_wkt()),
            tuple(raster.bounds),
            float(ends[0]),
            float(ends[1]),
            tuple(raster.tags().get("flag_meanings", "").split()),
        )


def _pipe(raster: _Raster, limit: float, rasters: Sequence[_Raster]) -> ElementTree.Element:
    pipe = ElementTree.Element("pipe")
    if raster.quantity == "mask":
        pipe.append(_palette(_mask_values()))
    elif raster.quantity == "looks":
        pipe.append(_palette(_look_values(raster.flags)))
    elif raster.quantity.endswith("_amplitude"):
        alike = [r for r in rasters if r.quantity.endswith("_amplitude")]
        pipe.append(_ramp("gray", min(r.smallest for r in alike), max(r.largest for r in alike)))
    elif raster.quantity == "elevation_change_std":
        alike = [r for r in rasters if r.quantity == raster.quantity]
        pipe.append(_ramp("cividis", 0.0, max(r.largest for r in alike)))
    elif raster.quantity == "elevation_change":
        pipe.append(_ramp("RdBu_r", -limit, limit))
    else:
        pipe.append(_ramp("viridis", raster.smallest, raster.largest))
    ElementTree.SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    ElementTree.SubElement(pipe, "rasterresampler", maxOversampling="2")
    return pipe


def _ramp(name: str, low: float, high: float, steps: int = 21) -> ElementTree.Element:
    high = high if high > low else low + 1.0
    renderer = ElementTree.Element(
        "rasterrenderer",
        type="singlebandpseudocolor",
        band="1",
        opacity="1",
        alphaBand="-1",
        nodataColor="",
        classificationMin=f"{low:.9g}",
        classificationMax=f"{high:.9g}",
    )
    shader = ElementTree.SubElement(renderer, "rastershader")
    ramp = ElementTree.SubElement(
        shader,
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue=f"{low:.9g}",
        maximumValue=f"{high:.9g}",
        labelPrecision="2",
    )
    for part in np.linspace(0, 1, steps):
        value = low + part * (high - low)
        ElementTree.SubElement(
            ramp,
            "item",
            value=f"{value:.9g}",
            label=f"{value:.3g}",
            color=_hex(colormaps[name](part)),
            alpha="255",
        )
    return renderer


def _palette(values: Mapping[int, tuple[str, str]]) -> ElementTree.Element:
    """Give whole numbers a name and a colour; 0 is not drawn."""
    renderer = ElementTree.Element(
        "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    entries = ElementTree.SubElement(renderer, "colorPalette")
    for value, (name, colour) in values.items():
        ElementTree.SubElement(
            entries,
            "paletteEntry",
            value=str(value),
            label=name,
            color=colour,
            alpha="255" if value else "0",
        )
    return renderer


def _mask_values() -> dict[int, tuple[str, str]]:
    """Give every sum of bits the colour of the reason that says most."""
    found = {0: ("used", "#ffffff")}
    for value in range(1, 2 * max(int(flag) for flag in Flag)):
        colour = next(colour for flag, colour in _REASONS if value & int(flag))
        names = " and ".join(str(flag.name).lower() for flag in Flag if value & int(flag))
        found[value] = names, colour
    return found


def _look_values(names: Sequence[str]) -> dict[int, tuple[str, str]]:
    """Give every set of looks its names, and a colour where one look was alone."""
    found = {0: ("no look", "#ffffff")}
    for value in range(1, 1 << len(names)):
        seen = [i for i in range(len(names)) if value >> i & 1]
        colour = _SEVERAL if len(seen) > 1 else _ALONE[seen[0] % len(_ALONE)]
        found[value] = " and ".join(names[i] for i in seen) + (" alone" if len(seen) == 1 else ""), colour
    return found


def _hex(colour: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in colour[:3])


def _project(rasters: Sequence[_Raster], limit: float, folder: Path) -> bytes:
    days = sorted({raster.date for raster in rasters})
    ends = _ends(days)
    root = ElementTree.Element("qgis", version=VERSION, projectname="MoSARt")
    ElementTree.SubElement(root, "title").text = "MoSARt: elevation change"
    _crs(ElementTree.SubElement(root, "projectCrs"), rasters[0].crs)
    tree = ElementTree.SubElement(root, "layer-tree-group")
    layers = ElementTree.Element("projectlayers")
    for quantity in dict.fromkeys(r.quantity for r in sorted(rasters, key=_rank)):
        group = ElementTree.SubElement(
            tree,
            "layer-tree-group",
            name=_TITLES.get(quantity, quantity),
            expanded="0",
            checked="Qt::Checked",
        )
        for raster in sorted(
            (r for r in rasters if r.quantity == quantity), key=lambda r: r.date, reverse=True
        ):
            shown = quantity == "elevation_change"
            source = f"./{raster.path.relative_to(folder).as_posix()}"
            ElementTree.SubElement(
                group,
                "layer-tree-layer",
                id=raster.identity,
                name=raster.title,
                source=source,
                providerKey="gdal",
                checked="Qt::Checked" if shown else "Qt::Unchecked",
                expanded="0",
            )
            layers.append(_layer(raster, source, limit, rasters, ends[raster.date]))
    root.append(_canvas(rasters))
    root.append(layers)
    order = ElementTree.SubElement(root, "layerorder")
    for raster in sorted(rasters, key=lambda r: (_rank(r), -r.date.toordinal())):
        ElementTree.SubElement(order, "layer", id=raster.identity)
    properties = ElementTree.SubElement(root, "properties")
    systems = ElementTree.SubElement(properties, "SpatialRefSys")
    ElementTree.SubElement(systems, "ProjectionsEnabled", type="int").text = "1"
    paths = ElementTree.SubElement(properties, "Paths")
    ElementTree.SubElement(paths, "Absolute", type="bool").text = "false"
    step = min(((b - a).days for a, b in pairwise(days)), default=1)
    temporal = ElementTree.SubElement(
        root,
        "ProjectTimeSettings",
        timeStep=str(step),
        timeStepUnit="d",
        frameRate="1",
        cumulativeTemporalRange="0",
    )
    spell = ElementTree.SubElement(temporal, "TemporalRange")
    ElementTree.SubElement(spell, "start").text = f"{days[0]:%Y-%m-%d}T00:00:00Z"
    ElementTree.SubElement(spell, "end").text = f"{ends[days[-1]]:%Y-%m-%d}T00:00:00Z"
    text = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + _text(root)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # a fixed time, so that equal results make equal files
        archive.writestr(zipfile.ZipInfo("mosart.qgs", (1980, 1, 1, 0, 0, 0)), text.encode("utf-8"))
    return packed.getvalue()


def _rank(raster: _Raster) -> int:
    names = list(_TITLES)
    return names.index(raster.quantity) if raster.quantity in names else len(names)


def _ends(days: Sequence[dt.date]) -> dict[dt.date, dt.date]:
    """Day until which each date is shown."""
    last = days[-1] - days[-2] if len(days) > 1 else dt.timedelta(days=1)
    return dict(zip(days, [*days[1:], days[-1] + last], strict=True))


def _layer(
    raster: _Raster, source: str, limit: float, rasters: Sequence[_Raster], end: dt.date
) -> ElementTree.Element:
    layer = ElementTree.Element("maplayer", type="raster", hasScaleBasedVisibilityFlag="0")
    ElementTree.SubElement(layer, "id").text = raster.identity
    ElementTree.SubElement(layer, "datasource").text = source
    ElementTree.SubElement(layer, "layername").text = raster.title
    _crs(ElementTree.SubElement(layer, "srs"), raster.crs)
    ElementTree.SubElement(layer, "provider").text = "gdal"
    temporal = ElementTree.SubElement(layer, "temporal", enabled="1", mode="0", fetchMode="0")
    spell = ElementTree.SubElement(temporal, "fixedRange")
    ElementTree.SubElement(spell, "start").text = f"{raster.date:%Y-%m-%d}T00:00:00Z"
    ElementTree.SubElement(spell, "end").text = f"{end - dt.timedelta(days=1):%Y-%m-%d}T23:59:59Z"
    layer.append(_pipe(raster, limit, rasters))
    return layer


def _crs(parent: ElementTree.Element, crs: CRS) -> None:
    system = ElementTree.SubElement(parent, "spatialrefsys")
    ElementTree.SubElement(system, "wkt").text = crs.to_wkt()
    code = crs.to_authority()
    if code is not None:
        ElementTree.SubElement(system, "authid").text = ":".join(code)
        if code[0] == "EPSG":
            ElementTree.SubElement(system, "srid").text = code[1]
    ElementTree.SubElement(system, "description").text = crs.name


def _canvas(rasters: Sequence[_Raster]) -> ElementTree.Element:
    canvas = ElementTree.Element("mapcanvas", name="theMapCanvas", annotationsVisible="1")
    ElementTree.SubElement(canvas, "units").text = "degrees" if rasters[0].crs.is_geographic else "meters"
    extent = ElementTree.SubElement(canvas, "extent")
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), rasters[0].bounds, strict=True):
        ElementTree.SubElement(extent, name).text = repr(float(value))
    settings = ElementTree.SubElement(canvas, "destinationsrs")
    _crs(settings, rasters[0].crs)
    return canvas


def _text(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
