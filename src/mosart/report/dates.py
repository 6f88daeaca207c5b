"""Pictures of every date of a quantity: all on one scale, several dates a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .canvas import colour_bar, furnish, label, legend, new_figure, outline, show, show_reasons
from .maps import WIDTH, Masks, height_of_page, single_page
from .view import View

Floats = NDArray[np.float64]

#: Colours of change: red where the ground rose, blue where it sank, told apart with colour blindness.
CHANGE_COLOURS = "RdBu_r"
#: Colours of what a model leaves over, so that nobody takes it for change.
RESIDUAL_COLOURS = "PuOr_r"
#: Dates on one page, and on one with three pictures a date.
PAGE, TRIPLES = 12, 4
#: Where the shade of level ground lies, see :func:`mosart.report.maps.shade`.
LEVEL = 0.88


@dataclass(frozen=True)
class Panel:
    """One date of a quantity, small enough to draw.

    Parameters
    ----------
    date : datetime.date
        Of the entry.
    values : ndarray
        NaN without a value.
    reason : ndarray of int64
        Why there is no value, a flag; 0 where there is one.
    note : str
        What stands beside the date.
    """

    date: dt.date
    values: Floats
    reason: NDArray[np.int64]
    note: str = ""


@dataclass(frozen=True)
class Scale:
    """The one colour scale of all dates.

    Parameters
    ----------
    colours : str
        Name of the colours.
    low, high : float
        Its ends.
    text : str
        What it shows, with the unit.
    """

    colours: str
    low: float
    high: float
    text: str

    @property
    def norm(self) -> Normalize:
        """From values to colours."""
        return Normalize(self.low, self.high)


def change_scale(limit: float) -> Scale:
    """Give the scale of change: centred on 0."""
    return Scale(CHANGE_COLOURS, -limit, limit, "elevation change (m): red rose, blue sank")


@dataclass(frozen=True)
class Ground:
    """What all dates are drawn over.

    Parameters
    ----------
    view : View
        The frame.
    areas : mapping of str to ndarray
        Masks of areas of interest, as small as the panels.
    shade : ndarray or None
        Shaded relief, see :func:`mosart.report.maps.shade`.
    """

    view: View
    areas: Masks = field(default_factory=dict)
    shade: Floats | None = None


def date_figures(panels: Sequence[Panel], ground: Ground, scale: Scale, title: str) -> Iterator[Figure]:
    """Draw a quantity on every date.

    Parameters
    ----------
    panels : sequence of Panel
        The dates.
    ground : Ground
        What they are drawn over.
    scale : Scale
        Of all of them.
    title : str
        What it is.

    Yields
    ------
    matplotlib.figure.Figure
        A page.
    """
    view = ground.view
    pages = [panels[i : i + PAGE] for i in range(0, len(panels), PAGE)]
    for number, page in enumerate(pages, 1):
        columns = _columns(len(page), view)
        rows = -(-len(page) // columns)
        figure = new_figure(
            *((WIDTH, height_of_page(view, columns, rows)) if columns > 1 else single_page(view))
        )
        grid = figure.subplots(rows, columns, squeeze=False)
        found: set[int] = set()
        for index, axes in enumerate(grid.flat):
            if index >= len(page):
                axes.set_visible(False)
                continue
            panel = page[index]
            drawn = _panel(axes, panel, ground, scale)
            found |= set(np.unique(panel.reason).tolist()) - {0}
            below = index + columns >= len(page)
            label(axes, view, horizontal=below, vertical=index % columns == 0)
            axes.set_title(f"{panel.date:%Y-%m-%d}{panel.note}", fontsize=8)
        furnish(grid.flat[0], view)
        colour_bar(figure, drawn, list(grid.flat), scale.text, extend="both" if scale.low < 0 else "max")
        figure.suptitle(title + _part(number, len(pages)), fontsize=10)
        legend(figure, sorted(found), list(ground.areas))
        yield figure


def amplitude_figures(
    measured: Sequence[Panel], modelled: Sequence[Panel], ground: Ground, title: str
) -> Iterator[Figure]:
    """Draw measured and modelled amplitude and what is left over, a row a date.

    Parameters
    ----------
    measured, modelled : sequence of Panel
        Amplitudes, linear, of the same dates.
    ground : Ground
        What they are drawn over; its relief is not used.
    title : str
        What it is.

    Yields
    ------
    matplotlib.figure.Figure
        A page. Amplitudes are on one scale, in decibels; the residual is measured over modelled in decibels,
        on one scale centred on 0; the note of the modelled amplitude stands above it.
    """
    view = ground.view
    triples = [_triple(*pair) for pair in zip(measured, modelled, strict=True)]
    low, high = _ends([panel.values for triple in triples for panel in triple[:2]])
    left = np.abs(np.concatenate([triple[2].values.ravel() for triple in triples]))
    left = left[np.isfinite(left)]
    most = max(1.0, float(np.ceil(np.percentile(left, 98)))) if left.size else 1.0
    scales = [Scale("gray", low, high, "amplitude (dB)")] * 2 + [
        Scale(RESIDUAL_COLOURS, -most, most, "measured over modelled (dB)")
    ]
    pages = [triples[i : i + TRIPLES] for i in range(0, len(triples), TRIPLES)]
    for number, page in enumerate(pages, 1):
        figure = new_figure(WIDTH, height_of_page(view, 3, len(page)) + 0.4)
        grid = figure.subplots(len(page), 3, squeeze=False)
        for row, triple in enumerate(page):
            for column, (panel, scale) in enumerate(zip(triple, scales, strict=True)):
                axes = grid[row][column]
                drawn = _panel(axes, panel, Ground(view, ground.areas), scale)
                label(axes, view, horizontal=row == len(page) - 1, vertical=column == 0)
                name = ("measured", "modelled", "residual")[column]
                note = f"\n{panel.note}" if column == 2 and panel.note else ""
                axes.set_title(f"{panel.date:%Y-%m-%d} {name}{note}", fontsize=8)
                if row == 0 and column > 0:
                    place = [list(grid[:, :2].flat), list(grid[:, 2])][column - 1]
                    colour_bar(
                        figure,
                        drawn,
                        place,
                        scale.text,
                        extend="both",
                        location="bottom",
                        shrink=0.6,
                        aspect=40,
                    )
        furnish(grid[0][0], view)
        figure.suptitle(title + _part(number, len(pages)), fontsize=10)
        yield figure


def amplitude_scale(panels: Sequence[Panel]) -> Scale:
    """Give the one scale of measured amplitudes, in decibels."""
    return Scale("gray", *_ends([panel.values for panel in panels]), "amplitude (dB)")


def decibels(panel: Panel) -> Panel:
    """Turn amplitudes into decibels; what is not positive has none."""
    good = np.isfinite(panel.values) & (panel.values > 0)
    values = np.where(good, 20.0 * np.log10(np.where(good, panel.values, 1.0)), np.nan)
    return Panel(panel.date, values, panel.reason, panel.note)


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
    chosen = np.zeros(panels[0].values.shape, dtype=bool)
    for mask in areas.values():
        chosen |= mask.astype(bool)
    percent = 97.0 if chosen.any() else 98.0
    if not chosen.any():
        chosen[...] = True
    largest = least if np.isfinite(least) and least > 0 else 0.1
    for panel in panels:
        values = np.abs(panel.values[chosen])
        values = values[np.isfinite(values)]
        if values.size:
            largest = max(largest, float(np.percentile(values, percent)))
    return round_up(largest)


def round_up(value: float) -> float:
    """Round up to 1, 1.5, 2, 3, 4, 5, 6, 8 or 10 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(min(n * power for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if n * power >= value * (1 - 1e-9)))


