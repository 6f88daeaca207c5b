"""What the newest date shows: the lines that a daily run ends with, and whether it could be measured."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mosart.io.netcdf import open_dataset

from .plan import Plan

#: An area of which less than this share is seen is not resolved.
LEAST_SEEN = 0.5


@dataclass(frozen=True)
class Newest:
    """What is known of the newest date.

    Parameters
    ----------
    lines : tuple of str
        For people.
    unresolved : tuple of str
        What it does not show, and why.
    """

    lines: tuple[str, ...]
    unresolved: tuple[str, ...]


def newest_of(stage: Path, plan: Plan) -> Newest:
    """Read off the products what the newest date shows.

    Parameters
    ----------
    stage : Path
        Folder of the products.
    plan : Plan
        Of the run.

    Returns
    -------
    Newest
    """
    date = plan.entries[-1].date
    reference = ", ".join(f"{d:%Y%m%d}" for d in plan.reference)
    lines = [f"newest date {date:%Y%m%d}, against {reference}"]
    unresolved = []
    for look in plan.looks:
        rejected = str(look.stack.dataset.attrs.get("rejected_dates", "none"))
        later = {day: why for day, why in _rejected(rejected).items() if day > look.stack.dates[-1]}
        of = f" of {look.name}" if plan.joint else ""
        unresolved += [
            f"the newer image of {day:%Y%m%d}{of} is rejected: {why}" for day, why in later.items()
        ]
    with open_dataset(stage / ("elevation_change.nc" if plan.joint else "radar.nc")) as data:
        quantity = "elevation_change" if "elevation_change" in data else "elevation_change_slant"
        std = data["elevation_change_std"]
        if std.dims == ("date",):
            lines.append(f"  standard error {float(std.values[-1]):.2f} m on stable ground")
        if plan.areas is None and not bool(np.isfinite(data[quantity].isel(date=-1)).any()):
            unresolved.append(f"no pixel of {date:%Y%m%d} has a value")
    series, volumes = (_table(stage / f"{name}.csv", date) for name in ("timeseries", "volumes"))
    for _, row in series.iterrows():
        value, error = row[f"{quantity}_m"], row[f"{quantity}_std_m"]
        seen = 1.0 - float(row["unseen_share"])
        text = (
            f"  {row['name']}: {value:+.2f} m ± {error:.2g} m"
            if np.isfinite(value)
            else f"  {row['name']}: -"
        )
        for _, volume in volumes[volumes["name"] == row["name"]].iterrows() if len(volumes) else ():
            text += f", net {volume['net_m3']:+.4g} m3 ± {volume['net_std_m3']:.2g} m3"
        flags = row["flags"] if isinstance(row["flags"], str) else ""
        lines.append(f"{text}, {seen:.0%} seen" + (f" ({flags})" if flags else ""))
        if not np.isfinite(value) or seen < LEAST_SEEN:
            unresolved.append(
                f"{row['name']} on {date:%Y%m%d}: {seen:.0%} of it seen" + (f" ({flags})" if flags else "")
            )
    return Newest(tuple(lines), tuple(unresolved))


def _rejected(text: str) -> dict[dt.date, str]:
    found = re.findall(r"(\d{4})(\d{2})(\d{2}): ([^;]*)", text)
    return {dt.date(int(y), int(m), int(d)): why.strip() for y, m, d, why in found}


def _table(path: Path, date: dt.date) -> pd.DataFrame:
    """Rows of a date against the reference."""
    if not path.is_file():
        return pd.DataFrame()
    table = pd.read_csv(path, dtype={"name": str, "flags": str}, parse_dates=["date"])
    if "kind" in table:
        table = table[table["kind"] == "reference"]
    return table[table["date"] == pd.Timestamp(date)]
