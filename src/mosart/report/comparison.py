"""Pictures and tables of a comparison."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mosart.compare import LEVELS, Comparison, table
from mosart.errors import InputError
from mosart.io.tables import write_table

from .canvas import colour_bar, furnish, label, new_figure, save, show
from .dates import CHANGE_COLOURS
from .raster import shrink
from .view import view_of

#: Blocks a side of a picture.
_MOST = 700


def write_comparison(
    comparisons: Sequence[Comparison],
    data: xr.Dataset,
    folder: str | os.PathLike[str],
    *,
    names: tuple[str, str] = ("first", "second"),
) -> list[Path]:
    """Write what a comparison found: a table, and a picture of each date.

    Parameters
    ----------
    comparisons : sequence of Comparison
        As :func:`mosart.compare.compare` gives them.
    data : xarray.Dataset
        The first result, for the frame of its map.
    folder : path-like
        Where the files go, made if it is missing.
    names : tuple of str, optional
        What the two are called.

    Returns
    -------
    list of Path
        ``comparison.csv`` and ``comparison_YYYYMMDD.png``: both maps on one scale, their difference, and its
        histogram with the numbers.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {target} cannot be made", got=str(error)) from error
    written = [target / "comparison.csv"]
    write_table(table(comparisons), written[0])
    for one in comparisons:
        if one.name == "all":
            written.append(target / f"comparison_{one.date:%Y%m%d}.png")
            save(comparison_figure(one, data, names), written[-1])
    return written


def comparison_figure(one: Comparison, data: xr.Dataset, names: tuple[str, str]) -> Figure:
    """Draw both maps on one scale, their difference, and its histogram.

    Parameters
    ----------
    one : Comparison
        Of all cells.
    data : xarray.Dataset
        The first result, for the frame of its map.
    names : tuple of str
        What the two are called.

    Returns
    -------
    matplotlib.figure.Figure
    """
    view = view_of(data)
    figure = new_figure(11.0, 10.0)
    axes = figure.subplots(2, 2)
    limit = _limit(one.first, one.second)
    for panel, image, name in zip(axes[0], (one.first, one.second), names, strict=True):
        drawn = show(panel, shrink(image, _MOST), view, cmap=CHANGE_COLOURS, vmin=-limit, vmax=limit)
        label(panel, view)
        panel.set_title(name, fontsize=9)
    furnish(axes[0][0], view)
    colour_bar(figure, drawn, list(axes[0]), "elevation change (m)", extend="both")
    spread = _limit(one.difference)
    drawn = show(axes[1][0], shrink(one.difference, _MOST), view, cmap="PuOr_r", vmin=-spread, vmax=spread)
    label(axes[1][0], view)
    axes[1][0].set_title("difference", fontsize=9)
    colour_bar(figure, drawn, [axes[1][0]], "difference (m)", extend="both")
    _histogram(axes[1][1], one, spread)
    figure.suptitle(f"{one.date:%Y-%m-%d}: {names[0]} minus {names[1]}", fontsize=10)
    return figure


def _limit(*images: NDArray[np.float64]) -> float:
    sizes = [np.abs(image[np.isfinite(image)]) for image in images]
    return max([0.1, *(float(np.percentile(size, 98)) for size in sizes if size.size)])


def _histogram(axes: Axes, one: Comparison, spread: float) -> None:
    edge = 2 * spread
    axes.hist(np.clip(one.errors, -edge, edge), bins=81, range=(-edge, edge), color="#5e3c99")
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.axvline(one.median, color="#e66101", linewidth=1.2)
    axes.set_xlabel("difference (m); the ends hold what lies beyond")
    axes.set_ylabel("cells")
    bars = [
        f"{level:.0%} bars hold {one.coverage(level):.0%}" for level in LEVELS if one.coverage(level) >= 0
    ]
    lines = [
        f"median {one.median:+.2f} m",
        f"NMAD {one.nmad:.2f} m",
        f"RMSE {one.rmse:.2f} m",
        f"{one.errors.size} cells, {one.share:.0%} of the first's",
        *(bars or ["no standard error to check"]),
    ]
    axes.text(0.02, 0.98, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=9)