def _panel(axes: Axes, panel: Panel, ground: Ground, scale: Scale) -> Any:
    view = ground.view
    show_reasons(axes, panel.reason, view)
    drawn = show(axes, panel.values, view, cmap=scale.colours, norm=scale.norm)
    if ground.shade is not None:
        show(axes, _relief(ground.shade, np.isfinite(panel.values)), view)
    outline(axes, ground.areas, view)
    return drawn


def _relief(shade: Floats, where: NDArray[np.bool_]) -> Floats:
    """Darken slopes that face away from the light and lighten those that face it, colours shining through."""
    darker = np.clip(LEVEL - shade, 0.0, None)
    lighter = np.clip(shade - LEVEL, 0.0, None)
    veil = np.zeros((*shade.shape, 4))
    veil[..., :3] = (lighter > 0)[..., None]
    veil[..., 3] = np.where(where & np.isfinite(shade), np.clip(0.7 * darker + 1.2 * lighter, 0.0, 0.45), 0.0)
    return veil


def _triple(measured: Panel, modelled: Panel) -> tuple[Panel, Panel, Panel]:
    one, other = decibels(measured), decibels(modelled)
    return one, other, Panel(one.date, one.values - other.values, one.reason, modelled.note)


def _ends(images: Sequence[Floats]) -> tuple[float, float]:
    known = [image[np.isfinite(image)] for image in images]
    ends = [np.percentile(values, (1, 99)) for values in known if values.size]
    if not ends:
        return 0.0, 1.0
    low, high = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    return low, high if high > low else low + 1.0


def _part(number: int, pages: int) -> str:
    return f" (page {number} of {pages})" if pages > 1 else ""


def _columns(count: int, view: View) -> int:
    """Columns of a page: as many as make the pictures large."""
    most = 2 if view.shape < 0.5 else 3 if view.shape < 0.8 else 4 if view.shape < 1.6 else 6
    return min(count, most)
