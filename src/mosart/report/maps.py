"""Pictures of grids: amplitude, filter, weights, heights, change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .canvas import colour_bar, furnish, label, legend, new_figure, outline, show, show_reasons
from .view import View

Floats = NDArray[np.float64]
Masks = Mapping[str, NDArray[np.uint8]]

#: Colours of change: red where the ground rose, blue where it sank, told apart with colour blindness.
CHANGE_COLOURS = "RdBu_r"
#: Dates on one page.
PAGE = 12
#: Width of a page in inches.
WIDTH = 11.0
#: Height of the legend below the pictures.
LEGEND = 0.35


@dataclass(frozen=True)
class Panel:
    """One date of change, small enough to draw.

    Parameters
    ----------
    date : datetime.date
        Of the entry.
    change : ndarray
        Metres, NaN without a value.
    reason : ndarray of int64
        Why there is no value, a flag; 0 where there is one.
    note : str
        What stands beside the date.
    """

    date: dt.date
    change: Floats
    reason: NDArray[np.int64]
    note: str = ""


def amplitude_figure(amplitude: Floats, view: View, areas: Masks, title: str) -> Figure:
    """Draw an amplitude image with the areas of interest.

    Parameters
    ----------
    amplitude : ndarray
        Linear, NaN in gaps.
    view : View
        Its frame.
    areas : mapping of str to ndarray
        Masks of the image's shape.
    title : str
        What it is.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(*_single(view))
    axes = figure.add_subplot()
    axes.set_facecolor("#cfe0f0")
    drawn = show(axes, amplitude, view, cmap="gray", norm=amplitude_norm(amplitude))
    outline(axes, areas, view, colour="#ffb000")
    label(axes, view)
    furnish(axes, view)
    axes.set_title(title, fontsize=10)
    colour_bar(figure, drawn, [axes], "amplitude (linear)", extend="both")
    _legend_of_areas(figure, areas, "#ffb000")
    return figure


def filter_figure(before: Floats, after: Floats, view: View, title: str) -> Figure:
    """Draw an image before and after despeckling, on one scale.

    Parameters
    ----------
    before, after : ndarray
        Amplitudes, linear, NaN in gaps.
    view : View
        Their frame.
    title : str
        What it is.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(WIDTH, _height(view, 2, 1) - LEGEND)
    norm = amplitude_norm(before)
    panels = figure.subplots(1, 2, squeeze=False)[0]
    same = np.array_equal(before, after, equal_nan=True)
    names = ("as measured", "despeckled" + (" (was filtered already, left as it is)" if same else ""))
    for number, (axes, image, name) in enumerate(zip(panels, (before, after), names, strict=True)):
        drawn = show(axes, image, view, cmap="gray", norm=norm)
        label(axes, view, vertical=number == 0)
        axes.set_title(name, fontsize=9)
    furnish(panels[0], view)
    colour_bar(figure, drawn, panels, "amplitude (linear)", extend="both")
    figure.suptitle(title, fontsize=10)
    return figure


def weights_figure(weights: Floats, view: View, areas: Masks, title: str) -> Figure:
    """Draw the weights of the fit.

    Parameters
    ----------
    weights : ndarray
        From 0 up, NaN in gaps.
    view : View
        Their frame.
    areas : mapping of str to ndarray
        Masks of the image's shape.
    title : str
        What it is.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(*_single(view))
    axes = figure.add_subplot()
    axes.set_facecolor("#d9d9d9")
    top = float(np.nanmax(weights)) if np.isfinite(weights).any() else 1.0
    drawn = show(axes, weights, view, cmap="cividis", vmin=0.0, vmax=max(top, 1e-6))
    outline(axes, areas, view, colour="#ff3b3b")
    label(axes, view)
    furnish(axes, view)
    axes.set_title(title, fontsize=10)
    colour_bar(figure, drawn, [axes], "weight")
    _legend_of_areas(figure, areas, "#ff3b3b")
    return figure


