"""Pictures of time series."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from .canvas import COLOURS, new_figure

#: Areas on one page.
PAGE = 8
MARKERS = "osD^vP*X"


def series_figures(table: pd.DataFrame, column: str, title: str) -> Iterator[Figure]:
    """Draw the change of points and areas over time, with error bars.

    Parameters
    ----------
    table : pandas.DataFrame
        As :meth:`mosart.change.ElevationChange.time_series` gives it.
    column : str
        The change, in metres; its standard error is in ``…_std_m``.
    title : str
        What it is.

    Yields
    ------
    matplotlib.figure.Figure
        A page.
    """
    names = list(dict.fromkeys(table["name"]))
    pages = [names[i : i + PAGE] for i in range(0, len(names), PAGE)]
    std = column.removesuffix("_m") + "_std_m"
    for number, page in enumerate(pages, 1):
        figure = new_figure(9.0, 5.0)
        axes = figure.add_subplot()
        axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
        for index, name in enumerate(page):
            rows = table[table["name"] == name]
            errors = np.where(np.isfinite(rows[std]), rows[std], 0.0)
            axes.errorbar(
                rows["date"].to_numpy(),
                rows[column].to_numpy(),
                yerr=errors,
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                markersize=4.5,
                linewidth=1.2,
                elinewidth=1.0,
                capsize=2.5,
                label=str(name),
            )
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        dates = table["date"]
        if dates.nunique() == 1:
            day = pd.Timedelta(days=15)
            axes.set_xlim(dates.iloc[0] - day, dates.iloc[0] + day)
        axes.set_ylabel("mean elevation change (m)", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        part = f" (page {number} of {len(pages)})" if len(pages) > 1 else ""
        axes.set_title(f"{title}{part}\nbars: one standard error", fontsize=10)
        axes.legend(fontsize=8, frameon=False, ncols=2 if len(page) > 4 else 1)
        yield figure
