"""The pictures of a run, as PNG files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.change.pieces import AreaMasks
from mosart.errors import InputError
from mosart.io.stream import Progress
from mosart.periods import Period
from mosart.stack import Stack

from . import dates, maps
from .canvas import save
from .dates import Ground, Panel, Scale
from .places import extremes
from .profile import profile_figure, read_profiles
from .raster import reasons, shrink, shrink_bits, steps
from .series import PAGE as SERIES_PAGE
from .series import series_figures, volume_figures
from .view import View, view_of

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
    series: pd.DataFrame | None = None,
    volumes: pd.DataFrame | None = None,
    activity: Sequence[Period] = (),
    look: float | None = None,
    looks: Mapping[str, float] | None = None,
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
    series, volumes : pandas.DataFrame, optional
        Time series of the areas and points, and volumes of the areas, where they are computed already; the
        time series are computed where `areas` are given without them.
    activity : sequence of Period, optional
        When something went on: shaded in the curves over time.
    look : float, optional
        Bearing the radar looks to, degrees clockwise from north, for the map.
    looks : mapping of str to float, optional
        The same of several looks, by their names.
    progress : callable, optional
        Called with the figures done and an estimate of how many there are.

    Returns
    -------
    list of Path
        ``amplitude``, ``despeckling``, ``weights``, ``heights``, ``elevation_change``, ``standard_error``,
        ``amplitudes``, ``profile``, ``time_series`` and ``volumes``, each as PNG and as PDF, as far as there
        is something to draw; several pages are numbered. Large images are averaged over blocks before they
        are drawn.
    """
    target = Path(folder)
    written: list[Path] = []
    pages = -(-len(change.dates) // dates.PAGE)
    expected = 2 * (5 + 2 * pages)
    for name, figure in _figures(
        change,
        stack=stack,
        filtered=filtered,
        areas=areas,
        mapped=mapped,
        series=series,
        volumes=volumes,
        activity=activity,
        look=look,
        looks=looks or {},
    ):
        written += save_both(figure, target / name)
        if progress is not None:
            progress(len(written), max(expected, len(written)))
    if progress is not None:
        progress(len(written), len(written))
    return written


def _figures(
    change: ElevationChange,
    *,
    stack: Stack | None,
    filtered: xr.DataArray | None,
    areas: AreaMasks | None,
    mapped: xr.Dataset | None,
    series: pd.DataFrame | None,
    volumes: pd.DataFrame | None,
    activity: Sequence[Period],
    look: float | None,
    looks: Mapping[str, float],
) -> Iterator[tuple[str, Figure]]:
    data = change.dataset
    view = view_of(data)
    if stack is not None:
        date = _reference_image(change, stack)
        image = stack.dataset["amplitude"].isel(date=date)
        name = f"{stack.dates[date]:%Y-%m-%d}"
        masks = area_masks(data, areas, LARGE)
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
        masks = area_masks(data, areas, LARGE)
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
    shown = change if mapped is None else ElevationChange(mapped)
    yield from _date_pages(change, shown, areas, replace(view_of(shown.dataset, look), looks=looks))
    yield from amplitude_pages(change, areas, view)
    if areas is not None and len(areas.names) > 0:
        table = change.time_series(areas) if series is None else series
        pages = series_figures(
            table, f"{change.quantity}_m", f"Elevation change {_against(change)}", activity
        )
        yield from numbered("time_series", pages, -(-len(areas.names) // SERIES_PAGE))
    if volumes is not None and not volumes.empty:
        pages = volume_figures(volumes, f"Volume {_against(change)}", activity)
        yield from numbered("volumes", pages, -(-volumes["name"].nunique() // SERIES_PAGE))


def _date_pages(
    change: ElevationChange, shown: ElevationChange, areas: AreaMasks | None, view: View
) -> Iterator[tuple[str, Figure]]:
    """Draw the change and, where every cell has one, its standard error; and profiles across it."""
    data = shown.dataset
    most = LARGE if len(change.dates) == 1 else SMALL
    panels = [panel_of(data, change, index, most) for index in range(len(change.dates))]
    masks = area_masks(data, areas, most)
    shade = maps.shade(shrink(data["height"], most), view) if "height" in data else None
    ground = Ground(view, masks, shade)
    std = data["elevation_change_std"]
    least = 2.0 * float(np.nanmax(std.values, initial=0.0)) if std.dims == ("date",) else 0.0
    limit = dates.change_limit(panels, masks, least)
    title = f"Elevation change {_against(change)}"
    if change.quantity == "elevation_change_slant":
        title += ", at the fixed slant-range pixel (the geometry of the look is not known)"
    pages = -(-len(panels) // dates.PAGE)
    figures = dates.date_figures(panels, ground, dates.change_scale(limit), title)
    yield from numbered("elevation_change", figures, pages)
    if std.dims != ("date",):
        errors = [_quantity(data, "elevation_change_std", panel, i, most) for i, panel in enumerate(panels)]
        known = [e.values[np.isfinite(e.values)] for e in errors]
        top = max((float(np.percentile(v, 98)) for v in known if v.size), default=1.0)
        scale = Scale("cividis", 0.0, dates.round_up(max(top, 1e-3)), "standard error of the change (m)")
        figures = dates.date_figures(errors, Ground(view, masks), scale, f"Standard error: {title}")
        yield from numbered("standard_error", figures, pages)
    yield from _profile(shown, panels, ground, title)


def _profile(
    shown: ElevationChange, panels: Sequence[Panel], ground: Ground, title: str
) -> Iterator[tuple[str, Figure]]:
    """Draw profiles through the strongest change of the newest date that shows any."""
    newest = next((i for i in range(len(panels) - 1, -1, -1) if np.isfinite(panels[i].values).any()), None)
    if newest is None:
        return
    values = panels[newest].values
    chosen = np.zeros(values.shape, bool)
    for mask in ground.areas.values():
        chosen |= mask.astype(bool)
    if np.isfinite(values[chosen]).any():
        values = np.where(chosen, values, np.nan)
    else:
        chosen[...] = False
    high, low = extremes(values)
    if not np.isfinite(high.value):
        return
    place = high if high.value > -low.value else low
    sizes = shown.shape[1:]
    block = steps(sizes, LARGE if len(panels) == 1 else SMALL)
    cell = (
        min(place.row * block[0] + block[0] // 2, sizes[0] - 1),
        min(place.column * block[1] + block[1] // 2, sizes[1] - 1),
    )
    inside = None
    if chosen.any():
        inside = np.repeat(np.repeat(chosen, block[0], axis=0), block[1], axis=1)[: sizes[0], : sizes[1]]
    profiles = read_profiles(shown, newest, cell, ground.view, inside)
    if profiles:
        yield (
            "profile",
            profile_figure(profiles, panels[newest].date, f"Profiles, {panels[newest].date}: {title}"),
        )


def amplitude_pages(
    change: ElevationChange, areas: AreaMasks | None, view: View, look: str = ""
) -> Iterator[tuple[str, Figure]]:
    """Draw the amplitudes of every date, on the radar grid where they were measured.

    Parameters
    ----------
    change : ElevationChange
        On a radar grid.
    areas : Areas or None
        To outline.
    view : View
        Of the grid.
    look : str, optional
        Name of the look where there are several.

    Yields
    ------
    name : str
        Of the figure: ``amplitudes``, of several looks ``amplitudes_LOOK``; several pages of these are
        ``amplitudes_01``…, ``amplitudes_LOOK~01``….
    figure : matplotlib.figure.Figure
        A page.
    """
    data = change.dataset
    # No look's name holds the sign before its pages' numbers: asc may stand beside asc_01.
    file, of, mark = (f"amplitudes_{look}", f" of {look}", "~") if look else ("amplitudes", "", "_")
    if "measured_amplitude" not in data:
        return
    most = SMALL
    masks = area_masks(data, areas, most)
    empty = [Panel(date, np.empty((0, 0)), np.empty((0, 0), np.int64)) for date in change.dates]
    measured = [_quantity(data, "measured_amplitude", panel, i, most) for i, panel in enumerate(empty)]
    if "modelled_amplitude" in data:
        modelled = [_quantity(data, "modelled_amplitude", panel, i, most) for i, panel in enumerate(empty)]
        modelled = [replace(panel, note=_fit(data, i)) for i, panel in enumerate(modelled)]
        figures = dates.amplitude_figures(
            measured,
            modelled,
            Ground(view, masks),
            f"Amplitude{of}: measured, modelled, and what is left over",
        )
        yield from numbered(file, figures, -(-len(measured) // dates.TRIPLES), mark)
        return
    panels = [dates.decibels(panel) for panel in measured]
    figures = dates.date_figures(
        panels,
        Ground(view, masks),
        dates.amplitude_scale(panels),
        f"Measured amplitude{of} (this method models none)",
    )
    yield from numbered(file, figures, -(-len(panels) // dates.PAGE), mark)


def panel_of(data: xr.Dataset, change: ElevationChange, index: int, most: int) -> Panel:
    """Make the panel of one date's change.

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
    std = data["elevation_change_std"]
    note = _sigma(float(std.values[index])) if std.dims == ("date",) else ""
    if change.dates[index] in change.reference_dates and len(change.reference_dates) == 1:
        note = "   (reference)"
    bits = shrink_bits(data["mask"].isel(date=index), most)
    panel = Panel(change.dates[index], np.empty((0, 0)), reasons(bits), note)
    return _quantity(data, change.quantity, panel, index, most)


def _quantity(data: xr.Dataset, name: str, like: Panel, index: int, most: int) -> Panel:
    """Make a panel of another quantity of a date."""
    image = shrink(data[name].isel(date=index), most)
    reason = like.reason if like.reason.shape == image.shape else reasons(np.zeros(image.shape, np.uint8))
    return Panel(like.date, image, np.where(np.isfinite(image), 0, reason), like.note)


def _fit(data: xr.Dataset, index: int) -> str:
    """How well the modelled amplitude explains the measured one, where the method says it."""
    if "noise_rescaling" not in data or not np.isfinite(data["noise_rescaling"].values[index]):
        return ""
    noise, still = (float(data[name].values[index]) for name in ("noise_rescaling", "stable_share"))
    return f"noise {noise:.2f} of the expected, {still:.0%} still ground"


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


def area_masks(data: xr.Dataset, areas: AreaMasks | None, most: int) -> Mapping[str, NDArray[np.uint8]]:
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


def save_both(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and as PDF, of a path without an ending."""
    written = [path.with_name(f"{path.name}.{suffix}") for suffix in ("png", "pdf")]
    for file in written:
        save(figure, file)
    return written


def numbered(
    name: str, figures: Iterator[Figure], pages: int, mark: str = "_"
) -> Iterator[tuple[str, Figure]]:
    """Name the pages of a figure: by number, after a mark, where there are several."""
    for number, figure in enumerate(figures, 1):
        yield (name if pages == 1 else f"{name}{mark}{number:02d}"), figure
