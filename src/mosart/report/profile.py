"""Profiles across the change: the surface before and after, and the change with its uncertainty."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mosart.change import ElevationChange

from .canvas import COLOURS, new_figure
from .view import View

Floats = NDArray[np.float64]

#: Cells to either side of the strongest change, at least, where no area says how far to go.
REACH = 150


@dataclass(frozen=True)
class Profile:
    """One line of cells through a result.

    Parameters
    ----------
    name : str
        Which way it runs.
    distance : ndarray
        Along it, in `unit`, 0 at the strongest change.
    unit : str
        ``m`` or ``pixel``.
    change, std : ndarray
        Metres, NaN without a value.
    height : ndarray or None
        Of the DEM, metres.
    """

    name: str
    distance: Floats
    unit: str
    change: Floats
    std: Floats
    height: Floats | None

    def turned(self) -> Profile:
        """Run the other way: rows of a map run south."""
        height = None if self.height is None else self.height[::-1]
        return replace(
            self, distance=-self.distance[::-1], change=self.change[::-1], std=self.std[::-1], height=height
        )


def read_profiles(
    change: ElevationChange, index: int, cell: tuple[int, int], view: View, inside: NDArray[np.bool_] | None
) -> list[Profile]:
    """Read the two lines of cells that cross a place.

    Parameters
    ----------
    change : ElevationChange
        On a map or on the radar grid; only these lines are read.
    index : int
        Number of the date.
    cell : tuple of int
        Row and column of the place.
    view : View
        For the metres in a cell.
    inside : ndarray of bool or None
        Areas of interest: where the place is in one, the lines reach half as far again as it does.

    Returns
    -------
    list of Profile
        Along the columns and along the rows, west to east and south to north on a map; a grid of one row has
        no second.
    """
    data = change.dataset
    rows, columns = change.dims
    names = (
        ("west to east", "south to north")
        if change.dims == ("y", "x")
        else ("near to far range", "along azimuth")
    )
    found = []
    for axis, dim, other, name in ((1, columns, rows, names[0]), (0, rows, columns, names[1])):
        if data.sizes[dim] < 2:
            continue
        there = None if inside is None else np.asarray(inside.any(axis=1 - axis))
        start, stop = _reach(data.sizes[dim], cell[axis], there)
        line = data.isel({"date": index, other: cell[1 - axis], dim: slice(start, stop)})
        unit = view.size[1 - axis] / data.sizes[dim] * view.metres[1 - axis]
        known = bool(np.isfinite(unit))
        distance = (np.arange(float(start), float(stop)) - cell[axis]) * (unit if known else 1.0)
        values = [_values(line, variable) for variable in (change.quantity, "elevation_change_std", "height")]
        amount, std, height = values
        assert amount is not None
        assert std is not None
        profile = Profile(
            name, distance, "m" if known else "pixel", amount, np.full(amount.shape, std), height
        )
        found.append(profile.turned() if change.dims == ("y", "x") and axis == 0 else profile)
    return found


def _values(line: xr.Dataset, name: str) -> Floats | None:
    return np.asarray(line[name].values, np.float64) if name in line else None


def _reach(size: int, at: int, inside: NDArray[np.bool_] | None) -> tuple[int, int]:
    start, stop = at - REACH, at + REACH + 1
    if inside is not None and inside[at]:
        where = np.flatnonzero(inside)
        more = max(10, (int(where[-1]) - int(where[0])) // 2)
        start, stop = int(where[0]) - more, int(where[-1]) + more + 1
    return max(0, start), min(size, stop)


def profile_figure(profiles: Sequence[Profile], date: dt.date, title: str) -> Figure:
    """Draw profiles: heights above, the change with its band below.

    Parameters
    ----------
    profiles : sequence of Profile
        One or two.
    date : datetime.date
        Of the entry.
    title : str
        What it is.

    Returns
    -------
    matplotlib.figure.Figure
    """
    surface = any(profile.height is not None for profile in profiles)
    figure = new_figure(11.0, 6.0 if surface else 3.6)
    grid = figure.subplots(
        2 if surface else 1,
        len(profiles),
        squeeze=False,
        sharex="col",
        sharey="row",
        height_ratios=[1.2, 1.0] if surface else None,
    )
    for column, profile in enumerate(profiles):
        lower = grid[-1][column]
        lower.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
        _band(lower, profile.distance, profile.change, profile.std)
        lower.plot(profile.distance, profile.change, color=COLOURS[1], linewidth=1.2)
        lower.set_xlabel(f"distance from the strongest change, {profile.name} ({profile.unit})", fontsize=8)
        if surface and profile.height is not None:
            upper = grid[0][column]
            after = profile.height + profile.change
            _band(upper, profile.distance, after, profile.std)
            upper.plot(
                profile.distance, profile.height, color="0.25", linewidth=1.2, linestyle="--", label="DEM"
            )
            upper.plot(
                profile.distance,
                after,
                color=COLOURS[1],
                linewidth=1.2,
                label=f"DEM and change, {date:%Y-%m-%d}",
            )
            upper.legend(fontsize=8, frameon=False)
    grid[-1][0].set_ylabel("elevation change (m)", fontsize=9)
    if surface:
        grid[0][0].set_ylabel("height (m)", fontsize=9)
    for axes in grid.flat:
        axes.tick_params(labelsize=8)
        axes.grid(color="0.92", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}\nband: one standard error; gaps: no value", fontsize=10)
    return figure


def _band(axes: Axes, distance: Floats, value: Floats, std: Floats) -> None:
    axes.fill_between(distance, value - std, value + std, color=COLOURS[1], alpha=0.25, linewidth=0)
