"""Put the page together: layers, numbers and words of one run."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from numpy.typing import NDArray

from mosart.areas import Areas
from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.io.atomic import atomic_path
from mosart.io.netcdf import open_dataset
from mosart.masks import Flag
from mosart.periods import Period
from mosart.report.canvas import REASONS
from mosart.report.dates import CHANGE_COLOURS
from mosart.report.looks import level_texts, look_names, radar_files
from mosart.report.places import WINDOW, Extreme, extremes

from . import facts, grid, layers, template

#: A page is at most this large, whatever the area.
LARGEST = 20_000_000
#: How the reader says that it leaves images out, in the log.
SET_ASIDE = "set aside"


def write_page(
    folder: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    areas: Areas | None = None,
    activity: Sequence[Period] = (),
    accuracy: str = "",
    look: float | None = None,
    config: str = "",
) -> Path:
    """Write the page of a run's folder: one HTML file that asks nothing of any network.

    Parameters
    ----------
    folder : path-like
        With ``radar.nc``, or of several looks ``radar_NAME.nc`` each (then the page switches between
        them), and where there are ``elevation_change.nc`` (then the page shows the map),
        ``timeseries.csv``, ``volumes.csv`` and ``mosart.log``.
    out : path-like, optional
        The file; by default ``report.html`` in the folder. Written whole or not at all.
    areas : Areas, optional
        Outlined on the map, and what the colour scale is made for.
    activity : sequence of Period, optional
        When something went on: shaded in the curves.
    accuracy : str, optional
        How far the method's maps are from the truth, as measured; said beside the standard errors.
    look : float, optional
        Bearing the radar looks to, degrees clockwise from north; by default from the attributes.
    config : str, optional
        The config as used; by default the text of ``config.yaml``.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    InputError
        If there is no result in the folder, the optional libraries are missing, or the page cannot be
        written.
    """
    template.require()
    source = Path(folder)
    target = source / "report.html" if out is None else Path(out)
    with ExitStack() as opened:
        looks = {
            name: opened.enter_context(open_dataset(path))
            for name, path in sorted(radar_files(source).items())
        }
        mapped = source / "elevation_change.nc"
        joint = opened.enter_context(open_dataset(mapped)) if mapped.is_file() else None
        if not looks and joint is None:
            raise InputError(
                f"there is no result in {source}",
                expected="radar.nc or elevation_change.nc",
                hint="name the folder of a run",
            )
        config_file = source / "config.yaml"
        if not config and config_file.is_file():
            config = config_file.read_text(encoding="utf-8")
        text = render(
            looks,
            joint,
            tables=facts.read_tables(source),
            areas=areas,
            activity=activity,
            accuracy=accuracy,
            look=look,
            config=config,
        )
    if len(text) > LARGEST:
        raise InputError(
            "the page is too large", expected=f"at most {LARGEST} bytes", got=f"{len(text)} bytes"
        )
    with atomic_path(target) as temporary:
        temporary.write_bytes(text)
    return target


def render(
    looks: Mapping[str, xr.Dataset],
    mapped: xr.Dataset | None,
    *,
    tables: facts.Tables,
    areas: Areas | None = None,
    activity: Sequence[Period] = (),
    accuracy: str = "",
    look: float | None = None,
    config: str = "",
    budget: int = layers.BUDGET,
) -> bytes:
    """Make the text of a page.

    Parameters
    ----------
    looks : mapping of str to xarray.Dataset
        Results on the radar grids, by the name of the look; may be empty where there is a map.
    mapped : xarray.Dataset or None
        The result on the map, of several looks the joint one. It is shown first where there is one; of
        several looks the page shows the radar grids too.
    tables : Tables
        Of the run.
    areas, activity, accuracy, look, config : optional
        See :func:`write_page`.
    budget : int, optional
        Bytes of the compressed layers, at most.

    Returns
    -------
    bytes
        UTF-8.
    """
    grids = [] if mapped is None else [("all looks, on the map" if len(looks) > 1 else "", mapped)]
    if mapped is None or len(looks) > 1:
        grids += [(f"{name}, on its radar grid" if name else "", data) for name, data in looks.items()]
    if not grids:
        raise InputError("a page needs a result", expected="a dataset on the radar grid or on a map")
    shown = ElevationChange(grids[0][1])
    counted = ElevationChange(next(iter(looks.values()))) if len(looks) == 1 else shown
    entries = facts.entries_of(counted)
    views = []
    for number, (name, data) in enumerate(grids):
        change = shown if number == 0 else ElevationChange(data)
        told = entries if number == 0 else facts.entries_of(change)
        views.append(_view(name, change, told, areas, look=look, budget=budget // len(grids)))
    first = views[0]
    drawn, frame, newest, (high, low) = first.drawn, first.frame, first.newest, first.extremes
    data = shown.dataset
    if frame.kind == "map" and shown.quantity == "elevation_change":
        first.meta["correlations"] = grid.correlations(counted if counted.has_lonlat else shown, data, areas)
    for view in views:
        view.meta["series"] = _records(tables.series)
        view.meta["volumes"] = _records(tables.volumes)
        view.meta["activity"] = [
            [f"{p.start:%Y-%m-%d}", None if p.end is None else f"{p.end:%Y-%m-%d}", p.label] for p in activity
        ]
    against = _against(shown)
    std = data["elevation_change_std"]
    context = {
        "title": str(data.attrs.get("title") or "elevation change from SAR amplitude images"),
        "views": [view.name for view in views],
        "entries": entries,
        "newest": entries[newest],
        "first": entries[0],
        "against": against,
        "statements": facts.statements(tables.series, against),
        "highest": high,
        "lowest": low,
        "window": " × ".join(_length(abs(s[1]), frame, i) for i, s in enumerate((frame.x, frame.y))),
        "places": [_place(extreme, frame) for extreme in (high, low)],
        "rejected": [entry for entry in entries if entry.note.startswith("rejected")],
        "set_aside": [line for line in tables.warnings if SET_ASIDE in line],
        "warnings": tables.warnings,
        "by_look": facts.share_of_looks(data, newest),
        "levels": level_texts(data),
        "accuracy": accuracy or str(data.attrs.get("accuracy", "")),
        "kind": frame.kind,
        "slant": shown.quantity == "elevation_change_slant",
        "crs": frame.crs,
        "block": drawn.block,
        "rows": drawn.shape[0],
        "cols": drawn.shape[1],
        "has_lonlat": counted.has_lonlat,
        "absent": [text for name, text in _ABSENT.items() if name not in {la.name for la in drawn.layers}],
        "single_std": std.dims == ("date",),
        "series": facts.plain_table(tables.series),
        "volumes": facts.plain_table(tables.volumes),
        "judged": facts.judged_table(counted.dataset),
        "attributes": {
            str(k): str(v) for k, v in data.attrs.items() if k != "config" and str(v) not in {"unknown", ""}
        },
        "config": config,
        "reasons": [
            {"flag": code, "colour": colour, "name": name} for code, (colour, name) in REASONS.items()
        ],
    }
    return template.fill(context, [(view.meta, view.drawn.layers) for view in views])


@dataclass(frozen=True)
class _View:
    """One grid that the page can show."""

    name: str
    drawn: layers.Drawn
    frame: grid.Frame
    newest: int
    extremes: tuple[Extreme, Extreme]
    meta: dict[str, Any]


def _view(
    name: str,
    change: ElevationChange,
    entries: list[facts.Entry],
    areas: Areas | None,
    *,
    look: float | None,
    budget: int,
) -> _View:
    data = change.dataset
    std = data["elevation_change_std"]
    least = 2.0 * float(np.nanmax(std.values, initial=0.0)) if std.dims == ("date",) else 0.0
    focus = grid.focus_of(areas, data)
    drawn = layers.draw_layers(data, change.quantity, change.dims, least=least, focus=focus, budget=budget)
    frame = grid.frame_of(data, drawn.block, drawn.shape, look)
    newest = _newest(change, entries)
    found = extremes(drawn.change[newest].astype(np.float64))
    meta = _meta(change, drawn, frame, entries)
    meta["outlines"] = grid.outlines(areas, frame, data)
    meta["newest"] = newest
    for key, extreme in zip(("highest", "lowest"), found, strict=True):
        meta[key] = asdict(extreme) | {"value": _json_number(extreme.value)}
    return _View(name, drawn, frame, newest, found, meta)


def _newest(change: ElevationChange, entries: list[facts.Entry]) -> int:
    """Find the last date that shows anything."""
    return next((i for i in range(len(entries) - 1, -1, -1) if entries[i].seen > 0), len(change.dates) - 1)


def _against(change: ElevationChange) -> str:
    names = [f"{date:%Y-%m-%d}" for date in change.reference_dates]
    return names[0] if len(names) == 1 else f"the mean of {len(names)} dates, {names[0]} to {names[-1]}"


def _length(step: float, frame: grid.Frame, axis: int) -> str:
    if frame.kind == "radar":
        return f"{WINDOW * step:g} px"
    metres = frame.view.metres[axis] if frame.geographic else 1.0
    return f"{WINDOW * step * metres:.3g} m"


def _place(extreme: Extreme, frame: grid.Frame) -> str:
    """Name the place of an extreme in coordinates that people use."""
    x = frame.x[0] + extreme.column * frame.x[1]
    y = frame.y[0] + extreme.row * frame.y[1]
    if frame.lattice is None:
        return f"range {x:.0f}, azimuth {y:.0f}"
    lattice = {key: np.asarray(value, np.float64) for key, value in frame.lattice.items()}
    shape = lattice["y"].size, lattice["x"].size
    lon, lat = (_bilinear(lattice, lattice[name].reshape(shape), x, y) for name in ("lon", "lat"))
    lon = (lon + 180.0) % 360.0 - 180.0
    return f"{abs(lat):.5f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.5f}° {'E' if lon >= 0 else 'W'}"


def _bilinear(
    lattice: Mapping[str, NDArray[np.float64]], values: NDArray[np.float64], x: float, y: float
) -> float:
    xs, ys = lattice["x"], lattice["y"]
    down = ys[-1] < ys[0]
    along = [np.interp(x, xs, row) for row in values]
    return float(np.interp(-y, -ys, along) if down else np.interp(y, ys, along))


def _meta(
    shown: ElevationChange,
    drawn: layers.Drawn,
    frame: grid.Frame,
    entries: list[facts.Entry],
) -> dict[str, Any]:
    """Collect what the script needs to know."""
    data = shown.dataset
    single = data["elevation_change_std"].dims == ("date",)
    return {
        "quantity": shown.quantity,
        "dates": [entry.date for entry in entries],
        "sigma": [_json_number(entry.std) for entry in entries] if single else None,
        "notes": [entry.note for entry in entries],
        "against": _against(shown),
        "limit": drawn.limit,
        "stdLimit": _json_number(drawn.std_limit),
        "block": drawn.block,
        "rows": drawn.shape[0],
        "cols": drawn.shape[1],
        "layers": {
            layer.name: {
                "kind": layer.kind,
                "step": layer.step,
                "offset": layer.offset,
                "slices": len(layer.slices),
            }
            for layer in drawn.layers
        },
        "kind": frame.kind,
        "crs": frame.crs,
        "geographic": frame.geographic,
        "x0": frame.x[0],
        "dx": frame.x[1],
        "y0": frame.y[0],
        "dy": frame.y[1],
        "cellArea": None if frame.cell_area is None else np.round(frame.cell_area, 6).tolist(),
        "lattice": frame.lattice,
        "metres": [1.0, 1.0]
        if frame.kind == "map" and not frame.geographic
        else [_json_number(number) for number in frame.view.metres],
        "stretch": frame.view.stretch,
        "north": _json_number(frame.view.north),
        "look": _json_number(frame.view.look),
        "labels": ["easting (m)", "northing (m)"]
        if frame.kind == "map" and not frame.geographic
        else list(frame.view.labels),
        "correlations": None,
        "looks": list(look_names(data["looks"]).items()) if "looks" in data else [],
        "flags": [[int(f), str(f.name).lower()] for f in Flag],
        "reasons": [[code, colour, name] for code, (colour, name) in REASONS.items()],
        "colours": {name: _table(cmap) for name, cmap in _COLOURS.items()},
    }


_ABSENT = {
    "std": "a standard error for every pixel",
    "amplitude": "measured amplitude",
    "modelled": "modelled amplitude",
}
_COLOURS = {"change": CHANGE_COLOURS, "std": "cividis", "grey": "gray"}


def _table(name: str) -> str:
    """Write a colour map of 256 colours as hexadecimal digits."""
    rgb = np.round(colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255).astype(np.uint8)
    return rgb.tobytes().hex()


def _records(table: Any) -> list[dict[str, Any]] | None:
    if table is None:
        return None
    return [
        {
            str(key): (f"{v:%Y-%m-%d}" if hasattr(v, "strftime") else _json_number(v) if _is_float(v) else v)
            for key, v in row.items()
        }
        for row in table.astype(object).to_dict("records")
    ]


def _is_float(value: object) -> bool:
    return isinstance(value, float | np.floating)


def _json_number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
