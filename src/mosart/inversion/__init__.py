"""From amplitude to elevation change: one module a method, one signature for all."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mosart.change import ElevationChange
from mosart.errors import InputError
from mosart.geocoding import MapGrid
from mosart.geometry.frame import LookFrame
from mosart.io.names import parse_date
from mosart.stack import Stack

from .entries import Entry, plan_entries
from .gather import NamedStack, gather, plan_together
from .method import Method, Options
from .preparation import despeckled
from .regularised import invert_regularised
from .rowwise import invert_amplitude, invert_intensity
from .samedem import check_ground, common_grid
from .synthesis.invert import invert_synthesis
from .synthesis.needed import synthesis_fault
from .synthesis.several import invert_several

__all__ = [
    "METHODS",
    "Entry",
    "Method",
    "Options",
    "check_ground",
    "common_grid",
    "default_method",
    "despeckled",
    "gather",
    "invert",
    "plan_entries",
    "plan_together",
]

logger = logging.getLogger(__name__)

#: The methods by name. A new one is one module and one line here.
METHODS: dict[str, Method] = {
    "rowwise": invert_amplitude,
    "rowwise-intensity": invert_intensity,
    "regularised": invert_regularised,
    "synthesis": invert_synthesis,
}

AnyDate = dt.date | str | np.datetime64


def invert(
    stack: Stack | Sequence[Stack],
    method: str | None = None,
    reference: Sequence[AnyDate] | AnyDate | None = None,
    epochs: Sequence[Sequence[AnyDate]] | None = None,
    *,
    frame: LookFrame | Sequence[LookFrame | None] | None = None,
    names: Sequence[str] | None = None,
    grid: MapGrid | None = None,
    despeckle: str = "nlm",
    weights: str | NDArray[Any] | xr.DataArray = "unit",
    stable: NDArray[np.bool_] | xr.DataArray | None = None,
    stable_name: str = "given",
    terrain: str = "coded",
    tile_rows: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ElevationChange:
    """Elevation change of every date, or epoch, against the reference.

    Parameters
    ----------
    stack : Stack or sequence of Stack
        Images and DEM; its mask says what not to use. A sequence: several looks of one ground, which
        ``synthesis`` solves together.
    method : str, optional
        A name in :data:`METHODS`; by default ``synthesis`` where it can be, else ``rowwise-intensity``,
        which is logged (:func:`default_method`).
    reference : date or sequence of dates, optional
        Dates (``datetime.date``, ``"YYYYMMDD"``) whose mean is the reference; the earliest if not given,
        which is logged. Of several stacks each needs one; if not given, each one's earliest.
    epochs : sequence of sequences of dates, optional
        Dates that are averaged (the mean of their intensities) into one entry each, named after the
        last; every date by itself if not given. Several stacks need it: dates select from every stack that
        has them.
    frame : LookFrame, optional
        Geometry of the look; derived from the stack if not given. Where it cannot be, the change is
        given at the fixed slant-range pixel only, which is logged. Of several stacks one each.
    names : sequence of str, optional
        What several stacks are called; ``look1``, ``look2``… if not given.
    grid : MapGrid, optional
        Map of the result of several stacks; by default in the UTM zone, over all of them
        (:func:`mosart.inversion.samedem.common_grid`).
    despeckle : {"nlm", "none"}
        Filter of the images before a row-wise inversion, see :func:`despeckled`.
    weights : {"unit", "stable", "robust"} or array (azimuth, range)
        Weights of the residuals in the row-wise fit. ``unit``: 1, as the original; ground that changed
        bends the fit. ``stable``: the stable ground alone. ``robust``: Tukey's biweight at 2.5 robust
        standard deviations of the change. An array: squared in the sum of squares, as the original's.
    stable : array of bool (azimuth, range), optional
        Ground that did not change, for the standard errors and for ``weights="stable"``; found away from
        the change if not given.
    stable_name : str
        What that ground is called in the result's attribute ``stable_area``.
    terrain : {"coded", "traced"}
        The ground that ``synthesis`` renders for one stack: the heights of its pixels, or the sections that a
        stack made of SLC products, orbit and DEM raster holds, with the folds that the former cannot.
    tile_rows : int, optional
        Azimuth rows that are worked on at a time; as many as fit the memory if not given. Results of
        different tilings agree to 1e-6 m.
    progress : callable, optional
        Called with what is done and what there is to do, by a method that works before it returns.

    Returns
    -------
    ElevationChange
        In metres, positive where the surface rose. Lazy where it is too large to be kept in memory. Of
        several stacks on the map grid (date, y, x); ``on_radar(name)`` gives it on the grid of one of them.
        An entry that is the reference itself is zero by definition; one of several reference dates is
        compared with the mean of the others.

    Raises
    ------
    InputError
        If there is no such method, date, weighting or despeckling, two epochs end on one date, or an
        array does not fit the stack. Of several stacks, if they cannot be solved together, and why.
    """
    if method is not None and method not in METHODS:
        raise InputError(f"there is no method {method!r}", expected=" or ".join(METHODS))
    chosen = None if reference is None else _dates(reference)
    groups = None if epochs is None else [_dates(epoch) for epoch in epochs]
    if not isinstance(stack, Stack):
        if terrain != "coded":
            raise InputError(
                "traced terrain is for one stack", expected="terrain coded", got=f"{len(stack)} stacks"
            )
        together = _together(stack, method, names, frame, stable)
        before, plan = plan_together(together, chosen, groups)
        check_ground(together)
        grid = grid if grid is not None else common_grid([look.stack for look in together])
        return invert_several(together, before, plan, grid, progress=progress)
    if (names, grid) != (None, None) or not (frame is None or isinstance(frame, LookFrame)):
        raise InputError(
            "names, a map grid and look frames are for several stacks",
            expected="one LookFrame and neither names nor grid, for a single stack",
            hint="`mosart.geocode(change, grid)` brings the result of one stack to a map",
        )
    first, entries = plan_entries(stack.dates, chosen, groups)
    frame = frame if frame is not None else _frame(stack)
    options = Options(
        frame=frame,
        despeckle=despeckle,
        weights=weights if isinstance(weights, str) else np.asarray(weights),
        stable=_stable(stable, stack),
        stable_name=stable_name,
        terrain=terrain,
        tile_rows=tile_rows,
        progress=progress,
    )
    method = method or default_method(stack, frame)
    if terrain != "coded" and method != "synthesis":
        raise InputError(
            "no terrain is rendered by this method",
            expected="terrain coded, or the method synthesis and a stack whose look is known",
            got=f"terrain {terrain!r} and method {method!r}",
        )
    return METHODS[method](stack, first, entries, options)


def _together(
    stacks: Sequence[Stack],
    method: str | None,
    names: Sequence[str] | None,
    frames: LookFrame | Sequence[LookFrame | None] | None,
    stable: NDArray[np.bool_] | xr.DataArray | None,
) -> tuple[NamedStack, ...]:
    """Refuse what several looks cannot have, and name them."""
    if method not in {None, "synthesis"}:
        raise InputError(
            f"the method {method} takes one stack",
            expected="synthesis, which solves several looks together",
            got=f"{len(stacks)} stacks and method {method!r}",
        )
    if stable is not None:
        raise InputError(
            "stable ground cannot be given for several stacks",
            expected="none: an array is on the radar grid of one stack, and synthesis finds it by itself",
        )
    return gather(stacks, names, frames)


def default_method(stack: Stack, frame: LookFrame | None) -> str:
    """Choose the method of a stack for which none is named, and say it.

    Parameters
    ----------
    stack : Stack
        As it will be inverted.
    frame : LookFrame or None
        Its look, where it is known.

    Returns
    -------
    str
        ``synthesis``, which renders the ground, where look and azimuth spacing are known and the image is
        large enough; else ``rowwise-intensity``.
    """
    fault = synthesis_fault(stack.shape[1:], frame)
    if fault is None:
        logger.info("method: synthesis, for none is named and the look of the radar is known")
        return "synthesis"
    logger.warning(
        "method: rowwise-intensity, for none is named and synthesis cannot be: %s; a row-wise map is several "
        "times less accurate",
        fault.what,
    )
    return "rowwise-intensity"


def _dates(dates: Sequence[AnyDate] | AnyDate) -> list[dt.date]:
    """Dates of any writing; a text may hold several, joined by commas."""
    listed = [dates] if isinstance(dates, str | dt.date | np.datetime64) else list(dates)
    result = []
    for date in listed:
        if isinstance(date, str):
            result += [parse_date(part.strip()) for part in date.split(",")]
        elif isinstance(date, np.datetime64):
            result.append(date.astype("datetime64[D]").item())
        else:
            result.append(date.date() if isinstance(date, dt.datetime) else date)
    return result


def _stable(stable: NDArray[np.bool_] | xr.DataArray | None, stack: Stack) -> NDArray[np.bool_] | None:
    if stable is None:
        return None
    area = np.asarray(stable, dtype=bool)
    if area.shape != stack.shape[1:] or not area.any():
        raise InputError(
            "the stable ground cannot be used",
            expected=f"at least one pixel, in an array (azimuth, range) of shape {stack.shape[1:]}",
            got=f"{int(area.sum())} pixels in an array of shape {area.shape}",
        )
    return area


def _frame(stack: Stack) -> LookFrame | None:
    """Find the look frame of a stack; None, with a note, where that is impossible."""
    from mosart.geometry.resolve import GeometryUnknown, resolve

    try:
        return resolve(stack)
    except GeometryUnknown as error:
        logger.warning("%s\n  only the change at the fixed slant-range pixel is given", error)
        return None
