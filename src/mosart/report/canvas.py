"""Figures on their own canvas: no pyplot, no backend of the user's touched, nothing kept."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from mosart.io.atomic import atomic_path
from mosart.masks import Flag

from .view import View

Floats = NDArray[np.float64]

#: Dots an inch of every picture.
DPI = 150
#: Okabe & Ito's colours, told apart with every kind of colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
#: Pixels without a value, by reason: greys and pale tints that no colour scale holds.
REASONS: Mapping[int, tuple[str, str]] = {
    int(Flag.NODATA): ("#d9d9d9", "no data"),
    int(Flag.LAYOVER): ("#8f8f8f", "layover"),
    int(Flag.SHADOW): ("#4d4d4d", "shadow"),
    int(Flag.WATER): ("#cfe6dd", "water"),
    int(Flag.UNRESOLVED): ("#e6d7a8", "unresolved"),
}
OUTLINE = "#000000"


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure that belongs to nobody else.

    Parameters
    ----------
    width, height : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG or PDF, whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Made by :func:`new_figure`.
    path : path-like
        The file; its suffix says which. In a PDF letters and lines are vectors, and letters stay text.
    """
    canvas = figure.canvas
    with atomic_path(path) as temporary:
        # Not `savefig`, which draws everything once more to lay it out.
        if os.fspath(path).endswith(".pdf"):
            figure.set_layout_engine("none")  # laid out already, when the PNG was drawn
            with rc_context({"pdf.fonttype": 42}):
                FigureCanvasPdf(figure).print_pdf(  # type: ignore[no-untyped-call]
                    temporary, metadata={"Creator": "MoSARt", "Producer": None, "CreationDate": None}
                )
            figure.set_canvas(canvas)
        else:
            assert isinstance(canvas, FigureCanvasAgg)
            canvas.print_png(temporary, metadata={"Software": "MoSARt"})  # type: ignore[no-untyped-call]


