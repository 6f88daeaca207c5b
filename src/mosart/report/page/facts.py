"""What the page says in words and numbers: what changed, where, when, how sure, what was hidden."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.masks import WITHHELD, Flag
from mosart.report.looks import look_names
from mosart.report.raster import reasons

Floats = NDArray[np.float64]

#: A change this many standard errors from zero is called one.
SURE = 2.0
#: Pixels read at a time.
_READ = 4_000_000
_ROWS = 512
_WORDS = {
    Flag.LAYOVER: "layover",
    Flag.SHADOW: "shadow",
    Flag.WATER: "water",
    Flag.NODATA: "no data",
    Flag.UNRESOLVED: "unresolved",
}


@dataclass(frozen=True)
class Entry:
    """One date of the result in numbers.

    Parameters
    ----------
    date : str
        As 2019-01-15.
    images : str
        Dates that were averaged.
    std : float
        Standard error of a pixel, metres; the median where every pixel has its own.
    seen : float
        Share of the image's pixels that have a value.
    hidden : dict of str to float
        Share that has none, by reason; reasons exclude one another.
    clipped : float
        Share that has a value though an image of it was saturated.
    note : str
        Whether it is a reference, or why it was left out.
    """

    date: str
    images: str
    std: float
    seen: float
    hidden: dict[str, float]
    clipped: float
    note: str


@dataclass(frozen=True)
class Statement:
    """What happened to one area, in words.

    Parameters
    ----------
    name : str
        Of the area.
    text : str
        What it did, by how much, since when.
    sure : bool
        Whether the change is beyond two standard errors.
    """

    name: str
    text: str
    sure: bool


@dataclass(frozen=True)
class Tables:
    """The tables of a run.

    Parameters
    ----------
    series, volumes : pandas.DataFrame or None
        As written to ``timeseries.csv`` and ``volumes.csv``.
    warnings : tuple of str
        Of the run, from its log.
    """

    series: pd.DataFrame | None = None
    volumes: pd.DataFrame | None = None
    warnings: tuple[str, ...] = field(default=())


def read_tables(folder: Path) -> Tables:
    """Read the tables and the warnings of a run's folder.

    Parameters
    ----------
    folder : Path
        Of the products.

    Returns
    -------
    Tables
    """
    found: dict[str, pd.DataFrame | None] = {}
    for name in ("timeseries", "volumes"):
        path = folder / f"{name}.csv"
        found[name] = (
            pd.read_csv(path, dtype={"name": str, "flags": str}, parse_dates=["date"], keep_default_na=True)
            if path.is_file()
            else None
        )
    volumes = found["volumes"]
    if volumes is not None and "kind" in volumes:  # what page and figures show is against the reference
        kept = volumes[volumes["kind"] == "reference"].drop(columns=["kind", "since"])
        found["volumes"] = kept.reset_index(drop=True)
    log = folder / "mosart.log"
    warnings: list[str] = []
    if log.is_file():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            parts = line.split(maxsplit=2)
            if len(parts) == 3 and parts[1] in {"WARNING", "ERROR"} and parts[2] not in warnings:
                warnings.append(parts[2])
    return Tables(found["timeseries"], found["volumes"], tuple(warnings))


def entries_of(change: ElevationChange) -> list[Entry]:
    """Count what every date of a result shows.

    Parameters
    ----------
    change : ElevationChange
        Best on the radar grid, where every pixel belongs to the image.

    Returns
    -------
    list of Entry
    """
    data = change.dataset
    std = data["elevation_change_std"]
    found = []
    for index, date in enumerate(change.dates):
        images = str(data["averaged_dates"].values[index]) if "averaged_dates" in data else f"{date:%Y%m%d}"
        seen, counts, clipped = _count(data, change, index)
        beyond = _beyond(data, change)
        counts[Flag.NODATA] -= beyond
        total = max(1, data.sizes[change.dims[0]] * data.sizes[change.dims[1]] - beyond)
        values = std.isel(date=index).values if std.dims != ("date",) else std.values[index]
        finite = np.asarray(values)[np.isfinite(values)]
        found.append(
            Entry(
                date=f"{date:%Y-%m-%d}",
                images=", ".join(_dashed(name) for name in images.split(",")),
                std=float(np.median(finite)) if finite.size else math.nan,
                seen=seen / total,
                hidden={word: counts[flag] / total for flag, word in _WORDS.items() if counts[flag]},
                clipped=clipped / total,
                note=_note(images, change, seen, counts),
            )
        )
    return found


def _count(data: xr.Dataset, change: ElevationChange, index: int) -> tuple[int, dict[Flag, int], int]:
    """Count pixels by the mask alone: there is a value where no bit withholds it."""
    mask = data["mask"].isel(date=index).transpose(*change.dims)
    counts = np.zeros(256, np.int64)
    rows = max(1, _READ // max(1, mask.sizes[change.dims[1]]))
    for start in range(0, mask.sizes[change.dims[0]], rows):
        counts += np.bincount(np.asarray(mask[start : start + rows]).ravel(), minlength=256)
    bits = np.arange(256)
    withheld = (bits & int(WITHHELD)) != 0
    clipped = int(counts[~withheld & ((bits & int(Flag.CLIPPED)) != 0)].sum())
    why = reasons(bits.astype(np.uint8))
    hidden = {flag: int(counts[withheld & (why == int(flag))].sum()) for flag in _WORDS}
    return int(counts[~withheld].sum()), hidden, clipped


def _beyond(data: xr.Dataset, change: ElevationChange) -> int:
    """Count the cells of a map of several looks that no image holds: they have no height."""
    if "looks" not in data or "height" not in data:
        return 0
    height = data["height"].transpose(*change.dims)
    return int(
        sum((~np.isfinite(np.asarray(height[i : i + _ROWS]))).sum() for i in range(0, len(height), _ROWS))
    )


def share_of_looks(data: xr.Dataset, index: int) -> list[str]:
    """Say which looks saw how much of the ground on a date, of a map of several looks.

    Parameters
    ----------
    data : xarray.Dataset
        With ``looks``, as :func:`mosart.report.looks.look_names` reads it.
    index : int
        Of the date.

    Returns
    -------
    list of str
        Shares of the ground that any look saw; empty without that layer.
    """
    if "looks" not in data:
        return []
    bits = data["looks"].isel(date=index) if "date" in data["looks"].dims else data["looks"]
    found = np.bincount(np.asarray(bits.values).ravel(), minlength=256)
    names = look_names(data["looks"])
    total = max(1, int(found[1:].sum()))
    told = []
    for value in sorted(np.flatnonzero(found[1:]) + 1, key=lambda v: -int(v).bit_count()):
        seen = [name for bit, name in names.items() if value & bit]
        who = f"{seen[0]} alone" if len(seen) == 1 else " and ".join(seen)
        told.append(f"{100 * found[value] / total:.1f} % by {who}")
    return told


def _note(images: str, change: ElevationChange, seen: int, counts: dict[Flag, int]) -> str:
    if seen == 0:
        reason = max(counts, key=lambda flag: counts[flag])
        return f"rejected: no pixel has a value ({_WORDS[reason]})"
    references = {f"{d:%Y%m%d}" for d in change.reference_dates}
    own = set(images.split(","))
    if own == references:
        return "the reference"
    if own & references:
        return "part of the reference"
    return ""


def _dashed(name: str) -> str:
    name = name.strip()
    return f"{name[:4]}-{name[4:6]}-{name[6:]}" if len(name) == 8 and name.isdigit() else name


def statements(series: pd.DataFrame | None, against: str) -> list[Statement]:
    """Say of every area and point what it did.

    Parameters
    ----------
    series : pandas.DataFrame or None
        As in ``timeseries.csv``.
    against : str
        What the change is measured against.

    Returns
    -------
    list of Statement
    """
    if series is None or series.empty:
        return []
    value = next(str(c) for c in series.columns if str(c).endswith("_m") and "_std" not in str(c))
    found = []
    for name, rows in series.groupby("name", sort=False):
        rows = rows.sort_values("date")  # noqa: PLW2901
        known = rows[np.isfinite(rows[value].to_numpy(float))]
        if known.empty:
            found.append(Statement(str(name), "was not seen on any date", False))
            continue
        changes = known[value].to_numpy(float)
        errors = known[value.replace("_m", "_std_m")].to_numpy(float)
        days = [f"{day:%Y-%m-%d}" for day in known["date"]]
        found.append(_statement(str(name), changes, errors, days, against))
    return found


def _statement(name: str, changes: Floats, errors: Floats, days: Sequence[str], against: str) -> Statement:
    last, error = float(changes[-1]), float(errors[-1])
    sure = np.abs(changes) > SURE * errors
    number = f"{last:+.2f} m ± {error:.2g} m"
    if not sure[-1]:
        return Statement(
            name,
            f"no change beyond {SURE:.0f} standard errors on {days[-1]}: {number} against {against}",
            False,
        )
    same = sure & (np.sign(changes) == np.sign(last))
    others = np.flatnonzero(~same)
    first = int(others[-1]) + 1 if others.size else 0
    verb = "rose" if last > 0 else "sank"
    since = (
        f"; first seen on {days[first]}, not on {days[first - 1]}"
        if first
        else f"; seen on every date since {days[0]}"
        if len(days) > 1
        else ""
    )
    return Statement(
        name,
        f"{verb} by {abs(last):.2f} m ± {error:.2g} m by {days[-1]}, against {against}{since}",
        True,
    )


def plain_table(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """Write a table's cells as text, for the page.

    Parameters
    ----------
    table : pandas.DataFrame or None
        With units in the names of its columns.

    Returns
    -------
    dict or None
        ``columns`` and ``rows``.
    """
    if table is None:
        return None
    return {
        "columns": [str(column) for column in table.columns],
        "rows": [[_cell(value) for value in row] for row in table.itertuples(index=False)],
    }


def judged_table(data: xr.Dataset) -> dict[str, Any] | None:
    """Write what a result says of how well each date was solved as a table's text.

    Parameters
    ----------
    data : xarray.Dataset
        Of the result, best on the radar grid. Its numbers of a date alone (dimension ``date``) that have a
        ``long_name`` are taken; the standard error has a place of its own.

    Returns
    -------
    dict or None
        ``columns`` (the variables' names with their units) and ``rows``, a date each; None where the method
        says nothing.
    """
    names = [
        str(name)
        for name, variable in data.data_vars.items()
        if variable.dims == ("date",)
        and variable.dtype.kind == "f"
        and "long_name" in variable.attrs
        and name != "elevation_change_std"
    ]
    if not names:
        return None
    table = pd.DataFrame({"date": pd.DatetimeIndex(data["date"].values)})
    for name in names:
        unit = str(data[name].attrs.get("units", "1"))
        title = name.replace("_", " ") + ("" if unit == "1" else f" ({unit})")
        table[title] = data[name].values.astype(float)
    return plain_table(table)


def _cell(value: object) -> str:
    if isinstance(value, pd.Timestamp | dt.datetime):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "" if value is None else str(value)
