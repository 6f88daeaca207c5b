"""Pictures of one image: amplitude, filter, weights, heights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .canvas import colour_bar, furnish, label, new_figure, outline, show
from .view import View

Floats = NDArray[np.float64]
Masks = Mapping[str, NDArray[np.uint8]]

#: Width of a page in inches.
WIDTH = 11.0
#: Height of the legend below the pictures.
LEGEND = 0.35


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
    figure = new_figure(*single_page(view))
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
    figure = new_figure(WIDTH, height_of_page(view, 2, 1) - LEGEND)
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
    figure = new_figure(*single_page(view))
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
    figure = new_figure(WIDTH, height_of_page(view, columns, 1) - LEGEND)
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


def amplitude_norm(amplitude: Floats) -> Normalize:
    """Stretch amplitudes from their 1st to their 98th percentile."""
    finite = amplitude[np.isfinite(amplitude)]
    low, high = (float(v) for v in np.percentile(finite, (1, 98))) if finite.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0)


def shaded(height: Floats, view: View, colours: Colormap, norm: Normalize) -> Floats:
    """Colour heights and shade them.

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
    result = np.asarray(colours(norm(np.where(np.isfinite(height), height, 0.0))))
    relief = shade(height, view)
    if relief is not None:
        result[..., :3] = np.clip(result[..., :3] * relief[..., None], 0.0, 1.0)
    result[..., 3] = np.isfinite(height)
    return result


def shade(height: Floats, view: View) -> Floats | None:
    """Shade heights, lit from the upper left, three times exaggerated where the slopes are gentle.

    Parameters
    ----------
    height : ndarray
        Metres, NaN in gaps.
    view : View
        Its frame, for the metres in a pixel.

    Returns
    -------
    ndarray or None
        0 to 1.15, about 0.88 on level ground and in gaps; None of a single row or column.
    """
    rows, columns = height.shape
    wide, high = view.size
    dx, dy = wide * view.metres[0] / columns, high * view.metres[1] / rows
    if not (np.isfinite(dx) and np.isfinite(dy)):
        dx = dy = 1.0
    if min(rows, columns) < 2:
        return None
    down, across = np.gradient(height, dy, dx)
    usual = float(np.nanpercentile(np.hypot(down, across), 80)) if np.isfinite(down + across).any() else 0.0
    scale = 0.6 / usual if usual > 0 else 1.0
    scale = float(np.clip(scale, 0.0, 3.0)) if np.isfinite(view.metres).all() else scale
    down, across = down * scale, across * scale
    # The light comes from 45 degrees above the upper left; the vertical axis of the image runs down.
    light = (across + down + np.sqrt(2.0)) / (2.0 * np.sqrt(1.0 + across**2 + down**2))
    return np.asarray(np.clip(0.35 + 0.75 * np.where(np.isfinite(light), light, np.sqrt(0.5)), 0.0, 1.15))


def _legend_of_areas(figure: Figure, areas: Masks, colour: str) -> None:
    from matplotlib.lines import Line2D

    if areas:
        names = list(areas)
        text = ", ".join(names) if len(names) <= 3 else f"{len(names)} areas of interest"
        handle = Line2D([], [], color=colour, linewidth=1.6, label=text)
        figure.legend(handles=[handle], loc="outside lower center", fontsize=8, frameon=False)


def single_page(view: View) -> tuple[float, float]:
    """Give width and height of a figure of one picture."""
    width = WIDTH if view.shape < 1 else max(6.0, WIDTH / view.shape)
    return width, float(np.clip((width - 2.0) * view.shape + 1.4, 4.0, 12.0))


def height_of_page(view: View, columns: int, rows: int) -> float:
    """Give the height of a figure of several pictures, inches."""
    panel = (WIDTH - 1.5) / columns - 0.12
    return float(np.clip(rows * (panel * view.shape + 0.26) + 1.05, 3.0, 20.0))