def show(axes: Axes, image: Floats, view: View, **style: Any) -> Any:
    """Draw an image in a view.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    image : ndarray, (rows, columns) or (rows, columns, 4)
        Numbers, or colours.
    view : View
        Its frame.
    **style
        Passed to ``imshow``.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    drawn = axes.imshow(
        image, extent=view.extent, aspect=view.stretch, interpolation="nearest", origin="upper", **style
    )
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
    return drawn


def colour_bar(figure: Figure, drawn: Any, axes: Sequence[Axes], text: str, **style: Any) -> None:
    """Add a colour bar beside pictures, at most five inches long."""
    shrink = min(0.8, 5.0 / figure.get_figheight())
    bar = figure.colorbar(drawn, ax=list(axes), **({"shrink": shrink, "pad": 0.02, "aspect": 30} | style))
    bar.ax.tick_params(labelsize=7)
    bar.set_label(text, fontsize=8)


def label(axes: Axes, view: View, *, horizontal: bool = True, vertical: bool = True) -> None:
    """Name the axes of a view, or leave a side bare where a neighbour carries it."""
    if horizontal:
        axes.set_xlabel(view.labels[0], fontsize=8)
    else:
        axes.tick_params(labelbottom=False)
    if vertical:
        axes.set_ylabel(view.labels[1], fontsize=8)
    else:
        axes.tick_params(labelleft=False)


def show_reasons(axes: Axes, reason: NDArray[np.int64], view: View) -> None:
    """Paint the pixels without a value by their reason (0: has a value)."""
    codes = sorted(REASONS)
    index = np.searchsorted(codes, reason).astype(np.float64)
    index[reason == 0] = np.nan
    colours = ListedColormap([REASONS[code][0] for code in codes])
    show(axes, index, view, cmap=colours, vmin=-0.5, vmax=len(codes) - 0.5)


def legend(figure: Figure, found: Sequence[int], names: Sequence[str], **place: Any) -> None:
    """Explain the reasons met and the outlines of areas, below the pictures."""
    handles: list[Any] = [Patch(facecolor=REASONS[code][0], label=REASONS[code][1]) for code in found]
    if names:
        text = ", ".join(names) if len(names) <= 3 else f"{len(names)} areas of interest"
        handles.append(Line2D([], [], color=OUTLINE, linewidth=1.2, label=text))
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(len(handles), 6),
            fontsize=8,
            frameon=False,
            **place,
        )


def outline(axes: Axes, masks: Mapping[str, NDArray[np.uint8]], view: View, colour: str = OUTLINE) -> None:
    """Draw the outlines of areas, or a ring around one that would be too small to see."""
    left, right, bottom, top = view.extent
    for mask in masks.values():
        rows, columns = mask.shape
        ys, xs = np.nonzero(mask)
        if ys.size == 0:
            continue
        x = left + (np.arange(-1, columns + 1) + 0.5) * (right - left) / columns
        y = top + (np.arange(-1, rows + 1) + 0.5) * (bottom - top) / rows
        if np.ptp(ys) < rows / 60 and np.ptp(xs) < columns / 60:
            axes.plot(
                x[1 + xs].mean(),
                y[1 + ys].mean(),
                marker="o",
                markersize=7,
                markerfacecolor="none",
                markeredgecolor=colour,
                markeredgewidth=1.2,
                clip_on=False,
            )
            continue
        padded = np.pad(mask.astype(np.float64), 1)
        axes.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=1.2)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def furnish(axes: Axes, view: View) -> None:
    """Add a scale bar, a north arrow and the look direction, as far as they are known."""
    wide, _ = view.size
    if np.isfinite(view.metres[0]):
        length = _nice_length(0.28 * wide * view.metres[0])
        share = length / view.metres[0] / wide
        text = f"{length / 1e3:g} km" if length >= 1000 else f"{length:g} m"
        if not view.true:
            text += " in range"
        across = [0.04, 0.04 + share]
        for colour, width in (("white", 5.0), ("black", 2.5)):
            axes.plot(
                across,
                [0.05, 0.05],
                transform=axes.transAxes,
                color=colour,
                linewidth=width,
                solid_capstyle="butt",
            )
        place = axes.transAxes + ScaledTranslation(0, 0.06, _figure(axes).dpi_scale_trans)
        axes.text(across[0], 0.05, text, transform=place, ha="left", va="bottom", **_LETTERS)
    looks = [(bearing, _short(name)) for name, bearing in view.looks.items()] or [(view.look, "look")]
    arrows = [(view.north, "N"), *looks] if view.true else looks
    place_x = -0.33
    for bearing, name in arrows:
        if np.isfinite(bearing):
            _arrow(axes, place_x, bearing, name)
            place_x -= 0.62


#: How letters in a picture are written, so that they can be read on any ground.
_LETTERS: dict[str, Any] = {"fontsize": 7, "path_effects": [withStroke(linewidth=2.5, foreground="white")]}


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def _arrow(axes: Axes, x: float, bearing: float, name: str) -> None:
    """Draw an arrow a given way (inches) from the upper right corner; north is named at its tip."""
    inches = _figure(axes).dpi_scale_trans + ScaledTranslation(1.0, 1.0, axes.transAxes)  # type: ignore[arg-type]
    y, half = -0.38, 0.2
    dx, dy = np.sin(np.radians(bearing)), np.cos(np.radians(bearing))
    arrow = FancyArrowPatch(
        (x - half * dx, y - half * dy),
        (x + half * dx, y + half * dy),
        transform=inches,
        arrowstyle="-|>",
        mutation_scale=9,
        linewidth=1.4,
        color="black",
        shrinkA=0,
        shrinkB=0,
        path_effects=[withStroke(linewidth=4.0, foreground="white")],
    )
    axes.add_patch(arrow)
    if name == "N":
        away = half + 0.09
        axes.text(x + away * dx, y + away * dy, name, transform=inches, ha="center", va="center", **_LETTERS)
    else:
        axes.text(x, y - half * abs(dy) - 0.12, name, transform=inches, ha="center", va="center", **_LETTERS)


def _short(name: str) -> str:
    return name if len(name) <= 11 else f"{name[:5]}…{name[-5:]}"


def _nice_length(metres: float) -> float:
    """Round a length down to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(metres))
    return float(max(n * power for n in (1.0, 2.0, 5.0) if n * power <= metres * (1 + 1e-9)))