def heights_figure(images: Mapping[str, Floats], view: View, title: str) -> Figure:
    """Draw heights as shaded relief, on one colour scale.

    Parameters
    ----------
    images : mapping of str to ndarray
        Heights in metres by what they are, NaN in gaps.
    view : View
        Their frame.
    title : str
        What it is.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = len(images)
    figure = new_figure(WIDTH, _height(view, columns, 1) - LEGEND)
    first = next(iter(images.values()))
    finite = first[np.isfinite(first)]
    low, high = (float(v) for v in np.percentile(finite, (1, 99))) if finite.size else (0.0, 1.0)
    norm = Normalize(low, max(high, low + 1.0))
    panels = figure.subplots(1, columns, squeeze=False)[0]
    for number, (axes, (name, height)) in enumerate(zip(panels, images.items(), strict=True)):
        axes.set_facecolor("#d9d9d9")
        # An image that carries the scale for the colour bar, hidden under the relief.
        drawn = show(axes, height, view, cmap="cividis", norm=norm)
        show(axes, shaded(height, view, drawn.cmap, norm), view)
        label(axes, view, vertical=number == 0)
        axes.set_title(name, fontsize=9)
    furnish(panels[0], view)
    colour_bar(figure, drawn, panels, "height (m)", extend="both")
    figure.suptitle(title, fontsize=10)
    return figure


def change_figures(
    panels: Sequence[Panel], view: View, areas: Masks, limit: float, title: str
) -> Iterator[Figure]:
    """Draw the change of every date, all on one scale, several dates a page.

    Parameters
    ----------
    panels : sequence of Panel
        The dates.
    view : View
        Their frame.
    areas : mapping of str to ndarray
        Masks of the panels' shape.
    limit : float
        Change at the ends of the colour scale, metres.
    title : str
        What it is.

    Yields
    ------
    matplotlib.figure.Figure
        A page.
    """
    pages = [panels[i : i + PAGE] for i in range(0, len(panels), PAGE)]
    for number, page in enumerate(pages, 1):
        columns = _columns(len(page), view)
        rows = -(-len(page) // columns)
        size = (WIDTH, _height(view, columns, rows)) if columns > 1 else _single(view)
        figure = new_figure(*size)
        grid = figure.subplots(rows, columns, squeeze=False)
        found: set[int] = set()
        for index, axes in enumerate(grid.flat):
            if index >= len(page):
                axes.set_visible(False)
                continue
            panel = page[index]
            show_reasons(axes, panel.reason, view)
            found |= set(np.unique(panel.reason).tolist()) - {0}
            drawn = show(axes, panel.change, view, cmap=CHANGE_COLOURS, vmin=-limit, vmax=limit)
            outline(axes, areas, view)
            below = index + columns >= len(page)
            label(axes, view, horizontal=below, vertical=index % columns == 0)
            axes.set_title(f"{panel.date:%Y-%m-%d}{panel.note}", fontsize=8)
        furnish(grid.flat[0], view)
        colour_bar(
            figure,
            drawn,
            list(grid.flat),
            "elevation change (m): red rose, blue sank",
            extend="both",
        )
        part = f" (page {number} of {len(pages)})" if len(pages) > 1 else ""
        figure.suptitle(title + part, fontsize=10)
        legend(figure, sorted(found), list(areas))
        yield figure


def change_limit(panels: Sequence[Panel], areas: Masks, least: float = 0.1) -> float:
    """Choose the ends of the one colour scale of all dates.

    Parameters
    ----------
    panels : sequence of Panel
        The dates.
    areas : mapping of str to ndarray
        Masks of the panels' shape: where there are any, the scale is made for what changed there, for
        beside them rows whose fit failed may be off by far more.
    least : float, optional
        Metres.

    Returns
    -------
    float
        Metres, a round number: the largest over the dates of the 97th percentile of the absolute change
        in the areas, or of the 98th of all.
    """
    chosen = np.zeros(panels[0].change.shape, dtype=bool)
    for mask in areas.values():
        chosen |= mask.astype(bool)
    percent = 97.0 if chosen.any() else 98.0
    if not chosen.any():
        chosen[...] = True
    largest = least if np.isfinite(least) and least > 0 else 0.1
    for panel in panels:
        values = np.abs(panel.change[chosen])
        values = values[np.isfinite(values)]
        if values.size:
            largest = max(largest, float(np.percentile(values, percent)))
    power = 10.0 ** np.floor(np.log10(largest))
    return float(min(n * power for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if n * power >= largest * (1 - 1e-9)))


def amplitude_norm(amplitude: Floats) -> Normalize:
    """Stretch amplitudes from their 1st to their 98th percentile."""
    finite = amplitude[np.isfinite(amplitude)]
    low, high = (float(v) for v in np.percentile(finite, (1, 98))) if finite.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0)


def shaded(height: Floats, view: View, colours: Colormap, norm: Normalize) -> Floats:
    """Shade heights, lit from the upper left, three times exaggerated where the slopes are gentle.

    Parameters
    ----------
    height : ndarray
        Metres, NaN in gaps.
    view : View
        Its frame, for the metres in a pixel.
    colours, norm
        Of the heights.

    Returns
    -------
    ndarray, (rows, columns, 4)
        Colours; transparent in gaps.
    """
    rows, columns = height.shape
    wide, high = view.size
    dx, dy = wide * view.metres[0] / columns, high * view.metres[1] / rows
    if not (np.isfinite(dx) and np.isfinite(dy)):
        dx = dy = 1.0
    if min(rows, columns) < 2:
        return np.asarray(colours(norm(height)))
    down, across = np.gradient(height, dy, dx)
    usual = float(np.nanpercentile(np.hypot(down, across), 80)) if np.isfinite(down + across).any() else 0.0
    scale = 0.6 / usual if usual > 0 else 1.0
    scale = float(np.clip(scale, 0.0, 3.0)) if np.isfinite(view.metres).all() else scale
    down, across = down * scale, across * scale
    # The light comes from 45 degrees above the upper left; the vertical axis of the image runs down.
    light = (across + down + np.sqrt(2.0)) / (2.0 * np.sqrt(1.0 + across**2 + down**2))
    shade = np.clip(0.35 + 0.75 * np.where(np.isfinite(light), light, 0.7), 0.0, 1.15)
    result = np.asarray(colours(norm(np.where(np.isfinite(height), height, 0.0))))
    result[..., :3] = np.clip(result[..., :3] * shade[..., None], 0.0, 1.0)
    result[..., 3] = np.isfinite(height)
    return result


def _legend_of_areas(figure: Figure, areas: Masks, colour: str) -> None:
    from matplotlib.lines import Line2D

    if areas:
        names = list(areas)
        text = ", ".join(names) if len(names) <= 3 else f"{len(names)} areas of interest"
        handle = Line2D([], [], color=colour, linewidth=1.6, label=text)
        figure.legend(handles=[handle], loc="outside lower center", fontsize=8, frameon=False)


def _single(view: View) -> tuple[float, float]:
    """Width and height of a figure of one picture."""
    width = WIDTH if view.shape < 1 else max(6.0, WIDTH / view.shape)
    return width, float(np.clip((width - 2.0) * view.shape + 1.4, 4.0, 12.0))


def _columns(count: int, view: View) -> int:
    """Columns of a page: as many as make the pictures large."""
    most = 2 if view.shape < 0.5 else 3 if view.shape < 0.8 else 4 if view.shape < 1.6 else 6
    return min(count, most)


def _height(view: View, columns: int, rows: int) -> float:
    """Height of a figure of several pictures, inches."""
    panel = (WIDTH - 1.5) / columns - 0.12
    return float(np.clip(rows * (panel * view.shape + 0.26) + 1.05, 3.0, 20.0))
