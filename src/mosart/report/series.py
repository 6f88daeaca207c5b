"""Curves over time: change of points and areas, volumes of areas, with their errors and what went on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from mosart.periods import Period

from .canvas import COLOURS, new_figure

#: Areas on one page.
PAGE = 8
MARKERS = "osD^vP*X"
#: Behind the curves, while something went on.
ACTIVITY = "#f8e8c4"


def series_figures(
    table: pd.DataFrame, column: str, title: str, activity: Sequence[Period] = ()
) -> Iterator[Figure]:
    """Draw the change of points and areas over time, with error bars.

    Parameters
    ----------
    table : pandas.DataFrame
        As :meth:`mosart.change.ElevationChange.time_series` gives it.
    column : str
        The change, in metres; its standard error is in ``…_std_m``.
    title : str
        What it is.
    activity : sequence of Period, optional
        When something went on: shaded.

    Yields
    ------
    matplotlib.figure.Figure
        A page.
    """
    yield from _pages(table, column, ("mean elevation change (m)", 1.0), title, activity)


def volume_figures(table: pd.DataFrame, title: str, activity: Sequence[Period] = ()) -> Iterator[Figure]:
    """Draw the net volume of areas over time, with error bars.

    Parameters
    ----------
    table : pandas.DataFrame
        As :meth:`mosart.change.ElevationChange.volume` gives it, or as read from ``volumes.csv``.
    title : str
        What it is.
    activity : sequence of Period, optional
        When something went on: shaded.

    Yields
    ------
    matplotlib.figure.Figure
        A page.
    """
    sizes = table["net_m3"].abs()
    largest = float(sizes.max()) if sizes.notna().any() else 0.0
    unit, text = (1e6, "million m³") if largest >= 1e6 else (1.0, "m³")
    yield from _pages(table, "net_m3", (f"net volume ({text})", unit), title, activity)


def _pages(
    table: pd.DataFrame, column: str, axis: tuple[str, float], title: str, activity: Sequence[Period]
) -> Iterator[Figure]:
    text, unit = axis
    names = list(dict.fromkeys(table["name"]))
    pages = [names[i : i + PAGE] for i in range(0, len(names), PAGE)]
    stem, _, suffix = column.rpartition("_")
    std = f"{stem}_std_{suffix}"
    for number, page in enumerate(pages, 1):
        figure = new_figure(9.0, 5.0)
        axes = figure.add_subplot()
        axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
        for index, name in enumerate(page):
            rows = table[table["name"] == name]
            errors = np.where(np.isfinite(rows[std]), rows[std], 0.0)
            axes.errorbar(
                rows["date"].to_numpy(),
                rows[column].to_numpy() / unit,
                yerr=errors / unit,
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                markersize=4.5,
                linewidth=1.2,
                elinewidth=1.0,
                capsize=2.5,
                label=str(name),
            )
        _time_axis(axes, table["date"])
        shaded = shade_activity(axes, activity)
        axes.set_ylabel(text, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        part = f" (page {number} of {len(pages)})" if len(pages) > 1 else ""
        notes = "bars: one standard error" + ("; shaded: activity" if shaded else "")
        axes.set_title(f"{title}{part}\n{notes}", fontsize=10)
        axes.legend(fontsize=8, frameon=False, ncols=2 if len(page) > 4 else 1)
        yield figure


def _time_axis(axes: Axes, dates: Any) -> None:
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    if dates.nunique() == 1:
        day = pd.Timedelta(days=15)
        axes.set_xlim(dates.iloc[0] - day, dates.iloc[0] + day)


def shade_activity(axes: Axes, activity: Sequence[Period]) -> int:
    """Shade periods behind curves over time, as far as the curves go.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With its curves.
    activity : sequence of Period
        Periods; one without an end goes on to the right edge.

    Returns
    -------
    int
        How many can be seen.
    """
    left, right = axes.get_xlim()
    shown = 0
    for period in activity:
        start = float(date2num(period.start))  # type: ignore[no-untyped-call]
        end = right if period.end is None else float(date2num(period.end + dt.timedelta(days=1)))  # type: ignore[no-untyped-call]
        start, end = max(start, left), min(end, right)
        if start >= end:
            continue
        shown += 1
        axes.axvspan(start, end, color=ACTIVITY, linewidth=0, zorder=-1)
        if period.label:
            axes.annotate(
                period.label,
                (start, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -3 - 10 * ((shown - 1) % 3)),
                textcoords="offset points",
                va="top",
                fontsize=7,
                color="#6b4e00",
            )
    axes.set_xlim(left, right)
    return shown
