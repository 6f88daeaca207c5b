"""Getting Sentinel-1 bursts, orbits and a DEM of a place: ``mosart fetch``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from mosart.errors import InputError

from .log import Talk
from .places import lonlat_fault, parse_box, parse_date


def fetch_files(
    place: str,
    start: str,
    end: str,
    out: Path,
    talk: Talk,
    *,
    polarization: str = "VV",
    direction: str | None = None,
    track: int | None = None,
) -> str:
    """Get what ``mosart coregister`` needs for a place and a time.

    Parameters
    ----------
    place : str
        Box of longitude and latitude, degrees.
    start, end : str
        First and last day, YYYYMMDD.
    out : Path
        Folder; made if it is missing.
    talk : Talk
        The terminal.
    polarization, direction, track
        See :func:`mosart.slc.fetch.find_bursts`.

    Returns
    -------
    str
        What is there now, and the next command.

    Raises
    ------
    InputError
        If the place or a day cannot be, the extra is not installed, there is no login, or the archive
        cannot be reached.
    """
    from mosart.slc import fetch

    fetch.require_extra()
    box = _box(place)
    first, last = _day("start", start), _day("end", end)
    if last < first:
        raise InputError(
            "end: the last day lies before the first",
            expected=f"{start} or later",
            got=end,
            hint="exchange --start and --end",
        )
    if out.exists() and not out.is_dir():
        raise InputError(f"out: {out} is a file", expected="a folder", hint="name another --out")
    with talk.progress("fetching"):
        bursts, orbits, dem = fetch.fetch_place(
            box, first, last, out, polarization=polarization, direction=direction, track=track
        )
    named = " ".join(f"--slc {path}" for path in bursts)
    with_orbits = f" --orbits {out / 'orbits'}" if orbits else ""
    return (
        f"{len(bursts)} bursts, {len(orbits)} orbit files and {dem}\n"
        f"next: mosart coregister {named} --dem {dem}{with_orbits} --out stack.nc"
    )


def _box(place: str) -> tuple[float, float, float, float]:
    text = place if "=" in place else f"lonlat={place}"
    box = parse_box(text).get("lonlat")
    fault = "a place is a box in degrees" if box is None else lonlat_fault(box)
    if box is None or fault:
        raise InputError(f"place: {fault}", expected="WEST,SOUTH,EAST,NORTH in degrees", got=place)
    west, south, east, north = map(float, box)
    return west, south, east, north


def _day(name: str, text: str) -> dt.date:
    try:
        return parse_date(text)
    except InputError as error:
        raise InputError(
            f"{name}: {error.what}", expected=error.expected, got=error.got, hint=error.hint
        ) from None
