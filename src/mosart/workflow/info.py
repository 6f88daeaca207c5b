"""What a stack file holds, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mosart.geometry import resolve
from mosart.geometry.resolve import GeometryUnknown
from mosart.io import open_stack
from mosart.stack import Stack

from .looks import look_name, shared_ground
from .plan import geometry_text, names

_TOLD_ELSEWHERE = {
    "source",
    "incidence_angle",
    "range_spacing",
    "azimuth_spacing",
    "look_direction",
    "heading",
}


def describe_all(paths: Sequence[Path]) -> str:
    """Tell what stack files hold and, of several, what ground they share.

    Parameters
    ----------
    paths : sequence of Path
        Stack files.

    Returns
    -------
    str
        Lines for people.

    Raises
    ------
    InputError
        If a file is no stack.
    """
    called = [look_name(path) for path in paths]
    if len(set(called)) < len(called):
        called = [str(path) for path in paths]
    texts = [describe(path) for path in paths]
    if len(paths) > 1:
        shared = shared_ground([open_stack(path, minimum_dates=1) for path in paths])
        texts.append("\n".join(f"{name:<10} {text}" for name, text in zip(called, shared, strict=True)))
    return "\n\n".join(texts)


def describe(path: Path) -> str:
    """Tell what a stack file holds, from its metadata and, for the geometry, some of its rows.

    Parameters
    ----------
    path : Path
        Stack file.

    Returns
    -------
    str
        Lines for people. What the reader ignored is in the log.

    Raises
    ------
    InputError
        If the file is no stack.
    """
    stack = open_stack(path, minimum_dates=1)
    lines = [
        f"{path}",
        f"size       {size_text(stack)}",
        f"dates      {names(stack.dates)}",
        f"lon/lat    {extent(stack)}",
        f"geometry   {geometry_line(stack)}",
    ]
    attrs = stack.dataset.attrs
    known = {k: v for k, v in attrs.items() if k not in _TOLD_ELSEWHERE and str(v) != "unknown"}
    unknown = [k for k, v in attrs.items() if k not in _TOLD_ELSEWHERE and str(v) == "unknown"]
    lines += [f"{name:<10} {value}" for name, value in known.items() if isinstance(value, str | int | float)]
    if unknown:
        lines.append(f"unknown    {', '.join(unknown)}")
    return "\n".join(lines)


def geometry_line(stack: Stack) -> str:
    """Describe the look of a stack in one line, or why it is not known."""
    try:
        return geometry_text(resolve(stack), "")
    except GeometryUnknown as error:
        return geometry_text(None, error.what)


def size_text(stack: Stack) -> str:
    """Describe the size of a stack."""
    dates, rows, columns = stack.shape
    return f"{dates} dates, {rows} azimuth rows x {columns} range pixels"


def extent(stack: Stack) -> str:
    """Describe the corners of a stack in one line."""
    if not stack.has_lonlat:
        return "none: results stay on the radar grid"
    data = stack.dataset
    ends = {"azimuth": [0, -1], "range": [0, -1]}
    longitude, latitude = data["longitude"].isel(ends).values, data["latitude"].isel(ends).values
    corners = zip(longitude.ravel(), latitude.ravel(), strict=True)
    return "corners " + ", ".join(f"{lon:.4f} {lat:.4f}" for lon, lat in corners)
