"""The pictures of a run, as PNG files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.change.pieces import AreaMasks
from mosart.errors import InputError
from mosart.io.stream import Progress
from mosart.stack import Stack

from . import maps
from .canvas import save
from .maps import Panel
from .raster import reasons, shrink, shrink_bits
from .series import PAGE as SERIES_PAGE
from .series import series_figures
from .view import view_of

#: Blocks a side of a picture that fills its page, and of one of several.
LARGE, SMALL = 1400, 600
#: Side of the part of the image that shows what the filter did, pixels.
PART = 400


def write_figures(
    change: ElevationChange,
    folder: str | os.PathLike[str],
    *,
    stack: Stack | None = None,
    filtered: xr.DataArray | None = None,
    areas: AreaMasks | None = None,
    mapped: xr.Dataset | None = None,
    look: float | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the pictures of a run.

    Parameters
    ----------
    change : ElevationChange
        What was measured; best opened from its file, for every date is read.
    folder : path-like
        Where the files go; it exists.
    stack : Stack, optional
        The images: gives the amplitude of the reference date.
    filtered : xarray.DataArray, (date, azimuth, range), optional
        Despeckled amplitudes of the stack, lazy: a part of the image is drawn before and after.
    areas : Areas, optional
        Points and areas of interest: outlined, and drawn as time series.
    mapped : xarray.Dataset, optional
        The change on the map (:func:`mosart.geocode`): the change is drawn there; without it, on
        the radar grid.
    look : float, optional
        Bearing the radar looks to, degrees clockwise from north, for the map.
    progress : callable, optional
        Called with the figures done and an estimate of how many there are.

    Returns
    -------
    list of Path
        ``amplitude.png``, ``despeckling.png``, ``weights.png``, ``heights.png``, ``elevation_change.png``
        and ``time_series.png``, as far as there is something to draw; several pages are numbered.
        Large images are averaged over blocks before they are drawn.
    """
    target = Path(folder)
    written: list[Path] = []
    expected = 3 + -(-len(change.dates) // maps.PAGE)
    for name, figure in _figures(
        change, stack=stack, filtered=filtered, areas=areas, mapped=mapped, look=look
    ):
        written.append(target / f"{name}.png")
        save(figure, written[-1])
        if progress is not None:
            progress(len(written), max(expected, len(written)))
    return written


def _figures(
    change: ElevationChange,
    *,
    stack: Stack | None,
    filtered: xr.DataArray | None,
    areas: AreaMasks | None,
    mapped: xr.Dataset | None,
    look: float | None,
) -> Iterator[tuple[str, Figure]]:
    data = change.dataset
    view = view_of(data)
    if stack is not None:
        date = _reference_image(change, stack)
        image = stack.dataset["amplitude"].isel(date=date)
        name = f"{stack.dates[date]:%Y-%m-%d}"
        masks = _area_masks(data, areas, LARGE)
        yield (
            "amplitude",
            maps.amplitude_figure(shrink(image, LARGE), view_of(stack.dataset), masks, f"Amplitude, {name}"),
        )
        if filtered is not None:
            part = _part(data, areas)
            before, after = (
                np.asarray(a.isel(date=date)[part], np.float64)
                for a in (stack.dataset["amplitude"], filtered)
            )
            cut = stack.dataset.isel(azimuth=part[0], range=part[1])
            yield "despeckling", maps.filter_figure(before, after, view_of(cut), f"Despeckling, {name}")
    if "weights" in data:
        weights = data["weights"]
        date_name = ""
        if "date" in weights.dims:
            weights, date_name = weights.isel(date=-1), f", {change.dates[-1]:%Y-%m-%d}"
        masks = _area_masks(data, areas, LARGE)
        yield (
            "weights",
            maps.weights_figure(shrink(weights, LARGE), view, masks, f"Weights of the fit{date_name}"),
        )
    if "height" in data:
        heights = {"DEM": shrink(data["height"], SMALL)}
        if "elevation" in data:
            heights[f"reconstructed, {change.dates[-1]:%Y-%m-%d}"] = shrink(
                data["elevation"].isel(date=-1), SMALL
            )
        yield "heights", maps.heights_figure(heights, view, "Heights")
    yield from _change_pages(change, areas, mapped, look)
    if areas is not None and len(areas.names) > 0:
        table = change.time_series(areas)
        pages = series_figures(table, f"{change.quantity}_m", f"Elevation change {_against(change)}")
        yield from _numbered("time_series", pages, -(-len(areas.names) // SERIES_PAGE))


def _change_pages(
    change: ElevationChange, areas: AreaMasks | None, mapped: xr.Dataset | None, look: float | None
) -> Iterator[tuple[str, Figure]]:
    """Draw the change, on the map where there is one."""
    data = change.dataset if mapped is None else mapped
    most = LARGE if len(change.dates) == 1 else SMALL
    panels = [panel_of(data, change, index, most) for index in range(len(change.dates))]
    masks = _area_masks(data, areas, most)
    std = data["elevation_change_std"]
    least = 2.0 * float(np.nanmax(std.values, initial=0.0)) if std.dims == ("date",) else 0.0
    limit = maps.change_limit(panels, masks, least)
    title = f"Elevation change {_against(change)}"
    if change.quantity == "elevation_change_slant":
        title += ", at the fixed slant-range pixel (the geometry of the look is not known)"
    figures = maps.change_figures(panels, view_of(data, look), masks, limit, title)
    yield from _numbered("elevation_change", figures, -(-len(panels) // maps.PAGE))


def panel_of(data: xr.Dataset, change: ElevationChange, index: int, most: int) -> Panel:
    """Make the panel of one date.

    Parameters
    ----------
    data : xarray.Dataset
        The change, on the radar grid or on the map.
    change : ElevationChange
        What it is the change of.
    index : int
        Number of the date.
    most : int
        Blocks a side, at most.

    Returns
    -------
    Panel
    """
    image = shrink(data[change.quantity].isel(date=index), most)
    bits = shrink_bits(data["mask"].isel(date=index), most)
    std = data["elevation_change_std"]
    note = _sigma(float(std.values[index])) if std.dims == ("date",) else ""
    if change.dates[index] in change.reference_dates and len(change.reference_dates) == 1:
        note = "   (reference)"
    return Panel(change.dates[index], image, np.where(np.isfinite(image), 0, reasons(bits)), note)


def _sigma(std: float) -> str:
    if not np.isfinite(std):
        return "   σ unknown"
    return f"   σ = {std:.0f} m" if std >= 10 else f"   σ = {std:.2g} m"


def _against(change: ElevationChange) -> str:
    names = [f"{date:%Y-%m-%d}" for date in change.reference_dates]
    return (
        f"against {names[0]}"
        if len(names) == 1
        else f"against the mean of {len(names)} dates, {names[0]} to {names[-1]}"
    )


def _reference_image(change: ElevationChange, stack: Stack) -> int:
    """Find the number of the stack's image that shows the reference."""
    for date in change.reference_dates:
        if date in stack.dates:
            return stack.dates.index(date)
    return 0


def _area_masks(data: xr.Dataset, areas: AreaMasks | None, most: int) -> Mapping[str, NDArray[np.uint8]]:
    """Masks of the areas, as small as the picture; those that the grid cannot place are left out."""
    masks: dict[str, NDArray[np.uint8]] = {}
    if areas is None:
        return masks
    for name in areas.names:
        try:
            masks[name] = shrink_bits(np.asarray(areas.masks(data, [name])[name], bool), most)
        except InputError:  # a pixel box means nothing on a map
            continue
    return masks


def _part(data: xr.Dataset, areas: AreaMasks | None) -> tuple[slice, slice]:
    """Choose a part of the image: around the first area, else in the middle."""
    sizes = data.sizes["azimuth"], data.sizes["range"]
    middle = sizes[0] // 2, sizes[1] // 2
    if areas is not None and len(areas.names) > 0:
        first = areas.names[0]
        rows, columns = np.nonzero(np.asarray(areas.masks(data, [first])[first], bool))
        if rows.size:
            middle = int(rows.mean()), int(columns.mean())
    starts = [max(0, min(m - PART // 2, size - PART)) for m, size in zip(middle, sizes, strict=True)]
    rows_, columns_ = (slice(s, min(s + PART, size)) for s, size in zip(starts, sizes, strict=True))
    return rows_, columns_


def _numbered(name: str, figures: Iterator[Figure], pages: int) -> Iterator[tuple[str, Figure]]:
    for number, figure in enumerate(figures, 1):
        yield (name if pages == 1 else f"{name}_{number:02d}"), figure
