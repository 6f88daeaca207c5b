"""Pictures of several looks: which of them saw the ground, what each makes of it, and each look's images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.change.pieces import AreaMasks
from mosart.io.netcdf import open_dataset
from mosart.io.stream import Progress
from mosart.masks import Flag
from mosart.stack import Stack

from . import maps
from .canvas import COLOURS, colour_bar, furnish, label, new_figure, outline, show, show_reasons
from .dates import round_up
from .figures import LARGE, SMALL, amplitude_pages, area_masks, numbered, panel_of, save_both
from .maps import WIDTH, height_of_page
from .raster import shrink, shrink_bits
from .view import View, view_of

#: Colours of ground that one look alone saw, in the order of the looks, and of ground that several saw.
ALONE, SEVERAL = (*COLOURS[:2], *COLOURS[3:6], COLOURS[7], COLOURS[6]), COLOURS[2]
#: Dates on one page.
PAGE = 6
#: Reflectivity is a natural logarithm: decibels of one.
DECIBELS = 10.0 / np.log(10.0)


@dataclass(frozen=True)
class LookImages:
    """What one look shows on its own grid.

    Parameters
    ----------
    name : str
        Of the look.
    result : Path
        Its ``radar_NAME.nc``.
    reference : Stack
        Its first reference image.
    bearing : float or None
        That it looks to, degrees clockwise from north.
    """

    name: str
    result: Path
    reference: Stack
    bearing: float | None


def write_look_figures(
    joint: ElevationChange,
    looks: Sequence[LookImages],
    folder: Path,
    *,
    areas: AreaMasks | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the pictures that only a run of several looks has.

    Parameters
    ----------
    joint : ElevationChange
        On the map, with ``looks`` and ``new_reflectivity`` where they are known.
    looks : sequence of LookImages
        Of the run.
    folder : Path
        Where the files go; it exists.
    areas : Areas, optional
        To outline.
    progress : callable, optional
        Called with the looks drawn and how many there are.

    Returns
    -------
    list of Path
        ``looks`` (which of them saw the ground), ``new_reflectivity`` (each look's own, side by side), and of
        each look ``amplitude_NAME`` and ``amplitudes_NAME``, each as PNG and as PDF.
    """
    bearings = {look.name: look.bearing for look in looks if look.bearing is not None}
    view = replace(view_of(joint.dataset), looks=bearings)
    written: list[Path] = []
    for name, figure in (*_seen_pages(joint, areas, view), *_reflectivity_pages(joint, areas, view)):
        written += save_both(figure, folder / name)
    for number, look in enumerate(looks, 1):
        with open_dataset(look.result) as data:
            for name, figure in _own_pages(look, ElevationChange(data), areas):
                written += save_both(figure, folder / name)
        if progress is not None:
            progress(number, len(looks))
    return written


def _own_pages(
    look: LookImages, change: ElevationChange, areas: AreaMasks | None
) -> Iterator[tuple[str, Figure]]:
    stack = look.reference
    masks = area_masks(stack.dataset, areas, LARGE)
    title = f"Amplitude of {look.name}, {stack.dates[0]:%Y-%m-%d}"
    image = shrink(stack.dataset["amplitude"].isel(date=0), LARGE)
    yield f"amplitude_{look.name}", maps.amplitude_figure(image, view_of(stack.dataset), masks, title)
    yield from amplitude_pages(change, areas, view_of(change.dataset), look.name)


def _seen_pages(joint: ElevationChange, areas: AreaMasks | None, view: View) -> Iterator[tuple[str, Figure]]:
    """Draw which looks saw the ground, on every date."""
    data = joint.dataset
    if "looks" not in data:
        return
    names = look_names(data["looks"])
    seen = data["looks"].transpose(..., "y", "x")
    images = [seen.isel(date=i) for i in range(seen.sizes["date"])] if "date" in seen.dims else [seen]
    titles = [f"{date:%Y-%m-%d}" for date in joint.dates] if "date" in seen.dims else [""]
    bits = [shrink_bits(image, SMALL) for image in images]
    masks = area_masks(data, areas, SMALL)
    handles = [Patch(facecolor=look_colour(bit, names), label=f"{name} alone") for bit, name in names.items()]
    handles.append(Patch(facecolor=SEVERAL, label="both" if len(names) == 2 else "two or more"))
    handles.append(Patch(facecolor="#d9d9d9", label="no look"))
    pages = [range(i, min(i + PAGE, len(bits))) for i in range(0, len(bits), PAGE)]

    def draw() -> Iterator[Figure]:
        for page in pages:
            columns = min(len(page), 3)
            rows = -(-len(page) // columns)
            size = (WIDTH, height_of_page(view, columns, rows)) if columns > 1 else maps.single_page(view)
            figure = new_figure(*size)
            grid = figure.subplots(rows, columns, squeeze=False)
            for place, axes in enumerate(grid.flat):
                if place >= len(page):
                    axes.set_visible(False)
                    continue
                show(axes, _colours(bits[page[place]], names), view)
                outline(axes, masks, view)
                label(axes, view, horizontal=place + columns >= len(page), vertical=place % columns == 0)
                axes.set_title(titles[page[place]], fontsize=8)
            furnish(grid.flat[0], view)
            figure.suptitle("Looks that saw the ground", fontsize=10)
            figure.legend(
                handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False
            )
            yield figure

    yield from numbered("looks", draw(), len(pages))


def _reflectivity_pages(
    joint: ElevationChange, areas: AreaMasks | None, view: View
) -> Iterator[tuple[str, Figure]]:
    """Draw the reflectivity of the new surface as each look has it, side by side, a row a date."""
    data = joint.dataset
    if "new_reflectivity" not in data:
        return
    own = data["new_reflectivity"].transpose("look", "date", "y", "x")
    names = [str(name) for name in data["look"].values]
    masks = area_masks(data, areas, SMALL)
    mask = [panel_of(data, joint, i, SMALL).reason for i in range(len(joint.dates))]
    images = [
        [DECIBELS * shrink(own.isel(look=k, date=i), SMALL) for k in range(len(names))]
        for i in range(len(joint.dates))
    ]
    values = np.abs(np.concatenate([image.ravel() for row in images for image in row]))
    values = values[np.isfinite(values)]
    most = round_up(max(1.0, float(np.percentile(values, 98)))) if values.size else 1.0
    pages = [range(i, min(i + PAGE // 2, len(images))) for i in range(0, len(images), PAGE // 2)]

    def draw() -> Iterator[Figure]:
        for page in pages:
            figure = new_figure(WIDTH, height_of_page(view, len(names), len(page)))
            grid = figure.subplots(len(page), len(names), squeeze=False)
            for row, index in enumerate(page):
                for column, image in enumerate(images[index]):
                    axes = grid[row][column]
                    unseen = np.where(mask[index] == 0, int(Flag.NODATA), mask[index])
                    empty = np.where(np.isfinite(image), 0, unseen)
                    show_reasons(axes, empty, view)
                    drawn = show(axes, image, view, cmap="PuOr_r", vmin=-most, vmax=most)
                    outline(axes, masks, view)
                    label(axes, view, horizontal=row == len(page) - 1, vertical=column == 0)
                    axes.set_title(f"{joint.dates[index]:%Y-%m-%d} as {names[column]} has it", fontsize=8)
            furnish(grid[0][0], view)
            text = "reflectivity of the new surface, against the median (dB)"
            colour_bar(figure, drawn, list(grid.flat), text, extend="both")
            figure.suptitle("New reflectivity, look by look: alike where the surface is right", fontsize=10)
            yield figure

    yield from numbered("new_reflectivity", draw(), len(pages))


def level_texts(data: xr.Dataset) -> list[str]:
    """Say of every date how the looks were brought to one level of brightness.

    Parameters
    ----------
    data : xarray.Dataset
        With ``look_level`` and ``look_level_std`` (look, date), natural logarithms; NaN where a look has no
        image.

    Returns
    -------
    list of str
        Empty without them.
    """
    if "look_level" not in data or "look" not in data:
        return []
    told = []
    for index, date in enumerate(data["date"].values.astype("datetime64[D]").tolist()):
        parts = []
        for k, name in enumerate(data["look"].values):
            level, std = (
                DECIBELS * float(data[n].transpose("look", "date").values[k, index])
                for n in ("look_level", "look_level_std")
            )
            if np.isfinite(level):
                error = (
                    f"± {std:.2g} dB" if np.isfinite(std) else "(too little ground in common for an error)"
                )
                parts.append(f"{name} {level:+.2f} dB {error}")
        if len(parts) > 1:
            told.append(f"{date:%Y-%m-%d}: {', '.join(parts)}, against the mean of the looks")
    return told


def look_names(looks: xr.DataArray) -> dict[int, str]:
    """Name the bits of the layer that says which looks saw the ground.

    Parameters
    ----------
    looks : xarray.DataArray
        With ``flag_masks`` and ``flag_meanings``.

    Returns
    -------
    dict of int to str
    """
    bits = np.atleast_1d(np.asarray(looks.attrs.get("flag_masks", [1, 2, 4, 8, 16, 32, 64, 128]))).tolist()
    names = str(looks.attrs.get("flag_meanings", "")).split()
    return {int(bit): names[i] if i < len(names) else f"look {i + 1}" for i, bit in enumerate(bits)}


def radar_files(folder: Path) -> dict[str, Path]:
    """Find the results of a run on radar grids.

    Parameters
    ----------
    folder : Path
        Of the run.

    Returns
    -------
    dict of str to Path
        Of several looks, by the names that the map gives, those that are there; of one, ``radar.nc``, by the
        empty name. Where the map is gone the names of the files are all there is.
    """
    mapped, one = folder / "elevation_change.nc", folder / "radar.nc"
    names: list[str] = []
    if mapped.is_file():
        with open_dataset(mapped) as data:
            names = list(look_names(data["looks"]).values()) if "looks" in data else []
    elif not one.is_file():
        names = [path.stem.removeprefix("radar_") for path in sorted(folder.glob("radar_*.nc"))]
    found = {name: folder / f"radar_{name}.nc" for name in names} or {"": one}
    return {name: path for name, path in found.items() if path.is_file()}


def look_colour(bits: int, names: Mapping[int, str]) -> str:
    """Give the colour of ground that some looks saw."""
    seen = [i for i, bit in enumerate(names) if bits & bit]
    if not seen:
        return "#d9d9d9"
    return SEVERAL if len(seen) > 1 else ALONE[seen[0] % len(ALONE)]


def _colours(bits: NDArray[np.uint8], names: Mapping[int, str]) -> NDArray[np.float64]:
    table: NDArray[Any] = np.array([to_rgba(look_colour(value, names)) for value in range(256)])
    return np.asarray(table[bits], np.float64)
